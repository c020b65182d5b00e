//! Which ports a stream gets, and to which of the server's they are connected.

use jack::{AudioOut, Client, Port, PortFlags, Unowned};

use super::super::OutputError;
use crate::player::supply::{Device, SampleType, Supply};
use crate::speakers::{self, Speaker};

/// The most frames that are rendered at once. A period may be longer.
const MOST_FRAMES: usize = 512;

/// How the server takes the supply's stream: at its own rate, a port for each channel. But if there are fewer
/// loudspeakers than channels and they are to be connected, the supply puts the channels together.
pub fn device(client: &Client, supply: &dyn Supply, connect: bool) -> Device {
    let mut speakers = speakers::of(supply.format());
    let loudspeakers = loudspeakers(client).len();
    if connect && !supply.is_bit_exact() && (1..speakers.len()).contains(&loudspeakers) {
        speakers = match loudspeakers {
            1 => vec![Speaker::FrontCenter],
            _ => vec![Speaker::FrontLeft, Speaker::FrontRight],
        };
    }
    Device { rate: client.sample_rate(), samples: SampleType::F32, speakers, most_frames: MOST_FRAMES }
}

/// The server's ports to loudspeakers, in its order.
fn loudspeakers(client: &Client) -> Vec<String> {
    let audio = Some("32 bit float mono audio");
    client.ports(None, audio, PortFlags::IS_PHYSICAL | PortFlags::IS_INPUT)
}

/// Makes a port for each speaker.
///
/// # Errors
/// The server does not make one.
pub fn register(client: &Client, device: &Device) -> Result<Vec<Port<AudioOut>>, OutputError> {
    let register = |speaker: &Speaker| client.register_port(&name(*speaker), AudioOut::default());
    let ports: Result<Vec<_>, _> = device.speakers.iter().map(register).collect();
    ports.map_err(|why| OutputError::Gone(format!("JACK does not make a port ({why})")))
}

/// Connects the ports to loudspeakers: the first to the first. A single one is heard from two.
pub fn connect(client: &Client, ports: &[Port<Unowned>]) {
    let loudspeakers = loudspeakers(client);
    let own = |index: usize| ports.get(index).or(ports.first().filter(|_| ports.len() == 1));
    for (index, loudspeaker) in loudspeakers.iter().take(ports.len().max(2)).enumerate() {
        let name = own(index).and_then(|port| port.name().ok());
        // What cannot be connected can be connected by hand, and JACK's users do that.
        let _ = name.map(|name| client.connect_ports_by_name(&name, loudspeaker));
    }
}

fn name(speaker: Speaker) -> String {
    let name = match speaker {
        Speaker::FrontLeft => "front-left",
        Speaker::FrontRight => "front-right",
        Speaker::FrontCenter => "front-center",
        Speaker::Subwoofer => "subwoofer",
        Speaker::BackLeft => "back-left",
        Speaker::BackRight => "back-right",
        Speaker::FrontLeftOfCenter => "front-left-of-center",
        Speaker::FrontRightOfCenter => "front-right-of-center",
        Speaker::BackCenter => "back-center",
        Speaker::SideLeft => "side-left",
        Speaker::SideRight => "side-right",
        Speaker::TopCenter => "top-center",
        Speaker::TopFrontLeft => "top-front-left",
        Speaker::TopFrontCenter => "top-front-center",
        Speaker::TopFrontRight => "top-front-right",
        Speaker::TopBackLeft => "top-back-left",
        Speaker::Unplaced(channel) => return format!("channel-{}", u32::from(channel) + 1),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_by_speaker_and_otherwise_by_number() {
        assert_eq!(name(Speaker::FrontLeft), "front-left");
        assert_eq!(name(Speaker::Unplaced(2)), "channel-3");
    }
}
