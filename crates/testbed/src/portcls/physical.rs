//! IUnregisterSubdevice and IUnregisterPhysicalConnection, which a driver asks any of its ports for.

use super::adapter::{self, PhysicalConnection};
use super::interfaces::Unknown;
use super::port::Port;
use super::served::{self, UNKNOWN};
use crate::import;
use crate::nt::{DeviceObject, NtStatus, Pvoid, UnicodeString};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{Rule, record};

#[repr(C)]
struct UnregisterSubdevice {
    unknown: Unknown,
    unregister: unsafe extern "efiapi" fn(Pvoid, *mut DeviceObject, Pvoid) -> NtStatus,
}

static UNREGISTER_SUBDEVICE: UnregisterSubdevice =
    UnregisterSubdevice { unknown: UNKNOWN, unregister: IUnregisterSubdevice_UnregisterSubdevice };

#[repr(C)]
struct UnregisterConnection {
    unknown: Unknown,
    between: unsafe extern "efiapi" fn(Pvoid, *mut DeviceObject, Pvoid, u32, Pvoid, u32) -> NtStatus,
    to_external: unsafe extern "efiapi" fn(
        Pvoid,
        *mut DeviceObject,
        Pvoid,
        u32,
        *const UnicodeString,
        u32,
    ) -> NtStatus,
    from_external: unsafe extern "efiapi" fn(
        Pvoid,
        *mut DeviceObject,
        *const UnicodeString,
        u32,
        Pvoid,
        u32,
    ) -> NtStatus,
}

static UNREGISTER_CONNECTION: UnregisterConnection = UnregisterConnection {
    unknown: UNKNOWN,
    between: IUnregisterPhysicalConnection_UnregisterPhysicalConnection,
    to_external: IUnregisterPhysicalConnection_ToExternal,
    from_external: IUnregisterPhysicalConnection_FromExternal,
};

pub(super) fn unregister_subdevice_table() -> *const Unknown {
    (&raw const UNREGISTER_SUBDEVICE).cast()
}

pub(super) fn unregister_connection_table() -> *const Unknown {
    (&raw const UNREGISTER_CONNECTION).cast()
}

import! {
    /// IUnregisterSubdevice::UnregisterSubdevice.
    fn IUnregisterSubdevice_UnregisterSubdevice(this: Pvoid, device: *mut DeviceObject, unknown: Pvoid) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        if served::content::<Port>(this, "IUnregisterSubdevice::UnregisterSubdevice").is_none() {
            NtStatus::INVALID_PARAMETER
        } else {
            unregister_subdevice(device, unknown)
        }
    }

    /// IUnregisterPhysicalConnection::UnregisterPhysicalConnection.
    fn IUnregisterPhysicalConnection_UnregisterPhysicalConnection(this: Pvoid, device: *mut DeviceObject, from: Pvoid,
        from_pin: u32, to: Pvoid, to_pin: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        if served::content::<Port>(this, "IUnregisterPhysicalConnection").is_none() {
            NtStatus::INVALID_PARAMETER
        } else {
            unregister_connection(device, from, from_pin, to, to_pin)
        }
    }

    /// IUnregisterPhysicalConnection::UnregisterPhysicalConnectionToExternal: none can be registered here.
    fn IUnregisterPhysicalConnection_ToExternal(this: Pvoid, device: *mut DeviceObject, from: Pvoid, from_pin: u32,
        to: *const UnicodeString, to_pin: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, device, from, from_pin, to, to_pin);
        NtStatus::NOT_FOUND
    }

    /// IUnregisterPhysicalConnection::UnregisterPhysicalConnectionFromExternal: none can be registered here.
    fn IUnregisterPhysicalConnection_FromExternal(this: Pvoid, device: *mut DeviceObject, from: *const UnicodeString,
        from_pin: u32, to: Pvoid, to_pin: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, device, from, from_pin, to, to_pin);
        NtStatus::NOT_FOUND
    }
}

fn unregister_subdevice(device: *mut DeviceObject, unknown: Pvoid) -> NtStatus {
    let (Some(adapter), Some(port)) = (adapter::find(device), served::owner(unknown)) else {
        record(Rule::Argument, "UnregisterSubdevice: no such device, or the object passed is not a port");
        return NtStatus::INVALID_PARAMETER;
    };
    // Dropped after the list is no longer borrowed: it may be the last reference.
    let removed = {
        let mut subdevices = adapter.subdevices.borrow_mut();
        let index = subdevices.iter().position(|subdevice| std::ptr::eq(&**subdevice.port.served(), &*port));
        index.map(|index| subdevices.remove(index))
    };
    match removed {
        Some(subdevice) => {
            adapter.drop_connections_of(&port);
            drop(subdevice);
            NtStatus::SUCCESS
        }
        None => {
            record(Rule::Argument, "UnregisterSubdevice was called for a port that is not registered");
            NtStatus::NOT_FOUND
        }
    }
}

fn unregister_connection(
    device: *mut DeviceObject,
    from: Pvoid,
    from_pin: u32,
    to: Pvoid,
    to_pin: u32,
) -> NtStatus {
    let (Some(adapter), Some(from), Some(to)) =
        (adapter::find(device), served::owner(from), served::owner(to))
    else {
        record(
            Rule::Argument,
            "UnregisterPhysicalConnection: no such device, or an object passed is not a port",
        );
        return NtStatus::INVALID_PARAMETER;
    };
    let removed = {
        let mut connections = adapter.connections.borrow_mut();
        let same = |connection: &PhysicalConnection| connection.is(&from, from_pin, &to, to_pin);
        let index = connections.iter().position(same);
        index.map(|index| connections.remove(index))
    };
    if removed.is_none() {
        record(
            Rule::Argument,
            "UnregisterPhysicalConnection was called for a connection that is not registered",
        );
    }
    removed.map_or(NtStatus::NOT_FOUND, |_| NtStatus::SUCCESS)
}
