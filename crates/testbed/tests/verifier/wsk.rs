//! Winsock Kernel.

use crate::rules;

rules! {
    wsk_registered_at_unload: Unload, "unloaded while registered with Winsock Kernel (0 captures)", "thread user";
    wsk_registered_twice: Argument, "twice with one registration block", "WskRegister";
    wsk_registered_without_block: Argument, "called with a null pointer", "WskRegister";
    wsk_registered_without_dispatch: Argument, "without a client dispatch table", "WskRegister";
    wsk_registered_with_reserved: Argument, "Reserved must be zero", "WskRegister";
    wsk_never_registered: Argument, "with a registration that WskRegister did not fill", "WskDeregister";
    wsk_capture_waits_high: Irql, "waits, which IRQL 2 does not allow", "WskCaptureProviderNPI";
    wsk_released_twice: Argument, "more often than WskCaptureProviderNPI succeeded", "WskReleaseProviderNPI";
    wsk_deregistered_with_socket: Deadlock, "every socket closed", "WskDeregister";
    wsk_register_above_passive: Irql, "may be called at IRQL 0 at most, and was called at 1", "WskRegister";
    wsk_socket_without_capture: Argument, "with a client that captured no provider", "WskSocket";
    wsk_socket_with_callbacks: Argument, "client callbacks", "WskSocket";
    wsk_no_request: Argument, "needs an IRP", "WskBind";
    wsk_no_completion_routine: Irp, "needs a completion routine", "WskBind";
    wsk_completion_on_success_only: Irp, "must run on success, on error and on cancel", "WskBind";
    wsk_no_stack_location: Irp, "no stack location left for WskBind", "WskBind";
    wsk_request_in_use: Irp, "passed to WskBind while it is in flight (WskSendTo)", "WskBind";
    wsk_used_after_close: Object, "on a socket that is closed", "WskBind";
    wsk_closed_under_way: Object, "while another call on the socket was under way", "WskCloseSocket";
    wsk_bind_flags: Argument, "the flags are reserved and must be zero", "WskBind";
    wsk_bind_without_address: Argument, "without an address", "WskBind";
    wsk_bind_family: Argument, "an IPv4 socket was given an address of family 23", "WskBind";
    wsk_bind_family_of_v6: Argument, "an IPv6 socket was given an address of family 2", "WskBind";
    wsk_shared_after_bind: Argument, "set before the socket is bound", "WskControlSocket";
    wsk_control_type: Argument, "3 is no type of request", "WskControlSocket";
    wsk_release_of_nothing: Argument, "no datagram was ever indicated", "WskRelease";
    wsk_free_of_no_address: Argument, "without a result of WskGetAddressInfo", "WskFreeAddressInfo";
    wsk_send_unbound: Argument, "must have been bound to a local address", "WskSendTo";
    wsk_send_family: Argument, "an IPv4 socket was given an address of family 23", "WskSendTo";
    wsk_send_flags: Argument, "the flags are reserved and must be zero", "WskSendTo";
    wsk_send_control: Argument, "control information", "WskSendTo";
    wsk_send_no_buffer: Argument, "no WSK_BUF", "WskSendTo";
    wsk_send_beyond_list: Argument, "length 65 is 1 more than its MDLs describe", "WskSendTo";
    wsk_send_unlocked: Argument, "the pages of an MDL are not locked", "WskSendTo";
    wsk_send_from_outside: Argument, "offset 64 lies outside of its first MDL (64 bytes)", "WskSendTo";
    wsk_send_of_freed: Argument, "an MDL describes 32 bytes of", "WskSendTo";
    wsk_bind_high: Irql, "may be called at IRQL 2 at most, and was called at 3", "WskBind";
    wsk_buffer_freed: Pool, "the buffer was freed before the request completed", "WskSendTo";
    wsk_buffer_changed: Argument, "the buffer was changed before the request completed", "WskSendTo";
    wsk_list_freed: Mdl, "a list is freed while WskSendTo uses it", "IoFreeMdl";
    wsk_request_freed: Irp, "freed while it is in flight (WskSendTo)", "IoFreeIrp";
    wsk_pages_freed: Mdl, "pages are freed while WskSendTo uses them", "MmFreePagesFromMdl"
        then Pool "the buffer was freed before the request completed";
    wsk_unloaded_with_socket: Unload, "unloaded while registered with Winsock Kernel (1 captures)", "thread user"
        then Unload "the driver was unloaded with a socket open";
}
