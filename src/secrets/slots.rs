//! The settings that a secret may give: those that are hidden everywhere else.

use crate::cli::Settings;
use crate::config::Hidden;

/// A setting that is secret.
pub struct Slot {
    /// Its variable, such as `ESHOPZ_DATABASE_URL`.
    pub variable: &'static str,
    pub get: fn(&Settings) -> &Option<Hidden>,
    pub get_mut: fn(&mut Settings) -> &mut Option<Hidden>,
}

macro_rules! slot {
    ($variable:literal, $group:ident.$field:ident) => {
        Slot {
            variable: $variable,
            get: |settings| &settings.$group.$field,
            get_mut: |settings| &mut settings.$group.$field,
        }
    };
}

/// All of them; a test compares them with what the command line hides.
pub const SLOTS: [Slot; 14] = [
    slot!("ESHOPZ_DATABASE_URL", database.database_url),
    slot!("ESHOPZ_USER_DATABASE_URL", database.user_database_url),
    slot!("ESHOPZ_PRODUCT_DATABASE_URL", database.product_database_url),
    slot!("ESHOPZ_CART_DATABASE_URL", database.cart_database_url),
    slot!("ESHOPZ_PAYMENT_DATABASE_URL", database.payment_database_url),
    slot!("ESHOPZ_ORDER_DATABASE_URL", database.order_database_url),
    slot!("ESHOPZ_DATABASE_READER_URL", database.database_reader_url),
    slot!("ESHOPZ_REDIS_URL", runtime.redis_url),
    slot!("ESHOPZ_SECRET_KEY", runtime.secret_key),
    slot!("ESHOPZ_SECRET_KEY_PREVIOUS", runtime.secret_key_previous),
    slot!("ESHOPZ_SIGNING_KEYS", runtime.signing_keys),
    slot!("ESHOPZ_WEBHOOK_SECRET", runtime.webhook_secret),
    slot!("ESHOPZ_STRIPE_SECRET_KEY", runtime.stripe_secret_key),
    slot!("ESHOPZ_SMTP_URL", mail.smtp_url),
];

impl Slot {
    /// Whether a secret's member is meant for this setting: `ESHOPZ_DATABASE_URL` or `database_url`.
    pub fn is_called(&self, key: &str) -> bool {
        let short = self.variable.strip_prefix("ESHOPZ_").unwrap_or(self.variable);
        key == self.variable || key == short.to_ascii_lowercase()
    }
}

/// Whether the same secrets are in both.
pub fn same(one: &Settings, other: &Settings) -> bool {
    SLOTS.iter().all(|slot| (slot.get)(one) == (slot.get)(other))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_hidden_setting_may_come_from_a_secret() {
        fn hidden(command: &clap::Command, found: &mut BTreeSet<String>) {
            let arguments = command.get_arguments().filter(|argument| argument.is_hide_env_values_set());
            found.extend(arguments.filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned)));
            command.get_subcommands().for_each(|command| hidden(command, found));
        }
        let mut found = BTreeSet::new();
        hidden(&Cli::command(), &mut found);
        let slots: BTreeSet<String> = SLOTS.iter().map(|slot| slot.variable.to_owned()).collect();
        assert_eq!(slots, found);
    }
}
