//! The interfaces of ports: what the driver asks Windows for.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};

use wdk_sys::{_MEMORY_CACHING_TYPE, DEVICE_OBJECT, IRP, MDL, PHYSICAL_ADDRESS};

use super::{ComPtr, Interface, table};
use crate::abi::GUID;
use crate::abi::portcls::{
    IID_IPort, IID_IUnregisterPhysicalConnection, IID_IUnregisterSubdevice, IPort, IPortVtbl,
    IPortWaveRTStream, IPortWaveRTStreamVtbl, IResourceList, IUnregisterPhysicalConnection,
    IUnregisterPhysicalConnectionVtbl, IUnregisterSubdevice, IUnregisterSubdeviceVtbl, PUNKNOWN, PcNewPort,
};
use crate::kernel::status::check;
use crate::kernel::{Result, Status};

// SAFETY: the declarations in `abi` are those of the interfaces.
unsafe impl Interface for IPort {
    type Table = IPortVtbl;
    const IID: GUID = IID_IPort;
}
// SAFETY: as above.
unsafe impl Interface for IUnregisterSubdevice {
    type Table = IUnregisterSubdeviceVtbl;
    const IID: GUID = IID_IUnregisterSubdevice;
}
// SAFETY: as above.
unsafe impl Interface for IUnregisterPhysicalConnection {
    type Table = IUnregisterPhysicalConnectionVtbl;
    const IID: GUID = IID_IUnregisterPhysicalConnection;
}

/// Creates a port of a class. PASSIVE_LEVEL.
///
/// # Errors
/// What PortCls says.
pub fn new_port(class: &GUID) -> Result<ComPtr<IPort>> {
    let mut port = null_mut();
    // SAFETY: the pointers are to a local and to a borrowed identifier.
    check(unsafe { PcNewPort(&raw mut port, class) })?;
    // SAFETY: on success PortCls gave us a reference.
    unsafe { ComPtr::from_raw(port) }.ok_or(Status::UNSUCCESSFUL)
}

impl ComPtr<IPort> {
    /// Connects the port with a miniport, which the port then owns. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// The device, the packet and the resources are those of the `StartDevice` call that is under way, and the
    /// unknowns are live.
    ///
    /// # Errors
    /// What PortCls or the miniport says.
    pub unsafe fn init(
        &self,
        device: *mut DEVICE_OBJECT,
        irp: *mut IRP,
        miniport: PUNKNOWN,
        adapter: PUNKNOWN,
        resources: *mut IResourceList,
    ) -> Result {
        let this = self.as_ptr();
        // SAFETY: by contract.
        check(unsafe { (self.table().Init)(this.cast(), device, irp, miniport, adapter, resources) })
    }
}

/// The port's side of a stream. No reference is held: it outlives the stream, and a reference would make a cycle.
#[derive(Clone, Copy)]
pub struct PortStream {
    raw: NonNull<IPortWaveRTStream>,
}

// SAFETY: its methods may be called in any thread at PASSIVE_LEVEL.
unsafe impl Send for PortStream {}
// SAFETY: as above.
unsafe impl Sync for PortStream {}

/// Locked pages with a kernel mapping; freed when dropped. PASSIVE_LEVEL.
pub struct MappedPages {
    port: PortStream,
    mdl: NonNull<MDL>,
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: pages belong to no thread.
unsafe impl Send for MappedPages {}
// SAFETY: `&MappedPages` only reads, and user mode may write meanwhile, which `copy_to` allows for.
unsafe impl Sync for MappedPages {}

impl PortStream {
    /// `None` for a null pointer.
    ///
    /// # Safety
    /// `raw` is null or stays a live interface as long as the stream that is made for it.
    pub unsafe fn from_raw(raw: *mut IPortWaveRTStream) -> Option<Self> {
        Some(Self { raw: NonNull::new(raw)? })
    }

    fn table(&self) -> &IPortWaveRTStreamVtbl {
        // SAFETY: the port outlives the stream, which owns `self`, and its first field points to this table.
        unsafe { table(self.raw.as_ptr().cast()) }
    }

    /// Allocates at least `size` bytes of zeroed pages and maps them. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn allocate(self, size: u32) -> Result<MappedPages> {
        let size = size as usize;
        let anywhere = PHYSICAL_ADDRESS { QuadPart: -1 };
        let this: *mut c_void = self.raw.as_ptr().cast();
        let table = self.table();
        // SAFETY: the port is live.
        let mdl = unsafe { (table.AllocatePagesForMdl)(this, anywhere, size as u64) };
        let mdl = NonNull::new(mdl).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // The port may allocate fewer pages than it was asked for.
        // SAFETY: the MDL is live.
        let covered = unsafe { mdl.as_ref() }.ByteCount as usize;
        let address = if covered < size {
            None
        } else {
            // SAFETY: the MDL is live and not mapped yet.
            let address =
                unsafe { (table.MapAllocatedPages)(this, mdl.as_ptr(), _MEMORY_CACHING_TYPE::MmCached) };
            NonNull::new(address.cast::<u8>())
        };
        let Some(address) = address else {
            // SAFETY: the MDL is ours and not mapped.
            unsafe { (table.FreePagesFromMdl)(this, mdl.as_ptr()) };
            return Err(Status::INSUFFICIENT_RESOURCES);
        };
        // The pages are mapped to user mode too, to their end: what they held before must not be seen there.
        let whole_pages = covered.next_multiple_of(PAGE_SIZE);
        // SAFETY: the mapping covers whole pages.
        unsafe { address.write_bytes(0, whole_pages) };
        Ok(MappedPages { port: self, mdl, address, size })
    }
}

/// Bytes of a page of memory on x64 and arm64.
const PAGE_SIZE: usize = 4096;

impl MappedPages {
    /// The list of the pages.
    pub fn mdl(&self) -> *mut MDL {
        self.mdl.as_ptr()
    }

    /// Copies bytes out, reading each once: user mode may write them at the same time. Any IRQL.
    ///
    /// What is outside the buffer is not read, and the rest of `destination` stays as it is.
    pub fn copy_to(&self, offset: usize, destination: &mut [u8]) {
        let available = self.size.saturating_sub(offset);
        let length = destination.len().min(available);
        let Some(destination) = destination.get_mut(..length) else { return };
        if destination.is_empty() {
            return;
        }
        // SAFETY: `offset < size`, which lies inside the mapping.
        let source = unsafe { self.address.add(offset) };
        // SAFETY: `offset + length <= size`, so all of it lies inside the mapping.
        unsafe { copy_volatile(source.as_ptr(), destination) };
    }
}

/// Copies from memory that somebody else may be writing: each byte is read exactly once, eight at a time where it can be.
///
/// # Safety
/// As many bytes as `destination` has can be read at `source`, and are not part of it.
unsafe fn copy_volatile(source: *const u8, destination: &mut [u8]) {
    let head = source.align_offset(align_of::<u64>()).min(destination.len());
    let (first, rest) = destination.split_at_mut_checked(head).unwrap_or((&mut [], &mut []));
    // SAFETY: by contract.
    unsafe { copy_bytes(source, first) };
    let (words, last) = rest.as_chunks_mut::<8>();
    let mut source = source.wrapping_add(head);
    for word in words {
        // SAFETY: aligned, and inside what can be read by contract.
        *word = unsafe { source.cast::<u64>().read_volatile() }.to_ne_bytes();
        source = source.wrapping_add(8);
    }
    // SAFETY: by contract.
    unsafe { copy_bytes(source, last) };
}

/// # Safety
/// As for [`copy_volatile`].
unsafe fn copy_bytes(source: *const u8, destination: &mut [u8]) {
    for (index, byte) in destination.iter_mut().enumerate() {
        // SAFETY: inside what can be read by contract.
        *byte = unsafe { source.wrapping_add(index).read_volatile() };
    }
}

impl Drop for MappedPages {
    fn drop(&mut self) {
        let this: *mut c_void = self.port.raw.as_ptr().cast();
        let table = self.port.table();
        // SAFETY: the mapping is ours and not used afterwards.
        unsafe { (table.UnmapAllocatedPages)(this, self.address.as_ptr().cast(), self.mdl.as_ptr()) };
        // SAFETY: the pages are ours, and their mapping has gone.
        unsafe { (table.FreePagesFromMdl)(this, self.mdl.as_ptr()) };
    }
}
