//! System threads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::crossing;
use crate::image::load::describe_address;
use crate::kernel::imports::Export;
use crate::kernel::object::{self, ObjectType};
use crate::kernel::{dispatcher, mutex, pnp_notification, pool, spin_lock, time};
use crate::machine::machine;
use crate::nt::dispatcher as kinds;
use crate::nt::{ClientId, DispatcherHeader, Handle, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, Pvoid};
use crate::process::{self, Process};
use crate::schedule::{self, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// Bytes of a thread object here; what Windows has is not public.
const THREAD_BYTES: usize = 0x80;
/// The size that the header can express.
const HEADER_BYTES: usize = 0x80;
const DEFAULT_PRIORITY: i32 = 8;
/// NtCurrentProcess, a handle that is always open.
const CURRENT_PROCESS: Handle = Handle::MAX;
/// ThreadPriority, a THREADINFOCLASS.
const THREAD_PRIORITY: u32 = 2;

/// KSTART_ROUTINE.
type StartRoutine = unsafe extern "efiapi" fn(context: Pvoid);

/// A thread that a driver made.
#[derive(Clone)]
struct System {
    object: usize,
    thread: Rc<schedule::Thread>,
    priority: i32,
}

/// The threads of a machine.
#[derive(Default)]
struct Threads {
    /// By the number of the thread.
    system: RefCell<BTreeMap<u64, System>>,
    /// The objects of threads that are not a driver's, made when asked for.
    others: RefCell<BTreeMap<u64, usize>>,
}

fn threads() -> Rc<Threads> {
    machine().part::<Threads>()
}

fn new_object(last: impl FnOnce() + 'static) -> *mut u8 {
    let object = object::create(ObjectType::Thread, THREAD_BYTES, last);
    dispatcher::initialize(object.cast(), kinds::THREAD, HEADER_BYTES, 0);
    object
}

/// The object of the running thread.
pub fn current_object() -> *mut u8 {
    let thread = schedule::current();
    let threads = threads();
    let system = threads.system.borrow().get(&thread.id).map(|system| system.object);
    let known = system.or_else(|| threads.others.borrow().get(&thread.id).copied());
    let address = known.unwrap_or_else(|| {
        let object = new_object(|| {}).addr();
        threads.others.borrow_mut().insert(thread.id, object);
        object
    });
    std::ptr::with_exposed_provenance_mut(address)
}

/// The priorities of the system threads that run, by name: to check what a driver asked for.
pub fn priorities() -> Vec<(String, i32)> {
    let threads = threads();
    let threads = threads.system.borrow();
    threads.values().map(|system| (system.thread.name.clone(), system.priority)).collect()
}

/// How many system threads of drivers have not ended.
pub fn running() -> usize {
    threads().system.borrow().len()
}

/// The references to a thread's object that are the machine's own: one until the thread has ended.
pub(crate) fn own_references(object: usize) -> i64 {
    let threads = threads();
    let runs = threads.system.borrow().values().any(|system| system.object == object);
    i64::from(runs || threads.others.borrow().values().any(|other| *other == object))
}

/// Reports every system thread that has not ended.
pub(crate) fn report_leaks() {
    for system in threads().system.borrow().values() {
        verifier::record(Rule::Unload, format!("{} has not ended", system.thread.name));
    }
}

/// What happens when the driver's part of the running system thread is over.
fn end() {
    let thread = schedule::current();
    if thread.irql.get() != PASSIVE_LEVEL {
        verifier::record(Rule::IrqlUnbalanced, format!("a thread ends at IRQL {}", thread.irql.get()));
        thread.irql.set(PASSIVE_LEVEL);
    }
    if spin_lock::held_by(thread.id) > 0 {
        verifier::record(Rule::SpinLock, "a thread ends while it holds a spin lock");
    }
    if mutex::owned_by(thread.id) > 0 {
        verifier::record(Rule::Object, "a thread ends while it owns a mutex");
    }
    let system = threads().system.borrow_mut().remove(&thread.id);
    if let Some(system) = system {
        crate::portcls::thread_ends(system.object);
        let object: *mut u8 = std::ptr::with_exposed_provenance_mut(system.object);
        dispatcher::set_signal_state(object.cast(), 1);
        // The reference that the thread itself held.
        object::dereference(object);
    }
}

/// Returns the old priority.
fn set_priority(object: *mut u8, priority: i32) -> i32 {
    let threads = threads();
    let mut system = threads.system.borrow_mut();
    let found = system.values_mut().find(|system| system.object == object.addr());
    found.map_or(DEFAULT_PRIORITY, |system| std::mem::replace(&mut system.priority, priority))
}

fn create(process: Process, routine: StartRoutine, context: Pvoid) -> *mut u8 {
    let object = new_object(|| {});
    let place = describe_address(routine as usize).unwrap_or_else(|| "a test".to_owned());
    let name = format!("system thread of {place}");
    let thread = schedule::spawn_in(process, name, PASSIVE_LEVEL, move || {
        crossing::call_driver("thread routine", || {
            // SAFETY: the driver passed this routine for its thread.
            unsafe { routine(context) }
        });
        end();
    });
    let system = System { object: object.addr(), thread: Rc::clone(&thread), priority: DEFAULT_PRIORITY };
    threads().system.borrow_mut().insert(thread.id, system);
    object
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-pscreatesystemthread>
    pub fn PsCreateSystemThread(handle: *mut Handle, access: u32, attributes: *const ObjectAttributes, process: Handle,
        id: *mut ClientId, routine: Option<StartRoutine>, context: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = access;
        let process = match process {
            0 => Process::System,
            CURRENT_PROCESS => process::current(),
            _ => return NtStatus::INVALID_HANDLE,
        };
        // SAFETY: the driver passes null or its attributes.
        let attributes = unsafe { attributes.as_ref() };
        if attributes.is_none_or(|attributes| attributes.attributes & OBJ_KERNEL_HANDLE == 0) {
            let text = "PsCreateSystemThread without OBJ_KERNEL_HANDLE: the handle belongs to whichever process runs";
            verifier::record(Rule::Argument, text);
        }
        let Some(routine) = routine else { return NtStatus::INVALID_PARAMETER };
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let object = create(process, routine, context);
        let opened = object::open(object, "a system thread");
        // SAFETY: the driver passes its variable.
        unsafe { time::put(handle, opened) };
        // SAFETY: the driver passes null or its variable.
        unsafe { time::put(id, ClientId { process: 4, thread: object.addr() >> 4 }) };
        NtStatus::SUCCESS
    }

    /// Ends the calling thread.
    pub fn PsTerminateSystemThread(status: NtStatus) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = status;
        let thread = schedule::current();
        if !threads().system.borrow().contains_key(&thread.id) {
            verifier::record(Rule::Object, "PsTerminateSystemThread is called by a thread that is no system thread");
            return NtStatus::INVALID_PARAMETER;
        }
        let _ = thread;
        end();
        schedule::terminate();
    }

    /// Returns the old priority.
    pub fn KeSetPriorityThread(thread: *mut u8, priority: i32) -> i32, irql <= PASSIVE_LEVEL; {
        if !(1..=31).contains(&priority) {
            verifier::record(Rule::Argument, format!("thread priority {priority}"));
        }
        dispatcher::demand(thread.cast::<DispatcherHeader>(), &[kinds::THREAD]);
        set_priority(thread, priority)
    }

    /// Sets the priority of a thread by its handle (class 2); other classes are not simulated.
    pub fn ZwSetInformationThread(handle: Handle, class: u32, information: *const i32, bytes: u32) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let object = match object::by_handle(handle, ObjectType::Thread) {
            Ok(object) => object,
            Err(status) => return status,
        };
        if class != THREAD_PRIORITY {
            verifier::record(Rule::Argument, format!("ZwSetInformationThread of class {class}"));
            return NtStatus::NOT_IMPLEMENTED;
        }
        if bytes as usize != size_of::<i32>() {
            return NtStatus::INFO_LENGTH_MISMATCH;
        }
        // SAFETY: the driver passes its variable.
        let priority = unsafe { information.read() };
        if !(1..=31).contains(&priority) {
            return NtStatus::INVALID_PARAMETER;
        }
        set_priority(object, priority);
        NtStatus::SUCCESS
    }

    /// Waits for an object by its handle.
    pub fn ZwWaitForSingleObject(handle: Handle, alertable: u8, timeout: *const i64) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = alertable;
        let waitable = [ObjectType::Thread, ObjectType::Event].map(|kind| object::by_handle(handle, kind));
        let object = match waitable {
            [Ok(object), _] | [_, Ok(object)] => object,
            [Err(status), _] => return status,
        };
        // The handle may be closed meanwhile; the object stays until the wait is over.
        object::reference(object);
        // SAFETY: the driver passes null or a time-out.
        let deadline = unsafe { time::deadline(timeout) };
        if deadline != Some(0) {
            pnp_notification::demand_may_block("ZwWaitForSingleObject");
        }
        let ended = dispatcher::wait(&[object.cast()], false, deadline);
        object::dereference(object);
        if ended.is_some() { NtStatus::SUCCESS } else { NtStatus::TIMEOUT }
    }

    /// The priority of a thread.
    pub fn KeQueryPriorityThread(thread: *mut u8) -> i32, irql <= PASSIVE_LEVEL; {
        let threads = threads();
        let system = threads.system.borrow();
        system.values().find(|system| system.object == thread.addr()).map_or(DEFAULT_PRIORITY, |system| system.priority)
    }

    /// The object of the calling thread.
    pub fn KeGetCurrentThread() -> *mut u8, irql <= DISPATCH_LEVEL; {
        current_object()
    }

    /// A number for the calling thread.
    pub fn PsGetCurrentThreadId() -> Handle, irql <= DISPATCH_LEVEL; {
        current_object().addr() >> 4
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    PsCreateSystemThread, PsTerminateSystemThread, KeSetPriorityThread, KeQueryPriorityThread, KeGetCurrentThread,
    PsGetCurrentThreadId, ZwSetInformationThread, ZwWaitForSingleObject];
/// `PsGetCurrentThread` is another name of KeGetCurrentThread.
pub(crate) const ALIASES: &[Export] = &[Export {
    module: "ntoskrnl.exe",
    name: "PsGetCurrentThread",
    address: KeGetCurrentThread as *const (),
}];
