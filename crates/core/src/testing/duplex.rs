//! A request whose body is read while the body of its response is written.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Inbound;
use crate::web::BodyError;

/// How many bytes are read at once: lines begin anywhere in a chunk.
const CHUNK: usize = 997;

/// The body of a response, which may still be written.
#[derive(Clone, Default)]
pub struct Written(Rc<RefCell<Vec<u8>>>);

impl Written {
    /// A whole body.
    pub fn new(text: String) -> Self {
        Self(Rc::new(RefCell::new(text.into_bytes())))
    }

    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("text")
    }
}

/// See the module.
pub struct FakeDuplex {
    rest: RefCell<Vec<u8>>,
    is_broken: bool,
    leaves_after: Cell<Option<usize>>,
    written: Written,
}

impl FakeDuplex {
    /// Nothing is read or written yet.
    pub fn new(inbound: Inbound) -> Self {
        let Inbound { body, broken, leaves_after, .. } = inbound;
        Self { rest: body.into(), is_broken: broken, leaves_after: leaves_after.into(), written: Written::default() }
    }

    /// The body of the response.
    pub fn written(&self) -> Written {
        self.written.clone()
    }

    /// The next bytes of the request.
    pub fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        let mut rest = self.rest.borrow_mut();
        if rest.is_empty() {
            return if self.is_broken { Err(BodyError::Broken) } else { Ok(None) };
        }
        let length = rest.len().min(CHUNK);
        Ok(Some(rest.drain(..length).collect()))
    }

    /// Writes a part of the response, if the client is there.
    pub fn write(&self, text: &str) -> Result<(), BodyError> {
        let left = self.leaves_after.get();
        if left == Some(0) {
            return Err(BodyError::Broken);
        }
        self.leaves_after.set(left.map(|left| left - 1));
        self.written.0.borrow_mut().extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Ends the response.
    pub fn end(&self, is_whole: bool) {
        if !is_whole {
            self.written.0.borrow_mut().extend_from_slice(b"(broken off)");
        }
    }
}
