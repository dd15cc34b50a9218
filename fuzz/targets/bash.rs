//! What reads a source as Bash.
#![no_main]

use script_engine_languages::Bash;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(Bash::new, "main.sh", source));
