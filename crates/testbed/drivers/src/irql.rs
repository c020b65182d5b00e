//! The IRQL, the stack, the registry and other functions that have a highest level.

use core::hint::black_box;
use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("irql_call_too_high", call_too_high),
    ("irql_wait_at_dispatch", wait_at_dispatch),
    ("irql_raise_lowers", raise_lowers),
    ("irql_lower_raises", lower_raises),
    ("irql_unbalanced", unbalanced),
    ("irql_pageable_code", pageable_code),
    ("irql_unicode_print", unicode_print),
    ("stack_use", stack_use),
    ("registry_handle_leaked", registry_handle_leaked),
    ("registry_user_handle", registry_user_handle),
    ("registry_above_passive", registry_above_passive),
    ("argument_version_size", version_size),
    ("argument_copy_overlaps", copy_overlaps),
    ("argument_print_conversion", print_conversion),
    ("argument_event_type", event_type),
    ("argument_wait_count", wait_count),
    ("argument_wait_type", wait_type),
    ("deadlock", deadlock),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn call_too_high(well: bool) -> NtStatus {
    let event = event();
    let old = KfRaiseIrql(if well { 2 } else { 12 });
    KeSetEvent(event, 0, 0);
    KeLowerIrql(old);
    SUCCESS
}

unsafe fn wait_at_dispatch(well: bool) -> NtStatus {
    let event = event();
    KeSetEvent(event, 0, 0);
    let old = KeRaiseIrqlToDpcLevel();
    let timeout: *const i64 = if well { &0 } else { &MILLISECOND };
    KeWaitForSingleObject(event, 0, 0, 0, timeout);
    KeLowerIrql(old);
    SUCCESS
}

unsafe fn raise_lowers(well: bool) -> NtStatus {
    KfRaiseIrql(if well { APC } else { 2 });
    KfRaiseIrql(APC);
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe fn lower_raises(well: bool) -> NtStatus {
    KeLowerIrql(if well { PASSIVE } else { APC });
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe fn unbalanced(well: bool) -> NtStatus {
    let old = KeRaiseIrqlToDpcLevel();
    if well {
        KeLowerIrql(old);
    }
    SUCCESS
}

// SAFETY: the section is that of pageable code.
#[unsafe(link_section = "PAGE")]
#[inline(never)]
extern "system" fn pageable(value: u32) -> u32 {
    black_box(value) + 1
}

unsafe fn pageable_code(well: bool) -> NtStatus {
    let function: extern "system" fn(u32) -> u32 = black_box(pageable);
    if well {
        function(1);
    }
    let old = KeRaiseIrqlToDpcLevel();
    if !well {
        function(1);
    }
    KeLowerIrql(old);
    SUCCESS
}

unsafe fn unicode_print(well: bool) -> NtStatus {
    let old = KfRaiseIrql(if well { PASSIVE } else { APC });
    let text = [u16::from(b'a'), 0];
    DbgPrint(c"%ws\n".as_ptr(), text.as_ptr());
    KeLowerIrql(old);
    SUCCESS
}

#[inline(never)]
fn deep(levels: usize) -> u8 {
    let mut local = [levels as u8; 3000];
    black_box(&mut local);
    let below = if levels == 0 { unsafe { KeGetCurrentIrql() } } else { deep(levels - 1) };
    black_box(&local)[levels] + below
}

unsafe fn stack_use(well: bool) -> NtStatus {
    deep(if well { 1 } else { 5 });
    SUCCESS
}

unsafe fn open_key(attributes: u32) -> Pvoid {
    let attributes = ObjectAttributes::new(crate::path(), attributes);
    let mut handle = null_mut();
    ZwOpenKey(&mut handle, 1, &attributes);
    handle
}

unsafe fn registry_handle_leaked(well: bool) -> NtStatus {
    let handle = open_key(KERNEL_HANDLE);
    if well { ZwClose(handle) } else { SUCCESS }
}

unsafe fn registry_user_handle(well: bool) -> NtStatus {
    ZwClose(open_key(if well { KERNEL_HANDLE } else { 0 }))
}

unsafe fn registry_above_passive(well: bool) -> NtStatus {
    let old = KfRaiseIrql(if well { PASSIVE } else { APC });
    let handle = open_key(KERNEL_HANDLE);
    KeLowerIrql(old);
    ZwClose(handle)
}

unsafe fn version_size(well: bool) -> NtStatus {
    // RTL_OSVERSIONINFOW
    let version = slot::<u32>(0);
    version.write(if well { 0x114 } else { 4 });
    let room = block::<u32>(0x114);
    room.write(version.read());
    RtlGetVersion(room);
    ExFreePool(room.cast());
    SUCCESS
}

unsafe fn copy_overlaps(well: bool) -> NtStatus {
    let bytes = slot::<u8>(0);
    let distance = black_box(if well { 32 } else { 16 });
    memcpy(bytes.add(distance), bytes, black_box(32));
    SUCCESS
}

unsafe fn print_conversion(well: bool) -> NtStatus {
    let format = if well { c"%d\n" } else { c"%y\n" };
    DbgPrint(format.as_ptr(), 1);
    SUCCESS
}

unsafe fn event_type(well: bool) -> NtStatus {
    KeInitializeEvent(slot(0), if well { 1 } else { 2 }, 0);
    SUCCESS
}

unsafe fn wait_for(count: u32, kind: u32) -> NtStatus {
    let mut objects = [null_mut(); 4];
    for (index, object) in objects.iter_mut().enumerate() {
        *object = slot(index);
        KeInitializeEvent(*object, 0, 1);
    }
    KeWaitForMultipleObjects(count, objects.as_ptr(), kind, 0, 0, 0, &0, null_mut())
}

unsafe fn wait_count(well: bool) -> NtStatus {
    wait_for(if well { 3 } else { 4 }, 0)
}

unsafe fn wait_type(well: bool) -> NtStatus {
    wait_for(3, if well { 1 } else { 2 })
}

unsafe fn deadlock(well: bool) -> NtStatus {
    let event = event();
    let timeout: *const i64 = if well { &MILLISECOND } else { core::ptr::null() };
    KeWaitForSingleObject(event, 0, 0, 0, timeout);
    SUCCESS
}
