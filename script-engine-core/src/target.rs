//! Machines of others that scripts may run in: which ones is the operator's to say, for whoever runs a script in one
//! may do there what its user may.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::contract::Target;

/// The longest name of a machine or of a user.
const MAX_NAME: usize = 255;

/// Which machines of others scripts may run in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Targets {
    /// None.
    #[default]
    None,
    /// Those with these names.
    Named(BTreeSet<String>),
    /// All that the backend gets into.
    All,
}

impl Targets {
    /// Names each problem of a target: a name that is none, and one that may not be entered.
    pub(crate) fn problems(&self, target: Option<&Target>) -> Vec<Problem> {
        let Some(target) = target else { return Vec::new() };
        let mut problems = Vec::new();
        let mut take = |field: &str, message: String| problems.push(Problem { field: field.into(), message });
        if !is_name(&target.name) {
            take(
                "target.name",
                "is no name; give 1 to 255 letters, digits and `_ . -`, a letter or digit first".into(),
            );
        } else if !self.allow(&target.name) {
            take("target.name", format!("`{}` is not in settings.targets; ask the operator to open it", target.name));
        }
        let sound = |user: &str| user.split(':').count() <= 2 && user.split(':').all(is_name);
        if target.user.as_ref().is_some_and(|it| !sound(it)) {
            take("target.user", "is no user; give a name or number, and a group after a colon".into());
        }
        problems
    }

    fn allow(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Named(names) => names.contains(name),
            Self::All => true,
        }
    }
}

fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.len() <= MAX_NAME && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(targets: &Targets, name: &str, user: Option<&str>, expected: &[&str]) {
        let target = Target { name: name.into(), user: user.map(Into::into) };
        let found: Vec<String> = targets.problems(Some(&target)).into_iter().map(|it| it.field).collect();
        assert_eq!(found, expected, "{name} {user:?}");
    }

    #[test]
    fn what_is_not_opened_is_closed() {
        let named = Targets::Named(BTreeSet::from(["app".into()]));
        check(&Targets::default(), "app", None, &["target.name"]);
        check(&named, "app", None, &[]);
        check(&named, "app2", None, &["target.name"]);
        check(&Targets::All, "app2", Some("1000:1000"), &[]);
        assert_eq!(Targets::None.problems(None), Vec::new());
    }

    #[test]
    fn names_lead_nowhere_else() {
        for bad in ["", "../x", "a/b", "a b", "-a", "a?b", "a%2fb", "a\nb", &"x".repeat(256)] {
            check(&Targets::All, bad, None, &["target.name"]);
        }
        for bad in ["", "a:", "a:b:c", "a\nb"] {
            check(&Targets::All, "app", Some(bad), &["target.user"]);
        }
    }
}
