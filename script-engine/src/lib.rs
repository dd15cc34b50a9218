//! The facade that hosts link: re-exports behind features.
