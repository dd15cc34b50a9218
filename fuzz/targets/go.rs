//! What reads a source as Go.
#![no_main]

use script_engine_languages::Go;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(Go::new, "main.go", source));
