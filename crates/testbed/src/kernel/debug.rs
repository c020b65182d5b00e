//! Debug output and bug checks.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;

use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::{NtStatus, UnicodeString};
use crate::schedule::{self, DISPATCH_LEVEL, Time};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: u8 = 15;

/// What drivers printed.
#[derive(Default)]
pub(crate) struct DebugOutput {
    lines: RefCell<Vec<(Time, String)>>,
    /// The last line has no line feed yet.
    open: Cell<bool>,
}

/// Takes what was printed so far, line by line, with the time of each.
pub(crate) fn take_output() -> Vec<(Time, String)> {
    machine().part::<DebugOutput>().lines.take()
}

/// What was printed so far, in one string.
pub fn output() -> String {
    let output = machine().part::<DebugOutput>();
    let lines = output.lines.borrow();
    lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
}

/// Adds text to the debug output.
pub fn print(text: &str) {
    let machine = machine();
    let output = machine.part::<DebugOutput>();
    let mut lines = output.lines.borrow_mut();
    for piece in text.split_inclusive('\n') {
        let line = piece.trim_end_matches(['\n', '\r']);
        if output.open.replace(!piece.ends_with('\n')) {
            if let Some((_, last)) = lines.last_mut() {
                last.push_str(line);
            }
        } else {
            lines.push((schedule::now(), line.to_owned()));
            crate::trace::note(|| format!("the driver prints: {line}"));
        }
    }
    if machine.config.echo_debug_output {
        eprint!("{text}");
    }
}

/// The arguments of a variadic call, as 8-byte slots in order.
///
/// On x64 every argument has a slot, the first four in the space that the caller reserves for registers; on arm64
/// Windows passes variadic arguments like integers, the first eight in x0 to x7. The thunks below lay them out alike.
struct Arguments(*const u64);

impl Arguments {
    fn next(&mut self) -> u64 {
        // SAFETY: the thunk passes the address of the caller's argument slots. A format that asks for more than the
        // caller passed reads further up the stack, as it does in Windows.
        let value = unsafe { self.0.read() };
        // SAFETY: stays within the simulated thread's stack, of which far more than the arguments is above.
        self.0 = unsafe { self.0.add(1) };
        value
    }
}

/// `unsigned long DbgPrint(const char *format, ...)`
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[allow(non_snake_case, reason = "the name is the kernel's")]
unsafe extern "efiapi" fn DbgPrint() {
    core::arch::naked_asm!(
        "mov [rsp + 0x08], rcx",
        "mov [rsp + 0x10], rdx",
        "mov [rsp + 0x18], r8",
        "mov [rsp + 0x20], r9",
        "lea rdx, [rsp + 0x10]",
        "jmp {print}",
        print = sym dbg_print,
    )
}

/// `unsigned long DbgPrintEx(unsigned long component, unsigned long level, const char *format, ...)`
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[allow(non_snake_case, reason = "the name is the kernel's")]
unsafe extern "efiapi" fn DbgPrintEx() {
    core::arch::naked_asm!(
        "mov [rsp + 0x18], r8",
        "mov [rsp + 0x20], r9",
        "mov rcx, r8",
        "lea rdx, [rsp + 0x20]",
        "jmp {print}",
        print = sym dbg_print,
    )
}

/// `unsigned long DbgPrint(const char *format, ...)`
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[allow(non_snake_case, reason = "the name is the kernel's")]
unsafe extern "efiapi" fn DbgPrint() {
    // The registers go right below the caller's stack arguments, so that all slots are in one row.
    core::arch::naked_asm!(
        "stp x6, x7, [sp, #-16]!",
        "stp x4, x5, [sp, #-16]!",
        "stp x2, x3, [sp, #-16]!",
        "stp x0, x1, [sp, #-16]!",
        "add x1, sp, #8",
        "stp x29, x30, [sp, #-16]!",
        "bl {print}",
        "ldp x29, x30, [sp], #16",
        "add sp, sp, #64",
        "ret",
        print = sym dbg_print,
    )
}

/// `unsigned long DbgPrintEx(unsigned long component, unsigned long level, const char *format, ...)`
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[allow(non_snake_case, reason = "the name is the kernel's")]
unsafe extern "efiapi" fn DbgPrintEx() {
    core::arch::naked_asm!(
        "stp x6, x7, [sp, #-16]!",
        "stp x4, x5, [sp, #-16]!",
        "stp x2, x3, [sp, #-16]!",
        "stp x0, x1, [sp, #-16]!",
        "mov x0, x2",
        "add x1, sp, #24",
        "stp x29, x30, [sp, #-16]!",
        "bl {print}",
        "ldp x29, x30, [sp], #16",
        "add sp, sp, #64",
        "ret",
        print = sym dbg_print,
    )
}

import! {
    fn dbg_print(format: *const u8, arguments: *const u64) -> NtStatus, irql <= HIGH_LEVEL; {
        let irql = schedule::current().irql.get();
        // The documentation allows calls above DISPATCH_LEVEL only without Unicode conversions; `format_text` checks.
        print(&format_text(format, Arguments(arguments), irql));
        NtStatus::SUCCESS
    }
}

/// `printf` as the kernel has it: the conversions that drivers use.
fn format_text(format: *const u8, mut arguments: Arguments, irql: u8) -> String {
    let format = bytes_until_nul(format, usize::MAX);
    let mut text = String::new();
    let mut rest = format.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            text.push(char::from(byte));
            continue;
        }
        let mut take = |set: &[u8]| {
            let mut taken = Vec::new();
            while let Some(byte) = rest.next_if(|byte| set.contains(byte)) {
                taken.push(byte);
            }
            taken
        };
        let flags = take(b"-+ #0");
        let mut number = |arguments: &mut Arguments| match take(b"*").first() {
            Some(_) => Some(arguments.next() as i32 as i64),
            None => String::from_utf8(take(b"0123456789")).ok().and_then(|digits| digits.parse().ok()),
        };
        let width = number(&mut arguments).unwrap_or(0);
        let precision = if take(b".").is_empty() {
            None
        } else {
            let mut number = |arguments: &mut Arguments| match take(b"*").first() {
                Some(_) => Some(arguments.next() as i32 as i64),
                None => String::from_utf8(take(b"0123456789")).ok().and_then(|digits| digits.parse().ok()),
            };
            Some(number(&mut arguments).unwrap_or(0).max(0) as usize)
        };
        let size = take(b"hlwIjzt64");
        let Some(conversion) = rest.next() else { break };
        let converted = convert(conversion, &size, precision, &flags, &mut arguments, irql);
        pad(&mut text, &converted, width, &flags);
    }
    text
}

fn convert(
    conversion: u8,
    size: &[u8],
    precision: Option<usize>,
    flags: &[u8],
    arguments: &mut Arguments,
    irql: u8,
) -> String {
    // "I64", "ll", "I", "j", "z" and "t" are eight bytes; "l" is four.
    let is_long = matches!(size, b"ll" | b"I64" | b"I" | b"j" | b"z" | b"t");
    let is_wide = matches!(size, b"l" | b"w");
    let unsigned = |arguments: &mut Arguments| match arguments.next() {
        value if is_long => value,
        value if size == b"h" => u64::from(value as u16),
        value => u64::from(value as u32),
    };
    let digits = |digits: String| format!("{digits:0>width$}", width = precision.unwrap_or(1));
    match conversion {
        b'd' | b'i' => {
            let value = unsigned(arguments);
            let value = if is_long { value as i64 } else { i64::from(value as i32) };
            let sign = if value < 0 {
                "-"
            } else if flags.contains(&b'+') {
                "+"
            } else {
                ""
            };
            format!("{sign}{}", digits(value.unsigned_abs().to_string()))
        }
        b'u' => digits(unsigned(arguments).to_string()),
        b'x' if flags.contains(&b'#') => format!("0x{}", digits(format!("{:x}", unsigned(arguments)))),
        b'x' => digits(format!("{:x}", unsigned(arguments))),
        b'X' if flags.contains(&b'#') => format!("0X{}", digits(format!("{:X}", unsigned(arguments)))),
        b'X' => digits(format!("{:X}", unsigned(arguments))),
        b'o' => digits(format!("{:o}", unsigned(arguments))),
        b'p' => format!("{:016X}", arguments.next()),
        b'c' => char::from_u32(arguments.next() as u32 & 0xFFFF).unwrap_or('?').to_string(),
        b's' if !is_wide => {
            let bytes = bytes_until_nul(
                std::ptr::with_exposed_provenance(arguments.next() as usize),
                precision.unwrap_or(usize::MAX),
            );
            String::from_utf8_lossy(&bytes).into_owned()
        }
        b'S' | b's' => {
            wide_at_passive(irql);
            let units = units_until_nul(
                std::ptr::with_exposed_provenance(arguments.next() as usize),
                precision.unwrap_or(usize::MAX),
            );
            String::from_utf16_lossy(&units)
        }
        b'Z' if is_wide => {
            wide_at_passive(irql);
            let string: *const UnicodeString = std::ptr::with_exposed_provenance(arguments.next() as usize);
            // SAFETY: the format says that the driver passes a counted string; a wrong pointer faults and is reported.
            unsafe { string.as_ref() }.map_or_else(
                || "(null)".to_owned(),
                |string| {
                    // SAFETY: as above.
                    unsafe { string.to_text() }
                },
            )
        }
        b'%' => "%".to_owned(),
        other => {
            let text = format!("the format of DbgPrint has an unknown conversion %{}", char::from(other));
            verifier::record(Rule::Argument, text);
            String::new()
        }
    }
}

fn wide_at_passive(irql: u8) {
    if irql > schedule::PASSIVE_LEVEL {
        let text =
            format!("DbgPrint prints Unicode text at PASSIVE_LEVEL only, and was called at IRQL {irql}");
        verifier::record(Rule::Irql, text);
    }
}

fn pad(text: &mut String, converted: &str, width: i64, flags: &[u8]) {
    let left = flags.contains(&b'-') || width < 0;
    let width = width.unsigned_abs() as usize;
    let written = if left {
        write!(text, "{converted:<width$}")
    } else if flags.contains(&b'0') {
        // Zeros go between the sign or prefix and the digits.
        let prefix =
            ["0x", "0X", "-", "+"].into_iter().find(|prefix| converted.starts_with(prefix)).unwrap_or("");
        let digits = &converted[prefix.len()..];
        write!(text, "{prefix}{digits:0>width$}", width = width.saturating_sub(prefix.len()))
    } else {
        write!(text, "{converted:>width$}")
    };
    written.expect("writing to a string");
}

fn bytes_until_nul(start: *const u8, limit: usize) -> Vec<u8> {
    if start.is_null() {
        return b"(null)".to_vec();
    }
    // SAFETY: the driver passes a string; if it does not end, the read faults and is reported.
    (0..limit).map(|index| unsafe { start.add(index).read() }).take_while(|byte| *byte != 0).collect()
}

fn units_until_nul(start: *const u16, limit: usize) -> Vec<u16> {
    if start.is_null() {
        return "(null)".encode_utf16().collect();
    }
    // SAFETY: as in `bytes_until_nul`.
    (0..limit)
        .map(|index| unsafe { start.add(index).read_unaligned() })
        .take_while(|unit| *unit != 0)
        .collect()
}

import! {
    /// Stops the machine.
    pub fn KeBugCheckEx(code: u32, parameter1: usize, parameter2: usize, parameter3: usize, parameter4: usize),
    irql <= HIGH_LEVEL; {
        let text = format!("code {code:#x} ({parameter1:#x}, {parameter2:#x}, {parameter3:#x}, {parameter4:#x})");
        verifier::fatal(Rule::BugCheck, text);
    }

    /// Stops the machine.
    pub fn KeBugCheck(code: u32), irql <= HIGH_LEVEL; {
        verifier::fatal(Rule::BugCheck, format!("code {code:#x}"));
    }

    /// Stops in the debugger, if there were one.
    pub fn DbgBreakPoint(), irql <= HIGH_LEVEL; {
        verifier::fatal(Rule::BugCheck, "a breakpoint without a debugger");
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": DbgPrint, DbgPrintEx, KeBugCheck, KeBugCheckEx, DbgBreakPoint];

const _: () = assert!(DISPATCH_LEVEL < HIGH_LEVEL);
