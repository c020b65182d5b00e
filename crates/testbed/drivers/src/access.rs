//! Memory that is not the driver's, instructions that it may not have, and bug checks.

use core::arch::asm;
use core::hint::black_box;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("access_null", null),
    ("access_wild", wild),
    ("access_text_written", text_written),
    ("access_constant_written", constant_written),
    ("access_data_executed", data_executed),
    ("access_bad_argument", bad_argument),
    ("access_trap", trap),
    ("access_breakpoint", breakpoint),
    ("access_division", division),
    ("access_fast_fail", fast_fail),
    ("access_stack_exhausted", stack_exhausted),
    ("bug_check_ex", bug_check_ex),
    ("bug_check", bug_check),
    ("bug_check_breakpoint", debugger),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

pub(crate) unsafe fn read_at(well: bool, address: usize) -> NtStatus {
    let mine = slot::<u8>(0);
    let place = if well { mine } else { core::ptr::with_exposed_provenance_mut(black_box(address)) };
    place.read_volatile();
    SUCCESS
}

unsafe fn null(well: bool) -> NtStatus {
    read_at(well, 0x18)
}

unsafe fn wild(well: bool) -> NtStatus {
    let mine = slot::<u8>(0);
    let place = if well { mine } else { core::ptr::with_exposed_provenance_mut(black_box(0x1234_5678_9000)) };
    place.write_volatile(1);
    SUCCESS
}

unsafe fn text_written(well: bool) -> NtStatus {
    if !well {
        let function = text_written as unsafe fn(bool) -> NtStatus as *mut u8;
        function.write_volatile(0xC3);
    }
    SUCCESS
}

unsafe fn constant_written(well: bool) -> NtStatus {
    static CONSTANT: [u8; 16] = [7; 16];
    let place = if well { slot::<u8>(0) } else { black_box(CONSTANT.as_ptr()).cast_mut() };
    place.write_volatile(1);
    SUCCESS
}

unsafe fn data_executed(well: bool) -> NtStatus {
    let place = slot::<u8>(0);
    // `ret`, which is not reached.
    place.write_volatile(0xC3);
    if !well {
        let function = core::mem::transmute::<*mut u8, unsafe extern "system" fn()>(place);
        function();
    }
    SUCCESS
}

unsafe fn bad_argument(well: bool) -> NtStatus {
    let lock: *mut usize = if well { slot(0) } else { core::ptr::with_exposed_provenance_mut(black_box(8)) };
    KeInitializeSpinLock(lock);
    SUCCESS
}

unsafe fn trap(well: bool) -> NtStatus {
    if !well {
        #[cfg(target_arch = "x86_64")]
        asm!("ud2");
        #[cfg(target_arch = "aarch64")]
        asm!("udf #0");
    }
    SUCCESS
}

unsafe fn breakpoint(well: bool) -> NtStatus {
    if !well {
        #[cfg(target_arch = "x86_64")]
        asm!("int3");
        #[cfg(target_arch = "aarch64")]
        asm!("brk #0xF000");
    }
    SUCCESS
}

unsafe fn division(well: bool) -> NtStatus {
    let divisor = u32::from(well);
    #[cfg(target_arch = "x86_64")]
    asm!("div {:e}", in(reg) divisor, inout("eax") 1 => _, inout("edx") 0 => _);
    // The processor divides by zero without a fault, so Microsoft's compiler puts this in front.
    #[cfg(target_arch = "aarch64")]
    asm!("cbnz {:w}, 2f", "brk #0xF004", "2:", in(reg) divisor);
    SUCCESS
}

unsafe fn fast_fail(well: bool) -> NtStatus {
    if !well {
        #[cfg(target_arch = "x86_64")]
        asm!("int 0x29", in("ecx") 7);
        #[cfg(target_arch = "aarch64")]
        asm!("brk #0xF003", in("w0") 7);
    }
    SUCCESS
}

#[inline(never)]
fn endless(depth: u64) -> u64 {
    let mut local = [depth; 128];
    black_box(&mut local);
    if depth == 0 { 0 } else { endless(black_box(depth - 1)) + black_box(&local)[5] }
}

unsafe fn stack_exhausted(well: bool) -> NtStatus {
    endless(black_box(if well { 3 } else { u64::MAX }));
    SUCCESS
}

unsafe fn bug_check_ex(well: bool) -> NtStatus {
    if !well {
        KeBugCheckEx(0xE2, 1, 2, 3, 4);
    }
    SUCCESS
}

unsafe fn bug_check(well: bool) -> NtStatus {
    if !well {
        KeBugCheck(0xE2);
    }
    SUCCESS
}

unsafe fn debugger(well: bool) -> NtStatus {
    if !well {
        DbgBreakPoint();
    }
    SUCCESS
}
