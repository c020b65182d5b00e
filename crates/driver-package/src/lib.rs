//! What users get to install: the INF, the catalog that vouches for every file, and where each file is.
//!
//! `cargo xtask package` makes the package with this, and `screamctl` reads it. No Windows is needed for either.

pub mod catalog;
pub mod check;
pub mod inf;
pub mod layout;
