//! Laws of the options: what is written is read, and whatever is stored, what is read keeps its promises.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use proptest::prelude::*;
use protocol::options::{
    DESCRIPTIONS, Description, INTERFACE, MAX_INTERFACE, MAX_TARGETS, MAX_VALUE, Options, Refusal, Registry,
    Stored, TARGETS,
};

const SZ: u32 = 1;
const MULTI_SZ: u32 = 7;

/// A registry in which each option has a type and bytes, or nothing.
struct Values<'a>(Vec<(&'a Description, u32, &'a [u8])>);

impl Registry for Values<'_> {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        match self.0.iter().find(|(name, ..)| *name == option) {
            None => Stored::Missing,
            Some((_, _, data)) if data.len() > MAX_VALUE => Stored::TooLong,
            Some((_, kind, data)) => Stored::Value { kind: *kind, data },
        }
    }
}

fn read(values: Vec<(&Description, u32, &[u8])>) -> (Options, Vec<Refusal>) {
    let mut refusals = Vec::new();
    (Options::read(&mut Values(values), &mut |refusal| refusals.push(refusal)), refusals)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn list(texts: &[String]) -> Vec<u8> {
    utf16(&texts.iter().map(|text| format!("{text}\0")).chain(["\0".to_owned()]).collect::<String>())
}

fn of_targets(data: &[u8]) -> (Options, Vec<Refusal>) {
    read(vec![(&TARGETS, MULTI_SZ, data)])
}

/// Every IPv4 address that a packet can be sent to.
fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (0x0100_0000_u32..u32::MAX).prop_map(Ipv4Addr::from)
}

/// IPv6 addresses with zeros in all places, but those that cannot be sent to.
fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    let group = prop_oneof![Just(0_u16), any::<u16>()];
    let address = prop::array::uniform8(group).prop_map(Ipv6Addr::from);
    address.prop_filter("sent to", |address| !address.is_unspecified() && address.to_ipv4_mapped().is_none())
}

fn interfaces() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 1..=MAX_INTERFACE]
}

fn targets() -> impl Strategy<Value = SocketAddr> {
    let v6 = (ipv6(), 1_u16.., interfaces())
        .prop_map(|(ip, port, interface)| SocketAddr::V6(SocketAddrV6::new(ip, port, 0, interface)));
    prop_oneof![(ipv4(), 1_u16..).prop_map(SocketAddr::from), v6]
}

/// Texts of which some are IPv6 addresses and most are nearly.
fn nearly_ipv6() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => Just(String::new()),
        8 => "[0-9a-fA-F]{1,4}",
        1 => "[0-9a-g]{5}",
        1 => ipv4().prop_map(|address| address.to_string()),
        1 => "[0-9.]{0,15}",
    ];
    prop::collection::vec(part, 3..=10).prop_map(|parts| parts.join(":"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn targets_are_read_as_they_are_written(targets in prop::collection::vec(targets(), 1..=MAX_TARGETS)) {
        let mut once = HashSet::new();
        let targets: Vec<_> = targets.into_iter().filter(|target| once.insert(*target)).collect();
        let texts: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
        let data = list(&texts);
        let (options, refusals) = of_targets(&data);
        prop_assert_eq!(options.targets.as_slice(), &targets[..]);
        prop_assert_eq!(refusals, []);
    }

    #[test]
    fn a_target_without_a_port_has_the_default_port(target in targets()) {
        let text = match target {
            SocketAddr::V4(target) => target.ip().to_string(),
            SocketAddr::V6(target) if target.scope_id() == 0 => target.ip().to_string(),
            SocketAddr::V6(target) => format!("{}%{}", target.ip(), target.scope_id()),
        };
        let mut expected = target;
        expected.set_port(4010);
        let (options, refusals) = of_targets(&list(&[text]));
        prop_assert_eq!(options.targets.as_slice(), [expected]);
        prop_assert_eq!(refusals, []);
    }

    #[test]
    fn an_interface_is_read_as_it_is_written(address in ipv6(), index in interfaces()) {
        let text = if index == 0 { address.to_string() } else { format!("{address}%{index}") };
        let (options, refusals) = read(vec![(&INTERFACE, SZ, &utf16(&text))]);
        let usable = !address.is_multicast();
        prop_assert_eq!(options.source_v6, usable.then_some(address));
        prop_assert_eq!(options.interface.map_or(0, |index| index.get()), if usable { index } else { 0 });
        prop_assert_eq!(refusals.len(), usize::from(!usable));
    }

    #[test]
    fn a_text_is_an_ipv6_address_if_rust_says_so(text in nearly_ipv6()) {
        let expected = text.parse::<Ipv6Addr>().ok();
        let expected =
            expected.filter(|address| !address.is_unspecified() && address.to_ipv4_mapped().is_none());
        let (options, refusals) = of_targets(&list(std::slice::from_ref(&text)));
        match expected {
            Some(address) => {
                let expected = SocketAddr::new(IpAddr::V6(address), 4010);
                prop_assert_eq!(options.targets.as_slice(), [expected], "{}", text)
            }
            None => prop_assert_eq!(refusals.len(), 1, "{}", text),
        }
    }

    #[test]
    fn a_list_that_is_cut_anywhere_leads_where_the_rest_of_it_says(
        targets in prop::collection::vec(targets(), 1..=MAX_TARGETS),
        cut: prop::sample::Index,
    ) {
        let mut data = list(&targets.iter().map(SocketAddr::to_string).collect::<Vec<_>>());
        data.truncate(cut.index(data.len() + 1));
        let units: Vec<u16> = data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        let rest = String::from_utf16(&units).expect("text");
        let texts: Vec<String> =
            rest.split('\0').take_while(|text| !text.is_empty()).map(str::to_owned).collect();
        prop_assert_eq!(of_targets(&data), of_targets(&list(&texts)));
    }

    #[test]
    fn whatever_is_stored_every_option_is_in_its_range(
        values in prop::collection::vec((prop::sample::select(vec![0, 1, 4, 7]), bytes()), DESCRIPTIONS.len()),
    ) {
        let values =
            DESCRIPTIONS.iter().zip(&values).map(|(option, (kind, data))| (*option, *kind, &data[..]));
        let (options, refusals) = read(values.collect());
        let targets = options.targets.as_slice();
        prop_assert!((1..=MAX_TARGETS).contains(&targets.len()));
        prop_assert_eq!(targets.iter().collect::<HashSet<_>>().len(), targets.len());
        for target in targets {
            prop_assert!(target.port() > 0 && !target.ip().is_unspecified());
        }
        prop_assert!(options.interface.is_none_or(|index| index.get() <= MAX_INTERFACE));
        prop_assert!(!options.continuous || options.silence_threshold == 0);
        for refusal in refusals {
            prop_assert!(refusal.entry == 0 || *refusal.option == TARGETS);
        }
    }
}

/// Data of a value: a number, a list, text of the characters of addresses, or anything.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop_oneof![0_u32..300, any::<u32>()].prop_map(|number| number.to_le_bytes().to_vec()),
        prop::collection::vec(targets(), 1..12)
            .prop_map(|targets| list(&targets.iter().map(SocketAddr::to_string).collect::<Vec<_>>())),
        "[0-9a-f:.%\\[\\]\0 ]{0,200}".prop_map(|text| utf16(&text)),
        prop::collection::vec(any::<u8>(), 0..=MAX_VALUE + 1),
    ]
}
