//! IRQL, spin locks, the stack, arguments, bug checks, the registry, devices and unloading.

use crate::rules;

rules! {
    irql_call_too_high: Irql, "KeSetEvent may be called at IRQL 2 at most, and was called at 12", "KeSetEvent";
    irql_wait_at_dispatch: Irql, "waits at IRQL 2", "KeWaitForSingleObject";
    irql_raise_lowers: Irql, "raising the IRQL from 2 to 1 lowers it", "KfRaiseIrql";
    irql_lower_raises: Irql, "lowering the IRQL from 0 to 1 raises it", "KeLowerIrql";
    irql_unbalanced: IrqlUnbalanced, "was called at IRQL 0 and returned at 2", "DriverEntry";
    irql_pageable_code: Access, "rules.sys PAGE", "may be paged out at DISPATCH_LEVEL";
    irql_unicode_print: Irql, "Unicode text at PASSIVE_LEVEL only", "DbgPrint";
    stack_use: Stack, "bytes of stack where it calls", "DriverEntry";
    deadlock: Deadlock, "nothing can ever happen again", "kernel objects";

    spin_recursion: SpinLock, "by the thread that holds it", "KeAcquireSpinLockAtDpcLevel";
    spin_uninitialised: SpinLock, "never initialised or was overwritten", "KeAcquireSpinLockRaiseToDpc";
    spin_below_dispatch: SpinLock, "acquired below DISPATCH_LEVEL", "KeAcquireSpinLockAtDpcLevel";
    spin_not_held: SpinLock, "released that nobody holds", "KeReleaseSpinLockFromDpcLevel";
    spin_other_thread: SpinLock, "by a thread that does not hold it", "KeReleaseSpinLockFromDpcLevel";
    spin_across_wait: SpinLock, "waits while a spin lock is held", "KeWaitForSingleObject";
    spin_across_return: SpinLock, "with 0 spin lock(s) held and returned with 1", "deferred procedure";
    spin_lowered: SpinLock, "the IRQL is lowered to 0 while a spin lock is held", "KeLowerIrql";
    spin_initialised_while_held: SpinLock, "initialised while it is held", "KeInitializeSpinLock";
    spin_released_low: SpinLock, "the IRQL is lowered to 0 while a spin lock is held", "KeLowerIrql"
        then SpinLock "a spin lock is released below DISPATCH_LEVEL";

    argument_version_size: Argument, "RtlGetVersion with a structure of 4 bytes", "RtlGetVersion";
    argument_copy_overlaps: Argument, "areas that overlap", "memcpy";
    argument_print_conversion: Argument, "unknown conversion %y", "DbgPrint";
    argument_event_type: Argument, "event type 2", "KeInitializeEvent";
    argument_wait_count: Argument, "a wait for 4 objects", "KeWaitForMultipleObjects";
    argument_wait_type: Argument, "wait type 2", "KeWaitForMultipleObjects";

    bug_check_ex: BugCheck, "code 0xe2 (0x1, 0x2, 0x3, 0x4)", "KeBugCheckEx";
    bug_check: BugCheck, "code 0xe2", "KeBugCheck";
    bug_check_breakpoint: BugCheck, "a breakpoint without a debugger", "DbgBreakPoint";

    registry_handle_leaked: Unload, r"the handle of the key \registry\machine", "was never closed";
    registry_user_handle: Argument, "without OBJ_KERNEL_HANDLE", "ZwOpenKey";
    registry_above_passive: Irql, "may be called at IRQL 0 at most, and was called at 1", "ZwOpenKey";

    device_detached_from_none: Object, "detached from one that has none attached", "IoDetachDevice";
    device_deleted_below: Object, "deleted while another is attached to it", "IoDeleteDevice";
    device_deleted_above: Object, "deleted while it is attached to another", "IoDeleteDevice";
    device_not_one: Object, "is no device", "IoDeleteDevice";
    device_not_listed: Object, "not in its driver's list", "IoDeleteDevice";
    device_at_unload: Unload, "it still has devices", "thread user";
    device_after_failure: Unload, "DriverEntry failed and left devices behind", "DriverEntry";
    unload_routine_missing: Unload, "it has no DriverUnload", "thread user";
}
