//! Pool memory.
//!
//! Every block ends at an unmapped page, and its pages are never used again after it is freed: overruns, and use after
//! free, fault. Paged pool is unmapped while driver code runs at DISPATCH_LEVEL.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::kernel::imports::Export;
use crate::kernel::{dispatcher, irp, mdl, spin_lock, timer, work};
use crate::machine::machine;
use crate::memory;
use crate::schedule::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

const UNINITIALIZED: u64 = 0x2;
const NON_PAGED: u64 = 0x40;
const NON_PAGED_EXECUTE: u64 = 0x80;
const PAGED: u64 = 0x100;
/// USE_QUOTA, UNINITIALIZED, SESSION, CACHE_ALIGNED, RAISE_ON_FAILURE and the three kinds. Flags above 32 bits may be
/// ignored.
const KNOWN_FLAGS: u64 = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | NON_PAGED | NON_PAGED_EXECUTE | PAGED;

/// A live block.
#[derive(Clone, Debug)]
struct Block {
    bytes: usize,
    tag: u32,
    paged: bool,
    caller: String,
}

/// The pool of a machine.
#[derive(Default)]
pub(crate) struct Pool {
    blocks: RefCell<BTreeMap<usize, Block>>,
    non_paged: Cell<usize>,
    peak: Cell<usize>,
    allocations: Cell<u64>,
    failing: Cell<Option<u64>>,
}

fn pool() -> std::rc::Rc<Pool> {
    machine().part::<Pool>()
}

/// The most bytes of non-paged pool that were allocated at the same time.
pub fn peak_bytes() -> usize {
    pool().peak.get()
}

/// Bytes of non-paged pool that are allocated.
pub fn bytes() -> usize {
    pool().non_paged.get()
}

/// How many allocations drivers asked for: pool blocks, requests, descriptor lists, timers, work items, threads.
pub fn allocations() -> u64 {
    pool().allocations.get()
}

/// Lets the allocation that comes after `count` others fail, once. Everything that [`allocations`] counts can fail.
pub fn fail_after(count: u64) {
    let pool = pool();
    pool.failing.set(Some(pool.allocations.get() + count));
}

/// Takes back what [`fail_after`] asked for; false when it has happened.
pub fn fail_no_more() -> bool {
    pool().failing.take().is_some()
}

/// Counts an allocation; false when it is to fail.
pub(crate) fn may_allocate() -> bool {
    let pool = pool();
    let number = pool.allocations.get();
    pool.allocations.set(number + 1);
    let fails = pool.failing.get() == Some(number);
    if fails {
        pool.failing.set(None);
    }
    !fails
}

/// A tag as text.
pub(crate) fn tag_text(tag: u32) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
        .collect()
}

/// Allocates a block; null when a fault is injected. For what PortCls and others allocate for drivers, too.
pub fn allocate(bytes: usize, tag: u32, paged: bool) -> *mut u8 {
    if !may_allocate() {
        return std::ptr::null_mut();
    }
    let thread = schedule::try_current();
    let frames =
        thread.map(|thread| thread.frames.borrow().iter().map(|frame| frame.name).collect::<Vec<_>>());
    let caller = frames.unwrap_or_default().join(" > ");
    let kind = if paged { "paged " } else { "" };
    let address = memory::allocate(bytes, format!("{kind}pool block '{}'", tag_text(tag)));
    if paged {
        memory::make_pageable(
            address.addr() & !0xFFF,
            bytes + (address.addr() & 0xFFF),
            libc::PROT_READ | libc::PROT_WRITE,
        );
    }
    let pool = pool();
    pool.blocks.borrow_mut().insert(address.addr(), Block { bytes, tag, paged, caller });
    if !paged {
        pool.non_paged.set(pool.non_paged.get() + bytes);
        pool.peak.set(pool.peak.get().max(pool.non_paged.get()));
    }
    address
}

/// Frees a block; a tag of zero fits every block.
pub fn free(address: *mut u8, tag: u32) {
    let pool = pool();
    let found = pool.blocks.borrow_mut().remove(&address.addr());
    let Some(block) = found else {
        if mdl::free_from_pool(address.cast()) {
            return;
        }
        let text = format!(
            "{:#x} is freed, which is no pool block: {}",
            address.addr(),
            memory::describe(address.addr())
        );
        return verifier::record(Rule::Pool, text);
    };
    if tag != 0 && tag != block.tag {
        let text =
            format!("a block allocated with tag '{}' is freed with '{}'", tag_text(block.tag), tag_text(tag));
        verifier::record(Rule::Pool, text);
    }
    if block.paged && schedule::try_current().is_some_and(|thread| thread.irql.get() > APC_LEVEL) {
        verifier::record(Rule::Irql, "paged pool is freed above APC_LEVEL");
    } else if let Some(offset) = memory::broken_fence(address) {
        let tag = tag_text(block.tag);
        let text = format!(
            "bytes around block '{tag}' ({} bytes) were written, first at offset {offset}",
            block.bytes
        );
        verifier::record(Rule::Pool, text);
    }
    release_contents(address.addr(), block.bytes);
    if !block.paged {
        pool.non_paged.set(pool.non_paged.get() - block.bytes);
    }
    memory::free(address);
}

/// Checks that nothing in memory that goes away is still in use by the kernel.
pub(crate) fn release_contents(start: usize, bytes: usize) {
    dispatcher::forget_range(start, bytes);
    timer::forget_range(start, bytes);
    work::forget_range(start, bytes);
    irp::forget_range(start, bytes);
    if spin_lock::forget_range(start, bytes) {
        verifier::record(Rule::SpinLock, "memory with a spin lock that is held is freed");
    }
}

/// Whether a range lies in one block of non-paged pool, or in one of paged pool. `None`: it is no pool.
pub(crate) fn is_paged(start: usize, bytes: usize) -> Option<bool> {
    let pool = pool();
    let blocks = pool.blocks.borrow();
    let (base, block) = blocks.range(..=start).next_back()?;
    (start + bytes <= base + block.bytes).then_some(block.paged)
}

/// Reports every block that is still allocated, and forgets it.
pub(crate) fn report_leaks() {
    let blocks = pool().blocks.take();
    for block in blocks.values() {
        let Block { bytes, tag, caller, .. } = block;
        let text = format!(
            "{bytes} bytes of pool with tag '{}' were never freed; allocated in {caller}",
            tag_text(*tag)
        );
        verifier::record(Rule::Pool, text);
    }
    pool().non_paged.set(0);
}

fn allocate_for_driver(bytes: usize, tag: u32, paged: bool, zeroed: bool) -> *mut u8 {
    if bytes == 0 {
        verifier::record(Rule::Pool, "an allocation of zero bytes");
    }
    if tag == 0 {
        verifier::record(Rule::Pool, "an allocation without a tag");
    }
    if paged && schedule::current().irql.get() > APC_LEVEL {
        verifier::record(Rule::Irql, "paged pool is allocated above APC_LEVEL");
    }
    let address = allocate(bytes, tag, paged);
    if !zeroed && !address.is_null() {
        // SAFETY: the block was just allocated with this size.
        unsafe { address.write_bytes(memory::undefined(), bytes) };
    }
    address
}

/// With a POOL_TYPE.
fn allocate_old(kind: u32, bytes: usize, tag: u32) -> *mut u8 {
    match kind {
        1 => allocate_for_driver(bytes, tag, true, false),
        512 => allocate_for_driver(bytes, tag, false, false),
        0 => {
            verifier::record(Rule::Pool, "executable pool, which memory integrity forbids");
            allocate_for_driver(bytes, tag, false, false)
        }
        _ => {
            verifier::record(Rule::Pool, format!("pool type {kind} is not known"));
            std::ptr::null_mut()
        }
    }
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepool2>
    pub fn ExAllocatePool2(flags: u64, bytes: usize, tag: u32) -> *mut u8, irql <= DISPATCH_LEVEL; {
        let kind = flags & (NON_PAGED | NON_PAGED_EXECUTE | PAGED);
        if kind.count_ones() != 1 || flags & 0xFFFF_FFFF & !KNOWN_FLAGS != 0 {
            verifier::record(Rule::Argument, format!("ExAllocatePool2 does not know the flags {flags:#x}"));
            return std::ptr::null_mut();
        }
        if kind == NON_PAGED_EXECUTE {
            verifier::record(Rule::Pool, "executable pool, which memory integrity forbids");
            return std::ptr::null_mut();
        }
        allocate_for_driver(bytes, tag, kind == PAGED, flags & UNINITIALIZED == 0)
    }

    /// The older call: type 0 is executable, 1 paged, 512 neither; the block is not zeroed. Executable pool is reported,
    /// and is not executable here.
    pub fn ExAllocatePoolWithTag(kind: u32, bytes: usize, tag: u32) -> *mut u8, irql <= DISPATCH_LEVEL; {
        allocate_old(kind, bytes, tag)
    }

    /// Older still: without a tag, which is "None" then.
    pub fn ExAllocatePool(kind: u32, bytes: usize) -> *mut u8, irql <= DISPATCH_LEVEL; {
        allocate_old(kind, bytes, u32::from_le_bytes(*b"None"))
    }

    /// Frees a block, whatever its tag.
    pub fn ExFreePool(block: *mut u8), irql <= DISPATCH_LEVEL; {
        free(block, 0);
    }

    /// Frees a block, and checks its tag.
    pub fn ExFreePoolWithTag(block: *mut u8, tag: u32), irql <= DISPATCH_LEVEL; {
        free(block, tag);
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe": ExAllocatePool2, ExAllocatePoolWithTag, ExAllocatePool, ExFreePool, ExFreePoolWithTag];
