//! Laws of a voice.
