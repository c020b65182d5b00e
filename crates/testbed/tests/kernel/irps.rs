//! I/O request packets on their way down and back.

use std::cell::Cell;
use std::ptr::null_mut;

use testbed::kernel::driver::{self, Driver};
use testbed::kernel::irp::{self, IoAllocateIrp, IoFreeIrp, IoReuseIrp};
use testbed::kernel::{device, dispatch_at, pool};
use testbed::nt::{
    DeviceObject, DriverObject, IoStackLocation, Irp, NtStatus, Pvoid, UnicodeString, major, stack_control,
};
use testbed::schedule::{self, DISPATCH_LEVEL};
use testbed::{Config, Machine, Rule};

use crate::{breaks, clean};

const MILLISECOND: u64 = 1_000_000;

thread_local! {
    static COMPLETIONS: Cell<u32> = const { Cell::new(0) };
    static PENDING: Cell<*mut Irp> = const { Cell::new(null_mut()) };
}

unsafe extern "efiapi" fn keep(_device: *mut DeviceObject, _irp: *mut Irp, _context: Pvoid) -> NtStatus {
    COMPLETIONS.set(COMPLETIONS.get() + 1);
    NtStatus::MORE_PROCESSING_REQUIRED
}

unsafe extern "efiapi" fn go_on(_device: *mut DeviceObject, irp: *mut Irp, _context: Pvoid) -> NtStatus {
    COMPLETIONS.set(COMPLETIONS.get() + 1);
    // SAFETY: a live request, which the routine's driver has.
    if unsafe { (*irp).pending_returned } != 0 {
        irp::mark_pending(irp);
    }
    NtStatus::SUCCESS
}

type Routine = unsafe extern "efiapi" fn(*mut DeviceObject, *mut Irp, Pvoid) -> NtStatus;

fn new_request() -> *mut Irp {
    // SAFETY: the function takes any number.
    unsafe { IoAllocateIrp(1, 0) }
}

/// IoSetCompletionRoutine, which is inline.
fn set_completion(irp: *mut Irp, routine: Routine) {
    let location = irp::next_location(irp);
    // SAFETY: the request has a next location.
    unsafe {
        (*location).completion_routine = Some(routine);
        (*location).control = stack_control::INVOKE_ON_SUCCESS
            | stack_control::INVOKE_ON_ERROR
            | stack_control::INVOKE_ON_CANCEL;
    }
}

fn send(irp: *mut Irp) {
    set_completion(irp, keep);
    irp::begin_async(irp, "WskSendTo");
}

fn free(irp: *mut Irp) {
    // SAFETY: whether it is a request is what the tests are about.
    unsafe { IoFreeIrp(irp) };
}

#[test]
fn a_request_can_be_sent_completed_and_reused() {
    clean(|| {
        let irp = new_request();
        for _ in 0..3 {
            send(irp);
            assert!(irp::is_in_flight(irp));
            irp::complete_with(irp, NtStatus::SUCCESS, 1157);
            // SAFETY: a live request that came back.
            unsafe {
                assert_eq!((*irp).io_status.information, 1157);
                IoReuseIrp(irp, NtStatus::SUCCESS);
            }
        }
        assert_eq!(COMPLETIONS.take(), 3);
        free(irp);
        driver::report_leftovers();
    });
}

#[test]
fn reusing_a_request_in_flight_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        send(irp);
        // SAFETY: a live request, which is somebody else's now.
        unsafe { IoReuseIrp(irp, NtStatus::SUCCESS) };
    });
}

#[test]
fn sending_a_request_in_flight_is_reported() {
    breaks(Rule::Irp, || {
        // SAFETY: the function takes any number.
        let irp = unsafe { IoAllocateIrp(2, 0) };
        send(irp);
        send(irp);
    });
}

#[test]
fn freeing_a_request_in_flight_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        send(irp);
        free(irp);
    });
}

#[test]
fn completing_a_request_twice_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        send(irp);
        irp::complete_with(irp, NtStatus::SUCCESS, 0);
        irp::complete_with(irp, NtStatus::SUCCESS, 0);
    });
}

#[test]
fn a_request_without_a_location_left_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        send(irp);
        irp::complete_with(irp, NtStatus::SUCCESS, 0);
        send(irp);
        irp::complete_with(irp, NtStatus::SUCCESS, 0);
        // SAFETY: a live request, of which the driver used the location for itself.
        unsafe {
            (*irp).current_location -= 1;
            (*irp).current_stack_location = (*irp).current_stack_location.sub(1);
        }
        irp::begin_async(irp, "WskSendTo");
    });
}

#[test]
fn a_request_that_no_completion_routine_keeps_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        set_completion(irp, go_on);
        irp::begin_async(irp, "WskSendTo");
        irp::complete_with(irp, NtStatus::SUCCESS, 0);
    });
}

#[test]
fn a_completion_routine_in_pageable_memory_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        let address = pool::allocate(16, 1, true).addr();
        // SAFETY: the routine is never called: the request is never completed.
        set_completion(irp, unsafe { std::mem::transmute::<usize, Routine>(address) });
        irp::begin_async(irp, "WskSendTo");
    });
}

#[test]
fn completing_with_the_status_pending_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        send(irp);
        irp::complete_with(irp, NtStatus::PENDING, 0);
    });
}

#[test]
fn a_request_that_is_never_freed_is_reported_at_unload() {
    breaks(Rule::Irp, || {
        new_request();
        driver::report_leftovers();
    });
}

#[test]
fn freeing_a_request_twice_is_reported() {
    breaks(Rule::Irp, || {
        let irp = new_request();
        free(irp);
        free(irp);
    });
}

unsafe extern "efiapi" fn bus_pnp(_device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    irp::mark_pending(irp);
    PENDING.set(irp);
    dispatch_at(schedule::now() + MILLISECOND, DISPATCH_LEVEL, "completion", || {
        irp::complete_with(PENDING.take(), NtStatus::SUCCESS, 7);
    });
    NtStatus::PENDING
}

unsafe extern "efiapi" fn bus_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    // SAFETY: a live driver object.
    unsafe { (*driver).major_function[usize::from(major::PNP)] = Some(bus_pnp) };
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn filter_pnp(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let (current, next) = (irp::current_location(irp), irp::next_location(irp));
    // SAFETY: the request has both locations; what IoCopyCurrentIrpStackLocationToNext does inline.
    unsafe {
        let copy = IoStackLocation { control: 0, completion_routine: None, context: null_mut(), ..*current };
        next.write(copy);
    }
    set_completion(irp, go_on);
    device::call(device::below(device), irp)
}

unsafe extern "efiapi" fn wrong_pnp(_device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    irp::complete_with(irp, NtStatus::SUCCESS, 0);
    NtStatus::UNSUCCESSFUL
}

unsafe extern "efiapi" fn filter_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    // SAFETY: a live driver object.
    unsafe { (*driver).major_function[usize::from(major::PNP)] = Some(filter_pnp) };
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn wrong_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    // SAFETY: a live driver object.
    unsafe { (*driver).major_function[usize::from(major::PNP)] = Some(wrong_pnp) };
    NtStatus::SUCCESS
}

fn request(stack_count: i8) -> *mut Irp {
    let irp = irp::allocate(stack_count);
    // SAFETY: the request has a next location.
    unsafe { (*irp::next_location(irp)).major_function = major::PNP };
    irp
}

#[test]
fn a_request_goes_down_a_device_stack_and_comes_back_pending() {
    clean(|| {
        let bus = Driver::builtin("bus", bus_entry);
        let filter = Driver::builtin("filter", filter_entry);
        let pdo = device::create(bus.object(), 0);
        let fdo = device::create(filter.object(), 8);
        assert_eq!(device::attach(fdo, pdo), pdo);
        assert_eq!(device::top_of(pdo), fdo);
        let irp = request(2);
        let start = schedule::now();
        let result = irp::call_and_wait(fdo, irp);
        assert_eq!((result.status, result.information), (NtStatus::SUCCESS, 7));
        assert_eq!((schedule::now() - start, COMPLETIONS.take()), (MILLISECOND, 1));
        irp::free(irp);
        device::detach(pdo);
        device::delete(fdo);
        device::delete(pdo);
        driver::report_leftovers();
    });
}

#[test]
fn a_return_value_that_differs_from_the_result_is_reported() {
    let outcome = Machine::run(Config::default(), || {
        let driver = Driver::builtin("wrong", wrong_entry);
        irp::call_and_wait(device::create(driver.object(), 0), request(1));
    });
    let rules: Vec<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::Irp]);
}

#[test]
fn deleting_a_device_that_is_attached_is_reported() {
    breaks(Rule::Object, || {
        let (pdo, fdo) = (device::create(null_mut(), 0), device::create(null_mut(), 0));
        device::attach(fdo, pdo);
        device::delete(fdo);
    });
}
