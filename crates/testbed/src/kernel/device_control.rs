//! Device control requests: with a handle, or built by a driver and sent down to a device.
//!
//! The method in the control code says how the buffers travel. With METHOD_BUFFERED both share a system buffer: the input
//! is copied into it before, and as many bytes as the device says out of it after.

use std::ptr;

use crate::kernel::imports::Export;
use crate::kernel::object::{self, ObjectType};
use crate::kernel::{device, event, irp, mdl, pool};
use crate::memory;
use crate::nt::{
    DeviceIoControlParameters, DeviceObject, FileObject, Handle, IoStatusBlock, Irp, KEvent, NtStatus, Pvoid,
    file_flags, irp_flags, major, method,
};
use crate::process::Process;
use crate::schedule::{self, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// A device control request as its caller describes it.
#[derive(Clone, Copy)]
struct Control {
    code: u32,
    internal: bool,
    input: (*mut u8, u32),
    output: (*mut u8, u32),
    file: *mut FileObject,
}

/// Whether a status is an error, not only a warning: NT_ERROR.
fn is_error(status: NtStatus) -> bool {
    status.0 as u32 >> 30 == 3
}

/// Fills in a new request and its first stack location; what it takes for the buffers goes with [`conclude`].
///
/// # Errors
/// STATUS_INSUFFICIENT_RESOURCES.
fn prepare(packet: *mut Irp, control: &Control) -> Result<(), NtStatus> {
    let Control { code, internal, input, output, file } = *control;
    // SAFETY: the caller made the request, with at least one stack location.
    let (header, location) = unsafe { (&mut *packet, &mut *irp::next_location(packet)) };
    location.major_function = if internal { major::INTERNAL_DEVICE_CONTROL } else { major::DEVICE_CONTROL };
    location.file_object = file;
    let mut parameters = DeviceIoControlParameters {
        output_buffer_length: output.1,
        padding1: 0,
        input_buffer_length: input.1,
        padding2: 0,
        io_control_code: code,
        padding3: 0,
        type3_input_buffer: ptr::null_mut(),
    };
    match code & 3 {
        method::NEITHER => {
            parameters.type3_input_buffer = input.0.cast();
            header.user_buffer = output.0.cast();
        }
        method::BUFFERED => {
            attach_system_buffer(header, input.1.max(output.1), input);
            header.flags |= if output.1 > 0 { irp_flags::INPUT_OPERATION } else { 0 };
            header.user_buffer = output.0.cast();
        }
        _ => {
            if output.1 > 0 {
                header.mdl_address = mdl::create(output.0, output.1 as usize);
                if header.mdl_address.is_null() {
                    return Err(NtStatus::INSUFFICIENT_RESOURCES);
                }
            }
            attach_system_buffer(header, input.1, input);
        }
    }
    // SAFETY: both are four words of plain data.
    location.parameters = unsafe { std::mem::transmute::<DeviceIoControlParameters, [usize; 4]>(parameters) };
    Ok(())
}

/// Gives a request a system buffer with a copy of the input.
fn attach_system_buffer(packet: &mut Irp, bytes: u32, input: (*mut u8, u32)) {
    let bytes = bytes as usize;
    if bytes == 0 {
        return;
    }
    let buffer = memory::allocate(bytes, "the system buffer of a device control request");
    // SAFETY: just allocated, with so many bytes.
    unsafe { buffer.write_bytes(memory::undefined(), bytes) };
    // SAFETY: the driver vouches for its input, which is no longer than the buffer; a wrong one faults and is reported.
    unsafe { ptr::copy_nonoverlapping(input.0, buffer, input.1 as usize) };
    packet.associated = buffer.cast();
    packet.flags |= irp_flags::BUFFERED_IO | irp_flags::DEALLOCATE_BUFFER;
}

/// What the I/O manager does with a completed request in the end: gives the output to the caller and frees the buffers.
pub(super) fn conclude(packet: *mut Irp) {
    // SAFETY: a live request of `prepare`.
    let header = unsafe { &mut *packet };
    if header.flags & irp_flags::INPUT_OPERATION != 0 && !is_error(header.io_status.status) {
        let bytes = header.io_status.information;
        // SAFETY: the system buffer is as long as the output at least; a device that says more than that faults.
        unsafe { ptr::copy_nonoverlapping(header.associated.cast::<u8>(), header.user_buffer.cast(), bytes) };
    }
    if header.flags & irp_flags::DEALLOCATE_BUFFER != 0 {
        memory::free(header.associated.cast());
    }
    if !header.mdl_address.is_null() {
        mdl::free(header.mdl_address);
    }
    header.flags = 0;
    header.associated = ptr::null_mut();
    header.mdl_address = ptr::null_mut();
}

/// Whether a caller finds the result in its status block: one that comes back at once with an error is only returned.
pub(super) fn is_reported(packet: &Irp) -> bool {
    !is_error(packet.io_status.status) || packet.pending_returned != 0
}

/// Sends a request for ZwDeviceIoControlFile, and waits for it if the file is synchronous.
///
/// # Safety
/// The block is the driver's, and lives until the request is complete.
unsafe fn send(control: &Control, event: Option<*mut KEvent>, block: *mut IoStatusBlock) -> NtStatus {
    // SAFETY: the file is open, so it has its device.
    let (pdo, flags) = unsafe { ((*control.file).device_object, (*control.file).flags) };
    let top = device::top_of(pdo);
    // SAFETY: `top_of` gives a live device.
    let packet = irp::allocate(unsafe { (*top).stack_size });
    if let Err(status) = prepare(packet, control) {
        irp::free(packet);
        return status;
    }
    // The file stays until its request is done, though the handle may be closed meanwhile.
    let file = control.file.cast::<u8>();
    object::reference(file);
    if let Some(event) = event {
        event::reset(event);
        object::reference(event.cast());
    }
    let finish = move || {
        // SAFETY: a live request that is done.
        let (result, reported) = unsafe { ((*packet).io_status, is_reported(&*packet)) };
        conclude(packet);
        irp::free(packet);
        if reported {
            // SAFETY: the caller vouches for the block.
            unsafe { block.write(result) };
        }
        if let Some(event) = event {
            if reported {
                event::set(event);
            }
            object::dereference(event.cast());
        }
        object::dereference(file);
        result.status
    };
    if flags & file_flags::SYNCHRONOUS_IO != 0 {
        irp::call_and_wait(top, packet);
        return finish();
    }
    let returned = irp::call(top, packet);
    if returned != NtStatus::PENDING {
        irp::wait_until_done(packet, returned);
        return finish();
    }
    schedule::spawn_in(Process::Arbitrary, "I/O completion", PASSIVE_LEVEL, move || {
        irp::wait_until_done(packet, returned);
        finish();
    });
    returned
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwdeviceiocontrolfile>
    pub fn ZwDeviceIoControlFile(handle: Handle, event: Handle, apc: Pvoid, apc_context: Pvoid, block: *mut IoStatusBlock,
        code: u32, input: *mut u8, input_length: u32, output: *mut u8, output_length: u32) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let _ = apc_context;
        let file = match object::by_handle(handle, ObjectType::File) {
            Ok(file) => file.cast::<FileObject>(),
            Err(status) => return status,
        };
        let event = match (event != 0).then(|| object::by_handle(event, ObjectType::Event)).transpose() {
            Ok(event) => event.map(|event| event.cast::<KEvent>()),
            Err(status) => return status,
        };
        // SAFETY: the file is open.
        let synchronous = unsafe { (*file).flags } & file_flags::SYNCHRONOUS_IO != 0;
        if !apc.is_null() {
            verifier::record(Rule::Argument, "ZwDeviceIoControlFile with an APC routine, which the testbed does not call");
            return NtStatus::INVALID_PARAMETER;
        }
        if !synchronous && event.is_none() {
            let text = "ZwDeviceIoControlFile without an event on a file that was opened for asynchronous I/O: nobody \
                        could tell when it is done";
            verifier::record(Rule::Argument, text);
        }
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let control = Control {
            code, internal: false, input: (input, input_length), output: (output, output_length), file,
        };
        // SAFETY: the driver's block, which must live until the request is complete.
        unsafe { send(&control, event, block) }
    }

    /// A request that the I/O manager frees when it is complete. Null when there is no memory.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuilddeviceiocontrolrequest>
    pub fn IoBuildDeviceIoControlRequest(code: u32, device: *mut DeviceObject, input: *mut u8, input_length: u32,
        output: *mut u8, output_length: u32, internal: u8, event: *mut KEvent, block: *mut IoStatusBlock) -> *mut Irp,
        irql <= PASSIVE_LEVEL; {
        if !device::is_live(device) {
            let place = memory::describe(device.addr());
            verifier::fatal(Rule::Object, format!("a request is built for no device: {place}"));
        }
        if !pool::may_allocate() {
            return ptr::null_mut();
        }
        // SAFETY: a live device, as was found.
        let packet = irp::allocate_threaded(unsafe { (*device).stack_size });
        let control = Control {
            code,
            internal: internal != 0,
            input: (input, input_length),
            output: (output, output_length),
            file: ptr::null_mut(),
        };
        if prepare(packet, &control).is_err() {
            irp::discard(packet);
            return ptr::null_mut();
        }
        // SAFETY: just made.
        let header = unsafe { &mut *packet };
        header.user_event = event;
        header.user_iosb = block;
        packet
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": ZwDeviceIoControlFile, IoBuildDeviceIoControlRequest];
