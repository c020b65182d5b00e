//! `screamctl test-tone`: a tone on each channel in turn, through the driver or straight to the targets.

mod direct;
mod playback;
mod socket;
mod speakers;
mod tone;

use super::Result;
use crate::arguments::TestTone;
use crate::computer::Computer;
use crate::console::Console;
use tone::Tone;

/// Plays a tone.
pub fn run(arguments: &TestTone, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    if arguments.direct {
        direct::run(arguments.seconds, computer, console)
    } else {
        playback::run(arguments.seconds, computer, console)
    }
}

fn channels(count: u16) -> String {
    if count == 1 { "1 channel".to_owned() } else { format!("{count} channels") }
}
