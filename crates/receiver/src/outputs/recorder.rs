//! [`Recorder`]: what keeps audio as it came, and [`open`], which makes the one that the user wants.

use std::io;

use protocol::StreamFormat;

use super::OutputKind;
use super::raw::Raw;
use super::wav::WavFiles;

/// Keeps audio as it came.
pub trait Recorder: Send {
    /// Takes whole frames.
    ///
    /// # Errors
    /// They cannot be kept. [`BrokenPipe`](io::ErrorKind::BrokenPipe) means that nobody wants them any more.
    fn write(&mut self, format: StreamFormat, pcm: &[u8]) -> io::Result<()>;

    /// Makes what was taken complete. More may follow.
    ///
    /// # Errors
    /// It cannot be.
    fn finish(&mut self) -> io::Result<()>;

    /// What it does, for people: `writes to FILE`.
    fn name(&self) -> String;
}

/// Says something to people, from whatever thread.
pub type Say = Box<dyn Fn(String) + Send>;

/// The recorder of an output, if it has one: standard output and files do.
///
/// # Errors
/// It cannot be written.
pub fn open(kind: &OutputKind, say: Say) -> io::Result<Option<Box<dyn Recorder>>> {
    Ok(match kind {
        OutputKind::Raw => Some(Box::new(Raw::stdout()?)),
        OutputKind::Wav(path) => Some(Box::new(WavFiles::create(path, say)?)),
        _ => None,
    })
}
