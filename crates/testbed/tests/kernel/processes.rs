//! In which process what runs.

use std::cell::RefCell;
use std::ptr::null_mut;

use testbed::kernel::object::ZwClose;
use testbed::kernel::thread::PsCreateSystemThread;
use testbed::kernel::work::{IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem};
use testbed::kernel::{dispatch_at, driver};
use testbed::nt::{DeviceObject, Handle, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, Pvoid};
use testbed::process::{self, Process};
use testbed::schedule::{self, DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::clean;

thread_local! {
    static SEEN: RefCell<Vec<Process>> = const { RefCell::new(Vec::new()) };
}

fn note() {
    SEEN.with_borrow_mut(|seen| seen.push(process::current()));
}

/// The processes that were noted by the time everything has run.
fn seen() -> Vec<Process> {
    schedule::sleep_until(schedule::now() + 1_000_000);
    SEEN.take()
}

unsafe extern "efiapi" fn thread(_context: Pvoid) {
    note();
}

unsafe extern "efiapi" fn work(_device: *mut DeviceObject, _context: Pvoid) {
    note();
}

/// PsCreateSystemThread with a handle of a process.
fn start(process: Handle) -> NtStatus {
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root_directory: 0,
        object_name: std::ptr::null(),
        attributes: OBJ_KERNEL_HANDLE,
        security_descriptor: null_mut(),
        security_quality_of_service: null_mut(),
    };
    let mut handle = 0;
    // SAFETY: everything is a local, and the routine needs no context.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            0,
            &raw const attributes,
            process,
            null_mut(),
            Some(thread),
            null_mut(),
        )
    };
    if status.is_success() {
        // SAFETY: the handle of the thread.
        assert_eq!(unsafe { ZwClose(handle) }, NtStatus::SUCCESS);
    }
    status
}

#[test]
fn a_system_thread_runs_in_system_whoever_starts_it_unless_it_is_told_otherwise() {
    clean(|| {
        assert_eq!(process::current(), Process::AudioEngine);
        assert_eq!((start(0), seen()), (NtStatus::SUCCESS, vec![Process::System]));
        assert_eq!((start(usize::MAX), seen()), (NtStatus::SUCCESS, vec![Process::AudioEngine]));
        assert_eq!((start(0x1234), seen()), (NtStatus::INVALID_HANDLE, vec![]));
        driver::report_leftovers();
    });
}

#[test]
fn a_work_item_runs_in_system() {
    clean(|| {
        // SAFETY: a work item without a device, which is freed when it has run.
        let item = unsafe { IoAllocateWorkItem(null_mut()) };
        // SAFETY: as above.
        unsafe { IoQueueWorkItem(item, Some(work), 1, null_mut()) };
        assert_eq!(seen(), [Process::System]);
        // SAFETY: as above.
        unsafe { IoFreeWorkItem(item) };
    });
}

#[test]
fn what_interrupts_a_thread_runs_in_any_process_and_what_a_client_starts_in_its_own() {
    clean(|| {
        dispatch_at(schedule::now(), DISPATCH_LEVEL, "a completion", note);
        assert_eq!(seen(), [Process::Arbitrary]);
        schedule::spawn("a client", PASSIVE_LEVEL, note);
        assert_eq!(seen(), [Process::AudioEngine]);
        process::within(Process::System, || schedule::spawn("a helper", PASSIVE_LEVEL, note));
        assert_eq!((seen(), process::current()), (vec![Process::System], Process::AudioEngine));
    });
}
