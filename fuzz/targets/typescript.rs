//! What reads a source as TypeScript.
#![no_main]

use script_engine_languages::TypeScript;

libfuzzer_sys::fuzz_target!(|source: &[u8]| script_engine_fuzz::read(TypeScript::new, "main.ts", source));
