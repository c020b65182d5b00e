//! [`ImageSummary`]: what a driver file says about itself.

use std::fmt;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, ImageThunkData, PeFile64};
use object::read::pe::{Import as Thunk, ImportTable};

use super::{Import, Problem};
use crate::image::Processor;

/// What a driver file says about itself. `Display` is a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// Bytes in the file.
    pub size: usize,
    /// `IMAGE_FILE_MACHINE_*`.
    pub machine: u16,
    /// `IMAGE_SUBSYSTEM_*`.
    pub subsystem: u16,
    /// `IMAGE_DLLCHARACTERISTICS_*`.
    pub dll_characteristics: u16,
    /// Where execution begins, in bytes from the image's base.
    pub entry_point: u32,
    /// Bytes.
    pub section_alignment: u32,
    /// The checksum in the header.
    pub stored_checksum: u32,
    /// The checksum that the file should have.
    pub computed_checksum: u32,
    /// Places that the loader adjusts when the image is not at its preferred address.
    pub relocations: usize,
    /// In file order.
    pub sections: Vec<Section>,
    /// Sorted by module and name.
    pub imports: Vec<Import>,
}

/// A section of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// At most eight characters.
    pub name: String,
    /// Bytes from the image's base.
    pub address: u32,
    /// Bytes in memory.
    pub size: u32,
    /// Its pages can be written.
    pub writable: bool,
    /// Its pages can be executed.
    pub executable: bool,
}

impl Section {
    /// True if `address`, in bytes from the image's base, is in this section.
    pub fn contains(&self, address: u32) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }
}

impl ImageSummary {
    /// Reads the headers and tables of a driver file.
    ///
    /// # Errors
    /// The file is no 64-bit PE image, or a table leads out of the file.
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        if Processor::of_file(bytes) == Some(Processor::X86) {
            return Err(Problem::NotAnImage("it is for x86".to_owned()));
        }
        let unreadable = |error: object::read::Error| Problem::NotAnImage(error.to_string());
        let file = PeFile64::parse(bytes).map_err(unreadable)?;
        let header = file.nt_headers().optional_header();
        Ok(Self {
            size: bytes.len(),
            machine: file.nt_headers().file_header().machine.get(LE).0,
            subsystem: header.subsystem().0,
            dll_characteristics: header.dll_characteristics().0,
            entry_point: header.address_of_entry_point(),
            section_alignment: header.section_alignment(),
            stored_checksum: header.check_sum(),
            computed_checksum: checksum(bytes, checksum_offset(&file)),
            relocations: count_relocations(&file).map_err(unreadable)?,
            sections: file.section_table().iter().map(section).collect(),
            imports: imports(&file).map_err(unreadable)?,
        })
    }
}

/// Where in the file the header keeps the checksum.
fn checksum_offset(file: &PeFile64) -> usize {
    let optional_header = size_of::<u32>() + size_of::<pe::ImageFileHeader>();
    file.dos_header().nt_headers_offset() as usize
        + optional_header
        + std::mem::offset_of!(pe::ImageOptionalHeader64, check_sum)
}

/// The checksum of a PE image: the 16-bit words of the file, without the checksum itself, added up with the
/// carries put back in, plus the length of the file.
pub(super) fn checksum(bytes: &[u8], checksum_offset: usize) -> u32 {
    let mut sum: u32 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        if (checksum_offset..checksum_offset + size_of::<u32>()).contains(&(index * 2)) {
            continue;
        }
        sum += u32::from(word[0]) | word.get(1).map_or(0, |high| u32::from(*high) << 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum + bytes.len() as u32
}

fn count_relocations(file: &PeFile64) -> object::read::Result<usize> {
    let sections = file.section_table();
    let Some(mut blocks) = file.data_directories().relocation_blocks(file.data(), &sections)? else {
        return Ok(0);
    };
    let mut count = 0;
    while let Some(block) = blocks.next()? {
        // Entries of this kind only fill a block up.
        count += block.filter(|relocation| relocation.typ != pe::IMAGE_REL_BASED_ABSOLUTE).count();
    }
    Ok(count)
}

fn section(header: &pe::ImageSectionHeader) -> Section {
    let flags = header.characteristics.get(LE);
    let end = header.name.iter().position(|byte| *byte == 0);
    let name = &header.name[..end.unwrap_or(header.name.len())];
    Section {
        name: String::from_utf8_lossy(name).into_owned(),
        address: header.virtual_address.get(LE),
        size: header.virtual_size.get(LE),
        writable: flags.contains(pe::IMAGE_SCN_MEM_WRITE),
        executable: flags.contains(pe::IMAGE_SCN_MEM_EXECUTE),
    }
}

fn imports(file: &PeFile64) -> object::read::Result<Vec<Import>> {
    let mut imports = Vec::new();
    let Some(table) = file.import_table()? else {
        return Ok(imports);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
            imports.push(Import { module: module.clone(), name: imported_name(&table, thunk)? });
        }
    }
    imports.sort();
    Ok(imports)
}

fn imported_name(table: &ImportTable, thunk: pe::ImageThunkData64) -> object::read::Result<String> {
    debug_assert!(thunk.raw() != 0, "the list ends at a zero");
    Ok(match table.import::<pe::ImageNtHeaders64>(thunk)? {
        Thunk::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
        Thunk::Ordinal(number) => format!("#{number}"),
    })
}

impl fmt::Display for ImageSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.processor() {
            Some(processor) => writeln!(f, "processor    {processor}")?,
            None => writeln!(f, "processor    unknown ({:#06x})", self.machine)?,
        }
        writeln!(f, "size         {} bytes", self.size)?;
        writeln!(f, "checksum     {:#x}", self.stored_checksum)?;
        writeln!(f, "entry point  {:#x}", self.entry_point)?;
        writeln!(f, "relocations  {}", self.relocations)?;
        for section in &self.sections {
            let write = if section.writable { 'w' } else { '-' };
            let execute = if section.executable { 'x' } else { '-' };
            writeln!(
                f,
                "section      {:8} {:#8x} {:7} bytes r{write}{execute}",
                section.name, section.address, section.size
            )?;
        }
        for module in self.imports.chunk_by(|a, b| a.module == b.module) {
            let names: Vec<_> = module.iter().map(|import| import.name.as_str()).collect();
            writeln!(f, "imports      {}: {}", module[0].module, names.join(", "))?;
        }
        Ok(())
    }
}
