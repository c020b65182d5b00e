//! Fuzzes what a virtual machine may write into the region that it shares.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "every target uses its own function")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::shared_memory(data));
