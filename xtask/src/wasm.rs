//! The wasm file, as far as xtask looks into it: its sections, one after the other.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Magic number and version.
const HEADER: usize = 8;
/// The id of a section that no runtime needs (WebAssembly core specification, 5.5.2).
const CUSTOM: u8 = 0;

/// The module without the names of its functions, and without the list of what made it. What is left keeps its place,
/// so that an offset in a stack means the same in both.
pub fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER).context("this is no wasm")?;
    if !header.starts_with(b"\0asm") {
        bail!("this is no wasm");
    }
    let mut kept = header.to_vec();
    while let Some((id, after_id)) = rest.split_first() {
        let (length, content) = leb128(after_id)?;
        let (content, next) = content.split_at_checked(length).context("the wasm is cut off")?;
        let (section, _) = rest.split_at(rest.len() - next.len());
        if *id != CUSTOM || !matches!(name(content)?, b"name" | b"producers") {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Ok(kept)
}

/// How long it is when gzipped, in bytes: what Cloudflare's limits count.
pub fn gzipped(module: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(module)?;
    Ok(gzip.finish()?.len())
}

fn name(content: &[u8]) -> Result<&[u8]> {
    let (length, content) = leb128(content)?;
    content.get(..length).context("the wasm is cut off")
}

/// A length, seven bits to a byte, and what comes after it.
fn leb128(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(place + 1..).unwrap_or_default()));
        }
    }
    bail!("the wasm is cut off")
}

#[cfg(test)]
#[path = "wasm_tests.rs"]
mod tests;
