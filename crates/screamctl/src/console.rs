//! [`Console`]: where the program prints, and whom it asks.

use std::io::{self, BufRead, IsTerminal, Write};

/// Where the program prints, and whom it asks.
pub trait Console {
    /// Prints to the standard output as it is.
    fn print(&mut self, text: &str);

    /// Prints to the standard error as it is.
    fn print_error(&mut self, text: &str);

    /// Prints a step that was taken, or what is found: a word for what it is about, and what is to be said of it.
    fn step(&mut self, about: &str, text: &str) {
        self.print(&format!("{about:<14}{text}\n"));
    }

    /// Asks a question that is answered by yes or no. `None`: there is nobody to ask.
    fn ask(&mut self, question: &str) -> Option<bool>;

    /// Waits until the user has read what was printed, if there is one.
    fn wait_for_enter(&mut self, prompt: &str);
}

/// The console that the program was started in.
pub struct Terminal;

impl Console for Terminal {
    fn print(&mut self, text: &str) {
        // Nobody is left to be told that the reader is gone.
        let _ = write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    }

    fn print_error(&mut self, text: &str) {
        let _ = write!(io::stderr(), "{text}");
    }

    fn ask(&mut self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() {
            return None;
        }
        self.print(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
    }

    fn wait_for_enter(&mut self, prompt: &str) {
        if io::stdin().is_terminal() {
            self.print(prompt);
            let _ = io::stdin().lock().read_line(&mut String::new());
        }
    }
}
