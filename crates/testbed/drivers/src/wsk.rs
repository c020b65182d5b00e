//! Winsock Kernel: registration, sockets, and the buffers of asynchronous calls.
//!
//! In the machine of these tests sends complete after a millisecond, and everything else before the call returns.

use core::ptr::{null, null_mut};

use crate::Case;
use crate::nt::*;
use crate::wsk_calls::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("wsk_registered_at_unload", registered_at_unload),
    ("wsk_registered_twice", registered_twice),
    ("wsk_registered_without_block", registered_without_block),
    ("wsk_registered_without_dispatch", registered_without_dispatch),
    ("wsk_registered_with_reserved", registered_with_reserved),
    ("wsk_never_registered", never_registered),
    ("wsk_capture_waits_high", capture_waits_high),
    ("wsk_released_twice", released_twice),
    ("wsk_deregistered_with_socket", deregistered_with_socket),
    ("wsk_register_above_passive", register_above_passive),
    ("wsk_socket_without_capture", socket_without_capture),
    ("wsk_socket_with_callbacks", socket_with_callbacks),
    ("wsk_no_request", no_request),
    ("wsk_no_completion_routine", no_completion_routine),
    ("wsk_completion_on_success_only", completion_on_success_only),
    ("wsk_no_stack_location", no_stack_location),
    ("wsk_request_in_use", request_in_use),
    ("wsk_used_after_close", used_after_close),
    ("wsk_closed_under_way", closed_under_way),
    ("wsk_bind_flags", bind_flags),
    ("wsk_bind_without_address", bind_without_address),
    ("wsk_bind_family", bind_family),
    ("wsk_bind_family_of_v6", bind_family_of_v6),
    ("wsk_shared_after_bind", shared_after_bind),
    ("wsk_control_type", control_type),
    ("wsk_release_of_nothing", release_of_nothing),
    ("wsk_free_of_no_address", free_of_no_address),
    ("wsk_send_unbound", send_unbound),
    ("wsk_send_family", send_family),
    ("wsk_send_flags", send_flags),
    ("wsk_send_control", send_control),
    ("wsk_send_no_buffer", send_no_buffer),
    ("wsk_send_beyond_list", send_beyond_list),
    ("wsk_send_unlocked", send_unlocked),
    ("wsk_send_from_outside", send_from_outside),
    ("wsk_send_of_freed", send_of_freed),
    ("wsk_bind_high", bind_high),
    ("wsk_buffer_freed", buffer_freed),
    ("wsk_buffer_changed", buffer_changed),
    ("wsk_list_freed", list_freed),
    ("wsk_request_freed", request_freed),
    ("wsk_pages_freed", pages_freed),
    ("wsk_unloaded_with_socket", unloaded_with_socket),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn registered_at_unload(well: bool) -> NtStatus {
    register();
    if well {
        WskDeregister(registration());
    }
    SUCCESS
}

unsafe fn registered_twice(well: bool) -> NtStatus {
    register();
    if !well {
        register();
    }
    WskDeregister(registration());
    SUCCESS
}

unsafe fn registered_without_block(well: bool) -> NtStatus {
    if !well {
        WskRegister(client(&DISPATCH), null_mut());
    }
    SUCCESS
}

unsafe fn registered_without_dispatch(well: bool) -> NtStatus {
    if WskRegister(client(if well { &DISPATCH } else { null() }), registration()) == SUCCESS {
        WskDeregister(registration());
    }
    SUCCESS
}

unsafe fn registered_with_reserved(well: bool) -> NtStatus {
    static RESERVED: ClientDispatch = ClientDispatch { version: 0x100, reserved: 1, event: 0 };
    WskRegister(client(if well { &DISPATCH } else { &RESERVED }), registration());
    WskDeregister(registration());
    SUCCESS
}

unsafe fn never_registered(well: bool) -> NtStatus {
    if well {
        register();
    }
    WskDeregister(registration());
    SUCCESS
}

unsafe fn capture_waits_high(well: bool) -> NtStatus {
    register();
    let old = KeRaiseIrqlToDpcLevel();
    let mut provider = Provider::NONE;
    let captured = WskCaptureProviderNPI(registration(), if well { 0 } else { 10 }, &mut provider);
    KeLowerIrql(old);
    if captured == SUCCESS {
        WskReleaseProviderNPI(registration());
    }
    WskDeregister(registration());
    SUCCESS
}

unsafe fn released_twice(well: bool) -> NtStatus {
    capture();
    WskReleaseProviderNPI(registration());
    if !well {
        WskReleaseProviderNPI(registration());
    }
    WskDeregister(registration());
    SUCCESS
}

unsafe fn deregistered_with_socket(well: bool) -> NtStatus {
    let net = Net::open(true);
    if well {
        return net.close();
    }
    WskReleaseProviderNPI(registration());
    WskDeregister(registration());
    SUCCESS
}

unsafe fn register_above_passive(well: bool) -> NtStatus {
    let old = KfRaiseIrql(if well { PASSIVE } else { APC });
    register();
    KeLowerIrql(old);
    WskDeregister(registration());
    SUCCESS
}

unsafe fn socket_without_capture(well: bool) -> NtStatus {
    let provider = capture();
    if !well {
        WskReleaseProviderNPI(registration());
        let none = null_mut();
        wait_for(|irp| {
            // SAFETY: as above.
            unsafe {
                ((*provider.dispatch).socket)(provider.client, 2, 2, 17, 4, none, none, none, none, none, irp)
            }
        });
    } else {
        WskReleaseProviderNPI(registration());
    }
    WskDeregister(registration());
    SUCCESS
}

unsafe fn socket_with_callbacks(well: bool) -> NtStatus {
    let provider = capture();
    let none = null_mut();
    let callbacks = if well { none } else { slot(1) };
    let socket = wait_for(|irp| {
        // SAFETY: as above.
        unsafe {
            ((*provider.dispatch).socket)(
                provider.client,
                2,
                2,
                17,
                4,
                none,
                callbacks,
                none,
                none,
                none,
                irp,
            )
        }
    });
    let socket = core::ptr::with_exposed_provenance_mut(socket);
    Net { provider, socket }.close()
}

/// Binds with a request that was made in another way.
unsafe fn bind_with(net: &Net, irp: *mut Irp) {
    ((*net.functions()).bind)(net.socket, &ANY, 0, irp);
}

unsafe fn no_request(well: bool) -> NtStatus {
    let net = Net::open(false);
    if well {
        net.bind(&ANY, 0);
    } else {
        bind_with(&net, null_mut());
    }
    net.close()
}

unsafe fn no_completion_routine(well: bool) -> NtStatus {
    let net = Net::open(false);
    let irp = request();
    if !well {
        (*(*irp).location.sub(1)).routine = None;
    }
    bind_with(&net, irp);
    IoFreeIrp(irp);
    net.close()
}

unsafe fn completion_on_success_only(well: bool) -> NtStatus {
    let net = Net::open(false);
    let irp = request();
    if !well {
        (*(*irp).location.sub(1)).control = 0x40;
    }
    bind_with(&net, irp);
    IoFreeIrp(irp);
    net.close()
}

unsafe fn no_stack_location(well: bool) -> NtStatus {
    let net = Net::open(false);
    let irp = request();
    if !well {
        // As if a driver above had used the only location.
        irp.cast::<u8>().add(0x43).write(1);
    }
    bind_with(&net, irp);
    IoFreeIrp(irp);
    net.close()
}

unsafe fn request_in_use(well: bool) -> NtStatus {
    let net = Net::open(true);
    let send = net.send_later();
    if well {
        send.finish();
        net.bind(&ANY, 0);
    } else {
        bind_with(&net, send.irp);
    }
    net.close()
}

unsafe fn used_after_close(well: bool) -> NtStatus {
    let net = Net::open(false);
    if well {
        net.bind(&ANY, 0);
    }
    let (socket, functions) = (net.socket, net.functions());
    net.close_socket();
    if !well {
        let irp = request();
        ((*functions).bind)(socket, &ANY, 0, irp);
        IoFreeIrp(irp);
    }
    net.close_client()
}

unsafe extern "system" fn close_inside(_device: *mut DeviceObject, _irp: *mut Irp, net: Pvoid) -> NtStatus {
    (*net.cast::<Net>()).close_socket();
    MORE_PROCESSING
}

unsafe fn closed_under_way(well: bool) -> NtStatus {
    let mut net = Net::open(false);
    if well {
        net.bind(&ANY, 0);
        return net.close();
    }
    let irp = request();
    let location = (*irp).location.sub(1);
    (*location).routine = Some(close_inside);
    (*location).context = (&raw mut net).cast();
    bind_with(&net, irp);
    IoFreeIrp(irp);
    net.close_client()
}

unsafe fn bind_flags(well: bool) -> NtStatus {
    let net = Net::open(false);
    net.bind(&ANY, u32::from(!well));
    net.close()
}

unsafe fn bind_without_address(well: bool) -> NtStatus {
    let net = Net::open(false);
    net.bind(if well { &ANY } else { null() }, 0);
    net.close()
}

unsafe fn bind_family(well: bool) -> NtStatus {
    let net = Net::open(false);
    let other = Address { family: 23, ..ANY };
    net.bind(if well { &ANY } else { &other }, 0);
    net.close()
}

unsafe fn bind_family_of_v6(well: bool) -> NtStatus {
    let net = Net::open_of(V6);
    net.bind(if well { (&raw const ANY_V6).cast() } else { &ANY }, 0);
    net.close()
}

unsafe fn control(net: &Net, request: u32, code: u32, level: u32) {
    let input = block::<u32>(4);
    input.write(1);
    let (function, none) = ((*net.functions()).control, null_mut());
    wait_for(|irp| {
        // SAFETY: as above.
        unsafe { function(net.socket, request, code, level, 4, input.cast(), 0, none, null_mut(), irp) }
    });
    ExFreePool(input.cast());
}

unsafe fn shared_after_bind(well: bool) -> NtStatus {
    let net = Net::open(!well);
    // SO_REUSEADDR of SOL_SOCKET.
    control(&net, 0, 4, 0xFFFF);
    net.close()
}

unsafe fn control_type(well: bool) -> NtStatus {
    let net = Net::open(false);
    control(&net, if well { 0 } else { 3 }, 4, 0xFFFF);
    net.close()
}

unsafe fn release_of_nothing(well: bool) -> NtStatus {
    let net = Net::open(true);
    if !well {
        ((*net.functions()).release)(net.socket, slot(1));
    }
    net.close()
}

unsafe fn free_of_no_address(well: bool) -> NtStatus {
    let net = Net::open(true);
    if !well {
        ((*net.provider.dispatch).free_address_info)(net.provider.client, slot(1));
    }
    net.close()
}

unsafe fn send_unbound(well: bool) -> NtStatus {
    let net = Net::open(well);
    net.send_later().finish();
    net.close()
}

unsafe fn send_family(well: bool) -> NtStatus {
    let net = Net::open(true);
    let list = IoAllocateMdl(slot(3), 64, 0, 0, null_mut());
    MmBuildMdlForNonPagedPool(list);
    net.send_list_to(list, 0, if well { &GROUP } else { (&raw const ANY_V6).cast() }).finish();
    net.close()
}

unsafe fn send_flags(well: bool) -> NtStatus {
    let net = Net::open(true);
    net.send_with(64, u32::from(!well), 0, false).finish();
    net.close()
}

unsafe fn send_control(well: bool) -> NtStatus {
    let net = Net::open(true);
    net.send_with(64, 0, if well { 0 } else { 16 }, false).finish();
    net.close()
}

unsafe fn send_no_buffer(well: bool) -> NtStatus {
    let net = Net::open(true);
    net.send_with(64, 0, 0, !well).finish();
    net.close()
}

unsafe fn send_beyond_list(well: bool) -> NtStatus {
    let net = Net::open(true);
    net.send_with(if well { 64 } else { 65 }, 0, 0, false).finish();
    net.close()
}

unsafe fn send_unlocked(well: bool) -> NtStatus {
    let net = Net::open(true);
    let list = IoAllocateMdl(slot(3), 64, 0, 0, null_mut());
    if well {
        MmBuildMdlForNonPagedPool(list);
    }
    net.send_list(list, 0).finish();
    net.close()
}

unsafe fn send_from_outside(well: bool) -> NtStatus {
    let net = Net::open(true);
    let list = IoAllocateMdl(slot(3), 64, 0, 0, null_mut());
    MmBuildMdlForNonPagedPool(list);
    net.send_list(list, if well { 0 } else { 64 }).finish();
    net.close()
}

unsafe fn send_of_freed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let buffer = block::<u8>(64);
    let list = IoAllocateMdl(buffer.cast(), 64, 0, 0, null_mut());
    MmBuildMdlForNonPagedPool(list);
    if !well {
        ExFreePool(buffer.cast());
    }
    net.send_list(list, 0).finish();
    if well {
        ExFreePool(buffer.cast());
    }
    net.close()
}

unsafe extern "system" fn take_back(_device: *mut DeviceObject, _irp: *mut Irp, _context: Pvoid) -> NtStatus {
    MORE_PROCESSING
}

unsafe fn bind_high(well: bool) -> NtStatus {
    let net = Net::open(false);
    let functions = net.functions();
    let irp = request();
    (*(*irp).location.sub(1)).routine = Some(take_back);
    let old = KfRaiseIrql(if well { 2 } else { 3 });
    ((*functions).bind)(net.socket, &ANY, 0, irp);
    KeLowerIrql(old);
    IoFreeIrp(irp);
    net.close()
}

unsafe fn buffer_freed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let send = net.send_later();
    if well {
        sleep(2);
    }
    ExFreePool(send.buffer.cast());
    send.finish_but_for_buffer();
    net.close()
}

unsafe fn buffer_changed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let send = net.send_later();
    if well {
        sleep(2);
    }
    send.buffer.write(0xEE);
    send.finish();
    net.close()
}

unsafe fn list_freed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let send = net.send_later();
    if well {
        sleep(2);
    }
    IoFreeMdl(send.list);
    send.wait();
    IoFreeIrp(send.irp);
    ExFreePool(send.buffer.cast());
    net.close()
}

unsafe fn request_freed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let send = net.send_later();
    if well {
        send.finish();
        return net.close();
    }
    IoFreeIrp(send.irp);
    // The completion that follows finds no request, and stops there.
    sleep(2);
    SUCCESS
}

unsafe fn pages_freed(well: bool) -> NtStatus {
    let net = Net::open(true);
    let pages = MmAllocatePagesForMdl(0, u64::MAX, 0, 0x1000);
    let mapped = MmMapLockedPagesSpecifyCache(pages, 0, 1, null_mut(), 0, 16);
    let send = net.send_list(pages, 0);
    if well {
        sleep(2);
    }
    MmUnmapLockedPages(mapped, pages);
    MmFreePagesFromMdl(pages);
    send.wait();
    IoFreeIrp(send.irp);
    ExFreePool(pages.cast());
    net.close()
}

unsafe fn unloaded_with_socket(well: bool) -> NtStatus {
    let net = Net::open(false);
    if well { net.close() } else { SUCCESS }
}
