//! `agent launch`: makes the namespaces and the root that a plan describes, then serves in them.

/// Boots the sandbox and serves it until its end. Gives the exit code.
pub fn launch() -> i32 {
    crate::complain("launch: this build makes no namespaces")
}
