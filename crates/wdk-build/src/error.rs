//! What can go wrong in a build script. The names are those of the genuine crate.

use std::fmt;
use std::path::{Path, PathBuf};

/// The build cannot be configured.
#[derive(Debug)]
pub enum ConfigError {
    /// A file could not be read or written.
    IoError(IoError),
    /// A directory of headers is missing.
    DirectoryNotFound {
        /// The directory.
        directory: PathBuf,
        /// What is expected there and how to get it.
        remedy: &'static str,
    },
    /// No driver can be built for this processor.
    Architecture {
        /// As cargo calls it.
        name: String,
    },
    /// An import list is not a module definition.
    ImportList {
        /// The list.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IoError(error) => error.fmt(f),
            Self::DirectoryNotFound { directory, remedy } => {
                write!(f, "no directory {}: {remedy}", directory.display())
            }
            Self::Architecture { name } => {
                write!(f, "drivers are built for x86_64 and aarch64, not for {name:?}")
            }
            Self::ImportList { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::IoError(error) => Some(error),
            _ => None,
        }
    }
}

impl From<IoError> for ConfigError {
    fn from(error: IoError) -> Self {
        Self::IoError(error)
    }
}

/// A failed file operation, with the file.
#[derive(Debug)]
pub struct IoError {
    path: PathBuf,
    source: std::io::Error,
}

impl IoError {
    /// The operation on `path` failed with `source`.
    pub fn with_path(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self { path: path.into(), source }
    }

    /// For `map_err`: names the file that an error is about.
    pub(crate) fn about(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self { path, source }
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for IoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
