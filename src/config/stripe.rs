//! What Stripe needs before the shop may sell with it.

use std::time::Duration;

use actix_web::http::Uri;
use anyhow::{bail, ensure};
use eshopz_payment::StripeSettings;

use super::RuntimeArgs;

impl RuntimeArgs {
    /// How Stripe is reached.
    ///
    /// # Errors
    /// When a secret is missing or is another than it should be, or the address is none. The text has nothing
    /// of the secrets.
    pub fn stripe(&self) -> anyhow::Result<StripeSettings> {
        let url = self.stripe_url.trim();
        let place = url.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        match place.as_ref().and_then(Uri::scheme_str) {
            Some("https") => {}
            Some("http") if !self.is_production() => {}
            Some("http") => bail!("ESHOPZ_STRIPE_URL is `{url}`: in production it has to begin with https://"),
            _ => bail!("ESHOPZ_STRIPE_URL is `{url}`, not an address such as https://api.stripe.com"),
        }
        Ok(StripeSettings {
            url: url.to_owned(),
            secret_key: self.stripe_key()?.to_owned(),
            // The module gives up when this has told what it knows.
            patience: Duration::from_millis(self.gateway_timeout_ms.saturating_mul(9) / 10),
        })
    }

    /// Stripe's secret key.
    ///
    /// # Errors
    /// When it, or the secret of the webhooks, is missing or cannot be one.
    pub fn stripe_key(&self) -> anyhow::Result<&str> {
        let Some(key) = self.stripe_secret_key.as_deref().filter(|key| !key.is_empty()) else {
            bail!("the payment gateway stripe needs its secret key: set ESHOPZ_STRIPE_SECRET_KEY")
        };
        let is_secret = key.starts_with("sk_") || key.starts_with("rk_");
        ensure!(
            is_secret && key.bytes().all(|byte| byte.is_ascii_graphic()),
            "ESHOPZ_STRIPE_SECRET_KEY is no secret key of Stripe's: it begins with sk_ or rk_"
        );
        // Whoever knows the well-known one could tell that he has paid.
        ensure!(
            self.webhook_secret.as_deref().is_some_and(|secret| !secret.is_empty()),
            "the payment gateway stripe needs the secret of its webhooks: set ESHOPZ_WEBHOOK_SECRET"
        );
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        runtime: RuntimeArgs,
    }

    fn outcome(arguments: &[&str]) -> Result<StripeSettings, String> {
        let always = ["eshopz", "--payment-gateway", "stripe"];
        let line = Line::try_parse_from(always.iter().chain(arguments)).map_err(|error| error.to_string())?;
        line.runtime.stripe().map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_refused_without_its_secrets_and_says_nothing_of_them() {
        let (key, hook) = (["--stripe-secret-key", "sk_test_1"], ["--webhook-secret", "whsec_1"]);
        let settings = outcome(&[key, hook].concat()).unwrap();
        assert_eq!((settings.url.as_str(), settings.secret_key.as_str()), ("https://api.stripe.com", "sk_test_1"));
        assert!(settings.patience < Duration::from_secs(5));
        assert!(!format!("{settings:?}").contains("sk_test_1"));
        for (arguments, named) in [
            (hook.to_vec(), "ESHOPZ_STRIPE_SECRET_KEY"),
            (key.to_vec(), "ESHOPZ_WEBHOOK_SECRET"),
            ([["--stripe-secret-key", "pk_live_9"], hook].concat(), "sk_ or rk_"),
            ([["--stripe-secret-key", "sk_live_9 "], hook].concat(), "sk_ or rk_"),
        ] {
            let refusal = outcome(&arguments).unwrap_err();
            assert!(refusal.contains(named) && !refusal.contains("live_9"), "{refusal}");
        }
    }

    #[test]
    fn its_address_is_encrypted_in_production() {
        let with = |url: &str, environment: &str| {
            let key = ["--stripe-secret-key", "sk_1", "--webhook-secret", "whsec_1"];
            outcome(&[&key[..], &["--stripe-url", url, "--env", environment]].concat())
        };
        assert!(with("http://127.0.0.1:8420", "development").is_ok());
        assert!(with("https://stripe.internal", "production").is_ok());
        for (url, environment) in
            [("http://127.0.0.1:8420", "production"), ("api.stripe.com", "development"), ("ftp://x", "development")]
        {
            assert!(with(url, environment).unwrap_err().contains("ESHOPZ_STRIPE_URL"), "{url}");
        }
    }
}
