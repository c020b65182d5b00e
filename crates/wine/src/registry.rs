//! [`Registry`]: the part HKEY_LOCAL_MACHINE of a registry, as wine keeps it in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Keys, and the values in each, as wine writes them: `"8"`, `dword:00000008`, `hex:01,02`.
#[derive(Debug, PartialEq, Eq)]
pub struct Registry(BTreeMap<String, BTreeMap<String, String>>);

impl Registry {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("wine has written the registry");
        // A long value goes on in the next line.
        let text = text.replace("\\\n  ", "");
        let mut keys: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut key = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix('[') {
                key = rest.split(']').next().unwrap_or_default().replace(r"\\", r"\").to_lowercase();
                keys.entry(key.clone()).or_default();
            } else if let Some((name, value)) = line.strip_prefix('"').and_then(|rest| rest.split_once("\"="))
            {
                keys.entry(key.clone()).or_default().insert(name.to_owned(), value.to_owned());
            }
        }
        Self(keys)
    }

    /// The values of a key, in the order of their names; empty if there is no such key.
    pub fn values(&self, key: &str) -> Vec<(&str, &str)> {
        let values = self.0.get(&key.to_lowercase()).into_iter().flatten();
        values.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// A value.
    pub fn value(&self, key: &str, name: &str) -> Option<&str> {
        Some(self.0.get(&key.to_lowercase())?.get(name)?.as_str())
    }

    /// Whether there is a key, or one below it.
    pub fn has(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        self.0.keys().any(|other| {
            other.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
        })
    }

    /// The keys below a key.
    pub fn below(&self, key: &str) -> Vec<&str> {
        let key = format!("{}\\", key.to_lowercase());
        self.0.keys().filter(|other| other.starts_with(&key)).map(String::as_str).collect()
    }

    /// The keys that are here and not in another registry.
    pub fn keys_beyond(&self, other: &Self) -> Vec<&str> {
        let others: BTreeSet<_> = other.0.keys().collect();
        self.0.keys().filter(|key| !others.contains(key)).map(String::as_str).collect()
    }
}
