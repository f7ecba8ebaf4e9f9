//! The pages for site owners, in their language: what happened, what to do next, and the request id for questions.

use maud::{Markup, html};

use super::page::{Page, page};
use super::texts::{Label, Subject, Texts};
use super::{Error, Settings};
use crate::crypto::state::StateError;
use crate::instances::InstanceError;
use crate::values::RequestId;
use crate::wix::WixError;

/// On what a page depends besides its subject.
pub struct View<'a> {
    /// The language.
    pub texts: Texts,
    /// The app's name and where to get help; `None` if the configuration has faults.
    pub settings: Option<&'a Settings>,
    /// The address that begins the flow of the request, if it belongs to one.
    pub start: Option<&'a str>,
    /// Finds the log line of the request.
    pub request_id: &'a RequestId,
}

impl View<'_> {
    /// The page at the end of the external install flow. It may be opened again. It leads on to `wix`, since a flow that began
    /// in this tab has no window to close.
    #[must_use]
    pub fn finished(&self, again: bool, wix: &str) -> Page {
        let subject = if again { Subject::Already } else { Subject::Finished };
        self.page(subject, Some((wix, self.texts.label(Label::Wix))), None)
    }

    /// The page about an error.
    #[must_use]
    pub fn error(&self, error: &Error) -> Page {
        // Developers who build a link see what is wrong with it.
        let detail = match error {
            Error::BadRequest(name, problem) => format!(" ({name}: {problem})"),
            _ => String::new(),
        };
        let subject = subject(error);
        self.page(subject, self.link(subject), Some(&format!("{}{detail}", error.notice().code)))
    }

    /// `next` is the address and the text of the link that leads on. `code` names the error for the support.
    fn page(&self, subject: Subject, next: Option<(&str, &str)>, code: Option<&str>) -> Page {
        let texts = self.texts;
        let [title, text] = texts.page(subject);
        let name = self.settings.and_then(|settings| settings.app_name.as_deref());
        let support = self.settings.and_then(|settings| settings.support_url.as_deref());
        let shown = name.unwrap_or(texts.label(Label::App));
        let content = html! {
            @if code.is_none() { p.mark.good aria-hidden="true" { "✓" } } @else { p.mark.bad aria-hidden="true" { "!" } }
            @if let Some(name) = name { p.app { bdi { (name) } } }
            h1 { (with_name(title, shown)) }
            p { (text) }
            // Wix does not let a frame show its pages, so the link at the end of a flow replaces the whole window.
            @if let Some((href, label)) = next {
                p { a.next href=(href) target=[code.is_none().then_some("_top")] { (label) } }
            }
            p.small {
                @if let Some(url) = support { a href=(url) target="_blank" rel="noopener" { (texts.label(Label::Support)) } br; }
                (texts.label(Label::RequestId)) ": " code dir="ltr" { (self.request_id.as_str()) }
                @if let Some(code) = code { br; code lang="en" dir="ltr" { (code) } }
            }
        };
        page([texts.lang(), texts.dir()], &title.replace("{app}", shown), &content)
    }

    /// Where the owner goes on after an error, and the text of the link. An empty address repeats the request, whose query the
    /// page does not show.
    fn link(&self, subject: Subject) -> Option<(&str, &'static str)> {
        match subject {
            Subject::Failed | Subject::Expired | Subject::OtherBrowser => {
                Some((self.start?, self.texts.label(Label::Start)))
            }
            Subject::Wait | Subject::Unavailable => Some(("", self.texts.label(Label::Retry))),
            Subject::Finished | Subject::Already | Subject::Nothing => None,
        }
    }
}

/// After how many seconds the request may be repeated that got the page about this error.
pub fn retry_after(error: &Error) -> Option<&'static str> {
    match subject(error) {
        Subject::Wait => Some("60"),
        Subject::Unavailable => Some("300"),
        _ => None,
    }
}

fn subject(error: &Error) -> Subject {
    match error {
        Error::NotFound | Error::MethodNotAllowed(_) => Subject::Nothing,
        Error::State(StateError::Expired) | Error::Instance(InstanceError::CodeRefused(_)) => Subject::Expired,
        Error::State(StateError::OtherBrowser | StateError::OtherOrigin) => Subject::OtherBrowser,
        Error::State(StateError::Invalid) | Error::BadRequest(..) | Error::Instance(InstanceError::NotProven(_)) => {
            Subject::Failed
        }
        Error::Misconfigured(_) | Error::Instance(InstanceError::Wix(WixError::CredentialsRefused(_))) => {
            Subject::Unavailable
        }
        _ => Subject::Wait,
    }
}

/// A text with the app's name in it, whose direction of writing may differ.
fn with_name(text: &str, name: &str) -> Markup {
    let (before, after) = text.split_once("{app}").map_or((text, None), |(before, after)| (before, Some(after)));
    html! { (before) @if let Some(after) = after { bdi { (name) } (after) } }
}
