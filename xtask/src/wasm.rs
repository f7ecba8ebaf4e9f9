//! The sections of a wasm file.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Magic number and version.
const HEADER: usize = 8;
/// The id of a custom section, which a runtime does not need (WebAssembly core specification, 5.5.2).
const CUSTOM: u8 = 0;

/// The module without the sections `name` and `producers`. Both come after the code, so the offsets in a stack trace are
/// the same in both modules.
pub fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER).context("the file must be a wasm module")?;
    if !header.starts_with(b"\0asm") {
        bail!("the file must be a wasm module");
    }
    let mut kept = header.to_vec();
    while let Some((id, after_id)) = rest.split_first() {
        let (length, content) = leb128(after_id)?;
        let (content, next) = content.split_at_checked(length).context("the wasm module ends too early")?;
        let (section, _) = rest.split_at(rest.len() - next.len());
        if *id != CUSTOM || !matches!(name(content)?, b"name" | b"producers") {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Ok(kept)
}

/// The gzipped size in bytes, which Cloudflare's limits refer to.
pub fn gzipped(module: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(module)?;
    Ok(gzip.finish()?.len())
}

fn name(content: &[u8]) -> Result<&[u8]> {
    let (length, content) = leb128(content)?;
    content.get(..length).context("the wasm module ends too early")
}

/// A length in LEB128, and the bytes after it.
fn leb128(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(place + 1..).unwrap_or_default()));
        }
    }
    bail!("the wasm module ends too early")
}

#[cfg(test)]
#[path = "wasm_tests.rs"]
mod tests;
