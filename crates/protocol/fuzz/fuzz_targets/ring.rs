//! Fuzzes a shared region that the other side writes to at any time.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "every target uses its own function")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::ring(data));
