//! Secrets by AWS Secrets Manager. A secret is a JSON object whose members are settings, or what RDS makes
//! for a database ([`rds`]); which settings there are is known to the binary only.
//!
//! Nothing here shows a value: not an error, not a `Debug`, not a log line.

mod error;
mod rds;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
pub use error::SecretsError;

/// The way to the secrets of an account and region. Clones share it.
#[derive(Clone)]
pub struct SecretStore {
    client: Client,
    has_region: bool,
}

/// One version of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// As it was asked for: a name or an ARN.
    pub name: String,
    /// Another value has another version.
    pub version: String,
    /// The members of the JSON object, as they are spelled there; members without a value are left out.
    pub values: BTreeMap<String, String>,
    /// The names of the members whose value is no text. Who knows one of them for a setting has to refuse it,
    /// [`SecretsError::NotText`].
    pub not_texts: BTreeSet<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("keys", &self.values.keys())
            .field("not_texts", &self.not_texts)
            .finish_non_exhaustive()
    }
}

impl SecretStore {
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config), has_region: config.region().is_some() }
    }

    /// The current version of a secret, by name or ARN.
    ///
    /// # Errors
    /// When AWS does not give it, or it is not a JSON object.
    pub async fn fetch(&self, name: &str) -> Result<Secret, SecretsError> {
        if !self.has_region {
            return Err(SecretsError::Region);
        }
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer.map_err(|error| SecretsError::of(name, &error))?;
        let (values, not_texts) = shape::read(name, text(name, &answer)?)?;
        let version = answer.version_id().unwrap_or_default().to_owned();
        Ok(Secret { name: name.to_owned(), version, values, not_texts })
    }
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStore")
    }
}

/// The content; bytes are taken for UTF-8.
fn text<'a>(name: &str, answer: &'a GetSecretValueOutput) -> Result<&'a str, SecretsError> {
    let bytes = || answer.secret_binary().and_then(|blob| std::str::from_utf8(blob.as_ref()).ok());
    answer.secret_string().or_else(bytes).ok_or_else(|| SecretsError::NotAnObject(name.to_owned()))
}
