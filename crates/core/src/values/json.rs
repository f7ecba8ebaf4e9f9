//! Lenient readers for JSON from outside: objects, and values that senders write in more than one form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;
use serde_json::{Error, Value};

/// Parses JSON. Not `serde_json::from_str`: the code of its reader would come on top of that for bytes.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_slice(text.as_bytes())
}

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

/// The fields of a JSON object, each with its original text. An object of which only some fields are read needs no type of
/// its own, which would be a parser of 2 to 7 kB in the wasm; and a field that cannot be parsed does not spoil the others.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// The value of a field. Null if it is absent or cannot be parsed.
#[must_use]
pub fn value(fields: &Fields, name: &str) -> Value {
    fields.get(name).and_then(|field| parse(field.get()).ok()).unwrap_or_default()
}

/// A field that is a text.
#[must_use]
pub fn text(fields: &Fields, name: &str) -> Option<String> {
    parse(fields.get(name)?.get()).ok()
}

/// The fields of a field that is an object, else none.
#[must_use]
pub fn fields(fields: &Fields, name: &str) -> Fields {
    fields.get(name).and_then(|field| object(field.get().as_bytes()).ok()).unwrap_or_default()
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
    Ok(is_true(&Value::deserialize(deserializer)?))
}

/// Whether a value is `true` or `"true"`.
#[must_use]
pub fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or(value == "true")
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
