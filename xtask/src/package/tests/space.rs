//! What cannot be written.

use std::fs;
use std::process::Command;

use super::super::verification::files;
use super::*;

/// Tells the test's own process, started once more, where to make a package.
const OUTPUT: &str = "PACKAGE_TEST_OUTPUT";

/// Sizes that no file may exceed, in blocks of 512 bytes: too small for a key, a driver, its symbols and the archive.
const LIMITS: [u32; 4] = [1, 64, 800, 3000];

#[test]
fn no_space_is_one_line_and_leaves_nothing_behind() {
    if let Some(output) = env::var_os(OUTPUT) {
        let made = Signer::new(None, None)
            .and_then(|signer| make(&parts(), &signer, date(), output.as_ref(), &ProgressBar::hidden()));
        match made {
            Ok(package) => println!("\nmade {}", package.archive.display()),
            Err(error) => println!("\nerror: {error:#}"),
        }
        return;
    }
    let mut errors = Vec::new();
    for limit in LIMITS {
        let output = tempfile::tempdir().unwrap();
        let line = made_within(limit, &output);
        assert!(line.starts_with("error: cannot "), "{limit}: {line}");
        assert_eq!(files(output.path()).unwrap(), Vec::<PathBuf>::new(), "{limit}");
        assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0, "{limit}");
        errors.push(line);
    }
    assert!(errors[1].ends_with("scream.sys: File too large (os error 27)"), "{}", errors[1]);
    let enough = tempfile::tempdir().unwrap();
    let line = made_within(100_000, &enough);
    assert!(line.starts_with("made "), "{line}");
    assert_eq!(fs::read_dir(enough.path()).unwrap().count(), 1);
}

/// What this test says when it makes a package in a process whose files may not be larger.
fn made_within(blocks: u32, output: &TempDir) -> String {
    // Writing more is then an error as on a full disk, not a signal that ends the process.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut itself = Command::new("sh");
    itself.args(["-c", &script, "sh"]).arg(env::current_exe().unwrap());
    itself.args(["--exact", "package::tests::space::no_space_is_one_line_and_leaves_nothing_behind"]);
    let said = itself.arg("--nocapture").env(OUTPUT, output.path()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let mut lines = said.lines().filter(|line| line.starts_with("error: ") || line.starts_with("made "));
    let line = lines.next().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(lines.next(), None, "{said}");
    line.to_owned()
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let folder = file.join("package");
    let signer = Signer::new(None, None).unwrap();
    let error = make(&parts(), &signer, date(), &folder, &ProgressBar::hidden()).err().unwrap();
    assert_eq!(
        format!("{error:#}"),
        format!("cannot make the folder {}: Not a directory (os error 20)", folder.display())
    );
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn a_part_that_is_no_driver_is_refused_and_leaves_nothing_behind() {
    let output = tempfile::tempdir().unwrap();
    let mut parts = parts();
    parts.0[1].driver = parts.0[1].symbols.clone();
    let signer = Signer::new(None, None).unwrap();
    let error = make(&parts, &signer, date(), output.path(), &ProgressBar::hidden()).err().unwrap();
    let text = format!("{error:#}");
    assert!(text.starts_with("cannot sign ") && !text.contains('\n'), "{text}");
    assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0);
}

#[test]
fn a_driver_for_the_wrong_processor_is_refused_and_leaves_nothing_behind() {
    let output = tempfile::tempdir().unwrap();
    let mut parts = parts();
    parts.0[1].driver = parts.0[0].driver.clone();
    let signer = Signer::new(None, None).unwrap();
    let error = make(&parts, &signer, date(), output.path(), &ProgressBar::hidden()).err().unwrap();
    assert_eq!(
        format!("{error:#}"),
        "driver\\arm64\\scream.sys is not a driver for arm64: download the package again"
    );
    assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0);
}
