//! Clocks.

use super::{call, number};

const CLOCK_REALTIME: usize = 0;
const CLOCK_MONOTONIC: usize = 1;

/// Microseconds since 1970.
pub fn wall_us() -> u64 {
    read(CLOCK_REALTIME) / 1000
}

/// Milliseconds on a clock that never goes back.
pub fn monotonic_ms() -> u64 {
    read(CLOCK_MONOTONIC) / 1_000_000
}

fn read(clock: usize) -> u64 {
    let mut time = [0_i64; 2];
    // SAFETY: `time` has the shape of a `timespec` and outlives the call.
    let done = unsafe { call(number::CLOCK_GETTIME, [clock, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    // Neither clock can fail; a time before 1970 is none.
    if done.is_err() { 0 } else { time[0].max(0).cast_unsigned() * 1_000_000_000 + time[1].max(0).cast_unsigned() }
}
