//! Paths that are forwarded exactly as the caller sent them, below an address of the configuration.
//!
//! An ambiguous path is refused and not normalised: dot segments in any spelling, empty segments, backslashes, encoded
//! slashes, dots and percent signs, `@`, `:`, `;`, control characters.

use percent_encoding::percent_decode_str;

/// The longest path and query, in bytes.
pub const LIMIT: usize = 8 * 1024;

/// Whether a path is unambiguous, so that no parser of URLs changes it. A trailing slash is allowed.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::is_plain;

    /// Whether a parser of URLs leaves the path as it is, if it is plain.
    fn stays(path: &str) -> bool {
        let whole = format!("https://back-end.example/below/{path}");
        !is_plain(path) || Url::parse(&whole).is_ok_and(|url| url.as_str() == whole)
    }

    #[test]
    fn a_parser_of_urls_leaves_each_plain_character_as_it_is() {
        let characters = (0..=0x2ff_u32).chain(0xff00..=0xffef).filter_map(char::from_u32).map(String::from);
        let encoded = (0..=0xff_u32).flat_map(|byte| [format!("%{byte:02x}"), format!("%{byte:02X}")]);
        for text in characters.chain(encoded) {
            for path in [text.clone(), format!("{text}{text}"), format!("a{text}b/{text}")] {
                assert!(stays(&path), "{path:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_parser_of_urls_leaves_a_plain_path_as_it_is(
            path in r"([a-zA-Z~!$&'()*+,=_-]|%[0-9a-fA-F]{2}|%2[eE]|\.|/){0,12}",
        ) {
            prop_assert!(stays(&path));
        }
    }
}
