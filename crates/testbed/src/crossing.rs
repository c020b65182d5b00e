//! The border between Windows and the driver.
//!
//! Windows calls the driver through [`call_driver`]; the driver calls Windows through functions made with
//! [`import!`](crate::import). Both push a [`Frame`] on the thread, so that a violation can say where it happened, and
//! check what holds at every border: IRQL limits, IRQL and locks balanced, stack use, switch points.

use crate::schedule::{self, Irql};
use crate::verifier::{self, Rule};

/// A call across the border that is under way.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The function, such as `KeSetEvent` or `IMiniportWaveRTStream::SetState`.
    pub name: &'static str,
    /// Into the driver, or out of it.
    pub direction: Direction,
    /// IRQL at entry.
    pub irql: Irql,
    /// An address near the top of the stack at entry.
    pub stack: usize,
}

/// Which way a call crosses the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Windows calls the driver.
    Inward,
    /// The driver calls Windows.
    Outward,
}

/// Calls driver code: `body` makes the call. Checks that it comes back at the IRQL it left at.
pub fn call_driver<T>(name: &'static str, body: impl FnOnce() -> T) -> T {
    schedule::switch_point();
    let irql = enter(name, Direction::Inward);
    let value = body();
    let thread = schedule::current();
    thread.frames.borrow_mut().pop();
    if thread.irql.get() != irql {
        verifier::record(Rule::IrqlUnbalanced, format!("{name} was called at IRQL {irql} and returned at {}", thread.irql.get()));
        thread.irql.set(irql);
    }
    value
}

/// Runs the body of an imported function for the driver. Checks its IRQL limit; may switch threads.
pub fn serve_driver<T>(name: &'static str, max_irql: Irql, body: impl FnOnce() -> T) -> T {
    schedule::switch_point();
    let irql = enter(name, Direction::Outward);
    if irql > max_irql {
        verifier::record(Rule::Irql, format!("{name} may be called at IRQL {max_irql} at most, and was called at {irql}"));
    }
    let value = body();
    schedule::current().frames.borrow_mut().pop();
    value
}

fn enter(name: &'static str, direction: Direction) -> Irql {
    let thread = schedule::current();
    let marker = 0u8;
    let irql = thread.irql.get();
    thread.frames.borrow_mut().push(Frame { name, direction, irql, stack: (&raw const marker).addr() });
    irql
}

/// Defines a function that a driver can import: its documented highest IRQL, and what it does.
///
/// `import! { /// doc
///   pub fn KeSetEvent(event: *mut KEvent, increment: i32, wait: u8) -> i32, irql <= DISPATCH_LEVEL; { ... } }`
///
/// `extern "efiapi"` is the calling convention of the Windows kernel on every processor.
#[macro_export]
macro_rules! import {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, irql <= $irql:expr; $body:block) => {
        $(#[$meta])*
        #[allow(non_snake_case, reason = "the names are the kernel's")]
        $vis unsafe extern "efiapi" fn $name($($arg: $ty),*) $(-> $ret)? {
            $crate::crossing::serve_driver(stringify!($name), $irql, || $body)
        }
    };
}
