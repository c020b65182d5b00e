//! An administrator's rights: they are looked for before anything else, and asked for if the user wants that.

use std::ffi::OsString;

use super::Result;
use crate::Outcome;
use crate::arguments::{Arguments, Command, Install, Rights, Uninstall};
use crate::computer::{ApiError, Computer, Machine};
use crate::console::Console;
use crate::failure::{Failure, explain};

const CANCELLED: u32 = 1223;
/// `ERROR_FILE_NOT_FOUND`, `ERROR_PATH_NOT_FOUND`, `ERROR_BAD_NETPATH`, `ERROR_BAD_NET_NAME`: an administrator does not
/// see the network drives of the user who asked.
const NOT_THERE: [u32; 4] = [2, 3, 53, 67];

/// The processor that this program was built for.
const BUILT_FOR: Machine = if cfg!(target_arch = "aarch64") { Machine::Arm64 } else { Machine::X64 };

/// Fails unless this process has an administrator's rights.
///
/// # Errors
/// It has not, or Windows does not tell.
pub fn require(computer: &dyn Computer) -> Result<()> {
    if computer.is_elevated()? {
        return Ok(());
    }
    Err(Failure::new(
        "this needs an administrator's rights",
        "start it from a command prompt that was opened with \"Run as administrator\"",
    ))
}

/// Fails unless this program was built for the computer's processor: Windows installs devices for no other.
///
/// # Errors
/// It was built for another, or Windows does not tell.
pub fn require_native(computer: &dyn Computer) -> Result<()> {
    let machine = computer.machine()?;
    if machine == BUILT_FOR {
        return Ok(());
    }
    let what = format!("this screamctl is for {}, and this computer is {}", name(BUILT_FOR), name(machine));
    Err(match machine {
        Machine::X64 => Failure::new(what, r"start x64\screamctl.exe of the package"),
        Machine::Arm64 => Failure::new(what, r"start arm64\screamctl.exe of the package"),
        Machine::Other(_) => Failure::new(what, "there is no driver for it"),
    })
}

fn name(machine: Machine) -> String {
    match machine {
        Machine::X64 => "x64".to_owned(),
        Machine::Arm64 => "ARM64".to_owned(),
        Machine::Other(number) => format!("of another kind (0x{number:04X})"),
    }
}

/// Runs the command once more with an administrator's rights, if it needs them, does not have them, and the user wants to
/// be asked for them. `None`: it is for this process to run.
///
/// # Errors
/// The user said no, or the other process failed.
pub fn elevate(
    arguments: &Arguments,
    computer: &dyn Computer,
    console: &mut dyn Console,
) -> Result<Option<Outcome>> {
    let Some(again) = arguments.rights().filter(|rights| rights.elevate).and_then(|_| elevated(arguments))
    else {
        return Ok(None);
    };
    if computer.is_elevated()? {
        return Ok(None);
    }
    console.step("rights", "Windows asks for an administrator's rights");
    let code = computer.run_elevated(&again).map_err(refused)?;
    match code {
        crate::DONE => Ok(Some(Outcome::Done)),
        crate::RESTART_NEEDED => {
            console.step("restart", "Windows has to be restarted to complete it");
            Ok(Some(Outcome::RestartNeeded))
        }
        code => Err(Failure::plain(format!(
            "the part with an administrator's rights failed (exit code {code}): its window said why"
        ))),
    }
}

fn refused(error: ApiError) -> Failure {
    let failure = explain(error);
    match error.code {
        CANCELLED => Failure::new(
            "the question of Windows for an administrator's rights was answered with No",
            "nothing was changed",
        ),
        code if NOT_THERE.contains(&code) => Failure::new(
            failure.what,
            "an administrator does not see network drives: copy the package to a disk of this computer",
        ),
        _ => failure,
    }
}

/// The arguments for the process with an administrator's rights. It is not to ask for them again: where it gets none, that
/// would never end.
fn elevated(arguments: &Arguments) -> Option<Vec<OsString>> {
    let mut again = Vec::new();
    let mut flag = |given: bool, flag: &str| {
        if given {
            again.push(OsString::from(flag));
        }
    };
    let Rights { unattended, .. } = match &arguments.command {
        Command::Install(Install { trust_certificate, try_signature, replace_old, rights, .. }) => {
            flag(true, "install");
            flag(*trust_certificate, "--trust-certificate");
            flag(*try_signature, "--try-signature");
            flag(*replace_old, "--replace-old");
            rights
        }
        Command::Uninstall(Uninstall { keep_options, rights }) => {
            flag(true, "uninstall");
            flag(*keep_options, "--keep-options");
            rights
        }
        _ => return None,
    };
    flag(*unattended, "--unattended");
    flag(true, "--own-window");
    if let Command::Install(Install { package: Some(folder), .. }) = &arguments.command {
        // The other process may begin in another folder.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        again.extend(["--package".into(), folder.into_os_string()]);
    }
    Some(again)
}
