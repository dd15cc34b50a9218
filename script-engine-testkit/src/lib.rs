//! Conformance suites for backends, stores and collectors.
