//! When each frame is heard.

pub mod status;
pub mod supply;
pub mod thread;
