//! Processor faults in driver code become violations, and the process lives on.

use std::ptr;

use testbed::kernel::library::memcpy;
use testbed::{Config, Machine, Rule, crossing};

use crate::{breaks, clean};

#[test]
fn a_null_pointer_is_reported() {
    let text = breaks(Rule::Access, || {
        let null: *const u32 = std::hint::black_box(ptr::without_provenance(8));
        // SAFETY: it is not; the fault is what this test is about.
        std::hint::black_box(unsafe { null.read_volatile() });
    });
    assert!(text.contains("reads from 0x8 (near a null pointer)"), "{text}");
}

#[test]
fn a_copy_from_a_wrong_address_is_reported_with_the_function() {
    let text = breaks(Rule::Access, || {
        let mut target = [0u8; 16];
        // SAFETY: it is not; the fault is what this test is about.
        unsafe { memcpy(target.as_mut_ptr(), ptr::without_provenance(0x1000), 16) };
    });
    assert!(text.contains("test > memcpy"), "{text}");
}

#[test]
fn overlapping_areas_are_reported_for_memcpy() {
    breaks(Rule::Argument, || {
        let mut area = [0u8; 32];
        let start = area.as_mut_ptr();
        // SAFETY: both areas lie in the array.
        unsafe { memcpy(start.wrapping_add(4), start, 16) };
    });
}

#[cfg(target_arch = "aarch64")]
#[test]
fn traps_breakpoints_divisions_and_fast_fails_are_reported() {
    let traps: [(fn(), &str); 5] = [
        // SAFETY: the instruction traps, which is what this test is about.
        (|| unsafe { core::arch::asm!("udf #0") }, "trap"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("brk #1") }, "trap"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("brk #0xF000") }, "breakpoint"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("brk #0xF004") }, "division by zero"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("brk #0xF003", in("w0") 6) }, "fast fail with code 6"),
    ];
    for (trap, expected) in traps {
        let text = breaks(Rule::Access, trap);
        assert!(text.contains(expected), "{text}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn traps_breakpoints_and_fast_fails_are_reported() {
    let traps: [(fn(), &str); 3] = [
        // SAFETY: the instruction traps, which is what this test is about.
        (|| unsafe { core::arch::asm!("ud2") }, "trap"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("int3") }, "breakpoint"),
        // SAFETY: as above.
        (|| unsafe { core::arch::asm!("int 0x29", in("ecx") 6) }, "fast fail with code 6"),
    ];
    for (trap, expected) in traps {
        let text = breaks(Rule::Access, trap);
        assert!(text.contains(expected), "{text}");
    }
}

#[expect(unconditional_recursion, reason = "the overflow is what the test is about")]
fn recurse(depth: u64) -> u64 {
    let space = std::hint::black_box([depth; 512]);
    recurse(depth + 1) + space[7]
}

#[test]
fn a_stack_overflow_is_reported() {
    breaks(Rule::Access, || {
        std::hint::black_box(recurse(0));
    });
}

#[test]
fn machines_in_several_linux_threads_fault_independently() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..20 {
                    breaks(Rule::Access, || {
                        // SAFETY: it is not; the fault is what this test is about.
                        unsafe { ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
                    });
                    clean(|| ());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
}

#[test]
fn a_failed_assertion_under_driver_code_reaches_the_test() {
    let result = std::panic::catch_unwind(|| {
        Machine::run(Config::default(), || {
            crossing::call_driver("test", || {
                crossing::serve_driver::<()>("function", 0, || panic!("an assertion"));
            });
        })
    });
    let panic = result.expect_err("the panic goes on");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"an assertion"));
}
