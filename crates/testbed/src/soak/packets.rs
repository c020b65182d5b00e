//! Packet mode as the documentation has it: which packets may be announced, and what is heard of those that were not.

use crate::nt::NtStatus;

/// KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM.
pub(super) const END_OF_STREAM: u32 = 0x200;

/// What there is to hear from a byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    Buffer,
    Silence,
    Nothing,
}

/// The packets of a buffer with notifications. Positions are bytes since the stream was in STOP.
#[derive(Clone, Debug)]
pub(super) struct Packets {
    /// Notifications in the buffer: more than one packet can be told apart.
    count: u64,
    /// Bytes of a packet.
    pub(super) size: u64,
    /// The packets that were announced; none at all means that everything is heard.
    announced: Vec<u64>,
    /// Where the stream ends.
    end: Option<u64>,
}

impl Packets {
    /// `None` for a buffer without notifications.
    pub(super) fn new(buffer: u64, count: u64) -> Option<Self> {
        (count > 0).then(|| Self { count, size: buffer / count, announced: Vec::new(), end: None })
    }

    pub(super) fn reset(&mut self) {
        self.announced.clear();
        self.end = None;
    }

    /// Announces a packet, and says with which status.
    pub(super) fn announce(
        &mut self,
        number: u32,
        flags: u32,
        length: u32,
        position: u64,
        running: bool,
    ) -> Result<(), NtStatus> {
        let last = flags == END_OF_STREAM;
        if (flags != 0 && !last) || (last && u64::from(length) > self.size) {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        if self.end.is_some() {
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        let playing = position / self.size;
        let lowest = i64::from(running);
        let highest = lowest.max(self.count as i64 - 1);
        let ahead = i64::from(number.wrapping_sub(playing as u32) as i32);
        let result = match ahead {
            _ if ahead < lowest => Err(NtStatus::DATA_LATE_ERROR),
            _ if ahead > highest => Err(NtStatus::DATA_OVERRUN),
            _ => Ok(()),
        };
        if result.is_ok() || ahead == 0 {
            let packet = playing + ahead as u64;
            // Whoever begins to announce has written what came before.
            if self.announced.is_empty() && packet > 0 {
                self.announced.push(packet - 1);
            }
            // A packet takes the place of the one that was there before it.
            self.announced.retain(|known| known % self.count != packet % self.count);
            self.announced.push(packet);
            self.end = last.then(|| packet * self.size + u64::from(length));
        }
        result
    }

    /// What is heard from a position on, and until where.
    pub(super) fn sound(&self, position: u64) -> (Sound, u64) {
        let end = self.end.unwrap_or(u64::MAX);
        if position >= end {
            return (Sound::Nothing, u64::MAX);
        }
        if self.announced.is_empty() || self.count == 1 {
            return (Sound::Buffer, end);
        }
        let packet = position / self.size;
        let sound = if self.announced.contains(&packet) { Sound::Buffer } else { Sound::Silence };
        (sound, ((packet + 1) * self.size).min(end))
    }
}
