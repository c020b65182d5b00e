//! [`Prefix`]: a Windows of wine's, new for each test, and gone after it. Programs for Windows are tested there.

mod registry;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

use tempfile::TempDir;

pub use registry::Registry;

const WINE: &str = "/usr/lib/wine/wine64";
const WINESERVER: &str = "/usr/lib/wine/wineserver";

/// What makes wine say that it is Windows 10 22H2, and where it plays: on a device that nobody hears, and on one that
/// keeps what is played.
const SETTINGS: &str = r#"[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows NT\CurrentVersion]
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuildNumber"="19045"
"CurrentVersion"="6.3"

[HKEY_CURRENT_USER\Software\Wine\Drivers]
"Audio"="alsa"

[HKEY_CURRENT_USER\Software\Wine\Drivers\winealsa.drv]
"ALSAOutputDevices"=hex(7):53,00,63,00,72,00,65,00,61,00,6d,00,00,00,00,00
"#;

/// A Windows of wine's. Its wineserver ends with it.
pub struct Prefix {
    folder: TempDir,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What it said on the standard output, with the ends of lines that Linux has.
    pub out: String,
    /// What it said on the standard error, but for the remarks of others.
    pub err: String,
}

impl Prefix {
    /// A new one in a folder, where what all tests have in common is kept for the next time.
    ///
    /// # Panics
    /// If wine is not there, or the folder cannot be written: these are tests.
    pub fn new_in(folder: &str) -> Self {
        let template = template(Path::new(folder));
        let folder = TempDir::with_prefix_in("wine-", folder);
        let prefix = Self { folder: folder.expect("a folder can be made in the target directory") };
        // Windows' own files are never written: they are shared by link. The registry is.
        copy(&["-al"], &template.join("drive_c"), &prefix.path());
        copy(&["-a"], &template.join("dosdevices"), &prefix.path());
        for file in ["system.reg", "user.reg", "userdef.reg", ".update-timestamp"] {
            copy(&["-a"], &template.join(file), &prefix.path());
        }
        prefix.write_home();
        prefix
    }

    /// The folder that wine calls the prefix.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The folder `C:\`.
    pub fn drive_c(&self) -> PathBuf {
        self.folder.path().join("drive_c")
    }

    /// What has been played on the sound device "Scream": 32-bit floating point, stereo.
    pub fn played(&self) -> PathBuf {
        self.folder.path().join("home/played.raw")
    }

    /// The home directory, with the sound devices in it.
    fn write_home(&self) {
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home).expect("the prefix can be written");
        let devices = format!(
            "pcm.!default {{ type null }}\nctl.!default {{ type null }}\n\
             pcm.Scream {{ type file slave.pcm null format raw file \"{}\" }}\n",
            self.played().display()
        );
        fs::write(home.join(".asoundrc"), devices).expect("the home directory can be written");
    }

    /// Runs a program with wine to its end.
    pub fn run<A: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, arguments: &[A]) -> Ended {
        self.run_in(&self.path(), program, arguments)
    }

    /// The same in a folder.
    pub fn run_in<A: AsRef<OsStr>>(
        &self,
        folder: &Path,
        program: impl AsRef<OsStr>,
        arguments: &[A],
    ) -> Ended {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "100", WINE]).arg(program).args(arguments);
        let command = environment(&mut command, self.folder.path()).current_dir(folder);
        let Output { status, stdout, stderr } = command.output().expect("wine can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        Ended { code: status.code().unwrap_or(-1), out: text(stdout), err: without_remarks(&text(stderr)) }
    }

    /// The command that runs a program, which is then a child of whoever starts it; SIGINT is its Ctrl-C.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(WINE);
        environment(command.arg(program), self.folder.path());
        command
    }

    /// Puts values into the registry, as `regedit` takes them.
    pub fn import(&self, values: &str) {
        let file = self.folder.path().join("values.reg");
        write_values(&file, values);
        let ended = self.run("regedit", &[OsStr::new("/S"), file.as_os_str()]);
        assert_eq!(ended.code, 0, "{ended:?}");
    }

    /// Ends all programs, and reads the registry that they leave.
    pub fn registry(&self) -> Registry {
        self.end();
        Registry::read(&self.folder.path().join("system.reg"))
    }

    /// The files on `C:\`, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        list(&self.drive_c(), Path::new(""), &mut files);
        files.sort();
        files
    }

    /// Ends all programs of this prefix, and waits for it.
    fn end(&self) {
        // It fails if there is none.
        let _ = environment(Command::new(WINESERVER).arg("--kill"), self.folder.path()).output();
        let mut wait = Command::new("timeout");
        let _ = environment(wait.args(["20", WINESERVER, "--wait"]), self.folder.path()).output();
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        self.end();
    }
}

/// What begins a remark that is not the program's: of the sound library, and of wine about a thread that was still there when
/// its program ended.
const REMARKS: [&str; 2] = ["ALSA lib ", "wine client error:"];

/// What a program says on the standard error, but for the remarks of others.
fn without_remarks(text: &str) -> String {
    let lines = text.lines().filter(|line| !REMARKS.iter().any(|remark| line.starts_with(remark)));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn environment<'a>(command: &'a mut Command, prefix: &Path) -> &'a mut Command {
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "WINEDLLPATH", "WINEARCH"] {
        command.env_remove(variable);
    }
    // Nothing of the desktop's, no .NET and no browser engine.
    let absent = "winemenubuilder.exe,mscoree,mshtml=";
    command
        .current_dir(prefix)
        .env("WINEPREFIX", prefix)
        .env("HOME", prefix.join("home"))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", absent)
}

/// A prefix that has been made once, and is kept in the target directory: to make one takes seconds.
fn template(target: &Path) -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let version = Command::new(WINE).arg("--version").output();
        let version = version.expect("wine is installed: `cargo xtask test` sees to it").stdout;
        let version = String::from_utf8_lossy(&version).trim().replace(|c: char| !c.is_alphanumeric(), "-");
        let template = target.join(format!("template-2-{version}"));
        if !template.is_dir() {
            let making = TempDir::with_prefix_in("template-", target).expect("a folder can be made");
            make_template(making.path());
            // Another process may have been faster.
            if fs::rename(making.path(), &template).is_err() {
                assert!(template.is_dir(), "{} cannot be made", template.display());
            }
        }
        template
    })
}

fn make_template(folder: &Path) {
    let settings = folder.join("settings.reg");
    fs::create_dir_all(folder.join("home")).expect("the folder can be written");
    write_values(&settings, SETTINGS);
    let run = |command: &mut Command| {
        let output = environment(command, folder).output().expect("wine can be started");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("timeout").args(["100", WINE, "wineboot", "--init"]));
    run(Command::new("timeout").args(["100", WINE, "regedit", "/S"]).arg(&settings));
    run(Command::new("timeout").args(["100", WINESERVER, "--wait"]));
}

/// Writes a file for `regedit`. In one that is not in UTF-16 the bytes of a list would be characters.
fn write_values(file: &Path, values: &str) {
    let text = format!("\u{FEFF}Windows Registry Editor Version 5.00\r\n\r\n{values}\r\n");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(file, bytes).expect("the folder can be written");
}

fn copy(how: &[&str], from: &Path, to: &Path) {
    let status = Command::new("cp").args(how).arg(from).arg(to).status().expect("cp can be started");
    assert!(status.success(), "{} cannot be copied", from.display());
}

fn list(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the prefix can be read") {
        let entry = entry.expect("the prefix can be read");
        let name = below.join(entry.file_name());
        if entry.file_type().expect("the prefix can be read").is_dir() {
            list(&entry.path(), &name, files);
        } else {
            files.push(name);
        }
    }
}

/// The path of something that `cargo xtask test` builds and names in the environment.
///
/// # Panics
/// If it is not there.
pub fn from_environment(variable: &str, what: &str) -> PathBuf {
    let path = env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    assert!(path.exists(), "{variable} does not name {what}: run `cargo xtask test`, which builds it");
    path
}

/// A path of this computer, as programs on wine see it.
pub fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}
