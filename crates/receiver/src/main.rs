//! `scream`: plays what Scream sends. [`receiver::program`] is all of it.

fn main() {
    std::process::exit(receiver::program::run(std::env::args_os().collect()));
}
