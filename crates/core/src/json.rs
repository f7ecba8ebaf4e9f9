//! JSON from outside: objects, and values that come in more than one form.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Error, Value};

/// Reads an object. serde would take a list for a structure's fields as well.
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(bytes),
        _ => Err(Error::custom("not an object")),
    }
}

/// A text of a sane length without blanks or control characters, such as an id; anything else is none.
#[must_use]
pub fn plain_text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| text.to_owned())
}

/// `true` and `"true"`.
pub fn bool_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Bool(bool),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Bool(value) => Ok(value),
        Either::Text(text) => Ok(text == "true"),
    }
}

/// `12` and `"12"`.
pub fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    match Option::<Either>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(seconds)) => Ok(Some(seconds)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}
