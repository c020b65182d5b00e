//! Events that describe themselves (TraceLogging): from their bytes to names and values.
//!
//! The form is defined in the comments of `TraceLoggingProvider.h`; the names of types are those of `TlgIn_t` and
//! `TlgOut_t` there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::nt::{Guid, NtStatus};

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without sign.
    Unsigned(u64),
    /// A number with sign.
    Signed(i64),
    /// A number that is to be shown in base 16.
    Hex(u64),
    /// A truth.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// An identifier.
    Guid(Guid),
    /// An NTSTATUS.
    Status(NtStatus),
    /// An IPv4 address.
    Address(Ipv4Addr),
    /// An address with a port, from a SOCKADDR_IN or SOCKADDR_IN6.
    SocketAddress(SocketAddr),
    /// Anything else.
    Bytes(Vec<u8>),
    /// Several values of one type.
    Array(Vec<Value>),
    /// Fields under one name.
    Struct(Vec<(String, Value)>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Hex(value) => write!(f, "{value:#x}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Guid(value) => write!(f, "{value:?}"),
            Self::Status(value) => write!(f, "{}", value.name()),
            Self::Address(value) => write!(f, "{value}"),
            Self::SocketAddress(value) => write!(f, "{value}"),
            Self::Bytes(value) => write!(f, "{value:02x?}"),
            Self::Array(values) => f.debug_list().entries(values.iter().map(Shown)).finish(),
            Self::Struct(fields) => {
                f.write_str("{ ")?;
                fields.iter().try_for_each(|(name, value)| write!(f, "{name}={value} "))?;
                f.write_str("}")
            }
        }
    }
}

/// Shows with `{:?}` what others show with `{}`.
struct Shown<'a>(&'a Value);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

/// The name and the fields of an event.
pub(super) type Described = (String, Vec<(String, Value)>);

/// Reads an event's description, and its data by it.
///
/// # Errors
/// What is wrong with either, in words.
pub(super) fn event(metadata: &[u8], data: &[u8]) -> Result<Described, String> {
    let mut description = Bytes { rest: metadata, what: "the description of the event" };
    let size = usize::from(description.number::<2>()? as u16);
    if size != metadata.len() {
        return Err(format!(
            "the description of the event says that it has {size} bytes of {}",
            metadata.len()
        ));
    }
    description.skip_tags()?;
    let name = description.text()?;
    let mut data = Bytes { rest: data, what: "the data of the event" };
    let mut fields = Vec::new();
    while !description.rest.is_empty() {
        fields.push(field(&mut description, &mut data).map_err(|problem| format!("{name}: {problem}"))?);
    }
    match data.rest.len() {
        0 => Ok((name, fields)),
        left => Err(format!("{name}: the data has {left} bytes more than the fields")),
    }
}

/// Reads the name of a provider, from its traits.
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn provider_name(traits: &[u8]) -> Result<String, String> {
    let mut rest = Bytes { rest: traits, what: "the description of the provider" };
    let size = usize::from(rest.number::<2>()? as u16);
    if size != traits.len() {
        return Err(format!(
            "the traits of the provider say that they have {size} bytes of {}",
            traits.len()
        ));
    }
    let name = rest.text()?;
    while !rest.rest.is_empty() {
        let size = rest.number::<2>()? as usize;
        // Size and type are part of a trait.
        let body = size.checked_sub(3).ok_or("a trait of the provider is shorter than its head")?;
        rest.number::<1>()?;
        rest.take(body)?;
    }
    Ok(name)
}

/// How many values a field has.
#[derive(Clone, Copy)]
enum Count {
    One,
    /// So many, as the description says.
    Fixed(u16),
    /// As the data says.
    Variable,
}

/// What the description says of one field. Those of a structure follow it.
struct Type {
    layout: u8,
    shown: u8,
    count: Count,
}

fn field_type(description: &mut Bytes<'_>) -> Result<(String, Type), String> {
    const CHAIN: u8 = 0x80;
    let name = description.text()?;
    let layout = description.number::<1>()? as u8;
    let mut shown = 0;
    if layout & CHAIN != 0 {
        shown = description.number::<1>()? as u8;
        if shown & CHAIN != 0 {
            description.skip_tags()?;
        }
    }
    let count = match layout & 0x60 {
        0x20 => Count::Fixed(description.number::<2>()? as u16),
        0x40 => Count::Variable,
        0x60 => return Err(format!("field {name} has a serializer of its own")),
        _ => Count::One,
    };
    Ok((name, Type { layout: layout & 0x1F, shown: shown & !CHAIN, count }))
}

fn field(description: &mut Bytes<'_>, data: &mut Bytes<'_>) -> Result<(String, Value), String> {
    let (name, kind) = field_type(description)?;
    let about = |problem: String| format!("field {name}: {problem}");
    let count = match kind.count {
        Count::One => {
            let value = value(&kind, description, data).map_err(about)?;
            return Ok((name, value));
        }
        Count::Fixed(count) => count,
        Count::Variable => data.number::<2>().map_err(about)? as u16,
    };
    let members = description.rest;
    let mut values = Vec::new();
    for _ in 0..count {
        description.rest = members;
        values.push(value(&kind, description, data).map_err(about)?);
    }
    if count == 0 && kind.layout == 24 {
        skip_members(kind.shown, description).map_err(about)?;
    }
    Ok((name, Value::Array(values)))
}

/// Passes over the members of a structure of which there is none in the data.
fn skip_members(count: u8, description: &mut Bytes<'_>) -> Result<(), String> {
    for _ in 0..count {
        let (_, kind) = field_type(description)?;
        if kind.layout == 24 {
            skip_members(kind.shown, description)?;
        }
    }
    Ok(())
}

fn value(kind: &Type, description: &mut Bytes<'_>, data: &mut Bytes<'_>) -> Result<Value, String> {
    Ok(match kind.layout {
        0 => Value::Bytes(Vec::new()),
        1 => {
            let units = data.units_until_nul()?;
            Value::Text(String::from_utf16_lossy(&units))
        }
        2 => Value::Text(data.text()?),
        3 => Value::Signed(i64::from(data.number::<1>()? as i8)),
        4 => unsigned(data.number::<1>()?, kind.shown),
        5 => Value::Signed(i64::from(data.number::<2>()? as i16)),
        6 => unsigned(data.number::<2>()?, kind.shown),
        7 => Value::Signed(i64::from(data.number::<4>()? as i32)),
        8 => unsigned(data.number::<4>()?, kind.shown),
        9 => Value::Signed(data.number::<8>()? as i64),
        10 => unsigned(data.number::<8>()?, kind.shown),
        11 => Value::Float(f64::from(f32::from_bits(data.number::<4>()? as u32))),
        12 => Value::Float(f64::from_bits(data.number::<8>()?)),
        13 => Value::Bool(data.number::<4>()? != 0),
        14 if kind.shown == 10 => socket_address(data.counted()?)?,
        14 => Value::Bytes(data.counted()?.to_vec()),
        15 => guid(data)?,
        17 => Value::Unsigned(data.number::<8>()?),
        18 => Value::Bytes(data.take(16)?.to_vec()),
        19 => {
            // A SID: 8 bytes, and 4 for each of the authorities that its second byte counts.
            let authorities = data.rest.get(1).copied().unwrap_or(0);
            Value::Bytes(data.take(8 + 4 * usize::from(authorities))?.to_vec())
        }
        20 => Value::Hex(data.number::<4>()?),
        21 => Value::Hex(data.number::<8>()?),
        22 => {
            let units: Vec<u16> =
                data.counted()?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            Value::Text(String::from_utf16_lossy(&units))
        }
        23 => Value::Text(String::from_utf8_lossy(data.counted()?).into_owned()),
        24 => {
            let members = (0..kind.shown).map(|_| field(description, data));
            Value::Struct(members.collect::<Result<_, _>>()?)
        }
        other => return Err(format!("there is no type {other}")),
    })
}

/// A number without sign, as its `TlgOut_t` wants it.
fn unsigned(value: u64, shown: u8) -> Value {
    match shown {
        3 => Value::Bool(value != 0),
        4 => Value::Hex(value),
        7 => Value::Unsigned(u64::from((value as u16).swap_bytes())),
        8 => Value::Address(Ipv4Addr::from((value as u32).to_le_bytes())),
        14 => Value::Status(NtStatus(value as i32)),
        _ => Value::Unsigned(value),
    }
}

/// A SOCKADDR; its family says what it is, and bytes beyond that are of a union ([TraceLoggingSocketAddress]). What is too
/// short for its family was cut off by mistake; of other families the bytes are shown.
///
/// [TraceLoggingSocketAddress]: https://learn.microsoft.com/windows/win32/api/traceloggingprovider/nf-traceloggingprovider-traceloggingsocketaddress
fn socket_address(bytes: &[u8]) -> Result<Value, String> {
    const AF_INET: u64 = 2;
    const AF_INET6: u64 = 23;
    let mut rest = Bytes { rest: bytes, what: "the socket address" };
    let family = rest.number::<2>()?;
    if family != AF_INET && family != AF_INET6 {
        return Ok(Value::Bytes(bytes.to_vec()));
    }
    let port = (rest.number::<2>()? as u16).swap_bytes();
    let address = if family == AF_INET {
        let ip = Ipv4Addr::from((rest.number::<4>()? as u32).to_le_bytes());
        rest.take(8)?;
        SocketAddrV4::new(ip, port).into()
    } else {
        rest.take(4)?;
        let mut ip = [0; 16];
        ip.copy_from_slice(rest.take(16)?);
        let ip = Ipv6Addr::from(ip);
        SocketAddrV6::new(ip, port, 0, rest.number::<4>()? as u32).into()
    };
    Ok(Value::SocketAddress(address))
}

fn guid(data: &mut Bytes<'_>) -> Result<Value, String> {
    Ok(Value::Guid(Guid {
        data1: data.number::<4>()? as u32,
        data2: data.number::<2>()? as u16,
        data3: data.number::<2>()? as u16,
        data4: data.number::<8>()?.to_le_bytes(),
    }))
}

/// Bytes that are read from the front.
struct Bytes<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| format!("{} ends too early", self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of `N` bytes, at most 8.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.take(N)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// What comes after its size in bytes.
    fn counted(&mut self) -> Result<&'a [u8], String> {
        let count = self.number::<2>()? as usize;
        self.take(count)
    }

    /// UTF-8 up to a NUL, which is passed over.
    fn text(&mut self) -> Result<String, String> {
        let length = self.rest.iter().position(|byte| *byte == 0);
        let length = length.ok_or_else(|| format!("a text in {} has no NUL", self.what))?;
        let text = self.take(length)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn units_until_nul(&mut self) -> Result<Vec<u16>, String> {
        let mut units = Vec::new();
        loop {
            match self.number::<2>()? as u16 {
                0 => return Ok(units),
                unit => units.push(unit),
            }
        }
    }

    /// Passes over bytes up to the first without its highest bit.
    fn skip_tags(&mut self) -> Result<(), String> {
        while self.number::<1>()? & 0x80 != 0 {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description with its size in front.
    fn described(rest: &[u8]) -> Vec<u8> {
        [&(rest.len() as u16 + 2).to_le_bytes(), rest].concat()
    }

    #[track_caller]
    fn check(fields: &[u8], data: &[u8], expected: &[(&str, Value)]) {
        let expected: Vec<(String, Value)> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let metadata = described(&[b"\0E\0", fields].concat());
        assert_eq!(event(&metadata, data), Ok(("E".to_owned(), expected)));
    }

    #[track_caller]
    fn refused(metadata: &[u8], data: &[u8], expected: &str) {
        assert_eq!(event(metadata, data), Err(expected.to_owned()));
    }

    #[test]
    fn numbers_are_read_by_their_layout_and_shown_as_they_want_to_be() {
        check(b"a\0\x04", &[200], &[("a", Value::Unsigned(200))]);
        check(b"a\0\x03", &[200], &[("a", Value::Signed(-56))]);
        check(b"a\0\x08", &[1, 2, 0, 0], &[("a", Value::Unsigned(513))]);
        check(b"a\0\x88\x08", &[192, 0, 2, 77], &[("a", Value::Address(Ipv4Addr::new(192, 0, 2, 77)))]);
        check(b"a\0\x88\x0E", &[0x3C, 2, 0, 0xC0], &[("a", Value::Status(NtStatus::NETWORK_UNREACHABLE))]);
        check(b"a\0\x86\x07", &[0x0F, 0xAA], &[("a", Value::Unsigned(4010))]);
        check(b"a\0\x14b\0\x84\x03", &[16, 0, 0, 0, 1], &[("a", Value::Hex(16)), ("b", Value::Bool(true))]);
        check(b"a\0\x0C", &1.5_f64.to_le_bytes(), &[("a", Value::Float(1.5))]);
    }

    #[test]
    fn socket_addresses_are_shown_as_addresses() {
        const FIELD: &[u8] = b"a\0\x8E\x0A";
        const V4: [u8; 16] = [2, 0, 0x0F, 0xAA, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut v6 = [0; 28];
        v6[..4].copy_from_slice(&[23, 0, 0x0F, 0xAA]);
        v6[8..12].copy_from_slice(&[0x20, 1, 0x0D, 0xB8]);
        v6[23] = 1;
        let mut link_local = v6;
        link_local[8..12].copy_from_slice(&[0xFE, 0x80, 0, 0]);
        link_local[24] = 3;
        let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_le_bytes(), bytes].concat();
        for (bytes, shown) in [
            (&V4[..], "192.0.2.1:4010"),
            (&[&V4[..], &[9; 112]].concat(), "192.0.2.1:4010"),
            (&v6, "[2001:db8::1]:4010"),
            (&link_local, "[fe80::1%3]:4010"),
        ] {
            let value = Value::SocketAddress(shown.parse().expect("an address"));
            assert_eq!(value.to_string(), shown);
            check(FIELD, &counted(bytes), &[("a", value)]);
        }
        check(FIELD, &counted(&[1, 0, 7]), &[("a", Value::Bytes(vec![1, 0, 7]))]);
        let metadata = described(&[b"\0E\0", FIELD].concat());
        let short = "E: field a: the socket address ends too early";
        refused(&metadata, &counted(&V4[..15]), short);
        refused(&metadata, &counted(&v6[..27]), short);
        refused(&metadata, &counted(&[2]), short);
    }

    #[test]
    fn texts_end_where_they_say() {
        check(
            b"a\0\x02b\0\x01",
            b"hi\0y\0o\0\0\0",
            &[("a", Value::Text("hi".to_owned())), ("b", Value::Text("yo".to_owned()))],
        );
        check(b"a\0\x17", b"\x02\0hi", &[("a", Value::Text("hi".to_owned()))]);
        check(b"a\0\x0E", b"\x02\0hi", &[("a", Value::Bytes(b"hi".to_vec()))]);
    }

    #[test]
    fn arrays_and_structures_hold_values() {
        let numbers = Value::Array(vec![Value::Unsigned(1), Value::Unsigned(2)]);
        check(b"a\0\x24\x02\0", &[1, 2], &[("a", numbers.clone())]);
        check(b"a\0\x44", &[2, 0, 1, 2], &[("a", numbers)]);
        let pair = |a, b| {
            Value::Struct(vec![("x".to_owned(), Value::Unsigned(a)), ("y".to_owned(), Value::Unsigned(b))])
        };
        check(b"s\0\x98\x02x\0\x04y\0\x04", &[1, 2], &[("s", pair(1, 2))]);
        check(
            b"s\0\xD8\x02x\0\x04y\0\x04",
            &[2, 0, 1, 2, 3, 4],
            &[("s", Value::Array(vec![pair(1, 2), pair(3, 4)]))],
        );
        check(
            b"s\0\xD8\x02x\0\x04y\0\x04z\0\x04",
            &[0, 0, 9],
            &[("s", Value::Array(vec![])), ("z", Value::Unsigned(9))],
        );
    }

    #[test]
    fn tags_are_passed_over() {
        let metadata = described(b"\x81\x02E\0a\0\x84\x84\x05");
        assert_eq!(event(&metadata, &[9]), Ok(("E".to_owned(), vec![("a".to_owned(), Value::Hex(9))])));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        refused(b"\x09\0\0E\0", &[], "the description of the event says that it has 9 bytes of 5");
        refused(&described(b"\0E"), &[], "a text in the description of the event has no NUL");
        refused(&described(b"\0E\0a\0\x08"), &[1], "E: field a: the data of the event ends too early");
        refused(&described(b"\0E\0a\0\x04"), &[1, 2], "E: the data has 1 bytes more than the fields");
        refused(&described(b"\0E\0a\0\x1F"), &[1], "E: field a: there is no type 31");
    }

    #[test]
    fn a_provider_has_a_name_and_traits() {
        assert_eq!(provider_name(&described(b"Scream\0")), Ok("Scream".to_owned()));
        assert_eq!(provider_name(&described(b"A\0\x13\0\x010123456789abcdef")), Ok("A".to_owned()));
        assert_eq!(
            provider_name(&described(b"A\0\x13\0\x01")),
            Err("the description of the provider ends too early".to_owned())
        );
    }
}
