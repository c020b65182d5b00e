//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

/// Installs, sets up, examines and removes Scream, the virtual sound card that plays over the network.
#[derive(Debug, Parser)]
#[command(name = "screamctl", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// The rights of a command that cannot do without an administrator's.
    pub const fn rights(&self) -> Option<&Rights> {
        match &self.command {
            Command::Install(Install { rights, .. }) | Command::Uninstall(Uninstall { rights, .. }) => {
                Some(rights)
            }
            _ => None,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the driver, or bring it up to the version of this package.
    Install(Install),
    /// Remove the driver, its device, its options, and the test certificate if there is one.
    Uninstall(Uninstall),
    /// Show what is installed.
    Status,
    /// Show and set the driver's options.
    Options {
        /// What to do with them.
        #[command(subcommand)]
        command: Options,
    },
    /// Show and set where packets go.
    Targets {
        /// What to do with them; shows them if nothing is said.
        #[command(subcommand)]
        command: Option<Targets>,
    },
    /// Play a tone on each channel in turn.
    TestTone(TestTone),
    /// Go through all that has to be right for sound to arrive, and say what is not.
    Doctor,
}

/// Rights and questions, as `install.bat` needs them.
#[derive(Debug, Clone, Args)]
pub struct Rights {
    /// Ask Windows for an administrator's rights if they are missing.
    #[arg(long)]
    pub elevate: bool,
    /// Ask nothing, and wait for nobody.
    #[arg(long)]
    pub unattended: bool,
    /// Wait for Enter at the end: the window was opened for this program.
    #[arg(long, hide = true)]
    pub own_window: bool,
}

/// What to install, and how far to go for it.
#[derive(Debug, Args)]
pub struct Install {
    /// The folder of the unpacked package [default: the one above this program's].
    #[arg(long, value_name = "FOLDER")]
    pub package: Option<PathBuf>,
    /// Trust the package's test certificate, without a question.
    #[arg(long)]
    pub trust_certificate: bool,
    /// Do not look first whether Windows will accept the signature: try, and take it back if it does not.
    #[arg(long)]
    pub try_signature: bool,
    /// Remove the older Scream driver that is written in C++, without a question.
    #[arg(long)]
    pub replace_old: bool,
    /// Rights and questions.
    #[command(flatten)]
    pub rights: Rights,
}

/// What to leave behind.
#[derive(Debug, Args)]
pub struct Uninstall {
    /// Leave the options for the next installation.
    #[arg(long)]
    pub keep_options: bool,
    /// Rights and questions.
    #[command(flatten)]
    pub rights: Rights,
}

/// What to do with the options.
#[derive(Debug, Subcommand)]
pub enum Options {
    /// All options: what is set, what holds, what is accepted.
    List,
    /// What holds for one option.
    Get {
        /// The option, such as TTL.
        name: String,
    },
    /// Set an option.
    Set {
        /// The option, such as TTL.
        name: String,
        /// Its value. `Targets` takes several.
        #[arg(required = true, allow_hyphen_values = true)]
        values: Vec<String>,
    },
    /// Delete an option: its default holds.
    Unset {
        /// The option, such as TTL.
        name: String,
    },
    /// Delete all options.
    Reset,
}

/// What to do with the targets.
#[derive(Debug, Subcommand)]
pub enum Targets {
    /// Show them, and the way that packets take to each.
    List,
    /// Send to these, too.
    Add {
        /// Addresses: 192.168.1.20, 192.168.1.20:4011, `[2001:db8::20]:4010`, multicast, multicast6.
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Send to these no longer.
    Remove {
        /// Targets as `targets list` shows them.
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Send to these only.
    Set {
        /// Addresses, as for `add`.
        #[arg(required = true)]
        targets: Vec<String>,
    },
}

/// What to play.
#[derive(Debug, Args)]
pub struct TestTone {
    /// Seconds for each channel.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Send the tone from this program straight to the targets: this tries the network without the driver.
    #[arg(long)]
    pub direct: bool,
}

/// What a command line turned out to be.
pub enum Parsed {
    /// A command.
    Arguments(Arguments),
    /// A question for help or the version, and the answer.
    Help(String),
    /// Nonsense, and what is wrong with it.
    Misuse(String),
}

/// Reads a command line that begins with the program's name.
pub fn parse(arguments: Vec<OsString>) -> Parsed {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => Parsed::Arguments(arguments),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Parsed::Help(error.to_string()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Parsed::Misuse(error.to_string()),
            _ => Parsed::Misuse(in_one_line(&error.to_string())),
        },
    }
}

/// What is wrong with a command line, without the usage that follows it.
fn in_one_line(error: &str) -> String {
    let what = error.split("\n\nUsage:").next().unwrap_or(error);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let paragraphs = what.split("\n\n").map(|part| {
        let lines: Vec<_> = part.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" ")
    });
    format!("{} (screamctl --help shows what is accepted)\n", paragraphs.collect::<Vec<_>>().join("; "))
}
