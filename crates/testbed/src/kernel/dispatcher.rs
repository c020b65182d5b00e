//! Dispatcher objects: everything a thread can wait for, and the waits.
//!
//! The state of an object is in the object itself, in the driver's memory, as in Windows. Beside it the machine keeps
//! which objects were initialised and who waits, so that a wait for something else is reported.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::kernel::imports::Export;
use crate::kernel::{pnp_notification, spin_lock, time};
use crate::machine::machine;
use crate::memory;
use crate::nt::{DispatcherHeader, KMutant, NtStatus, Pvoid, dispatcher as kinds};
use crate::schedule::{self, APC_LEVEL, DISPATCH_LEVEL, Time};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// How many objects a thread can wait for without a wait block array of its own.
const THREAD_WAIT_OBJECTS: usize = 3;
const MAXIMUM_WAIT_OBJECTS: usize = 64;
/// Bytes of a KWAIT_BLOCK.
const WAIT_BLOCK_BYTES: usize = 0x30;
const WAIT_ALL: u32 = 0;
const WAIT_ANY: u32 = 1;

/// What the machine knows of an object.
#[derive(Clone, Copy)]
struct Tracked {
    kind: u8,
    bytes: usize,
    waiters: u32,
    /// For a mutex: the thread that owns it.
    owner: Option<u64>,
}

/// The initialised objects of a machine, by address.
#[derive(Default)]
pub(crate) struct Dispatcher(RefCell<BTreeMap<usize, Tracked>>);

fn with<T>(action: impl FnOnce(&mut BTreeMap<usize, Tracked>) -> T) -> T {
    action(&mut machine().part::<Dispatcher>().0.borrow_mut())
}

/// Makes the memory at `header` an object of a kind (see `nt::dispatcher`) and size.
pub fn initialize(header: *mut DispatcherHeader, kind: u8, bytes: usize, signal_state: i32) {
    let old = with(|objects| objects.get(&header.addr()).copied());
    if old.is_some_and(|old| old.waiters > 0) {
        verifier::record(
            Rule::Object,
            format!("a {} is initialised while a thread waits for it", name(kind)),
        );
    }
    let list = header.wrapping_byte_add(8).cast();
    let value = DispatcherHeader {
        kind,
        control: 0,
        size: (bytes / 4) as u8,
        flags: 0,
        signal_state,
        wait_list: crate::nt::ListEntry { forward: list, backward: list },
    };
    // SAFETY: the caller passes memory for an object; a wrong pointer faults and is reported.
    unsafe { header.write(value) };
    with(|objects| objects.insert(header.addr(), Tracked { kind, bytes, waiters: 0, owner: None }));
}

/// Forgets an object whose memory goes away.
pub fn forget(header: *const DispatcherHeader) {
    forget_range(header.addr(), 1);
}

/// Forgets the objects in memory that goes away, and reports those that threads wait for.
pub(crate) fn forget_range(start: usize, bytes: usize) {
    let gone: Vec<(usize, Tracked)> = with(|objects| {
        let keys: Vec<usize> =
            objects.range(start..start + bytes.max(1)).map(|(address, _)| *address).collect();
        keys.into_iter().filter_map(|key| objects.remove_entry(&key)).collect()
    });
    for (_, object) in gone.iter().filter(|(_, object)| object.waiters > 0) {
        verifier::record(
            Rule::Object,
            format!("a {} is freed while a thread waits for it", name(object.kind)),
        );
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        kinds::NOTIFICATION_EVENT | kinds::SYNCHRONIZATION_EVENT => "event",
        kinds::MUTANT => "mutex",
        kinds::SEMAPHORE => "semaphore",
        kinds::THREAD => "thread",
        kinds::NOTIFICATION_TIMER | kinds::SYNCHRONIZATION_TIMER => "timer",
        _ => "object of an unknown kind",
    }
}

/// The kind of an object, if it is one: initialised, not freed, not overwritten.
pub(crate) fn check(header: *const DispatcherHeader) -> Result<u8, String> {
    let Some(tracked) = with(|objects| objects.get(&header.addr()).copied()) else {
        return Err(format!(
            "{:#x} is no initialised object ({})",
            header.addr(),
            memory::describe(header.addr())
        ));
    };
    // SAFETY: the object was initialised there; its memory is still mapped, or the access faults and is reported.
    let (kind, size) = unsafe { ((*header).kind, (*header).size) };
    if (kind, usize::from(size)) != (tracked.kind, tracked.bytes / 4) {
        return Err(format!("the {} at {:#x} was overwritten", name(tracked.kind), header.addr()));
    }
    Ok(kind)
}

/// [`check`], of a kind that `allowed` holds; otherwise the machine stops with a violation.
pub(crate) fn demand(header: *const DispatcherHeader, allowed: &[u8]) {
    match check(header) {
        Ok(kind) if allowed.contains(&kind) => {}
        Ok(kind) => {
            let text = format!("{:#x} is a {}, which this function does not take", header.addr(), name(kind));
            verifier::fatal(Rule::Object, text);
        }
        Err(text) => verifier::fatal(Rule::Object, text),
    }
}

/// Reads the state of an object: above zero means signaled.
pub(crate) fn signal_state(header: *const DispatcherHeader) -> i32 {
    // SAFETY: callers checked the object.
    unsafe { (&raw const (*header).signal_state).read_volatile() }
}

/// Changes the state of an object; returns the old one. Threads whose wait is over by this become ready at once.
pub(crate) fn set_signal_state(header: *mut DispatcherHeader, state: i32) -> i32 {
    let old = signal_state(header);
    // SAFETY: callers checked the object.
    unsafe { (&raw mut (*header).signal_state).write_volatile(state) };
    let has_waiters = with(|objects| objects.get(&header.addr()).is_some_and(|object| object.waiters > 0));
    if state > 0 && has_waiters {
        schedule::poll_now();
    }
    old
}

/// The thread that owns a mutex.
pub(crate) fn mutex_owner(header: *const DispatcherHeader) -> Option<u64> {
    with(|objects| objects.get(&header.addr()).and_then(|object| object.owner))
}

fn set_owner(header: *const DispatcherHeader, owner: Option<u64>) {
    with(|objects| {
        if let Some(object) = objects.get_mut(&header.addr()) {
            object.owner = owner;
        }
    });
}

/// Gives a mutex back once; true when it is free after that.
pub(crate) fn release_mutex(header: *mut DispatcherHeader) -> i32 {
    let old = signal_state(header);
    if old == 0 {
        set_owner(header, None);
    }
    set_signal_state(header, old + 1)
}

/// The mutexes that a thread owns.
pub(crate) fn mutexes_of(thread: u64) -> usize {
    with(|objects| objects.values().filter(|object| object.owner == Some(thread)).count())
}

fn is_signaled_for(header: *const DispatcherHeader, kind: u8, thread: u64) -> bool {
    signal_state(header) > 0 || kind == kinds::MUTANT && mutex_owner(header) == Some(thread)
}

/// What a satisfied wait does to its object.
fn take(header: *mut DispatcherHeader, kind: u8, thread: u64) {
    let state = signal_state(header);
    match kind {
        kinds::SYNCHRONIZATION_EVENT | kinds::SYNCHRONIZATION_TIMER => {
            set_signal_state(header, 0);
        }
        kinds::SEMAPHORE => {
            set_signal_state(header, state - 1);
        }
        kinds::MUTANT => {
            set_signal_state(header, state - 1);
            set_owner(header, Some(thread));
            // SAFETY: a mutex was initialised here with its full size.
            unsafe {
                (*header.cast::<KMutant>()).owner_thread = std::ptr::without_provenance_mut(thread as usize)
            };
        }
        _ => {}
    }
}

/// Waits for one object, or for one or all of several; the testbed's own threads may call it, too.
///
/// Returns the index of the object that ended the wait (zero for all), or `None` when the deadline came first.
pub fn wait(objects: &[*mut DispatcherHeader], all: bool, deadline: Option<Time>) -> Option<usize> {
    let thread = schedule::current().id;
    let mut kinds_of = Vec::with_capacity(objects.len());
    for object in objects {
        match check(*object) {
            Ok(kind) => kinds_of.push(kind),
            Err(text) => {
                verifier::fatal(Rule::Object, format!("a wait for something else than an object: {text}"))
            }
        }
    }
    count_waiters(objects, 1);
    let result = schedule::wait("kernel objects", deadline, || {
        // An object that went away while it was waited for was reported by whoever freed it.
        let is_over = |index: &usize| {
            let tracked = with(|tracked| tracked.contains_key(&objects[*index].addr()));
            tracked && is_signaled_for(objects[*index], kinds_of[*index], thread)
        };
        if all {
            let everything = (0..objects.len()).all(|index| is_over(&index));
            return everything.then(|| {
                for (object, kind) in objects.iter().zip(&kinds_of) {
                    take(*object, *kind, thread);
                }
                0
            });
        }
        let first = (0..objects.len()).find(is_over)?;
        take(objects[first], kinds_of[first], thread);
        Some(first)
    });
    count_waiters(objects, -1);
    result
}

fn count_waiters(objects: &[*mut DispatcherHeader], change: i32) {
    with(|tracked| {
        for object in objects {
            let entry = tracked.entry(object.addr());
            entry.and_modify(|object| object.waiters = object.waiters.saturating_add_signed(change));
        }
    });
}

/// Checks that the running thread may wait: below DISPATCH_LEVEL, and without spin locks.
pub(crate) fn demand_may_wait(what: &str) {
    let thread = schedule::current();
    if spin_lock::held_by(thread.id) > 0 {
        verifier::record(Rule::SpinLock, format!("{what} waits while a spin lock is held"));
    } else if thread.irql.get() > APC_LEVEL {
        verifier::record(Rule::Irql, format!("{what} waits at IRQL {}", thread.irql.get()));
    }
}

/// Checks that the running thread may block: not for more than a mutex where it must be quick.
fn demand_may_block(what: &str, objects: &[*mut DispatcherHeader]) {
    let is_mutex = |object: &*mut DispatcherHeader| check(*object) == Ok(kinds::MUTANT);
    if !objects.iter().all(is_mutex) {
        pnp_notification::demand_may_block(what);
    }
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitforsingleobject>
    pub fn KeWaitForSingleObject(object: *mut DispatcherHeader, reason: u32, mode: i8, alertable: u8, timeout: *const i64)
        -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (reason, mode, alertable);
        // SAFETY: the driver passes null or a time-out.
        let deadline = unsafe { time::deadline(timeout) };
        if deadline != Some(0) {
            demand_may_wait("KeWaitForSingleObject");
            demand_may_block("KeWaitForSingleObject", &[object]);
        }
        wait(&[object], false, deadline).map_or(NtStatus::TIMEOUT, |_| NtStatus::SUCCESS)
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitformultipleobjects>
    pub fn KeWaitForMultipleObjects(count: u32, objects: *const *mut DispatcherHeader, kind: u32, reason: u32, mode: i8,
        alertable: u8, timeout: *const i64, wait_blocks: Pvoid) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (reason, mode, alertable);
        let count = count as usize;
        let limit = if wait_blocks.is_null() { THREAD_WAIT_OBJECTS } else { MAXIMUM_WAIT_OBJECTS };
        if count > limit || count == 0 {
            verifier::fatal(Rule::Argument, format!("a wait for {count} objects; with these wait blocks 1 to {limit}"));
        }
        if kind != WAIT_ALL && kind != WAIT_ANY {
            verifier::fatal(Rule::Argument, format!("wait type {kind}"));
        }
        if !wait_blocks.is_null() {
            // The kernel uses the blocks as long as the wait lasts.
            // SAFETY: the driver passes memory for `count` blocks; less than that faults and is reported.
            unsafe { wait_blocks.cast::<u8>().write_bytes(0, count * WAIT_BLOCK_BYTES) };
        }
        // SAFETY: the driver passes `count` pointers.
        let objects = (0..count).map(|index| unsafe { objects.add(index).read() }).collect::<Vec<_>>();
        // SAFETY: the driver passes null or a time-out.
        let deadline = unsafe { time::deadline(timeout) };
        if deadline != Some(0) {
            demand_may_wait("KeWaitForMultipleObjects");
            demand_may_block("KeWaitForMultipleObjects", &objects);
        }
        wait(&objects, kind == WAIT_ALL, deadline).map_or(NtStatus::TIMEOUT, |index| NtStatus(index as i32))
    }

    /// Sleeps.
    pub fn KeDelayExecutionThread(mode: i8, alertable: u8, interval: *const i64) -> NtStatus, irql <= APC_LEVEL; {
        let _ = (mode, alertable);
        // SAFETY: the driver passes an interval; null faults and is reported.
        let interval = unsafe { interval.read() };
        pnp_notification::demand_may_block("KeDelayExecutionThread");
        schedule::sleep_until(if interval == 0 { schedule::now() } else { time::at_clock_tick(time::due(interval)) });
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers. A mutex is waited for like anything else.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    KeWaitForSingleObject, KeWaitForMultipleObjects, KeDelayExecutionThread];

/// `KeWaitForMutexObject` is another name of KeWaitForSingleObject.
pub(crate) const ALIASES: &[Export] = &[Export {
    module: "ntoskrnl.exe",
    name: "KeWaitForMutexObject",
    address: KeWaitForSingleObject as *const (),
}];
