//! The driver file: its checks and the loader.

pub mod check;
pub(crate) mod load;

pub use load::{Image, LoadError};
