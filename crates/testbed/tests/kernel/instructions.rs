//! The count of the driver's instructions is exact.
#![cfg(target_arch = "x86_64")]

use testbed::kernel::library::memcpy;
use testbed::{Config, DriverUse, Machine, Outcome, Rule, crossing, schedule};

use crate::image::{INIT, RDATA, RETURN, image, load};

fn counting() -> Config {
    Config { count_instructions: true, ..Config::default() }
}

/// Runs a DriverEntry, and returns what came of it.
fn enter(entry: Vec<u8>, text: &'static [u8]) -> Outcome<bool> {
    Machine::run(counting(), move || {
        load(image(&entry, text, &[("ntoskrnl.exe", "KeGetCurrentIrql")]))
            .map(|driver| {
                // SAFETY: a live driver object.
                if unsafe { (*driver.object()).driver_unload }.is_some() {
                    driver.unload();
                }
            })
            .is_ok()
    })
}

/// A DriverEntry of these bytes, which must be so many instructions.
#[track_caller]
fn counts(entry: &[u8], expected: u64) {
    let outcome = enter(entry.to_vec(), RETURN);
    assert_eq!(outcome.driver.instructions, Some(expected));
    assert!(outcome.expect_clean());
}

/// `call [rip + slot]` of the imported function, at an offset in INIT.
fn call_import(offset: u32) -> Vec<u8> {
    let distance = RDATA as i32 - (INIT + offset + 6) as i32;
    [&[0xFF, 0x15][..], &distance.to_le_bytes()].concat()
}

#[test]
fn every_instruction_counts_once() {
    // `xor eax, eax; nop; nop; nop; ret`
    counts(&[0x31, 0xC0, 0x90, 0x90, 0x90, 0xC3], 5);
}

#[test]
fn every_turn_of_a_loop_counts() {
    // `mov ecx, 1000; again: dec ecx; jnz again; xor eax, eax; ret`
    counts(&[0xB9, 0xE8, 0x03, 0, 0, 0xFF, 0xC9, 0x75, 0xFC, 0x31, 0xC0, 0xC3], 1 + 2 * 1000 + 2);
}

#[test]
fn an_instruction_with_a_repeat_prefix_counts_once() {
    // `push rdi; sub rsp, 64; mov rdi, rsp; mov ecx, 8; xor eax, eax; rep stosq; add rsp, 64; pop rdi; ret`
    let entry = [
        &[0x57, 0x48, 0x83, 0xEC, 0x40, 0x48, 0x89, 0xE7, 0xB9, 8, 0, 0, 0, 0x31, 0xC0][..],
        &[0xF3, 0x48, 0xAB, 0x48, 0x83, 0xC4, 0x40, 0x5F, 0xC3],
    ];
    counts(&entry.concat(), 9);
}

#[test]
fn what_the_driver_calls_is_not_counted() {
    // `sub rsp, 0x28; call; call; xor eax, eax; add rsp, 0x28; ret`
    let entry = [
        vec![0x48, 0x83, 0xEC, 0x28],
        call_import(4),
        call_import(10),
        vec![0x31, 0xC0, 0x48, 0x83, 0xC4, 0x28, 0xC3],
    ];
    counts(&entry.concat(), 6);
}

#[test]
fn every_call_into_the_driver_counts() {
    // DriverEntry: `lea rax, [rip + text]; mov [rcx + 0x68], rax; xor eax, eax; ret`. DriverUnload: `nop; nop; ret`.
    let distance = (0x1000 - (INIT as i32 + 7)).to_le_bytes();
    let entry = [&[0x48, 0x8D, 0x05][..], &distance, &[0x48, 0x89, 0x41, 0x68, 0x31, 0xC0, 0xC3]].concat();
    let outcome = enter(entry, &[0x90, 0x90, 0xC3]);
    assert_eq!(outcome.driver.instructions, Some(4 + 3));
    assert!(outcome.expect_clean());
}

#[test]
fn a_breakpoint_is_reported_as_ever() {
    // `nop; int3; ret`
    let outcome = enter(vec![0x90, 0xCC, 0xC3], RETURN);
    let rules: Vec<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::Access]);
    assert!(outcome.violations[0].to_string().contains("a breakpoint at test.sys INIT"));
    assert_eq!(outcome.driver.instructions, Some(2));
}

#[test]
fn code_outside_of_an_image_does_not_count() {
    let outcome = Machine::run(counting(), || {
        crossing::call_driver("test", || {
            let mut target = [0u8; 16];
            // SAFETY: both areas have that many bytes.
            unsafe { memcpy(target.as_mut_ptr(), [7u8; 16].as_ptr(), 16) };
            schedule::sleep_until(schedule::now() + 1_000_000);
            target
        })
    });
    assert_eq!((outcome.driver.instructions, outcome.driver.copied), (Some(0), 16));
    assert_eq!(outcome.expect_clean(), [7; 16]);
}

#[test]
fn a_panic_in_a_traced_call_goes_on_without_traces() {
    let result = std::panic::catch_unwind(|| {
        Machine::run(counting(), || {
            crossing::call_driver("test", || std::panic::resume_unwind(Box::new("an assertion")))
        })
    });
    assert!(result.is_err());
    // A trap now would find no machine and end the process.
    assert_eq!(std::hint::black_box(2) + 2, 4);
}

#[test]
fn nothing_is_counted_unless_it_is_asked_for() {
    let outcome = Machine::run(Config::default(), || {
        load(image(&[0x31, 0xC0, 0xC3], RETURN, &[])).is_ok().then(DriverUse::so_far)
    });
    assert_eq!(outcome.driver.instructions, None);
    assert_eq!(outcome.expect_clean().expect("a driver").instructions, None);
}

#[test]
fn the_count_can_be_read_on_the_way() {
    let outcome = Machine::run(counting(), || {
        let mut counts = Vec::new();
        for _ in 0..3 {
            assert!(load(image(&[0x31, 0xC0, 0xC3], RETURN, &[])).is_ok());
            counts.push(DriverUse::so_far().instructions);
        }
        counts
    });
    assert_eq!(outcome.expect_clean(), [Some(2), Some(4), Some(6)]);
}
