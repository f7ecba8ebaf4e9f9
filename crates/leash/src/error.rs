//! The errors of starting and watching a command. They carry the last lines of its output.

use std::error::Error as StdError;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, io};

/// Why a command failed. The message names the command and quotes the last lines of its output.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The command could not be started.
    Spawn {
        /// The command's name in messages.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The command's status could not be read.
    Wait {
        /// The command's name in messages.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The command has ended.
    Exited {
        /// The command's name in messages.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
    /// The command did not write the awaited line before the deadline.
    Deadline {
        /// The command's name in messages.
        name: String,
        /// The deadline.
        waited: Duration,
        /// The last lines of its output.
        tail: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn { name, .. } => write!(f, "{name} could not be started"),
            Self::Wait { name, .. } => write!(f, "the status of {name} could not be read"),
            Self::Exited { name, status, tail } => {
                write!(f, "{name} ended ({status}){}", Quoted(tail))
            }
            Self::Deadline { name, waited, tail } => {
                write!(f, "{name} was not ready after {} s{}", waited.as_secs(), Quoted(tail))
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Spawn { source, .. } | Self::Wait { source, .. } => Some(source),
            Self::Exited { .. } | Self::Deadline { .. } => None,
        }
    }
}

/// The last lines of output, each on an indented line of its own.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" without output");
        }
        f.write_str("; its last lines:")?;
        self.0.lines().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}
