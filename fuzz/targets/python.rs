//! What reads a source as Python.
#![no_main]

use script_engine_languages::Python;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(Python::new, "main.py", source));
