//! The driver file: its checks and the loader.
