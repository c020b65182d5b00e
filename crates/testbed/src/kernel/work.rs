//! Work items: functions of a driver that a system thread runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::crossing;
use crate::kernel::imports::Export;
use crate::kernel::{object, pool};
use crate::machine::machine;
use crate::memory;
use crate::nt::{DeviceObject, Pvoid};
use crate::process::Process;
use crate::schedule::{self, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// Bytes of the object behind a PIO_WORKITEM here.
const WORK_ITEM_BYTES: usize = 0x60;

/// IO_WORKITEM_ROUTINE.
type WorkRoutine = unsafe extern "efiapi" fn(device: *mut DeviceObject, context: Pvoid);
/// IO_WORKITEM_ROUTINE_EX.
type WorkRoutineEx = unsafe extern "efiapi" fn(io_object: Pvoid, context: Pvoid, item: Pvoid);
/// WORKER_THREAD_ROUTINE.
type WorkerRoutine = unsafe extern "efiapi" fn(parameter: Pvoid);

/// WORK_QUEUE_ITEM.
#[repr(C)]
pub struct WorkQueueItem {
    list: [usize; 2],
    routine: Option<WorkerRoutine>,
    parameter: Pvoid,
}
crate::layout!(WorkQueueItem, 0x20, routine: 0x10, parameter: 0x18);

/// A work item of IoAllocateWorkItem.
struct Item {
    device: *mut DeviceObject,
    queued: Cell<bool>,
}

/// The work items of a machine.
#[derive(Default)]
struct Work {
    items: RefCell<BTreeMap<usize, Rc<Item>>>,
    /// WORK_QUEUE_ITEMs in the memory of drivers that are queued.
    plain: RefCell<BTreeMap<usize, ()>>,
    running: Cell<usize>,
}

fn work() -> Rc<Work> {
    machine().part::<Work>()
}

/// Reports queued work items in memory that goes away.
pub(crate) fn forget_range(start: usize, bytes: usize) {
    let work = work();
    let mut plain = work.plain.borrow_mut();
    let gone: Vec<usize> = plain.range(start..start + bytes.max(1)).map(|(address, ())| *address).collect();
    for address in gone {
        plain.remove(&address);
        verifier::record(Rule::Object, "a work item is freed while it is queued");
    }
}

/// Reports what was never freed, and what is queued or runs.
pub(crate) fn report_leaks() {
    let work = work();
    for item in work.items.take().into_values() {
        let state = if item.queued.get() { "is still queued" } else { "was never freed" };
        verifier::record(Rule::Unload, format!("a work item {state}"));
    }
    if work.running.get() > 0 || !work.plain.take().is_empty() {
        verifier::record(Rule::Unload, "a work item is queued or runs");
    }
}

fn find(item: *mut u8) -> Rc<Item> {
    let found = work().items.borrow().get(&item.addr()).cloned();
    found.unwrap_or_else(|| {
        let place = memory::describe(item.addr());
        verifier::fatal(Rule::Object, format!("{:#x} is no work item: {place}", item.addr()))
    })
}

fn queue(address: *mut u8, call: impl FnOnce(*mut DeviceObject) + 'static) {
    let item = find(address);
    if item.queued.replace(true) {
        verifier::fatal(Rule::Object, "a work item is queued that is queued already");
    }
    let device = item.device;
    let referenced = object::is_live(device.cast());
    if referenced {
        object::reference(device.cast());
    }
    schedule::spawn_in(Process::System, "work item", PASSIVE_LEVEL, move || {
        let work = work();
        work.running.set(work.running.get() + 1);
        // From here on the routine may free or queue its item.
        item.queued.set(false);
        crossing::call_driver("work item routine", || call(device));
        work.running.set(work.running.get() - 1);
        if referenced {
            object::dereference(device.cast());
        }
    });
}

import! {
    /// Null when there is no memory.
    pub fn IoAllocateWorkItem(device: *mut DeviceObject) -> *mut u8, irql <= DISPATCH_LEVEL; {
        if !pool::may_allocate() {
            return std::ptr::null_mut();
        }
        let item = memory::allocate(WORK_ITEM_BYTES, "work item");
        work().items.borrow_mut().insert(item.addr(), Rc::new(Item { device, queued: Cell::new(false) }));
        item
    }

    /// Not while it is queued.
    pub fn IoFreeWorkItem(item: *mut u8), irql <= DISPATCH_LEVEL; {
        if find(item).queued.get() {
            verifier::record(Rule::Object, "a work item is freed while it is queued");
        }
        work().items.borrow_mut().remove(&item.addr());
        memory::free(item);
    }

    /// Runs the routine in a system thread.
    pub fn IoQueueWorkItem(item: *mut u8, routine: Option<WorkRoutine>, kind: u32, context: Pvoid), irql <= DISPATCH_LEVEL; {
        let _ = kind;
        let Some(routine) = routine else { verifier::fatal(Rule::Argument, "a work item without a routine") };
        queue(item, move |device| {
            // SAFETY: the driver passed this routine for its work item.
            unsafe { routine(device, context) }
        });
    }

    /// As IoQueueWorkItem, with the item as another argument.
    pub fn IoQueueWorkItemEx(item: *mut u8, routine: Option<WorkRoutineEx>, kind: u32, context: Pvoid),
        irql <= DISPATCH_LEVEL; {
        let _ = kind;
        let Some(routine) = routine else { verifier::fatal(Rule::Argument, "a work item without a routine") };
        queue(item, move |device| {
            // SAFETY: the driver passed this routine for its work item.
            unsafe { routine(device.cast(), context, item.cast()) }
        });
    }

    /// The older kind, without a reference to a device.
    pub fn ExQueueWorkItem(item: *mut WorkQueueItem, kind: u32), irql <= DISPATCH_LEVEL; {
        let _ = kind;
        // SAFETY: the driver passes its item; a wrong pointer faults and is reported.
        let (routine, parameter) = unsafe { ((*item).routine, (*item).parameter) };
        let Some(routine) = routine else { verifier::fatal(Rule::Argument, "a work item without a routine") };
        if work().plain.borrow_mut().insert(item.addr(), ()).is_some() {
            verifier::fatal(Rule::Object, "a work item is queued that is queued already");
        }
        let address = item.addr();
        schedule::spawn_in(Process::System, "work item", PASSIVE_LEVEL, move || {
            let work = work();
            work.plain.borrow_mut().remove(&address);
            work.running.set(work.running.get() + 1);
            crossing::call_driver("work item routine", || {
                // SAFETY: the driver passed this routine for its work item.
                unsafe { routine(parameter) }
            });
            work.running.set(work.running.get() - 1);
        });
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe": IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem, IoQueueWorkItemEx, ExQueueWorkItem];
