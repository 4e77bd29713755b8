//! Settings and secrets put together, and what an operator should hear about it: names, never values.

use std::collections::BTreeMap;

use eshopz_aws::secrets::{Secret, SecretsError};

use super::slots::{SLOTS, Slot};
use crate::cli::Settings;
use crate::config::Hidden;

/// Settings with the secrets in them.
pub struct Merged {
    pub settings: Settings,
    /// The secret that a setting came from, by the setting's variable.
    pub origins: BTreeMap<&'static str, String>,
}

/// Refuses a setting whose value is none. What is no setting may have any.
///
/// # Errors
/// [`SecretsError::NotText`].
pub fn check(secret: &Secret) -> Result<(), SecretsError> {
    match secret.not_texts.iter().find(|key| is_setting(key)) {
        Some(key) => Err(SecretsError::NotText(secret.name.clone(), key.clone())),
        None => Ok(()),
    }
}

/// Puts secrets where nothing was given. A later secret counts more than an earlier one.
pub fn merged(given: &Settings, secrets: &[Secret]) -> Merged {
    warn_of_strangers(secrets);
    let mut merged = Merged { settings: given.clone(), origins: BTreeMap::new() };
    for slot in &SLOTS {
        let Some((secret, value)) = secrets.iter().rev().find_map(|secret| Some((secret, value_of(slot, secret)?)))
        else {
            continue;
        };
        let own = (slot.get)(given).as_deref().filter(|own| !own.is_empty());
        if let Some(own) = own {
            if own != value {
                tracing::warn!(
                    setting = slot.variable,
                    secret = secret.name,
                    "set as a flag or variable and otherwise in the secret; the flag or variable counts"
                );
            }
            continue;
        }
        *(slot.get_mut)(&mut merged.settings) = Some(Hidden::from(value));
        merged.origins.insert(slot.variable, secret.name.clone());
    }
    merged
}

/// Keeps what the secrets gave before and give no longer: a member that is gone is more likely a slip than
/// a wish, and nothing works without it.
pub fn keep_vanished(before: &Settings, now: &mut Settings) {
    for slot in &SLOTS {
        if let (Some(value), None) = ((slot.get)(before), (slot.get)(now)) {
            tracing::warn!(setting = slot.variable, "gone from the secret; its last value stays in use");
            *(slot.get_mut)(now) = Some(value.clone());
        }
    }
}

fn value_of<'a>(slot: &Slot, secret: &'a Secret) -> Option<&'a str> {
    secret.values.iter().find_map(|(key, value)| slot.is_called(key).then_some(value.as_str()))
}

fn is_setting(key: &str) -> bool {
    SLOTS.iter().any(|slot| slot.is_called(key))
}

fn warn_of_strangers(secrets: &[Secret]) {
    for secret in secrets {
        for key in secret.values.keys().chain(&secret.not_texts).filter(|key| !is_setting(key)) {
            tracing::warn!(key, secret = secret.name, "the secret has a member that is no secret setting");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn settings(arguments: &[&str]) -> Settings {
        Cli::parse_from(["eshopz", "config"].iter().chain(arguments)).settings
    }

    fn secret(name: &str, values: &[(&str, &str)]) -> Secret {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Secret { name: name.to_owned(), version: "1".to_owned(), values, not_texts: BTreeSet::new() }
    }

    #[test]
    fn only_a_setting_has_to_be_a_text() {
        let with = |key: &str| Secret { not_texts: [key.to_owned()].into(), ..secret("shop", &[("secret_key", "x")]) };
        for known in ["redis_url", "ESHOPZ_ORDER_DATABASE_URL"] {
            let error = check(&with(known)).unwrap_err();
            assert_eq!(error.to_string(), format!("in the secret `shop`, `{known}` has to be a text"));
        }
        assert_eq!(check(&with("feature")), Ok(()));
    }

    #[test]
    fn what_is_given_counts_more_and_a_later_secret_too() {
        let given = settings(&["--redis-url", "redis://mine"]);
        let first = secret("first", &[("database_url", "a"), ("redis_url", "theirs"), ("secret_key", "k1")]);
        let second = secret("second", &[("ESHOPZ_SECRET_KEY", "k2"), ("nonsense", "x")]);
        let merged = merged(&given, &[first, second]);
        assert_eq!(merged.settings.runtime.redis_url, Some("redis://mine".into()));
        assert_eq!(merged.settings.database.database_url, Some("a".into()));
        assert_eq!(merged.settings.runtime.secret_key, Some("k2".into()));
        let origins = [("ESHOPZ_DATABASE_URL", "first"), ("ESHOPZ_SECRET_KEY", "second")];
        assert_eq!(merged.origins, origins.map(|(variable, name)| (variable, name.to_owned())).into());
    }

    #[test]
    fn what_vanished_stays() {
        let before = merged(&settings(&[]), &[secret("shop", &[("database_url", "a")])]).settings;
        let mut now = settings(&[]);
        keep_vanished(&before, &mut now);
        assert_eq!(now.database.database_url, Some("a".into()));
    }
}
