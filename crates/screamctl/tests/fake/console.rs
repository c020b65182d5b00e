//! [`FakeConsole`]: what was printed, and answers that were written before.

use std::collections::VecDeque;

use screamctl::console::Console;

/// A console of plain data.
#[derive(Debug, Default)]
pub struct FakeConsole {
    /// What was printed to the standard output.
    pub out: String,
    /// What was printed to the standard error.
    pub err: String,
    /// The questions that were asked.
    pub questions: Vec<String>,
    /// Their answers; with none left there is nobody to ask.
    pub answers: VecDeque<bool>,
    /// What was printed before each wait for Enter.
    pub waits: Vec<String>,
}

impl FakeConsole {
    /// A console at which nobody sits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A console at which somebody answers so.
    pub fn answering(answers: &[bool]) -> Self {
        Self { answers: answers.iter().copied().collect(), ..Self::default() }
    }
}

impl Console for FakeConsole {
    fn print(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn print_error(&mut self, text: &str) {
        self.err.push_str(text);
    }

    fn ask(&mut self, question: &str) -> Option<bool> {
        self.questions.push(question.to_owned());
        self.answers.pop_front()
    }

    fn wait_for_enter(&mut self, prompt: &str) {
        self.waits.push(prompt.to_owned());
    }
}
