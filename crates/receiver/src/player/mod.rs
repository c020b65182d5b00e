//! When each frame is heard: the way from packets to the frames that an output asks for.
//!
//! | module | provides |
//! | --- | --- |
//! | [`thread`] | the thread that plays, and waits for streams and outputs |
//! | [`supply`] | the seam to the outputs |
//! | [`feed`] | the supply: all voices, mixed, as the device takes them |
//! | [`voice`] | one stream: its packets in, its frames out |
//! | [`timeline`], [`envelope`], [`losses`] | which frames a packet has, what is missing, and when it was played by the sender |
//! | [`joins`] | whether a packet's audio goes on from that of the one before it |
//! | [`target`], [`clock`] | what the delay should be, and how it is kept: the clocks of sender and device differ |
//! | [`pieces`], [`fade`] | the jitter buffer, and how audio begins and ends |
//! | [`resampler`], [`samples`], [`routing`] | rates, kinds of samples and speakers |
//! | [`status`] | figures for those who watch |

pub mod clock;
pub mod envelope;
pub mod fade;
pub mod feed;
pub mod joins;
pub mod losses;
pub mod pieces;
pub mod resampler;
pub mod routing;
pub mod samples;
pub mod status;
pub mod supply;
pub mod target;
pub mod thread;
pub mod timeline;
pub mod voice;
