//! Core side of the agent protocol.
