//! The agent that is process 1 of every sandbox, as bytes, and the system call profile it applies.
