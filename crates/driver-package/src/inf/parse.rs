//! The syntax of an INF.

use super::{Entry, Inf, Section};

/// The bytes of an INF as text.
pub fn text(bytes: &[u8]) -> String {
    if let Some(utf16) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let units = utf16.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Of a Western code page, or of another: then only letters are wrong that no name in an INF is made of.
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The sections of a text.
pub fn inf(text: &str) -> Inf {
    let mut inf = Inf::default();
    let mut section = None;
    let mut statement: Option<Statement> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_matches(['\r', '\u{feff}']);
        if statement.is_none() && line.trim_start().starts_with('[') {
            let name = line.trim_start().trim_start_matches('[');
            section = Some(inf.open(name.split(']').next().unwrap_or(name).trim(), index + 1));
            continue;
        }
        let mut current = statement.take().unwrap_or_else(|| Statement::at(index + 1));
        if current.take(line) {
            statement = Some(current);
        } else if let (Some(place), Some(entry)) = (section, current.finish()) {
            inf.add(place, entry);
        }
    }
    // The last line may say that it goes on, and then the file ends.
    if let (Some(place), Some(entry)) = (section, statement.and_then(Statement::finish)) {
        inf.add(place, entry);
    }
    inf.take_strings();
    inf
}

impl Inf {
    /// The place of a section; a new one if there is none of this name yet.
    fn open(&mut self, name: &str, line: usize) -> usize {
        let next = self.sections.len();
        let place = *self.index.entry(name.to_lowercase()).or_insert(next);
        if place == next {
            self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
        }
        place
    }

    fn add(&mut self, section: usize, entry: Entry) {
        self.sections[section].entries.push(entry);
    }

    fn take_strings(&mut self) {
        let Some(place) = self.index.get("strings") else { return };
        for entry in &self.sections[*place].entries {
            if let Some(key) = &entry.key {
                self.strings.insert(key.to_lowercase(), entry.value(0).to_owned());
            }
        }
    }
}

/// A line that is being read, or several of which each but the last ends with a backslash.
struct Statement {
    line: usize,
    key: Option<String>,
    values: Vec<String>,
    current: Field,
}

/// What is between two commas.
#[derive(Default)]
struct Field {
    text: String,
    /// How much of the text stays even if it is blank, because it was in quotes.
    kept: usize,
    quoted: bool,
}

impl Field {
    fn push(&mut self, letter: char) {
        // Blanks before the first letter say nothing.
        if self.quoted || !letter.is_whitespace() || !self.text.is_empty() {
            self.text.push(letter);
        }
    }

    fn quote(&mut self) {
        self.quoted = !self.quoted;
        self.kept = self.text.len();
    }

    fn take(&mut self) -> String {
        let mut field = std::mem::take(self);
        let end = field.text.trim_end().len().max(field.kept);
        field.text.truncate(end);
        field.text
    }
}

impl Statement {
    fn at(line: usize) -> Self {
        Self { line, key: None, values: Vec::new(), current: Field::default() }
    }

    /// Reads a line of the file; whether the statement goes on in the next.
    fn take(&mut self, line: &str) -> bool {
        let mut letters = line.char_indices().peekable();
        while let Some((place, letter)) = letters.next() {
            match letter {
                '"' if self.current.quoted && letters.next_if(|(_, next)| *next == '"').is_some() => {
                    self.current.push('"');
                }
                '"' => self.current.quote(),
                _ if self.current.quoted => self.current.push(letter),
                ';' => break,
                ',' => self.end_field(),
                '=' if self.key.is_none() && self.values.is_empty() => self.key = Some(self.current.take()),
                '\\' if is_end(&line[place + 1..]) => return true,
                _ => self.current.push(letter),
            }
        }
        // A quote that was forgotten ends with its line.
        if self.current.quoted {
            self.current.quote();
        }
        false
    }

    fn end_field(&mut self) {
        let field = self.current.take();
        self.values.push(field);
    }

    /// What the line says; nothing if it is empty.
    fn finish(mut self) -> Option<Entry> {
        let last = self.current.take();
        let nothing = last.is_empty() && self.values.is_empty();
        if nothing && self.key.is_none() {
            return None;
        }
        if !nothing {
            self.values.push(last);
        }
        Some(Entry { line: self.line, key: self.key, values: self.values })
    }
}

/// Whether nothing but blanks and a comment is left of a line.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with(';')
}
