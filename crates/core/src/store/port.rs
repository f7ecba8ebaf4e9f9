//! The port to Workers KV.

use crate::runtime::PlatformError;

/// A KV namespace.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait KvNamespace {
    /// Reads a value.
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError>;
    /// Writes a value.
    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError>;
    /// Reads up to 100 values in one operation.
    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError>;
    /// Deletes a value. A missing value is not an error.
    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError>;
    /// Lists up to `limit` (at most 1,000) keys with a prefix, in order.
    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError>;
}

/// The options of a write.
#[derive(Debug, Clone, Copy, Default)]
pub struct KvOptions<'a> {
    /// Seconds until KV deletes the value; at least 60.
    pub ttl: Option<u64>,
    /// JSON of at most 1,024 bytes, which listings return with the key.
    pub metadata: Option<&'a str>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct KvPage {
    /// The keys, in order.
    pub keys: Vec<KvKey>,
    /// The cursor of the next page; `None` on the last page.
    pub cursor: Option<String>,
}

/// A key in a listing.
#[derive(Debug, Clone)]
pub struct KvKey {
    /// The whole key.
    pub name: String,
    /// The metadata, as JSON.
    pub metadata: Option<String>,
}
