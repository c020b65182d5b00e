//! Memory of devices at physical addresses, and drivers that map it.
//!
//! The physical address space has the memory of devices in it and nothing else: a driver has no business with what else
//! is there. When a device has gone, what is mapped of it stays mapped, and what is written there goes nowhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::ptr;

use crate::exports;
use crate::import;
use crate::kernel::driver;
use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::PAGE_SIZE;
use crate::process;
use crate::schedule::{DISPATCH_LEVEL, Irql};
use crate::verifier::{self, Rule};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
/// Where the memory of the first device is: above what a computer of 32 bits has. Each has so much room.
const FIRST: u64 = 0x40_0000_0000;
const ROOM: u64 = 0x100_0000_0000;

const PAGE_READONLY: u32 = 0x02;
const PAGE_READWRITE: u32 = 0x04;
const PAGE_NOCACHE: u32 = 0x200;
const PAGE_WRITECOMBINE: u32 = 0x400;

/// A mapping that a driver made.
struct Mapping {
    physical: u64,
    bytes: usize,
}

/// The devices' memory of a machine, by physical address, and who has mapped it.
#[derive(Default)]
struct IoSpace {
    /// The file and its length; no file when the device has gone.
    ranges: RefCell<BTreeMap<u64, (Option<RawFd>, u64)>>,
    mappings: RefCell<BTreeMap<usize, Mapping>>,
}

/// Gives memory a physical address.
pub(crate) fn appear(file: RawFd, bytes: u64) -> u64 {
    let space = machine().part::<IoSpace>();
    let mut ranges = space.ranges.borrow_mut();
    let physical = FIRST + ROOM * ranges.len() as u64;
    ranges.insert(physical, (Some(file), bytes));
    driver::at_unload("mappings of device memory", report_leaks);
    physical
}

/// A device has gone: nothing is at its physical address any more.
pub(crate) fn vanish(physical: u64) {
    let space = machine().part::<IoSpace>();
    if let Some((file, _)) = space.ranges.borrow_mut().get_mut(&physical) {
        *file = None;
    }
    for (address, mapping) in space.mappings.borrow().iter() {
        if range_of(&space, mapping.physical, 1).is_some_and(|(start, ..)| start == physical) {
            process::lose(*address, mapping.bytes);
        }
    }
}

/// The device memory that a range of physical addresses is in: where it begins, its file and its length.
fn range_of(space: &IoSpace, physical: u64, bytes: u64) -> Option<(u64, Option<RawFd>, u64)> {
    let ranges = space.ranges.borrow();
    let (start, (file, length)) = ranges.range(..=physical).next_back()?;
    (physical.checked_add(bytes)? <= start + length.next_multiple_of(PAGE_SIZE as u64))
        .then_some((*start, *file, *length))
}

fn unmap(address: usize, bytes: usize) {
    let space = machine().part::<IoSpace>();
    let found = space.mappings.borrow_mut().remove(&address);
    match found {
        Some(mapping) => {
            if mapping.bytes != bytes {
                let text = format!("MmUnmapIoSpace of {bytes} bytes of a mapping of {}", mapping.bytes);
                verifier::record(Rule::Mdl, text);
            }
            process::unmap(address, "MmUnmapIoSpace");
        }
        None => {
            verifier::record(Rule::Mdl, format!("MmUnmapIoSpace of {address:#x}, where nothing is mapped"))
        }
    }
}

fn report_leaks() {
    let space = machine().part::<IoSpace>();
    for mapping in space.mappings.take().into_values() {
        let text = format!("a mapping of {} bytes of device memory was never unmapped", mapping.bytes);
        verifier::record(Rule::Unload, text);
    }
}

import! {
    /// Zero for an address that is not valid.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-mmgetphysicaladdress>
    pub fn MmGetPhysicalAddress(address: usize) -> u64, irql <= HIGH_LEVEL; {
        process::physical(address).unwrap_or(0)
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmmapiospaceex>
    pub fn MmMapIoSpaceEx(physical: u64, bytes: usize, protect: u32) -> *mut u8, irql <= DISPATCH_LEVEL; {
        let cache = protect & (PAGE_NOCACHE | PAGE_WRITECOMBINE);
        let access = protect & !cache;
        if ![PAGE_READONLY, PAGE_READWRITE].contains(&access) || cache == PAGE_NOCACHE | PAGE_WRITECOMBINE {
            verifier::record(Rule::Argument, format!("MmMapIoSpaceEx with the protection {protect:#x}"));
            return ptr::null_mut();
        }
        let space = machine().part::<IoSpace>();
        let Some((start, file, _)) = range_of(&space, physical, bytes as u64).filter(|_| bytes > 0) else {
            let text = format!("MmMapIoSpaceEx of {bytes} bytes at {physical:#x}, which is no device's memory");
            verifier::record(Rule::Argument, text);
            return ptr::null_mut();
        };
        if physical != start {
            verifier::fatal(Rule::Argument, "MmMapIoSpaceEx from the middle of a device's memory is not simulated");
        }
        let address = process::map_device(file, physical, bytes);
        space.mappings.borrow_mut().insert(address, Mapping { physical, bytes });
        ptr::with_exposed_provenance_mut(address)
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmunmapiospace>
    pub fn MmUnmapIoSpace(address: usize, bytes: usize), irql <= DISPATCH_LEVEL; {
        unmap(address, bytes);
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": MmGetPhysicalAddress, MmMapIoSpaceEx, MmUnmapIoSpace];
