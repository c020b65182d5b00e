//! Each server plays what the driver plays: tones where they belong, and in bit-exact mode the same samples.

use std::thread;
use std::time::Duration;

use protocol::StreamFormat;
use receiver::player::supply::SampleType;

use super::computer::{Busy, Computer, Sound, in_real_time};
use super::heard::has_steady_tones;
use super::program::{has_lost_nothing, start};
use crate::alsa::AlsaFile;
use crate::jack::Jack;
use crate::pipewire::Pipewire;
use crate::pulse::Pulse;
use crate::running::free_port;
use crate::server::{Server, Sink};
use crate::sndio::Sndio;

/// How long it is played, in seconds.
const SECONDS: f64 = 3.0;
/// What was sent is heard within the greatest latency of the program.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

fn format(mask: u16) -> StreamFormat {
    StreamFormat::new(48_000, 16, mask.count_ones() as u16, mask).expect("a format")
}

/// What a server plays of a sound, and what of that is wrong.
fn played<S: Server>(
    sink: Sink,
    sound: Sound,
    more: &[&str],
    judge: impl Fn(&crate::analysis::Recorded) -> Result<(), String>,
) -> Result<(), Busy> {
    let server = S::start(sink);
    let port = free_port();
    let scream = start(&server.environment(), S::OUTPUT, port, more);
    let recording = server.record(Duration::from_secs_f64(SECONDS + 3.0));
    Computer::plays(port, sound).finish()?;
    thread::sleep(HEARD_WITHIN);
    let ended = scream.end();
    let judgement = judge(&recording.finish());
    assert_eq!(judgement, Ok(()), "{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
    has_lost_nothing(&ended);
    Ok(())
}

/// The tones of stereo and of speakers all around.
#[track_caller]
fn plays_tones<S: Server>(mask: u16) {
    in_real_time(|| {
        let format = format(mask);
        let judge = |recorded: &_| has_steady_tones(recorded, format, SECONDS);
        played::<S>(Sink::new(48_000, mask), Sound::tones(format, SECONDS), &[], judge)
    });
}

/// The same samples, on a server whose sink takes them as they are.
#[track_caller]
fn plays_bit_exactly<S: Server>(mask: u16, samples: SampleType) {
    in_real_time(|| {
        let sound = Sound::random(format(mask), SECONDS);
        let (format, frames) = (sound.format, sound.frames());
        let judge = |recorded: &crate::analysis::Recorded| recorded.has_random(format, frames);
        let sink = Sink { rate: 48_000, samples, mask };
        played::<S>(sink, sound, &["--bit-exact"], judge)
    });
}

#[test]
fn pulseaudio_has_each_tone_on_its_speaker() {
    plays_tones::<Pulse>(0x3);
    plays_tones::<Pulse>(0x63F);
}

#[test]
fn pulseaudio_has_the_same_samples() {
    plays_bit_exactly::<Pulse>(0x3, SampleType::I16);
    plays_bit_exactly::<Pulse>(0x60F, SampleType::I16);
}

#[test]
fn pipewire_has_each_tone_on_its_speaker() {
    plays_tones::<Pipewire>(0x3);
    plays_tones::<Pipewire>(0x63F);
}

#[test]
fn pipewire_has_the_same_samples() {
    plays_bit_exactly::<Pipewire>(0x3, SampleType::F32);
    plays_bit_exactly::<Pipewire>(0x60F, SampleType::F32);
}

#[test]
fn jack_has_each_tone_on_its_speaker() {
    plays_tones::<Jack>(0x3);
    plays_tones::<Jack>(0x63F);
}

#[test]
fn jack_has_the_same_samples() {
    plays_bit_exactly::<Jack>(0x3, SampleType::F32);
    plays_bit_exactly::<Jack>(0x60F, SampleType::F32);
}

#[test]
fn alsa_has_each_tone_on_its_speaker() {
    plays_tones::<AlsaFile>(0x3);
    plays_tones::<AlsaFile>(0x63F);
}

#[test]
fn alsa_has_the_same_samples() {
    plays_bit_exactly::<AlsaFile>(0x3, SampleType::I16);
    plays_bit_exactly::<AlsaFile>(0x60F, SampleType::I16);
}

#[test]
fn sndio_has_each_tone_on_its_speaker() {
    plays_tones::<Sndio>(0x3);
    plays_tones::<Sndio>(0x63F);
}

#[test]
fn sndio_has_the_same_samples() {
    plays_bit_exactly::<Sndio>(0x3, SampleType::I16);
    plays_bit_exactly::<Sndio>(0x60F, SampleType::I16);
}
