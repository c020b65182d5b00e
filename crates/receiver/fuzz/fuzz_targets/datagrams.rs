//! Fuzzes what anybody may send, from datagrams to what is heard.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "every target uses its own function")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::datagrams(data));
