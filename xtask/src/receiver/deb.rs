//! The Debian package of `scream`: [`make`] makes it, looks at what is in it, unpacks it and runs what was unpacked.
//!
//! `cargo deb` packs what `[package.metadata.deb]` of the receiver's manifest lists. The manual page and the completions of
//! shells are printed by the program itself. The package gets its name only when all has been looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::prerequisites::{CARGO_DEB, DPKG_SHLIBDEPS, Need, SYSTEMD, sound};
use crate::process::{answer, cargo, run, target_directory};

/// The files of the package, and their modes.
const FILES: [(&str, &str); 9] = [
    ("usr/bin/scream", "-rwxr-xr-x"),
    ("usr/lib/systemd/user/scream.service", "-rw-r--r--"),
    ("usr/share/bash-completion/completions/scream", "-rw-r--r--"),
    ("usr/share/doc/scream/CHANGELOG.md", "-rw-r--r--"),
    ("usr/share/doc/scream/copyright", "-rw-r--r--"),
    ("usr/share/doc/scream/receiver.md", "-rw-r--r--"),
    ("usr/share/fish/vendor_completions.d/scream.fish", "-rw-r--r--"),
    ("usr/share/man/man1/scream.1.gz", "-rw-r--r--"),
    ("usr/share/zsh/vendor-completions/_scream", "-rw-r--r--"),
];

/// The manual page.
const MANUAL: &str = "scream.1";

/// Texts that the program prints: what they are called for `cargo deb`, and the arguments.
const TEXTS: [(&str, &[&str]); 4] = [
    (MANUAL, &["--man"]),
    ("scream.bash", &["--completions", "bash"]),
    ("_scream", &["--completions", "zsh"]),
    ("scream.fish", &["--completions", "fish"]),
];

/// What the package is made with, besides Rust.
pub fn needs() -> Vec<Need> {
    [sound::build_needs(), vec![CARGO_DEB, DPKG_SHLIBDEPS, SYSTEMD]].concat()
}

/// Makes the package in a folder, and returns its path.
///
/// # Errors
/// It does not build, or is not as it should be.
pub fn make(output: &Path) -> Result<PathBuf> {
    let features: Vec<_> = sound::FEATURES.iter().collect();
    let program = super::build(&features)?;
    write_texts(&program)?;
    fs::create_dir_all(output).with_context(|| format!("cannot make the folder {}", output.display()))?;
    let place = tempfile::Builder::new().prefix(".scream-").tempdir_in(output);
    let place = place.with_context(|| format!("cannot write to {}", output.display()))?;
    let made = place.path().join("scream.deb");
    let arguments = ["deb", "--package", "receiver", "--no-build", "--strip", "--quiet", "--output"];
    // It prints the path, which is not the last one.
    run(cargo(".", &arguments).arg(&made).stdout(Stdio::null()))?;
    let architecture = field(&made, "Architecture")?;
    let finished = output.join(format!("scream_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
    check(&made, place.path())?;
    fs::rename(&made, &finished).with_context(|| format!("cannot write {}", finished.display()))?;
    Ok(finished)
}

/// Has the program print its texts to where the manifest says that they are.
fn write_texts(program: &Path) -> Result<()> {
    let folder = target_directory().join("release/scream-texts");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, arguments) in TEXTS {
        let path = folder.join(name);
        let text = answer(Command::new(program).args(arguments))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // `cargo deb` would do it, but for what is below the target directory, which it takes for programs.
    run(Command::new("gzip").args(["--best", "--no-name", "--force"]).arg(folder.join(MANUAL)))
}

fn check(package: &Path, place: &Path) -> Result<()> {
    let listed = answer(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    let wrong = wrong_files(&listed);
    if !wrong.is_empty() {
        bail!("the package is not as it should be: {}", wrong.join("; "));
    }
    let depends = field(package, "Depends")?;
    for library in ["libasound2", "libpcap0.8", "libpipewire-0.3-0", "libpulse0", "libsndio7"] {
        if !depends.contains(library) {
            bail!("the package does not depend on {library} but on {depends}");
        }
    }
    let unpacked = place.join("unpacked");
    answer(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&unpacked))?;
    let program = unpacked.join("usr/bin/scream");
    let version = answer(Command::new(&program).arg("--version"))?;
    if version.trim() != concat!("scream ", env!("CARGO_PKG_VERSION")) {
        bail!("the unpacked program says that it is {version}");
    }
    check_unit(&unpacked.join("usr/lib/systemd/user/scream.service"), &program, place)
}

/// What systemd says of the unit, which here starts the program where it is unpacked.
fn check_unit(unit: &Path, program: &Path, place: &Path) -> Result<()> {
    let text = fs::read_to_string(unit).with_context(|| format!("cannot read {}", unit.display()))?;
    let here = text.replace("/usr/bin/scream", &program.display().to_string());
    let path = place.join("scream.service");
    fs::write(&path, here).with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new("systemd-analyze");
    // Nothing of a session is needed but that there is a folder for it. The manual page is not installed.
    command.args(["--user", "--man=no", "verify"]).arg(&path).env("XDG_RUNTIME_DIR", place);
    let output = command.output().context("cannot start systemd-analyze")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let about: Vec<_> = said.lines().filter(|line| line.contains("scream")).collect();
    if !output.status.success() || !about.is_empty() {
        bail!("systemd does not like the unit: {}", said.lines().collect::<Vec<_>>().join("; "));
    }
    Ok(())
}

/// A field of a package.
fn field(package: &Path, name: &str) -> Result<String> {
    let field = answer(Command::new("dpkg-deb").arg("--field").arg(package).arg(name))?;
    Ok(field.trim().to_owned())
}

/// What is wrong with the files of a package, as `dpkg-deb --contents` lists them.
fn wrong_files(listed: &str) -> Vec<String> {
    let mut expected = FILES.to_vec();
    let mut wrong = Vec::new();
    for line in listed.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [mode, owner, .., path] = words[..] else { continue };
        // Root, by number: that is all that a package says of it.
        if owner != "0/0" {
            wrong.push(format!("{path} belongs to {owner}"));
        }
        let path = path.trim_start_matches("./");
        if mode.starts_with('d') {
            continue;
        }
        match expected.iter().position(|(name, _)| *name == path) {
            None => wrong.push(format!("{path} is in it")),
            Some(at) if expected.remove(at).1 != mode => wrong.push(format!("{path} has the mode {mode}")),
            Some(_) => {}
        }
    }
    wrong.extend(expected.iter().map(|(name, _)| format!("{name} is not in it")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `dpkg-deb` lists if all is well.
    fn listing() -> String {
        let line = |(path, mode): &(&str, &str)| format!("{mode} 0/0 7 2026-11-29 12:00 ./{path}\n");
        let files: String = FILES.iter().map(line).collect();
        format!("drwxr-xr-x 0/0 0 2026-11-29 12:00 ./usr/\n{files}")
    }

    #[track_caller]
    fn told(from: &str, to: &str, expected: &str) {
        assert_eq!(wrong_files(&listing().replace(from, to)), [expected]);
    }

    #[test]
    fn the_files_of_a_package_are_those_that_it_should_have() {
        assert_eq!(wrong_files(&listing()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_file_is_told() {
        told("-rwxr-xr-x", "-rwxrwxr-x", "usr/bin/scream has the mode -rwxrwxr-x");
        told("0/0 0", "me/0 0", "./usr/ belongs to me/0");
        let extra = format!("{}-rw-r--r-- 0/0 1 2026-11-29 12:00 ./etc/a\n", listing());
        assert_eq!(wrong_files(&extra), ["etc/a is in it"]);
        let short: String = listing().lines().skip(2).map(|line| format!("{line}\n")).collect();
        assert_eq!(wrong_files(&short), ["usr/bin/scream is not in it"]);
    }
}
