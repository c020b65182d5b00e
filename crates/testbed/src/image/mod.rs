//! The driver file: its checks and the loader.

pub mod check;
pub(crate) mod load;
pub(crate) mod shared_data;
pub mod stubs;

pub use load::{Image, LoadError};
