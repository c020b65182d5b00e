//! The values of the options, and shared memory.

use super::report::Report;
use crate::commands::options::{Settings, not_an_option, shown, text, why};
use crate::failure::Failure;

/// Whether all that is stored is used.
pub fn options(settings: &Settings, report: &mut Report) {
    let check = "options";
    let reading = settings.reading();
    for ignored in &reading.ignored {
        let name = text(ignored.option.name);
        let Some(value) = settings.value(ignored.option) else { continue };
        let shown = shown(value);
        let entry = usize::try_from(ignored.entry).ok().and_then(|entry| shown.get(entry.checked_sub(1)?));
        let shown = entry.cloned().unwrap_or_else(|| shown.join(", "));
        let what = format!("{name} {shown} is {}", why(ignored, value));
        if ignored.wrong {
            let accepted = text(ignored.option.accepted);
            report.wrong(
                check,
                &Failure::new(what, format!("set what is accepted, which is {accepted}, or unset it")),
            );
        } else {
            report.note(check, &what);
        }
    }
    for stranger in settings.strangers() {
        report.note(check, &not_an_option(stranger));
    }
    let count = settings.of_options().count();
    let names: Vec<&str> = settings.of_options().map(|(option, _)| text(option.name)).collect();
    match count {
        0 => report.ok(check, "none is set"),
        _ if reading.ignored.is_empty() => {
            report.ok(check, &format!("all that are set are used: {}", names.join(", ")))
        }
        _ => {}
    }
}

/// Whether audio goes to shared memory.
pub fn shared_memory(settings: &Settings, report: &mut Report) {
    let check = "memory";
    let options = settings.reading().options;
    match (options.ivshmem, options.ivshmem_fallback) {
        (None, _) => report.ok(check, "no shared memory is used"),
        (Some(size), false) => {
            report.note(check, &format!("audio goes to the IVSHMEM device of {size} MiB and to no network"));
        }
        (Some(size), true) => {
            report.note(
                check,
                &format!(
                    "audio goes to the IVSHMEM device of {size} MiB, and to the network while there is none"
                ),
            );
        }
    }
}
