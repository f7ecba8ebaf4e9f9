//! What can go wrong with a command on a leash, with its last words.

use std::error::Error as StdError;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, io};

/// Why a command is of no use. Shown, it names the command and gives the last lines of its output.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The command could not be started.
    Spawn {
        /// What messages call the command.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system would not say whether the command runs.
    Wait {
        /// What messages call the command.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command has ended.
    Exited {
        /// What messages call the command.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
    /// The awaited line did not come in time.
    Deadline {
        /// What messages call the command.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its output.
        tail: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn { name, .. } => write!(f, "{name} could not be started"),
            Self::Wait { name, .. } => write!(f, "{name} could not be watched"),
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

/// The last lines, set off from the sentence before them.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" without a word");
        }
        f.write_str("; its last lines:")?;
        self.0.lines().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}
