//! The address space of a machine: one large reserved range in which every address is used at most once.
//!
//! Pool blocks, kernel objects, driver images and locked pages all come from here. Each has an unmapped page on both
//! sides, and stays unmapped for the rest of the run when it is freed, so that a stray access faults; [`describe`]
//! then says what was there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::Mutex;

use crate::machine::machine;
use crate::nt::PAGE_SIZE;
use crate::process;
use crate::schedule::{DISPATCH_LEVEL, Irql};

/// Bytes of address space a machine reserves. Unused pages cost nothing, but for an emulator, which keeps a record of
/// each: so fewer on the processor that is emulated as a rule.
const SPACE_BYTES: usize = if cfg!(target_arch = "aarch64") { 1 << 32 } else { 1 << 36 };
/// The alignment of a block, in bytes.
const ALIGNMENT: usize = 16;

/// What a block is filled with when its contents are undefined.
pub(crate) fn undefined() -> u8 {
    machine().config.undefined
}

/// What the bytes around a block, in its own pages, are filled with: 0xFD unless the configuration has it otherwise.
fn fence() -> u8 {
    undefined() ^ 0x58
}

/// What is, or was, at an address.
#[derive(Clone, Debug)]
struct Region {
    /// First byte of the first page.
    pages: usize,
    page_bytes: usize,
    /// First byte that may be used.
    start: usize,
    bytes: usize,
    label: String,
    freed: bool,
}

/// The reserved range of a machine.
pub(crate) struct Space {
    base: usize,
    next: Cell<usize>,
    regions: RefCell<BTreeMap<usize, Region>>,
    /// Ranges that may be paged out, with their size and protection.
    pageable: RefCell<BTreeMap<usize, (usize, i32)>>,
    paged_out: Cell<bool>,
}

impl Default for Space {
    fn default() -> Self {
        let left = LEFT.lock().ok().and_then(|mut left| left.pop());
        let base = left.unwrap_or_else(|| map_nothing(0, SPACE_BYTES));
        Self {
            base,
            next: Cell::new(base + PAGE_SIZE),
            regions: RefCell::default(),
            pageable: RefCell::default(),
            paged_out: Cell::new(false),
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        map_nothing(self.base, self.next.get() - self.base);
        if let Ok(mut left) = LEFT.lock() {
            left.push(self.base);
        }
    }
}

/// Ranges that machines have left, with nothing in them: the next machine takes one. An emulator keeps a record of every
/// page that there ever was, so a new range for each of a thousand machines would fill the memory.
static LEFT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Makes whole pages inaccessible and gives back what was in them; at an address of the system's choice if it is 0.
fn map_nothing(address: usize, bytes: usize) -> usize {
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    let wanted = ptr::with_exposed_provenance_mut(address);
    // SAFETY: a mapping at an address of the system's choice touches no memory in use; at another address, the pages are
    // the machine's own, and what they held is not used any more.
    let mapped = unsafe { libc::mmap(wanted, bytes, libc::PROT_NONE, flags, -1, 0) };
    assert!(
        mapped != libc::MAP_FAILED,
        "no address space for a machine: {}",
        std::io::Error::last_os_error()
    );
    mapped.expose_provenance()
}

fn page_up(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_SIZE) * PAGE_SIZE
}

/// Sets the protection of whole pages of the machine's space.
pub(crate) fn protect(address: usize, bytes: usize, protection: i32) {
    // SAFETY: callers pass pages that they reserved from the machine's space, which only the simulation uses.
    let result =
        unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(address), page_up(bytes), protection) };
    assert_eq!(result, 0, "mprotect: {}", std::io::Error::last_os_error());
}

/// Takes `bytes` of address space, in whole pages between two unmapped ones; nothing is mapped there yet.
pub(crate) fn reserve(bytes: usize, label: impl Into<String>) -> usize {
    let space = &machine().memory;
    let page_bytes = page_up(bytes.max(1));
    let pages = space.next.get();
    let next = pages + page_bytes + PAGE_SIZE;
    assert!(next <= space.base + SPACE_BYTES, "the machine's address space is used up");
    space.next.set(next);
    let region = Region { pages, page_bytes, start: pages, bytes, label: label.into(), freed: false };
    space.regions.borrow_mut().insert(pages, region);
    pages
}

/// Unmaps what was reserved at `pages`, for the rest of the run.
pub(crate) fn retire(pages: usize) {
    let mut regions = machine().memory.regions.borrow_mut();
    let region = regions.get_mut(&pages).expect("a reserved range");
    region.freed = true;
    let range = region.pages..region.pages + region.page_bytes;
    machine().memory.pageable.borrow_mut().retain(|start, _| !range.contains(start));
    map_nothing(region.pages, region.page_bytes);
}

/// Allocates zeroed memory that ends at an unmapped page (up to 16-byte alignment), or is page aligned when it is a
/// page or larger. `label` says what it is when an access goes wrong.
pub(crate) fn allocate(bytes: usize, label: impl Into<String>) -> *mut u8 {
    let offset = if bytes >= PAGE_SIZE { 0 } else { offset_at_end(bytes, ALIGNMENT) };
    allocate_at(bytes, offset, label.into())
}

/// Allocates zeroed memory for a part of a request. It ends at an unmapped page: to the byte if the machine's
/// [configuration](crate::Config::exact_requests) says so, else up to 16-byte alignment.
pub(crate) fn allocate_for_request(bytes: usize, label: impl Into<String>) -> *mut u8 {
    let alignment = if machine().config.exact_requests { 1 } else { ALIGNMENT };
    allocate_at(bytes, offset_at_end(bytes, alignment), label.into())
}

/// Where in its pages a block begins that ends where they do.
fn offset_at_end(bytes: usize, alignment: usize) -> usize {
    page_up(bytes.max(1)) - bytes.max(1).next_multiple_of(alignment)
}

fn allocate_at(bytes: usize, offset: usize, label: String) -> *mut u8 {
    let pages = reserve(bytes, label);
    let page_bytes = page_up(bytes.max(1));
    protect(pages, page_bytes, libc::PROT_READ | libc::PROT_WRITE);
    let start = pages + offset;
    if let Some(region) = machine().memory.regions.borrow_mut().get_mut(&pages) {
        region.start = start;
    }
    let first = ptr::with_exposed_provenance_mut::<u8>(pages);
    // SAFETY: these bytes lie in the pages that were just made accessible, before the block.
    unsafe { first.write_bytes(fence(), offset) };
    // SAFETY: the block ends inside the pages.
    let end = unsafe { first.add(offset + bytes) };
    // SAFETY: from the block's end to the end of its pages.
    unsafe { end.write_bytes(fence(), page_bytes - offset - bytes) };
    // SAFETY: inside the pages.
    unsafe { first.add(offset) }
}

/// Whether the bytes around a block of [`allocate`] are as they were; if not, the offset of the first that changed,
/// counted from the block's start.
pub(crate) fn broken_fence(block: *const u8) -> Option<isize> {
    let region = region_at(block.addr())?;
    let before = region.start - region.pages;
    let after = region.page_bytes - before - region.bytes;
    let fence = fence();
    let check = |from: usize, count: usize| {
        let bytes = ptr::with_exposed_provenance::<u8>(from);
        // SAFETY: the block is live, so all of its pages are readable, and nothing writes them meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, count) };
        bytes.iter().position(|byte| *byte != fence).map(|index| from + index)
    };
    let changed = check(region.start + region.bytes, after).or_else(|| check(region.pages, before))?;
    Some(changed as isize - region.start as isize)
}

/// Frees a block of [`allocate`].
pub(crate) fn free(block: *mut u8) {
    let region = region_at(block.addr()).expect("a block of this machine");
    retire(region.pages);
}

/// The bytes of the live block that contains `address`, and where in it that is.
pub(crate) fn block_at(address: usize) -> Option<(usize, usize)> {
    let region = region_at(address)?;
    let inside = !region.freed && address >= region.start && address < region.start + region.bytes.max(1);
    inside.then_some((region.start, region.bytes))
}

/// Whether an address is in pages that were given back, or unmapped. Safe in a signal handler.
pub(crate) fn is_retired(address: usize) -> bool {
    let Ok(regions) = machine().memory.regions.try_borrow() else { return false };
    regions.range(..=address).next_back().is_none_or(|(_, region)| region.freed)
}

fn region_at(address: usize) -> Option<Region> {
    let regions = machine().memory.regions.try_borrow().ok()?;
    let (_, region) = regions.range(..=address).next_back()?;
    (address < region.pages + region.page_bytes).then(|| region.clone())
}

/// What is at an address, in words.
pub(crate) fn describe(address: usize) -> String {
    if address < 0x10000 {
        return "near a null pointer".to_owned();
    }
    let space = &machine().memory;
    if !(space.base..space.base + SPACE_BYTES).contains(&address) {
        return "outside of the machine's memory".to_owned();
    }
    let Ok(regions) = space.regions.try_borrow() else { return "in the machine's memory".to_owned() };
    let below = regions.range(..=address).next_back().map(|(_, region)| region);
    let above = regions.range(address..).next().map(|(_, region)| region);
    let Some(region) = below else { return "before the machine's first block".to_owned() };
    let state = if region.freed { "freed " } else { "" };
    let what = format!("{state}{} ({} bytes at {:#x})", region.label, region.bytes, region.start);
    let end = region.start + region.bytes;
    if address >= region.start && address < end {
        return format!("{} bytes into {what}", address - region.start);
    }
    if let Some(above) = above.filter(|above| above.start - address < address.saturating_sub(end)) {
        let state = if above.freed { "freed " } else { "" };
        return format!(
            "{} bytes before {state}{} ({} bytes)",
            above.start - address,
            above.label,
            above.bytes
        );
    }
    if address >= end {
        format!("{} bytes after the end of {what}", address - end)
    } else {
        format!("before {what}")
    }
}

/// Whether a range lies in the machine's space. Safe in a signal handler.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_own(range: std::ops::Range<usize>) -> bool {
    let space = &machine().memory;
    range.start >= space.base && range.end <= space.base + SPACE_BYTES
}

/// Declares that whole pages may be paged out: they are not there while driver code runs at DISPATCH_LEVEL.
pub(crate) fn make_pageable(pages: usize, bytes: usize, protection: i32) {
    machine().memory.pageable.borrow_mut().insert(pages, (bytes, protection));
}

/// Takes the pageable memory away, or brings it back, as the IRQL of the code that runs next demands; and shows it the
/// user-mode addresses of its process.
pub(crate) fn page_for(irql: Irql) {
    process::show(irql);
    let space = &machine().memory;
    let out = irql >= DISPATCH_LEVEL;
    if space.paged_out.replace(out) == out {
        return;
    }
    for (start, (bytes, protection)) in space.pageable.borrow().iter() {
        protect(*start, *bytes, if out { libc::PROT_NONE } else { *protection });
    }
}

/// Whether an address is in memory that may be paged out.
pub(crate) fn is_pageable(address: usize) -> bool {
    let Ok(pageable) = machine().memory.pageable.try_borrow() else { return false };
    pageable.range(..=address).next_back().is_some_and(|(start, (bytes, _))| address < start + bytes)
}

/// The text with every address in it replaced: those of the machine by their offset, which is the same in every run,
/// and all others by a mark.
pub(crate) fn without_addresses(text: &str) -> String {
    const SHORTEST_ADDRESS: usize = 0x1_0000_0000;
    let space = &machine().memory;
    let mut parts = text.split("0x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        match usize::from_str_radix(digits, 16) {
            Ok(value) if (space.base..space.base + SPACE_BYTES).contains(&value) => {
                out.push_str(&format!("machine+{:#x}", value - space.base));
            }
            Ok(value) if value >= SHORTEST_ADDRESS => out.push_str("elsewhere"),
            _ => {
                out.push_str("0x");
                out.push_str(digits);
            }
        }
        out.push_str(rest);
    }
    out
}
