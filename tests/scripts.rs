//! Scripts and workflows that do not run here: those who run them can read them, and they name only what there is.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use driver_package::layout;
use yaml_rust2::{Yaml, YamlLoader};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a command line of cmd.exe can hold.
const LONGEST_BATCH_LINE: usize = 8191;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder with one of these extensions: path and text.
fn texts(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let entries =
        fs::read_dir(Path::new(ROOT).join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut paths: Vec<String> = names
        .filter(|name| extensions.iter().any(|extension| name.ends_with(extension)))
        .map(|name| if folder == "." { name } else { format!("{folder}/{name}") })
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// All scripts, workflows, and documents that name commands and files.
fn everything() -> Vec<(String, String)> {
    let places: [(&str, &[&str]); 4] = [
        (".", &[".bat", ".md"]),
        ("docs", &[".md"]),
        ("scripts", &[".ps1", ".txt"]),
        (".github/workflows", &[".yml"]),
    ];
    places.into_iter().flat_map(|(folder, extensions)| texts(folder, extensions)).collect()
}

/// Where PowerShell's grammar does not fit.
fn powershell_errors(text: &str) -> Vec<String> {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).expect("a grammar of this version");
    let tree = parser.parse(text, None).expect("a tree");
    let (mut errors, mut nodes) = (Vec::new(), vec![tree.root_node()]);
    while let Some(node) = nodes.pop() {
        if node.is_error() || node.is_missing() {
            errors.push(format!("line {}", node.start_position().row + 1));
        }
        nodes.extend((0..node.child_count()).filter_map(|index| node.child(index)));
    }
    errors
}

#[test]
fn every_powershell_script_parses_and_stops_with_one_line() {
    let scripts = texts("scripts", &[".ps1"]);
    assert_eq!(scripts.len(), 4);
    for (path, text) in scripts {
        assert_eq!(powershell_errors(&text), Vec::<String>::new(), "{path}");
        assert!(text.is_ascii(), "{path}: Windows PowerShell reads it in the code page of the computer");
        assert!(text.starts_with("<#\n.SYNOPSIS\n"), "{path}: no help");
        // The one without is loaded by the others.
        if path != "scripts/wdk.ps1" {
            for line in [
                "$ErrorActionPreference = 'Stop'",
                "trap { [Console]::Error.WriteLine(\"error: $_\"); exit 1 }",
            ] {
                assert!(text.lines().any(|other| other == line), "{path}: no {line}");
            }
        }
    }
}

#[test]
fn a_powershell_script_that_is_broken_is_found() {
    assert_eq!(powershell_errors("if ($a) { Write-Host 'b' }\n"), Vec::<String>::new());
    for broken in ["if ($a) { Write-Host 'b'\n", "foreach ($a $b) { }\n", "$a = @('b', \n"] {
        assert_ne!(powershell_errors(broken), Vec::<String>::new(), "{broken}");
    }
}

/// What cmd.exe trips over, where line ends are those of the checkout: it misses labels in a file without CRLF.
fn batch_problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("@echo off\n") {
        problems.push("shows its lines".to_owned());
    }
    for (index, line) in text.lines().enumerate() {
        let mut problem = |what: &str| problems.push(format!("line {}: {what}", index + 1));
        let lower = line.to_ascii_lowercase();
        if !line.is_ascii() || line.contains('\t') {
            problem("more than ASCII");
        }
        if line.len() > LONGEST_BATCH_LINE {
            problem("too long");
        }
        if line.starts_with(':') || lower.split_whitespace().any(|word| word == "goto" || word == "call") {
            problem("a jump");
        }
        if lower.contains("enabledelayedexpansion") {
            problem("an exclamation mark in a path would vanish");
        }
        // A path may have blanks, & and parentheses.
        if line.split('"').step_by(2).any(|unquoted| unquoted.contains("%~")) {
            problem("a path without quotes");
        }
    }
    problems
}

#[test]
fn the_batch_files_have_nothing_that_cmd_trips_over() {
    let [install, uninstall] = ["install", "uninstall"].map(|name| (name, read(&format!("{name}.bat"))));
    for (name, text) in [&install, &uninstall] {
        assert_eq!(batch_problems(text), Vec::<String>::new(), "{name}");
        assert!(text.contains(&format!("\\screamctl.exe\" {name} --elevate %*\n")), "{name}");
        for architecture in layout::Architecture::ALL {
            let folder = format!("set \"SCREAM_FOLDER={}\"", architecture.folder());
            assert!(text.contains(&folder), "{name}: {folder}");
        }
    }
    let as_uninstall = (install.1.replace("install.bat", "uninstall.bat"))
        .replace("\" install --", "\" uninstall --")
        .replace("Installs", "Removes");
    assert_eq!(as_uninstall, uninstall.1, "they differ in more than their work");
}

#[test]
fn a_batch_file_that_would_break_is_found() {
    let broken = [
        ("echo on\n", "shows its lines"),
        ("@echo off\ngoto end\n", "line 2: a jump"),
        ("@echo off\n:end\n", "line 2: a jump"),
        ("@echo off\nif exist \"%~dp0a\" %~dp0a\n", "line 2: a path without quotes"),
        (
            "@echo off\nsetlocal EnableDelayedExpansion\n",
            "line 2: an exclamation mark in a path would vanish",
        ),
        ("@echo off\necho \u{fc}\n", "line 2: more than ASCII"),
    ];
    for (text, problem) in broken {
        assert_eq!(batch_problems(text), [problem]);
    }
    let long = format!("@echo off\n{}\n", "x".repeat(LONGEST_BATCH_LINE + 1));
    assert_eq!(batch_problems(&long), ["line 2: too long"]);
}

/// Keys that a mapping has to have, and those that it may have besides.
struct Shape {
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const WORKFLOW: Shape = Shape {
    required: &["name", "on", "permissions", "jobs"],
    optional: &["concurrency", "defaults", "env", "run-name"],
};
const JOB: Shape = Shape {
    required: &["runs-on", "timeout-minutes", "steps"],
    optional: &["name", "needs", "if", "container", "defaults", "env", "strategy"],
};
const STEP: Shape = Shape {
    required: &[],
    optional: &["name", "id", "if", "uses", "with", "run", "shell", "env", "working-directory"],
};

impl Shape {
    fn problems(&self, what: &str, value: &Yaml) -> Vec<String> {
        let Some(mapping) = value.as_hash() else { return vec![format!("{what} is no mapping")] };
        let keys: Vec<&str> = mapping.keys().filter_map(Yaml::as_str).collect();
        let missing = self.required.iter().filter(|key| !keys.contains(key));
        let known = |key: &&str| self.required.contains(key) || self.optional.contains(key);
        let unknown = keys.iter().filter(|key| !known(key));
        (missing.map(|key| format!("{what} has no {key}")))
            .chain(unknown.map(|key| format!("{what} has an unknown {key}")))
            .collect()
    }
}

/// What GitHub, or a reader who trusts nobody, would not accept.
fn workflow_problems(text: &str) -> Vec<String> {
    let documents = match YamlLoader::load_from_str(text) {
        Ok(documents) => documents,
        Err(error) => return vec![format!("no YAML: {error}")],
    };
    let [workflow] = &documents[..] else { return vec!["not one document".to_owned()] };
    let mut problems = WORKFLOW.problems("the workflow", workflow);
    if workflow["permissions"]["contents"].as_str() != Some("read")
        || workflow["permissions"].as_hash().is_none_or(|permissions| permissions.len() != 1)
    {
        problems.push("it may do more than read".to_owned());
    }
    for (name, job) in workflow["jobs"].as_hash().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        problems.extend(JOB.problems(name, job));
        for (index, step) in job["steps"].as_vec().into_iter().flatten().enumerate() {
            let what = format!("{name}, step {}", index + 1);
            problems.extend(STEP.problems(&what, step));
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) if !is_pinned(action) => problems.push(format!("{what} is not pinned")),
                (Some(_), None) | (None, Some(_)) => {}
                _ => problems.push(format!("{what} is not one of uses and run")),
            }
        }
    }
    problems
}

/// True for an action at a commit, which nobody can exchange later.
fn is_pinned(action: &str) -> bool {
    action.split_once('@').is_some_and(|(name, commit)| {
        name.split('/').count() == 2
            && commit.len() == 40
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[test]
fn the_workflows_have_the_shape_that_github_demands() {
    let workflows = texts(".github/workflows", &[".yml"]);
    let names: Vec<&str> = workflows.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, [".github/workflows/linux.yml", ".github/workflows/windows.yml"]);
    for (path, text) in &workflows {
        assert_eq!(workflow_problems(text), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn a_workflow_of_another_shape_is_found() {
    let good = read(".github/workflows/linux.yml");
    let mutations = [
        ("runs-on:", "run-on:", "package has no runs-on"),
        ("timeout-minutes: 90", "timeout: 90", "package has no timeout-minutes"),
        ("contents: read", "contents: write", "it may do more than read"),
        ("contents: read", "contents: read\n  packages: write", "it may do more than read"),
        ("checkout@d23441a48e516b6c34aea4fa41551a30e30af803", "checkout@v6", "package, step 2 is not pinned"),
        ("- run: cargo xtask check", "- runs: cargo xtask check", "package, step 4 has an unknown runs"),
        ("on: [push", "on: [push, [", "no YAML"),
    ];
    for (from, to, problem) in mutations {
        assert!(good.contains(from), "{from}");
        let problems = workflow_problems(&good.replacen(from, to, 1));
        assert!(problems.iter().any(|told| told.starts_with(problem)), "{to}: {problems:?}");
    }
}

/// The commands of `cargo xtask`, as clap names them.
fn xtask_commands() -> BTreeSet<String> {
    let source = read("xtask/src/main.rs");
    let (_, rest) = source.split_once("enum Command {\n").expect("the commands");
    let (variants, _) = rest.split_once("\n}\n").expect("their end");
    let lines = variants.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    names
        .map(|line| {
            let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            let dashed =
                name.chars().map(|c| if c.is_ascii_uppercase() { format!("-{c}") } else { c.to_string() });
            dashed.collect::<String>().trim_start_matches('-').to_ascii_lowercase()
        })
        .collect()
}

/// The folders whose files scripts and documents name.
const FOLDERS: [&str; 9] =
    ["scripts/", "inf/", "crates/", "docs/", "tests/", "xtask/", "cross/", "src/", ".github/"];

/// Commands of xtask and files that a text names and that there are not.
fn unknown_names(text: &str, commands: &BTreeSet<String>) -> Vec<String> {
    let mut unknown = Vec::new();
    for rest in text.split("cargo xtask ").skip(1) {
        let command: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        if !command.is_empty() && !commands.contains(&command) {
            unknown.push(format!("cargo xtask {command}"));
        }
    }
    let separators = |c: char| c.is_whitespace() || "'\"`()[]{}<>|,;:=".contains(c);
    for word in text.split(separators) {
        let path = word.replace('\\', "/").replace("$PSScriptRoot/", "scripts/").replace("$root/", "");
        let path = path.trim_end_matches('.');
        let is_one =
            FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains(['$', '*', '#', '%']);
        if is_one && !Path::new(ROOT).join(path).exists() {
            unknown.push(path.to_owned());
        }
    }
    unknown
}

#[test]
fn scripts_workflows_and_documents_name_only_what_there_is() {
    let commands = xtask_commands();
    assert!(commands.contains("check-image") && commands.contains("package"), "{commands:?}");
    let everything = everything();
    assert!(everything.len() >= 14, "{}", everything.len());
    for (path, text) in everything {
        assert_eq!(unknown_names(&text, &commands), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn names_of_nothing_are_found() {
    let commands = BTreeSet::from(["check".to_owned()]);
    assert_eq!(unknown_names("- run: cargo xtask check\n", &commands), Vec::<String>::new());
    assert_eq!(unknown_names("`cargo xtask chek`", &commands), ["cargo xtask chek"]);
    assert_eq!(unknown_names(r#". "$PSScriptRoot\wkd.ps1""#, &commands), ["scripts/wkd.ps1"]);
    assert_eq!(unknown_names(r#"Copy-Text 'inf\scream.inx'"#, &commands), ["inf/scream.inx"]);
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let mut count = 0;
    for (path, text) in everything().iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = Path::new(ROOT).join(path).parent().expect("a folder").to_owned();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(folder.join(file).exists(), "{path}: {target}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn the_package_of_the_windows_scripts_has_the_layout_of_the_other() {
    let package = read("scripts/package.ps1");
    let copied: Vec<[&str; 2]> = (package.lines())
        .filter_map(|line| line.trim().strip_prefix("Copy-Text '")?.strip_suffix('\'')?.split_once("' '"))
        .map(|(from, to)| [from, to])
        .collect();
    let inf = format!("{}\\{}", layout::DRIVER, layout::INF);
    let expected = [
        ["inf\\scream.inf", &inf],
        ["install.bat", "install.bat"],
        ["uninstall.bat", "uninstall.bat"],
        ["scripts\\README.txt", "README.txt"],
        ["LICENSE", "LICENSE.txt"],
    ];
    assert_eq!(copied, expected);
    assert!(copied.iter().all(|[from, _]| Path::new(ROOT).join(from.replace('\\', "/")).exists()));
    let folder =
        package.lines().find_map(|line| line.strip_prefix("$driver = ")).expect("the driver's folder");
    assert_eq!(folder, format!("\"$package\\{}\"", layout::DRIVER));
    let sign = read("scripts/test-sign.ps1");
    let certificate: Vec<&str> = layout::TEST_CERTIFICATE.split('/').collect();
    assert!(sign.contains(&format!("\"$Package\\{}\"", certificate[0])));
    assert!(sign.contains(&format!("\"$folder\\{}\"", certificate[1])));
    assert!(sign.contains(&format!("\"{} $(", layout::TEST_CERTIFICATE_NAME)));
    for file in [layout::DRIVER_FILE, layout::CATALOG, layout::PROGRAM] {
        assert!(sign.contains(&format!("'{file}'")), "{file} is not signed");
    }
}
