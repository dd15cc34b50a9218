//! What reads a source as Java.
#![no_main]

use script_engine_languages::Java;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(Java::new, "Main.java", source));
