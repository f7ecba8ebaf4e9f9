//! The texts of the pages for site owners, in all languages, from `texts.txt`.
//!
//! The file has a block for each language, and in it a line for each text: the code of the language, what stands for the
//! app's name, the links [`Label`], and title and text of each [`Subject`]. `{app}` stands for the app's name. A
//! text must not need the gender of that name, and begins with it, since `The app` has a capital letter. One string costs
//! the wasm less than a table of strings.

const FILE: &str = include_str!("texts.txt");

/// The texts in one language.
#[derive(Clone, Copy)]
pub struct Texts(&'static str);

/// A short text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// In place of the app's name.
    App = 1,
    /// The link that begins a flow.
    Start,
    /// The link that repeats the request.
    Retry,
    /// The link to Wix at the end of a flow.
    Wix,
    /// The link to `SUPPORT_URL`.
    Support,
    /// The name of the request id.
    RequestId,
}

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The external flow is finished.
    Finished,
    /// Its end was opened again.
    Already,
    /// The flow failed. Wix may have installed the app before.
    Failed,
    /// The link is too old, or was used.
    Expired,
    /// The flow began in another browser, or this one accepts no cookies.
    OtherBrowser,
    /// Wix or this server is overloaded, slow or broken.
    Wait,
    /// The operator must do something first.
    Unavailable,
    /// There is no such page.
    Nothing,
}

impl Texts {
    /// The code of the language, as in the attribute `lang`.
    #[must_use]
    pub fn lang(self) -> &'static str {
        self.line(0)
    }

    /// The direction of writing, as in the attribute `dir`.
    #[must_use]
    pub fn dir(self) -> &'static str {
        if self.lang() == "he" { "rtl" } else { "ltr" }
    }

    /// A short text.
    #[must_use]
    pub fn label(self, label: Label) -> &'static str {
        self.line(label as usize)
    }

    /// The title of a page, and what to do next.
    #[must_use]
    pub fn page(self, subject: Subject) -> [&'static str; 2] {
        let title = Label::RequestId as usize + 1 + 2 * subject as usize;
        [self.line(title), self.line(title + 1)]
    }

    fn line(self, at: usize) -> &'static str {
        self.0.lines().nth(at).unwrap_or_default()
    }
}

/// All languages. The first is that of a browser that prefers none of them.
fn languages() -> impl Iterator<Item = Texts> {
    FILE.split("\n\n").map(Texts)
}

/// The language that the header `Accept-Language` prefers (RFC 9110, 12.5.4), or else English. Only the first part of a
/// language tag counts.
#[must_use]
pub fn preferred(accept: Option<&str>) -> Texts {
    let mut best = (0, languages().next().unwrap_or(Texts("")));
    for range in accept.unwrap_or_default().split(',') {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
        let primary = tag.trim().split('-').next().unwrap_or_default();
        // `iw` is the former code of Hebrew.
        let primary = if primary.eq_ignore_ascii_case("iw") { "he" } else { primary };
        let texts = languages().find(|texts| primary.eq_ignore_ascii_case(texts.lang()));
        if let (Some(texts), Some(weight)) = (texts, weight(parameters))
            && weight > best.0
        {
            best = (weight, texts);
        }
    }
    best.1
}

/// A weight such as `q=0.8`, in thousandths. `None` if it is malformed.
fn weight(parameters: &str) -> Option<u32> {
    let (name, value) = parameters.split_once('=')?;
    let mut characters = value.trim().chars();
    let mut weight =
        characters.next().filter(|whole| name.trim().eq_ignore_ascii_case("q") && *whole <= '1')?.to_digit(10)?;
    let rest = characters.as_str();
    let fraction =
        if rest.is_empty() { rest } else { rest.strip_prefix('.').filter(|fraction| fraction.len() <= 3)? };
    let mut fraction = fraction.chars();
    for _ in 0..3 {
        weight = 10 * weight + fraction.next().unwrap_or('0').to_digit(10)?;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests;
