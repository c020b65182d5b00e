//! A filter as a miniport describes it: read once, checked against every rule of the headers and the documentation.
//!
//! PortCls keeps pointers into the description for as long as the miniport lives, so everything must be in the
//! driver's image or in non-paged pool, and must not change; [`Filter::check_unchanged`] compares.

use super::abi::{
    Attribute, AttributeList, AudioRange, AutomationTable, Connection, DataRange, FILTER_NODE,
    FLAG_ATTRIBUTES, FLAG_REQUIRED_ATTRIBUTES, FilterDescriptor, NodeDescriptor, PinDescriptor, PropertyItem,
    communication, data_flow, guid,
};
use super::property::Property;
use crate::memory;
use crate::nt::Guid;
use crate::verifier::{Rule, record};

/// More of anything than a sound driver has: a count beyond it is garbage.
const ABSURD: u32 = 1000;

/// What a miniport described.
pub(super) struct Filter {
    name: String,
    source: *const FilterDescriptor,
    raw: FilterDescriptor,
    pub(super) automation: *const AutomationTable,
    pub(super) pins: Vec<Pin>,
    pub(super) nodes: Vec<NodeDescriptor>,
    pub(super) connections: Vec<Connection>,
}

/// One pin factory.
pub(super) struct Pin {
    pub(super) descriptor: PinDescriptor,
    /// The data ranges, without attribute lists.
    pub(super) ranges: Vec<*const DataRange>,
    /// All entries of the array: ranges and attribute lists.
    entries: Vec<*const DataRange>,
    pub(super) category: Option<Guid>,
}

/// Reads a value of the driver's that must be readable and aligned; records a violation when it is not.
fn read<T: Copy>(name: &str, what: &str, pointer: *const T) -> Option<T> {
    let address = pointer.addr();
    let readable =
        memory::block_at(address).is_some_and(|(start, bytes)| address + size_of::<T>() <= start + bytes);
    if !readable {
        record(Rule::Argument, format!("{name}: {what} is {}", memory::describe(address)));
        return None;
    }
    if !address.is_multiple_of(align_of::<T>()) {
        record(Rule::Argument, format!("{name}: {what} at {address:#x} is not aligned"));
        return None;
    }
    // SAFETY: readable and aligned, as has just been found out; any bit pattern is a value of these types.
    Some(unsafe { *pointer })
}

/// Reads an array with a stride.
fn read_all<T: Copy>(name: &str, what: &str, first: *const T, stride: usize, count: u32) -> Vec<T> {
    if count > ABSURD {
        record(Rule::Argument, format!("{name}: {count} {what}s"));
        return Vec::new();
    }
    (0..count as usize).map_while(|index| read(name, what, first.wrapping_byte_add(index * stride))).collect()
}

#[track_caller]
fn complain(name: &str, text: impl std::fmt::Display) {
    record(Rule::Argument, format!("{name}: {text}"));
}

impl Filter {
    /// Reads and checks a description.
    pub(super) fn read(name: &str, source: *const FilterDescriptor) -> Option<Self> {
        let raw = read(name, "PCFILTER_DESCRIPTOR", source)?;
        if raw.version != 0 {
            complain(name, format_args!("PCFILTER_DESCRIPTOR.Version is {}, not 0", raw.version));
        }
        check_automation(name, "the filter", raw.automation);
        check_item_size(name, "PinSize", raw.pin_size, size_of::<PinDescriptor>(), raw.pin_count);
        check_item_size(name, "NodeSize", raw.node_size, size_of::<NodeDescriptor>(), raw.node_count);
        if raw.pin_count == 0 {
            complain(name, "a filter without pins");
        }
        let pins = read_all(name, "PCPIN_DESCRIPTOR", raw.pins, raw.pin_size as usize, raw.pin_count);
        let pins: Vec<Pin> = pins.iter().enumerate().map(|(id, pin)| Pin::read(name, id, pin)).collect();
        let nodes = read_all(name, "PCNODE_DESCRIPTOR", raw.nodes, raw.node_size as usize, raw.node_count);
        for (id, node) in nodes.iter().enumerate() {
            check_automation(name, &format!("node {id}"), node.automation);
            read(name, "the type of a node", node.kind);
        }
        let connections = read_all(
            name,
            "PCCONNECTION_DESCRIPTOR",
            raw.connections,
            size_of::<Connection>(),
            raw.connection_count,
        );
        read_all(name, "category", raw.categories, size_of::<Guid>(), raw.category_count);
        let filter =
            Self { name: name.to_owned(), source, raw, automation: raw.automation, pins, nodes, connections };
        filter.check_connections();
        Some(filter)
    }

    fn check_connections(&self) {
        for connection in &self.connections {
            for (node, pin) in
                [(connection.from_node, connection.from_pin), (connection.to_node, connection.to_pin)]
            {
                let exists = if node == FILTER_NODE {
                    (pin as usize) < self.pins.len()
                } else {
                    (node as usize) < self.nodes.len()
                };
                if !exists {
                    complain(
                        &self.name,
                        format_args!("{connection:?} names a pin or node that does not exist"),
                    );
                }
            }
            let flow = |pin: u32| self.pins.get(pin as usize).map(|pin| pin.descriptor.ks.data_flow);
            let from_wrong =
                connection.from_node == FILTER_NODE && flow(connection.from_pin) == Some(data_flow::OUT);
            let to_wrong =
                connection.to_node == FILTER_NODE && flow(connection.to_pin) == Some(data_flow::IN);
            if from_wrong || to_wrong {
                complain(&self.name, format_args!("{connection:?} runs against the data flow of its pins"));
            }
        }
        for (id, pin) in self.pins.iter().enumerate() {
            let id = id as u32;
            let connected = self.connections.iter().any(|connection| {
                (connection.from_node == FILTER_NODE && connection.from_pin == id)
                    || (connection.to_node == FILTER_NODE && connection.to_pin == id)
            });
            if !connected {
                complain(
                    &self.name,
                    format_args!("pin {id} (category {:?}) is not connected to anything", pin.category),
                );
            }
        }
    }

    /// Records when the description is no longer what it was.
    pub(super) fn check_unchanged(&self) {
        let Some(now) = read(&self.name, "PCFILTER_DESCRIPTOR", self.source) else { return };
        let same = now.pin_count == self.raw.pin_count
            && now.pins == self.raw.pins
            && now.automation == self.raw.automation
            && now.connection_count == self.raw.connection_count;
        if !same {
            complain(&self.name, "the filter description was changed while the port uses it");
        }
    }
}

impl Pin {
    fn read(name: &str, id: usize, descriptor: &PinDescriptor) -> Self {
        let ks = &descriptor.ks;
        let own = format!("{name}, pin {id}");
        check_automation(&own, "the pin", descriptor.automation);
        if ks.data_flow != data_flow::IN && ks.data_flow != data_flow::OUT {
            complain(&own, format_args!("data flow {} is neither in nor out", ks.data_flow));
        }
        if ks.communication > communication::BRIDGE {
            complain(&own, format_args!("communication {} does not exist", ks.communication));
        }
        check_instances(&own, descriptor);
        let category = (!ks.category.is_null()).then(|| read(&own, "the category", ks.category)).flatten();
        if !ks.name.is_null() {
            read(&own, "the name", ks.name);
        }
        read_all(&own, "interface", ks.interfaces, 24, ks.interfaces_count);
        read_all(&own, "medium", ks.mediums, 24, ks.mediums_count);
        let entries =
            read_all(&own, "data range pointer", ks.data_ranges, size_of::<usize>(), ks.data_ranges_count);
        if entries.is_empty() {
            complain(&own, "no data ranges");
        }
        let ranges = check_ranges(&own, &entries);
        Self { descriptor: *descriptor, ranges, entries, category }
    }

    /// A bridge pin ends in the outside world: no client opens it.
    pub(super) fn is_bridge(&self) -> bool {
        matches!(self.descriptor.ks.communication, communication::NONE | communication::BRIDGE)
    }

    /// What KSPROPERTY_PIN_DATARANGES gives: each range, padded to 8 bytes, its attributes behind it.
    pub(super) fn data_ranges(&self) -> (u32, Vec<u8>) {
        let mut bytes = Vec::new();
        let mut count = 0;
        let mut attributes_follow = false;
        for entry in &self.entries {
            if attributes_follow {
                attributes_follow = false;
                append_attributes(&mut bytes, entry.cast());
            } else {
                // SAFETY: `check_ranges` has found the entry readable, with as many bytes as it says.
                let range = unsafe { **entry };
                // SAFETY: as above.
                bytes.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(entry.cast::<u8>(), range.format_size as usize)
                });
                attributes_follow = range.flags & FLAG_ATTRIBUTES != 0;
                count += 1;
            }
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        (count, bytes)
    }
}

fn append_attributes(bytes: &mut Vec<u8>, list: *const AttributeList) {
    // SAFETY: `check_ranges` has found the list readable.
    let list = unsafe { *list };
    let mut items = Vec::new();
    for index in 0..list.count as usize {
        // SAFETY: `check_attributes` has found the entries readable.
        let attribute = unsafe { *list.attributes.add(index) };
        // SAFETY: as above, with as many bytes as it says.
        let size = unsafe { (*attribute).size } as usize;
        // SAFETY: as above.
        items.extend_from_slice(unsafe { std::slice::from_raw_parts(attribute.cast::<u8>(), size) });
        items.resize(items.len().next_multiple_of(8), 0);
    }
    bytes.extend_from_slice(&(8 + items.len() as u32).to_ne_bytes());
    bytes.extend_from_slice(&list.count.to_ne_bytes());
    bytes.extend_from_slice(&items);
}

fn check_instances(name: &str, pin: &PinDescriptor) {
    let PinDescriptor { max_global_instances, max_filter_instances, min_filter_instances, .. } = *pin;
    let bridge = matches!(pin.ks.communication, communication::NONE | communication::BRIDGE);
    if bridge && (max_global_instances, max_filter_instances) != (0, 0) {
        complain(name, "a bridge pin that says it can be opened");
    }
    if !bridge && (max_global_instances == 0 || max_filter_instances == 0) {
        complain(name, "a pin for clients that allows no instance");
    }
    if min_filter_instances > max_filter_instances {
        complain(
            name,
            format_args!("at least {min_filter_instances} and at most {max_filter_instances} instances"),
        );
    }
}

/// The entries that are ranges, after the rules of ranges and attributes.
fn check_ranges(name: &str, entries: &[*const DataRange]) -> Vec<*const DataRange> {
    let mut ranges = Vec::new();
    let mut attributes_follow = false;
    for entry in entries {
        if attributes_follow {
            attributes_follow = false;
            check_attributes(name, entry.cast());
            continue;
        }
        let Some(range) = read(name, "KSDATARANGE", *entry) else { break };
        check_range(name, *entry, &range);
        attributes_follow = range.flags & FLAG_ATTRIBUTES != 0;
        if range.flags & FLAG_REQUIRED_ATTRIBUTES != 0 && !attributes_follow {
            complain(name, "a data range requires attributes and has none");
        }
        ranges.push(*entry);
    }
    if attributes_follow {
        complain(name, "the last data range says that attributes follow, but the array ends");
    }
    ranges
}

fn check_range(name: &str, source: *const DataRange, range: &DataRange) {
    if (range.format_size as usize) < size_of::<DataRange>() {
        complain(name, format_args!("a data range of {} bytes", range.format_size));
        return;
    }
    let is_audio = range.major_format == guid::KSDATAFORMAT_TYPE_AUDIO;
    let is_wave = is_audio && range.specifier == guid::KSDATAFORMAT_SPECIFIER_WAVEFORMATEX;
    if !is_wave {
        return;
    }
    if range.format_size as usize != size_of::<AudioRange>() {
        complain(name, format_args!("an audio data range of {} bytes, not 88", range.format_size));
        return;
    }
    let Some(audio) = read(name, "KSDATARANGE_AUDIO", source.cast::<AudioRange>()) else { return };
    if audio.minimum_bits > audio.maximum_bits
        || audio.minimum_rate > audio.maximum_rate
        || audio.maximum_channels == 0
    {
        complain(name, format_args!("{audio:?} contains no format"));
    }
}

fn check_attributes(name: &str, list: *const AttributeList) {
    let Some(list) = read(name, "KSATTRIBUTE_LIST", list) else { return };
    if list.count == 0 {
        complain(name, "an empty list of attributes");
    }
    for pointer in read_all(name, "attribute pointer", list.attributes, size_of::<usize>(), list.count) {
        let Some(attribute) = read::<Attribute>(name, "KSATTRIBUTE", pointer) else { continue };
        if (attribute.size as usize) < size_of::<Attribute>() {
            complain(name, format_args!("an attribute of {} bytes", attribute.size));
        }
    }
}

/// PCPROPERTY_ITEM and its siblings may be longer than the structure, in steps of 8 bytes.
fn check_item_size(name: &str, field: &str, size: u32, least: usize, count: u32) {
    if count > 0 && ((size as usize) < least || !size.is_multiple_of(8)) {
        complain(name, format_args!("{field} is {size}; it must be a multiple of 8 and at least {least}"));
    }
}

fn check_automation(name: &str, of: &str, table: *const AutomationTable) {
    if table.is_null() {
        return;
    }
    let Some(table) = read(name, &format!("the automation table of {of}"), table) else { return };
    check_item_size(
        name,
        "PropertyItemSize",
        table.property_item_size,
        size_of::<PropertyItem>(),
        table.property_count,
    );
    check_item_size(name, "MethodItemSize", table.method_item_size, 24, table.method_count);
    check_item_size(name, "EventItemSize", table.event_item_size, 24, table.event_count);
    for item in properties(name, &table) {
        // SAFETY: `properties` gives readable items only.
        let item = unsafe { *item };
        read(name, "the set of a property", item.set);
        match item.handler {
            None => complain(name, format_args!("property {} of {of} has no handler", item.id)),
            Some(handler) if memory::block_at(handler as usize).is_none() => {
                complain(
                    name,
                    format_args!(
                        "the handler of property {} is {}",
                        item.id,
                        memory::describe(handler as usize)
                    ),
                );
            }
            Some(_) => {}
        }
    }
}

fn properties(name: &str, table: &AutomationTable) -> Vec<*const PropertyItem> {
    let count = if table.property_count > ABSURD { 0 } else { table.property_count as usize };
    let items =
        (0..count).map(|index| table.properties.wrapping_byte_add(index * table.property_item_size as usize));
    items.take_while(|item| read(name, "PCPROPERTY_ITEM", *item).is_some()).collect()
}

/// The properties in an automation table, which may be null; the verb of each has all the flags of its item.
pub(super) fn known_properties(table: *const AutomationTable) -> Vec<Property> {
    if table.is_null() {
        return Vec::new();
    }
    // SAFETY: the table was checked when the filter was described.
    let table = unsafe { *table };
    let property = |item: *const PropertyItem| {
        // SAFETY: `properties` gives readable items only.
        let item = unsafe { *item };
        // SAFETY: the set was checked when the filter was described.
        Property { set: unsafe { *item.set }, id: item.id, verb: item.flags }
    };
    properties("an automation table", &table).into_iter().map(property).collect()
}

/// The item of a property in an automation table, which may be null.
pub(super) fn find_property(
    table: *const AutomationTable,
    set: &Guid,
    id: u32,
) -> Option<*const PropertyItem> {
    if table.is_null() {
        return None;
    }
    // SAFETY: the table was checked when the filter was described.
    let table = unsafe { *table };
    properties("an automation table", &table).into_iter().find(|item| {
        // SAFETY: `properties` gives readable items only.
        let item = unsafe { **item };
        // SAFETY: the set was checked when the filter was described.
        item.id == id && unsafe { *item.set } == *set
    })
}
