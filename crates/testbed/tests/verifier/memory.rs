//! Pool, stray accesses, descriptor lists.

use crate::rules;

rules! {
    pool_leak: Pool, "64 bytes of pool with tag 'Rule' were never freed", "allocated in DriverEntry > ExAllocatePool2";
    pool_double_free: Pool, "which is no pool block", "ExFreePoolWithTag";
    pool_wrong_tag: Pool, "allocated with tag 'Rule' is freed with 'elsE'", "ExFreePoolWithTag";
    pool_use_after_free: Access, "freed pool block 'Rule'", "DriverEntry";
    pool_overrun: Access, "0 bytes after the end of pool block 'Rule'", "DriverEntry";
    pool_overrun_within_alignment: Pool, "first at offset 10", "ExFreePool";
    pool_underrun: Pool, "first at offset -1", "ExFreePool";
    pool_zero_bytes: Pool, "an allocation of zero bytes", "ExAllocatePool2";
    pool_no_tag: Pool, "an allocation without a tag", "ExAllocatePool2";
    pool_executable: Pool, "executable pool", "ExAllocatePool2";
    pool_executable_type: Pool, "executable pool", "ExAllocatePoolWithTag";
    pool_unknown_type: Pool, "pool type 7 is not known", "ExAllocatePoolWithTag";
    pool_unknown_flags: Argument, "does not know the flags 0x140", "ExAllocatePool2";
    pool_executed: Access, "executes", "pool block 'Rule'";
    pool_paged_allocated_high: Irql, "paged pool is allocated above APC_LEVEL", "ExAllocatePool2";
    pool_paged_freed_high: Irql, "paged pool is freed above APC_LEVEL", "ExFreePool";
    pool_paged_touched_high: Access, "which may be paged out at DISPATCH_LEVEL", "DriverEntry";
    pool_lock_freed: SpinLock, "memory with a spin lock that is held is freed", "ExFreePool";

    access_null: Access, "near a null pointer", "rules.sys .text";
    access_wild: Access, "outside of the machine's memory", "rules.sys .text";
    access_text_written: Access, "(rules.sys .text", "DriverEntry";
    access_constant_written: Access, "(rules.sys .rdata", "DriverEntry";
    access_data_executed: Access, "executes", "rules.sys .data";
    access_bad_argument: Access, "a function of the testbed, on the driver's behalf", "KeInitializeSpinLock";
    access_trap: Access, "a compiler's trap", "DriverEntry";
    access_breakpoint: Access, "a breakpoint at rules.sys", "DriverEntry";
    access_division: Access, "a division by zero", "DriverEntry";
    access_fast_fail: Access, "fast fail with code 7", "DriverEntry";
    access_stack_exhausted: Access, "writes to", "DriverEntry";

    mdl_leaked: Mdl, "was never freed", "thread user";
    mdl_freed_twice: Mdl, "which is no list", "IoFreeMdl";
    mdl_not_one: Mdl, "is no memory descriptor list", "MmBuildMdlForNonPagedPool";
    mdl_of_paged_pool: Mdl, "of a buffer in paged pool", "MmBuildMdlForNonPagedPool";
    mdl_freed_locked: Mdl, "freed while its pages are locked", "IoFreeMdl";
    mdl_freed_mapped: Mdl, "freed while its pages are mapped", "IoFreeMdl";
    mdl_freed_before_pages: Mdl, "freed before its pages", "IoFreeMdl";
    mdl_pages_freed_mapped: Mdl, "pages are freed while they are mapped", "MmFreePagesFromMdl";
    mdl_pages_freed_twice: Mdl, "or twice", "MmFreePagesFromMdl";
    mdl_unmapped_elsewhere: Mdl, "where the list's pages are not mapped", "MmUnmapLockedPages";
    mdl_unlocked_twice: Mdl, "pages are unlocked that are not locked", "MmUnlockPages";
    mdl_mapped_unlocked: Mdl, "pages are mapped that are not locked", "MmMapLockedPagesSpecifyCache";
    mdl_mapped_again: Mdl, "pages are mapped again", "MmMapLockedPagesSpecifyCache";
    mdl_paged_locked_high: Irql, "a paged buffer is locked above APC_LEVEL", "MmProbeAndLockPages";
    mdl_user_mapped_high: Irql, "pages are mapped to user mode above APC_LEVEL", "MmMapLockedPagesSpecifyCache";
}
