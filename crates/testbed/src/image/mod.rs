//! The driver file: its checks and the loader.

pub mod check;
mod instruction_cache;
pub(crate) mod load;
mod processor;
pub(crate) mod shared_data;
pub mod stubs;

pub use load::{Image, LoadError};
pub use processor::Processor;
