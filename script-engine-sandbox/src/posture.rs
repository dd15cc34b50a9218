//! Compares how a script finds itself in a probe sandbox with what is promised. Pure: from facts to
//! the list of broken promises.

use std::collections::BTreeMap;

use crate::config::Isolation;

/// Names each promise that the facts break.
pub(crate) fn broken(_isolation: Isolation, _facts: &BTreeMap<String, String>) -> Vec<String> {
    Vec::new()
}
