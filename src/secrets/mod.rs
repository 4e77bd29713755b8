//! Secrets from AWS Secrets Manager: fetched once before a command runs ([`filled`]), looked at again while
//! the shop serves ([`Watch`]), and handed to what works with them ([`rotation`]).
//!
//! A flag or a variable counts more than a secret: it is what an operator says here and now.

mod merge;
pub mod rotation;
mod slots;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use eshopz_aws::secrets::{Secret, SecretStore, SecretsError};
use serde_json::{Value, json};
pub use watch::Watch;

use crate::cli::{Settings, WrongCall};
use crate::config::SecretSource;

/// What came from secrets, beside the settings that it went into.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The secret that a setting came from, by the setting's variable.
    origins: BTreeMap<&'static str, String>,
    source: Option<Arc<Source>>,
}

/// Where to look again.
#[derive(Debug)]
struct Source {
    store: SecretStore,
    names: Vec<String>,
    /// The settings without any secret.
    given: Settings,
    /// What the first look saw.
    secrets: Vec<Secret>,
}

/// The settings with the values of the secrets that they name.
///
/// # Errors
/// [`WrongCall`] when there is no such secret, it may not be read or makes no sense; another error when AWS
/// cannot be reached.
pub async fn filled(given: Settings) -> anyhow::Result<Settings> {
    let SecretSource::Aws(names) = given.runtime.secrets.clone() else { return Ok(given) };
    let store = SecretStore::new(&eshopz_aws::client::sdk_config().await);
    let secrets = fetch(&store, &names).await.map_err(explained)?;
    let mut merged = merge::merged(&given, &secrets);
    merged.settings.fetched =
        Fetched { origins: merged.origins, source: Some(Arc::new(Source { store, names, given, secrets })) };
    Ok(merged.settings)
}

/// `eshopz config`, with the secret that each value came from.
#[must_use]
pub fn annotated(mut described: Value, settings: &Settings) -> Value {
    if let Some(members) = described.as_object_mut() {
        let origin = |(variable, name): (&&str, &String)| ((*variable).to_owned(), json!(format!("the secret {name}")));
        members.insert("from_secrets".to_owned(), settings.fetched.origins.iter().map(origin).collect());
    }
    described
}

async fn fetch(store: &SecretStore, names: &[String]) -> Result<Vec<Secret>, SecretsError> {
    let mut secrets = Vec::with_capacity(names.len());
    for name in names {
        let secret = store.fetch(name).await?;
        merge::check(&secret)?;
        secrets.push(secret);
    }
    Ok(secrets)
}

fn explained(error: SecretsError) -> anyhow::Error {
    if error.is_lasting() { WrongCall(error.to_string()).into() } else { error.into() }
}
