//! [`Processor`]: which processor a driver file is for.

use std::fmt;

use object::pe;

/// A processor that drivers for Windows are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// 32-bit x86. The testbed runs on none.
    X86,
    /// 64-bit x86.
    X64,
    /// 64-bit ARM.
    Arm64,
}

impl Processor {
    /// The one that this program is built for, so that drivers for it run.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X64 };

    /// The one of a machine number (`IMAGE_FILE_MACHINE_*`), if drivers are built for it.
    pub fn of(machine: u16) -> Option<Self> {
        match pe::Machine(machine) {
            pe::IMAGE_FILE_MACHINE_I386 => Some(Self::X86),
            pe::IMAGE_FILE_MACHINE_AMD64 => Some(Self::X64),
            pe::IMAGE_FILE_MACHINE_ARM64 => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The one that a PE file of either kind, 32-bit or 64-bit, is for. `None`: it is no PE file, or for another one.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        let start = u32::from_le_bytes(bytes.get(0x3C..0x40)?.try_into().ok()?) as usize;
        let header = bytes.get(start..start.checked_add(6)?)?;
        let machine = header.strip_prefix(b"PE\0\0")?;
        Self::of(u16::from_le_bytes(machine.try_into().ok()?))
    }

    /// Why a driver for this processor does not run here, and what to do; `None` if it does.
    pub fn refusal(self) -> Option<String> {
        let here = Self::HERE;
        let remedy = match self {
            _ if self == here => return None,
            Self::X86 => "build it for a 64-bit processor",
            Self::X64 => "run a testbed built for x64",
            Self::Arm64 => "run it with `cargo xtask testbed --target arm64`",
        };
        Some(format!("this testbed runs {here} drivers, and the file is for {self}: {remedy}"))
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86",
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a file whose header is at `start`.
    fn file(start: u32, machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; start as usize];
        bytes[0x3C..0x40].copy_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(b"PE\0\0");
        bytes.extend_from_slice(&machine.to_le_bytes());
        bytes
    }

    #[test]
    fn the_header_names_the_processor() {
        assert_eq!(Processor::of_file(&file(0x40, 0x14C)), Some(Processor::X86));
        assert_eq!(Processor::of_file(&file(0x80, 0x8664)), Some(Processor::X64));
        assert_eq!(Processor::of_file(&file(0xF8, 0xAA64)), Some(Processor::Arm64));
    }

    #[test]
    fn other_files_are_for_none() {
        assert_eq!(Processor::of_file(&file(0x40, 0x1C4)), None);
        assert_eq!(Processor::of_file(b"MZ"), None);
        let mut cut = file(0x40, 0x8664);
        cut.pop();
        assert_eq!(Processor::of_file(&cut), None);
        cut[0x3C..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Processor::of_file(&cut), None);
    }

    #[test]
    fn only_drivers_for_this_processor_run_here() {
        assert_eq!(Processor::HERE.refusal(), None);
        let other = if Processor::HERE == Processor::X64 { Processor::Arm64 } else { Processor::X64 };
        let text = other.refusal().expect("another processor");
        let expected = format!("this testbed runs {} drivers, and the file is for {other}", Processor::HERE);
        assert!(text.starts_with(&expected), "{text}");
    }
}
