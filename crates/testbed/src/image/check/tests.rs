//! Small images built here, each with at most one thing wrong, and what [`check`] says about them.

use object::pe::{self, DllFlags, Machine, SectionFlags, Subsystem};
use object::write::pe::{NtHeaders, Writer};

use super::summary::checksum;
use super::*;

/// What to build. The default is a driver that breaks no rule.
struct Image {
    is_64: bool,
    machine: Machine,
    subsystem: Subsystem,
    flags: DllFlags,
    section_alignment: u32,
    text: SectionFlags,
    entry_point: Option<u32>,
    relocated: bool,
    imports: Vec<(&'static str, Vec<Thunk>)>,
    checksum_is_off_by: u32,
}

#[derive(Clone, Copy)]
enum Thunk {
    Name(&'static str),
    Ordinal(u16),
}

const ORDINAL_FLAG: u64 = 1 << 63;

impl Default for Image {
    fn default() -> Self {
        Self {
            is_64: true,
            machine: pe::IMAGE_FILE_MACHINE_AMD64,
            subsystem: pe::IMAGE_SUBSYSTEM_NATIVE,
            flags: pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
            section_alignment: 0x1000,
            text: pe::IMAGE_SCN_CNT_CODE | pe::IMAGE_SCN_MEM_EXECUTE | pe::IMAGE_SCN_MEM_READ,
            entry_point: None,
            relocated: true,
            imports: vec![
                ("ntoskrnl.exe", vec![Thunk::Name("KeSetEvent"), Thunk::Name("memcpy")]),
                ("portcls.sys", vec![Thunk::Name("PcNewPort")]),
            ],
            checksum_is_off_by: 0,
        }
    }
}

impl Image {
    fn build(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(self.is_64, self.section_alignment, 0x200, &mut bytes);
        writer.reserve_dos_header();
        writer.reserve_nt_headers(pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES);
        writer.reserve_section_headers(if self.relocated { 3 } else { 2 });
        let text = writer.reserve_section(*b".text\0\0\0", self.text, 16, 16);
        let tables = import_tables(&self.imports, 0);
        let idata = writer.reserve_idata_section(tables.len() as u32);
        if self.relocated {
            writer.add_reloc(text.virtual_address, pe::IMAGE_REL_BASED_DIR64);
            writer.reserve_reloc_section();
        }

        writer.write_empty_dos_header().expect("a header fits");
        writer.write_nt_headers(self.headers(text.virtual_address));
        writer.write_section_headers();
        writer.write_section(text.file_offset, &[0xc3; 16]);
        let tables = import_tables(&self.imports, idata.virtual_address);
        writer.write_section(idata.file_offset, &tables);
        writer.write_reloc_section();
        let field = writer.nt_headers_offset() as usize + 4 + 20 + 64;
        let sum = checksum(&bytes, field).wrapping_add(self.checksum_is_off_by);
        bytes[field..field + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn headers(&self, text: u32) -> NtHeaders {
        NtHeaders {
            machine: self.machine,
            time_date_stamp: 0,
            characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE,
            major_linker_version: 0,
            minor_linker_version: 0,
            address_of_entry_point: self.entry_point.unwrap_or(text),
            image_base: 0x1_8000_0000,
            major_operating_system_version: 10,
            minor_operating_system_version: 0,
            major_image_version: 0,
            minor_image_version: 0,
            major_subsystem_version: 10,
            minor_subsystem_version: 0,
            subsystem: self.subsystem,
            dll_characteristics: self.flags,
            size_of_stack_reserve: 0,
            size_of_stack_commit: 0,
            size_of_heap_reserve: 0,
            size_of_heap_commit: 0,
        }
    }
}

/// An import section for address `base`: descriptors, then for each module its name, its names and its
/// thunks.
fn import_tables(imports: &[(&str, Vec<Thunk>)], base: u32) -> Vec<u8> {
    let mut descriptors = Vec::new();
    let mut rest = Vec::new();
    let start = base + 20 * (imports.len() as u32 + 1);
    for (module, thunks) in imports {
        let module_name = start + rest.len() as u32;
        rest.extend_from_slice(module.as_bytes());
        rest.push(0);
        let mut list = Vec::new();
        for thunk in thunks {
            let entry = match thunk {
                Thunk::Ordinal(number) => ORDINAL_FLAG | u64::from(*number),
                Thunk::Name(name) => {
                    let hint_and_name = start + rest.len() as u32;
                    rest.extend_from_slice(&[0, 0]);
                    rest.extend_from_slice(name.as_bytes());
                    rest.push(0);
                    u64::from(hint_and_name)
                }
            };
            list.extend_from_slice(&entry.to_le_bytes());
        }
        list.extend_from_slice(&[0; 8]);
        let thunks = start + rest.len() as u32;
        rest.extend_from_slice(&list);
        for field in [thunks, 0, 0, module_name, thunks] {
            descriptors.extend_from_slice(&field.to_le_bytes());
        }
    }
    descriptors.extend_from_slice(&[0; 20]);
    descriptors.extend_from_slice(&rest);
    descriptors
}

fn import(module: &str, name: &str) -> Import {
    Import { module: module.to_owned(), name: name.to_owned() }
}

/// `image`, as a release build, breaks this rule and no other.
fn breaks(image: Image, problem: Problem) {
    assert_eq!(check(&image.build(), true), Err(vec![problem]));
}

#[test]
fn a_sound_driver_passes_and_is_summarized() {
    let bytes = Image::default().build();
    let summary = check(&bytes, true).expect("no problem");
    assert_eq!(summary.size, bytes.len());
    assert_eq!(summary.entry_point, 0x1000);
    assert_eq!(summary.relocations, 1);
    let names: Vec<_> = summary.sections.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, [".text", ".idata", ".reloc"]);
    let expected = [
        import("ntoskrnl.exe", "KeSetEvent"),
        import("ntoskrnl.exe", "memcpy"),
        import("portcls.sys", "PcNewPort"),
    ];
    assert_eq!(summary.imports, expected);
    let table = summary.to_string();
    assert!(table.starts_with("processor    x64\n"), "{table}");
    assert!(table.contains("imports      ntoskrnl.exe: KeSetEvent, memcpy\n"), "{table}");
}

#[test]
fn any_other_file_is_not_an_image() {
    for bytes in [&b""[..], b"MZ", b"\x7fELF\x02\x01\x01", &[0; 4096]] {
        let problems = check(bytes, false).expect_err("no image");
        assert!(matches!(problems[..], [Problem::NotAnImage(_)]), "{problems:?}");
    }
    let image = Image { is_64: false, ..Image::default() };
    let problems = check(&image.build(), false).expect_err("32 bits");
    assert!(matches!(problems[..], [Problem::NotAnImage(_)]), "{problems:?}");
}

#[test]
fn a_truncated_image_is_refused_wherever_it_ends() {
    let bytes = Image::default().build();
    for length in (0..bytes.len()).step_by(7) {
        assert!(check(&bytes[..length], false).is_err(), "{length}");
    }
}

#[test]
fn a_driver_for_arm64_passes_and_says_so() {
    let image = Image { machine: pe::IMAGE_FILE_MACHINE_ARM64, ..Image::default() };
    let summary = check(&image.build(), true).expect("no problem");
    assert!(summary.to_string().starts_with("processor    arm64\n"), "{summary}");
}

#[test]
fn a_driver_for_x86_is_refused_and_says_so() {
    let image = Image { is_64: false, machine: pe::IMAGE_FILE_MACHINE_I386, ..Image::default() };
    let problems = check(&image.build(), true).expect_err("another machine");
    assert_eq!(problems[0].to_string(), "not a 64-bit PE image: it is for x86");
}

#[test]
fn another_machine_is_refused() {
    let machine = pe::IMAGE_FILE_MACHINE_ARMNT;
    breaks(Image { machine, ..Image::default() }, Problem::Machine(machine.0));
}

#[test]
fn a_program_is_refused() {
    let subsystem = pe::IMAGE_SUBSYSTEM_WINDOWS_GUI;
    breaks(Image { subsystem, ..Image::default() }, Problem::Subsystem(2));
}

#[test]
fn a_wrong_checksum_is_refused() {
    let image = Image { checksum_is_off_by: 1, ..Image::default() };
    let computed = ImageSummary::read(&image.build()).expect("an image").computed_checksum;
    breaks(image, Problem::Checksum { stored: computed + 1, computed });
}

#[test]
fn a_changed_byte_shows_in_the_checksum() {
    let mut bytes = Image::default().build();
    *bytes.last_mut().expect("not empty") ^= 0x10;
    let problems = check(&bytes, true).expect_err("changed");
    assert!(matches!(problems[..], [Problem::Checksum { .. }]), "{problems:?}");
}

#[test]
fn a_checksum_folds_its_carries_and_pads_an_odd_byte() {
    // 0xffff + 0xffff = 0x1fffe, folded 0xffff; plus 0x0001 = 0x10000, folded 1; plus a length of 9.
    let bytes = [0xff, 0xff, 9, 9, 9, 9, 0xff, 0xff, 1];
    assert_eq!(checksum(&bytes, 2), 1 + 9);
}

#[test]
fn a_writable_and_executable_section_is_refused() {
    let text = Image::default().text | pe::IMAGE_SCN_MEM_WRITE;
    let problem = Problem::WritableAndExecutable(".text".to_owned());
    breaks(Image { text, ..Image::default() }, problem);
}

#[test]
fn an_image_with_executable_data_is_refused() {
    let flags = pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE;
    breaks(Image { flags, ..Image::default() }, Problem::NotNxCompatible);
}

#[test]
fn an_image_for_one_address_is_refused() {
    let flags = pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT;
    breaks(Image { flags, ..Image::default() }, Problem::FixedAddress);
    breaks(Image { relocated: false, ..Image::default() }, Problem::NoRelocations);
}

#[test]
fn sections_that_share_a_page_are_refused() {
    let section_alignment = 0x200;
    let problem = Problem::SectionAlignment(section_alignment);
    breaks(Image { section_alignment, ..Image::default() }, problem);
}

#[test]
fn a_section_off_its_page_is_refused() {
    let mut bytes = Image::default().build();
    let summary = ImageSummary::read(&bytes).expect("an image");
    let at = bytes.windows(8).position(|name| name == b".text\0\0\0").expect("a name");
    bytes[at + 12] = 0x10; // The low byte of the section's address.
    let problems = check(&bytes, true).expect_err("moved");
    assert_eq!(summary.sections[0].address, 0x1000);
    assert!(problems.contains(&Problem::UnalignedSection(".text".to_owned())), "{problems:?}");
}

#[test]
fn an_import_that_no_list_has_is_refused() {
    for (module, thunk, name) in [
        ("ntoskrnl.exe", Thunk::Name("ZwLoadDriver"), "ZwLoadDriver"),
        ("kernel32.dll", Thunk::Name("Sleep"), "Sleep"),
        ("ntoskrnl.exe", Thunk::Ordinal(7), "#7"),
    ] {
        let imports = vec![(module, vec![thunk])];
        let problem = Problem::UnlistedImport(import(module, name));
        breaks(Image { imports, ..Image::default() }, problem);
    }
}

#[test]
fn only_a_release_build_may_not_reach_a_panic() {
    let imports = vec![("ntoskrnl.exe", vec![Thunk::Name("KeBugCheckEx")])];
    let image = Image { imports, ..Image::default() };
    assert!(check(&image.build(), false).is_ok());
    breaks(image, Problem::PanicReachable);
}

#[test]
fn an_entry_point_outside_the_code_is_refused() {
    for address in [0, 0x2000, 0x9000] {
        let entry_point = Some(address);
        breaks(Image { entry_point, ..Image::default() }, Problem::EntryPoint(address));
    }
}

#[test]
fn all_problems_are_told_at_once_in_one_line_each() {
    let image = Image {
        subsystem: pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
        relocated: false,
        imports: vec![("kernel32.dll", vec![Thunk::Name("Sleep")])],
        ..Image::default()
    };
    let problems = check(&image.build(), true).expect_err("three problems");
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    let expected = [
        "subsystem is 3, not native (1)",
        "no relocations",
        "imports kernel32.dll!Sleep, which is not in crates/wdk-build/imports",
    ];
    assert_eq!(lines, expected);
}
