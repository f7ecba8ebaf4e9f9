//! JSON objects from outside.

use serde::de::{DeserializeOwned, Error as _};
use serde_json::Error;

/// Reads an object. serde would take a list for a structure's fields as well.
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(bytes),
        _ => Err(Error::custom("not an object")),
    }
}
