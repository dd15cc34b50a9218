//! Runs scripts in a sandbox of Linux namespaces, cgroups, seccomp and landlock, with no daemon.
