//! What the device says of its wave filter: a pin for clients, a bridge pin, a property. Made anew for each life, so
//! that a case can spoil any field of it.

use core::cell::UnsafeCell;
use core::ptr::null;

use crate::device::{GUID_AUDIO, GUID_AUDIO_TYPE, GUID_PCM, GUID_PROPERTIES, GUID_WAVE_FORMAT, Guid, bent};
use crate::nt::*;

/// PCPROPERTY_ITEM.
#[repr(C)]
struct PropertyItem {
    set: *const Guid,
    id: u32,
    flags: u32,
    handler: usize,
}

/// PCAUTOMATION_TABLE.
#[repr(C)]
struct Automation {
    item_bytes: u32,
    items: u32,
    first: *const PropertyItem,
    others: [usize; 5],
}

/// KSDATARANGE_AUDIO.
#[repr(C)]
struct Range {
    bytes: u32,
    flags: u32,
    sample: u64,
    kind: [Guid; 3],
    channels: u32,
    bits: [u32; 2],
    rates: [u32; 2],
    padding: u32,
}

/// PCPIN_DESCRIPTOR.
#[repr(C)]
struct Pin {
    most: u32,
    most_of_filter: u32,
    least: u32,
    automation: *const Automation,
    interfaces: [usize; 4],
    ranges: u32,
    first_range: *const *const Range,
    flow: u32,
    communication: u32,
    names: [usize; 2],
    constrained: [usize; 2],
}

/// PCFILTER_DESCRIPTOR.
#[repr(C)]
struct Filter {
    version: u32,
    automation: *const Automation,
    pin_bytes: u32,
    pins: u32,
    first_pin: *const Pin,
    nodes: [usize; 2],
    connections: u32,
    first_connection: *const [u32; 4],
    categories: [usize; 2],
}

const _: () = assert!(size_of::<Automation>() == 56 && size_of::<Range>() == 88);
const _: () = assert!(size_of::<Pin>() == 112 && size_of::<Filter>() == 80);

#[repr(C)]
struct Tables {
    item: PropertyItem,
    automation: Automation,
    range: Range,
    ranges: [*const Range; 2],
    bridge_range: Range,
    bridge_ranges: [*const Range; 1],
    pins: [Pin; 2],
    connections: [[u32; 4]; 1],
    filter: Filter,
}

struct Place(UnsafeCell<core::mem::MaybeUninit<Tables>>);

// SAFETY: one thread at a time makes and reads the tables.
unsafe impl Sync for Place {}

static TABLES: Place = Place(UnsafeCell::new(core::mem::MaybeUninit::uninit()));

const BUFFER_OVERFLOW: NtStatus = 0x8000_0005_u32 as i32;
/// KSFILTER_NODE.
const FILTER: u32 = u32::MAX;

fn tables() -> *mut Tables {
    TABLES.0.get().cast()
}

/// Makes the description; its address.
pub fn description() -> usize {
    let tables = tables();
    // SAFETY: nobody else has them yet.
    unsafe { fill(&mut *tables, tables) };
    // SAFETY: as above, filled now.
    unsafe { spoil(&mut *tables) };
    if bent("pc_description_unreadable") {
        return 0x10;
    }
    // SAFETY: as above.
    unsafe { (&raw const (*tables).filter).addr() }
}

unsafe fn fill(tables: &mut Tables, this: *mut Tables) {
    tables.item = PropertyItem {
        set: &GUID_PROPERTIES,
        id: 1,
        flags: 1,
        handler: property_handler as *const () as usize,
    };
    tables.automation =
        Automation { item_bytes: 24, items: 1, first: &raw const (*this).item, others: [0; 5] };
    let range = || Range {
        bytes: 88,
        flags: 0,
        sample: 0,
        kind: [GUID_AUDIO, GUID_PCM, GUID_WAVE_FORMAT],
        channels: 2,
        bits: [16, 16],
        rates: [48000, 48000],
        padding: 0,
    };
    (tables.range, tables.bridge_range) = (range(), range());
    tables.ranges = [&raw const (*this).range, null()];
    tables.bridge_ranges = [&raw const (*this).bridge_range];
    let pin = |most: u32, flow: u32, communication: u32| Pin {
        most,
        most_of_filter: most,
        least: 0,
        automation: null(),
        interfaces: [0; 4],
        ranges: 1,
        first_range: (&raw const (*this).ranges).cast(),
        flow,
        communication,
        names: [0; 2],
        constrained: [0; 2],
    };
    tables.pins = [pin(1, 1, 1), pin(0, 2, 4)];
    tables.pins[1].first_range = (&raw const (*this).bridge_ranges).cast();
    tables.connections = [[FILTER, 0, FILTER, 1]];
    tables.filter = Filter {
        version: 0,
        automation: &raw const (*this).automation,
        pin_bytes: 112,
        pins: 2,
        first_pin: (&raw const (*this).pins).cast(),
        nodes: [0; 2],
        connections: 1,
        first_connection: (&raw const (*this).connections).cast(),
        categories: [0; 2],
    };
}

/// The one mistake, if the case is one of the description.
unsafe fn spoil(tables: &mut Tables) {
    let client = &mut tables.pins[0];
    if bent("pc_pin_flow") {
        client.flow = 3;
    } else if bent("pc_pin_communication") {
        client.communication = 9;
    } else if bent("pc_pin_no_instances") {
        client.most = 0;
    } else if bent("pc_pin_least_above_most") {
        client.least = 2;
    } else if bent("pc_pin_no_ranges") {
        client.ranges = 0;
    } else if bent("pc_bridge_can_be_opened") {
        tables.pins[1].most = 1;
    } else if bent("pc_range_misaligned") {
        tables.ranges[0] = tables.ranges[0].byte_add(4);
    } else if bent("pc_range_short") {
        tables.range.bytes = 63;
    } else if bent("pc_range_not_audio") {
        tables.range.bytes = 80;
    } else if bent("pc_range_empty") {
        tables.range.bits = [24, 16];
    } else if bent("pc_range_without_attributes") {
        tables.range.flags = 2;
    } else if bent("pc_range_requires_attributes") {
        tables.range.flags = 4;
    } else if bent("pc_attributes_empty") {
        attributes(tables, &NO_ATTRIBUTES);
    } else if bent("pc_attribute_short") {
        attributes(tables, &SHORT_ATTRIBUTES);
    } else if bent("pc_filter_without_pins") {
        (tables.filter.pins, tables.filter.connections) = (0, 0);
    } else if bent("pc_connection_to_nowhere") {
        tables.filter.connections = 2;
        tables.filter.first_connection = TWO.as_ptr();
    } else if bent("pc_connection_against_flow") {
        tables.connections[0] = [FILTER, 1, FILTER, 0];
    } else if bent("pc_connection_missing") {
        // From the node that the filter has to the bridge pin; the client's pin is left over.
        tables.filter.first_connection = BRIDGE_ONLY.as_ptr();
        tables.filter.nodes = [32 | 1 << 32, NODE.0.as_ptr().addr()];
    } else if bent("pc_pin_size") {
        // One pin, so that the size is all that is wrong.
        tables.filter.pin_bytes = 116;
        tables.filter.pins = 1;
        tables.filter.first_connection = CLIENT_ONLY.as_ptr();
        tables.filter.nodes = [32 | 1 << 32, NODE.0.as_ptr().addr()];
    } else if bent("pc_filter_version") {
        tables.filter.version = 1;
    } else if bent("pc_property_size") {
        tables.automation.item_bytes = 28;
    } else if bent("pc_property_without_handler") {
        tables.item.handler = 0;
    } else if bent("pc_property_handler_elsewhere") {
        tables.item.handler = 0x10;
        // No verb, so that nobody calls it.
        tables.item.flags = 0;
    } else if bent("pc_absurd_count") {
        tables.filter.categories = [1 << 30, (&raw const GUID_AUDIO_TYPE).addr()];
    }
}

/// KSATTRIBUTE_LIST.
#[repr(C)]
struct AttributeList {
    count: u32,
    first: *const &'static Attribute,
}

/// KSATTRIBUTE.
#[repr(C)]
struct Attribute {
    bytes: u32,
    flags: u32,
    id: Guid,
}

// SAFETY: constants.
unsafe impl Sync for AttributeList {}

static SHORT: [&Attribute; 1] = [&Attribute { bytes: 16, flags: 0, id: GUID_AUDIO }];
static SHORT_ATTRIBUTES: AttributeList = AttributeList { count: 1, first: SHORT.as_ptr() };
static NO_ATTRIBUTES: AttributeList = AttributeList { count: 0, first: null() };

/// Gives the client pin's range attributes.
fn attributes(tables: &mut Tables, list: &'static AttributeList) {
    tables.range.flags = 2;
    tables.ranges[1] = core::ptr::from_ref(list).cast();
    tables.pins[0].ranges = 2;
}

static CLIENT_ONLY: [[u32; 4]; 1] = [[FILTER, 0, 0, 0]];
static TWO: [[u32; 4]; 2] = [[FILTER, 0, FILTER, 1], [FILTER, 0, FILTER, 7]];
static BRIDGE_ONLY: [[u32; 4]; 1] = [[0, 0, FILTER, 1]];

struct Node([*const Guid; 4]);

// SAFETY: constants.
unsafe impl Sync for Node {}

/// PCNODE_DESCRIPTOR: flags, automation, type, name.
static NODE: Node = Node([null(), null(), &GUID_AUDIO_TYPE, null()]);

/// Changes the description that the port has read.
pub fn change() {
    // SAFETY: wrong on purpose: the port may read it at any time.
    unsafe { (*tables()).filter.connections = 0 };
}

/// PCPROPERTY_REQUEST, as far as it is used.
#[repr(C)]
struct Request {
    before: [usize; 6],
    value_bytes: u32,
    value: *mut u8,
}

/// The handler of the device's property: four zero bytes.
unsafe extern "system" fn property_handler(request: *mut Request) -> NtStatus {
    if (*request).value_bytes == 0 {
        (*request).value_bytes = if bent("pc_property_size_untold") { 0 } else { 4 };
        return BUFFER_OVERFLOW;
    }
    if bent("pc_property_pending") {
        return PENDING;
    }
    (*request).value_bytes = if bent("pc_property_says_more") { 64 } else { 4 };
    let bytes = if bent("pc_property_writes_more") { 5 } else { 4 };
    if bent("pc_property_writes_far") {
        (*request).value.add(0x40).write_volatile(0);
    }
    for index in 0..bytes {
        (*request).value.add(index).write_volatile(0);
    }
    SUCCESS
}
