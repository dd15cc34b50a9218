//! What the agent is told before it makes its own sandbox (`agent launch`): both ends compile this.

#[expect(unused_imports, reason = "the codec is what plans are written with")]
use crate::wire;
