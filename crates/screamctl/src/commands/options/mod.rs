//! `screamctl options`: what the user can choose, judged by the driver's own rules.

mod change;
mod holds;
mod list;
mod names;
mod settings;
mod values;

pub use change::{delete, judge, store, without_network};
pub use list::{not_an_option, why};
pub use settings::{Reading, Settings, text};
pub use values::{entries, quoted, shown};

use super::{Result, rights};
use crate::arguments::Options;
use crate::computer::Computer;
use crate::console::Console;

/// Shows or changes options. Changes need an administrator's rights, and those are looked for first.
pub fn run(command: &Options, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    if matches!(command, Options::Set { .. } | Options::Unset { .. } | Options::Reset) {
        rights::require(computer)?;
    }
    match command {
        Options::List => list::list(computer, console),
        Options::Get { name } => list::get(name, computer, console),
        Options::Set { name, values } => change::set(name, values, computer, console),
        Options::Unset { name } => change::unset(name, computer, console),
        Options::Reset => change::reset(computer, console),
    }
}
