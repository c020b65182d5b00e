//! From the driver to the loudspeakers: the built driver file plays in the testbed, on the real clock; what it sends goes
//! over a real socket to the program `scream`, which plays on a real server, which is recorded.
//!
//! | module | provides |
//! | --- | --- |
//! | [`computer`] | the computer with the driver, and what it plays |
//! | [`program`] | the program that receives it, on a server |
//! | [`heard`] | finds tones whose speed is steered |
//! | others | the tests |

mod changes;
mod computer;
mod each_server;
mod heard;
mod program;
mod senders;
mod shared_memory;
