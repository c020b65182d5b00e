//! Where the NT headers come from.
//!
//! - **The distribution's package** (Debian: `mingw-w64-common`), by default. `overlay/packaged/` in front of
//!   it makes clang accept it in Microsoft mode.
//! - **A copy of the genuine headers**, if `WDKContentRoot` names the directory that has `Include/10.*` in
//!   it: the variable and the layout of the genuine crate. Its files include each other in any case, so clang
//!   is given a view of the directories in which case does not matter.
//!
//! `overlay/newer/` comes on top of both: what they are too old to declare.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::architecture::Architecture;
use crate::{ConfigError, IoError};

const OVERLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/overlay");

/// Where distributions put the headers of mingw-w64.
const PACKAGED: &[&str] = &[
    "/usr/share/mingw-w64/include",
    "/usr/x86_64-w64-mingw32/include",
    "/usr/x86_64-w64-mingw32/sys-root/mingw/include",
];

/// A set of headers.
#[derive(Debug, Clone)]
pub(crate) enum Headers {
    /// The distribution's.
    Packaged {
        /// The directory that has `ntdef.h` and `ddk/` in it.
        mingw: PathBuf,
        /// The directory of the compiler's own headers.
        clang: PathBuf,
    },
    /// A copy of the genuine ones.
    Genuine {
        /// The directory that has `km` and `shared` in it.
        version: PathBuf,
    },
}

impl Headers {
    /// Takes the genuine headers if the environment names them, the packaged ones otherwise.
    pub(crate) fn find() -> Result<Self, ConfigError> {
        println!("cargo::rerun-if-env-changed=WDKContentRoot");
        println!("cargo::rerun-if-changed={OVERLAY}");
        match env::var_os("WDKContentRoot") {
            Some(root) if !root.is_empty() => genuine(Path::new(&root)),
            _ => packaged(),
        }
    }

    pub(crate) fn are_genuine(&self) -> bool {
        matches!(self, Self::Genuine { .. })
    }

    /// The processor whose declarations a driver for `wanted` is built with.
    ///
    /// The packaged headers know no 64-bit ARM. What a driver shares with Windows is declared and laid out on it as
    /// on x64; what is not (processor contexts, control regions) does not concern a driver that has no assembly.
    pub(crate) fn declared_for(&self, wanted: Architecture) -> Architecture {
        match self {
            Self::Packaged { .. } => Architecture::X64,
            Self::Genuine { .. } => wanted,
        }
    }

    /// The headers that declare the kernel interface.
    pub(crate) fn base(&self) -> &'static [&'static str] {
        &["ntifs.h", "ntddk.h", "ntstrsafe.h", "newer.h"]
    }

    /// The Windows version to declare. The genuine headers take the newest they know by themselves.
    pub(crate) fn version_definitions(&self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::Packaged { .. } => {
                &[("_WIN32_WINNT", Some("0x0A00")), ("NTDDI_VERSION", Some("0x0A000004"))]
            }
            Self::Genuine { .. } => &[],
        }
    }

    pub(crate) fn include_paths(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let overlay = Path::new(OVERLAY);
        let paths = match self {
            Self::Packaged { mingw, clang } => vec![
                overlay.join("newer"),
                overlay.join("packaged"),
                clang.clone(),
                mingw.join("ddk"),
                mingw.clone(),
            ],
            Self::Genuine { version } => vec![
                overlay.join("newer"),
                version.join("km/crt"),
                version.join("km"),
                version.join("shared"),
            ],
        };
        for path in &paths {
            if !path.is_dir() {
                return Err(ConfigError::DirectoryNotFound {
                    directory: path.clone(),
                    remedy: "the set of headers is incomplete",
                });
            }
        }
        Ok(paths)
    }

    /// What the compiler needs to be told to accept these headers.
    pub(crate) fn compiler_arguments(&self) -> Result<Vec<String>, ConfigError> {
        match self {
            // Their inline functions call intrinsics that the empty intrin.h does not declare. No inline
            // function gets into the bindings.
            Self::Packaged { .. } => Ok(vec!["-Wno-implicit-function-declaration".to_owned()]),
            Self::Genuine { version } => any_case_view(version),
        }
    }
}

/// The compiler arguments that make the case of the names of genuine headers not matter.
fn any_case_view(version: &Path) -> Result<Vec<String>, ConfigError> {
    let out_dir = env::var_os("OUT_DIR").unwrap_or_default();
    let view = Path::new(&out_dir).join("any-case.json");
    let mut roots = Vec::new();
    for directory in ["km/crt", "km", "shared"] {
        roots.push(any_case(&version.join(directory))?);
    }
    let text = format!(r#"{{"version":0,"case-sensitive":"false","roots":[{}]}}"#, roots.join(","));
    // Several threads of one build script may come here at once, and one must not read what another has half
    // written: the file appears complete or not at all.
    let draft = view.with_extension(format!("{:?}", std::thread::current().id()));
    fs::write(&draft, text).map_err(IoError::about(&draft))?;
    fs::rename(&draft, &view).map_err(IoError::about(&view))?;
    Ok(vec!["-ivfsoverlay".to_owned(), view.display().to_string()])
}

fn genuine(root: &Path) -> Result<Headers, ConfigError> {
    let include = root.join("Include");
    let entries = fs::read_dir(&include).map_err(IoError::about(&include))?;
    let newest = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((version_of(entry.file_name().to_str()?)?, entry.path())))
        .max();
    let (_, version) = newest.ok_or(ConfigError::DirectoryNotFound {
        directory: include.join("10.*"),
        remedy: "WDKContentRoot has to name a copy of the WDK",
    })?;
    Ok(Headers::Genuine { version })
}

/// Reads the name of a version's directory, such as `10.0.26100.0`, for comparison.
fn version_of(name: &str) -> Option<Vec<u32>> {
    let numbers: Vec<u32> = name.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() == 4 && numbers[0] == 10).then_some(numbers)
}

fn packaged() -> Result<Headers, ConfigError> {
    let mingw = PACKAGED.iter().map(PathBuf::from).find(|path| path.join("ddk/ntifs.h").is_file()).ok_or(
        ConfigError::DirectoryNotFound {
            directory: PACKAGED[0].into(),
            remedy: "install the NT headers (Debian: mingw-w64-common), or set WDKContentRoot",
        },
    )?;
    Ok(Headers::Packaged { mingw, clang: compiler_headers()? })
}

/// The headers of the clang that bindgen has loaded.
fn compiler_headers() -> Result<PathBuf, ConfigError> {
    let (major, _) = bindgen::clang_version().parsed.unwrap_or_default();
    let candidates = [
        format!("/usr/lib/llvm-{major}/lib/clang/{major}/include"),
        format!("/usr/lib/clang/{major}/include"),
        format!("/usr/lib64/clang/{major}/include"),
    ];
    candidates.iter().map(PathBuf::from).find(|path| path.join("stddef.h").is_file()).ok_or(
        ConfigError::DirectoryNotFound {
            directory: (&candidates[0]).into(),
            remedy: "install clang's own headers (Debian: libclang-common-19-dev, with libclang-19-dev)",
        },
    )
}

/// One directory of clang's view, in JSON: every file in it, by its full path.
fn any_case(directory: &Path) -> Result<String, ConfigError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(IoError::about(directory))? {
        let entry = entry.map_err(IoError::about(directory))?;
        if entry.path().is_file() {
            files.push(format!(
                r#"{{"type":"file","name":{:?},"external-contents":{:?}}}"#,
                entry.file_name().to_string_lossy(),
                entry.path().to_string_lossy()
            ));
        }
    }
    Ok(format!(
        r#"{{"type":"directory","name":{:?},"contents":[{}]}}"#,
        directory.to_string_lossy(),
        files.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn the_newest_version_is_the_greatest_number_and_not_the_last_name() {
        assert!(version_of("10.0.26100.0") > version_of("10.0.9999.0"));
        assert_eq!(version_of("10.0.16299.0"), Some(vec![10, 0, 16299, 0]));
    }

    #[test]
    fn other_directories_are_not_versions() {
        for name in ["wdf", "10", "10.0.x.0", "8.1.0.0", "10.0.1.0.0"] {
            assert_eq!(version_of(name), None, "{name}");
        }
    }
}
