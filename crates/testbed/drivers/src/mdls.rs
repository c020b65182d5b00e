//! Memory descriptor lists.

use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("mdl_leaked", leaked),
    ("mdl_freed_twice", freed_twice),
    ("mdl_not_one", not_one),
    ("mdl_of_paged_pool", of_paged_pool),
    ("mdl_freed_locked", freed_locked),
    ("mdl_freed_mapped", freed_mapped),
    ("mdl_freed_before_pages", freed_before_pages),
    ("mdl_pages_freed_mapped", pages_freed_mapped),
    ("mdl_pages_freed_twice", pages_freed_twice),
    ("mdl_unmapped_elsewhere", unmapped_elsewhere),
    ("mdl_unlocked_twice", unlocked_twice),
    ("mdl_mapped_unlocked", mapped_unlocked),
    ("mdl_mapped_again", mapped_again),
    ("mdl_paged_locked_high", paged_locked_high),
    ("mdl_user_mapped_high", user_mapped_high),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

const BYTES: usize = 0x1000;

unsafe fn list() -> *mut Mdl {
    IoAllocateMdl(slot(0), 64, 0, 0, null_mut())
}

unsafe fn map(mdl: *mut Mdl, mode: i8) -> Pvoid {
    MmMapLockedPagesSpecifyCache(mdl, mode, 1, null_mut(), 0, 16)
}

unsafe fn pages() -> *mut Mdl {
    MmAllocatePagesForMdl(0, u64::MAX, 0, BYTES)
}

unsafe fn free_pages(mdl: *mut Mdl) -> NtStatus {
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl.cast());
    SUCCESS
}

unsafe fn leaked(well: bool) -> NtStatus {
    let mdl = list();
    if well {
        IoFreeMdl(mdl);
    }
    SUCCESS
}

unsafe fn freed_twice(well: bool) -> NtStatus {
    let mdl = list();
    IoFreeMdl(mdl);
    if !well {
        IoFreeMdl(mdl);
    }
    SUCCESS
}

unsafe fn not_one(well: bool) -> NtStatus {
    let mdl = list();
    MmBuildMdlForNonPagedPool(if well { mdl } else { slot(1) });
    IoFreeMdl(mdl);
    SUCCESS
}

unsafe fn of_paged_pool(well: bool) -> NtStatus {
    let block = ExAllocatePool2(if well { NON_PAGED } else { PAGED }, 64, TAG);
    let mdl = IoAllocateMdl(block, 64, 0, 0, null_mut());
    MmBuildMdlForNonPagedPool(mdl);
    IoFreeMdl(mdl);
    ExFreePool(block);
    SUCCESS
}

unsafe fn freed_locked(well: bool) -> NtStatus {
    let mdl = list();
    MmProbeAndLockPages(mdl, 0, 0);
    if well {
        MmUnlockPages(mdl);
    }
    IoFreeMdl(mdl);
    SUCCESS
}

unsafe fn freed_mapped(well: bool) -> NtStatus {
    let mdl = pages();
    let address = map(mdl, 0);
    MmUnmapLockedPages(address, mdl);
    MmFreePagesFromMdl(mdl);
    let list = list();
    MmProbeAndLockPages(list, 0, 0);
    map(list, 0);
    if well {
        MmUnlockPages(list);
    } else {
        // Unlocked by hand, so that the mapping is all that is left.
        list.cast::<u16>().add(5).write(0);
    }
    IoFreeMdl(list);
    ExFreePool(mdl.cast());
    SUCCESS
}

unsafe fn freed_before_pages(well: bool) -> NtStatus {
    let mdl = pages();
    if well {
        return free_pages(mdl);
    }
    IoFreeMdl(mdl);
    SUCCESS
}

unsafe fn pages_freed_mapped(well: bool) -> NtStatus {
    let mdl = pages();
    let address = map(mdl, 0);
    if well {
        MmUnmapLockedPages(address, mdl);
    }
    MmFreePagesFromMdl(mdl);
    if !well {
        MmUnmapLockedPages(address, mdl);
    }
    ExFreePool(mdl.cast());
    SUCCESS
}

unsafe fn pages_freed_twice(well: bool) -> NtStatus {
    let mdl = pages();
    if !well {
        MmFreePagesFromMdl(mdl);
    }
    free_pages(mdl)
}

unsafe fn unmapped_elsewhere(well: bool) -> NtStatus {
    let mdl = pages();
    let address = map(mdl, 0);
    if !well {
        MmUnmapLockedPages(slot(0), mdl);
    }
    MmUnmapLockedPages(address, mdl);
    free_pages(mdl)
}

unsafe fn unlocked_twice(well: bool) -> NtStatus {
    let mdl = list();
    MmProbeAndLockPages(mdl, 0, 0);
    MmUnlockPages(mdl);
    if !well {
        MmUnlockPages(mdl);
    }
    IoFreeMdl(mdl);
    SUCCESS
}

unsafe fn mapped_unlocked(well: bool) -> NtStatus {
    let mdl = list();
    if well {
        MmProbeAndLockPages(mdl, 0, 0);
    }
    let address = map(mdl, 0);
    MmUnmapLockedPages(address, mdl);
    if well {
        MmUnlockPages(mdl);
    }
    IoFreeMdl(mdl);
    SUCCESS
}

unsafe fn mapped_again(well: bool) -> NtStatus {
    let mdl = pages();
    let first = map(mdl, 0);
    if well {
        MmUnmapLockedPages(first, mdl);
    }
    let second = map(mdl, 0);
    MmUnmapLockedPages(second, mdl);
    if !well {
        MmUnmapLockedPages(first, mdl);
    }
    free_pages(mdl)
}

unsafe fn paged_locked_high(well: bool) -> NtStatus {
    let block = ExAllocatePool2(PAGED, 64, TAG);
    let mdl = IoAllocateMdl(block, 64, 0, 0, null_mut());
    if !well {
        KeRaiseIrqlToDpcLevel();
    }
    MmProbeAndLockPages(mdl, 0, 0);
    KeLowerIrql(PASSIVE);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    ExFreePool(block);
    SUCCESS
}

unsafe fn user_mapped_high(well: bool) -> NtStatus {
    let mdl = pages();
    KeRaiseIrqlToDpcLevel();
    let address = map(mdl, i8::from(!well));
    KeLowerIrql(PASSIVE);
    MmUnmapLockedPages(address, mdl);
    free_pages(mdl)
}
