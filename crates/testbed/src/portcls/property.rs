//! Property requests: PortCls's own properties of pins, and those of the driver's automation tables.
//!
//! A request of the driver's tables becomes a PCPROPERTY_REQUEST as documented: the miniport as major target, the
//! stream as minor target for an open pin, the instance data that follow KSPROPERTY (KSNODEPROPERTY for a node), and
//! the IRP of the I/O control. The verb must be one that the item's flags allow.

use std::ptr;

use super::abi::{
    AutomationTable, DataRange, KsPinDescriptor, MultipleItem, PinDescriptor, PropertyRequest, guid, verb,
};
use super::descriptor::find_property;
use super::pin_buffer::AlignedFormat;
use super::port::FilterObject;
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

/// Verbs that an item must allow by the same bit of its flags.
const VERBS: u32 = verb::GET | verb::SET | verb::BASIC_SUPPORT;

/// Calls the handler of a property in a driver's table; the status and the value's size.
pub(super) fn request(
    target: &Target<'_>,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (NtStatus, u32) {
    let Property { set, id, verb } = property;
    let Some(item) = find_property(target.automation, &set, id) else { return (NtStatus::NOT_FOUND, 0) };
    // SAFETY: `find_property` gives items that it could read.
    let (flags, handler) = unsafe { ((*item).flags, (*item).handler) };
    let Some(handler) = handler.filter(|_| verb & VERBS & flags == verb & VERBS) else {
        return (NtStatus::INVALID_DEVICE_REQUEST, 0);
    };
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
struct Block {
    address: *mut u8,
    bytes: usize,
}

impl Block {
    fn new(data: &[u8], label: &str) -> Self {
        if data.is_empty() {
            return Self { address: ptr::null_mut(), bytes: 0 };
        }
        let address = memory::allocate(data.len(), label);
        // SAFETY: just allocated, with as many bytes.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), address, data.len()) };
        Self { address, bytes: data.len() }
    }

    fn pointer(&self) -> Pvoid {
        self.address.cast()
    }

    fn read(&self, data: &mut [u8]) {
        if self.bytes > 0 {
            if let Some(offset) = memory::broken_fence(self.address) {
                record(
                    Rule::Access,
                    format!("a property handler wrote at {offset} of a value of {} bytes", self.bytes),
                );
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
    /// One of [`verb`].
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
pub(super) fn filter_request(
    filter: &FilterObject,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (NtStatus, u32) {
    let Property { set, id, verb } = property;
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
        None => {
            let target = Target {
                filter,
                minor: ptr::null_mut(),
                node: None,
                automation: filter.description.automation,
            };
            request(&target, property, instance, value)
        }
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
    let miniport = filter.signal_processing.as_ref()?;
    let Some(pin) = instance.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)) else {
        return Some(Err(NtStatus::INVALID_PARAMETER));
    };
    let ask = |modes: *mut Guid, count: &mut u32| {
        let count: *mut u32 = count;
        // SAFETY: the array has as many entries as the count says, and both live as long as the call.
        let status = miniport.call("IMiniportAudioSignalProcessing::GetModes", |this, table| unsafe {
            (table.get_modes)(this, pin, modes, count)
        });
        status.ok()
    };
    let mut count = 0;
    if let Err(status) = ask(ptr::null_mut(), &mut count) {
        return Some(Err(status));
    }
    if count == 0 || count > 100 {
        record(Rule::Argument, format!("GetModes says that there are {count} modes"));
        return Some(Err(NtStatus::UNSUCCESSFUL));
    }
    let mut modes = vec![Guid::default(); count as usize];
    if let Err(status) = ask(modes.as_mut_ptr(), &mut count) {
        return Some(Err(status));
    }
    let head = [8 + 16 * modes.len() as u32, modes.len() as u32];
    Some(Ok(head
        .iter()
        .flat_map(|field| field.to_ne_bytes())
        .chain(modes.iter().flat_map(bytes_of))
        .collect()))
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
        pin_property::DATAINTERSECTION => Some(intersection(filter, number, &instance[4..])),
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

/// KSPROPERTY_PIN_DATAINTERSECTION: the first format that the client's ranges and the pin's have in common. `instance`
/// is KSP_PIN's last field, then KSMULTIPLE_ITEM and the client's ranges.
fn intersection(filter: &FilterObject, pin: u32, instance: &[u8]) -> Result<Vec<u8>, NtStatus> {
    let (head, mut ranges) = instance.split_at_checked(12).ok_or(NtStatus::INVALID_PARAMETER)?;
    let item = MultipleItem { size: word(head, 4), count: word(head, 8) };
    ranges = ranges.get(..(item.size as usize).saturating_sub(8)).ok_or(NtStatus::INVALID_PARAMETER)?;
    let mut status = NtStatus::NO_MATCH;
    for _ in 0..item.count {
        let size = ranges.first_chunk::<4>().map_or(0, |bytes| u32::from_ne_bytes(*bytes)) as usize;
        if size < size_of::<DataRange>() || size > ranges.len() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        for own in &filter.description.pins[pin as usize].ranges {
            match intersect(filter, pin, &ranges[..size], *own) {
                Ok(format) => return Ok(format),
                Err(refusal) => status = refusal,
            }
        }
        ranges = &ranges[size.next_multiple_of(8).min(ranges.len())..];
    }
    Err(status)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// Asks the miniport for the intersection of two ranges: once for the size, once for the format.
fn intersect(
    filter: &FilterObject,
    pin: u32,
    client: &[u8],
    own: *const DataRange,
) -> Result<Vec<u8>, NtStatus> {
    let client = AlignedFormat::new(client);
    let ask = |capacity: u32, output: Pvoid| {
        let mut length = u32::MAX;
        // SAFETY: the ranges and the output live as long as the call.
        let status = filter.miniport.call("IMiniport::DataRangeIntersection", |this, table| unsafe {
            (table.data_range_intersection)(
                this,
                pin,
                client.pointer(),
                own,
                capacity,
                output,
                &raw mut length,
            )
        });
        (status, length)
    };
    let (status, size) = ask(0, ptr::null_mut());
    if status != NtStatus::BUFFER_OVERFLOW {
        if status.is_success() {
            record(
                Rule::Argument,
                "DataRangeIntersection succeeded without a buffer; it returns STATUS_BUFFER_OVERFLOW",
            );
        }
        return Err(status);
    }
    if !(size_of::<DataRange>()..=4096).contains(&(size as usize)) {
        record(Rule::Argument, format!("DataRangeIntersection says that a format has {size} bytes"));
        return Err(NtStatus::UNSUCCESSFUL);
    }
    let mut format = vec![0; size as usize];
    let block = Block::new(&format, "the result of DataRangeIntersection");
    let (status, length) = ask(size, block.pointer());
    status.ok()?;
    if length != size {
        record(Rule::Argument, format!("DataRangeIntersection asked for {size} bytes and used {length}"));
    }
    block.read(&mut format);
    if word(&format, 0) != size {
        record(
            Rule::Argument,
            format!("DataRangeIntersection's format of {size} bytes says it has {}", word(&format, 0)),
        );
    }
    Ok(format)
}
