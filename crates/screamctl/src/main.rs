//! `screamctl.exe`: [`screamctl::run`] on this computer, in this console.

#[cfg(windows)]
fn main() {
    use screamctl::computer::windows::ThisComputer;
    use screamctl::console::Terminal;

    let arguments = std::env::args_os().collect();
    std::process::exit(screamctl::run(arguments, &mut ThisComputer::new(), &mut Terminal));
}

#[cfg(not(windows))]
fn main() {
    eprintln!("error: screamctl is a program for Windows");
    std::process::exit(screamctl::FAILED);
}
