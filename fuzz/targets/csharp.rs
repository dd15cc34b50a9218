//! What reads a source as CSharp.
#![no_main]

use script_engine_languages::CSharp;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(CSharp::new, "main.cs", source));
