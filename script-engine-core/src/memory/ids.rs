//! Sources of ids: random ones for hosts, seeded ones for tests. Both rise, so that the order of
//! ids is the order of creation.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::contract::IdSource;

/// Gives UUIDs of version 7 (RFC 9562): time first, then randomness; rising within one engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidIds;

impl IdSource for UuidIds {
    #[expect(clippy::disallowed_methods, reason = "this is the source that everybody else is to ask")]
    fn fresh(&self) -> u128 {
        Uuid::now_v7().as_u128()
    }
}

/// Gives the same ids again for the same seed. For tests: anybody can guess them.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    given: AtomicU64,
}

impl SeededIds {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, given: AtomicU64::new(0) }
    }
}

impl IdSource for SeededIds {
    fn fresh(&self) -> u128 {
        let count = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        u128::from(count) << 64 | u128::from(mix(self.seed.wrapping_add(count)))
    }
}

/// The finishing step of SplitMix64 (Steele, Lea, Flood 2014): spreads a counter over 64 bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(ids: &dyn IdSource) -> Vec<u128> {
        (0..1000).map(|_| ids.fresh()).collect()
    }

    #[test]
    fn ids_rise_and_a_seed_gives_the_same_again() {
        for ids in [some(&UuidIds), some(&SeededIds::new(7))] {
            assert!(ids.is_sorted_by(|a, b| a < b));
        }
        assert_eq!(some(&SeededIds::new(7)), some(&SeededIds::new(7)));
        assert_ne!(some(&SeededIds::new(7)), some(&SeededIds::new(8)));
    }
}
