//! IPortWaveRTStream: what a miniport's stream allocates its buffer with.
//!
//! The port's pin owns the object; a stream may use it until it is released. Everything allocated here must be freed
//! here before, and unmapped before it is freed.

use std::cell::RefCell;
use std::rc::Rc;

use super::abi::guid;
use super::interfaces::Unknown;
use super::served::{self, Served, UNKNOWN};
use crate::import;
use crate::kernel::mdl;
use crate::nt::{Mdl, PAGE_SIZE, Pvoid};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{Rule, record};

#[repr(C)]
struct PortStreamTable {
    unknown: Unknown,
    allocate_pages: unsafe extern "efiapi" fn(Pvoid, i64, usize) -> *mut Mdl,
    allocate_contiguous_pages: unsafe extern "efiapi" fn(Pvoid, i64, i64, usize) -> *mut Mdl,
    map: unsafe extern "efiapi" fn(Pvoid, *mut Mdl, u32) -> Pvoid,
    unmap: unsafe extern "efiapi" fn(Pvoid, Pvoid, *mut Mdl),
    free: unsafe extern "efiapi" fn(Pvoid, *mut Mdl),
    page_count: unsafe extern "efiapi" fn(Pvoid, *mut Mdl) -> u32,
    /// A C++ member function returns the eight-byte union through a pointer that follows `this`.
    page_address: unsafe extern "efiapi" fn(Pvoid, *mut i64, *mut Mdl, u32) -> *mut i64,
}

static TABLE: PortStreamTable = PortStreamTable {
    unknown: UNKNOWN,
    allocate_pages: IPortWaveRTStream_AllocatePagesForMdl,
    allocate_contiguous_pages: IPortWaveRTStream_AllocateContiguousPagesForMdl,
    map: IPortWaveRTStream_MapAllocatedPages,
    unmap: IPortWaveRTStream_UnmapAllocatedPages,
    free: IPortWaveRTStream_FreePagesFromMdl,
    page_count: IPortWaveRTStream_GetPhysicalPagesCount,
    page_address: IPortWaveRTStream_GetPhysicalPageAddress,
};

/// What a stream has allocated.
#[derive(Default)]
pub(super) struct PortStream {
    allocated: RefCell<Vec<Allocation>>,
}

struct Allocation {
    mdl: *mut Mdl,
    mappings: Vec<Pvoid>,
}

impl PortStream {
    /// Makes one with one reference, the pin's.
    pub(super) fn create() -> Rc<Served> {
        let faces: [(&[crate::nt::Guid], *const Unknown); 1] =
            [(&[guid::IID_IPORT_WAVERT_STREAM], (&raw const TABLE).cast())];
        Served::create("IPortWaveRTStream", &faces, Rc::new(Self::default()))
    }

    /// Whether the MDL is one of the stream's.
    pub(super) fn owns(&self, mdl: *mut Mdl) -> bool {
        self.allocated.borrow().iter().any(|allocation| allocation.mdl == mdl)
    }

    fn allocate(&self, bytes: usize, function: &str) -> *mut Mdl {
        if bytes == 0 {
            record(Rule::Argument, format!("{function} was called for 0 bytes"));
            return std::ptr::null_mut();
        }
        let mdl = mdl::allocate_pages(bytes);
        if !mdl.is_null() {
            self.allocated.borrow_mut().push(Allocation { mdl, mappings: Vec::new() });
        }
        mdl
    }

    fn with<R>(&self, mdl: *mut Mdl, function: &str, use_it: impl FnOnce(&mut Allocation) -> R) -> Option<R> {
        let mut allocated = self.allocated.borrow_mut();
        let found = allocated.iter_mut().find(|allocation| allocation.mdl == mdl);
        if found.is_none() {
            record(Rule::Mdl, format!("{function}: the MDL was not allocated with this IPortWaveRTStream"));
        }
        found.map(use_it)
    }

    fn unmap(&self, address: Pvoid, mdl: *mut Mdl) {
        let mapped = self.with(mdl, "UnmapAllocatedPages", |allocation| {
            let index = allocation.mappings.iter().position(|mapping| *mapping == address);
            index.map(|index| allocation.mappings.remove(index))
        });
        match mapped {
            Some(Some(_)) => mdl::unmap(mdl, address.cast()),
            Some(None) => record(Rule::Mdl, "UnmapAllocatedPages: the pages are not mapped there"),
            None => {}
        }
    }

    fn free(&self, mdl: *mut Mdl) {
        let mapped =
            self.with(mdl, "FreePagesFromMdl", |allocation| std::mem::take(&mut allocation.mappings));
        let Some(mapped) = mapped else { return };
        if !mapped.is_empty() {
            record(Rule::Mdl, "FreePagesFromMdl: the pages are still mapped");
            mapped.into_iter().for_each(|address| mdl::unmap(mdl, address.cast()));
        }
        self.allocated.borrow_mut().retain(|allocation| allocation.mdl != mdl);
        mdl::free_pages(mdl);
    }

    /// Records what the stream has left behind.
    pub(super) fn check_empty(&self) {
        let left = self.allocated.borrow().len();
        if left > 0 {
            record(
                Rule::Mdl,
                format!("a stream was closed and left {left} buffers of IPortWaveRTStream allocated"),
            );
        }
        for Allocation { mdl, mappings } in self.allocated.take() {
            mappings.into_iter().for_each(|address| mdl::unmap(mdl, address.cast()));
            mdl::free_pages(mdl);
        }
    }
}

fn page_count(mdl: *mut Mdl) -> u32 {
    // SAFETY: `with` has found the MDL among the allocated ones.
    let (bytes, offset) = unsafe { ((*mdl).byte_count, (*mdl).byte_offset) };
    (offset as usize + bytes as usize).div_ceil(PAGE_SIZE) as u32
}

import! {
    /// Allocates pages for a buffer, anywhere below an address.
    fn IPortWaveRTStream_AllocatePagesForMdl(this: Pvoid, highest: i64, bytes: usize) -> *mut Mdl, irql <= PASSIVE_LEVEL; {
        let _ = highest;
        served::content::<PortStream>(this, "AllocatePagesForMdl")
            .map_or(std::ptr::null_mut(), |stream| stream.allocate(bytes, "AllocatePagesForMdl"))
    }

    /// Allocates pages for a buffer in a row.
    fn IPortWaveRTStream_AllocateContiguousPagesForMdl(this: Pvoid, lowest: i64, highest: i64, bytes: usize) -> *mut Mdl,
        irql <= PASSIVE_LEVEL; {
        let _ = (lowest, highest);
        served::content::<PortStream>(this, "AllocateContiguousPagesForMdl")
            .map_or(std::ptr::null_mut(), |stream| stream.allocate(bytes, "AllocateContiguousPagesForMdl"))
    }

    /// Maps allocated pages for the driver.
    fn IPortWaveRTStream_MapAllocatedPages(this: Pvoid, mdl: *mut Mdl, cache: u32) -> Pvoid, irql <= PASSIVE_LEVEL; {
        if cache > 2 {
            record(Rule::Argument, format!("MapAllocatedPages: cache type {cache}"));
        }
        let stream = served::content::<PortStream>(this, "MapAllocatedPages");
        let mapped = stream.and_then(|stream| stream.with(mdl, "MapAllocatedPages", |allocation| {
            let address: Pvoid = mdl::map(mdl, false).cast();
            if !address.is_null() {
                allocation.mappings.push(address);
            }
            address
        }));
        mapped.unwrap_or(std::ptr::null_mut())
    }

    /// Undoes MapAllocatedPages.
    fn IPortWaveRTStream_UnmapAllocatedPages(this: Pvoid, address: Pvoid, mdl: *mut Mdl), irql <= PASSIVE_LEVEL; {
        if let Some(stream) = served::content::<PortStream>(this, "UnmapAllocatedPages") {
            stream.unmap(address, mdl);
        }
    }

    /// Frees allocated pages and their MDL.
    fn IPortWaveRTStream_FreePagesFromMdl(this: Pvoid, mdl: *mut Mdl), irql <= PASSIVE_LEVEL; {
        if let Some(stream) = served::content::<PortStream>(this, "FreePagesFromMdl") {
            stream.free(mdl);
        }
    }

    /// How many pages an MDL has.
    fn IPortWaveRTStream_GetPhysicalPagesCount(this: Pvoid, mdl: *mut Mdl) -> u32, irql <= PASSIVE_LEVEL; {
        let stream = served::content::<PortStream>(this, "GetPhysicalPagesCount");
        stream.and_then(|stream| stream.with(mdl, "GetPhysicalPagesCount", |_| page_count(mdl))).unwrap_or(0)
    }

    /// The physical address of a page of an MDL.
    fn IPortWaveRTStream_GetPhysicalPageAddress(this: Pvoid, result: *mut i64, mdl: *mut Mdl, index: u32) -> *mut i64,
        irql <= PASSIVE_LEVEL; {
        let stream = served::content::<PortStream>(this, "GetPhysicalPageAddress");
        let address = stream.and_then(|stream| stream.with(mdl, "GetPhysicalPageAddress", |_| {
            if index >= page_count(mdl) {
                record(Rule::Argument, format!("GetPhysicalPageAddress: there is no page {index}"));
                return 0;
            }
            // SAFETY: the frame numbers follow the MDL, one for each page.
            let frame = unsafe { mdl.add(1).cast::<u64>().add(index as usize).read() };
            (frame * PAGE_SIZE as u64) as i64
        }));
        // SAFETY: the caller's space for the result.
        unsafe { result.write(address.unwrap_or(0)) };
        result
    }
}
