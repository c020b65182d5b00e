//! `screamctl test-tone --direct`: real packets through the loopback interface, in real time.

mod fake;
mod network;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fake::{FakeComputer, FakeConsole, dword, text, texts};
use screamctl::computer::StoredValue;

const BEGIN: &str =
    "From this program: 48000 Hz, 16 bits, 2 channels\nfront left (channel 1)\nfront right (channel 2)\n";
/// Frames of two seconds, and the packets that they fill; the last of them holds 96 frames.
const FRAMES: usize = 96_000;
const PACKETS: usize = 334;

/// A receiver of packets on this computer.
struct Receiver {
    address: SocketAddr,
    packets: JoinHandle<Vec<(SocketAddr, Vec<u8>)>>,
}

impl Receiver {
    fn new(group: Option<Ipv4Addr>) -> Self {
        let socket =
            UdpSocket::bind((if group.is_some() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST }, 0))
                .expect("a socket");
        if let Some(group) = group {
            socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).expect("a member");
        }
        let address = socket.local_addr().expect("bound");
        // Room for as long as the computer has other things to do.
        socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20).expect("room");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let packets = thread::spawn(move || {
            let mut buffer = [0; 2_000];
            let mut packets = Vec::new();
            while packets.len() < PACKETS {
                let Ok((length, source)) = socket.recv_from(&mut buffer) else { break };
                packets.push((source, buffer[..length].to_vec()));
            }
            packets
        });
        Self { address, packets }
    }

    fn received(self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.packets.join().expect("a receiver")
    }
}

/// Runs `screamctl test-tone --direct` with these options. Returns the exit code and what it prints.
fn run(options: &[StoredValue]) -> (i32, String) {
    let mut computer = network::computer();
    computer.elevated = false;
    computer.state.options = options.to_vec();
    run_on(&mut computer)
}

fn run_on(computer: &mut FakeComputer) -> (i32, String) {
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &["test-tone", "--direct"]);
    assert_eq!(computer.calls, [""; 0]);
    (code, console.out + &console.err)
}

/// Looks at every byte: headers, lengths, and the samples of 16 bits.
fn assert_is_the_tone(packets: &[(SocketAddr, Vec<u8>)]) {
    let lengths: Vec<usize> = packets.iter().map(|(_, packet)| packet.len()).collect();
    assert_eq!(lengths, [vec![1_157; PACKETS - 1], vec![5 + 96 * 4]].concat());
    let mut frames = Vec::new();
    for (_, packet) in packets {
        let (header, payload) = packet.split_at(5);
        assert_eq!(header, [1, 16, 2, 3, 0]);
        let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
        frames.extend(payload.chunks_exact(4).map(|frame| [sample(&frame[..2]), sample(&frame[2..])]));
    }
    assert_eq!(frames.len(), FRAMES);
    let (first, second) = frames.split_at(FRAMES / 2);
    assert!(first.iter().all(|[_, right]| *right == 0), "the right channel is silent in the first second");
    assert!(second.iter().all(|[left, _]| *left == 0), "the left channel is silent in the second one");
    let left: Vec<i16> = first.iter().map(|[left, _]| *left).collect();
    let right: Vec<i16> = second.iter().map(|[_, right]| *right).collect();
    assert_eq!(left, right);
    assert_eq!(left, tone());
}

/// A second of 440 Hz at -20 dBFS, with fades of 480 frames.
fn tone() -> Vec<i16> {
    let gain = |frame: u32| (f64::from(frame.min(47_999 - frame)) / 480.0).min(1.0);
    // 1200 frames are eleven waves; so the phase is exact.
    let wave =
        |frame: u32| (f64::from(frame % 1_200 * 440 % 48_000) / 48_000.0 * std::f64::consts::TAU).sin();
    (0..48_000).map(|frame| (0.1 * gain(frame) * wave(frame) * 32_767.0).round() as i16).collect()
}

#[test]
fn every_target_gets_the_tone_in_packets_at_their_time() {
    let receivers = [Receiver::new(None), Receiver::new(None)];
    let addresses = [receivers[0].address, receivers[1].address].map(|address| address.to_string());
    let start = Instant::now();
    let outcome = run(&[texts("Targets", &[&addresses[0], &addresses[1]])]);
    // The last packet is due 333 * 6 ms after the first.
    assert!(start.elapsed() >= Duration::from_millis(1_998), "{:?}", start.elapsed());
    let [first, second] = addresses;
    let out = format!("{BEGIN}{first}: 334 packets were sent\n{second}: 334 packets were sent\n");
    assert_eq!(outcome, (0, out));
    for receiver in receivers {
        assert_is_the_tone(&receiver.received());
    }
}

#[test]
fn a_group_gets_it_through_the_interface_of_the_options() {
    let receiver = Receiver::new(Some(Ipv4Addr::new(239, 255, 77, 77)));
    let port = receiver.address.port();
    let options = [text("Interface", "127.0.0.1"), dword("UnicastPort", u32::from(port)), dword("TTL", 1)];
    let out = format!("{BEGIN}239.255.77.77:{port}: 334 packets were sent\n");
    assert_eq!(run(&options), (0, out));
    let packets = receiver.received();
    assert!(packets.iter().all(|(source, _)| source.ip() == Ipv4Addr::LOCALHOST));
    assert_is_the_tone(&packets);
}

#[test]
fn packets_come_from_the_port_of_the_options_to_all_targets() {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    let receivers = [Receiver::new(None), Receiver::new(None)];
    let addresses = [receivers[0].address, receivers[1].address].map(|address| address.to_string());
    let targets = texts("Targets", &[&addresses[0], &addresses[1]]);
    let (code, _) =
        run(&[targets, dword("UnicastSrcPort", u32::from(port)), text("UnicastSrcIPv4", "127.0.0.1")]);
    assert_eq!(code, 0);
    for receiver in receivers {
        let packets = receiver.received();
        assert_eq!(packets.len(), PACKETS);
        assert!(packets.iter().all(|(source, _)| *source == SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
}

#[test]
fn a_target_that_fails_is_told_and_leaves_the_others_alone() {
    let receiver = Receiver::new(None);
    let good = receiver.address.to_string();
    // Nobody may send to a broadcast address who has not asked for it.
    let out = format!(
        "{BEGIN}127.255.255.255:4010: 0 packets were sent, 334 were not: send: permission denied (error 13)\n\
         {good}: 334 packets were sent\n"
    );
    assert_eq!(run(&[texts("Targets", &["127.255.255.255", &good])]), (1, out));
    assert_is_the_tone(&receiver.received());
}

#[test]
fn a_socket_that_cannot_be_opened_is_told_with_its_step() {
    let options = [text("UnicastIPv4", "127.0.0.1"), text("UnicastSrcIPv4", "192.0.2.1")];
    let out = "127.0.0.1:4010: nothing was sent: bind the socket: address not available (error 99)\n";
    assert_eq!(run(&options), (1, out.to_owned()));
}

#[test]
fn a_target_whose_socket_cannot_be_opened_leaves_the_others_alone() {
    let receiver = Receiver::new(None);
    let good = receiver.address.to_string();
    // An address of IPv6 says nothing of targets of IPv4.
    let options = [text("Interface", "2001:db8::99"), texts("Targets", &["2001:db8:1::5", &good])];
    let out = format!(
        "{BEGIN}[2001:db8:1::5]:4010: nothing was sent: bind the socket: address not available (error 99)\n\
         {good}: 334 packets were sent\n"
    );
    assert_eq!(run(&options), (1, out));
    assert_is_the_tone(&receiver.received());
}

#[test]
fn it_says_that_the_driver_would_send_nothing() {
    let receiver = Receiver::new(None);
    let good = receiver.address.to_string();
    let note = "note: the driver does not do this: nothing goes to the network while UseIVSHMEM is 2 \
        and IVSHMEMFallback is 0.\n";
    let out = format!("{note}{BEGIN}{good}: 334 packets were sent\n");
    assert_eq!(run(&[texts("Targets", &[&good]), dword("UseIVSHMEM", 2)]), (0, out));
    assert_is_the_tone(&receiver.received());
}

#[test]
fn windows_that_does_not_answer_is_one_line_and_nothing_is_sent() {
    for (method, call) in [("option_values", "RegEnumValueW"), ("interfaces", "GetAdaptersAddresses")] {
        let mut computer = network::computer();
        computer.refuse(method, 8);
        let line = format!(
            "error: Windows has no memory left ({call}: error 8): close some programs and try again\n"
        );
        assert_eq!(run_on(&mut computer), (1, line));
    }
}
