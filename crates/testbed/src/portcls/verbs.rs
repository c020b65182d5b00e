//! Verbs of property requests: which of them reach the handler of an item in a driver's table, and what kernel streaming
//! answers without it.
//!
//! The flags of an item name what its handler does: GET, SET, BASICSUPPORT, DEFAULTVALUES, and raw serialization. It gets
//! what they allow, and nothing else. Of the rest kernel streaming answers what the table says: whether it has a set,
//! what can be done with an item that does not tell itself, and that no items are related, for which PortCls's have no
//! field. A set of such items cannot be serialized
//! (<https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/ns-portcls-pcproperty_item>,
//! <https://learn.microsoft.com/windows-hardware/drivers/stream/ksproperty-structure>).

use super::abi::verb;
use crate::nt::NtStatus;

/// What the flags of an item can name.
const OF_ITEMS: u32 = verb::GET
    | verb::SET
    | verb::BASIC_SUPPORT
    | verb::SERIALIZE_RAW
    | verb::UNSERIALIZE_RAW
    | verb::SERIALIZE_SIZE
    | verb::DEFAULT_VALUES;

/// What becomes of a request for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The handler is called.
    Handler,
    /// Kernel streaming answers.
    Answer(Answer),
    /// Nobody does.
    Refused,
}

/// An answer of kernel streaming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    whole: Vec<u8>,
    /// What it comes to where there is room for a ULONG only.
    brief: u32,
}

/// Whether a request asks if there is a set, whatever the item.
pub(super) fn asks_for_set(verb: u32) -> bool {
    verb & !verb::TOPOLOGY == verb::SET_SUPPORT
}

/// Judges a request for an item with these flags.
pub(super) fn judge(verb: u32, flags: u32) -> Verdict {
    let asked = verb & !verb::TOPOLOGY;
    match asked {
        verb::RELATIONS => Verdict::Answer(Answer::new(&[8, 0], 8)),
        verb::BASIC_SUPPORT if flags & verb::BASIC_SUPPORT == 0 => {
            let access = flags & (verb::GET | verb::SET);
            // KSPROPERTY_DESCRIPTION: the access, its own size, no type of values and no values.
            Verdict::Answer(Answer::new(&[access, 40, 0, 0, 0, 0, 0, 0, 0, 0], access))
        }
        _ if asked != 0 && asked & !(flags & OF_ITEMS) == 0 => Verdict::Handler,
        _ => Verdict::Refused,
    }
}

impl Answer {
    fn new(words: &[u32], brief: u32) -> Self {
        Self { whole: words.iter().flat_map(|word| word.to_ne_bytes()).collect(), brief }
    }

    /// Fills the value; the status and the size.
    pub(super) fn give(&self, value: &mut [u8]) -> (NtStatus, u32) {
        let brief = self.brief.to_ne_bytes();
        let answer = if value.len() < self.whole.len() { &brief[..] } else { &self.whole[..] };
        if value.is_empty() {
            return (NtStatus::BUFFER_OVERFLOW, self.whole.len() as u32);
        }
        match value.get_mut(..answer.len()) {
            Some(place) => {
                place.copy_from_slice(answer);
                (NtStatus::SUCCESS, answer.len() as u32)
            }
            None => (NtStatus::BUFFER_TOO_SMALL, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = u32::MAX;

    #[test]
    fn handlers_get_what_their_flags_allow() {
        assert_eq!(judge(verb::GET, verb::GET), Verdict::Handler);
        assert_eq!(judge(verb::GET | verb::TOPOLOGY, verb::GET), Verdict::Handler);
        assert_eq!(judge(verb::GET | verb::SET, verb::GET | verb::SET), Verdict::Handler);
        assert_eq!(judge(verb::SET, verb::GET), Verdict::Refused);
        assert_eq!(judge(verb::GET | verb::SET, verb::GET), Verdict::Refused);
        for verb in [verb::SERIALIZE_RAW, verb::UNSERIALIZE_RAW, verb::SERIALIZE_SIZE, verb::DEFAULT_VALUES] {
            assert_eq!(judge(verb, verb), Verdict::Handler);
            assert_eq!(judge(verb, verb::GET | verb::SET | verb::BASIC_SUPPORT), Verdict::Refused);
        }
    }

    #[test]
    fn no_flag_lets_a_handler_have_what_kernel_streaming_does() {
        for verb in [0, verb::TOPOLOGY, verb::SET_SUPPORT, 0x800, 0x1000, 4, 0x2_0000, verb::GET | 0x800] {
            assert_eq!(judge(verb, ALL), Verdict::Refused, "{verb:#x}");
        }
        assert!(asks_for_set(verb::SET_SUPPORT) && !asks_for_set(verb::SET_SUPPORT | verb::GET));
    }

    #[test]
    fn what_an_item_does_is_told_for_it() {
        let Verdict::Answer(answer) = judge(verb::BASIC_SUPPORT, verb::GET) else {
            panic!("an item without BASICSUPPORT")
        };
        assert_eq!(judge(verb::BASIC_SUPPORT, verb::GET | verb::BASIC_SUPPORT), Verdict::Handler);
        let mut value = [0xEE; 41];
        assert_eq!(answer.give(&mut []), (NtStatus::BUFFER_OVERFLOW, 40));
        assert_eq!(answer.give(&mut value[..3]), (NtStatus::BUFFER_TOO_SMALL, 0));
        assert_eq!(answer.give(&mut value[..39]), (NtStatus::SUCCESS, 4));
        assert_eq!(value[..5], [1, 0, 0, 0, 0xEE]);
        assert_eq!(answer.give(&mut value), (NtStatus::SUCCESS, 40));
        assert_eq!((value[4], value[39], value[40]), (40, 0, 0xEE));
    }

    #[test]
    fn no_item_is_related_to_another() {
        let Verdict::Answer(answer) = judge(verb::RELATIONS, 0) else { panic!("relations") };
        let mut value = [0xEE; 8];
        assert_eq!(answer.give(&mut value[..4]), (NtStatus::SUCCESS, 4));
        assert_eq!(value[..5], [8, 0, 0, 0, 0xEE]);
        assert_eq!(answer.give(&mut value), (NtStatus::SUCCESS, 8));
        assert_eq!(value, [8, 0, 0, 0, 0, 0, 0, 0]);
    }
}
