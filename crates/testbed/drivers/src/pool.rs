//! Pool memory.

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("pool_leak", leak),
    ("pool_double_free", double_free),
    ("pool_wrong_tag", wrong_tag),
    ("pool_use_after_free", use_after_free),
    ("pool_overrun", overrun),
    ("pool_overrun_within_alignment", overrun_within_alignment),
    ("pool_underrun", underrun),
    ("pool_zero_bytes", zero_bytes),
    ("pool_no_tag", no_tag),
    ("pool_executable", executable),
    ("pool_executable_type", executable_type),
    ("pool_unknown_type", unknown_type),
    ("pool_unknown_flags", unknown_flags),
    ("pool_executed", executed),
    ("pool_paged_allocated_high", paged_allocated_high),
    ("pool_paged_freed_high", paged_freed_high),
    ("pool_paged_touched_high", paged_touched_high),
    ("pool_lock_freed", lock_freed),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn leak(well: bool) -> NtStatus {
    let block = block(64);
    if well {
        ExFreePoolWithTag(block, TAG);
    }
    SUCCESS
}

unsafe fn double_free(well: bool) -> NtStatus {
    let block = block(64);
    ExFreePoolWithTag(block, TAG);
    if !well {
        ExFreePoolWithTag(block, TAG);
    }
    SUCCESS
}

unsafe fn wrong_tag(well: bool) -> NtStatus {
    let other = u32::from_le_bytes(*b"elsE");
    ExFreePoolWithTag(block(64), if well { TAG } else { other });
    SUCCESS
}

unsafe fn use_after_free(well: bool) -> NtStatus {
    let block = block::<u8>(64);
    if well {
        block.write_volatile(1);
    }
    ExFreePool(block.cast());
    if !well {
        block.write_volatile(1);
    }
    SUCCESS
}

/// Writes a byte at an offset of a block, and frees it.
unsafe fn write_at(bytes: usize, offset: isize) -> NtStatus {
    let block = block::<u8>(bytes);
    block.offset(offset).write_volatile(1);
    ExFreePool(block.cast());
    SUCCESS
}

unsafe fn overrun(well: bool) -> NtStatus {
    write_at(64, if well { 63 } else { 64 })
}

unsafe fn overrun_within_alignment(well: bool) -> NtStatus {
    write_at(10, if well { 9 } else { 10 })
}

unsafe fn underrun(well: bool) -> NtStatus {
    write_at(64, if well { 0 } else { -1 })
}

unsafe fn zero_bytes(well: bool) -> NtStatus {
    ExFreePool(block(usize::from(well)));
    SUCCESS
}

unsafe fn no_tag(well: bool) -> NtStatus {
    ExFreePool(ExAllocatePool2(NON_PAGED, 64, if well { TAG } else { 0 }));
    SUCCESS
}

unsafe fn free_any(block: Pvoid) -> NtStatus {
    if !block.is_null() {
        ExFreePool(block);
    }
    SUCCESS
}

unsafe fn executable(well: bool) -> NtStatus {
    free_any(ExAllocatePool2(if well { NON_PAGED } else { 0x80 }, 64, TAG))
}

unsafe fn executable_type(well: bool) -> NtStatus {
    free_any(ExAllocatePoolWithTag(if well { 512 } else { 0 }, 64, TAG))
}

unsafe fn unknown_type(well: bool) -> NtStatus {
    free_any(ExAllocatePoolWithTag(if well { 512 } else { 7 }, 64, TAG))
}

unsafe fn unknown_flags(well: bool) -> NtStatus {
    free_any(ExAllocatePool2(if well { NON_PAGED } else { NON_PAGED | PAGED }, 64, TAG))
}

unsafe fn executed(well: bool) -> NtStatus {
    let block = block::<u8>(16);
    // `ret`
    block.write_volatile(0xC3);
    if !well {
        let function = core::mem::transmute::<*mut u8, unsafe extern "system" fn()>(block);
        function();
    }
    ExFreePool(block.cast());
    SUCCESS
}

unsafe fn paged_allocated_high(well: bool) -> NtStatus {
    let old = KeRaiseIrqlToDpcLevel();
    if well {
        KeLowerIrql(old);
    }
    let block = ExAllocatePool2(PAGED, 64, TAG);
    if !well {
        KeLowerIrql(old);
    }
    free_any(block)
}

unsafe fn paged_freed_high(well: bool) -> NtStatus {
    let block = ExAllocatePool2(PAGED, 64, TAG);
    if well {
        return free_any(block);
    }
    let old = KeRaiseIrqlToDpcLevel();
    ExFreePool(block);
    KeLowerIrql(old);
    SUCCESS
}

unsafe fn paged_touched_high(well: bool) -> NtStatus {
    let block = ExAllocatePool2(if well { NON_PAGED } else { PAGED }, 64, TAG).cast::<u8>();
    let old = KeRaiseIrqlToDpcLevel();
    block.write_volatile(1);
    KeLowerIrql(old);
    free_any(block.cast())
}

unsafe fn lock_freed(well: bool) -> NtStatus {
    let lock = block::<usize>(8);
    KeInitializeSpinLock(lock);
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if well {
        KeReleaseSpinLock(lock, old);
        ExFreePool(lock.cast());
    } else {
        ExFreePool(lock.cast());
        KeLowerIrql(old);
    }
    SUCCESS
}
