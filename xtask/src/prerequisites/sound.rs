//! What the receiver needs: the libraries of its outputs and of its sniffer, and the sound servers of its tests.
//!
//! Which of the libraries are there decides what `cargo xtask receiver` builds; `cargo xtask check` and `test` want them all.

use std::path::Path;
use std::process::Command;

use super::{CLANG_HEADERS, LIBCLANG, Need, PKG_CONFIG, has_program};
use crate::process::output;

/// A cargo feature of the receiver, and what it needs.
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What it lets the receiver do, for people.
    pub what: &'static str,
    /// The library.
    pub library: Need,
    /// What else its build needs.
    pub more: &'static [Need],
}

/// Every feature of the receiver.
pub const FEATURES: &[Feature] = &[
    Feature { name: "pulse", what: "output PulseAudio", library: LIBPULSE, more: &[] },
    // Its declarations are generated from its headers.
    Feature {
        name: "pipewire",
        what: "output PipeWire",
        library: LIBPIPEWIRE,
        more: &[LIBCLANG, CLANG_HEADERS],
    },
    Feature { name: "alsa", what: "output ALSA", library: LIBASOUND, more: &[] },
    Feature { name: "jack", what: "output JACK", library: LIBJACK, more: &[] },
    Feature { name: "sndio", what: "output sndio", library: LIBSNDIO, more: &[] },
    Feature { name: "pcap", what: "sniffing (-P)", library: LIBPCAP, more: &[] },
];

/// What the receiver is built with, all features of it.
pub fn build_needs() -> Vec<Need> {
    let of_features = FEATURES.iter().flat_map(|feature| [&[feature.library], feature.more].concat());
    std::iter::once(PKG_CONFIG).chain(of_features).collect()
}

const LIBPULSE: Need = Need::Package {
    name: "libpulse-dev",
    why: "the receiver's output for PulseAudio",
    present: || has_library("libpulse"),
};

const LIBPIPEWIRE: Need = Need::Package {
    name: "libpipewire-0.3-dev",
    why: "the receiver's output for PipeWire",
    // The oldest that has what the feature of the crate asks for.
    present: || has_library("libpipewire-0.3 >= 0.3.50"),
};

const LIBASOUND: Need = Need::Package {
    name: "libasound2-dev",
    why: "the receiver's output for ALSA",
    present: || has_library("alsa"),
};

/// The library is only looked for when the receiver plays on JACK, but the crate does not build without this.
const LIBJACK: Need = Need::Package {
    name: "libjack-jackd2-dev",
    why: "the receiver's output for JACK",
    present: || has_library("jack"),
};

const LIBSNDIO: Need = Need::Package {
    name: "libsndio-dev",
    why: "the receiver's output for sndio",
    present: || has_library("sndio"),
};

const LIBPCAP: Need = Need::Package {
    name: "libpcap-dev",
    why: "the receiver takes packets off the wire with it",
    present: || has_library("libpcap"),
};

/// The sound servers that tests start, and what they record with. None of them needs a bus: the tests see to it.
pub const SERVERS: &[Need] = &[
    server("pulseaudio", || has_program("pulseaudio")),
    recorder("pulseaudio-utils", || ["pactl", "parec"].iter().all(|program| has_program(program))),
    server("pipewire-bin", || ["pipewire", "pw-record"].iter().all(|program| has_program(program))),
    server("pipewire-pulse", || has_program("pipewire-pulse")),
    server("wireplumber", || has_program("wireplumber")),
    server("jackd2", || ["jackd", "jack_rec", "jack_lsp"].iter().all(|program| has_program(program))),
    server("sndiod", || has_program("sndiod")),
    Need::Package {
        name: "libasound2-plugins",
        why: "ALSA plays on a sound server in tests",
        present: || has_file("alsa-lib/libasound_module_pcm_pulse.so"),
    },
];

const fn server(name: &'static str, present: fn() -> bool) -> Need {
    Need::Package { name, why: "tests of the receiver start this sound server", present }
}

const fn recorder(name: &'static str, present: fn() -> bool) -> Need {
    Need::Package { name, why: "tests of the receiver record with it what a sound server plays", present }
}

/// True if pkg-config knows a library.
fn has_library(name: &str) -> bool {
    output(Command::new("pkg-config").args(["--exists", name])).is_ok()
}

/// True if there is a file where Debian has the libraries of this computer's processor.
fn has_file(name: &str) -> bool {
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    Path::new(&folder).join(name).exists()
}
