//! The two forms in which a script gets its parameters: a typed file and environment variables.

use std::collections::HashMap;

use serde_json::Value;

use super::subschemas::escape;
use super::{Bound, problem};
use crate::Problem;

/// The most bytes of a value in the environment. A variable has to fit one frame of the agent's protocol
/// (64 KiB) next to others, and the kernel takes no more than 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX_ENV_VALUE: usize = 32 * 1024;
/// The most bytes of all values in the environment. The kernel takes 2 MiB of arguments and environment
/// (a quarter of an 8 MiB stack), the agent 1 MiB; the rest is for the request's own variables.
pub const MAX_ENV_TOTAL: usize = 256 * 1024;
/// The variable that names, separated by spaces, the variables whose values are in the file only. Not there
/// if there are none. No parameter can be called so: theirs begin with `PARAM_`.
pub const IN_FILE_VARIABLE: &str = "PARAMS_IN_FILE";
/// Where the file is in a sandbox; where it is elsewhere, the pointer after `#` still holds.
const FILE: &str = "/scripts/args.json";

/// What the script gets.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The content of `/scripts/args.json`: one JSON object with every parameter, typed.
    pub args_json: Vec<u8>,
    /// Environment variables, in the order of the parameters. Free of NUL.
    pub env: Vec<(String, Vec<u8>)>,
}

impl std::fmt::Debug for Delivery {
    // Values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Delivery").field("env", &names).finish_non_exhaustive()
    }
}

/// Makes the file and the variables.
///
/// A parameter `a-b` becomes `PARAM_A_B`: ASCII letters in upper case, every other character that is not an
/// ASCII digit as `_`. Strings are byte for byte as given, everything else is compact JSON. A value that holds
/// NUL, has more than [`MAX_ENV_VALUE`] bytes, or would bring all of them above [`MAX_ENV_TOTAL`] is in the file
/// only: its variable is `@/scripts/args.json#/a-b` (a JSON pointer), and [`IN_FILE_VARIABLE`] lists it, which
/// tells it from a parameter that happens to have such a text as value.
///
/// # Errors
///
/// One problem for each name that gives the same variable as an earlier one; it names both.
pub fn deliver(bound: &Bound) -> Result<Delivery, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut owners: HashMap<String, &str> = HashMap::new();
    let mut env = Vec::with_capacity(bound.values().len());
    let mut in_file = Vec::new();
    let mut total = 0;
    for (name, value) in bound.values() {
        let variable = variable_of(name);
        if let Some(other) = owners.insert(variable.clone(), name) {
            let message = format!("and `{other}` would both be {variable} in the environment; rename one of them");
            problems.push(problem(&format!("/{}", escape(name)), message));
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        };
        let fits = text.len() <= MAX_ENV_VALUE && total + text.len() <= MAX_ENV_TOTAL && !text.contains(&0);
        if fits {
            total += text.len();
            env.push((variable, text));
        } else {
            in_file.push(variable.clone());
            // A name can hold NUL as well, the environment can't.
            let pointer = escape(name).replace('\0', "%00");
            env.push((variable, format!("@{FILE}#/{pointer}").into_bytes()));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if !in_file.is_empty() {
        env.push((IN_FILE_VARIABLE.to_owned(), in_file.join(" ").into_bytes()));
    }
    Ok(Delivery { args_json: Value::Object(bound.values().clone()).to_string().into_bytes(), env })
}

/// The variable of a parameter.
pub(crate) fn variable_of(name: &str) -> String {
    let letter = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
    format!("PARAM_{}", name.chars().map(letter).collect::<String>())
}
