//! The memory that virtual machines and their host share: a file that everybody can map.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::schedule::SplitMix;

/// Bytes of noise that are written at once.
const PIECE: usize = 64 * 1024;

/// Shared memory, at first zeros.
#[derive(Debug)]
pub struct Region {
    file: File,
    bytes: u64,
}

impl Region {
    /// Memory without a name; other programs can open [`path`](Self::path).
    ///
    /// # Panics
    /// When the system has none, or `bytes` is zero.
    pub fn new(bytes: u64) -> Self {
        const NAME: &CStr = c"testbed ivshmem";
        // SAFETY: the name is a string; the call makes a new file.
        let file = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
        assert!(file >= 0, "memfd_create: {}", io::Error::last_os_error());
        // SAFETY: the call succeeded, so this is a file of ours.
        Self::sized(unsafe { File::from_raw_fd(file) }, bytes)
    }

    /// Memory in a file of this name, which is made, or becomes zeros.
    ///
    /// # Panics
    /// When it cannot be made, or `bytes` is zero.
    pub fn at(path: &Path, bytes: u64) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        Self::sized(file.unwrap_or_else(|error| panic!("{}: {error}", path.display())), bytes)
    }

    fn sized(file: File, bytes: u64) -> Self {
        assert!(bytes > 0, "a region has memory");
        file.set_len(bytes).unwrap_or_else(|error| panic!("{bytes} bytes of shared memory: {error}"));
        Self { file, bytes }
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where other threads and programs of the user can open it as long as this process lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// What is there now.
    ///
    /// # Panics
    /// When that is not all inside.
    pub fn read(&self, at: u64, bytes: usize) -> Vec<u8> {
        let mut contents = vec![0; bytes];
        self.file.read_exact_at(&mut contents, at).expect("bytes inside of the region");
        contents
    }

    /// Writes, as another program does.
    ///
    /// # Panics
    /// When that is not all inside.
    pub fn write(&self, at: u64, contents: &[u8]) {
        assert!(at.saturating_add(contents.len() as u64) <= self.bytes, "bytes inside of the region");
        self.file.write_all_at(contents, at).expect("bytes inside of the region");
    }

    /// Writes noise over all of it, as a hostile program does; the same for every seed.
    pub fn write_noise(&self, seed: u64) {
        let mut random = SplitMix(seed);
        let mut at = 0;
        while at < self.bytes {
            let piece: Vec<u8> = (0..PIECE / 8).flat_map(|_| random.next().to_le_bytes()).collect();
            let left = usize::try_from(self.bytes - at).unwrap_or(PIECE).min(PIECE);
            self.write(at, &piece[..left]);
            at += left as u64;
        }
    }
}
