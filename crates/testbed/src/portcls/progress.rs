//! What a stream in packet mode has told of its progress, and how its next answers must follow.
//!
//! The counter of a presentation position is of no later moment than now, and of no earlier one than that of the answer
//! before. Between two stops neither the position nor the packet count goes back. The count tells what has left the
//! buffer and the position what of that was heard, so the position may be behind; it does not lie beyond the packet that
//! the count says is under way
//! (<https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/nf-portcls-iminiportwavertoutputstream-getpacketcount>).

use std::cell::Cell;

use super::abi::PresentationPosition;
use crate::schedule;
use crate::verifier::{Rule, record};

/// A count of packets, and the performance counter when it was told.
#[derive(Clone, Copy)]
struct Packets {
    count: u32,
    told: u64,
}

/// The latest answers of a stream since it was last in STOP.
#[derive(Default)]
pub(super) struct Progress {
    position: Cell<Option<PresentationPosition>>,
    packets: Cell<Option<Packets>>,
}

impl Progress {
    /// Forgets the answers: the stream begins anew, or has another buffer.
    pub(super) fn restart(&self) {
        self.position.set(None);
        self.packets.set(None);
    }

    /// GetOutputStreamPresentationPosition has answered just now. `packet`: frames of a packet, if there are packets.
    pub(super) fn presented(&self, position: PresentationPosition, packet: Option<u64>) {
        const METHOD: &str = "GetOutputStreamPresentationPosition";
        let PresentationPosition { blocks, counter } = position;
        let now = schedule::counter();
        if counter > now {
            record(Rule::Argument, format!("{METHOD} tells of counter {counter}, and now it is {now}"));
        }
        if let Some(before) = self.position.replace(Some(position)) {
            if counter < before.counter {
                let text = format!("{METHOD} tells of counter {counter}, and before of {}", before.counter);
                record(Rule::Argument, text);
            }
            if blocks < before.blocks {
                let text = format!("{METHOD} tells of frame {blocks}, and before of {}", before.blocks);
                record(Rule::Argument, text);
            }
        }
        // In the time since an older count more packets may have left the buffer.
        if let Some(packets) = self.packets.get().filter(|packets| packets.told == now) {
            check(blocks, packets.count, packet);
        }
    }

    /// GetPacketCount has answered just now.
    pub(super) fn counted(&self, count: u32, packet: Option<u64>) {
        let packets = Packets { count, told: schedule::counter() };
        if let Some(before) = self.packets.replace(Some(packets))
            && is_before(count, before.count)
        {
            record(Rule::Argument, format!("GetPacketCount says {count}, and before {}", before.count));
        }
        if let Some(position) = self.position.get() {
            check(position.blocks, count, packet);
        }
    }
}

/// Whether a count of packets, of which the low 32 bits are told, comes before another.
fn is_before(count: u32, other: u32) -> bool {
    count.wrapping_sub(other).cast_signed() < 0
}

/// The position after so many frames lies in no later packet than the one that is under way, or at its end.
fn check(frames: u64, count: u32, packet: Option<u64>) {
    let Some(packet) = packet else { return };
    let last = frames.saturating_sub(1) / packet;
    if is_before(count, last as u32) {
        let text =
            format!("the position, frame {frames}, is in packet {last}, and GetPacketCount says {count}");
        record(Rule::Argument, text);
    }
}
