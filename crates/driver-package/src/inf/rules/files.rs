//! Rules of the files that are copied.

use super::{Review, Rule};
use crate::inf::{Entry, Section};

impl<'a> Review<'a> {
    /// The files that an install section copies, below the directory of the package.
    pub(super) fn copied(&mut self, install: &'a Section, architecture: &str) -> Vec<String> {
        let mut copied = Vec::new();
        for directive in install.entries.iter().filter(|entry| entry.is("CopyFiles")) {
            for name in &directive.values {
                let Some(list) = self.follow(directive, name) else { continue };
                let Some(folder) = self.destination(directive, list) else { continue };
                for file in &list.entries {
                    self.source(file, &folder, architecture);
                    copied.push(below(&folder, file.value(0)));
                }
            }
        }
        copied
    }

    /// The folder below the package's directory that a list of files goes to.
    fn destination(&mut self, directive: &Entry, list: &Section) -> Option<String> {
        let directories = self.inf.section("DestinationDirs");
        let Some(entry) = directives(directories, &list.name).or(directives(directories, "DefaultDestDir"))
        else {
            let text = format!("DestinationDirs does not say where [{}] goes", list.name);
            self.find(Rule::Directory, directive.line, text);
            return None;
        };
        if entry.value(0) != "13" {
            let text = format!("directory {} is not that of the package, 13", entry.value(0));
            self.find(Rule::Directory, entry.line, text);
        }
        Some(entry.value(1).to_owned())
    }

    /// A file comes from the folder that it goes to, and is not renamed.
    fn source(&mut self, file: &Entry, destination: &str, architecture: &str) {
        let name = file.value(0);
        if file.key.is_some() || file.values.len() != 1 {
            return self.find(
                Rule::Folder,
                file.line,
                format!("{name} is copied under another name or with flags"),
            );
        }
        let Some(entry) = self.for_processor("SourceDisksFiles", architecture, name) else {
            return self.find(Rule::Folder, file.line, format!("SourceDisksFiles does not have {name}"));
        };
        let Some(disk) = self.for_processor("SourceDisksNames", architecture, entry.value(0)) else {
            let text = format!("SourceDisksNames does not have {}", entry.value(0));
            return self.find(Rule::Folder, entry.line, text);
        };
        let source = below(disk.value(3).trim_matches('\\'), entry.value(1).trim_matches('\\'));
        if !source.trim_matches('\\').eq_ignore_ascii_case(destination) {
            let text = format!("{name} comes from the folder '{source}' and goes to '{destination}'");
            self.find(Rule::Folder, entry.line, text);
        }
    }

    /// A line of a section that a processor may have one of its own of.
    fn for_processor(&mut self, section: &str, architecture: &str, key: &str) -> Option<&'a Entry> {
        let own = self.known(&format!("{section}.{architecture}"));
        let common = self.known(section);
        directives(own, key).or(directives(common, key))
    }
}

fn directives<'a>(section: Option<&'a Section>, key: &str) -> Option<&'a Entry> {
    section.and_then(|section| section.entry(key))
}

/// A path below a folder, which may be none.
fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}\\{path}") }
}
