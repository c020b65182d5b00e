//! The command line: [`parse`] makes [`Orders`] of it.
//!
//! The short options are those of the receiver that Scream's users have known for years; what they mean has not changed.

#[cfg(test)]
mod documented;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};
use clap_complete::Shell;
use protocol::options::{DEFAULT_PORT, MULTICAST, MULTICAST6};

use crate::intake::Hearing;
use crate::outputs::OutputKind;
use crate::player::thread::Settings;
use crate::sources::Listening;
use crate::sources::interfaces::Wanted;

/// The target when nothing is said, in milliseconds.
const TARGET: u32 = 50;
/// The maximum when nothing is said, in milliseconds.
const MOST: u32 = 200;

/// Plays what Scream sends.
#[derive(Debug, Parser)]
#[command(name = "scream", version, max_term_width = 100)]
struct Arguments {
    /// Listen for packets that are sent to this computer alone, not to a group.
    #[arg(short, long)]
    unicast: bool,
    /// The port to listen on.
    #[arg(short, long, default_value_t = DEFAULT_PORT, value_parser = port)]
    port: u16,
    /// The network interface to listen on, by its name or one of its addresses [default: all of them].
    #[arg(short, long, value_name = "INTERFACE")]
    interface: Option<Wanted>,
    /// The multicast group, of IPv4 or IPv6; multicast6 is the one that Scream uses in IPv6 [default: 239.255.77.77].
    #[arg(short, long, value_parser = group, conflicts_with = "unicast")]
    group: Option<IpAddr>,
    /// Read shared memory (IVSHMEM) of a virtual machine, not the network: the file of the region.
    #[arg(short = 'm', long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["unicast", "group", "sniff", "interface", "source"])]
    shared_memory: Option<PathBuf>,
    /// Take packets for anyone off the wire, with libpcap.
    #[arg(short = 'P', long)]
    sniff: bool,
    /// What to play on: pulse, pipewire, alsa, jack, sndio, wasapi, raw (to standard output) or wav:FILE
    /// [default: the first of pulse, pipewire, alsa, sndio that is there; wasapi on Windows].
    #[arg(short, long)]
    output: Option<OutputKind>,
    /// The device of ALSA, sndio or WASAPI.
    #[arg(short, long)]
    device: Option<String>,
    /// The sink of PulseAudio or PipeWire.
    #[arg(short, long)]
    sink: Option<String>,
    /// The name of the stream in PulseAudio and PipeWire, and of the client in JACK.
    #[arg(short, long)]
    name: Option<String>,
    /// How long after its arrival sound should be heard, in milliseconds [default: 50].
    #[arg(short, long, value_name = "MS", value_parser = latency)]
    target_latency: Option<u32>,
    /// How late sound may be heard at most, in milliseconds [default: 200, or the target if that is more].
    #[arg(short = 'l', long, value_name = "MS", value_parser = latency)]
    max_latency: Option<u32>,
    /// Do not connect the client of JACK to the loudspeakers.
    #[arg(short = 'c', long)]
    no_connect: bool,
    /// Say more; twice for still more.
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Print totals at the end.
    #[arg(long)]
    stats: bool,
    /// Print events, a status each second and the totals as JSON, an object a line, on standard output.
    #[arg(long)]
    json: bool,
    /// Samples reach the output as they were sent: no resampling, no fades.
    #[arg(long)]
    bit_exact: bool,
    /// Play all senders at once, not only the first one.
    #[arg(long, conflicts_with_all = ["bit_exact", "source"])]
    mix: bool,
    /// Play this sender only: ADDRESS or ADDRESS:PORT.
    #[arg(long, value_name = "ADDRESS", value_parser = source)]
    source: Option<(IpAddr, Option<u16>)>,
    /// Print what lets a shell complete the options.
    #[arg(long, value_name = "SHELL", exclusive = true)]
    completions: Option<Shell>,
    /// Print the manual page.
    #[arg(long, exclusive = true)]
    man: bool,
}

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// Where audio comes from.
    pub listening: Listening,
    /// Whom to hear.
    pub hearing: Hearing,
    /// What to play on; the first that is there if nothing is said.
    pub output: Option<OutputKind>,
    /// The device of the output.
    pub device: Option<String>,
    /// The sink of the output.
    pub sink: Option<String>,
    /// The name of the stream.
    pub name: Option<String>,
    /// Whether the client of JACK is connected to the loudspeakers.
    pub connect: bool,
    /// How to play.
    pub settings: Settings,
    /// How much to say.
    pub verbose: u8,
    /// Whether totals are printed at the end.
    pub stats: bool,
    /// Whether JSON is printed.
    pub json: bool,
}

/// What a command line turned out to be.
#[derive(Debug)]
pub enum Parsed {
    /// Something to play.
    Orders(Box<Orders>),
    /// A question for a text, and the text.
    Text(Vec<u8>),
    /// Nonsense, and what is wrong with it, in one line.
    Misuse(String),
}

/// Reads a command line that begins with the program's name.
pub fn parse(arguments: Vec<OsString>) -> Parsed {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => text(&arguments).unwrap_or_else(|| orders(arguments)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Parsed::Text(error.to_string().into_bytes())
            }
            _ => Parsed::Misuse(in_one_line(&error.to_string())),
        },
    }
}

/// The text that is asked for, if one is.
fn text(arguments: &Arguments) -> Option<Parsed> {
    let mut text = Vec::new();
    if let Some(shell) = arguments.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "scream", &mut text);
    } else if arguments.man {
        // Writing to memory does not fail.
        let _ = clap_mangen::Man::new(Arguments::command()).render(&mut text);
    } else {
        return None;
    }
    Some(Parsed::Text(text))
}

fn orders(arguments: Arguments) -> Parsed {
    let settings = match settings(&arguments) {
        Ok(settings) => settings,
        Err(wrong) => return Parsed::Misuse(in_one_line(&format!("error: {wrong}"))),
    };
    if arguments.json && arguments.output == Some(OutputKind::Raw) {
        let wrong =
            "error: --json and -o raw both want standard output; use -o wav:FILE, or leave out --json";
        return Parsed::Misuse(in_one_line(wrong));
    }
    let hearing = match arguments.source {
        _ if arguments.mix => Hearing::Mix,
        Some((address, port)) => Hearing::Only { address, port },
        None => Hearing::First,
    };
    Parsed::Orders(Box::new(Orders {
        hearing,
        settings,
        connect: !arguments.no_connect,
        verbose: arguments.verbose,
        stats: arguments.stats,
        json: arguments.json,
        output: arguments.output.clone(),
        device: arguments.device.clone(),
        sink: arguments.sink.clone(),
        name: arguments.name.clone(),
        listening: listening(arguments),
    }))
}

fn listening(arguments: Arguments) -> Listening {
    let Arguments { port, group, unicast, .. } = arguments;
    let interface = arguments.interface.unwrap_or_default();
    if let Some(path) = arguments.shared_memory {
        Listening::SharedMemory(path)
    } else if arguments.sniff {
        Listening::Sniffed { port, group, interface }
    } else if unicast {
        Listening::Unicast { port, interface }
    } else {
        // An interface that is named by an address of IPv6 is no place for a group of IPv4.
        let usual = if interface.is_ipv6() { MULTICAST6.into() } else { MULTICAST.into() };
        Listening::Multicast { group: group.unwrap_or(usual), port, interface }
    }
}

/// The latencies. One that is not given makes room for the other.
fn settings(arguments: &Arguments) -> Result<Settings, String> {
    let (target, most) = match (arguments.target_latency, arguments.max_latency) {
        (Some(target), Some(most)) if most < target => {
            return Err(format!(
                "the maximum latency (-l {most}) is less than the target (-t {target}); it has to be at least as much"
            ));
        }
        (Some(target), Some(most)) => (target, most),
        (Some(target), None) => (target, MOST.max(target)),
        (None, Some(most)) => (TARGET.min(most), most),
        (None, None) => (TARGET, MOST),
    };
    let milliseconds = |number: u32| Duration::from_millis(number.into());
    Ok(Settings {
        target: milliseconds(target),
        most: milliseconds(most),
        bit_exact: arguments.bit_exact,
        mix: arguments.mix,
    })
}

/// A port that can be listened on.
fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "not a port; accepted are 1 to 65535".to_owned())
}

/// A latency in milliseconds.
fn latency(text: &str) -> Result<u32, String> {
    let latency = text.parse().ok().filter(|latency| (1..=10_000).contains(latency));
    latency.ok_or_else(|| "not a number of milliseconds; accepted are 1 to 10000".to_owned())
}

/// A multicast group.
fn group(text: &str) -> Result<IpAddr, String> {
    const ACCEPTED: &str =
        "accepted are 224.0.0.0 to 239.255.255.255, ff00:: and above, multicast, multicast6";
    let group = match text {
        "multicast" => IpAddr::V4(MULTICAST),
        "multicast6" => IpAddr::V6(MULTICAST6),
        _ => text.parse().map_err(|_| format!("not an address; {ACCEPTED}"))?,
    };
    if group.is_multicast() { Ok(group) } else { Err(format!("not the address of a group; {ACCEPTED}")) }
}

/// A sender: an address, and a port if it has to be that one.
fn source(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok((address, None));
    }
    let address: SocketAddr = text.parse().map_err(
        |_| "not an address; accepted are 192.0.2.7, 192.0.2.7:4011, 2001:db8::7, [2001:db8::7]:4011",
    )?;
    Ok((address.ip(), Some(address.port())))
}

/// What is wrong with a command line, without the usage that follows it.
fn in_one_line(error: &str) -> String {
    let what = error.split("\n\nUsage:").next().unwrap_or(error);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let paragraphs = what.split("\n\n").map(|part| {
        let lines: Vec<_> = part.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" ")
    });
    format!("{} (scream --help shows what is accepted)\n", paragraphs.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(line: &str) -> Orders {
        let arguments = std::iter::once("scream").chain(line.split_whitespace()).map(OsString::from);
        match parse(arguments.collect()) {
            Parsed::Orders(orders) => *orders,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[track_caller]
    fn listens(line: &str, expected: &Listening) {
        assert_eq!(orders(line).listening, *expected, "{line}");
    }

    #[track_caller]
    fn latencies(line: &str, target: u64, most: u64) {
        let settings = orders(line).settings;
        let expected = (Duration::from_millis(target), Duration::from_millis(most));
        assert_eq!((settings.target, settings.most), expected, "{line}");
    }

    #[test]
    fn the_command_lines_of_the_older_receiver_mean_what_they_meant() {
        let all = Wanted::Any;
        let usual = Listening::Multicast { group: MULTICAST.into(), port: 4010, interface: all.clone() };
        listens("", &usual);
        listens("-o pulse -s speakers -n Windows -t 100 -v -v", &usual);
        listens("-u -p 4011", &Listening::Unicast { port: 4011, interface: all.clone() });
        listens("-u -i eth0", &Listening::Unicast { port: 4010, interface: Wanted::Named("eth0".into()) });
        let group = [239, 255, 77, 78].into();
        listens("-g 239.255.77.78", &Listening::Multicast { group, port: 4010, interface: all.clone() });
        listens("-m /dev/shm/scream", &Listening::SharedMemory("/dev/shm/scream".into()));
        listens("-P", &Listening::Sniffed { port: 4010, group: None, interface: all });
        let orders = orders("-o jack -c -n scream -d hw:1 -vv");
        assert_eq!(
            (orders.output, orders.connect, orders.name, orders.device, orders.verbose),
            (Some(OutputKind::Jack), false, Some("scream".into()), Some("hw:1".into()), 2)
        );
    }

    #[test]
    fn a_group_can_be_one_of_ipv6() {
        let group = |line| match orders(line).listening {
            Listening::Multicast { group, .. } => group.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(group("-g multicast6"), "ff15::efff:4d4d");
        assert_eq!(group("-g ff02::7"), "ff02::7");
        assert_eq!(group("-i 2001:db8::7"), "ff15::efff:4d4d");
        assert_eq!(group("-i 2001:db8::7 -g multicast"), "239.255.77.77");
    }

    #[test]
    fn a_latency_that_is_not_given_makes_room_for_the_other() {
        latencies("", 50, 200);
        latencies("-t 150", 150, 200);
        latencies("-t 500", 500, 500);
        latencies("-l 30", 30, 30);
        latencies("-t 20 -l 20", 20, 20);
    }

    #[test]
    fn a_sender_is_picked_with_or_without_its_port() {
        let hearing = |line| orders(line).hearing;
        let only =
            |address: &str, port| Hearing::Only { address: address.parse().expect("an address"), port };
        assert_eq!(hearing(""), Hearing::First);
        assert_eq!(hearing("--mix"), Hearing::Mix);
        assert_eq!(hearing("--source 10.0.0.5"), only("10.0.0.5", None));
        assert_eq!(hearing("--source 10.0.0.5:7"), only("10.0.0.5", Some(7)));
        assert_eq!(hearing("--source 2001:db8::7"), only("2001:db8::7", None));
        assert_eq!(hearing("--source [2001:db8::7]"), only("2001:db8::7", None));
        assert_eq!(hearing("--source [2001:db8::7]:9"), only("2001:db8::7", Some(9)));
    }
}
