//! The linker, in a directory of its own where every input has the name that it has everywhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail};

/// Where the .pdb says that everything was.
const PLACE: &str = "/pdbsourcepath:/target";

/// The linker that comes with rustc, which lets it be found.
const PROGRAM: &str = "rust-lld";

/// Runs the linker, and returns its exit code.
///
/// # Errors
/// It cannot be started, or a file cannot be read or written.
pub fn link(arguments: &[OsString]) -> Result<i32> {
    let plan = Plan::new(arguments)?;
    let place = plan.output.with_extension(format!("link-{}", process::id()));
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let result = link_in(&place, &plan);
    // What is left there is of no use; if it cannot be removed, `cargo clean` can.
    let _ = fs::remove_dir_all(&place);
    result
}

fn link_in(place: &Path, plan: &Plan) -> Result<i32> {
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
    };
    for (from, name) in &plan.inputs {
        copy(from, &place.join(name))?;
    }
    let status = Command::new(PROGRAM)
        .args(["-flavor", "link"])
        .args(&plan.arguments)
        .arg(PLACE)
        .current_dir(place)
        .status()
        .with_context(|| format!("cannot start {PROGRAM}"))?;
    if status.success() {
        let name = plan.output.file_name().unwrap_or_default();
        copy(&place.join(name), &plan.output)?;
        let symbols = Path::new(name).with_extension("pdb");
        if place.join(&symbols).exists() {
            copy(&place.join(&symbols), &plan.output.with_extension("pdb"))?;
        }
        if let Some(library) = &plan.library {
            copy(&place.join(library.file_name().unwrap_or_default()), library)?;
        }
    }
    Ok(status.code().unwrap_or(1))
}

/// What is linked, and how to say so without a directory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    arguments: Vec<OsString>,
    /// Files, and what they are called where the linker runs.
    inputs: Vec<(PathBuf, OsString)>,
    output: PathBuf,
    /// The import library that is made as well.
    library: Option<PathBuf>,
}

impl Plan {
    /// Takes apart what rustc says to a linker for Windows.
    fn new(arguments: &[OsString]) -> Result<Self> {
        let mut plan = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy();
            if text == "-flavor" {
                arguments.next();
            } else if text.starts_with('@') {
                bail!("rustc passes the linker's arguments in a file, which is not provided for");
            } else if let Some(file) = text.strip_prefix("/DEF:") {
                let name = plan.input(Path::new(file));
                plan.say("/DEF:", &name);
            } else if let Some(file) = text.strip_prefix("/OUT:") {
                plan.output = file.into();
                plan.say("/OUT:", plan.output.clone().file_name().unwrap_or_default());
            } else if let Some(file) = text.strip_prefix("/IMPLIB:") {
                plan.library = Some(file.into());
                plan.say("/IMPLIB:", Path::new(file).file_name().unwrap_or_default());
            } else if let Some(directory) = text.strip_prefix("/LIBPATH:") {
                plan.libraries(Path::new(directory))?;
            } else if Path::new(argument).is_absolute() && Path::new(argument).is_file() {
                let name = plan.input(Path::new(argument));
                plan.arguments.push(name);
            } else {
                plan.arguments.push(argument.clone());
            }
        }
        if plan.output.as_os_str().is_empty() {
            bail!("rustc does not tell the linker where to put its output");
        }
        Ok(plan)
    }

    fn say(&mut self, what: &str, name: &OsStr) {
        let mut argument = OsString::from(what);
        argument.push(name);
        self.arguments.push(argument);
    }

    /// The name of an input: its number, as its own has a hash in it that depends on the directory.
    fn input(&mut self, file: &Path) -> OsString {
        let kind = file.extension().unwrap_or_default();
        let name = Path::new(&format!("input-{}", self.inputs.len())).with_extension(kind).into_os_string();
        self.inputs.push((file.to_owned(), name.clone()));
        name
    }

    /// The libraries of a directory keep their names, by which they are asked for.
    fn libraries(&mut self, directory: &Path) -> Result<()> {
        let cannot = || format!("cannot read {}", directory.display());
        for entry in fs::read_dir(directory).with_context(cannot)? {
            let file = entry.with_context(cannot)?.path();
            if file.extension().is_some_and(|kind| kind == "lib") {
                let name = file.file_name().unwrap_or_default().to_owned();
                self.inputs.push((file, name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_directory_is_left_in_what_the_linker_is_told() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            fs::write(root.path().join(name), name).unwrap();
            root.path().join(name).to_str().unwrap().to_owned()
        };
        let (definition, object, _) = (file("a.def"), file("scream-1f.o"), file("hal.lib"));
        let here = root.path().display();
        let told = [
            "-flavor".to_owned(),
            "link".to_owned(),
            format!("/DEF:{definition}"),
            "/DEBUG".to_owned(),
            object.clone(),
            format!("/LIBPATH:{here}"),
            format!("/OUT:{here}/scream.dll"),
            format!("/IMPLIB:{here}/scream.dll.lib"),
            "hal.lib".to_owned(),
        ];
        let plan = Plan::new(&told.map(OsString::from)).unwrap();
        assert_eq!(
            plan.arguments,
            [
                "/DEF:input-0.def",
                "/DEBUG",
                "input-1.o",
                "/OUT:scream.dll",
                "/IMPLIB:scream.dll.lib",
                "hal.lib"
            ]
        );
        assert_eq!(plan.output, root.path().join("scream.dll"));
        assert_eq!(plan.library, Some(root.path().join("scream.dll.lib")));
        let names: Vec<_> = plan.inputs.iter().map(|(_, name)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["input-0.def", "input-1.o", "hal.lib"]);
        assert_eq!(plan.inputs[1].0, Path::new(&object));
    }

    #[test]
    fn an_output_that_is_not_named_is_an_error() {
        let error = Plan::new(&["/DEBUG".into()]).unwrap_err().to_string();
        assert_eq!(error, "rustc does not tell the linker where to put its output");
        assert!(Plan::new(&["@/tmp/arguments".into()]).unwrap_err().to_string().contains("in a file"));
    }
}
