//! The declarations that the cases need: imported functions, and of structures the fields that are used.
//!
//! Declared here once more, and small: a mistake in them would show in the well-behaved twins.

use core::ffi::{c_char, c_void};

/// NTSTATUS.
pub type NtStatus = i32;
/// STATUS_SUCCESS.
pub const SUCCESS: NtStatus = 0;
/// STATUS_PENDING.
pub const PENDING: NtStatus = 0x103;
/// STATUS_NOT_FOUND.
pub const NOT_FOUND: NtStatus = 0xC000_0225_u32 as i32;
/// STATUS_UNSUCCESSFUL.
pub const UNSUCCESSFUL: NtStatus = 0xC000_0001_u32 as i32;
/// STATUS_MORE_PROCESSING_REQUIRED.
pub const MORE_PROCESSING: NtStatus = 0xC000_0016_u32 as i32;

/// PASSIVE_LEVEL.
pub const PASSIVE: u8 = 0;
/// APC_LEVEL.
pub const APC: u8 = 1;

/// POOL_FLAG_NON_PAGED.
pub const NON_PAGED: u64 = 0x40;
/// POOL_FLAG_PAGED.
pub const PAGED: u64 = 0x100;
/// The tag of every block, "Rule".
pub const TAG: u32 = u32::from_le_bytes(*b"Rule");
/// OBJ_KERNEL_HANDLE.
pub const KERNEL_HANDLE: u32 = 0x200;
/// A millisecond from now on, as a due time: negative ones count from now, in units of 100 ns.
pub const MILLISECOND: i64 = -10_000;

/// PVOID.
pub type Pvoid = *mut c_void;

/// UNICODE_STRING.
#[repr(C)]
pub struct UnicodeString {
    /// Bytes.
    pub length: u16,
    /// Bytes.
    pub maximum: u16,
    /// Not followed by a NUL.
    pub buffer: *mut u16,
}

impl UnicodeString {
    /// The units.
    ///
    /// # Safety
    /// The string is complete.
    pub unsafe fn units(&self) -> &[u16] {
        // SAFETY: by contract.
        unsafe { core::slice::from_raw_parts(self.buffer, usize::from(self.length) / 2) }
    }
}

/// OBJECT_ATTRIBUTES.
#[repr(C)]
pub struct ObjectAttributes {
    /// Of this structure.
    pub length: u32,
    /// Null.
    pub root: Pvoid,
    /// The path.
    pub name: *const UnicodeString,
    /// [`KERNEL_HANDLE`].
    pub attributes: u32,
    /// Null.
    pub security: [Pvoid; 2],
}

impl ObjectAttributes {
    /// For a path.
    pub fn new(name: *const UnicodeString, attributes: u32) -> Self {
        let none = core::ptr::null_mut();
        let length = size_of::<Self>() as u32;
        Self { length, root: none, name, attributes, security: [none; 2] }
    }
}

/// GUID.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub u32, pub u16, pub u16, pub [u8; 8]);

/// IO_STATUS_BLOCK.
#[repr(C)]
pub struct IoStatusBlock {
    /// Status.
    pub status: usize,
    /// Information.
    pub information: usize,
}

/// TARGET_DEVICE_REMOVAL_NOTIFICATION.
#[repr(C)]
pub struct RemovalNotification {
    head: u32,
    /// Event.
    pub event: Guid,
    file: Pvoid,
}

/// A callback for notifications of plug and play.
pub type Notified =
    unsafe extern "system" fn(notification: *const RemovalNotification, context: Pvoid) -> NtStatus;
/// A dispatch routine.
pub type Dispatch = unsafe extern "system" fn(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus;
/// A completion routine.
pub type Completion =
    unsafe extern "system" fn(device: *mut DeviceObject, irp: *mut Irp, context: Pvoid) -> NtStatus;
/// A deferred procedure.
pub type Deferred = unsafe extern "system" fn(dpc: Pvoid, context: Pvoid, first: Pvoid, second: Pvoid);
/// A thread.
pub type Start = unsafe extern "system" fn(context: Pvoid);
/// A work item.
pub type Work = unsafe extern "system" fn(device: *mut DeviceObject, context: Pvoid);
/// A callback of a timer.
pub type TimerCallback = unsafe extern "system" fn(timer: Pvoid, context: Pvoid);

/// DRIVER_OBJECT.
#[repr(C)]
pub struct DriverObject {
    kind: u64,
    /// The first device.
    pub device: *mut DeviceObject,
    unused: [usize; 11],
    /// DriverUnload.
    pub unload: Option<unsafe extern "system" fn(object: *mut DriverObject)>,
    /// MajorFunction.
    pub major: [Option<Dispatch>; 28],
}

/// DEVICE_OBJECT.
#[repr(C)]
pub struct DeviceObject {
    unused: [u8; 0x4C],
    /// StackSize.
    pub stack_size: i8,
}

/// IRP.
#[repr(C)]
pub struct Irp {
    unused: [u8; 0x30],
    /// IoStatus.Status.
    pub status: NtStatus,
    padding: u32,
    /// IoStatus.Information.
    pub information: usize,
    modes: [u8; 5],
    cancel_irql: u8,
    owner: [u8; 0x22],
    /// CancelRoutine.
    pub cancel_routine: Option<unsafe extern "system" fn(device: *mut DeviceObject, irp: *mut Irp)>,
    tail: [u8; 0x48],
    /// Tail.Overlay.CurrentStackLocation.
    pub location: *mut StackLocation,
    rest: [usize; 2],
}

impl Irp {
    /// CancelIrql.
    pub fn cancel_irql(&self) -> u8 {
        self.cancel_irql
    }
}

/// IO_STACK_LOCATION.
#[repr(C)]
pub struct StackLocation {
    /// MajorFunction.
    pub major: u8,
    /// MinorFunction.
    pub minor: u8,
    flags: u8,
    /// Control.
    pub control: u8,
    parameters: [usize; 4],
    device: *mut DeviceObject,
    /// FileObject.
    pub file: Pvoid,
    /// CompletionRoutine.
    pub routine: Option<Completion>,
    /// Context.
    pub context: Pvoid,
}

const _: () = assert!(core::mem::offset_of!(DriverObject, unload) == 0x68);
const _: () = assert!(core::mem::offset_of!(DeviceObject, stack_size) == 0x4C);
const _: () = assert!(core::mem::offset_of!(Irp, cancel_routine) == 0x68);
const _: () = assert!(core::mem::offset_of!(Irp, cancel_irql) == 0x45);
const _: () = assert!(core::mem::offset_of!(Irp, location) == 0xB8 && size_of::<Irp>() == 0xD0);
const _: () = assert!(size_of::<StackLocation>() == 0x48);

/// SL_INVOKE_ON_SUCCESS, SL_INVOKE_ON_ERROR and SL_INVOKE_ON_CANCEL.
pub const ON_ALL: u8 = 0xE0;
/// SL_PENDING_RETURNED.
pub const PENDING_RETURNED: u8 = 1;
/// IRP_MJ_DEVICE_CONTROL.
pub const DEVICE_CONTROL: u8 = 0x0E;
/// IRP_MJ_INTERNAL_DEVICE_CONTROL.
pub const INTERNAL_CONTROL: u8 = 0x0F;

/// MDL.
#[repr(C)]
pub struct Mdl {
    unused: [usize; 5],
    /// ByteCount.
    pub bytes: u32,
    offset: u32,
}

/// Memory for kernel objects, in the image: nothing to leak.
#[repr(C, align(16))]
struct Slots(core::cell::UnsafeCell<[[u8; 0x100]; 8]>);

// SAFETY: the cases use a slot as the kernel object that they make of it.
unsafe impl Sync for Slots {}

static SLOTS: Slots = Slots(core::cell::UnsafeCell::new([[0; 0x100]; 8]));

/// Memory for a kernel object: 0x100 bytes that live as long as the image.
pub fn slot<T>(index: usize) -> *mut T {
    SLOTS.0.get().cast::<u8>().wrapping_add(0x100 * (index % 8)).cast()
}

/// A block of non-paged pool.
pub fn block<T>(bytes: usize) -> *mut T {
    // SAFETY: allowed at this level; no test lets it fail.
    unsafe { ExAllocatePool2(NON_PAGED, bytes, TAG) }.cast()
}

/// Sleeps, at PASSIVE_LEVEL.
pub fn sleep(milliseconds: i64) {
    let interval = MILLISECOND * milliseconds;
    // SAFETY: the interval is a local.
    unsafe { KeDelayExecutionThread(0, 0, &interval) };
}

/// `slot(0)` as an event that is not signaled.
pub fn event() -> *mut c_void {
    let event = slot(0);
    // SAFETY: memory for an event.
    unsafe { KeInitializeEvent(event, 0, 0) };
    event
}

macro_rules! imports {
    ($module:literal: $($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        #[allow(missing_docs, reason = "each is the function of its name")]
        #[link(name = $module, kind = "raw-dylib", modifiers = "+verbatim")]
        unsafe extern "system" {
            $($(#[$meta])* pub fn $name($($arg: $ty),*) $(-> $ret)?;)*
        }
    };
}

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
#[allow(missing_docs, reason = "the function of its name")]
unsafe extern "C" {
    pub fn DbgPrint(format: *const c_char, ...) -> u32;
}

imports! { "ntoskrnl.exe":
    fn DbgBreakPoint();
    fn ExAcquireFastMutex(mutex: Pvoid);
    fn ExAllocatePool2(flags: u64, bytes: usize, tag: u32) -> Pvoid;
    fn ExAllocatePoolWithTag(kind: u32, bytes: usize, tag: u32) -> Pvoid;
    fn ExAllocateTimer(callback: Option<TimerCallback>, context: Pvoid, attributes: u32) -> Pvoid;
    fn ExCancelTimer(timer: Pvoid, parameters: Pvoid) -> u8;
    fn ExDeleteTimer(timer: Pvoid, cancel: u8, wait: u8, parameters: Pvoid) -> u8;
    fn ExFreePool(block: Pvoid);
    fn ExFreePoolWithTag(block: Pvoid, tag: u32);
    fn ExQueueWorkItem(item: Pvoid, kind: u32);
    fn ExReleaseFastMutex(mutex: Pvoid);
    fn ExSetTimer(timer: Pvoid, due: i64, period: i64, parameters: Pvoid) -> u8;
    fn IoAllocateIrp(stack: i8, quota: u8) -> *mut Irp;
    fn IoAllocateMdl(address: Pvoid, bytes: u32, secondary: u8, quota: u8, irp: *mut Irp) -> *mut Mdl;
    fn IoAllocateWorkItem(device: *mut DeviceObject) -> Pvoid;
    fn IoAttachDeviceToDeviceStack(device: *mut DeviceObject, target: *mut DeviceObject) -> *mut DeviceObject;
    fn IoBuildDeviceIoControlRequest(code: u32, device: *mut DeviceObject, input: Pvoid, input_length: u32, output: Pvoid,
        output_length: u32, internal: u8, event: Pvoid, block: *mut IoStatusBlock) -> *mut Irp;
    fn IoCancelIrp(irp: *mut Irp) -> u8;
    fn IoCreateDevice(driver: *mut DriverObject, extension: u32, name: *const UnicodeString, kind: u32,
        characteristics: u32, exclusive: u8, device: *mut *mut DeviceObject) -> NtStatus;
    fn IoDeleteDevice(device: *mut DeviceObject);
    fn IoDetachDevice(lower: *mut DeviceObject);
    fn IoFreeIrp(irp: *mut Irp);
    fn IoFreeMdl(mdl: *mut Mdl);
    fn IoFreeWorkItem(item: Pvoid);
    fn IoGetDeviceInterfaces(class: *const Guid, pdo: *mut DeviceObject, flags: u32, list: *mut *mut u16) -> NtStatus;
    fn IoGetDeviceObjectPointer(name: *const UnicodeString, access: u32, file: *mut Pvoid, device: *mut *mut DeviceObject)
        -> NtStatus;
    fn IoInitializeIrp(irp: *mut Irp, bytes: u16, stack: i8);
    fn IoQueueWorkItem(item: Pvoid, routine: Option<Work>, kind: u32, context: Pvoid);
    fn IoQueueWorkItemEx(item: Pvoid, routine: Option<Work>, kind: u32, context: Pvoid);
    fn IoRegisterPlugPlayNotification(category: u32, flags: u32, data: Pvoid, driver: *mut DriverObject,
        callback: Notified, context: Pvoid, entry: *mut Pvoid) -> NtStatus;
    fn IoReleaseCancelSpinLock(irql: u8);
    fn IoReuseIrp(irp: *mut Irp, status: NtStatus);
    fn IoUnregisterPlugPlayNotificationEx(entry: Pvoid) -> NtStatus;
    fn IofCallDriver(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus;
    fn IofCompleteRequest(irp: *mut Irp, boost: i8);
    fn KeAcquireSpinLockAtDpcLevel(lock: *mut usize);
    fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8;
    fn KeBugCheck(code: u32);
    fn KeBugCheckEx(code: u32, first: usize, second: usize, third: usize, fourth: usize);
    fn KeCancelTimer(timer: Pvoid) -> u8;
    fn KeDelayExecutionThread(mode: i8, alertable: u8, interval: *const i64) -> NtStatus;
    fn KeGetCurrentIrql() -> u8;
    fn KeGetCurrentThread() -> Pvoid;
    fn KeInitializeDpc(dpc: Pvoid, routine: Deferred, context: Pvoid);
    fn KeInitializeEvent(event: Pvoid, kind: u32, state: u8);
    fn KeInitializeMutex(mutex: Pvoid, level: u32);
    fn KeInitializeSemaphore(semaphore: Pvoid, count: i32, limit: i32);
    fn KeInitializeSpinLock(lock: *mut usize);
    fn KeInitializeTimer(timer: Pvoid);
    fn KeInitializeTimerEx(timer: Pvoid, kind: u32);
    fn KeInsertQueueDpc(dpc: Pvoid, first: Pvoid, second: Pvoid) -> u8;
    fn KeLowerIrql(new: u8);
    fn KeQueryPerformanceCounter(frequency: *mut i64) -> i64;
    fn KeRaiseIrqlToDpcLevel() -> u8;
    fn KeReleaseMutex(mutex: Pvoid, wait: u8) -> i32;
    fn KeReleaseSemaphore(semaphore: Pvoid, increment: i32, adjustment: i32, wait: u8) -> i32;
    fn KeReleaseSpinLock(lock: *mut usize, old: u8);
    fn KeReleaseSpinLockFromDpcLevel(lock: *mut usize);
    fn KeSetEvent(event: Pvoid, increment: i32, wait: u8) -> i32;
    fn KeSetPriorityThread(thread: Pvoid, priority: i32) -> i32;
    fn KeSetTimer(timer: Pvoid, due: i64, dpc: Pvoid) -> u8;
    fn KeSetTimerEx(timer: Pvoid, due: i64, period: i32, dpc: Pvoid) -> u8;
    fn KeStallExecutionProcessor(microseconds: u32);
    fn KeWaitForMultipleObjects(count: u32, objects: *const Pvoid, kind: u32, reason: u32, mode: i8, alertable: u8,
        timeout: *const i64, blocks: Pvoid) -> NtStatus;
    fn KeWaitForSingleObject(object: Pvoid, reason: u32, mode: i8, alertable: u8, timeout: *const i64) -> NtStatus;
    fn KfRaiseIrql(new: u8) -> u8;
    fn MmAllocatePagesForMdl(low: u64, high: u64, skip: u64, bytes: usize) -> *mut Mdl;
    fn MmBuildMdlForNonPagedPool(mdl: *mut Mdl);
    fn MmFreePagesFromMdl(mdl: *mut Mdl);
    fn MmGetPhysicalAddress(address: Pvoid) -> u64;
    fn MmMapIoSpaceEx(physical: u64, bytes: usize, protect: u32) -> Pvoid;
    fn MmUnmapIoSpace(address: Pvoid, bytes: usize);
    fn MmMapLockedPagesSpecifyCache(mdl: *mut Mdl, mode: i8, cache: u32, address: Pvoid, bug_check: u32, priority: u32)
        -> Pvoid;
    fn MmProbeAndLockPages(mdl: *mut Mdl, mode: i8, operation: u32);
    fn MmUnlockPages(mdl: *mut Mdl);
    fn MmUnmapLockedPages(address: Pvoid, mdl: *mut Mdl);
    fn ObReferenceObjectByHandle(handle: Pvoid, access: u32, kind: Pvoid, mode: i8, object: *mut Pvoid,
        information: Pvoid) -> NtStatus;
    fn ObfDereferenceObject(object: Pvoid) -> isize;
    fn ObfReferenceObject(object: Pvoid) -> isize;
    fn PsCreateSystemThread(handle: *mut Pvoid, access: u32, attributes: *const ObjectAttributes, process: Pvoid,
        id: Pvoid, routine: Start, context: Pvoid) -> NtStatus;
    fn PsTerminateSystemThread(status: NtStatus) -> NtStatus;
    fn RtlGetVersion(version: *mut u32) -> NtStatus;
    fn ZwClose(handle: Pvoid) -> NtStatus;
    fn ZwDeviceIoControlFile(handle: Pvoid, event: Pvoid, apc: Pvoid, context: Pvoid, block: *mut IoStatusBlock, code: u32,
        input: *const u8, input_length: u32, output: *mut u64, output_length: u32) -> NtStatus;
    fn ZwOpenFile(handle: *mut Pvoid, access: u32, attributes: *const ObjectAttributes, block: *mut IoStatusBlock,
        share: u32, options: u32) -> NtStatus;
    fn ZwOpenKey(handle: *mut Pvoid, access: u32, attributes: *const ObjectAttributes) -> NtStatus;
    fn ZwSetInformationThread(handle: Pvoid, class: u32, information: *const i32, bytes: u32) -> NtStatus;
    fn memcpy(target: *mut u8, source: *const u8, bytes: usize) -> *mut u8;
}
