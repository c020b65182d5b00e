//! Loads a driver file into the running machine: maps, relocates, binds imports, protects.
//!
//! [`Image`] is the file; [`Mapped`] is the file in a machine's memory. Every page has the protection that its
//! section's header asks for, and an image is never both writable and executable.
//!
//! What points into KUSER_SHARED_DATA is redirected ([`shared_data`]); imports that are missing fail the load, or become
//! [`stubs`].

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::ptr;
use std::rc::Rc;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, PeFile64};

use super::{Processor, instruction_cache, shared_data, stubs};
use crate::kernel::imports;
use crate::machine::{machine, try_machine};
use crate::memory;
use crate::nt::PAGE_SIZE;

/// Offset of the SecurityCookie field in the 64-bit load configuration directory.
const SECURITY_COOKIE_FIELD: usize = 0x58;
/// A cookie that is not the default one, with the two highest bytes zero as the compiler's code expects.
const SECURITY_COOKIE: u64 = 0x0000_5C3A_71B6_24E9;

/// A driver file that was read, and is known to be a PE file for this processor.
#[derive(Clone)]
pub struct Image {
    name: String,
    bytes: Rc<[u8]>,
}

/// Why a file cannot be loaded, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The file cannot be read.
    File(String),
    /// It is not a driver for this processor, or it is damaged.
    Format(String),
    /// It imports functions that the testbed does not have: `module!name` of each.
    Imports(Vec<String>),
    /// DriverEntry returned a failure.
    DriverEntry(crate::nt::NtStatus),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(text) | Self::Format(text) => f.write_str(text),
            Self::Imports(names) => write!(f, "the testbed has no {}", names.join(", ")),
            Self::DriverEntry(status) => write!(f, "DriverEntry returned {status}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<object::read::Error> for LoadError {
    fn from(error: object::read::Error) -> Self {
        Self::Format(format!("not a loadable driver file: {error}"))
    }
}

impl Image {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a PE32+ file for this processor.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|error| LoadError::File(format!("{}: {error}", path.display())))?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self::from_bytes(name, bytes)
    }

    /// Takes the contents of a file; `name` is for messages.
    ///
    /// # Errors
    /// When they are not a PE32+ file for this processor.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Rc<[u8]>>) -> Result<Self, LoadError> {
        let bytes = bytes.into();
        let processor = Processor::of_file(&bytes);
        if let Some(refusal) = processor.and_then(Processor::refusal) {
            return Err(LoadError::Format(refusal));
        }
        let file = PeFile64::parse(&*bytes)?;
        if processor.is_none() {
            let machine = file.nt_headers().file_header().machine.get(LE);
            return Err(LoadError::Format(format!("the file is for an unknown processor ({machine:#06x})")));
        }
        Ok(Self { name: name.into(), bytes })
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The contents of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A section of a mapped image.
#[derive(Clone, Debug)]
struct Section {
    name: String,
    start: usize,
    bytes: usize,
    characteristics: u32,
}

/// An image in the machine's memory.
pub(crate) struct Mapped {
    name: String,
    base: usize,
    bytes: usize,
    entry: usize,
    sections: Vec<Section>,
    unloaded: std::cell::Cell<bool>,
}

/// Every image that was mapped in this machine, also those that are gone.
#[derive(Default)]
struct Images(RefCell<Vec<Rc<Mapped>>>);

impl Mapped {
    /// Maps a file into the running machine.
    pub(crate) fn new(image: &Image) -> Result<Rc<Self>, LoadError> {
        let file = PeFile64::parse(&*image.bytes)?;
        let header = &file.nt_headers().optional_header;
        let bytes = header.size_of_image.get(LE) as usize;
        if !(header.section_alignment.get(LE) as usize).is_multiple_of(PAGE_SIZE) || bytes > 1 << 30 {
            return Err(LoadError::Format(
                "sections are not aligned to pages, or the image is over 1 GiB".to_owned(),
            ));
        }
        let bound = resolve_imports(&file)?;
        let base = memory::reserve(bytes, format!("the image {}", image.name));
        memory::protect(base, bytes, libc::PROT_READ | libc::PROT_WRITE);
        let mut memory = Contents { base, bytes };
        let header_bytes = header.size_of_headers.get(LE) as usize;
        memory.write(0, image.bytes.get(..header_bytes).ok_or_else(damaged)?)?;
        let mut sections = Vec::new();
        for section in file.section_table().iter() {
            let rva = section.virtual_address.get(LE) as usize;
            let (offset, size) = section.pe_file_range();
            let data =
                image.bytes.get(offset as usize..offset as usize + size as usize).ok_or_else(damaged)?;
            let virtual_size = (section.virtual_size.get(LE) as usize).max(1);
            let mut contents = data[..data.len().min(virtual_size)].to_vec();
            shared_data::redirect(&mut contents);
            memory.write(rva, &contents)?;
            sections.push(Section {
                name: String::from_utf8_lossy(section.raw_name()).into_owned(),
                start: base + rva,
                bytes: virtual_size,
                characteristics: section.characteristics.get(LE).0,
            });
        }
        relocate(&file, &mut memory, base.wrapping_sub(header.image_base.get(LE) as usize))?;
        for (slot, address) in bound {
            memory.write(slot, &address.to_le_bytes())?;
        }
        fill_security_cookie(&file, &mut memory)?;
        instruction_cache::publish(base, bytes);
        let entry = base + header.address_of_entry_point.get(LE) as usize;
        let mapped = Self { name: image.name.clone(), base, bytes, entry, sections, unloaded: false.into() };
        mapped.protect();
        let mapped = Rc::new(mapped);
        machine().counter.add_image(base, bytes);
        machine().part::<Images>().0.borrow_mut().push(Rc::clone(&mapped));
        Ok(mapped)
    }

    fn protect(&self) {
        memory::protect(self.base, self.bytes, libc::PROT_NONE);
        memory::protect(self.base, PAGE_SIZE, libc::PROT_READ);
        for section in &self.sections {
            memory::protect(section.start, section.bytes, section.protection());
            if section.is_pageable() {
                memory::make_pageable(section.start, section.bytes, section.protection());
            }
        }
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Bytes of address space.
    pub(crate) fn size(&self) -> usize {
        self.bytes
    }

    /// Address of DriverEntry.
    pub(crate) fn entry(&self) -> usize {
        self.entry
    }

    /// Takes the sections away that are for initialisation only.
    pub(crate) fn discard_init(&self) {
        for section in self.sections.iter().filter(|section| section.is_discardable()) {
            memory::protect(section.start, section.bytes, libc::PROT_NONE);
        }
    }

    /// Takes the image away; its addresses stay unused.
    pub(crate) fn unload(&self) {
        self.unloaded.set(true);
        memory::retire(self.base);
    }

    fn describe(&self, address: usize) -> String {
        let section = self.sections.iter().find(|section| section.contains(address));
        let section = section.map_or("header", |section| &section.name);
        let state = if self.unloaded.get() { " (unloaded)" } else { "" };
        format!("{}{state} {section}, RVA {:#x}", self.name, address - self.base)
    }
}

impl Section {
    fn protection(&self) -> i32 {
        let mut protection = libc::PROT_READ;
        if self.characteristics & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0 {
            protection |= libc::PROT_EXEC;
        } else if self.characteristics & pe::IMAGE_SCN_MEM_WRITE.0 != 0 {
            protection |= libc::PROT_WRITE;
        }
        protection
    }

    fn is_discardable(&self) -> bool {
        self.characteristics & pe::IMAGE_SCN_MEM_DISCARDABLE.0 != 0 || self.name == "INIT"
    }

    /// Windows pages out what is in sections of these names.
    fn is_pageable(&self) -> bool {
        self.name.starts_with("PAGE") || self.name == ".EDATA"
    }

    fn contains(&self, address: usize) -> bool {
        (self.start..self.start + self.bytes).contains(&address)
    }
}

/// Where an address is in an image of the machine, in words. `None`: in none.
pub(crate) fn describe_address(address: usize) -> Option<String> {
    try_machine()?;
    let images = machine().part::<Images>();
    let images = images.0.try_borrow().ok()?;
    let image = images.iter().find(|image| (image.base..image.base + image.bytes).contains(&address))?;
    Some(image.describe(address))
}

fn damaged() -> LoadError {
    LoadError::Format("the file is damaged: a part of it lies outside of the file or of the image".to_owned())
}

/// The image's memory while it is being filled.
struct Contents {
    base: usize,
    bytes: usize,
}

impl Contents {
    fn at(&self, rva: usize, bytes: usize) -> Result<*mut u8, LoadError> {
        let end = rva.checked_add(bytes).filter(|end| *end <= self.bytes);
        end.map(|_| ptr::with_exposed_provenance_mut(self.base + rva)).ok_or_else(damaged)
    }

    fn write(&mut self, rva: usize, data: &[u8]) -> Result<(), LoadError> {
        let target = self.at(rva, data.len())?;
        // SAFETY: `at` checked that the range lies in the image's pages, which are writable while it is filled.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), target, data.len()) };
        Ok(())
    }

    fn read_u64(&self, rva: usize) -> Result<u64, LoadError> {
        let source = self.at(rva, 8)?.cast::<u64>();
        // SAFETY: `at` checked the range.
        Ok(unsafe { source.read_unaligned() })
    }
}

/// The address of each import's slot, and what goes there.
fn resolve_imports(file: &PeFile64<'_>) -> Result<Vec<(usize, u64)>, LoadError> {
    let mut bound = Vec::new();
    let mut missing = Vec::new();
    let Some(table) = file.import_table()? else { return Ok(bound) };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut slot = descriptor.first_thunk.get(LE) as usize;
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            names => names,
        };
        let mut thunks = table.thunks(names)?;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
            use object::read::pe::ImageThunkData as _;
            let name = if thunk.is_ordinal() {
                format!("#{}", thunk.ordinal())
            } else {
                let (_, name) = table.hint_name(thunk.address())?;
                String::from_utf8_lossy(name).into_owned()
            };
            let found = imports::find(&module, &name);
            match found.or_else(|| stubs::make(&format!("{module}!{name}"))) {
                Some(address) => bound.push((slot, address as u64)),
                None => missing.push(describe_missing(&module, &name)),
            }
            slot += 8;
        }
    }
    if missing.is_empty() { Ok(bound) } else { Err(LoadError::Imports(missing)) }
}

fn describe_missing(module: &str, name: &str) -> String {
    match imports::modules_with(name).as_slice() {
        [] => format!("{module}!{name}"),
        others => format!("{module}!{name} (it is in {})", others.join(" and ")),
    }
}

fn relocate(file: &PeFile64<'_>, memory: &mut Contents, delta: usize) -> Result<(), LoadError> {
    let blocks = file.data_directories().relocation_blocks(file.data(), &file.section_table())?;
    let Some(mut blocks) = blocks else {
        return if delta == 0 {
            Ok(())
        } else {
            Err(LoadError::Format("the image cannot be relocated".to_owned()))
        };
    };
    while let Some(block) = blocks.next()? {
        for relocation in block {
            match relocation.typ {
                pe::IMAGE_REL_BASED_ABSOLUTE => {}
                pe::IMAGE_REL_BASED_DIR64 => {
                    let rva = relocation.virtual_address as usize;
                    let value = memory.read_u64(rva)?.wrapping_add(delta as u64);
                    memory.write(rva, &value.to_le_bytes())?;
                }
                other => return Err(LoadError::Format(format!("relocation type {other} is unknown"))),
            }
        }
    }
    Ok(())
}

fn fill_security_cookie(file: &PeFile64<'_>, memory: &mut Contents) -> Result<(), LoadError> {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG) else { return Ok(()) };
    let rva = directory.virtual_address.get(LE) as usize;
    if rva == 0 || (directory.size.get(LE) as usize) < SECURITY_COOKIE_FIELD + 8 {
        return Ok(());
    }
    // The field holds an address, and was relocated with the rest.
    let cookie = memory.read_u64(rva + SECURITY_COOKIE_FIELD)? as usize;
    if cookie != 0 {
        memory.write(cookie.wrapping_sub(memory.base), &SECURITY_COOKIE.to_le_bytes())?;
    }
    Ok(())
}
