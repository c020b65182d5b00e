//! What Windows, memory integrity and this project demand of the driver file, checked without Windows.
//!
//! [`ImageSummary::read`] takes from the file what there is to know, and [`check`] holds it against every
//! rule at once, so that one run tells everything that is wrong.

pub mod file;
mod imports;
mod summary;
#[cfg(test)]
mod tests;

use std::fmt;

use object::pe;

use super::Processor;

pub use imports::{Import, is_listed};
pub use summary::{ImageSummary, Section};

/// The kernel maps sections page by page, and gives each page one kind of access.
const PAGE: u32 = 0x1000;

/// What the panic handler calls. The linker leaves the import out only if no path to a panic is left.
const PANIC: &str = "KeBugCheckEx";

/// A rule that the file breaks. Its `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file is no 64-bit PE image, or its headers contradict each other; the reader's reason.
    NotAnImage(String),
    /// The image is for this machine (`IMAGE_FILE_MACHINE_*`), and drivers like these are for x64 and arm64.
    Machine(u16),
    /// The image is for this subsystem (`IMAGE_SUBSYSTEM_*`).
    Subsystem(u16),
    /// The checksum in the header is not that of the file.
    Checksum {
        /// In the header.
        stored: u32,
        /// Of the file.
        computed: u32,
    },
    /// This section is both writable and executable.
    WritableAndExecutable(String),
    /// The header does not say that data need not be executable.
    NotNxCompatible,
    /// The header does not say that the image may be loaded anywhere.
    FixedAddress,
    /// The image has no relocations, so it cannot be loaded anywhere but at its preferred address.
    NoRelocations,
    /// Sections are aligned to this many bytes, which is less than a page.
    SectionAlignment(u32),
    /// This section does not begin on a page.
    UnalignedSection(String),
    /// The import is in none of the project's lists.
    UnlistedImport(Import),
    /// The release build imports what a panic calls.
    PanicReachable,
    /// Execution would begin at this address, which is not in an executable section.
    EntryPoint(u32),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage(reason) => write!(f, "not a 64-bit PE image: {reason}"),
            Self::Machine(machine) => {
                write!(f, "machine is {machine:#06x}, neither x64 (0x8664) nor arm64 (0xaa64)")
            }
            Self::Subsystem(subsystem) => write!(f, "subsystem is {subsystem}, not native (1)"),
            Self::Checksum { stored, computed } => write!(
                f,
                "checksum in the header is {stored:#x}, of the file {computed:#x}: Windows will not load it"
            ),
            Self::WritableAndExecutable(name) => {
                write!(f, "section {name} is writable and executable: memory integrity will not load it")
            }
            Self::NotNxCompatible => write!(f, "not marked NX compatible"),
            Self::FixedAddress => write!(f, "not marked as relocatable (dynamic base)"),
            Self::NoRelocations => write!(f, "no relocations"),
            Self::SectionAlignment(alignment) => write!(
                f,
                "sections are aligned to {alignment} bytes, less than a page: memory integrity will not load it"
            ),
            Self::UnalignedSection(name) => write!(f, "section {name} does not begin on a page"),
            Self::UnlistedImport(import) => {
                write!(f, "imports {import}, which is not in crates/wdk-build/imports")
            }
            Self::PanicReachable => write!(f, "imports {PANIC}: some code in the release build can panic"),
            Self::EntryPoint(address) => {
                write!(f, "entry point {address:#x} is not in an executable section")
            }
        }
    }
}

/// Checks a driver file. A `release` build must in addition have no path to a panic.
///
/// # Errors
/// Every rule that the file breaks.
pub fn check(bytes: &[u8], release: bool) -> Result<ImageSummary, Vec<Problem>> {
    let summary = ImageSummary::read(bytes).map_err(|problem| vec![problem])?;
    let problems = summary.problems(release);
    if problems.is_empty() { Ok(summary) } else { Err(problems) }
}

impl ImageSummary {
    /// The processor that the image is for, if it is one of those that 64-bit Windows runs on.
    pub fn processor(&self) -> Option<Processor> {
        Processor::of(self.machine).filter(|processor| *processor != Processor::X86)
    }

    /// Every rule that the image breaks.
    pub fn problems(&self, release: bool) -> Vec<Problem> {
        let mut problems = self.header_problems();
        problems.extend(self.section_problems());
        for import in &self.imports {
            if !is_listed(import) {
                problems.push(Problem::UnlistedImport(import.clone()));
            } else if release && import.name == PANIC {
                problems.push(Problem::PanicReachable);
            }
        }
        problems
    }

    fn header_problems(&self) -> Vec<Problem> {
        let flags = self.dll_characteristics;
        let rules = [
            (self.processor().is_some(), Problem::Machine(self.machine)),
            (self.subsystem == pe::IMAGE_SUBSYSTEM_NATIVE.0, Problem::Subsystem(self.subsystem)),
            (
                self.stored_checksum == self.computed_checksum,
                Problem::Checksum { stored: self.stored_checksum, computed: self.computed_checksum },
            ),
            (flags & pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0 != 0, Problem::NotNxCompatible),
            (flags & pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE.0 != 0, Problem::FixedAddress),
            (self.relocations > 0, Problem::NoRelocations),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem).collect()
    }

    fn section_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for section in &self.sections {
            if section.writable && section.executable {
                problems.push(Problem::WritableAndExecutable(section.name.clone()));
            }
        }
        if self.section_alignment < PAGE {
            problems.push(Problem::SectionAlignment(self.section_alignment));
        } else {
            // With a smaller alignment, saying it of each section adds nothing.
            let unaligned = self.sections.iter().filter(|s| s.address % PAGE != 0);
            problems.extend(unaligned.map(|s| Problem::UnalignedSection(s.name.clone())));
        }
        let entered = self.sections.iter().find(|s| s.contains(self.entry_point));
        if !entered.is_some_and(|section| section.executable) {
            problems.push(Problem::EntryPoint(self.entry_point));
        }
        problems
    }
}
