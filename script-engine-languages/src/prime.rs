//! How interpreters are started ahead of their scripts, as data.

use bytes::Bytes;
use script_engine_core::{JobFile, Prime, RelPath};

/// Variables that programs of the usual libraries read when they start.
const FIXED: [&str; 9] = ["PATH", "HOME", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_*", "MALLOC_*", "GLIBC_*"];

/// A start with a hook and the options that load it, for jobs whose arguments begin with `serves`.
pub(crate) fn prime(
    hook: (&str, &'static str),
    options: &[&str],
    env: &[(&str, &str)],
    serves: &[&str],
    fixed: &[&str],
) -> Option<Prime> {
    let (program, rest) = serves.split_first()?;
    let argv = [*program].into_iter().chain(options.iter().copied()).chain(rest.iter().copied());
    Some(Prime {
        files: vec![JobFile {
            // A literal of this crate, which the tests have seen to be a name.
            path: RelPath::parse(hook.0).ok()?,
            content: Bytes::from_static(hook.1.as_bytes()),
            executable: false,
        }],
        argv: argv.map(str::to_owned).collect(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        serves: serves.iter().map(|it| (*it).to_owned()).collect(),
        fixed: FIXED.iter().chain(fixed).map(|it| (*it).to_owned()).collect(),
    })
}
