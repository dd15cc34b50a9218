//! Conformance suites for backends, stores and collectors.

pub mod fake;
