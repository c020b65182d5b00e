//! [`Raw`]: samples on standard output, for another program to read.

use std::fs::File;
use std::io::{self, Write};

use protocol::StreamFormat;

use super::Recorder;

/// Samples and nothing else.
pub struct Raw<W> {
    to: W,
}

impl Raw<File> {
    /// Standard output, without the buffer that looks for ends of lines in it.
    ///
    /// # Errors
    /// It is closed.
    pub fn stdout() -> io::Result<Self> {
        #[cfg(unix)]
        let handle = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
        #[cfg(windows)]
        let handle = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
        Ok(Self { to: handle.into() })
    }
}

impl<W: Write + Send> Recorder for Raw<W> {
    fn write(&mut self, _: StreamFormat, pcm: &[u8]) -> io::Result<()> {
        self.to.write_all(pcm)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn name(&self) -> String {
        "writes raw samples to standard output".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_every_format_follow_each_other_as_they_are() {
        let mut raw = Raw { to: Vec::new() };
        let format = |channels| StreamFormat::new(48_000, 16, channels, 0).expect("a format");
        raw.write(format(2), b"left").expect("memory");
        raw.write(format(1), b"\n\r").expect("memory");
        raw.finish().expect("memory");
        assert_eq!(raw.to, b"left\n\r");
    }
}
