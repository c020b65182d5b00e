//! IPv6 addresses from text (RFC 4291, 2.2). The parser of `core` leaves paths to a panic in the driver.

use core::net::Ipv6Addr;

use super::address::ipv4;

const GROUPS: usize = 8;

/// The groups on one side of a `::`.
#[derive(Default)]
struct Groups {
    groups: [u16; GROUPS],
    count: usize,
}

/// The address, if the text is one and nothing else.
pub(super) fn parse(text: &[u8]) -> Option<Ipv6Addr> {
    let Some(gap) = text.windows(2).position(|pair| pair == b"::") else {
        let whole = Groups::parse(text, true)?;
        return (whole.count == GROUPS).then(|| whole.groups.into());
    };
    let (head, tail) = (text.get(..gap)?, text.get(gap.saturating_add(2)..)?);
    let (head, tail) = (Groups::parse(head, false)?, Groups::parse(tail, true)?);
    // The gap stands for one group at least.
    if head.count + tail.count >= GROUPS {
        return None;
    }
    let mut groups = head.groups;
    for (group, value) in groups.iter_mut().rev().zip(tail.as_slice().iter().rev()) {
        *group = *value;
    }
    Some(groups.into())
}

impl Groups {
    /// Groups with a colon between them; what ends an address may have an IPv4 address instead of the last two.
    fn parse(text: &[u8], ends_address: bool) -> Option<Self> {
        let mut groups = Self::default();
        if text.is_empty() {
            return Some(groups);
        }
        let mut parts = text.split(|byte| *byte == b':').peekable();
        while let Some(part) = parts.next() {
            let ends = ends_address && parts.peek().is_none();
            if ends && let Some(address) = ipv4(part) {
                let [a, b, c, d] = address.octets();
                groups.push(u16::from_be_bytes([a, b]))?;
                groups.push(u16::from_be_bytes([c, d]))?;
            } else {
                groups.push(group(part)?)?;
            }
        }
        Some(groups)
    }

    fn push(&mut self, group: u16) -> Option<()> {
        *self.groups.get_mut(self.count)? = group;
        self.count += 1;
        Some(())
    }

    fn as_slice(&self) -> &[u16] {
        self.groups.get(..self.count).unwrap_or_default()
    }
}

/// One to four hexadecimal digits.
fn group(digits: &[u8]) -> Option<u16> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |value: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}
