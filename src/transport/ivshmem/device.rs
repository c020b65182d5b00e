//! The requests that virtio-win's `ivshmem.sys` answers.
//!
//! The memory can be mapped once at a time, by whoever has the file open that the request was sent to; closing the file
//! unmaps it too. `REQUEST_KMAP` maps it for the kernel, so for every process; drivers that do not have it yet have
//! `REQUEST_MMAP`, which maps it for the calling process. Newer drivers refuse both without a byte that says how the memory
//! is to be cached, older ones do not look at it.

use core::ptr::NonNull;

use wdk_sys::{
    FILE_ANY_ACCESS, FILE_DEVICE_UNKNOWN, GUID, METHOD_BUFFERED, PAGE_SIZE, STATUS_DEVICE_ALREADY_ATTACHED,
};

use crate::kernel::Status;
use crate::kernel::file::File;
use crate::kernel::handle::Object;

/// The class of the device interfaces.
pub const CLASS: GUID = GUID {
    Data1: 0xDF57_6976,
    Data2: 0x569D,
    Data3: 0x4672,
    Data4: [0x95, 0xA0, 0xF5, 0x7E, 0x4E, 0xA0, 0xB2, 0x10],
};

const REQUEST_SIZE: u32 = control_code(0x801);
const REQUEST_MMAP: u32 = control_code(0x802);
const RELEASE_MMAP: u32 = control_code(0x803);
const REQUEST_KMAP: u32 = control_code(0x806);

/// `IVSHMEM_CACHE_WRITECOMBINED`. The driver only writes, and where the host does not decide itself how the memory is
/// cached, that is by far the fastest.
const WRITE_COMBINED: u8 = 2;

/// An `IVSHMEM_MMAP` on 64-bit Windows: the peer's number, 8 bytes of size at 8, the address at 16, the number of vectors.
const MAP_LENGTH: usize = 32;
const MAP_SIZE: usize = 8;
const MAP_ADDRESS: usize = 16;

/// What the macro `CTL_CODE` makes.
const fn control_code(function: u32) -> u32 {
    FILE_DEVICE_UNKNOWN << 16 | FILE_ANY_ACCESS << 14 | function << 2 | METHOD_BUFFERED
}

/// An open IVSHMEM device; closed, and its memory unmapped, when dropped. PASSIVE_LEVEL.
pub struct Device {
    file: File,
}

/// Why a device does not give what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request failed.
    Refused(Status),
    /// The request succeeded, and its answer cannot be right; the size in it, if it has one.
    Nonsense(u64),
}

impl Failure {
    /// Whether the memory is mapped already, by somebody else.
    pub fn is_in_use(self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == STATUS_DEVICE_ALREADY_ATTACHED)
    }
}

impl Device {
    /// Opens the device that has an interface of this name.
    ///
    /// # Errors
    /// What the object manager or the device's driver says.
    pub fn open(name: &[u16]) -> Result<Self, Status> {
        Ok(Self { file: File::open(name)? })
    }

    /// The file's object, to register for the device's removal.
    ///
    /// # Errors
    /// What the object manager says.
    pub fn file_object(&self) -> Result<Object, Status> {
        self.file.object()
    }

    /// The size of the memory in bytes.
    ///
    /// # Errors
    /// `STATUS_DEVICE_NOT_READY` when there is no memory yet, among others.
    pub fn size(&self) -> Result<u64, Failure> {
        let mut size = [0; size_of::<u64>()];
        match self.file.control(REQUEST_SIZE, &[], &mut size) {
            Ok(length) if length == size.len() => Ok(u64::from_le_bytes(size)),
            Ok(_) => Err(Failure::Nonsense(0)),
            Err(status) => Err(Failure::Refused(status)),
        }
    }

    /// Has the memory, which is `size` bytes long, mapped: until [`Device::release`], or the device is closed or gone. The
    /// address, which is that of a page, is one of the kernel's or of the calling process.
    ///
    /// # Errors
    /// What the device's driver says; after an answer that cannot be right nothing is mapped.
    pub fn map(&self, size: u64) -> Result<NonNull<u8>, Failure> {
        // One that does not know the request says so, and is older.
        match self.request(REQUEST_KMAP, size) {
            Err(Failure::Refused(Status::INVALID_DEVICE_REQUEST)) => self.request(REQUEST_MMAP, size),
            kernel => kernel,
        }
    }

    /// Unmaps the memory, in the process that it was mapped for.
    pub fn release(&self) {
        // If that fails, closing the device does the same.
        let _ = self.file.control(RELEASE_MMAP, &[], &mut []);
    }

    fn request(&self, code: u32, size: u64) -> Result<NonNull<u8>, Failure> {
        let mut answer = [0; MAP_LENGTH];
        let length = self.file.control(code, &[WRITE_COMBINED], &mut answer).map_err(Failure::Refused)?;
        let (mapped, address) = (number_at(&answer, MAP_SIZE), number_at(&answer, MAP_ADDRESS));
        let page = u64::from(PAGE_SIZE);
        if length == answer.len()
            && mapped == size
            && address.is_multiple_of(page)
            && let Some(address) = NonNull::new(address as *mut u8)
        {
            return Ok(address);
        }
        self.release();
        Err(Failure::Nonsense(mapped))
    }
}

/// The number of eight bytes at an offset.
fn number_at(answer: &[u8; MAP_LENGTH], offset: usize) -> u64 {
    let bytes = answer.get(offset..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
