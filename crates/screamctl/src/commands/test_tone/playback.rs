//! The tone on the driver's playback device: all that programs' sound passes is tried.

use std::num::NonZeroU16;

use super::{Tone, speakers};
use crate::Outcome;
use crate::commands::{HARDWARE_ID, Result, doctor};
use crate::computer::{Computer, Endpoint};
use crate::console::Console;
use crate::failure::{self, Failure};

/// Plays on the driver's playback device.
pub fn run(seconds: u32, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let endpoint = endpoint(computer)?;
    let mut next = 0;
    let mut announced = None;
    let played = computer.play(&endpoint, &mut |mix, buffer| {
        let Some(channels) = NonZeroU16::new(mix.channels) else { return false };
        let tone = Tone::new(mix.rate, channels, seconds);
        if next == 0 {
            let name = &endpoint.name;
            console.print(&format!("{name}: {} Hz, {}\n", mix.rate, super::channels(mix.channels)));
        }
        if let Some(channel) = tone.channel(next).filter(|channel| announced != Some(*channel)) {
            announced = Some(channel);
            console.print(&format!("{}\n", speakers::name(channel, mix.mask)));
        }
        for (place, sample) in buffer.iter_mut().zip(tone.samples(next)) {
            *place = sample as f32;
        }
        let is_heard = next < tone.frames();
        next += u64::try_from(buffer.len() / usize::from(channels.get())).unwrap_or_default();
        is_heard
    });
    played.map_err(|error| failure::explain(error).of(&endpoint.name))?;
    console.print("That was all. If nothing was heard, screamctl doctor goes through what may be wrong.\n");
    Ok(Outcome::Done)
}

/// The device to play on.
fn endpoint(computer: &dyn Computer) -> Result<Endpoint> {
    let endpoints = computer.endpoints(HARDWARE_ID)?;
    if let Some(endpoint) = endpoints.iter().find(|endpoint| doctor::unusable(endpoint).is_none()) {
        return Ok(endpoint.clone());
    }
    let unusable = endpoints.iter().find_map(doctor::unusable);
    Err(unusable.unwrap_or_else(|| {
        Failure::new("there is no playback device of Scream", "screamctl doctor says why")
    }))
}
