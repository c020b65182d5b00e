//! `scream`: plays what Scream sends.

fn main() {}
