//! Static tables by which a miniport describes its filter, and the request that a property handler gets.
//!
//! PortCls keeps pointers into the tables for as long as the miniport lives and never writes to them,
//! so they are immutable `static`s. They are therefore `Sync` although they hold raw pointers.
#![expect(unsafe_code, reason = "structures with raw pointers are shared between threads")]

use core::ffi::c_void;

use wdk_sys::{NTSTATUS, PIRP, PVOID, ULONG};

use super::PUNKNOWN;
use crate::abi::{
    GUID,
    ks::{KSFILTER_NODE, KSPIN_DESCRIPTOR, KSTOPOLOGY_CONNECTION},
};

/// Describes a whole filter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCFILTER_DESCRIPTOR {
    /// Zero.
    pub Version: ULONG,
    /// Properties of the filter; may be null.
    pub AutomationTable: *const PCAUTOMATION_TABLE,
    /// Bytes of an element of `Pins`.
    pub PinSize: ULONG,
    /// Number of pins.
    pub PinCount: ULONG,
    /// The pins.
    pub Pins: *const PCPIN_DESCRIPTOR,
    /// Bytes of an element of `Nodes`, also when there are none.
    pub NodeSize: ULONG,
    /// Number of nodes.
    pub NodeCount: ULONG,
    /// The nodes.
    pub Nodes: *const PCNODE_DESCRIPTOR,
    /// Number of connections.
    pub ConnectionCount: ULONG,
    /// How pins and nodes are connected.
    pub Connections: *const PCCONNECTION_DESCRIPTOR,
    /// Number of categories.
    pub CategoryCount: ULONG,
    /// What the filter is; the INF registers the same categories.
    pub Categories: *const GUID,
}

/// Describes a pin.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCPIN_DESCRIPTOR {
    /// Most instances of the pin in the system; 0 for a bridge.
    pub MaxGlobalInstanceCount: ULONG,
    /// Most instances of the pin in one filter instance.
    pub MaxFilterInstanceCount: ULONG,
    /// Instances without which the filter does not work.
    pub MinFilterInstanceCount: ULONG,
    /// Properties of the pin; may be null.
    pub AutomationTable: *const PCAUTOMATION_TABLE,
    /// Formats, direction and purpose.
    pub KsPinDescriptor: KSPIN_DESCRIPTOR,
}

/// Describes a node, a function inside the filter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCNODE_DESCRIPTOR {
    /// Zero.
    pub Flags: ULONG,
    /// Properties of the node; may be null.
    pub AutomationTable: *const PCAUTOMATION_TABLE,
    /// What the node does.
    pub Type: *const GUID,
    /// Its name; null to take the type's.
    pub Name: *const GUID,
}

/// A connection between two pins, two nodes, or a pin and a node.
pub type PCCONNECTION_DESCRIPTOR = KSTOPOLOGY_CONNECTION;

/// In a connection: a pin of the filter instead of a node.
pub const PCFILTER_NODE: ULONG = KSFILTER_NODE;

/// The properties, methods and events of a filter, pin or node. Item sizes are multiples of 8.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCAUTOMATION_TABLE {
    /// Bytes of an element of `Properties`.
    pub PropertyItemSize: ULONG,
    /// Number of properties.
    pub PropertyCount: ULONG,
    /// The properties.
    pub Properties: *const PCPROPERTY_ITEM,
    /// Bytes of an element of `Methods`.
    pub MethodItemSize: ULONG,
    /// Number of methods.
    pub MethodCount: ULONG,
    /// The methods.
    pub Methods: *const PCMETHOD_ITEM,
    /// Bytes of an element of `Events`.
    pub EventItemSize: ULONG,
    /// Number of events.
    pub EventCount: ULONG,
    /// The events.
    pub Events: *const PCEVENT_ITEM,
    /// Zero.
    pub Reserved: ULONG,
}

/// A property and the function that handles it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCPROPERTY_ITEM {
    /// Its set.
    pub Set: *const GUID,
    /// Its number in the set.
    pub Id: ULONG,
    /// The verbs that the handler supports.
    pub Flags: ULONG,
    /// The handler.
    pub Handler: PCPFNPROPERTY_HANDLER,
}

/// A method and the function that handles it. The driver has none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCMETHOD_ITEM {
    /// Its set.
    pub Set: *const GUID,
    /// Its number in the set.
    pub Id: ULONG,
    /// The kinds of calls that the handler supports.
    pub Flags: ULONG,
    /// The handler, which takes a `PCMETHOD_REQUEST`.
    pub Handler: unsafe extern "system" fn(MethodRequest: *mut c_void) -> NTSTATUS,
}

/// An event and the function that handles it. The driver has none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCEVENT_ITEM {
    /// Its set.
    pub Set: *const GUID,
    /// Its number in the set.
    pub Id: ULONG,
    /// The kinds of requests that the handler supports.
    pub Flags: ULONG,
    /// The handler, which takes a `PCEVENT_REQUEST`.
    pub Handler: unsafe extern "system" fn(EventRequest: *mut c_void) -> NTSTATUS,
}

/// Handles the requests for one property. PASSIVE.
pub type PCPFNPROPERTY_HANDLER =
    unsafe extern "system" fn(PropertyRequest: *mut PCPROPERTY_REQUEST) -> NTSTATUS;

/// A request for a property.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCPROPERTY_REQUEST {
    /// The miniport, without a reference.
    pub MajorTarget: PUNKNOWN,
    /// The stream, without a reference, or null.
    pub MinorTarget: PUNKNOWN,
    /// The node, or all ones.
    pub Node: ULONG,
    /// The property's entry in the table.
    pub PropertyItem: *const PCPROPERTY_ITEM,
    /// One of `KSPROPERTY_TYPE_*`.
    pub Verb: ULONG,
    /// Bytes at `Instance`.
    pub InstanceSize: ULONG,
    /// What follows KSPROPERTY (or, for a node, KSNODEPROPERTY) in the request.
    pub Instance: PVOID,
    /// Bytes at `Value`; on return the bytes written or needed.
    pub ValueSize: ULONG,
    /// The value.
    pub Value: PVOID,
    /// The request that Windows sent.
    pub Irp: PIRP,
}

/// The handler answers get requests.
pub const PCPROPERTY_ITEM_FLAG_GET: ULONG = crate::abi::ks::KSPROPERTY_TYPE_GET;
/// The handler answers set requests.
pub const PCPROPERTY_ITEM_FLAG_SET: ULONG = crate::abi::ks::KSPROPERTY_TYPE_SET;
/// The handler answers basic support requests.
pub const PCPROPERTY_ITEM_FLAG_BASICSUPPORT: ULONG = crate::abi::ks::KSPROPERTY_TYPE_BASICSUPPORT;

// SAFETY: reading the pointers is `unsafe` and the structure is never written: threads may share it.
unsafe impl Sync for PCFILTER_DESCRIPTOR {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCPIN_DESCRIPTOR {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCNODE_DESCRIPTOR {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCAUTOMATION_TABLE {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCPROPERTY_ITEM {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCMETHOD_ITEM {}
// SAFETY: as for `PCFILTER_DESCRIPTOR`.
unsafe impl Sync for PCEVENT_ITEM {}
