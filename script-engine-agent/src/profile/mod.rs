//! The system calls and files that scripts may use.
