//! KUSER_SHARED_DATA: the page at 0xFFFFF780_00000000 in which Windows keeps its clocks.
//!
//! Functions that are inline in Microsoft's headers (KeQueryInterruptTime, KeQuerySystemTime, KeQueryTickCount) read it
//! directly. A process cannot have that address, so the loader rewrites the 64-bit values of an image that point into
//! the page, and drivers see a page of the machine's instead, which they can only read. [`refresh`] brings the clocks up
//! to date whenever driver code goes on.

use std::cell::Cell;
use std::ptr;

use crate::kernel::time;
use crate::machine::machine;
use crate::memory;
use crate::nt::{HUNDRED_NS, PAGE_SIZE};

/// Where Windows has the page.
const ADDRESS: u64 = 0xFFFF_F780_0000_0000;
/// Offsets of the fields that are filled.
const TICK_COUNT_MULTIPLIER: usize = 0x4;
const INTERRUPT_TIME: usize = 0x8;
const SYSTEM_TIME: usize = 0x14;
const MAJOR_VERSION: usize = 0x26C;
const MINOR_VERSION: usize = 0x270;
const QPC_FREQUENCY: usize = 0x300;
const TICK_COUNT: usize = 0x320;
const PROCESSORS: usize = 0x3C0;
/// The clock interrupt of a machine that has none, in nanoseconds.
const DEFAULT_TICK: u64 = 15_625_000;

thread_local! {
    /// The kernel's view of the page, once an image of the running machine refers to it.
    static PAGE: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
    /// The drivers' view of it.
    static VIEW: Cell<usize> = const { Cell::new(0) };
}

/// Rewrites what refers to the page in the bytes of a section; how many places that were.
pub(super) fn redirect(bytes: &mut [u8]) -> usize {
    let high = &ADDRESS.to_le_bytes()[2..];
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(7) {
        if bytes[at + 2..at + 8] != *high || usize::from(bytes[at + 1]) >= PAGE_SIZE >> 8 {
            continue;
        }
        let offset = u64::from(bytes[at]) | u64::from(bytes[at + 1]) << 8;
        let target = view() as u64 + offset;
        bytes[at..at + 8].copy_from_slice(&target.to_le_bytes());
        found += 1;
    }
    found
}

/// The drivers' view of the page, which is made when it is first asked for.
fn view() -> usize {
    if PAGE.get().is_null() {
        make();
    }
    VIEW.get()
}

fn make() {
    let own = memory::reserve(PAGE_SIZE, "the kernel's view of KUSER_SHARED_DATA");
    let view = memory::reserve(PAGE_SIZE, "KUSER_SHARED_DATA");
    let page = ptr::with_exposed_provenance_mut(own);
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the range was just reserved for this page.
    let mapped = unsafe { libc::mmap(page, PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert!(mapped != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    let target: *mut libc::c_void = ptr::with_exposed_provenance_mut(view);
    // SAFETY: an old size of 0 maps the shared page a second time, at the range that was just reserved for it.
    let mapped =
        unsafe { libc::mremap(page, 0, PAGE_SIZE, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, target) };
    assert!(mapped != libc::MAP_FAILED, "mremap: {}", std::io::Error::last_os_error());
    memory::protect(view, PAGE_SIZE, libc::PROT_READ);
    PAGE.set(page.cast());
    VIEW.set(view);
    put(TICK_COUNT_MULTIPLIER, u64::from(multiplier()), 4);
    put(MAJOR_VERSION, 10, 4);
    put(MINOR_VERSION, 0, 4);
    put(QPC_FREQUENCY, machine().config.counter_frequency, 8);
    put(PROCESSORS, 1, 4);
    refresh();
}

/// Milliseconds of a clock tick, with 24 bits behind the point.
fn multiplier() -> u32 {
    ((tick() << 24) / 1_000_000) as u32
}

/// Nanoseconds between two clock interrupts.
fn tick() -> u64 {
    machine().config.clock_tick.unwrap_or(DEFAULT_TICK).max(1)
}

fn put(offset: usize, value: u64, bytes: usize) {
    let target = PAGE.get().wrapping_add(offset);
    // SAFETY: the page is mapped while it is set, and every field lies inside of it.
    unsafe { ptr::copy_nonoverlapping(value.to_le_bytes().as_ptr(), target, bytes) };
}

/// A KSYSTEM_TIME: eight bytes, and the higher four once more, by which readers see that both halves belong together.
fn put_time(offset: usize, value: u64) {
    put(offset + 8, value >> 32, 4);
    put(offset, value, 8);
}

/// Brings the clocks of the page up to date, if an image refers to it: as of the last clock interrupt.
#[inline]
pub(crate) fn refresh() {
    if !PAGE.get().is_null() {
        update();
    }
}

fn update() {
    let now = time::interrupt_time() * HUNDRED_NS;
    let interrupted = now / tick_of_clocks() * tick_of_clocks();
    put_time(INTERRUPT_TIME, interrupted / HUNDRED_NS);
    put_time(SYSTEM_TIME, time::system_time() - (now - interrupted) / HUNDRED_NS);
    put_time(TICK_COUNT, now / tick());
}

/// Without clock interrupts the clocks are exact.
fn tick_of_clocks() -> u64 {
    machine().config.clock_tick.unwrap_or(HUNDRED_NS).max(1)
}

/// Forgets the page: its machine is gone.
pub(crate) fn forget() {
    PAGE.set(ptr::null_mut());
    VIEW.set(0);
}
