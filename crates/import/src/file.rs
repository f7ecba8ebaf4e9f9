//! The files: the installations, how far they are imported, and the rejected lines.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::send::Answer;

/// How many bytes a batch may have. One longer line is a batch of its own.
const BATCH_BYTES: usize = 1024 * 1024;

/// One line of the file that is not blank.
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, without the line feed. They may contain a refresh token.
    pub bytes: Vec<u8>,
}

/// The installations.
pub struct Source {
    reader: BufReader<File>,
    hash: String,
    lines: u64,
    line: u64,
}

impl Source {
    /// Opens the file, and counts its lines.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || File::open(path).with_context(|| format!("could not open {}", path.display()));
        let (mut file, mut hash, mut lines, mut ends) = (open()?, Sha256::new(), 0, true);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = file.read(&mut buffer).context("could not read the file")?;
            let bytes = buffer.get(..length).unwrap_or_default();
            let Some(last) = bytes.last() else { break };
            ends = *last == b'\n';
            hash.update(bytes);
            lines += u64::try_from(bytes.split(|byte| *byte == b'\n').count() - 1)?;
        }
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        Ok(Self { reader: BufReader::new(open()?), hash, lines: lines + u64::from(!ends), line: 0 })
    }

    /// The hash of the content.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The number of lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The number of the last line that was read.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Passes over lines that are done.
    pub fn skip(&mut self, lines: u64) -> Result<()> {
        while self.line < lines && self.next()?.is_some() {}
        Ok(())
    }

    /// The next lines that are not blank. None at the end.
    pub fn batch(&mut self, most: usize) -> Result<Vec<Line>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most && bytes < BATCH_BYTES {
            let Some(line) = self.next()? else { break };
            let text = line.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line.bytes);
            if !text.trim_ascii().is_empty() {
                bytes += line.bytes.len();
                batch.push(line);
            }
        }
        Ok(batch)
    }

    fn next(&mut self) -> Result<Option<Line>> {
        let mut bytes = Vec::new();
        if self.reader.read_until(b'\n', &mut bytes).context("could not read the file")? == 0 {
            return Ok(None);
        }
        bytes.pop_if(|byte| *byte == b'\n');
        self.line += 1;
        Ok(Some(Line { number: self.line, bytes }))
    }
}

/// How far the file is imported.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The hash of the file.
    hash: String,
    /// The number of lines that are done.
    pub lines: u64,
    pub imported: u64,
    pub known: u64,
    pub refused: u64,
    pub invalid: u64,
    /// How long the file of rejected lines is.
    rejected_bytes: u64,
    #[serde(skip)]
    path: PathBuf,
    /// The file of rejected lines.
    #[serde(skip)]
    pub rejected: PathBuf,
}

#[derive(Serialize)]
struct Rejected<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl Progress {
    /// Reads the progress of an earlier run, if it was interrupted.
    pub fn open(file: &Path, hash: &str) -> Result<Self> {
        let (path, rejected) = (beside(file, ".progress"), beside(file, ".rejected"));
        let progress = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} must be written by this command", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self { hash: hash.to_owned(), ..Self::default() }
            }
            Err(error) => return Err(error).with_context(|| format!("could not read {}", path.display())),
        };
        if progress.hash != hash {
            bail!("the file has changed since the import was interrupted; delete {} to begin anew", path.display());
        }
        if progress.rejected_bytes == 0 {
            // Of an earlier import.
            let _ = fs::remove_file(&rejected);
        }
        Ok(Self { path, rejected, ..progress })
    }

    /// Notes the answers of a batch, and the number of the last line that is done.
    pub fn add(&mut self, batch: &[Line], answers: &[Answer], line: u64) -> Result<()> {
        let mut text = String::new();
        for (line, answer) in batch.iter().zip(answers) {
            match answer.outcome.as_str() {
                "imported" => self.imported += 1,
                "known" => self.known += 1,
                outcome => {
                    if outcome == "refused" {
                        self.refused += 1;
                    } else {
                        self.invalid += 1;
                    }
                    let (instance_id, problem) = (answer.instance_id.as_deref(), answer.problem.as_deref());
                    let rejected = Rejected { line: line.number, instance_id, outcome, problem };
                    text += &(serde_json::to_string(&rejected)? + "\n");
                }
            }
        }
        if !text.is_empty() {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.rejected);
            let mut file = file.with_context(|| format!("could not open {}", self.rejected.display()))?;
            // An interrupted run may have written more than it noted.
            file.set_len(self.rejected_bytes)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
            file.write_all(text.as_bytes())?;
            self.rejected_bytes += u64::try_from(text.len())?;
        }
        self.lines = line;
        let next = beside(&self.path, ".new");
        fs::write(&next, serde_json::to_string(self)?)?;
        fs::rename(&next, &self.path).with_context(|| format!("could not write {}", self.path.display()))
    }

    /// The import is complete.
    pub fn finish(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}
