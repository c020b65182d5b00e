//! I/O request packets: their memory, their way through drivers and back, and who may touch them when.
//!
//! A request is *idle* in the hands of whoever allocated it, *in flight* from the moment it is passed on until its
//! completion came back to its owner, and then idle again or *done* (at its top, for requests of Windows).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;

use crate::crossing;
use crate::kernel::imports::Export;
use crate::kernel::{device, device_control, event, pool};
use crate::machine::machine;
use crate::memory;
use crate::nt::{
    CompletionRoutine, DeviceObject, IO_TYPE_IRP, IoStackLocation, IoStatusBlock, Irp, ListEntry, Mdl,
    NtStatus, Pvoid, stack_control as control,
};
use crate::schedule::{self, DISPATCH_LEVEL, Irql};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// The field that remembers how a request was allocated has this bit when IoAllocateIrp did it.
const ALLOCATED_BY_POOL: u8 = 0x04;

/// Who allocated a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A driver, which must take it back in a completion routine.
    Driver,
    /// The testbed; the request is done when its completion reaches the top.
    Windows,
    /// The I/O manager, for a driver that sends it; it is gone when its completion reaches the top.
    IoManager,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    InFlight(&'static str),
    Done,
}

struct State {
    owner: Owner,
    phase: Phase,
    /// Memory of the driver's own, for IoInitializeIrp.
    borrowed: bool,
}

/// The requests of a machine, by address.
#[derive(Default)]
struct Irps(RefCell<BTreeMap<usize, State>>);

fn with<T>(irp: *const Irp, action: impl FnOnce(&mut State) -> T) -> T {
    let irps = machine().part::<Irps>();
    let result = irps.0.borrow_mut().get_mut(&irp.addr()).map(action);
    result.unwrap_or_else(|| {
        let place = memory::describe(irp.addr());
        verifier::fatal(Rule::Irp, format!("{:#x} is no I/O request packet: {place}", irp.addr()))
    })
}

/// Bytes of a request with this many stack locations.
fn size_of_irp(stack_count: i8) -> usize {
    size_of::<Irp>() + stack_count.max(0) as usize * size_of::<IoStackLocation>()
}

fn fill(irp: *mut Irp, stack_count: i8, allocation_flags: u8) {
    let bytes = size_of_irp(stack_count);
    // SAFETY: callers pass memory of this size; a driver that does not faults and is reported.
    unsafe { irp.cast::<u8>().write_bytes(0, bytes) };
    // SAFETY: as above; zeros are a valid request.
    let header = unsafe { &mut *irp };
    header.kind = IO_TYPE_IRP;
    header.size = bytes as u16;
    header.stack_count = stack_count;
    header.current_location = stack_count + 1;
    header.allocation_flags = allocation_flags;
    let list = (&raw mut header.thread_list_entry).cast::<ListEntry>();
    header.thread_list_entry = ListEntry { forward: list, backward: list };
    // One beyond the last: the owner has no location of its own.
    header.current_stack_location =
        irp.wrapping_add(1).cast::<IoStackLocation>().wrapping_add(stack_count as usize);
}

/// Allocates a request of Windows.
pub fn allocate(stack_count: i8) -> *mut Irp {
    new(stack_count, Owner::Windows)
}

/// Allocates a request that the I/O manager frees when it is complete.
pub(super) fn allocate_threaded(stack_count: i8) -> *mut Irp {
    new(stack_count, Owner::IoManager)
}

fn new(stack_count: i8, owner: Owner) -> *mut Irp {
    let irp = memory::allocate(size_of_irp(stack_count), "I/O request packet").cast::<Irp>();
    fill(irp, stack_count, ALLOCATED_BY_POOL);
    let state = State { owner, phase: Phase::Idle, borrowed: false };
    machine().part::<Irps>().0.borrow_mut().insert(irp.addr(), state);
    irp
}

/// Frees a request.
pub fn free(irp: *mut Irp) {
    let (phase, borrowed) = with(irp, |state| (state.phase, state.borrowed));
    if let Phase::InFlight(what) = phase {
        verifier::fatal(Rule::Irp, format!("a request is freed while it is in flight ({what})"));
    }
    if borrowed || with(irp, |state| state.owner == Owner::IoManager) {
        return verifier::record(Rule::Irp, "IoFreeIrp of a request that IoAllocateIrp did not allocate");
    }
    discard(irp);
}

/// Takes a request away, whoever's it is.
pub(super) fn discard(irp: *mut Irp) {
    machine().part::<Irps>().0.borrow_mut().remove(&irp.addr());
    memory::free(irp.cast());
}

/// Makes a request as good as new.
pub fn reuse(irp: *mut Irp, status: NtStatus) {
    if let Phase::InFlight(what) = with(irp, |state| state.phase) {
        verifier::fatal(Rule::Irp, format!("a request is reused while it is in flight ({what})"));
    }
    // SAFETY: a live request, as `with` found.
    let (stack_count, flags) = unsafe { ((*irp).stack_count, (*irp).allocation_flags) };
    fill(irp, stack_count, flags);
    // SAFETY: as above.
    unsafe { (*irp).io_status.status = status };
    with(irp, |state| state.phase = Phase::Idle);
}

/// Forgets the requests of IoInitializeIrp in memory that goes away, and reports those that are on their way.
pub(crate) fn forget_range(start: usize, bytes: usize) {
    let irps = machine().part::<Irps>();
    let mut irps = irps.0.borrow_mut();
    let gone: Vec<usize> = (irps.range(start..start + bytes.max(1)))
        .filter(|(_, state)| state.borrowed)
        .map(|(address, _)| *address)
        .collect();
    let gone: Vec<State> = gone.into_iter().filter_map(|address| irps.remove(&address)).collect();
    drop(irps);
    for state in gone {
        if let Phase::InFlight(what) = state.phase {
            verifier::record(Rule::Irp, format!("memory with a request in flight is freed ({what})"));
        }
    }
}

/// Whether a request is on its way.
pub fn is_in_flight(irp: *const Irp) -> bool {
    with(irp, |state| matches!(state.phase, Phase::InFlight(_)))
}

/// Whether a request of Windows came back.
pub fn is_done(irp: *const Irp) -> bool {
    with(irp, |state| state.phase == Phase::Done)
}

/// Whether an address is that of a live request.
pub fn is_live(irp: *const Irp) -> bool {
    machine().part::<Irps>().0.borrow().contains_key(&irp.addr())
}

/// How many requests are alive.
pub fn live() -> usize {
    machine().part::<Irps>().0.borrow().len()
}

/// The stack location of the driver that has the request.
pub fn current_location(irp: *mut Irp) -> *mut IoStackLocation {
    // SAFETY: callers pass a live request.
    unsafe { (*irp).current_stack_location }
}

/// The stack location of the next driver, which the sender fills in.
pub fn next_location(irp: *mut Irp) -> *mut IoStackLocation {
    current_location(irp).wrapping_sub(1)
}

/// IoMarkIrpPending.
pub fn mark_pending(irp: *mut Irp) {
    // SAFETY: callers pass a live request that a driver has, so it has a location.
    unsafe { (*current_location(irp)).control |= control::PENDING_RETURNED };
}

/// Lets a list belong to a request, as IoAllocateMdl does.
pub(crate) fn attach_mdl(irp: *mut Irp, mdl: *mut Mdl, secondary: bool) {
    if irp.is_null() {
        return;
    }
    // SAFETY: the driver passes its request; a wrong pointer faults and is reported.
    let mut last = unsafe { &raw mut (*irp).mdl_address };
    // SAFETY: the list of lists is the driver's.
    while secondary && !unsafe { *last }.is_null() {
        // SAFETY: as above.
        last = unsafe { &raw mut (**last).next };
    }
    // SAFETY: as above.
    unsafe { *last = mdl };
}

/// Moves a request on to the next stack location. Stops the machine when there is none, or it is not its owner's.
fn advance(irp: *mut Irp, what: &'static str) {
    match with(irp, |state| state.phase) {
        Phase::InFlight(_) | Phase::Idle => {}
        Phase::Done => verifier::fatal(Rule::Irp, format!("a request that is done is passed on ({what})")),
    }
    // SAFETY: a live request, as `with` found.
    let header = unsafe { &mut *irp };
    if header.current_location <= 1 {
        verifier::fatal(Rule::Irp, format!("a request has no stack location left for {what}"));
    }
    header.current_location -= 1;
    header.current_stack_location = header.current_stack_location.wrapping_sub(1);
    // SAFETY: the count says that there is such a location.
    let location = unsafe { &mut *header.current_stack_location };
    if let Some(routine) = location.completion_routine
        && memory::is_pageable(routine as usize)
    {
        verifier::record(
            Rule::Irp,
            "a completion routine is in a pageable section, and completions come at DISPATCH_LEVEL",
        );
    }
    with(irp, |state| state.phase = Phase::InFlight(what));
}

/// Passes a request of a driver to a part of the testbed that is not a device (WSK), which will [`complete`] it.
///
/// The part takes the next stack location, as the driver under the caller would; the completion routine is there.
pub fn begin_async(irp: *mut Irp, what: &'static str) {
    if let Phase::InFlight(before) = with(irp, |state| state.phase) {
        verifier::fatal(Rule::Irp, format!("a request is passed to {what} while it is in flight ({before})"));
    }
    advance(irp, what);
}

/// Passes a request to a driver's dispatch routine: IoCallDriver.
pub fn call(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    advance(irp, "a driver");
    // SAFETY: `advance` found a live request with a location.
    unsafe { (*current_location(irp)).device_object = device };
    device::dispatch(device, irp)
}

/// Passes a request of Windows to a driver and waits until it comes back.
pub fn call_and_wait(device: *mut DeviceObject, irp: *mut Irp) -> IoStatusBlock {
    let returned = call(device, irp);
    wait_until_done(irp, returned)
}

/// Waits until a request of Windows comes back, of which the dispatch routine has returned this.
pub(super) fn wait_until_done(irp: *mut Irp, returned: NtStatus) -> IoStatusBlock {
    let pending = returned == NtStatus::PENDING;
    if !pending && !is_done(irp) {
        verifier::fatal(
            Rule::Irp,
            format!("a dispatch routine returned {returned} and did not complete the request"),
        );
    }
    schedule::wait("a request to complete", None, || is_done(irp).then_some(()));
    // SAFETY: a live request, as `is_done` found.
    let (result, marked) = unsafe { ((*irp).io_status, (*irp).pending_returned != 0) };
    if pending != marked {
        let text = format!(
            "a dispatch routine returned {returned} for a request that was {}marked pending",
            if marked { "" } else { "not " }
        );
        verifier::record(Rule::Irp, text);
    } else if !pending && returned != result.status {
        let text = format!(
            "a dispatch routine returned {returned} and completed the request with {}",
            result.status
        );
        verifier::record(Rule::Irp, text);
    }
    result
}

/// Sets the result of a request and completes it.
pub fn complete_with(irp: *mut Irp, status: NtStatus, information: usize) {
    with(irp, |_| ());
    // SAFETY: a live request, as `with` found.
    unsafe { (*irp).io_status = IoStatusBlock { status, information } };
    complete(irp);
}

/// Completes a request with the result that is in it: calls the completion routines upwards, at the present IRQL.
pub fn complete(irp: *mut Irp) {
    let phase = with(irp, |state| state.phase);
    if !matches!(phase, Phase::InFlight(_)) {
        verifier::fatal(Rule::Irp, "a request is completed twice, or is completed by its owner");
    }
    // SAFETY: a live request, as `with` found; it stays so until a routine says that it took it.
    let header = unsafe { &mut *irp };
    if header.io_status.status == NtStatus::PENDING {
        verifier::record(Rule::Irp, "a request is completed with STATUS_PENDING");
    }
    if header.cancel_routine.is_some() {
        verifier::record(Rule::Irp, "a request is completed with its cancel routine still set");
    }
    let top = header.stack_count + 1;
    while header.current_location < top {
        let location = header.current_stack_location;
        // SAFETY: below the top there is a location.
        let leaving = unsafe { *location };
        header.pending_returned = leaving.control & control::PENDING_RETURNED;
        header.current_location += 1;
        header.current_stack_location = location.wrapping_add(1);
        // SAFETY: as above; a driver that sees it again finds nothing of this pass.
        unsafe { (*location).control = 0 };
        let above = header.current_location < top;
        let device = if above {
            // SAFETY: not at the top, so there is a location above.
            unsafe { (*header.current_stack_location).device_object }
        } else {
            ptr::null_mut()
        };
        let Some(routine) = leaving.completion_routine.filter(|_| is_invoked(header, leaving.control)) else {
            if header.pending_returned != 0 && above {
                mark_pending(irp);
            }
            continue;
        };
        // SAFETY: as above; every location's routine is called once.
        unsafe { (*location).completion_routine = None };
        if !above && with(irp, |state| state.owner) != Owner::IoManager {
            // From here on the request is its owner's again, who may free or reuse it in the routine.
            with(irp, |state| state.phase = Phase::Idle);
        }
        if call_routine(routine, device, irp, leaving.context) == NtStatus::MORE_PROCESSING_REQUIRED {
            return;
        }
        if !is_live(irp) {
            verifier::fatal(Rule::Irp, "a completion routine freed its request and did not say so");
        }
    }
    finish(irp);
}

fn is_invoked(irp: &Irp, flags: u8) -> bool {
    if irp.cancel != 0 && flags & control::INVOKE_ON_CANCEL != 0 {
        return true;
    }
    let wanted =
        if irp.io_status.status.is_success() { control::INVOKE_ON_SUCCESS } else { control::INVOKE_ON_ERROR };
    flags & wanted != 0
}

fn call_routine(
    routine: CompletionRoutine,
    device: *mut DeviceObject,
    irp: *mut Irp,
    context: Pvoid,
) -> NtStatus {
    crossing::call_driver("completion routine", || {
        // SAFETY: the driver set this routine for its request.
        unsafe { routine(device, irp, context) }
    })
}

/// The completion has reached the top.
fn finish(irp: *mut Irp) {
    let owner = with(irp, |state| {
        state.phase = Phase::Done;
        state.owner
    });
    if owner == Owner::Driver {
        let text = "the completion of a driver's own request reached the I/O manager: its completion routine must \
                    return STATUS_MORE_PROCESSING_REQUIRED";
        verifier::fatal(Rule::Irp, text);
    }
    // SAFETY: a live request.
    let header = unsafe { &mut *irp };
    if owner == Owner::IoManager {
        return finish_for_io_manager(irp, header);
    }
    if !header.user_iosb.is_null() {
        // SAFETY: whoever made the request passed the block.
        unsafe { *header.user_iosb = header.io_status };
    }
    if !header.user_event.is_null() {
        event::set(header.user_event);
    }
    schedule::poll_now();
}

/// Tells whoever built the request, and frees it.
fn finish_for_io_manager(irp: *mut Irp, header: &mut Irp) {
    let (block, event, result) = (header.user_iosb, header.user_event, header.io_status);
    let reported = device_control::is_reported(header);
    device_control::conclude(irp);
    discard(irp);
    if reported {
        // SAFETY: whoever built the request passed the block, which must live until now.
        unsafe { block.write(result) };
        if !event.is_null() {
            event::set(event);
        }
    }
    schedule::poll_now();
}

/// IoCancelIrp.
pub fn cancel(irp: *mut Irp) -> bool {
    with(irp, |_| ());
    // SAFETY: a live request, as `with` found.
    let header = unsafe { &mut *irp };
    header.cancel = 1;
    let Some(routine) = header.cancel_routine.take() else { return false };
    let thread = schedule::current();
    let old = thread.irql.replace(DISPATCH_LEVEL);
    header.cancel_irql = old;
    let location = header.current_stack_location;
    // SAFETY: a request with a cancel routine is in a driver's hands, so it has a location.
    let device = unsafe { (*location).device_object };
    let frame_irql = thread.irql.get();
    // SAFETY: the driver set this routine; it goes back to the IRQL in the request.
    unsafe { routine(device, irp) };
    if thread.irql.get() == frame_irql {
        verifier::record(Rule::IrqlUnbalanced, "a cancel routine did not release the cancel spin lock");
    }
    thread.irql.set(old);
    true
}

/// Reports every request of a driver that was never freed.
pub(crate) fn report_leaks() {
    let irps = machine().part::<Irps>();
    let mut irps = irps.0.borrow_mut();
    let leaked: Vec<String> = (irps.values())
        .filter(|state| state.owner != Owner::Windows)
        .map(|state| match state.phase {
            Phase::InFlight(what) => format!("a request is still in flight ({what})"),
            _ => "a request was never freed".to_owned(),
        })
        .collect();
    irps.retain(|_, state| state.owner == Owner::Windows);
    drop(irps);
    for text in leaked {
        verifier::record(Rule::Irp, text);
    }
}

import! {
    /// Null when there is no memory.
    pub fn IoAllocateIrp(stack_count: i8, charge_quota: u8) -> *mut Irp, irql <= DISPATCH_LEVEL; {
        let _ = charge_quota;
        if stack_count < 1 {
            verifier::record(Rule::Irp, format!("a request with {stack_count} stack locations"));
        }
        if !pool::may_allocate() {
            return ptr::null_mut();
        }
        new(stack_count, Owner::Driver)
    }

    /// Not while it is in flight.
    pub fn IoFreeIrp(irp: *mut Irp), irql <= DISPATCH_LEVEL; {
        free(irp);
    }

    /// As good as new; the status is for the caller's use.
    pub fn IoReuseIrp(irp: *mut Irp, status: NtStatus), irql <= DISPATCH_LEVEL; {
        reuse(irp, status);
    }

    /// For memory that the driver allocated itself; never for a request of IoAllocateIrp.
    pub fn IoInitializeIrp(irp: *mut Irp, bytes: u16, stack_count: i8), irql <= DISPATCH_LEVEL; {
        let known = is_live(irp);
        if known && !with(irp, |state| state.borrowed) {
            verifier::record(Rule::Irp, "IoInitializeIrp of a request of IoAllocateIrp: IoReuseIrp is for that");
        }
        if known && is_in_flight(irp) {
            verifier::fatal(Rule::Irp, "a request is initialised while it is in flight");
        }
        if usize::from(bytes) < size_of_irp(stack_count) {
            verifier::fatal(Rule::Irp, format!("{bytes} bytes are too few for {stack_count} stack locations"));
        }
        fill(irp, stack_count, 0);
        let borrowed = !known || with(irp, |state| state.borrowed);
        let state = State { owner: Owner::Driver, phase: Phase::Idle, borrowed };
        machine().part::<Irps>().0.borrow_mut().insert(irp.addr(), state);
    }

    /// Asks whoever has the request to complete it soon; returns whether there was a routine to ask.
    pub fn IoCancelIrp(irp: *mut Irp) -> u8, irql <= DISPATCH_LEVEL; {
        u8::from(cancel(irp))
    }

    /// Takes the lock that cancel routines hold.
    pub fn IoAcquireCancelSpinLock(irql: *mut Irql), irql <= DISPATCH_LEVEL; {
        let old = schedule::current().irql.replace(DISPATCH_LEVEL);
        // SAFETY: the driver passes its variable.
        unsafe { irql.write(old) };
    }

    /// Gives the lock back.
    pub fn IoReleaseCancelSpinLock(irql: Irql), irql <= DISPATCH_LEVEL; {
        schedule::current().irql.set(irql);
    }

    /// What IoCallDriver calls.
    pub fn IofCallDriver(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        call(device, irp)
    }

    /// What IoCompleteRequest calls.
    pub fn IofCompleteRequest(irp: *mut Irp, boost: i8), irql <= DISPATCH_LEVEL; {
        let _ = boost;
        complete(irp);
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    IoAllocateIrp, IoFreeIrp, IoReuseIrp, IoInitializeIrp, IoCancelIrp, IoAcquireCancelSpinLock,
    IoReleaseCancelSpinLock, IofCallDriver, IofCompleteRequest];
