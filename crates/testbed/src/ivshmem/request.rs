//! What the driver of an IVSHMEM device answers: the requests of virtio-win's driver, and what a scenario lets go wrong.

use std::ptr;
use std::rc::Rc;

use super::{Fault, Generation, Owner, Plugged, Request, Stage};
use crate::kernel::{dispatch_at, file, irp};
use crate::machine::machine;
use crate::nt::{
    DeviceIoControlParameters, DeviceObject, DriverObject, IoStackLocation, Irp, NtStatus, PAGE_SIZE,
    UnicodeString, control_code, major, method,
};
use crate::process::{self, Process};
use crate::schedule::{self, DISPATCH_LEVEL};
use crate::verifier::{self, Rule};

/// FILE_DEVICE_UNKNOWN.
const DEVICE_UNKNOWN: u32 = 0x22;
/// Bytes of what a mapping request answers: a `u16` (the peer), a `u64` (the size), a pointer, a `u16` (interrupt vectors),
/// each at its alignment.
const MAPPING_BYTES: usize = 32;
/// The greatest cache mode: 0 none, 1 cached, 2 write combined.
const LAST_CACHE_MODE: u8 = 2;

/// The control code of a request; all are METHOD_BUFFERED with FILE_ANY_ACCESS.
pub const fn code(function: u32) -> u32 {
    control_code(DEVICE_UNKNOWN, function, method::BUFFERED, 0)
}
/// IOCTL_IVSHMEM_REQUEST_SIZE.
pub const REQUEST_SIZE: u32 = code(0x801);
/// IOCTL_IVSHMEM_REQUEST_MMAP.
pub const REQUEST_MMAP: u32 = code(0x802);
/// IOCTL_IVSHMEM_RELEASE_MMAP.
pub const RELEASE_MMAP: u32 = code(0x803);
/// IOCTL_IVSHMEM_REQUEST_KMAP.
pub const REQUEST_KMAP: u32 = code(0x806);

/// A device control request in the driver's hands.
struct Control {
    code: u32,
    /// The system buffer.
    buffer: *mut u8,
    input: usize,
    output: usize,
    file: usize,
}

impl Control {
    /// # Safety
    /// A live request in a driver's hands.
    unsafe fn new(packet: *mut Irp, location: &IoStackLocation) -> Self {
        // SAFETY: both are four words of plain data.
        let parameters: DeviceIoControlParameters = unsafe { std::mem::transmute(location.parameters) };
        Self {
            code: parameters.io_control_code,
            // SAFETY: by contract.
            buffer: unsafe { (*packet).associated }.cast(),
            input: parameters.input_buffer_length as usize,
            output: parameters.output_buffer_length as usize,
            file: location.file_object.addr(),
        }
    }

    fn request(&self) -> Option<Request> {
        match self.code {
            REQUEST_SIZE => Some(Request::Size),
            REQUEST_MMAP => Some(Request::Map),
            REQUEST_KMAP => Some(Request::KernelMap),
            RELEASE_MMAP => Some(Request::Release),
            _ => None,
        }
    }

    fn answer(&self, bytes: &[u8]) {
        // SAFETY: callers checked that the output, and so the system buffer, has room for these bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.buffer, bytes.len()) };
    }
}

/// The entry point of the driver.
///
/// # Safety
/// For the testbed: a new driver object.
pub(super) unsafe extern "efiapi" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    for function in [major::CREATE, major::CLEANUP, major::CLOSE, major::DEVICE_CONTROL] {
        // SAFETY: the driver object that was made for this entry.
        unsafe { (*driver).major_function[usize::from(function)] = Some(dispatch) };
    }
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn dispatch(device: *mut DeviceObject, packet: *mut Irp) -> NtStatus {
    // SAFETY: a request that was sent to a device has a current stack location.
    let location = unsafe { *irp::current_location(packet) };
    let plugged = super::plugged_at(device);
    let file = location.file_object.addr();
    let (fault, (status, information)) = match location.major_function {
        major::CREATE => open(&plugged, file),
        major::CLEANUP => {
            plugged.clean_up(file);
            (None, (NtStatus::SUCCESS, 0))
        }
        major::CLOSE => {
            plugged.files.borrow_mut().remove(&file);
            (None, (NtStatus::SUCCESS, 0))
        }
        // SAFETY: a live request that this driver has.
        _ => control(&plugged, &unsafe { Control::new(packet, &location) }),
    };
    if let Some(Fault::Late(time)) = fault {
        irp::mark_pending(packet);
        dispatch_at(schedule::now() + time, DISPATCH_LEVEL, "completion of IVSHMEM", move || {
            irp::complete_with(packet, status, information);
        });
        return NtStatus::PENDING;
    }
    irp::complete_with(packet, status, information);
    status
}

fn open(plugged: &Plugged, file: usize) -> (Option<Fault>, (NtStatus, usize)) {
    let fault = plugged.faults.take(Request::Open);
    let status = match fault {
        Some(Fault::Status(status)) => status,
        // What the I/O manager answers for a device that is being removed.
        _ if plugged.stage.get() != Stage::Working => NtStatus::NO_SUCH_DEVICE,
        _ => NtStatus::SUCCESS,
    };
    if status.is_success() {
        plugged.files.borrow_mut().insert(file);
    }
    (fault, (status, 0))
}

fn control(plugged: &Rc<Plugged>, control: &Control) -> (Option<Fault>, (NtStatus, usize)) {
    let request = control.request();
    let fault = request.and_then(|request| plugged.faults.take(request));
    let result = match (request, fault) {
        (_, Some(Fault::Status(status))) => Err(status),
        // The framework completes what comes after the removal so.
        _ if plugged.stage.get() == Stage::Gone => Err(NtStatus::INVALID_DEVICE_STATE),
        // The framework of virtio-win's driver has an object for every file that was opened, and demands it.
        _ if !plugged.files.borrow().contains(&control.file) => Err(NtStatus::INVALID_DEVICE_REQUEST),
        _ if !plugged.provisioned.get() => Err(NtStatus::DEVICE_NOT_READY),
        (Some(Request::Size), _) => size(plugged, control, fault),
        (Some(Request::Map), _) => map(plugged, control, Some(process::current()), fault),
        (Some(Request::KernelMap), _) if plugged.generation == Generation::WithKernelMap => {
            map(plugged, control, None, fault)
        }
        (Some(Request::Release), _) => release(plugged, control),
        _ => Err(NtStatus::INVALID_DEVICE_REQUEST),
    };
    let answer = match (result, fault) {
        (Ok(_), Some(Fault::Information(bytes))) => (NtStatus::SUCCESS, bytes.min(control.output)),
        (Ok(bytes), _) => (NtStatus::SUCCESS, bytes),
        (Err(status), _) => (status, 0),
    };
    (fault, answer)
}

/// The size that is answered.
fn told_size(plugged: &Plugged, fault: Option<Fault>) -> u64 {
    match fault {
        Some(Fault::Size(bytes)) => bytes,
        _ => plugged.region.bytes(),
    }
}

fn size(plugged: &Plugged, control: &Control, fault: Option<Fault>) -> Result<usize, NtStatus> {
    let bytes = told_size(plugged, fault).to_le_bytes();
    if control.output != bytes.len() {
        return Err(NtStatus::INVALID_BUFFER_SIZE);
    }
    control.answer(&bytes);
    Ok(bytes.len())
}

fn map(
    plugged: &Plugged,
    control: &Control,
    process: Option<Process>,
    fault: Option<Fault>,
) -> Result<usize, NtStatus> {
    if plugged.owner.get() != Owner::Nobody {
        return Err(NtStatus::DEVICE_ALREADY_ATTACHED);
    }
    if plugged.generation != Generation::WithoutConfiguration {
        if control.input != 1 {
            return Err(NtStatus::INVALID_BUFFER_SIZE);
        }
        // SAFETY: the system buffer begins with the input.
        if unsafe { control.buffer.read() } > LAST_CACHE_MODE {
            return Err(NtStatus::INVALID_PARAMETER);
        }
    }
    if control.output != MAPPING_BYTES {
        return Err(NtStatus::INVALID_BUFFER_SIZE);
    }
    let bytes = usize::try_from(plugged.region.bytes()).map_err(|_| NtStatus::DRIVER_INTERNAL_ERROR)?;
    let address =
        process::map(plugged.region.descriptor(), plugged.physical, bytes, process, "IVSHMEM region");
    plugged.owner.set(Owner::File { file: control.file, address });
    let pointer = match fault {
        Some(Fault::NullPointer) => 0,
        Some(Fault::Unaligned) => address + PAGE_SIZE / 2,
        _ => address,
    };
    let words = [0, told_size(plugged, fault), pointer as u64, 0];
    control.answer(&words.map(u64::to_le_bytes).concat());
    Ok(MAPPING_BYTES)
}

fn release(plugged: &Plugged, control: &Control) -> Result<usize, NtStatus> {
    match plugged.owner.get() {
        Owner::Nobody => Err(NtStatus::INVALID_DEVICE_REQUEST),
        Owner::File { file, .. } if file == control.file => {
            plugged.unmap("IOCTL_IVSHMEM_RELEASE_MMAP");
            Ok(0)
        }
        _ => Err(NtStatus::INVALID_HANDLE),
    }
}

impl Plugged {
    /// Takes the mapping of a driver away, if there is one.
    pub(super) fn unmap(&self, by: &'static str) {
        if let Owner::File { address, .. } = self.owner.get() {
            self.owner.set(Owner::Nobody);
            process::unmap(address, by);
        }
    }

    fn clean_up(&self, file: usize) {
        if matches!(self.owner.get(), Owner::File { file: owner, .. } if owner == file) {
            self.unmap("the end of the last handle");
        }
    }
}

/// Reports mappings that no file can release any more: that of a file without handles has missed its IRP_MJ_CLEANUP.
pub(super) fn report_leaks() {
    let all = machine().part::<super::Devices>();
    let plugged: Vec<Rc<Plugged>> = all.by_address.borrow().values().cloned().collect();
    for plugged in plugged {
        if let Owner::File { file, .. } = plugged.owner.get()
            && file::device_of(ptr::without_provenance(file)).is_none()
        {
            verifier::record(Rule::Unload, "a mapping of an IVSHMEM region was never released");
        }
    }
}
