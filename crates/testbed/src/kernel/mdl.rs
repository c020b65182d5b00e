//! Memory descriptor lists: of a buffer, or of pages of their own that can be mapped several times.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::kernel::imports::Export;
use crate::kernel::{irp, pool};
use crate::machine::machine;
use crate::memory;
use crate::nt::{Irp, Mdl, PAGE_SIZE, Pvoid, mdl_flags as flags};
use crate::schedule::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

const KERNEL_MODE: i8 = 0;
/// The first page frame number that is given out; the rest follow.
const FIRST_FRAME: usize = 0x10_0000;

/// What the machine knows of a list.
#[derive(Default)]
struct State {
    /// The pages, when they are the list's own.
    pages: Option<OwnedFd>,
    /// Where they are mapped.
    mappings: Vec<usize>,
    /// What uses the list right now.
    users: Vec<&'static str>,
    /// The structure itself outlives its pages: ExFreePool frees it.
    pages_freed: bool,
}

/// The lists of a machine, by address.
#[derive(Default)]
struct Mdls {
    lists: RefCell<BTreeMap<usize, State>>,
    frames: Cell<usize>,
}

fn with<T>(mdl: *const Mdl, action: impl FnOnce(&mut State) -> T) -> T {
    let mdls = machine().part::<Mdls>();
    let result = mdls.lists.borrow_mut().get_mut(&mdl.addr()).map(action);
    result.unwrap_or_else(|| {
        let place = memory::describe(mdl.addr());
        verifier::fatal(Rule::Mdl, format!("{:#x} is no memory descriptor list: {place}", mdl.addr()))
    })
}

/// Pages that a buffer touches.
fn pages_of(offset: usize, bytes: usize) -> usize {
    (offset + bytes).div_ceil(PAGE_SIZE)
}

fn new_list(address: usize, bytes: usize) -> *mut Mdl {
    let offset = address % PAGE_SIZE;
    let size = size_of::<Mdl>() + pages_of(offset, bytes) * 8;
    let mdl = memory::allocate(size, "memory descriptor list").cast::<Mdl>();
    let value = Mdl {
        next: ptr::null_mut(),
        // A large list's size does not fit the field, in Windows neither.
        size: size as i16,
        flags: flags::ALLOCATED_FIXED_SIZE,
        allocation_processor: 0,
        reserved: 0,
        process: ptr::null_mut(),
        mapped_system_va: ptr::null_mut(),
        start_va: ptr::with_exposed_provenance_mut(address - offset),
        byte_count: bytes as u32,
        byte_offset: offset as u32,
    };
    // SAFETY: the block has the size of the structure and its page frame numbers.
    unsafe { mdl.write(value) };
    machine().part::<Mdls>().lists.borrow_mut().insert(mdl.addr(), State::default());
    mdl
}

/// Fills in the page frame numbers with fresh ones.
fn fill_frames(mdl: *mut Mdl) {
    let mdls = machine().part::<Mdls>();
    // SAFETY: a live list, made by `new_list` with room for its numbers.
    let header = unsafe { &*mdl };
    let count = pages_of(header.byte_offset as usize, header.byte_count as usize);
    // SAFETY: they follow the structure.
    let first = unsafe { mdl.add(1).cast::<usize>() };
    for index in 0..count {
        let frame = FIRST_FRAME + mdls.frames.get();
        mdls.frames.set(mdls.frames.get() + 1);
        // SAFETY: `index` is below the count that the block was made for.
        unsafe { first.add(index).write(frame) };
    }
}

/// The physical address of a page of a list.
pub fn physical_address(mdl: *const Mdl, page: usize) -> u64 {
    with(mdl, |_| ());
    // SAFETY: a live list; the numbers follow the structure.
    let frame = unsafe { mdl.add(1).cast::<usize>().add(page).read() };
    (frame * PAGE_SIZE) as u64
}

/// Makes a list of a buffer that is not paged, complete. Null when a fault is injected.
pub fn create(buffer: *mut u8, bytes: usize) -> *mut Mdl {
    if !pool::may_allocate() {
        return ptr::null_mut();
    }
    let mdl = new_list(buffer.addr(), bytes);
    build_for_non_paged(mdl);
    mdl
}

fn build_for_non_paged(mdl: *mut Mdl) {
    with(mdl, |_| ());
    // SAFETY: a live list.
    let header = unsafe { &mut *mdl };
    let start = header.start_va.addr() + header.byte_offset as usize;
    if pool::is_paged(start, header.byte_count as usize) == Some(true) {
        verifier::record(Rule::Mdl, "MmBuildMdlForNonPagedPool of a buffer in paged pool");
    }
    header.flags |= flags::SOURCE_IS_NONPAGED_POOL;
    header.mapped_system_va = ptr::with_exposed_provenance_mut(start);
    fill_frames(mdl);
}

/// Frees a list of a buffer.
pub fn free(mdl: *mut Mdl) {
    let mdls = machine().part::<Mdls>();
    let Some(state) = mdls.lists.borrow_mut().remove(&mdl.addr()) else {
        let place = memory::describe(mdl.addr());
        return verifier::record(Rule::Mdl, format!("{:#x} is freed, which is no list: {place}", mdl.addr()));
    };
    if !state.mappings.is_empty() {
        verifier::record(Rule::Mdl, "a list is freed while its pages are mapped");
    }
    if state.pages.is_some() && !state.pages_freed {
        verifier::record(Rule::Mdl, "a list is freed before its pages");
    }
    if let Some(user) = state.users.last() {
        verifier::record(Rule::Mdl, format!("a list is freed while {user} uses it"));
    }
    // SAFETY: the structure is live until `memory::free`.
    if unsafe { (*mdl).flags } & flags::PAGES_LOCKED != 0 && state.pages.is_none() {
        verifier::record(Rule::Mdl, "a list is freed while its pages are locked");
    }
    memory::free(mdl.cast());
}

/// Frees a list whose pages were freed with MmFreePagesFromMdl, as ExFreePool does; false when it is none.
pub(crate) fn free_from_pool(mdl: *mut Mdl) -> bool {
    let mdls = machine().part::<Mdls>();
    let is_one = mdls.lists.borrow().get(&mdl.addr()).is_some_and(|state| state.pages_freed);
    if is_one {
        free(mdl);
    }
    is_one
}

/// Declares that something uses a list and its buffer until [`end_use`].
pub fn begin_use(mdl: *mut Mdl, what: &'static str) {
    with(mdl, |state| state.users.push(what));
}

/// The end of [`begin_use`]. A list that was freed meanwhile was reported then.
pub fn end_use(mdl: *mut Mdl, what: &'static str) {
    let mdls = machine().part::<Mdls>();
    let mut lists = mdls.lists.borrow_mut();
    if let Some(state) = lists.get_mut(&mdl.addr())
        && let Some(index) = state.users.iter().position(|user| *user == what)
    {
        state.users.remove(index);
    }
}

/// Whether an address is that of a live list.
pub fn is_live(mdl: *const Mdl) -> bool {
    machine().part::<Mdls>().lists.borrow().contains_key(&mdl.addr())
}

/// How many lists are alive.
pub fn live() -> usize {
    machine().part::<Mdls>().lists.borrow().len()
}

/// Allocates pages and a list of them; they are not mapped. The pages have undefined contents, not zeros, as
/// drivers must assume. Null when a fault is injected or `bytes` is zero.
pub fn allocate_pages(bytes: usize) -> *mut Mdl {
    allocate_filled_pages(bytes, memory::undefined())
}

fn allocate_filled_pages(bytes: usize, fill: u8) -> *mut Mdl {
    if bytes == 0 || !pool::may_allocate() {
        return ptr::null_mut();
    }
    const NAME: &CStr = c"testbed pages";
    // SAFETY: the name is a string; the call makes a new file.
    let file = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    assert!(file >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the call succeeded, so this is a file of ours.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    let page_bytes = bytes.div_ceil(PAGE_SIZE) * PAGE_SIZE;
    let contents = vec![fill; page_bytes];
    // SAFETY: the buffer has that many bytes.
    let written = unsafe { libc::write(file.as_raw_fd(), contents.as_ptr().cast(), page_bytes) };
    assert_eq!(written, page_bytes as isize, "writing pages: {}", std::io::Error::last_os_error());
    let mdl = new_list(0, bytes);
    with(mdl, |state| state.pages = Some(file));
    // SAFETY: a live list.
    unsafe { (*mdl).flags |= flags::PAGES_LOCKED };
    fill_frames(mdl);
    mdl
}

/// Maps the pages of a list of [`allocate_pages`] at a new address. `user`: for a user-mode process; the list itself
/// does not remember that mapping.
pub fn map(mdl: *mut Mdl, user: bool) -> *mut u8 {
    // SAFETY: `with` below stops the machine if this is no live list; reading its header faults at worst.
    let (bytes, offset) = unsafe { ((*mdl).byte_count as usize, (*mdl).byte_offset as usize) };
    let file = with(mdl, |state| state.pages.as_ref().filter(|_| !state.pages_freed).map(AsRawFd::as_raw_fd));
    let Some(file) = file else {
        // A buffer's own pages: one view of them is all there is.
        // SAFETY: a live list.
        let start = unsafe { (*mdl).start_va };
        with(mdl, |state| state.mappings.push(start.addr()));
        // SAFETY: as above.
        unsafe { (*mdl).flags |= flags::MAPPED_TO_SYSTEM_VA };
        let address = start.cast::<u8>().wrapping_add(offset);
        // SAFETY: as above.
        unsafe { (*mdl).mapped_system_va = address.cast() };
        return address;
    };
    let whose = if user { "user-mode" } else { "kernel" };
    let address = memory::reserve(bytes, format!("{whose} mapping of a descriptor list's pages"));
    let page_bytes = bytes.div_ceil(PAGE_SIZE) * PAGE_SIZE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let target = ptr::with_exposed_provenance_mut(address);
    // SAFETY: the range was just reserved for this mapping.
    let mapped =
        unsafe { libc::mmap(target, page_bytes, protection, libc::MAP_SHARED | libc::MAP_FIXED, file, 0) };
    assert!(mapped != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    with(mdl, |state| state.mappings.push(address));
    if !user {
        // SAFETY: a live list.
        let header = unsafe { &mut *mdl };
        header.flags |= flags::MAPPED_TO_SYSTEM_VA;
        header.mapped_system_va = mapped;
    }
    mapped.cast()
}

/// The mappings that drivers have of pages of [`allocate_pages`] which user mode has too: each with its address, its bytes in whole pages, and
/// the file of its pages, which is the caller's only as long as it does not give up control.
pub(crate) fn kernel_mappings() -> Vec<(usize, usize, RawFd)> {
    let mdls = machine().part::<Mdls>();
    let lists = mdls.lists.borrow();
    let mappings = lists.iter().filter_map(|(list, state)| {
        // SAFETY: a list that is in the map is live.
        let header = unsafe { &*ptr::with_exposed_provenance::<Mdl>(*list) };
        let file = state.pages.as_ref().filter(|_| !state.pages_freed)?;
        let address = header.mapped_system_va.addr();
        let bytes = (header.byte_count as usize).div_ceil(PAGE_SIZE) * PAGE_SIZE;
        let shared = state.mappings.len() > 1 && state.mappings.contains(&address);
        shared.then_some((address, bytes, file.as_raw_fd()))
    });
    mappings.collect()
}

/// Takes a mapping away.
pub fn unmap(mdl: *mut Mdl, address: *mut u8) {
    let page = address.addr() & !(PAGE_SIZE - 1);
    let found = with(mdl, |state| {
        let index = state.mappings.iter().position(|mapping| *mapping == page);
        index.map(|index| state.mappings.remove(index))
    });
    if found.is_none() {
        let text = format!("{:#x} is unmapped, where the list's pages are not mapped", address.addr());
        return verifier::record(Rule::Mdl, text);
    }
    // SAFETY: a live list, as `with` found.
    let header = unsafe { &mut *mdl };
    if header.mapped_system_va.addr() & !(PAGE_SIZE - 1) == page {
        header.flags &= !flags::MAPPED_TO_SYSTEM_VA;
        header.mapped_system_va = ptr::null_mut();
    }
    if with(mdl, |state| state.pages.is_some()) {
        memory::retire(page);
    }
}

/// Frees the pages of a list of [`allocate_pages`], and keeps the list.
pub fn release_pages(mdl: *mut Mdl) {
    let (mapped, had_pages, user) = with(mdl, |state| {
        let had_pages = state.pages.is_some() && !std::mem::replace(&mut state.pages_freed, true);
        (state.mappings.len(), had_pages, state.users.last().copied())
    });
    if !had_pages {
        verifier::record(Rule::Mdl, "pages are freed of a list that has none, or twice");
    }
    if mapped > 0 {
        verifier::record(Rule::Mdl, "pages are freed while they are mapped");
    }
    if let Some(user) = user {
        verifier::record(Rule::Mdl, format!("pages are freed while {user} uses them"));
    }
    // SAFETY: a live list, as `with` found.
    unsafe { (*mdl).flags &= !flags::PAGES_LOCKED };
}

/// Frees the pages of a list of [`allocate_pages`], and the list: what PortCls does for a WaveRT stream.
pub fn free_pages(mdl: *mut Mdl) {
    release_pages(mdl);
    free(mdl);
}

/// Reports every list that was never freed.
pub(crate) fn report_leaks() {
    let lists = machine().part::<Mdls>().lists.take();
    for _ in lists {
        verifier::record(Rule::Mdl, "a memory descriptor list was never freed");
    }
}

import! {
    /// Null when there is no memory.
    pub fn IoAllocateMdl(address: *mut u8, bytes: u32, secondary: u8, charge_quota: u8, irp: *mut Irp) -> *mut Mdl,
        irql <= DISPATCH_LEVEL; {
        let _ = charge_quota;
        if !pool::may_allocate() {
            return ptr::null_mut();
        }
        let mdl = new_list(address.addr(), bytes as usize);
        irp::attach_mdl(irp, mdl, secondary != 0);
        mdl
    }

    /// The list only, not its buffer.
    pub fn IoFreeMdl(mdl: *mut Mdl), irql <= DISPATCH_LEVEL; {
        free(mdl);
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmbuildmdlfornonpagedpool>
    pub fn MmBuildMdlForNonPagedPool(mdl: *mut Mdl), irql <= DISPATCH_LEVEL; {
        build_for_non_paged(mdl);
    }

    /// Locks the pages of a buffer that may be paged.
    pub fn MmProbeAndLockPages(mdl: *mut Mdl, mode: i8, operation: u32), irql <= DISPATCH_LEVEL; {
        let _ = (mode, operation);
        with(mdl, |_| ());
        // SAFETY: a live list.
        let header = unsafe { &mut *mdl };
        let start = header.start_va.addr() + header.byte_offset as usize;
        if pool::is_paged(start, header.byte_count as usize) == Some(true) && schedule::current().irql.get() > APC_LEVEL {
            verifier::record(Rule::Irql, "a paged buffer is locked above APC_LEVEL");
        }
        header.flags |= flags::PAGES_LOCKED;
        fill_frames(mdl);
    }

    /// The end of MmProbeAndLockPages; mappings go, too.
    pub fn MmUnlockPages(mdl: *mut Mdl), irql <= DISPATCH_LEVEL; {
        with(mdl, |state| state.mappings.clear());
        // SAFETY: a live list.
        let header = unsafe { &mut *mdl };
        if header.flags & flags::PAGES_LOCKED == 0 {
            verifier::record(Rule::Mdl, "pages are unlocked that are not locked");
        }
        header.flags &= !(flags::PAGES_LOCKED | flags::MAPPED_TO_SYSTEM_VA);
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmmaplockedpagesspecifycache>
    pub fn MmMapLockedPagesSpecifyCache(mdl: *mut Mdl, mode: i8, cache: u32, address: Pvoid, bug_check: u32, priority: u32)
        -> *mut u8, irql <= DISPATCH_LEVEL; {
        let _ = (cache, address, bug_check, priority);
        if mode != KERNEL_MODE && schedule::current().irql.get() > APC_LEVEL {
            verifier::record(Rule::Irql, "pages are mapped to user mode above APC_LEVEL");
        }
        with(mdl, |_| ());
        // SAFETY: a live list.
        let state = unsafe { (*mdl).flags };
        if state & flags::PAGES_LOCKED == 0 {
            verifier::record(Rule::Mdl, "pages are mapped that are not locked, or are of non-paged pool");
        }
        if state & flags::MAPPED_TO_SYSTEM_VA != 0 && mode == KERNEL_MODE {
            verifier::record(Rule::Mdl, "pages are mapped again that the list says are mapped");
        }
        if !pool::may_allocate() {
            return ptr::null_mut();
        }
        map(mdl, mode != KERNEL_MODE)
    }

    /// The end of a mapping.
    pub fn MmUnmapLockedPages(address: *mut u8, mdl: *mut Mdl), irql <= DISPATCH_LEVEL; {
        unmap(mdl, address);
    }

    /// Zeroed pages, wherever they are.
    pub fn MmAllocatePagesForMdl(low: u64, high: u64, skip: u64, bytes: usize) -> *mut Mdl, irql <= APC_LEVEL; {
        let _ = (low, high, skip);
        allocate_filled_pages(bytes, 0)
    }

    /// Pages; zeroed unless the flags (1: MM_DONT_ZERO_ALLOCATION) say otherwise.
    pub fn MmAllocatePagesForMdlEx(low: u64, high: u64, skip: u64, bytes: usize, cache: u32, options: u32) -> *mut Mdl,
        irql <= APC_LEVEL; {
        let _ = (low, high, skip, cache);
        allocate_filled_pages(bytes, if options & 1 == 0 { 0 } else { memory::undefined() })
    }

    /// The pages only: ExFreePool frees the list.
    pub fn MmFreePagesFromMdl(mdl: *mut Mdl), irql <= APC_LEVEL; {
        release_pages(mdl);
    }

    /// Bytes of a list for a buffer.
    pub fn MmSizeOfMdl(base: *mut u8, bytes: usize) -> usize, irql <= 15; {
        size_of::<Mdl>() + pages_of(base.addr() % PAGE_SIZE, bytes) * 8
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmProbeAndLockPages, MmUnlockPages,
    MmMapLockedPagesSpecifyCache, MmUnmapLockedPages, MmAllocatePagesForMdl, MmAllocatePagesForMdlEx,
    MmFreePagesFromMdl, MmSizeOfMdl];
