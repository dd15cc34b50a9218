//! Who process 1 is: the id maps, which the launcher writes from outside, and the change inside.

use std::fmt::Write as _;
use std::fs;

use super::fault::{At as _, Fault};
use crate::plan::{IdRange, Plan};
use crate::sys::identity;

/// Writes the id maps of `pid`. An ordinary user may map one id each, its own, and only after it has
/// forbidden supplementary groups.
pub(super) fn write_maps(plan: &Plan, pid: i32) -> Result<(), Fault> {
    if !plan.setgroups {
        fs::write(format!("/proc/{pid}/setgroups"), "deny").at("forbid supplementary groups")?;
    }
    fs::write(format!("/proc/{pid}/gid_map"), lines(&plan.gids)).at("map the group ids")?;
    fs::write(format!("/proc/{pid}/uid_map"), lines(&plan.uids)).at("map the user ids")
}

/// A map is written in one call.
fn lines(ranges: &[IdRange]) -> String {
    let mut out = String::new();
    for range in ranges {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{} {} {}", range.inside, range.outside, range.count);
    }
    out
}

/// Becomes the agent's user. Process 1 keeps the capabilities that its user namespace gave it.
pub(super) fn take(plan: &Plan) -> Result<(), Fault> {
    if plan.setgroups {
        identity::leave_groups().at("give up supplementary groups")?;
    }
    identity::become_user(plan.agent_id, plan.agent_id).at("take the agent's user id")
}
