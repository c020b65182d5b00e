//! The buffer of the device's stream: pages of IPortWaveRTStream, allocated, mapped and given back, each of which can go
//! wrong.

use core::ptr::null_mut;

use crate::device::{Foreign, bent, of_group};
use crate::device_objects::{Object, once};
use crate::device_streams as streams;
use crate::nt::*;

/// IPortWaveRTStream.
#[repr(C)]
struct PortStream {
    unknown: [usize; 3],
    allocate: unsafe extern "system" fn(this: *mut Foreign, highest: i64, bytes: usize) -> *mut Mdl,
    contiguous: usize,
    map: unsafe extern "system" fn(this: *mut Foreign, list: *mut Mdl, cache: u32) -> Pvoid,
    unmap: unsafe extern "system" fn(this: *mut Foreign, address: Pvoid, list: *mut Mdl),
    free: unsafe extern "system" fn(this: *mut Foreign, list: *mut Mdl),
    count: usize,
    page:
        unsafe extern "system" fn(this: *mut Foreign, out: *mut i64, list: *mut Mdl, index: u32) -> *mut i64,
}

const PAGE: u32 = 0x1000;

/// AllocateAudioBuffer.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn allocate(
    this: *mut Object,
    _requested: u32,
    list: *mut *mut Mdl,
    actual: *mut u32,
    offset: *mut u32,
    cache: *mut u32,
) -> NtStatus {
    let port = (*this).port_stream;
    let functions = (*port).table.cast::<PortStream>();
    if once("pc_buffer_of_zero_bytes") {
        ((*functions).allocate)(port, -1, 0);
    }
    list.write(null_mut());
    let bytes = if of_group("pc_buffer_zeroed_in_part") { 0xF00 } else { PAGE };
    actual.write(bytes);
    offset.write(0);
    cache.write(if bent("pc_buffer_cache") { 7 } else { 1 });
    if bent("pc_buffer_missing") {
        return SUCCESS;
    }
    if bent("pc_buffer_of_its_own") {
        list.write(MmAllocatePagesForMdl(0, u64::MAX, 0, 0x1000));
        return SUCCESS;
    }
    let pages = ((*functions).allocate)(port, -1, 0x1000);
    let map_cache = if bent("pc_map_cache") { 9 } else { 1 };
    (*this).mapped = ((*functions).map)(port, pages, map_cache);
    (*this).list = pages;
    let zeroed = if bent("pc_buffer_zeroed_in_part") { bytes } else { PAGE };
    (*this).mapped.cast::<u8>().write_bytes(0, zeroed as usize);
    if bent("pc_page_beyond_list") {
        let mut address = 0;
        ((*functions).page)(port, &mut address, pages, 1);
    }
    if bent("pc_buffer_beyond_list") {
        actual.write(0x1001);
    }
    list.write(pages);
    SUCCESS
}

/// Gives the pages back.
///
/// # Safety
/// The stream has a buffer.
pub unsafe fn unmap_and_free(this: *mut Object) {
    let port = (*this).port_stream;
    let functions = (*port).table.cast::<PortStream>();
    let (list, mapped) = ((*this).list, (*this).mapped);
    (*this).list = null_mut();
    if bent("pc_buffer_left") {
        return;
    }
    if bent("pc_unmapped_elsewhere") {
        ((*functions).unmap)(port, slot(0), list);
    }
    if !bent("pc_freed_while_mapped") {
        ((*functions).unmap)(port, mapped, list);
    }
    if bent("pc_free_foreign_list") {
        ((*functions).free)(port, slot(0));
    }
    ((*functions).free)(port, list);
}

/// FreeAudioBuffer and FreeBufferWithNotification.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn free(this: *mut Object, list: *mut Mdl, _bytes: u32) {
    if bent("pc_buffer_of_its_own") {
        MmFreePagesFromMdl(list);
        return ExFreePool(list.cast());
    }
    (*this).freed = true;
    streams::buffer_goes();
    unmap_and_free(this);
    if bent("com_freed_at_the_end") {
        ExFreePool(this.cast());
    }
}

/// AllocateBufferWithNotification.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn allocate_with_notification(
    this: *mut Object,
    _count: u32,
    requested: u32,
    list: *mut *mut Mdl,
    actual: *mut u32,
    offset: *mut u32,
    cache: *mut u32,
) -> NtStatus {
    let status = allocate(this, requested, list, actual, offset, cache);
    if bent("packet_unequal") {
        actual.write(0xFFF);
    }
    status
}
