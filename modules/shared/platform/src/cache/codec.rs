//! How a copy is written in Redis.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes and reads a value. What cannot be read is a miss, so a format may change at any time.
#[derive(Debug)]
pub struct Codec<V> {
    /// `None`: it is not kept in Redis.
    pub encode: fn(&V) -> Option<Vec<u8>>,
    /// `None`: it was written in another way.
    pub decode: fn(&[u8]) -> Option<V>,
}

impl<V> Codec<V> {
    /// None: the values stay in memory.
    #[must_use]
    pub fn none() -> Self {
        Self { encode: |_| None, decode: |_| None }
    }
}

impl<V: Serialize + DeserializeOwned> Codec<V> {
    /// JSON.
    #[must_use]
    pub fn json() -> Self {
        Self { encode: |value| serde_json::to_vec(value).ok(), decode: |bytes| serde_json::from_slice(bytes).ok() }
    }
}
