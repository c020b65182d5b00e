//! Property requests: PortCls's own properties of pins, and those of the driver's automation tables.
//!
//! A request of the driver's tables becomes a PCPROPERTY_REQUEST as documented: the miniport as major target, the
//! stream as minor target for an open pin, the instance data that follow KSPROPERTY (KSNODEPROPERTY for a node), and
//! the IRP of the I/O control. `verbs` says which verbs the
//! handler gets.

use std::ptr;

use super::abi::{AutomationTable, KsPinDescriptor, PinDescriptor, PropertyRequest, guid, verb};
use super::descriptor::{find_property, known_properties};
use super::intersection;
use super::port::FilterObject;
use super::verbs::{self, Verdict};
use crate::crossing::call_driver;
use crate::kernel::irp;
use crate::memory;
use crate::nt::{Guid, NtStatus, Pvoid};
use crate::verifier::{Rule, record};

/// Ids of KSPROPSETID_Pin.
#[expect(missing_docs, reason = "the values of ks.h")]
pub mod pin_property {
    pub const CINSTANCES: u32 = 0;
    pub const CTYPES: u32 = 1;
    pub const DATAFLOW: u32 = 2;
    pub const DATARANGES: u32 = 3;
    pub const DATAINTERSECTION: u32 = 4;
    pub const COMMUNICATION: u32 = 7;
    pub const GLOBALCINSTANCES: u32 = 8;
    pub const NECESSARYINSTANCES: u32 = 9;
    pub const CATEGORY: u32 = 11;
    pub const NAME: u32 = 12;
    pub const PROPOSEDATAFORMAT: u32 = 14;
    pub const PROPOSEDATAFORMAT2: u32 = 15;
}

/// KSPROPERTY_AUDIOSIGNALPROCESSING_MODES.
const MODES: u32 = 0;

/// Who a request of a driver's table goes to.
pub(super) struct Target<'a> {
    pub(super) filter: &'a FilterObject,
    pub(super) minor: Pvoid,
    pub(super) node: Option<u32>,
    pub(super) automation: *const AutomationTable,
}

/// Answers a request for a property in a driver's table, by its handler if that is for it; the status and the value's
/// size.
pub(super) fn request(
    target: &Target<'_>,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (NtStatus, u32) {
    let Property { set, id, verb } = property;
    if verbs::asks_for_set(verb) {
        let known = known_properties(target.automation).iter().any(|property| property.set == set);
        return (if known { NtStatus::SUCCESS } else { NtStatus::PROPSET_NOT_FOUND }, 0);
    }
    let Some(item) = find_property(target.automation, &set, id) else { return (NtStatus::NOT_FOUND, 0) };
    // SAFETY: `find_property` gives items that it could read.
    let (flags, handler) = unsafe { ((*item).flags, (*item).handler) };
    let handler = match verbs::judge(verb, flags) {
        Verdict::Handler => handler,
        Verdict::Answer(answer) => return answer.give(value),
        Verdict::Refused => None,
    };
    let Some(handler) = handler else { return (NtStatus::INVALID_DEVICE_REQUEST, 0) };
    // Memory of its own for both, which ends where the data end.
    let instance_block = Block::new(instance, "the instance data of a property request");
    let value_block = Block::new(value, "the value of a property request");
    let packet = irp::allocate(1);
    let mut request = PropertyRequest {
        major_target: target.filter.miniport.raw(),
        minor_target: target.minor,
        node: target.node.unwrap_or(u32::MAX),
        property_item: item,
        verb,
        instance_size: instance.len() as u32,
        instance: instance_block.pointer(),
        value_size: value.len() as u32,
        value: value_block.pointer(),
        irp: packet,
    };
    // SAFETY: the request and all it points to live as long as the call; no handler here may return STATUS_PENDING.
    let status = call_driver("a property handler", || unsafe { handler(&raw mut request) });
    irp::free(packet);
    if status == NtStatus::PENDING {
        record(Rule::Argument, "a property handler returned STATUS_PENDING, which is not simulated");
    }
    if status == NtStatus::BUFFER_OVERFLOW && value.is_empty() && request.value_size == 0 {
        record(Rule::Argument, format!("property {id} of {set:?}: a buffer is needed, and no size is told"));
    }
    if status.is_success()
        && verb & (verb::GET | verb::BASIC_SUPPORT) != 0
        && request.value_size as usize > value.len()
    {
        let text = format!(
            "property {id} of {set:?} returned {} bytes in a buffer of {}",
            request.value_size,
            value.len()
        );
        record(Rule::Argument, text);
    }
    value_block.read(value);
    (status, request.value_size)
}

/// A copy of data in the machine's memory.
pub(super) struct Block {
    address: *mut u8,
    bytes: usize,
    label: &'static str,
}

impl Block {
    pub(super) fn new(data: &[u8], label: &'static str) -> Self {
        if data.is_empty() {
            return Self { address: ptr::null_mut(), bytes: 0, label };
        }
        let address = memory::allocate_for_request(data.len(), label);
        // SAFETY: just allocated, with as many bytes.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), address, data.len()) };
        Self { address, bytes: data.len(), label }
    }

    pub(super) fn pointer(&self) -> Pvoid {
        self.address.cast()
    }

    pub(super) fn read(&self, data: &mut [u8]) {
        if self.bytes > 0 {
            if let Some(offset) = memory::broken_fence(self.address) {
                let Self { bytes, label, .. } = self;
                record(Rule::Access, format!("{label} was written at {offset} of {bytes} bytes"));
            }
            // SAFETY: the block has as many bytes as `data`, from which it was made.
            unsafe { ptr::copy_nonoverlapping(self.address, data.as_mut_ptr(), self.bytes) };
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.bytes > 0 && crate::machine::try_machine().is_some() {
            memory::free(self.address);
        }
    }
}

/// A property and what is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// The property set.
    pub set: Guid,
    /// The property in the set.
    pub id: u32,
    /// One of [`verb`], or several.
    pub verb: u32,
}

impl Property {
    /// Reads a property.
    pub fn get(set: Guid, id: u32) -> Self {
        Self { set, id, verb: verb::GET }
    }

    /// Writes a property.
    pub fn set(set: Guid, id: u32) -> Self {
        Self { set, id, verb: verb::SET }
    }

    /// Asks what a property can do.
    pub fn support(set: Guid, id: u32) -> Self {
        Self { set, id, verb: verb::BASIC_SUPPORT }
    }
}

/// A request on a filter: `instance` is what follows KSPROPERTY.
///
/// The driver's table comes first: the port driver answers what has no handler there
/// (<https://learn.microsoft.com/windows-hardware/drivers/audio/audio-property-handlers>).
pub(super) fn filter_request(
    filter: &FilterObject,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (NtStatus, u32) {
    let Property { set, id, verb } = property;
    let automation = filter.description.automation;
    // PortCls has the set of pins itself.
    if verbs::asks_for_set(verb) && set == guid::KSPROPSETID_PIN {
        return (NtStatus::SUCCESS, 0);
    }
    if verbs::asks_for_set(verb) || find_property(automation, &set, id).is_some() {
        let target = Target { filter, minor: ptr::null_mut(), node: None, automation };
        return request(&target, property, instance, value);
    }
    let own = match set {
        guid::KSPROPSETID_PIN if verb & verb::GET != 0 => pin_request(filter, id, instance),
        guid::KSPROPSETID_AUDIO_SIGNAL_PROCESSING if verb & verb::GET != 0 && id == MODES => {
            modes(filter, instance)
        }
        _ => None,
    };
    match own {
        Some(Ok(answer)) => give(&answer, value),
        Some(Err(status)) => (status, 0),
        None => (NtStatus::NOT_FOUND, 0),
    }
}

/// A request on a node of a filter: `instance` is what follows KSNODEPROPERTY.
pub(super) fn node_request(
    filter: &FilterObject,
    node: u32,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (NtStatus, u32) {
    let Some(descriptor) = filter.description.nodes.get(node as usize) else {
        return (NtStatus::INVALID_PARAMETER, 0);
    };
    let target =
        Target { filter, minor: ptr::null_mut(), node: Some(node), automation: descriptor.automation };
    request(&target, property, instance, value)
}

/// KSPROPERTY_AUDIOSIGNALPROCESSING_MODES, which PortCls answers from IMiniportAudioSignalProcessing: GetModes is asked
/// for the count, then for the modes.
fn modes(filter: &FilterObject, instance: &[u8]) -> Option<Result<Vec<u8>, NtStatus>> {
    filter.signal_processing.as_ref()?;
    let Some(pin) = instance.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)) else {
        return Some(Err(NtStatus::INVALID_PARAMETER));
    };
    let (status, count, _) = get_modes(filter, pin, None)?;
    if let Err(status) = status.ok() {
        return Some(Err(status));
    }
    if count == 0 || count > 100 {
        record(Rule::Argument, format!("GetModes says that there are {count} modes"));
        return Some(Err(NtStatus::UNSUCCESSFUL));
    }
    let (short, room, _) = get_modes(filter, pin, Some(count - 1))?;
    if short != NtStatus::BUFFER_TOO_SMALL || room != count {
        let text = format!("GetModes with too little room: {short}, and {room} modes instead of {count}");
        record(Rule::Argument, text);
    }
    let (status, given, modes) = get_modes(filter, pin, Some(count))?;
    if let Err(status) = status.ok() {
        return Some(Err(status));
    }
    if given != count {
        record(Rule::Argument, format!("GetModes says {count} modes, and then {given}"));
    }
    let wanted = [guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT, guid::AUDIO_SIGNALPROCESSINGMODE_RAW];
    if !modes.chunks(size_of::<Guid>()).any(|mode| wanted.iter().any(|wanted| bytes_of(wanted) == mode)) {
        record(
            Rule::Argument,
            "GetModes gives neither the default nor the raw mode; a driver needs one of them",
        );
    }
    let head = [8 + modes.len() as u32, count];
    Some(Ok(head.iter().flat_map(|field| field.to_ne_bytes()).chain(modes).collect()))
}

/// Calls GetModes with an array of `room` modes, or without one: the status, the count that came back, and the bytes of
/// the array. `None`: the miniport has no such interface.
pub(super) fn get_modes(
    filter: &FilterObject,
    pin: u32,
    room: Option<u32>,
) -> Option<(NtStatus, u32, Vec<u8>)> {
    let miniport = filter.signal_processing.as_ref()?;
    let mut count = room.unwrap_or(0);
    let mut modes = vec![0; size_of::<Guid>() * count as usize];
    let block = Block::new(&modes, "the array of GetModes");
    // An array without room is an array all the same: not null, and nothing can be written there.
    let array = if room == Some(0) { ptr::dangling_mut() } else { block.pointer().cast() };
    let pointer = &raw mut count;
    // SAFETY: the array has as many entries as the count says, and both live as long as the call.
    let status = miniport.call("IMiniportAudioSignalProcessing::GetModes", |this, table| unsafe {
        (table.get_modes)(this, pin, array, pointer)
    });
    block.read(&mut modes);
    Some((status, count, modes))
}

/// The rule for values of any size: nothing asks for the size, too little is refused.
fn give(answer: &[u8], value: &mut [u8]) -> (NtStatus, u32) {
    let size = answer.len() as u32;
    if value.is_empty() {
        (NtStatus::BUFFER_OVERFLOW, size)
    } else if value.len() < answer.len() {
        (NtStatus::BUFFER_TOO_SMALL, 0)
    } else {
        value[..answer.len()].copy_from_slice(answer);
        (NtStatus::SUCCESS, size)
    }
}

/// What PortCls answers itself; `None`: not a property of its own.
fn pin_request(filter: &FilterObject, id: u32, instance: &[u8]) -> Option<Result<Vec<u8>, NtStatus>> {
    let dword = |value: u32| Some(Ok(value.to_ne_bytes().to_vec()));
    if id == pin_property::CTYPES {
        return dword(filter.description.pins.len() as u32);
    }
    if matches!(id, pin_property::PROPOSEDATAFORMAT | pin_property::PROPOSEDATAFORMAT2) || id > 13 {
        return None;
    }
    let Some(number) = instance.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)) else {
        return Some(Err(NtStatus::INVALID_PARAMETER));
    };
    let Some(pin) = filter.description.pins.get(number as usize) else {
        return Some(Err(NtStatus::INVALID_PARAMETER));
    };
    let ks: &KsPinDescriptor = &pin.descriptor.ks;
    let current = filter.open_pins.borrow()[number as usize];
    let instances = |possible: u32, current: u32| {
        Some(Ok([possible, current].iter().flat_map(|count| count.to_ne_bytes()).collect()))
    };
    match id {
        pin_property::CINSTANCES | pin_property::GLOBALCINSTANCES | pin_property::NECESSARYINSTANCES => {
            let counts = pin_counts(filter, number, &pin.descriptor, current);
            match id {
                pin_property::CINSTANCES => instances(counts.filter_possible, counts.filter_current),
                pin_property::GLOBALCINSTANCES => instances(counts.global_possible, counts.global_current),
                _ => dword(counts.filter_necessary),
            }
        }
        pin_property::DATAFLOW => dword(ks.data_flow),
        pin_property::COMMUNICATION => dword(ks.communication),
        pin_property::CATEGORY => {
            Some(pin.category.map(|category| bytes_of(&category)).ok_or(NtStatus::NOT_FOUND))
        }
        pin_property::DATARANGES => {
            let (count, ranges) = pin.data_ranges();
            let head = [8 + ranges.len() as u32, count];
            Some(Ok(head.iter().flat_map(|field| field.to_ne_bytes()).chain(ranges).collect()))
        }
        pin_property::DATAINTERSECTION => Some(intersection::first(filter, number, &instance[4..])),
        _ => Some(Err(NtStatus::NOT_FOUND)),
    }
}

/// Instance counts of a pin, which the driver may change when it has IPinCount.
struct PinCounts {
    filter_necessary: u32,
    filter_current: u32,
    filter_possible: u32,
    global_current: u32,
    global_possible: u32,
}

fn pin_counts(filter: &FilterObject, number: u32, pin: &PinDescriptor, current: u32) -> PinCounts {
    let mut counts = PinCounts {
        filter_necessary: pin.min_filter_instances,
        filter_current: current,
        filter_possible: pin.max_filter_instances,
        global_current: current,
        global_possible: pin.max_global_instances,
    };
    if let Some(pin_count) = &filter.pin_count {
        let counts = &mut counts;
        // SAFETY: the variables live as long as the call.
        pin_count.call("IPinCount::PinCount", |this, table| unsafe {
            (table.pin_count)(
                this,
                number,
                &raw mut counts.filter_necessary,
                &raw mut counts.filter_current,
                &raw mut counts.filter_possible,
                &raw mut counts.global_current,
                &raw mut counts.global_possible,
            );
        });
    }
    counts
}

fn bytes_of(guid: &Guid) -> Vec<u8> {
    let Guid { data1, data2, data3, data4 } = *guid;
    let mut bytes = data1.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&data2.to_ne_bytes());
    bytes.extend_from_slice(&data3.to_ne_bytes());
    bytes.extend_from_slice(&data4);
    bytes
}
