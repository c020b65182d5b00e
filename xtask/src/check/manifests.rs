//! The two manifests of the driver, at the root (for Windows) and in `cross/` (elsewhere), have to build the
//! same thing: cargo offers no way to share their tables, so they are compared.

use std::fs;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::process::root;

/// A table of the root manifest, and the one in `cross/Cargo.toml` that has to be equal. Keys are separated
/// by `/`.
const PAIRS: &[(&str, &str)] = &[
    ("target/cfg(windows)/dependencies", "dependencies"),
    ("target/cfg(windows)/build-dependencies", "build-dependencies"),
    ("package/metadata/wdk", "package/metadata/wdk"),
    ("workspace/package/version", "package/version"),
    ("workspace/package/edition", "package/edition"),
    ("workspace/package/rust-version", "package/rust-version"),
    ("workspace/lints/rust", "lints/rust"),
    ("workspace/lints/clippy", "lints/clippy"),
    ("profile/release", "profile/release"),
    // The rest of this profile is for tools and tests at the root, and for the driver in cross.
    ("profile/dev/panic", "profile/dev/panic"),
];

/// Compares the manifests.
///
/// # Errors
/// They differ; every difference is printed.
pub fn check() -> Result<()> {
    let differences = differences(&read("Cargo.toml")?, &read("cross/Cargo.toml")?);
    for difference in &differences {
        println!("{difference}");
    }
    if !differences.is_empty() {
        bail!("Cargo.toml and cross/Cargo.toml differ");
    }
    Ok(())
}

fn read(path: &str) -> Result<Table> {
    let text = fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))?;
    text.parse().with_context(|| format!("cannot parse {path}"))
}

fn differences(root: &Table, cross: &Table) -> Vec<String> {
    let mut differences = Vec::new();
    for (root_key, cross_key) in PAIRS {
        compare(cross_key, at(root, root_key), at(cross, cross_key), &mut differences);
    }
    differences
}

fn at<'t>(table: &'t Table, keys: &str) -> Option<&'t Value> {
    let (first, rest) = keys.split_once('/').unwrap_or((keys, ""));
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { at(value.as_table()?, rest) }
}

/// Tells each leaf in which two values differ. Path dependencies are beside the root in one manifest only,
/// and their version is their own, so they do not count.
fn compare(key: &str, root: Option<&Value>, cross: Option<&Value>, differences: &mut Vec<String>) {
    if let (Some(Value::Table(root)), Some(Value::Table(cross))) = (root, cross) {
        let mut names: Vec<_> = root.keys().chain(cross.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            compare(&format!("{key}.{name}"), root.get(name), cross.get(name), differences);
        }
    } else if root != cross && !is_path(root) && !is_path(cross) {
        let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        differences.push(format!("{key}: {} at the root, {} in cross", shown(root), shown(cross)));
    }
}

fn is_path(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.get("path").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(root: &str, cross: &str) -> Vec<String> {
        differences(&root.parse().expect("TOML"), &cross.parse().expect("TOML"))
    }

    #[test]
    fn the_manifests_of_this_repository_agree() {
        let told = differences(
            &read("Cargo.toml").expect("a manifest"),
            &read("cross/Cargo.toml").expect("a manifest"),
        );
        assert_eq!(told, Vec::<String>::new());
    }

    #[test]
    fn equal_tables_at_their_different_places_agree() {
        let root = "[target.'cfg(windows)'.dependencies]\nwdk = '=1'\n[workspace.package]\nversion = '2'";
        let cross = "[dependencies]\nwdk = '=1'\nprotocol = { path = '..' }\n[package]\nversion = '2'";
        assert_eq!(told(root, cross), Vec::<String>::new());
    }

    #[test]
    fn another_version_is_told_with_its_name() {
        let root = "[target.'cfg(windows)'.dependencies]\nwdk = '=1'";
        let cross = "[dependencies]\nwdk = '=2'";
        assert_eq!(told(root, cross), [r#"dependencies.wdk: "=1" at the root, "=2" in cross"#]);
    }

    #[test]
    fn a_setting_that_only_one_has_is_told() {
        let lints = "[workspace.lints.rust]\nunsafe_code = 'deny'";
        assert_eq!(
            told(lints, ""),
            [r#"lints/rust: { unsafe_code = "deny" } at the root, nothing in cross"#]
        );
        let profile = "[profile.release]\nlto = true";
        let other = "[profile.release]\nlto = true\nopt-level = 3";
        assert_eq!(told(profile, other), ["profile/release.opt-level: nothing at the root, 3 in cross"]);
    }
}
