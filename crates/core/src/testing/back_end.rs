//! The app's back end, as service plugin calls reach it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use crate::delivery::Post;
use crate::wix::SendError;

/// A call that the back end received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The whole URL.
    pub url: String,
    /// The service binding.
    pub binding: Option<&'static str>,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The time that was left, in milliseconds.
    pub timeout: u128,
}

impl Received {
    /// A header; `None` if it was not sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// The milliseconds that an answer takes, and the answer.
type Answer = (u64, Result<(u16, Vec<u8>), SendError>);

/// The calls that the back end received, and the scripted answers to the next ones.
#[derive(Default)]
pub struct FakeBackEnd {
    calls: RefCell<Vec<Received>>,
    answers: RefCell<VecDeque<Answer>>,
}

impl FakeBackEnd {
    /// Scripts the answer to the next call, after so many milliseconds. Without a script it is `{}`.
    pub fn answers(&self, delay: u64, answer: Result<(u16, &[u8]), SendError>) {
        self.answers.borrow_mut().push_back((delay, answer.map(|(status, body)| (status, body.to_vec()))));
    }

    /// Removes the calls, and returns them.
    pub fn take(&self) -> Vec<Received> {
        self.calls.take()
    }

    /// Records a call, and returns its answer.
    pub(super) fn answer(&self, post: &Post<'_>, timeout: Duration) -> Answer {
        let Post { url, binding, headers, body } = *post;
        let (url, headers, body) = (url.to_owned(), headers.to_vec(), body.to_owned());
        self.calls.borrow_mut().push(Received { url, binding, headers, body, timeout: timeout.as_millis() });
        self.answers.borrow_mut().pop_front().unwrap_or_else(|| (0, Ok((200, b"{}".to_vec()))))
    }
}
