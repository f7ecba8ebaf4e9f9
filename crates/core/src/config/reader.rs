//! Reads the values of the environment, and collects their faults.

use super::Binding;
use crate::values::Fault;

pub(super) struct Reader<F> {
    pub(super) lookup: F,
    pub(super) faults: Vec<Fault>,
}

impl<F: Fn(&str) -> Binding> Reader<F> {
    pub(super) fn fault(&mut self, name: &'static str, problem: String, fix: &'static str) {
        self.faults.push(Fault { name, problem, fix });
    }

    pub(super) fn is_bound(&self, name: &str) -> bool {
        matches!((self.lookup)(name), Binding::Object)
    }

    /// A value as text, without the invisible characters around it. `None` if it is missing, empty, or no text.
    ///
    /// Apart from the parsers, which differ in each value, so that the code is compiled once.
    fn text(&mut self, name: &'static str, fix: &'static str) -> Option<String> {
        match (self.lookup)(name) {
            Binding::Missing => None,
            Binding::Text(text) => Some(visible(&text)).filter(|text| !text.is_empty()).map(str::to_owned),
            Binding::Object | Binding::NotText => {
                self.fault(name, "it must be text: put the value in quotes".to_owned(), fix);
                None
            }
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name, fix)?;
        parse(&text).map_err(|problem| self.fault(name, problem, fix)).ok()
    }

    /// Parses the default if the value is missing.
    pub(super) fn with_default<T>(
        &mut self,
        name: &'static str,
        default: &str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let before = self.faults.len();
        let value = self.optional(name, fix, &parse);
        if value.is_none() && self.faults.len() == before { parse(default).ok() } else { value }
    }

    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.required_or(name, [fix, fix], parse)
    }

    /// The first fix is for a missing value, the second for a malformed one.
    pub(super) fn required_or<T>(
        &mut self,
        name: &'static str,
        [missing, malformed]: [&'static str; 2],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let before = self.faults.len();
        let value = self.optional(name, malformed, parse);
        if value.is_none() && self.faults.len() == before {
            self.fault(name, "it is missing".to_owned(), missing);
        }
        value
    }
}

/// A value without the invisible characters around it: whitespace, a byte order mark, and similar ones.
pub(super) fn visible(text: &str) -> &str {
    pub(super) const INVISIBLE: [char; 6] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{0}'];
    text.trim_matches(|char: char| char.is_whitespace() || INVISIBLE.contains(&char))
}
