//! Lenient readers for JSON from outside: objects, and values that senders write in more than one form.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Error, Value};

/// Parses a JSON object. serde alone would also accept an array in place of a struct.
pub fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    // Some servers begin with a byte order mark, which parsers may ignore (RFC 8259, 8.1).
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match bytes.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(bytes),
        _ => Err(Error::custom("not an object")),
    }
}

/// Parses a JSON object, or nothing.
pub fn optional_object<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.trim_ascii() {
        b"" => Ok(T::default()),
        bytes => object(bytes),
    }
}

/// A string of 1 to 128 printable ASCII characters without spaces, such as an id; `None` for anything else.
#[must_use]
pub fn plain_text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| text.to_owned())
}

/// Reads `true` and `"true"` as true, and anything else as false.
pub fn bool_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_bool().unwrap_or(value == "true"))
}

/// Reads seconds written as `12`, `12.0` or `"12"`. Anything else, and 0, is `None`.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to far below 2^53")]
    let whole = |number: f64| (1.0..=4e9).contains(&number).then_some(number as u64);
    let digits = |text: &str| text.trim().split('.').next()?.parse().ok();
    let number = value.as_u64().or_else(|| value.as_f64().and_then(whole)).or_else(|| digits(value.as_str()?));
    Ok(number.filter(|number| *number > 0))
}

/// Reads an optional field: `None` if it is absent, or has a type that this version does not expect.
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(if value.is_null() { None } else { T::deserialize(value).ok() })
}
