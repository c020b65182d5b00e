//! The wave filter: what the audio engine plays to.
//!
//! * [`miniport`]: the filter's miniport, which makes streams, one at a time.
//! * [`stream`]: a stream: states, buffer, events, positions.
//! * [`format`]: data formats from outside, checked, and the formats that are offered.
//! * [`tables`]: pins, ranges, connections and properties of the filter.

pub mod format;
pub mod miniport;
pub mod stream;
pub mod tables;
