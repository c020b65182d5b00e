//! Pool memory and its rules.

use testbed::Rule;
use testbed::kernel::driver;
use testbed::kernel::event::KeInitializeEvent;
use testbed::kernel::pool::{self, ExAllocatePool2, ExFreePool, ExFreePoolWithTag};
use testbed::kernel::spin_lock::{KeLowerIrql, KeRaiseIrqlToDpcLevel};

use crate::{breaks, clean};

const TAG: u32 = u32::from_le_bytes(*b"Test");
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;

fn allocate(flags: u64, bytes: usize) -> *mut u8 {
    // SAFETY: the function takes any numbers.
    unsafe { ExAllocatePool2(flags, bytes, TAG) }
}

fn free(block: *mut u8) {
    // SAFETY: whether it is a block is what the tests are about.
    unsafe { ExFreePoolWithTag(block, TAG) };
}

fn write(address: *mut u8) {
    // SAFETY: whether it may be written is what the tests are about.
    unsafe { address.write_volatile(1) };
}

#[test]
fn blocks_are_zeroed_aligned_and_counted() {
    clean(|| {
        let small = allocate(NON_PAGED, 40);
        let large = allocate(NON_PAGED, 5000);
        assert_eq!((small.addr() % 16, large.addr() % 4096), (0, 0));
        // SAFETY: the block has 40 bytes.
        assert_eq!(unsafe { std::slice::from_raw_parts(small, 40) }, [0; 40]);
        assert_eq!(pool::bytes(), 5040);
        free(small);
        free(large);
        assert_eq!((pool::bytes(), pool::peak_bytes()), (0, 5040));
        driver::report_leftovers();
    });
}

#[test]
fn a_block_that_asks_for_no_zeros_gets_none() {
    clean(|| {
        let block = allocate(NON_PAGED | 2, 1);
        // SAFETY: the block has one byte.
        assert_ne!(unsafe { block.read() }, 0);
        free(block);
    });
}

#[test]
fn an_injected_fault_lets_one_allocation_fail() {
    clean(|| {
        pool::fail_after(1);
        let blocks = [(); 3].map(|()| allocate(NON_PAGED, 8));
        assert_eq!(blocks.map(|block| block.is_null()), [false, true, false]);
        free(blocks[0]);
        free(blocks[2]);
    });
}

#[test]
fn a_leak_is_reported_with_its_tag() {
    let text = breaks(Rule::Pool, || {
        allocate(NON_PAGED, 24);
        driver::report_leftovers();
    });
    assert!(text.contains("24 bytes") && text.contains("'Test'"), "{text}");
}

#[test]
fn a_double_free_is_reported() {
    breaks(Rule::Pool, || {
        let block = allocate(NON_PAGED, 24);
        free(block);
        free(block);
    });
}

#[test]
fn a_wrong_tag_is_reported_and_no_tag_is_not() {
    breaks(Rule::Pool, || {
        let block = allocate(NON_PAGED, 24);
        // SAFETY: a live block.
        unsafe { ExFreePoolWithTag(block, TAG + 1) };
    });
    clean(|| {
        let block = allocate(NON_PAGED, 24);
        // SAFETY: a live block.
        unsafe { ExFreePool(block) };
    });
}

#[test]
fn zero_bytes_are_reported() {
    breaks(Rule::Pool, || {
        free(allocate(NON_PAGED, 0));
    });
}

#[test]
fn executable_pool_is_reported() {
    breaks(Rule::Pool, || {
        assert!(allocate(0x80, 16).is_null());
    });
}

#[test]
fn flags_without_a_kind_are_reported() {
    breaks(Rule::Argument, || {
        assert!(allocate(0, 16).is_null());
    });
}

#[test]
fn a_write_into_the_slack_after_a_block_is_reported_when_it_is_freed() {
    breaks(Rule::Pool, || {
        let block = allocate(NON_PAGED, 20);
        write(block.wrapping_add(20));
        free(block);
    });
}

#[test]
fn a_write_before_a_block_is_reported_when_it_is_freed() {
    breaks(Rule::Pool, || {
        let block = allocate(NON_PAGED, 20);
        write(block.wrapping_sub(1));
        free(block);
    });
}

#[test]
fn a_write_beyond_a_block_faults() {
    let text = breaks(Rule::Access, || {
        let block = allocate(NON_PAGED, 32);
        write(block.wrapping_add(32));
    });
    assert!(text.contains("0 bytes after the end of pool block 'Test' (32 bytes"), "{text}");
}

#[test]
fn a_write_to_a_freed_block_faults() {
    let text = breaks(Rule::Access, || {
        let block = allocate(NON_PAGED, 32);
        free(block);
        write(block.wrapping_add(3));
    });
    assert!(text.contains("3 bytes into freed pool block 'Test'"), "{text}");
}

#[test]
fn paged_pool_is_gone_at_dispatch_level_and_back_below() {
    clean(|| {
        let block = allocate(PAGED, 32);
        write(block);
        // SAFETY: lowered again below.
        let old = unsafe { KeRaiseIrqlToDpcLevel() };
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
        write(block);
        free(block);
    });
    let text = breaks(Rule::Access, || {
        let block = allocate(PAGED, 32);
        // SAFETY: the machine stops before it matters that nobody lowers again.
        unsafe { KeRaiseIrqlToDpcLevel() };
        write(block);
    });
    assert!(text.contains("paged out"), "{text}");
}

#[test]
fn paged_pool_cannot_be_allocated_at_dispatch_level() {
    breaks(Rule::Irql, || {
        // SAFETY: lowered again below.
        let old = unsafe { KeRaiseIrqlToDpcLevel() };
        allocate(PAGED, 32);
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
    });
}

#[test]
fn a_function_of_the_kernel_that_gets_a_freed_block_is_the_drivers_fault() {
    breaks(Rule::Access, || {
        let block = allocate(NON_PAGED, 32);
        free(block);
        // SAFETY: not memory for an event any more.
        unsafe { KeInitializeEvent(block.cast(), 0, 0) };
    });
}
