//! [`Region`]: the file of an IVSHMEM region in memory, read only.
#![expect(
    unsafe_code,
    reason = "memory that another machine writes to is read through pointers, as volatile"
)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering, fence};

use memmap2::{Mmap, MmapOptions};
use protocol::{RingError, SharedRegion};

/// A mapped file.
///
/// # Invariants
/// The mapping has `mapping.len()` bytes, which is not more than the file had when it was mapped.
#[derive(Debug)]
pub struct Region {
    path: PathBuf,
    file: File,
    mapping: Mmap,
}

impl Region {
    /// Maps a file as it is now.
    ///
    /// # Errors
    /// It cannot be opened or mapped.
    pub fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: The file changes while it is mapped. So no reference to its bytes is ever made, they are only read through
        // pointers, as volatile or atomic. It may also become shorter, and the pages then missing end the program by a
        // signal when they are read: `inside` looks at the length before each access.
        let mapping = unsafe { MmapOptions::new().map(&file)? };
        Ok(Self { path: path.to_owned(), file, mapping })
    }

    /// Whether the path still leads to the file as it was mapped: not another one, and not of another length.
    pub fn is_current(&self) -> bool {
        let (Ok(now), Ok(mapped)) = (fs::metadata(&self.path), self.file.metadata()) else { return false };
        (now.dev(), now.ino(), now.len()) == (mapped.dev(), mapped.ino(), self.mapping.len() as u64)
    }

    /// A pointer to so many bytes at `offset`, if the file has them.
    ///
    /// What remains is the moment between this look and the access: a program that cuts the file off just then ends this one.
    /// Nothing that uses IVSHMEM does; the file is that of the memory of a device, whose size is fixed.
    fn inside(&self, offset: usize, length: usize) -> Result<*const u8, RingError> {
        let size = self.mapping.len();
        let end = offset.saturating_add(length);
        let is_whole = self.file.metadata().is_ok_and(|metadata| metadata.len() >= size as u64);
        if end > size || !is_whole {
            return Err(RingError::OutsideRegion { end, size });
        }
        Ok(self.mapping.as_ptr().wrapping_add(offset))
    }
}

impl SharedRegion for Region {
    fn len(&self) -> usize {
        self.mapping.len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let from = self.inside(offset, into.len())?;
        for (index, byte) in into.iter_mut().enumerate() {
            // SAFETY: `from` has as many bytes as `into`, they are mapped, and any value is a `u8`.
            *byte = unsafe { from.wrapping_add(index).read_volatile() };
        }
        Ok(())
    }

    /// The mapping is read only: this is always outside of it.
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        Err(self.not_writable(offset.saturating_add(from.len())))
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        let from = self.inside(offset, 2)?.cast_mut().cast::<u16>();
        if !from.is_aligned() {
            return Err(self.not_writable(offset));
        }
        // SAFETY: It is aligned, its two bytes are mapped, nobody has a reference to them, and loading needs no right to write.
        let field = unsafe { AtomicU16::from_ptr(from) };
        fence(Ordering::SeqCst);
        let value = field.load(Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Ok(u16::from_le(value))
    }

    /// The mapping is read only: this is always outside of it.
    fn store_u16(&self, offset: usize, _: u16) -> Result<(), RingError> {
        Err(self.not_writable(offset.saturating_add(2)))
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        let from = self.inside(offset, 4)?.cast_mut().cast::<u32>();
        if !from.is_aligned() {
            return Err(self.not_writable(offset));
        }
        // SAFETY: It is aligned, its four bytes are mapped, nobody has a reference to them, and loading needs no right to write.
        let field = unsafe { AtomicU32::from_ptr(from) };
        fence(Ordering::SeqCst);
        let value = field.load(Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Ok(u32::from_le(value))
    }

    /// The mapping is read only: this is always outside of it.
    fn store_u32(&self, offset: usize, _: u32) -> Result<(), RingError> {
        Err(self.not_writable(offset.saturating_add(4)))
    }
}

impl Region {
    fn not_writable(&self, end: usize) -> RingError {
        RingError::OutsideRegion { end, size: self.mapping.len() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("room for it");
        file
    }

    #[test]
    fn fields_and_bytes_are_read_and_nothing_outside_of_the_file() {
        let file = file(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let region = Region::map(file.path()).expect("it is mapped");
        assert_eq!(region.len(), 8);
        assert_eq!(region.load_u16(2), Ok(0x0403));
        assert_eq!(region.load_u32(4), Ok(0x0807_0605));
        let mut bytes = [0; 5];
        assert_eq!(region.read(3, &mut bytes), Ok(()));
        assert_eq!(bytes, [4, 5, 6, 7, 8]);
        let outside = |end| Err(RingError::OutsideRegion { end, size: 8 });
        assert_eq!(region.read(4, &mut bytes), outside(9));
        assert_eq!(region.read(usize::MAX, &mut bytes), outside(usize::MAX));
        assert_eq!(region.load_u32(8), Err(RingError::OutsideRegion { end: 12, size: 8 }));
        assert_eq!(region.write(0, &[1]), outside(1));
    }

    #[test]
    fn a_file_that_has_become_shorter_is_not_read() {
        let file = file(&[7; 8192]);
        let region = Region::map(file.path()).expect("it is mapped");
        assert!(region.is_current());
        file.as_file().set_len(4096).expect("it is cut off");
        assert_eq!(region.load_u16(0), Err(RingError::OutsideRegion { end: 2, size: 8192 }));
        assert!(!region.is_current());
    }

    #[test]
    fn another_file_at_the_same_path_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("region");
        fs::write(&path, [1; 64]).expect("a file");
        let region = Region::map(&path).expect("it is mapped");
        fs::remove_file(&path).expect("it is there");
        assert!(!region.is_current());
        fs::write(&path, [1; 64]).expect("a file");
        assert!(!region.is_current());
    }

    #[test]
    fn an_empty_file_has_nothing_to_read() {
        let file = file(&[]);
        let region = Region::map(file.path()).expect("it is mapped");
        assert_eq!(region.load_u16(0), Err(RingError::OutsideRegion { end: 2, size: 0 }));
    }
}
