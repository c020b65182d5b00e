//! The [`Need`]s of commands: what Debian, rustup, cargo and pip have.

use std::env;
use std::path::Path;
use std::process::Command;

use super::{Need, has_program};
use crate::process::output;

/// Where Debian puts the libclang of [`LIBCLANG`].
pub const LIBCLANG_DIRECTORY: &str = "/usr/lib/llvm-19/lib";

/// The C compiler as a library.
pub const LIBCLANG: Need = Need::Package {
    name: "libclang1-19",
    why: "bindgen reads the NT headers with it",
    present: || another_libclang() || Path::new(LIBCLANG_DIRECTORY).join("libclang-19.so.1").exists(),
};

/// The C compiler's own headers.
pub const CLANG_HEADERS: Need = Need::Package {
    name: "libclang-common-19-dev",
    why: "clang's own headers, which the NT headers include",
    present: || {
        another_libclang() || Path::new(LIBCLANG_DIRECTORY).join("clang/19/include/stddef.h").exists()
    },
};

/// Declarations of the Windows kernel.
pub const NT_HEADERS: Need = Need::Package {
    name: "mingw-w64-common",
    why: "the NT headers, from which the declarations of kernel functions are generated",
    present: || {
        let directories = ["/usr/share/mingw-w64", "/usr/x86_64-w64-mingw32", FEDORA_MINGW];
        env::var_os("WDKContentRoot").is_some()
            || directories.iter().any(|directory| Path::new(directory).join("include/ddk/ntifs.h").exists())
    },
};

/// Where Fedora puts the headers of mingw-w64.
const FEDORA_MINGW: &str = "/usr/x86_64-w64-mingw32/sys-root/mingw";

/// `core` and `alloc` for the driver.
pub const WINDOWS_X64_TARGET: Need =
    Need::RustTarget { triple: "x86_64-pc-windows-msvc", why: "the driver is compiled for it" };

/// `core` and `alloc` for the driver on ARM.
pub const WINDOWS_ARM64_TARGET: Need =
    Need::RustTarget { triple: "aarch64-pc-windows-msvc", why: "the arm64 driver is compiled for it" };

/// The standard library for the testbed on ARM.
pub const LINUX_ARM64_TARGET: Need = Need::RustTarget {
    triple: "aarch64-unknown-linux-gnu",
    why: "the testbed that runs arm64 drivers is compiled for it",
};

/// The linker of Linux programs for ARM.
pub const ARM64_C_COMPILER: Need = Need::Package {
    name: "gcc-aarch64-linux-gnu",
    why: "it links the testbed that runs arm64 drivers",
    present: || has_program("aarch64-linux-gnu-gcc"),
};

/// What Linux programs for ARM are linked with.
pub const ARM64_C_LIBRARY: Need = Need::Package {
    name: "libc6-dev-arm64-cross",
    why: "the C library of the testbed that runs arm64 drivers",
    present: || Path::new("/usr/aarch64-linux-gnu/lib/crt1.o").exists(),
};

/// Runs Linux programs for other processors, and for other models of this one.
pub const EMULATOR: Need = Need::Package {
    name: "qemu-user",
    why: "it runs the testbed on another processor",
    present: || ["qemu-aarch64", "qemu-x86_64"].iter().all(|program| has_program(program)),
};

/// Makes the interfaces of a test.
pub const IPROUTE: Need = Need::Package {
    name: "iproute2",
    why: "it makes the network interfaces of a test",
    present: || has_program("ip"),
};

/// Looks at network interfaces.
pub const TSHARK: Need = Need::Package {
    name: "tshark",
    why: "it sees by which interface packets leave",
    present: || has_program("tshark"),
};

/// Runs the reader of a test.
pub const PYTHON: Need = Need::Package {
    name: "python3",
    why: "it runs the reader of packets and shared memory that is held against the project's own",
    present: || has_program("python3"),
};

/// Makes places for packages of Python.
pub const PYTHON_VENV: Need = Need::Package {
    name: "python3-venv",
    why: "it keeps the linker of programs for Windows in a place of its own",
    present: || output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok(),
};

/// The standard library for programs on Windows.
pub const WINDOWS_PROGRAM_X64_TARGET: Need =
    Need::RustTarget { triple: "x86_64-pc-windows-gnullvm", why: "programs for Windows are compiled for it" };

/// The standard library for programs on Windows on ARM.
pub const WINDOWS_PROGRAM_ARM64_TARGET: Need =
    Need::RustTarget { triple: "aarch64-pc-windows-gnullvm", why: "the arm64 screamctl is compiled for it" };

/// Signs files for Windows.
pub const OSSLSIGNCODE: Need = Need::Package {
    name: "osslsigncode",
    why: "it signs the driver, and verifies signatures",
    present: || has_program("osslsigncode"),
};

/// Makes certificates.
pub const OPENSSL: Need = Need::Package {
    name: "openssl",
    why: "it makes the test certificate, and reads others",
    present: || has_program("openssl"),
};

/// Runs programs for Windows.
pub const WINE: Need = Need::Package {
    name: "wine64",
    why: "it runs programs for Windows in tests",
    present: || Path::new("/usr/lib/wine/wine64").exists(),
};

/// The standard library for programs on Windows that mingw-w64 links.
pub const WINDOWS_GNU_TARGET: Need =
    Need::RustTarget { triple: "x86_64-pc-windows-gnu", why: "scream.exe is compiled for it" };

/// The linker of programs for Windows.
pub const MINGW: Need = Need::Package {
    name: "gcc-mingw-w64-x86-64",
    why: "it links scream.exe",
    present: || has_program("x86_64-w64-mingw32-gcc"),
};

/// Finds libraries.
pub const PKG_CONFIG: Need = Need::Package {
    name: "pkg-config",
    why: "it knows which libraries are there",
    present: || has_program("pkg-config"),
};

/// The command that makes Debian packages.
pub const CARGO_DEB: Need =
    Need::CargoCommand { name: "cargo-deb", version: "3.8.0", why: "it makes the Debian package" };

/// Examines units of systemd.
pub const SYSTEMD: Need = Need::Package {
    name: "systemd",
    why: "its systemd-analyze judges the user unit of the Debian package",
    present: || has_program("systemd-analyze"),
};

/// Finds the libraries that a Debian package depends on.
pub const DPKG_SHLIBDEPS: Need = Need::Package {
    name: "dpkg-dev",
    why: "it tells which packages the receiver's libraries are in",
    present: || has_program("dpkg-shlibdeps"),
};

/// The compiler that fuzzers need.
pub const NIGHTLY: Need =
    Need::NightlyComponent { name: "rustc", why: "the fuzzer's instrumentation is not in stable Rust" };

/// The command that runs fuzzers.
pub const CARGO_FUZZ: Need =
    Need::CargoCommand { name: "cargo-fuzz", version: "0.13.2", why: "it builds and runs the fuzz targets" };

/// The interpreter that finds undefined behaviour.
pub const NIGHTLY_MIRI: Need =
    Need::NightlyComponent { name: "miri", why: "it interprets the tests and finds undefined behaviour" };

/// True if the user has chosen a libclang, which then comes with its own headers.
fn another_libclang() -> bool {
    env::var_os("LIBCLANG_PATH").is_some()
}
