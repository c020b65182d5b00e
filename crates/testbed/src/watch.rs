//! User mode that writes into the audio buffer while a driver reads it: other bytes at every read.
//!
//! A driver's mapping of a watched buffer cannot be accessed. Each access faults; the signal handler of `fault` lets this
//! one instruction have the buffer ([`on_access`]), and traps behind it ([`on_step`]). Then the bytes there become others,
//! as if a program on another processor had just written them. So what is read twice differs, and a length that was
//! checked is another one when it is used: a double fetch does its damage here, in every run.
//!
//! A copy by `memcpy` is read by several instructions of the C library, so that even one copy may hold bytes of several
//! ages. All of them come from [`BYTES`].
//!
//! Only on x86-64; elsewhere nothing is watched.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::ptr;

use crate::kernel::mdl;
use crate::memory;

/// What the buffer is filled with, in turn.
pub(crate) const BYTES: [u8; 6] = [0x00, 0xFF, 0x01, 0x7F, 0x10, 0x80];
/// How much becomes other bytes, before and after the address of an access.
const AROUND: usize = 64;

/// A mapping that is watched.
struct Watch {
    start: usize,
    bytes: usize,
    /// The same pages at an address of this process's own.
    alias: *mut u8,
    freed: Cell<bool>,
}

/// How the program goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// At its own speed.
    GoOn,
    /// With a trap after each instruction, as before.
    Trace,
}

thread_local! {
    static WATCHES: RefCell<Vec<Watch>> = const { RefCell::new(Vec::new()) };
    /// The access under way: which watch, and where.
    static ACCESS: Cell<Option<(usize, usize, Then)>> = const { Cell::new(None) };
    static ACCESSES: Cell<u64> = const { Cell::new(0) };
}

/// Watches every buffer that a driver has mapped now; how many are watched.
pub(crate) fn watch_buffers() -> usize {
    if cfg!(not(target_arch = "x86_64")) {
        return 0;
    }
    for (start, bytes, file) in mdl::kernel_mappings() {
        let known = WATCHES.with_borrow(|all| all.iter().any(|watch| watch.start == start));
        if !known {
            let alias = map(file, bytes);
            WATCHES.with_borrow_mut(|all| all.push(Watch { start, bytes, alias, freed: Cell::new(false) }));
            memory::protect(start, bytes, libc::PROT_NONE);
        }
    }
    WATCHES.with_borrow(Vec::len)
}

fn map(file: RawFd, bytes: usize) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the system's choice touches no memory in use.
    let alias = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file, 0) };
    assert!(alias != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    alias.cast()
}

/// Accesses to watched buffers in this Linux thread's machine so far.
pub(crate) fn accesses() -> u64 {
    ACCESSES.get()
}

/// Called in the signal handler: lets the instruction that has faulted have its buffer. False: it is not watched, or
/// the driver has given it back.
pub(crate) fn on_access(address: usize, traced: bool) -> bool {
    WATCHES.with(|all| {
        let Ok(all) = all.try_borrow() else { return false };
        let found = all.iter().position(|watch| (watch.start..watch.start + watch.bytes).contains(&address));
        let Some(index) = found.filter(|index| !all[*index].freed.get()) else { return false };
        let watch = &all[index];
        if memory::is_retired(address) {
            watch.freed.set(true);
            return false;
        }
        memory::protect(watch.start, watch.bytes, libc::PROT_READ | libc::PROT_WRITE);
        let then = if traced { Then::Trace } else { Then::GoOn };
        ACCESS.set(Some((index, address - watch.start, then)));
        ACCESSES.set(ACCESSES.get() + 1);
        true
    })
}

/// Called in the signal handler after a step. `None`: no access was under way.
pub(crate) fn on_step() -> Option<Then> {
    let (index, at, then) = ACCESS.take()?;
    WATCHES.with(|all| {
        let all = all.try_borrow().ok()?;
        let watch = all.get(index)?;
        let byte = BYTES[(ACCESSES.get() % BYTES.len() as u64) as usize];
        let from = at.saturating_sub(AROUND);
        let bytes = (at + AROUND).min(watch.bytes) - from;
        // SAFETY: the alias has as many bytes as the watch, and nothing in this process has a reference to them.
        let first = unsafe { watch.alias.add(from) };
        // SAFETY: as above.
        unsafe { first.write_bytes(byte, bytes) };
        // All of them: a copy from one to another has opened both.
        for watch in all.iter().filter(|watch| !watch.freed.get() && !memory::is_retired(watch.start)) {
            memory::protect(watch.start, watch.bytes, libc::PROT_NONE);
        }
        Some(then)
    })
}

/// Forgets the watches: their machine is gone.
pub(crate) fn forget() {
    ACCESS.set(None);
    ACCESSES.set(0);
    for watch in WATCHES.take() {
        // SAFETY: the mapping is this watch's own.
        unsafe { libc::munmap(watch.alias.cast(), watch.bytes) };
    }
}
