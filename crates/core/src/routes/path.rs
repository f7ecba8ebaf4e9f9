//! Paths that are forwarded exactly as the caller sent them, below an address of the configuration.
//!
//! An ambiguous path is refused and not normalised: dot segments in any spelling, empty segments, backslashes, encoded
//! slashes, dots and percent signs, `@`, `:`, `;`, control characters.

use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// The longest path and query, in bytes.
pub const LIMIT: usize = 8 * 1024;

/// The URL of a path below `base`, which has no slash at its end. `None` for a path that is ambiguous.
pub fn join(base: &str, path: &str, query: &str) -> Option<Url> {
    let below = format!("{base}/{path}");
    let url = Url::parse(&format!("{below}{query}")).ok().filter(|_| is_plain(path))?;
    // The parsed URL must still have the same origin and path.
    (url[..Position::AfterPath] == below).then_some(url)
}

/// Whether a path is unambiguous. A trailing slash is allowed.
pub fn is_plain(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').all(|segment| !matches!(segment, "" | "." | "..") && is_plain_segment(segment))
}

fn is_plain_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, rest @ ..] if is_plain_encoded(*high, *low) => rest,
            [byte, rest @ ..] if is_plain_byte(*byte) => rest,
            _ => return false,
        }
    }
    // The decoded text must be UTF-8, which overlong forms of dots and slashes are not.
    percent_decode_str(segment).decode_utf8().is_ok_and(|text| text.chars().all(is_plain_char))
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=".contains(&byte)
}

/// Whether an encoded byte is none of `%`, `.`, `/` and `\`.
fn is_plain_encoded(high: u8, low: u8) -> bool {
    let digit = |byte| char::from(byte).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => !matches!(high * 16 + low, 0x25 | 0x2e | 0x2f | 0x5c),
        _ => false,
    }
}

/// Whether a character is neither a control character nor one that some parsers treat as a dot, slash, backslash or
/// percent sign.
fn is_plain_char(char: char) -> bool {
    const LOOKALIKES: [char; 6] = ['\u{2024}', '\u{2215}', '\u{ff05}', '\u{ff0e}', '\u{ff0f}', '\u{ff3c}'];
    !char.is_control() && !LOOKALIKES.contains(&char)
}
