//! [`Sniffer`]: packets for anyone, taken off the wire with libpcap.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::err::packet::SliceError;
use etherparse::{EtherType, InternetSlice, SlicedPacket, TransportSlice};
use pcap::{Active, Capture, Error, Linktype};

use super::interfaces::{self, Wanted};
use super::{Datagram, Sender, Source, SourceError};
use crate::Moment;

/// How long libpcap waits; it cannot be told another time for each packet.
const WAIT_MS: i32 = 100;
/// What the system keeps for us while we do something else.
const BUFFER: i32 = 4 << 20;
/// The device of libpcap that stands for all interfaces.
const ALL: &str = "any";
/// Frames of IP without anything before it: the older number of DLT_RAW.
const RAW: Linktype = Linktype(12);

/// A capture.
pub struct Sniffer {
    capture: Capture<Active>,
    link: Linktype,
    name: String,
}

impl Sniffer {
    /// Captures what is sent to a port, on one interface or all.
    ///
    /// # Errors
    /// There is no such interface, or no permission.
    pub fn open(port: u16, group: Option<IpAddr>, wanted: &Wanted) -> Result<Self, SourceError> {
        let device = device(wanted)?;
        let failed = |error: Error| failure(&device, &error);
        let mut capture = Capture::from_device(device.as_str())
            .map_err(failed)?
            .promisc(device != ALL)
            .immediate_mode(true)
            .buffer_size(BUFFER)
            .timeout(WAIT_MS)
            .open()
            .map_err(failed)?;
        let link = capture.get_datalink();
        if !matches!(link, Linktype::ETHERNET | Linktype::LINUX_SLL | Linktype::RAW | RAW) {
            let kind = link.get_name().unwrap_or_else(|_| "an unknown kind".into());
            return Err(SourceError(format!(
                "{device} has frames of {kind}; only those of Ethernet and plain IP can be sniffed"
            )));
        }
        let to = group.map(|group| format!(" and dst host {group}")).unwrap_or_default();
        let plain = format!("udp dst port {port}{to}");
        // What follows `vlan` in a filter is inside the tag. Not every kind of frame has such tags.
        let filtered = capture.filter(&format!("({plain}) or (vlan and {plain})"), true);
        if filtered.is_err() {
            capture.filter(&plain, true).map_err(failed)?;
        }
        let to =
            group.map_or_else(|| format!("port {port}"), |group| SocketAddr::new(group, port).to_string());
        let place = if device == ALL { "any interface" } else { &device };
        Ok(Self { name: format!("{to}, sniffed on {place}"), capture, link })
    }
}

impl Source for Sniffer {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn next(&mut self, _: Duration) -> Result<Option<Datagram<'_>>, SourceError> {
        match self.capture.next_packet() {
            Ok(packet) => {
                let arrived = Moment::now();
                Ok(datagram(self.link, packet.data).map(|(sender, bytes)| Datagram {
                    sender: Sender::Address(sender),
                    arrived,
                    bytes,
                }))
            }
            Err(Error::TimeoutExpired) => Ok(None),
            Err(error) => Err(SourceError(format!("sniffing has ended: {error}"))),
        }
    }

    fn hint(&self) -> String {
        format!(
            "nothing has come yet ({}); multicast may not reach this computer unless a program here joins the group: \
             leave out -P",
            self.name
        )
    }
}

/// The sender and the content of the datagram that a frame has, unless it is a fragment or something else.
fn datagram(link: Linktype, frame: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let packet = match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(frame),
        Linktype::LINUX_SLL => from_cooked(frame)?,
        _ => SlicedPacket::from_ip(frame),
    }
    .ok()?;
    let address: IpAddr = match packet.net.as_ref()? {
        InternetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        InternetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        InternetSlice::Arp(_) => return None,
    };
    if packet.is_ip_payload_fragmented() {
        return None;
    }
    let Some(TransportSlice::Udp(udp)) = packet.transport else { return None };
    Some((SocketAddr::new(address, udp.source_port()), udp.payload()))
}

/// A frame of "any": 16 bytes, of which the last two say what follows. The parser that `etherparse` has for it knows fewer
/// kinds of interfaces than there are; loopback is not among them.
fn from_cooked(frame: &[u8]) -> Option<Result<SlicedPacket<'_>, SliceError>> {
    let (header, payload) = frame.split_first_chunk::<16>()?;
    let &[.., high, low] = header;
    Some(SlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([high, low])), payload))
}

/// What libpcap calls the interface.
fn device(wanted: &Wanted) -> Result<String, SourceError> {
    match wanted {
        Wanted::Any => Ok(ALL.to_owned()),
        // An interface without an address is one, too; libpcap says if there is none.
        Wanted::Named(name) => Ok(name.clone()),
        Wanted::WithAddress(_) => {
            let all = interfaces::list().unwrap_or_default();
            let found = all.iter().find(|interface| wanted.picks(interface));
            found.map(|interface| interface.name.clone()).ok_or_else(|| SourceError(wanted.missing(&all)))
        }
    }
}

fn failure(device: &str, error: &Error) -> SourceError {
    let text = error.to_string();
    let all = interfaces::list().unwrap_or_default();
    let is_there = device == ALL || all.iter().any(|interface| interface.name == device);
    SourceError(if is_there && (text.contains("ermission") || text.contains("perm")) {
        let program = std::env::current_exe().unwrap_or_else(|_| "scream".into());
        format!(
            "no permission to sniff (-P); grant it with: sudo setcap cap_net_raw,cap_net_admin=eip {}",
            program.display()
        )
    } else if is_there {
        format!("{device} cannot be sniffed: {}", text.trim())
    } else {
        Wanted::Named(device.to_owned()).missing(&all)
    })
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, PacketBuilderStep, UdpHeader, VlanId};

    use super::*;

    const AUDIO: [u8; 9] = [1, 16, 2, 3, 0, 1, 2, 3, 4];

    fn frame(step: PacketBuilderStep<UdpHeader>) -> Vec<u8> {
        let mut frame = Vec::new();
        step.write(&mut frame, &AUDIO).expect("memory");
        frame
    }

    #[track_caller]
    fn check(link: Linktype, frame: &[u8], sender: &str) {
        assert_eq!(datagram(link, frame), Some((sender.parse().unwrap(), &AUDIO[..])));
        // Whatever is missing at its end, it is no datagram and no crash.
        for length in 0..frame.len() {
            assert_eq!(datagram(link, &frame[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn datagrams_are_found_in_every_kind_of_frame() {
        let ethernet = || PacketBuilder::ethernet2([2; 6], [4; 6]);
        let v4 = || ([192, 0, 2, 7], [239, 255, 77, 77], 1);
        let (source, destination, hops) = v4();
        check(
            Linktype::ETHERNET,
            &frame(ethernet().ipv4(source, destination, hops).udp(5, 4010)),
            "192.0.2.7:5",
        );
        let tagged = ethernet().single_vlan(VlanId::try_new(7).unwrap()).ipv4(source, destination, hops);
        check(Linktype::ETHERNET, &frame(tagged.udp(5, 4010)), "192.0.2.7:5");
        check(RAW, &frame(PacketBuilder::ipv4(source, destination, hops).udp(6, 4010)), "192.0.2.7:6");
        let v6 = PacketBuilder::ipv6([0x20; 16], [0xFF; 16], 1);
        check(Linktype::RAW, &frame(v6.udp(7, 4010)), "[2020:2020:2020:2020:2020:2020:2020:2020]:7");
        // A cooked header: outgoing, of loopback, an address of 6 bytes, IPv4.
        let mut cooked = vec![0, 4, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
        cooked.extend(frame(PacketBuilder::ipv4(source, destination, hops).udp(8, 4010)));
        check(Linktype::LINUX_SLL, &cooked, "192.0.2.7:8");
    }

    #[test]
    fn fragments_are_left_out() {
        let mut frame = frame(PacketBuilder::ipv4([192, 0, 2, 7], [239, 255, 77, 77], 1).udp(6, 4010));
        // The flag "more fragments"; then an offset.
        frame[6] = 0x20;
        assert_eq!(datagram(RAW, &frame), None);
        frame[6..8].copy_from_slice(&[0, 1]);
        assert_eq!(datagram(RAW, &frame), None);
    }

    #[test]
    fn what_is_not_udp_is_left_out() {
        let mut frame = Vec::new();
        let tcp = PacketBuilder::ipv4([192, 0, 2, 7], [192, 0, 2, 8], 1).tcp(1, 2, 3, 4);
        tcp.write(&mut frame, &AUDIO).expect("memory");
        assert_eq!(datagram(RAW, &frame), None);
    }
}
