//! The wave filter: what the audio engine plays to.
//!
//! * [`miniport`]: the filter's miniport, which makes streams, one at a time.
//! * [`stream`]: a stream: states, buffer, events, positions.
//! * [`format`]: data formats from outside, checked, and the formats that are offered.
//! * [`attributes`]: the signal-processing modes that a format can name.
//! * [`ranges`]: the data ranges, and what they have in common with a client's.
//! * [`tables`]: pins, connections and properties of the filter.

pub mod attributes;
pub mod format;
pub mod miniport;
pub mod ranges;
pub mod stream;
pub mod tables;
