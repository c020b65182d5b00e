//! The laws of the protocol: properties over all formats, against models written a second time.

mod clock;
mod deadline;
mod format;
mod generators;
mod options;
mod packet;
mod region;
mod ring;
mod silence;
