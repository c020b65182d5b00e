//! [`Windows`]: a computer of wine's that has `scream.exe`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use wine::{Ended, Prefix, from_environment};

use crate::running::Scream;

/// A computer of wine's. It is gone when it is dropped.
pub struct Windows {
    prefix: Prefix,
}

impl Windows {
    /// A new one, with the program and the library that wine lacks in a folder.
    pub fn new() -> Self {
        let windows = Self { prefix: Prefix::new_in(env!("CARGO_TARGET_TMPDIR")) };
        let folder = windows.folder();
        fs::create_dir(&folder).expect("the prefix can be written");
        for file in [&from_environment("SCREAM_EXE", "scream.exe"), random_numbers()] {
            let name = file.file_name().expect("a file");
            fs::copy(file, folder.join(name)).expect("the prefix can be written");
        }
        windows
    }

    /// The folder of the program, which is `C:\scream`.
    pub fn folder(&self) -> PathBuf {
        self.prefix.drive_c().join("scream")
    }

    /// What has been played on the sound device "Scream": 32-bit floating point, stereo.
    pub fn played(&self) -> PathBuf {
        self.prefix.played()
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.prefix.run(self.program(), arguments)
    }

    /// Starts the program, and waits until it listens.
    pub fn start(&self, arguments: &[&str]) -> Scream {
        let mut command = self.prefix.command(self.program());
        command.args(arguments);
        let scream = Scream::spawn(command);
        scream.wait_for_line("listens to ");
        scream
    }

    fn program(&self) -> PathBuf {
        self.folder().join("scream.exe")
    }
}

/// `bcryptprimitives.dll`, which the linker of the program makes of the list of its exports.
fn random_numbers() -> &'static PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wine/bcryptprimitives.def");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bcryptprimitives.dll");
        let output = Command::new("x86_64-w64-mingw32-gcc")
            .args(["-shared", "-nostdlib", "-Wl,--entry=0", "-o"])
            .args([&library, &list])
            .output()
            .expect("gcc of mingw-w64 is installed: `cargo xtask test` sees to it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        library
    })
}
