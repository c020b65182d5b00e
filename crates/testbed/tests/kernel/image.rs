//! The loader, with small images made here: imports, relocations, protection, the security cookie, INIT and unloading.

use std::ptr::with_exposed_provenance;

use testbed::image::{Image, LoadError};
use testbed::kernel::driver::Driver;
use testbed::kernel::{debug, imports};
use testbed::nt::NtStatus;
use testbed::{Config, Machine, Rule, crossing};

use crate::{breaks, clean};

const BASE: u64 = 0x1_4000_0000;
const TEXT: u32 = 0x1000;
pub(super) const RDATA: u32 = 0x2000;
const DATA: u32 = 0x3000;
pub(super) const INIT: u32 = 0x4000;
const RELOC: u32 = 0x5000;
const IMAGE_BYTES: u32 = 0x6000;
/// In `.rdata`.
const LOAD_CONFIG: u32 = RDATA + 0x800;
/// In `.data`: a pointer to the first function of `.text`, and the security cookie.
const POINTER: u32 = DATA;
const COOKIE: u32 = DATA + 8;
const DEFAULT_COOKIE: u64 = 0x2B99_2DDF_A232;

const READ: u32 = 0x4000_0000;
const WRITE: u32 = 0x8000_0000;
const EXECUTE: u32 = 0x2000_0000;
const DISCARDABLE: u32 = 0x0200_0000;

/// `ret`
pub(super) const RETURN: &[u8] =
    if cfg!(target_arch = "aarch64") { &[0xC0, 0x03, 0x5F, 0xD6] } else { &[0xC3] };

/// Bytes at offsets.
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, offset: u32, bytes: &[u8]) {
        self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn put_u16(&mut self, offset: u32, value: u16) {
        self.put(offset, &value.to_le_bytes());
    }

    fn put_u32(&mut self, offset: u32, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    fn put_u64(&mut self, offset: u32, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }
}

/// A native image whose file layout is its memory layout: DriverEntry in INIT, one function in `.text`.
pub(super) fn image(entry: &[u8], text: &[u8], imported: &[(&str, &str)]) -> Vec<u8> {
    let mut file = Bytes(vec![0; IMAGE_BYTES as usize]);
    file.put(0, b"MZ");
    file.put_u32(0x3C, 0x40);
    file.put(0x40, b"PE\0\0");
    let machine = if cfg!(target_arch = "x86_64") { 0x8664 } else { 0xAA64 };
    file.put_u16(0x44, machine);
    file.put_u16(0x46, 5);
    file.put_u16(0x54, 0xF0);
    file.put_u16(0x56, 0x22);
    let optional = 0x58;
    file.put_u16(optional, 0x20B);
    file.put_u32(optional + 16, INIT);
    file.put_u64(optional + 24, BASE);
    file.put_u32(optional + 32, 0x1000);
    file.put_u32(optional + 36, 0x1000);
    file.put_u32(optional + 56, IMAGE_BYTES);
    file.put_u32(optional + 60, 0x1000);
    file.put_u16(optional + 68, 1);
    file.put_u32(optional + 108, 16);
    for (index, address, size) in [(1, RDATA + 0x400, 0x100), (5, RELOC, 12), (10, LOAD_CONFIG, 0x60)] {
        file.put_u32(optional + 112 + index * 8, address);
        file.put_u32(optional + 116 + index * 8, size);
    }
    let sections: [(&[u8], u32, u32); 5] = [
        (b".text", TEXT, READ | EXECUTE),
        (b".rdata", RDATA, READ),
        (b".data", DATA, READ | WRITE),
        (b"INIT", INIT, READ | EXECUTE | DISCARDABLE),
        (b".reloc", RELOC, READ | DISCARDABLE),
    ];
    for (index, (name, address, characteristics)) in (0..).zip(sections) {
        let header = optional + 0xF0 + index * 40;
        file.put(header, name);
        for (offset, value) in
            [(8, 0x1000), (12, address), (16, 0x1000), (20, address), (36, characteristics)]
        {
            file.put_u32(header + offset, value);
        }
    }
    file.put(TEXT, text);
    file.put(INIT, entry);
    put_imports(&mut file, imported);
    file.put_u64(LOAD_CONFIG + 0x58, BASE + u64::from(COOKIE));
    file.put_u64(POINTER, BASE + u64::from(TEXT));
    file.put_u64(COOKIE, DEFAULT_COOKIE);
    // A block of one relocation per page.
    file.put_u32(RELOC, DATA);
    file.put_u32(RELOC + 4, 12);
    file.put_u16(RELOC + 8, 0xA000);
    file.put_u32(RELOC + 12, RDATA);
    file.put_u32(RELOC + 16, 12);
    file.put_u16(RELOC + 20, 0xA000 | (LOAD_CONFIG + 0x58 - RDATA) as u16);
    file.put_u32(optional + 112 + 5 * 8 + 4, 24);
    file.0
}

/// One descriptor per function: its slot `index` is at `RDATA + 16 * index`.
fn put_imports(file: &mut Bytes, imported: &[(&str, &str)]) {
    for (index, (module, name)) in (0..).zip(imported) {
        let slot = RDATA + 16 * index;
        let (names, descriptor) = (RDATA + 0x600 + 64 * index, RDATA + 0x400 + 20 * index);
        file.put_u64(slot, u64::from(names + 30));
        file.put(names, module.as_bytes());
        file.put(names + 32, name.as_bytes());
        file.put_u32(descriptor + 12, names);
        file.put_u32(descriptor + 16, slot);
    }
}

pub(super) fn load(bytes: Vec<u8>) -> Result<Driver, LoadError> {
    Driver::load(&Image::from_bytes("test.sys", bytes)?, "Test")
}

#[test]
fn what_is_no_driver_for_this_processor_is_refused() {
    assert!(matches!(Image::from_bytes("a", b"MZ".to_vec()), Err(LoadError::Format(_))));
    let mut other = Bytes(image(RETURN, RETURN, &[]));
    other.put_u16(0x44, 0x14C);
    let error = Image::from_bytes("a", other.0).err().expect("an error").to_string();
    assert!(error.contains("the file is for x86"), "{error}");
    assert!(matches!(Image::open("/nonexistent"), Err(LoadError::File(_))));
}

#[test]
fn every_missing_import_is_named_at_once() {
    clean(|| {
        let imported = [("ntoskrnl.exe", "NoSuch"), ("NTOSKRNL.exe", "ZwClose"), ("hal.dll", "ZwClose")];
        let error = load(image(RETURN, RETURN, &imported)).err().expect("an error");
        let names = ["ntoskrnl.exe!NoSuch", "hal.dll!ZwClose (it is in ntoskrnl.exe)"].map(str::to_owned);
        assert_eq!(error, LoadError::Imports(names.to_vec()));
    });
}

#[test]
fn a_damaged_file_is_refused() {
    clean(|| {
        let mut bytes = image(RETURN, RETURN, &[]);
        bytes.truncate(0x3800);
        assert!(matches!(load(bytes), Err(LoadError::Format(_))));
    });
}

#[cfg(target_arch = "x86_64")]
mod x64 {
    use super::*;

    /// `mov rax, [rip + POINTER]; mov [rcx + 0x68], rax; xor eax, eax; ret`: sets the relocated DriverUnload.
    fn good_entry() -> Vec<u8> {
        let distance = (POINTER as i32 - (INIT as i32 + 7)).to_le_bytes();
        [&[0x48, 0x8B, 0x05][..], &distance, &[0x48, 0x89, 0x41, 0x68, 0x31, 0xC0, 0xC3]].concat()
    }

    #[test]
    fn an_image_loads_relocates_and_unloads() {
        clean(|| {
            let driver = load(image(&good_entry(), RETURN, &[])).expect("a driver");
            // SAFETY: a live driver object.
            let start = unsafe { (*driver.object()).driver_start }.addr();
            // SAFETY: as above.
            let unload = unsafe { (*driver.object()).driver_unload }.expect("DriverEntry set it");
            assert_eq!(unload as usize, start + TEXT as usize);
            driver.unload();
        });
    }

    #[test]
    fn an_imported_function_is_called() {
        // `sub rsp, 0x28; call [rip + slot]; movzx eax, al; add rsp, 0x28; ret` with the present IRQL as status
        let distance = (RDATA as i32 - (INIT as i32 + 10)).to_le_bytes();
        let entry = [
            &[0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15][..],
            &distance,
            &[0x0F, 0xB6, 0xC0, 0x48, 0x83, 0xC4, 0x28, 0xC3],
        ];
        let bytes = image(&entry.concat(), RETURN, &[("ntoskrnl.exe", "KeGetCurrentIrql")]);
        let config = Config { measure: true, ..Config::default() };
        let outcome = Machine::run(config, move || load(bytes).is_ok());
        assert!(outcome.driver.crossings.contains(&("KeGetCurrentIrql", 1)));
        assert!(outcome.expect_clean());
    }

    #[test]
    fn the_security_cookie_is_not_the_default_one() {
        // `mov rax, default; cmp rax, [rip + COOKIE]; sete al; neg al; movsx eax, al; ret`: -1 if equal, else 0
        let distance = (COOKIE as i32 - (INIT as i32 + 17)).to_le_bytes();
        let tail = [0x0F, 0x94, 0xC0, 0xF6, 0xD8, 0x0F, 0xBE, 0xC0, 0xC3];
        let default = DEFAULT_COOKIE.to_le_bytes();
        let entry = [&[0x48, 0xB8][..], &default, &[0x48, 0x3B, 0x05], &distance, &tail].concat();
        clean(move || assert!(load(image(&entry, RETURN, &[])).is_ok()));
    }

    #[test]
    fn a_failing_entry_gives_its_status_and_no_unload() {
        clean(|| {
            let entry = [0xB8, 0x9A, 0x00, 0x00, 0xC0, 0xC3];
            let error = load(image(&entry, RETURN, &[])).err();
            assert_eq!(error, Some(LoadError::DriverEntry(NtStatus::INSUFFICIENT_RESOURCES)));
        });
    }

    #[test]
    fn text_cannot_be_written() {
        let text = breaks(Rule::Access, || {
            // `lea rax, [rip + TEXT]; mov byte [rax], 1`
            let distance = (TEXT as i32 - (INIT as i32 + 7)).to_le_bytes();
            let entry = [&[0x48, 0x8D, 0x05][..], &distance, &[0xC6, 0x00, 0x01, 0xC3]].concat();
            let _ = load(image(&entry, RETURN, &[]));
        });
        assert!(text.contains("writes to") && text.contains("test.sys .text, RVA 0x1000"), "{text}");
        assert!(text.contains("at test.sys INIT, RVA 0x4007"), "{text}");
    }

    #[test]
    fn data_cannot_be_executed() {
        let text = breaks(Rule::Access, || {
            // `lea rax, [rip + DATA]; call rax`
            let distance = (DATA as i32 - (INIT as i32 + 7)).to_le_bytes();
            let entry = [&[0x48, 0x8D, 0x05][..], &distance, &[0xFF, 0xD0, 0xC3]].concat();
            let _ = load(image(&entry, RETURN, &[]));
        });
        assert!(text.contains("executes") && text.contains(".data, RVA 0x3000"), "{text}");
    }

    #[test]
    fn init_is_gone_after_the_entry() {
        let text = breaks(Rule::Access, || {
            let driver = load(image(&good_entry(), RETURN, &[])).expect("a driver");
            // SAFETY: a live driver object.
            let entry = unsafe { (*driver.object()).driver_init }.expect("the entry");
            // SAFETY: it is not there any more; the fault is what this test is about.
            let _ = unsafe { entry(driver.object(), std::ptr::null_mut()) };
        });
        assert!(text.contains("executes") && text.contains("INIT"), "{text}");
    }

    #[test]
    fn a_call_into_an_unloaded_image_is_reported() {
        let text = breaks(Rule::Access, || {
            let driver = load(image(&good_entry(), RETURN, &[])).expect("a driver");
            let object = driver.object();
            // SAFETY: a live driver object.
            let unload = unsafe { (*object).driver_unload }.expect("DriverEntry set it");
            driver.unload();
            // SAFETY: it is not there any more; the fault is what this test is about.
            unsafe { unload(object) };
        });
        assert!(text.contains("test.sys (unloaded) .text"), "{text}");
    }

    #[test]
    fn the_registry_path_has_no_nul() {
        let text = breaks(Rule::Access, || {
            // `mov rax, [rdx + 8]`, then reads units from there until one is zero
            let entry = [
                &[0x48, 0x8B, 0x42, 0x08][..],
                &[0x66, 0x83, 0x38, 0x00, 0x74, 0x06, 0x48, 0x83, 0xC0, 0x02, 0xEB, 0xF4],
                &[0x31, 0xC0, 0xC3],
            ];
            let _ = load(image(&entry.concat(), RETURN, &[]));
        });
        assert!(text.contains("after the end of the string"), "{text}");
    }

    #[test]
    fn a_driver_without_an_unload_routine_stays() {
        breaks(Rule::Unload, || {
            let entry = [0x31, 0xC0, 0xC3];
            load(image(&entry, RETURN, &[])).expect("a driver").unload();
        });
    }
}

#[cfg(target_arch = "aarch64")]
mod arm64 {
    use testbed::image::stubs;

    use super::*;

    /// `ldr x16, [pc + distance]`
    fn load_from(distance: u32) -> u32 {
        0x5800_0010 | (distance >> 2 & 0x7_FFFF) << 5
    }

    /// `stp x29, x30, [sp, #-16]!`, the function of the first import, `ldp x29, x30, [sp], #16; ret`
    fn calling_entry() -> Vec<u8> {
        let code =
            [0xA9BF_7BFD, load_from(RDATA.wrapping_sub(INIT + 4)), 0xD63F_0200, 0xA8C1_7BFD, 0xD65F_03C0];
        code.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn an_imported_function_is_called() {
        let bytes = image(&calling_entry(), RETURN, &[("ntoskrnl.exe", "KeGetCurrentIrql")]);
        let config = Config { measure: true, ..Config::default() };
        let outcome = Machine::run(config, move || load(bytes).is_ok());
        assert!(outcome.driver.crossings.contains(&("KeGetCurrentIrql", 1)));
        assert!(outcome.expect_clean());
    }

    #[test]
    fn a_missing_function_has_a_stub_if_that_is_wanted() {
        clean(|| {
            stubs::stub_missing(true);
            let error = load(image(&calling_entry(), RETURN, &[("ntoskrnl.exe", "KeInventedHere")])).err();
            assert_eq!(error, Some(LoadError::DriverEntry(NtStatus::NOT_IMPLEMENTED)));
            assert_eq!(stubs::stubs(), [("ntoskrnl.exe!KeInventedHere".to_owned(), 1)]);
        });
    }

    #[test]
    fn text_cannot_be_written() {
        let text = breaks(Rule::Access, || {
            // `adr x0, TEXT; str wzr, [x0]`
            let distance = TEXT.wrapping_sub(INIT) as i32;
            let adr = 0x1000_0000 | (distance as u32 & 3) << 29 | (distance as u32 >> 2 & 0x7_FFFF) << 5;
            let entry: Vec<u8> = [adr, 0xB900_001F].into_iter().flat_map(u32::to_le_bytes).collect();
            let _ = load(image(&entry, RETURN, &[]));
        });
        assert!(text.contains("writes to") && text.contains("test.sys .text, RVA 0x1000"), "{text}");
        assert!(text.contains("at test.sys INIT, RVA 0x4004"), "{text}");
    }
}

#[test]
fn debug_output_is_formatted_from_variadic_arguments() {
    // On both processors, integer arguments of a variadic call go where those of a fixed one do.
    type Print = unsafe extern "efiapi" fn(*const u8, u64, *const u8, u64, i64, u64, *const u16) -> u32;
    type PrintEx = unsafe extern "efiapi" fn(u32, u32, *const u8, i64) -> u32;
    let outcome = Machine::run(Config::default(), || {
        crossing::call_driver("test", || {
            let find = |name| imports::find("ntoskrnl.exe", name).expect("an export");
            let print = with_exposed_provenance::<()>(find("DbgPrint"));
            // SAFETY: the function is variadic; these are arguments it may get.
            let print = unsafe { std::mem::transmute::<*const (), Print>(print) };
            let print_ex = with_exposed_provenance::<()>(find("DbgPrintEx"));
            // SAFETY: as above.
            let print_ex = unsafe { std::mem::transmute::<*const (), PrintEx>(print_ex) };
            let wide: Vec<u16> = "wide\0".encode_utf16().collect();
            let format = c"%u|%-5s|%#06x|%I64d|%08llX|%ws\n".as_ptr().cast();
            // SAFETY: strings with their NUL.
            unsafe { print(format, 7, c"abc".as_ptr().cast(), 0x1F, -5, 0xABC, wide.as_ptr()) };
            // SAFETY: as above.
            unsafe { print_ex(0, 0, c"first %d, ".as_ptr().cast(), -1) };
            // SAFETY: as above.
            unsafe { print_ex(0, 0, c"second %d%%\n".as_ptr().cast(), 2) };
            assert!(debug::output().starts_with("7|"));
        });
    });
    let lines: Vec<String> = outcome.debug_output.iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(lines, ["7|abc  |0x001f|-5|00000ABC|wide", "first -1, second 2%"]);
    outcome.expect_clean();
}
