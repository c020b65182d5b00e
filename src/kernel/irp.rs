//! I/O request packets and memory descriptor lists for asynchronous calls.

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::ntddk::{
    IoAllocateIrp, IoAllocateMdl, IoFreeIrp, IoFreeMdl, IoReuseIrp, MmBuildMdlForNonPagedPool,
};
use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, MDL, NTSTATUS, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, STATUS_MORE_PROCESSING_REQUIRED, STATUS_UNSUCCESSFUL,
};

use super::Event;
use super::memory::Shared;
use super::status::{Result, Status};

/// A request packet of the driver's own, used again and again, by one call at a time.
pub struct Irp {
    raw: NonNull<IRP>,
}

// SAFETY: a request packet belongs to no thread.
unsafe impl Send for Irp {}
// SAFETY: `&Irp` gives no access to the packet but through `unsafe` and `start`'s contract.
unsafe impl Sync for Irp {}

/// Is told that a request has completed.
pub trait Completion: Sync {
    /// Runs in any thread at IRQL <= DISPATCH_LEVEL, as the last thing that happens to the request. From then on the
    /// request, and what it used, may be used again or freed by another thread, `self` included.
    fn completed(&self, status: NTSTATUS);
}

impl Irp {
    /// A packet with one stack location. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new() -> Result<Self> {
        // SAFETY: no preconditions.
        let raw = unsafe { IoAllocateIrp(1, 0) };
        Ok(Self { raw: NonNull::new(raw).ok_or(Status::INSUFFICIENT_RESOURCES)? })
    }

    /// Makes the packet ready for another call, whose completion `target` is told.
    ///
    /// # Safety
    /// The packet is not in use, and `target` outlives the completion.
    pub unsafe fn prepare<C: Completion>(&self, target: &C) -> *mut IRP {
        let irp = self.raw.as_ptr();
        // SAFETY: the packet is ours and not in use.
        unsafe { IoReuseIrp(irp, STATUS_UNSUCCESSFUL) };
        // SAFETY: as above.
        let next = unsafe { next_stack_location(irp) };
        // What the inline function IoSetCompletionRoutine of wdm.h does.
        // SAFETY: a packet with one stack location that was just made ready has a next one.
        let location = unsafe { &mut *next };
        location.CompletionRoutine = Some(completion_routine::<C>);
        location.Context = core::ptr::from_ref(target).cast_mut().cast();
        location.Control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
        irp
    }

    /// Status and information of the call that completed last.
    ///
    /// # Safety
    /// No call is under way.
    pub unsafe fn outcome(&self) -> (NTSTATUS, usize) {
        // SAFETY: nobody else uses the packet.
        let irp = unsafe { self.raw.as_ref() };
        (status(irp), usize::try_from(irp.IoStatus.Information).unwrap_or(0))
    }
}

impl Drop for Irp {
    fn drop(&mut self) {
        // SAFETY: whoever drops the packet has awaited its last completion.
        unsafe { IoFreeIrp(self.raw.as_ptr()) };
    }
}

/// What the inline function IoGetNextIrpStackLocation of wdm.h does.
///
/// # Safety
/// The packet is live and has a location below the current one.
unsafe fn next_stack_location(irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: by contract.
    let current = current_stack_location(unsafe { &*irp });
    // SAFETY: by contract there is a location before the current one.
    unsafe { current.sub(1) }
}

/// What the inline function IoGetCurrentIrpStackLocation of wdm.h does.
fn current_stack_location(irp: &IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: the views of these unions that drivers use; every bit pattern is a pointer.
    let overlay = unsafe { &irp.Tail.Overlay };
    // SAFETY: as above.
    unsafe { overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation }
}

/// Which request of its kind a packet that Windows sent is.
///
/// # Safety
/// The packet is live and its current location is the driver's.
pub unsafe fn minor_function(irp: *mut IRP) -> u8 {
    // SAFETY: by contract.
    let location = current_stack_location(unsafe { &*irp });
    // SAFETY: by contract.
    unsafe { (*location).MinorFunction }
}

/// The status that a packet completed with.
fn status(irp: &IRP) -> NTSTATUS {
    // SAFETY: this view of the union is the one that completion writes.
    unsafe { irp.IoStatus.__bindgen_anon_1.Status }
}

unsafe extern "C" fn completion_routine<C: Completion>(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the completion routine owns the packet until it has told the target.
    let status = status(unsafe { &*irp });
    // SAFETY: `prepare` stored a pointer to a `C` that outlives this call's `completed`.
    let target = unsafe { &*context.cast::<C>() };
    target.completed(status);
    // The packet is the driver's own: the I/O manager must not touch it any more.
    STATUS_MORE_PROCESSING_REQUIRED
}

/// A request whose end wakes its owner: one call at a time.
pub struct Operation {
    irp: Irp,
    end: End,
}

/// Whether the call has ended, and who wants to know.
struct End {
    reached: AtomicBool,
    wake: Shared<Event>,
}

impl Completion for End {
    fn completed(&self, _status: NTSTATUS) {
        // Whoever sees that the end is reached may free the operation, so the event is not borrowed from it.
        let wake = self.wake.clone();
        self.reached.store(true, Ordering::Release);
        wake.set();
    }
}

impl Operation {
    /// An operation whose ends set `wake`; many may share it.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(wake: Shared<Event>) -> Result<Self> {
        Ok(Self { irp: Irp::try_new()?, end: End { reached: AtomicBool::new(false), wake } })
    }

    /// Starts a call: `call` hands the packet to a function that completes it in every case, also when it fails.
    ///
    /// # Safety
    /// The end of the previous call, if any, was taken; `self` stays where it is until that of this one was.
    pub unsafe fn start(&self, call: impl FnOnce(*mut IRP) -> NTSTATUS) {
        // SAFETY: by contract, and the target is part of `self`.
        let irp = unsafe { self.irp.prepare(&self.end) };
        // The status comes with the completion too.
        let _ = call(irp);
    }

    /// Status and information of the call, once, when it has ended.
    pub fn take_outcome(&self) -> Option<(NTSTATUS, usize)> {
        // SAFETY: the end is the last thing that happens to a call.
        self.end.reached.swap(false, Ordering::Acquire).then(|| unsafe { self.irp.outcome() })
    }

    /// Waits for the end of this call, or of that of another operation that shares the event, whose signals are taken.
    /// PASSIVE_LEVEL.
    pub fn wait_for_either(&self, other: &Self) {
        let reached = |operation: &Self| operation.end.reached.load(Ordering::Acquire);
        while !reached(self) && !reached(other) {
            self.end.wake.wait();
        }
    }
}

/// Describes non-paged memory of the driver to the network stack.
pub struct Mdl {
    raw: NonNull<MDL>,
}

// SAFETY: an MDL belongs to no thread.
unsafe impl Send for Mdl {}
// SAFETY: it is never changed after it was built.
unsafe impl Sync for Mdl {}

impl Mdl {
    /// Describes `length` bytes at `address`. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Safety
    /// The bytes are non-paged pool and outlive the MDL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub unsafe fn describe(address: *mut c_void, length: u32) -> Result<Self> {
        // SAFETY: no packet to attach to; the range is valid by contract.
        let raw = unsafe { IoAllocateMdl(address, length, 0, 0, core::ptr::null_mut()) };
        let raw = NonNull::new(raw).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the MDL describes non-paged pool.
        unsafe { MmBuildMdlForNonPagedPool(raw.as_ptr()) };
        Ok(Self { raw })
    }

    /// The raw list.
    pub fn as_ptr(&self) -> *mut MDL {
        self.raw.as_ptr()
    }
}

impl Drop for Mdl {
    fn drop(&mut self) {
        // SAFETY: the MDL is ours, not in use by a call any more, and has no mapping of its own.
        unsafe { IoFreeMdl(self.raw.as_ptr()) };
    }
}
