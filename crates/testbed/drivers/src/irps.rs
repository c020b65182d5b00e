//! I/O request packets, sent to a device of the driver's own.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::Case;
use crate::devices::{create, delete};
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("irp_leaked", leaked),
    ("irp_leaked_in_flight", leaked_in_flight),
    ("irp_freed_in_flight", freed_in_flight),
    ("irp_reused_in_flight", reused_in_flight),
    ("irp_passed_on_twice", initialised_in_flight),
    ("irp_completed_twice", completed_twice),
    ("irp_completed_pending", completed_pending),
    ("irp_cancel_routine_left", cancel_routine_left),
    ("irp_no_location_left", no_location_left),
    ("irp_no_stack", no_stack),
    ("irp_pageable_completion", pageable_completion),
    ("irp_borrowed_freed", borrowed_freed),
    ("irp_borrowed_gone", borrowed_gone),
    ("irp_initialised_again", initialised_again),
    ("irp_too_small", too_small),
    ("irp_not_one", not_one),
    ("irp_freed_quietly", freed_quietly),
    ("irp_not_taken_back", not_taken_back),
    ("irp_no_routine", no_routine),
    ("irp_cancel_lock_kept", cancel_lock_kept),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// The status that the device completes requests with.
static STATUS: AtomicUsize = AtomicUsize::new(0);
/// The request that the device keeps.
static KEPT: AtomicPtr<Irp> = AtomicPtr::new(null_mut());
/// The device that [`forward`] passes requests on to.
static NEXT: AtomicPtr<DeviceObject> = AtomicPtr::new(null_mut());

unsafe extern "system" fn complete(_device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let status = STATUS.load(Ordering::Relaxed) as NtStatus;
    (*irp).status = status;
    IofCompleteRequest(irp, 0);
    status
}

unsafe extern "system" fn keep(_device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    (*(*irp).location).control |= PENDING_RETURNED;
    KEPT.store(irp, Ordering::Relaxed);
    PENDING
}

unsafe extern "system" fn forward(_device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let next = NEXT.load(Ordering::Relaxed);
    // The one after this only completes.
    (*crate::driver()).major[usize::from(INTERNAL_CONTROL)] = Some(complete);
    let location = (*irp).location.sub(1);
    (*location).major = INTERNAL_CONTROL;
    (*location).control = 0;
    (*location).routine = None;
    IofCallDriver(next, irp)
}

unsafe extern "system" fn take_back(_device: *mut DeviceObject, _irp: *mut Irp, _context: Pvoid) -> NtStatus {
    MORE_PROCESSING
}

unsafe extern "system" fn let_go(_device: *mut DeviceObject, _irp: *mut Irp, _context: Pvoid) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn free_it(_device: *mut DeviceObject, irp: *mut Irp, _context: Pvoid) -> NtStatus {
    IoFreeIrp(irp);
    MORE_PROCESSING
}

unsafe extern "system" fn free_quietly(
    _device: *mut DeviceObject,
    irp: *mut Irp,
    _context: Pvoid,
) -> NtStatus {
    IoFreeIrp(irp);
    SUCCESS
}

// SAFETY: the section is that of pageable code.
#[unsafe(link_section = "PAGE")]
unsafe extern "system" fn pageable(_device: *mut DeviceObject, _irp: *mut Irp, _context: Pvoid) -> NtStatus {
    MORE_PROCESSING
}

/// Lets the driver's device handle requests in a way, and makes the device.
unsafe fn device(dispatch: Dispatch) -> *mut DeviceObject {
    (*crate::driver()).major[usize::from(INTERNAL_CONTROL)] = Some(dispatch);
    create()
}

/// Fills in the next stack location.
unsafe fn prepare(irp: *mut Irp, routine: Completion) {
    let location = (*irp).location.sub(1);
    (*location).major = INTERNAL_CONTROL;
    (*location).control = ON_ALL;
    (*location).routine = Some(routine);
}

/// Sends a new request of this many stack locations, and gives it.
unsafe fn send(device: *mut DeviceObject, stack: i8, routine: Completion) -> *mut Irp {
    let irp = IoAllocateIrp(stack, 0);
    prepare(irp, routine);
    IofCallDriver(device, irp);
    irp
}

/// Completes the request that the device has kept.
unsafe fn complete_kept() {
    complete(null_mut(), KEPT.load(Ordering::Relaxed));
}

unsafe fn leaked(well: bool) -> NtStatus {
    let irp = IoAllocateIrp(1, 0);
    if well {
        IoFreeIrp(irp);
    }
    SUCCESS
}

unsafe fn leaked_in_flight(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    if well {
        complete_kept();
        IoFreeIrp(irp);
    }
    delete(device)
}

unsafe fn freed_in_flight(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    if well {
        complete_kept();
    }
    IoFreeIrp(irp);
    delete(device)
}

unsafe fn reused_in_flight(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    if well {
        complete_kept();
    }
    IoReuseIrp(irp, SUCCESS);
    IoFreeIrp(irp);
    delete(device)
}

unsafe fn initialised_in_flight(well: bool) -> NtStatus {
    let device = device(keep);
    let bytes = size_of::<Irp>() + size_of::<StackLocation>();
    let irp = block::<Irp>(bytes);
    IoInitializeIrp(irp, bytes as u16, 1);
    prepare(irp, take_back);
    IofCallDriver(device, irp);
    if well {
        complete_kept();
    }
    IoInitializeIrp(irp, bytes as u16, 1);
    ExFreePool(irp.cast());
    delete(device)
}

unsafe fn completed_twice(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    complete_kept();
    if !well {
        complete_kept();
    }
    IoFreeIrp(irp);
    delete(device)
}

unsafe fn completed_pending(well: bool) -> NtStatus {
    STATUS.store(if well { SUCCESS } else { PENDING } as usize, Ordering::Relaxed);
    let device = device(complete);
    IoFreeIrp(send(device, 1, take_back));
    delete(device)
}

unsafe extern "system" fn never_called(_device: *mut DeviceObject, irp: *mut Irp) {
    IoReleaseCancelSpinLock((*irp).cancel_irql());
}

unsafe fn cancel_routine_left(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    (*irp).cancel_routine = if well { None } else { Some(never_called) };
    complete_kept();
    IoFreeIrp(irp);
    delete(device)
}

unsafe fn no_location_left(well: bool) -> NtStatus {
    let device = device(forward);
    let next = create();
    NEXT.store(next, Ordering::Relaxed);
    IoFreeIrp(send(device, if well { 2 } else { 1 }, take_back));
    delete(next);
    delete(device)
}

unsafe fn no_stack(well: bool) -> NtStatus {
    IoFreeIrp(IoAllocateIrp(i8::from(well), 0));
    SUCCESS
}

unsafe fn pageable_completion(well: bool) -> NtStatus {
    let device = device(complete);
    IoFreeIrp(send(device, 1, if well { take_back } else { pageable }));
    delete(device)
}

unsafe fn borrowed_freed(well: bool) -> NtStatus {
    let bytes = size_of::<Irp>() + size_of::<StackLocation>();
    let irp = block::<Irp>(bytes);
    IoInitializeIrp(irp, bytes as u16, 1);
    if !well {
        IoFreeIrp(irp);
    }
    ExFreePool(irp.cast());
    SUCCESS
}

unsafe fn borrowed_gone(well: bool) -> NtStatus {
    let device = device(keep);
    let bytes = size_of::<Irp>() + size_of::<StackLocation>();
    let irp = block::<Irp>(bytes);
    IoInitializeIrp(irp, bytes as u16, 1);
    prepare(irp, take_back);
    IofCallDriver(device, irp);
    if well {
        complete_kept();
    }
    ExFreePool(irp.cast());
    delete(device)
}

unsafe fn initialised_again(well: bool) -> NtStatus {
    let irp = IoAllocateIrp(1, 0);
    if well {
        IoReuseIrp(irp, SUCCESS);
    } else {
        IoInitializeIrp(irp, (size_of::<Irp>() + size_of::<StackLocation>()) as u16, 1);
    }
    IoFreeIrp(irp);
    SUCCESS
}

unsafe fn too_small(well: bool) -> NtStatus {
    let bytes = size_of::<Irp>() + size_of::<StackLocation>();
    let irp = block::<Irp>(bytes);
    IoInitializeIrp(irp, (if well { bytes } else { bytes - 1 }) as u16, 1);
    ExFreePool(irp.cast());
    SUCCESS
}

unsafe fn not_one(well: bool) -> NtStatus {
    IoFreeIrp(if well { IoAllocateIrp(1, 0) } else { slot(0) });
    SUCCESS
}

unsafe fn freed_quietly(well: bool) -> NtStatus {
    let device = device(complete);
    send(device, 1, if well { free_it } else { free_quietly });
    delete(device)
}

unsafe fn not_taken_back(well: bool) -> NtStatus {
    let device = device(complete);
    IoFreeIrp(send(device, 1, if well { take_back } else { let_go }));
    delete(device)
}

unsafe fn no_routine(well: bool) -> NtStatus {
    let device = device(complete);
    if !well {
        (*crate::driver()).major[usize::from(INTERNAL_CONTROL)] = None;
    }
    IoFreeIrp(send(device, 1, take_back));
    delete(device)
}

unsafe extern "system" fn keep_cancel_lock(_device: *mut DeviceObject, _irp: *mut Irp) {}

unsafe fn cancel_lock_kept(well: bool) -> NtStatus {
    let device = device(keep);
    let irp = send(device, 1, take_back);
    (*irp).cancel_routine = Some(if well { never_called } else { keep_cancel_lock });
    IoCancelIrp(irp);
    complete_kept();
    IoFreeIrp(irp);
    delete(device)
}
