//! `POST /v1/import`: installations that existed before this Worker, as NDJSON. Each line is answered while the rest is
//! received, in memory that does not grow with the body.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use futures::lock::Mutex;
use futures::stream::{StreamExt as _, unfold};
use serde::Serialize;

use crate::instances::{
    Context, IMPORTS_BY_OBJECTS, IMPORTS_BY_WORKER, ImportOutcome, LINE_LIMIT, Line, import as run,
};
use crate::values::InstanceId;
use crate::web::{BodyError, Call, Error, Outcome, Platform, Reply};

/// How many lines are done at once. An invocation may wait for six connections.
const AT_ONCE: usize = 6;
const TOO_LONG: &str = "the line must be at most 65536 bytes long";
const NOT_UTF_8: &str = "the line must be UTF-8";
const LATER: &str = "one request does not import so many installations: send the line in another one";

/// One line of the response.
#[derive(Serialize)]
pub struct ImportedLine {
    /// The number of the line in the request, from 1.
    line: u64,
    /// The installation, if the line has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<InstanceId>,
    /// `imported`, `known`, `refused`, `invalid` or `failed`.
    outcome: &'static str,
    /// What is wrong with an invalid line, or why a line was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

/// `POST /v1/import`
pub fn import<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let begun = call.cx.platform.duplex(call.request.inbound);
    let (duplex, stream) = begun.map_err(|error| Error::body(error, 0))?;
    Ok(Outcome { lines: Some(duplex), ..Reply::ndjson_stream(stream).into() })
}

/// Answers each line, in order, until the body ends.
pub async fn answer_lines<P: Platform>(cx: &Context<'_, P>, duplex: &P::Duplex) {
    let request = Request::new(cx);
    let (is_whole, has_left) = (Cell::new(true), Cell::new(false));
    let lines = unfold(Lines::default(), async |mut lines| {
        if has_left.get() {
            return None;
        }
        let next = lines.next(cx.platform, duplex).await.unwrap_or_else(|_| {
            is_whole.set(false);
            None
        });
        next.map(|line| (line, lines))
    });
    let mut answers = std::pin::pin!(lines.map(|line| request.answer(line)).buffered(AT_ONCE));
    // The lines in progress run to their end, even if the client disconnects.
    while let Some(answer) = answers.next().await {
        if !has_left.get() && cx.platform.write_chunk(duplex, &answer).await.is_err() {
            has_left.set(true);
        }
    }
    cx.platform.end(duplex, is_whole.get()).await;
    cx.trace().outcome(match (has_left.get(), is_whole.get()) {
        (true, _) => "client_left",
        (false, true) => "answered",
        (false, false) => "broken_off",
    });
}

/// What the lines of one request share.
struct Request<'a, P> {
    cx: &'a Context<'a, P>,
    /// How many more installations this request may import.
    left: Cell<usize>,
    /// Lines of one installation are done one after the other.
    locks: RefCell<HashMap<InstanceId, Rc<Mutex<()>>>>,
}

impl<'a, P: Platform> Request<'a, P> {
    fn new(cx: &'a Context<'a, P>) -> Self {
        let left = if cx.settings.events.is_bound { IMPORTS_BY_OBJECTS } else { IMPORTS_BY_WORKER };
        Self { cx, left: Cell::new(left), locks: RefCell::default() }
    }

    async fn answer(&self, (line, text): Numbered) -> String {
        let (instance_id, outcome, problem) = match self.outcome(text).await {
            Ok((id, outcome, problem)) => (Some(id), outcome.as_str(), problem),
            Err((id, problem)) => (id, "invalid", Some(problem)),
        };
        let answer = serde_json::to_string(&ImportedLine { line, instance_id, outcome, problem });
        answer.unwrap_or_default() + "\n"
    }

    async fn outcome(
        &self,
        text: Option<Vec<u8>>,
    ) -> Result<(InstanceId, ImportOutcome, Option<&'static str>), (Option<InstanceId>, &'static str)> {
        let text = text.ok_or((None, TOO_LONG))?;
        let text = str::from_utf8(&text).map_err(|_| (None, NOT_UTF_8))?;
        let line = Line::parse(text, self.cx.clock())?;
        let id = line.instance.clone();
        let Some(left) = self.left.get().checked_sub(1) else { return Ok((id, ImportOutcome::Failed, Some(LATER))) };
        self.left.set(left);
        let lock = Rc::clone(self.locks.borrow_mut().entry(id.clone()).or_default());
        let _turn = lock.lock().await;
        Ok((id, run(self.cx, &line, text).await, None))
    }
}

/// A line with its number. `None` if it is too long.
type Numbered = (u64, Option<Vec<u8>>);

/// Splits a body into lines. Blank ones only count.
#[derive(Default)]
struct Lines {
    chunk: Vec<u8>,
    /// Where in the chunk the next line begins.
    start: usize,
    /// The line that has begun.
    begun: Vec<u8>,
    is_too_long: bool,
    has_ended: bool,
    number: u64,
}

impl Lines {
    async fn next<P: Platform>(&mut self, platform: &P, duplex: &P::Duplex) -> Result<Option<Numbered>, BodyError> {
        while !self.has_ended {
            let rest = self.chunk.get(self.start..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.is_too_long |= self.begun.len() + part.len() > LINE_LIMIT;
            if self.is_too_long {
                self.begun.clear();
            } else {
                self.begun.extend_from_slice(part);
            }
            if let Some(end) = end {
                self.start += end + 1;
            } else if let Some(chunk) = platform.read_chunk(duplex).await? {
                (self.chunk, self.start) = (chunk, 0);
                continue;
            } else {
                self.has_ended = true;
            }
            self.number += 1;
            let (line, is_too_long) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.is_too_long));
            if is_too_long {
                return Ok(Some((self.number, None)));
            }
            let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line);
            if !text.trim_ascii().is_empty() {
                return Ok(Some((self.number, Some(line))));
            }
        }
        Ok(None)
    }
}
