//! Wire format and stream arithmetic.
#![no_std]
#![forbid(unsafe_code)]
