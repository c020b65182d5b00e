//! Attributes of formats: the signal-processing mode that a stream is opened for.
//!
//! Nothing is done to the samples in any mode, so all that a mode needs is to be offered and accepted: the data ranges
//! say that formats may carry the attribute, `IMiniportAudioSignalProcessing` lists the modes, and the checks here take
//! what was listed. Windows wants DEFAULT or RAW at least; having both lets applications ask for raw streams
//! (<https://learn.microsoft.com/windows-hardware/drivers/audio/audio-signal-processing-modes>).
//!
//! There is no `KSPROPERTY_PIN_PROPOSEDATAFORMAT2`: "If driver supports this property, OS will always use this format
//! for the specific signal processing mode" would take the choice on the Advanced page from the user
//! (<https://learn.microsoft.com/windows-hardware/drivers/stream/ksproperty-pin-proposedataformat2>).

use crate::abi::ks::{
    AUDIO_SIGNALPROCESSINGMODE_DEFAULT, AUDIO_SIGNALPROCESSINGMODE_RAW, KSATTRIBUTE,
    KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE, KSATTRIBUTE_LIST, KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE,
    KSMULTIPLE_ITEM,
};
use crate::abi::{GUID, same_guid};
use crate::kernel::{Result, Status};
use crate::wave::format::Fields;

/// The signal-processing modes of the render pin.
pub static MODES: [GUID; 2] = [AUDIO_SIGNALPROCESSINGMODE_DEFAULT, AUDIO_SIGNALPROCESSINGMODE_RAW];

/// The attributes of a data range: its formats may name a mode.
pub static RANGE_ATTRIBUTES: KSATTRIBUTE_LIST = KSATTRIBUTE_LIST { Count: 1, Attributes: POINTERS.as_ptr() };

static POINTERS: [&KSATTRIBUTE; 1] = [&MODE_ATTRIBUTE];

static MODE_ATTRIBUTE: KSATTRIBUTE = KSATTRIBUTE {
    Size: size_of::<KSATTRIBUTE>() as u32,
    Flags: 0,
    Attribute: KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE,
};

/// Offsets in a list of attributes, and in an attribute, all of it little endian.
mod offset {
    use super::{KSATTRIBUTE, KSMULTIPLE_ITEM};

    pub const LIST_SIZE: usize = 0;
    pub const LIST_COUNT: usize = 4;
    pub const LIST_ITEMS: usize = size_of::<KSMULTIPLE_ITEM>();
    pub const SIZE: usize = 0;
    pub const IDENTIFIER: usize = 8;
    pub const MODE: usize = size_of::<KSATTRIBUTE>();
}

const _: () = assert!(offset::LIST_ITEMS == 8 && offset::MODE == 24);
const _: () = assert!(size_of::<KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE>() == 40);

/// Checks the attributes of a format: a `KSMULTIPLE_ITEM`, then each attribute, aligned to 8 bytes.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` when the sizes do not fit together, `STATUS_NOT_SUPPORTED` for an attribute other than the
/// mode or for a mode that is not one of [`MODES`].
pub fn check(list: &[u8]) -> Result {
    let invalid = Status::INVALID_PARAMETER;
    let fields = Fields(list);
    let size = fields.u32(offset::LIST_SIZE).ok_or(invalid)? as usize;
    let count = fields.u32(offset::LIST_COUNT).ok_or(invalid)?;
    let mut items = list.get(offset::LIST_ITEMS..size).ok_or(invalid)?;
    // However large the count is, the loop ends with the bytes.
    for _ in 0..count {
        let size = Fields(items).u32(offset::SIZE).ok_or(invalid)? as usize;
        let attribute = items.get(..size).ok_or(invalid)?;
        check_attribute(&Fields(attribute))?;
        let next = size.checked_next_multiple_of(8).ok_or(invalid)?;
        items = items.get(next..).unwrap_or_default();
    }
    Ok(())
}

fn check_attribute(attribute: &Fields<'_>) -> Result {
    let identifier = attribute.guid(offset::IDENTIFIER).ok_or(Status::INVALID_PARAMETER)?;
    if !same_guid(&identifier, &KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE) {
        return Err(Status::NOT_SUPPORTED);
    }
    let mode = attribute.guid(offset::MODE).ok_or(Status::INVALID_PARAMETER)?;
    if MODES.iter().any(|known| same_guid(known, &mode)) { Ok(()) } else { Err(Status::NOT_SUPPORTED) }
}
