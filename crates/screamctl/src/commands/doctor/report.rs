//! [`Report`]: one line for each thing that was looked at, and the sum of them.

use crate::Outcome;
use crate::computer::ApiError;
use crate::console::Console;
use crate::failure::{self, Failure};

/// `ERROR_ACCESS_DENIED`.
const ACCESS_DENIED: u32 = 5;

/// What was found so far, which is printed as it is found.
pub struct Report<'a> {
    console: &'a mut dyn Console,
    wrong: usize,
}

impl<'a> Report<'a> {
    /// Nothing was looked at yet.
    pub fn new(console: &'a mut dyn Console) -> Self {
        Self { console, wrong: 0 }
    }

    fn line(&mut self, verdict: &str, check: &str, text: &str) {
        self.console.print(&format!("{verdict:<8} {check:<11} {text}\n"));
    }

    /// It is as it should be.
    pub fn ok(&mut self, check: &str, text: &str) {
        self.line("ok", check, text);
    }

    /// It may be meant so, but has to be known.
    pub fn note(&mut self, check: &str, text: &str) {
        self.line("note", check, text);
    }

    /// It keeps sound from arriving, or is not what the user meant.
    pub fn wrong(&mut self, check: &str, failure: &Failure) {
        self.wrong += 1;
        self.line("wrong", check, &failure.to_string());
    }

    /// It was not looked at, as something else has to be right first.
    pub fn skipped(&mut self, check: &str, why: &str) {
        self.line("skipped", check, why);
    }

    /// Windows did not answer.
    pub fn error(&mut self, check: &str, error: ApiError) {
        if error.code == ACCESS_DENIED {
            self.skipped(check, &format!("this needs an administrator's rights ({}: error 5)", error.call));
        } else {
            self.wrong(check, &failure::explain(error).of("this cannot be examined"));
        }
    }

    /// Prints the sum.
    pub fn end(self) -> Outcome {
        let text = match self.wrong {
            0 => "Nothing is wrong.\n".to_owned(),
            1 => "1 thing is wrong.\n".to_owned(),
            count => format!("{count} things are wrong. Begin with the first.\n"),
        };
        self.console.print(&format!("\n{text}"));
        if self.wrong == 0 { Outcome::Done } else { Outcome::Wrong }
    }
}
