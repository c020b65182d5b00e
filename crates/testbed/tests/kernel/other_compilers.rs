//! What images of Microsoft's compiler and headers need: the page of clocks, kernel instructions, stubs.
#![cfg(target_arch = "x86_64")]

use testbed::image::LoadError;
use testbed::kernel::driver::Driver;
use testbed::nt::NtStatus;
use testbed::{Config, Machine, Rule};

use crate::image::{INIT, RDATA, RETURN, image, load};
use crate::{breaks, clean};

/// What DriverEntry with this code returned, as a number.
fn returned(result: Result<Driver, LoadError>) -> u32 {
    match result {
        Ok(_) => 0,
        Err(LoadError::DriverEntry(status)) => status.0 as u32,
        Err(error) => panic!("{error}"),
    }
}

/// `mov rax, imm64`
fn load_immediate(value: u64) -> Vec<u8> {
    [&[0x48, 0xB8][..], &value.to_le_bytes()].concat()
}

#[test]
fn the_interrupt_time_is_read_from_the_shared_page() {
    clean(|| {
        testbed::schedule::sleep_until(testbed::schedule::now() + 5_000_000);
        // `mov rax, KUSER_SHARED_DATA.InterruptTime; mov eax, [rax]; or eax, 0x80000000; ret`
        let tail = [0x8B, 0x00, 0x0D, 0, 0, 0, 0x80, 0xC3];
        let entry = [load_immediate(0xFFFF_F780_0000_0008), tail.to_vec()].concat();
        let before = testbed::schedule::now() / 100;
        let time = returned(load(image(&entry, RETURN, &[])));
        assert_eq!(time, before as u32 | 0x8000_0000);
    });
}

#[test]
fn the_short_form_of_a_load_reads_the_shared_page_too() {
    clean(|| {
        // `mov rax, [moffs64 KUSER_SHARED_DATA.NtMajorVersion]; or eax, 0x80000000; ret`
        let address = 0xFFFF_F780_0000_026C_u64.to_le_bytes();
        let entry = [&[0x48, 0xA1][..], &address, &[0x0D, 0, 0, 0, 0x80, 0xC3]].concat();
        assert_eq!(returned(load(image(&entry, RETURN, &[]))), 0x8000_000A);
    });
}

#[test]
fn the_shared_page_cannot_be_written() {
    let text = breaks(Rule::Access, || {
        // `mov rax, KUSER_SHARED_DATA; mov byte [rax], 1; ret`
        let entry = [load_immediate(0xFFFF_F780_0000_0000), vec![0xC6, 0x00, 0x01, 0xC3]].concat();
        let _ = load(image(&entry, RETURN, &[]));
    });
    assert!(text.contains("writes to") && text.contains("KUSER_SHARED_DATA"), "{text}");
}

#[test]
fn the_irql_is_read_and_written_through_cr8() {
    clean(|| {
        // `mov eax, 2; mov cr8, rax; mov r9, cr8; xor eax, eax; mov cr8, rax; mov eax, r9d; or eax, 0x80000000; ret`
        let entry = [
            &[0xB8, 2, 0, 0, 0, 0x44, 0x0F, 0x22, 0xC0, 0x45, 0x0F, 0x20, 0xC1, 0x31, 0xC0][..],
            &[0x44, 0x0F, 0x22, 0xC0, 0x44, 0x89, 0xC8, 0x0D, 0, 0, 0, 0x80, 0xC3],
        ];
        assert_eq!(returned(load(image(&entry.concat(), RETURN, &[]))), 0x8000_0002);
    });
}

#[test]
fn an_irql_that_stays_raised_is_reported() {
    breaks(Rule::IrqlUnbalanced, || {
        // `mov eax, 2; mov cr8, rax; mov eax, 0xC0000001; ret`
        let entry = [0xB8, 2, 0, 0, 0, 0x44, 0x0F, 0x22, 0xC0, 0xB8, 1, 0, 0, 0xC0, 0xC3];
        let _ = load(image(&entry, RETURN, &[]));
    });
}

#[test]
fn the_current_thread_is_read_through_gs() {
    clean(|| {
        // `sub rsp, 0x28; call [rip + slot]; mov rcx, gs:[0x188]; cmp rax, rcx; setne al; neg al; movsx eax, al;
        // add rsp, 0x28; ret`
        let distance = (RDATA as i32 - (INIT as i32 + 10)).to_le_bytes();
        let entry = [
            &[0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15][..],
            &distance,
            &[0x65, 0x48, 0x8B, 0x0C, 0x25, 0x88, 1, 0, 0, 0x48, 0x39, 0xC8],
            &[0x0F, 0x95, 0xC0, 0xF6, 0xD8, 0x0F, 0xBE, 0xC0, 0x48, 0x83, 0xC4, 0x28, 0xC3],
        ];
        let imported = [("ntoskrnl.exe", "KeGetCurrentThread")];
        assert_eq!(returned(load(image(&entry.concat(), RETURN, &imported))), 0);
    });
}

#[test]
fn a_fast_fail_is_told_with_its_code() {
    let text = breaks(Rule::Access, || {
        // `mov ecx, 6; int 0x29`
        let _ = load(image(&[0xB9, 6, 0, 0, 0, 0xCD, 0x29], RETURN, &[]));
    });
    assert!(text.contains("fast fail with code 6"), "{text}");
}

#[test]
fn a_forgiving_machine_records_a_read_behind_the_registry_path_and_goes_on() {
    // `mov rax, [rdx + 8]; movzx ecx, word [rdx]; movzx eax, word [rax + rcx]; ret`
    let entry = [0x48, 0x8B, 0x42, 0x08, 0x0F, 0xB7, 0x0A, 0x0F, 0xB7, 0x04, 0x08, 0xC3];
    let bytes = image(&entry, RETURN, &[]);
    let outcome =
        Machine::run(Config { forgiving: true, ..Config::default() }, move || returned(load(bytes)));
    assert_eq!(outcome.value, Some(0));
    let rules: Vec<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::Access]);
    assert!(outcome.violations[0].text.contains("after the end of the string"), "{}", outcome.violations[0]);
}

#[test]
fn a_stub_stands_for_a_missing_import_and_counts_its_calls() {
    clean(|| {
        // `sub rsp, 0x28; call [rip + slot]; add rsp, 0x28; ret`
        let distance = (RDATA as i32 - (INIT as i32 + 10)).to_le_bytes();
        let entry =
            [&[0x48, 0x83, 0xEC, 0x28, 0xFF, 0x15][..], &distance, &[0x48, 0x83, 0xC4, 0x28, 0xC3]].concat();
        let bytes = image(&entry, RETURN, &[("ntoskrnl.exe", "NoSuch")]);
        assert!(matches!(load(bytes.clone()), Err(LoadError::Imports(_))));
        testbed::image::stubs::stub_missing(true);
        assert_eq!(load(bytes).err(), Some(LoadError::DriverEntry(NtStatus::NOT_IMPLEMENTED)));
        assert_eq!(testbed::image::stubs::stubs(), [("ntoskrnl.exe!NoSuch".to_owned(), 1)]);
    });
}
