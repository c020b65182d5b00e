//! System threads, work items, objects and handles.

use std::cell::Cell;
use std::ptr::{null, null_mut};

use testbed::kernel::dispatcher::KeWaitForSingleObject;
use testbed::kernel::object::{ObReferenceObjectByHandle, ObfDereferenceObject, ZwClose};
use testbed::kernel::thread::{
    self, KeGetCurrentThread, KeSetPriorityThread, PsCreateSystemThread, PsTerminateSystemThread,
};
use testbed::kernel::work::{IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem};
use testbed::kernel::{device, driver, pool};
use testbed::nt::{DeviceObject, Handle, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, Pvoid};
use testbed::{Rule, schedule};

use crate::{breaks, clean};

const MILLISECOND: u64 = 1_000_000;

thread_local! {
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

unsafe extern "efiapi" fn short_thread(_context: Pvoid) {
    STEPS.set(STEPS.get() + 1);
    schedule::sleep_until(schedule::now() + 5 * MILLISECOND);
    // SAFETY: the calling thread is a system thread; it owns itself.
    unsafe {
        assert_eq!(KeSetPriorityThread(KeGetCurrentThread(), 16), 8);
        PsTerminateSystemThread(NtStatus::SUCCESS);
    }
    unreachable!("the thread has ended");
}

unsafe extern "efiapi" fn returning_thread(_context: Pvoid) {}

unsafe extern "efiapi" fn careless_thread(_context: Pvoid) {
    schedule::current().irql.set(2);
}

unsafe extern "efiapi" fn work(_device: *mut DeviceObject, _context: Pvoid) {
    STEPS.set(STEPS.get() + 1);
}

fn create(routine: unsafe extern "efiapi" fn(Pvoid), attributes: u32) -> Handle {
    try_create(routine, attributes).expect("a thread")
}

fn try_create(routine: unsafe extern "efiapi" fn(Pvoid), attributes: u32) -> Result<Handle, NtStatus> {
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root_directory: 0,
        object_name: null(),
        attributes,
        security_descriptor: null_mut(),
        security_quality_of_service: null_mut(),
    };
    let mut handle = 0;
    // SAFETY: variables on this stack, and a routine that takes any context.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            0,
            &raw const attributes,
            0,
            null_mut(),
            Some(routine),
            null_mut(),
        )
    };
    status.ok().map(|()| handle)
}

/// References the thread, closes the handle, waits for the end: what a driver has to do.
fn join(handle: Handle) {
    let mut object = null_mut();
    // SAFETY: a handle of a thread, and variables on this stack.
    unsafe {
        assert_eq!(
            ObReferenceObjectByHandle(handle, 0, null(), 0, &raw mut object, null_mut()),
            NtStatus::SUCCESS
        );
        assert_eq!(ZwClose(handle), NtStatus::SUCCESS);
        assert_eq!(KeWaitForSingleObject(object.cast(), 0, 0, 0, null()), NtStatus::SUCCESS);
        ObfDereferenceObject(object.cast());
    }
}

#[test]
fn a_thread_runs_and_can_be_waited_for() {
    clean(|| {
        let start = schedule::now();
        join(create(short_thread, OBJ_KERNEL_HANDLE));
        assert_eq!((STEPS.take(), schedule::now() - start), (1, 5 * MILLISECOND));
        join(create(returning_thread, OBJ_KERNEL_HANDLE));
        assert_eq!(thread::running(), 0);
        driver::report_leftovers();
    });
}

#[test]
fn a_thread_without_a_kernel_handle_is_reported() {
    breaks(Rule::Argument, || join(create(returning_thread, 0)));
}

#[test]
fn a_thread_that_runs_at_unload_is_reported() {
    breaks(Rule::Unload, || {
        // SAFETY: an open handle.
        unsafe { ZwClose(create(short_thread, OBJ_KERNEL_HANDLE)) };
        driver::report_leftovers();
    });
}

#[test]
fn a_handle_that_is_never_closed_is_reported_at_unload() {
    breaks(Rule::Unload, || {
        create(returning_thread, OBJ_KERNEL_HANDLE);
        schedule::sleep_until(schedule::now() + MILLISECOND);
        driver::report_leftovers();
    });
}

#[test]
fn closing_a_handle_twice_is_reported() {
    breaks(Rule::Object, || {
        let handle = create(returning_thread, OBJ_KERNEL_HANDLE);
        // SAFETY: an open handle, the first time.
        unsafe {
            ZwClose(handle);
            ZwClose(handle);
        }
    });
}

#[test]
fn giving_back_a_reference_too_many_is_reported() {
    breaks(Rule::Object, || {
        let object = thread::current_object();
        // SAFETY: the second time there is no object any more.
        unsafe {
            ObfDereferenceObject(object);
            ObfDereferenceObject(object);
        }
    });
}

#[test]
fn a_thread_that_ends_at_a_raised_level_is_reported() {
    breaks(Rule::IrqlUnbalanced, || join(create(careless_thread, OBJ_KERNEL_HANDLE)));
}

#[test]
fn an_injected_fault_lets_thread_creation_fail() {
    clean(|| {
        pool::fail_after(0);
        assert_eq!(try_create(returning_thread, OBJ_KERNEL_HANDLE), Err(NtStatus::INSUFFICIENT_RESOURCES));
    });
}

#[test]
fn a_work_item_runs_once_per_queueing() {
    clean(|| {
        let device = device::create(null_mut(), 16);
        // SAFETY: a live device, and a routine that takes any context.
        unsafe {
            let item = IoAllocateWorkItem(device);
            for _ in 0..2 {
                IoQueueWorkItem(item, Some(work), 1, null_mut());
                schedule::sleep_until(schedule::now() + 1);
            }
            IoFreeWorkItem(item);
        }
        assert_eq!(STEPS.take(), 2);
        device::delete(device);
        driver::report_leftovers();
    });
}

#[test]
fn queueing_a_work_item_that_is_queued_is_reported() {
    breaks(Rule::Object, || {
        let device = device::create(null_mut(), 0);
        // SAFETY: a live device; the second queueing is what this test is about.
        unsafe {
            let item = IoAllocateWorkItem(device);
            IoQueueWorkItem(item, Some(work), 1, null_mut());
            IoQueueWorkItem(item, Some(work), 1, null_mut());
        }
    });
}

#[test]
fn a_work_item_that_is_never_freed_is_reported_at_unload() {
    breaks(Rule::Unload, || {
        // SAFETY: a live device.
        unsafe { IoAllocateWorkItem(device::create(null_mut(), 0)) };
        driver::report_leftovers();
    });
}
