//! How often somebody may do what is dear to the shop, or of use to somebody who guesses. Beside these there is the
//! general limit of a client, in [`super::RuntimeArgs`].

use clap::Args;

/// Limits that are always on.
#[derive(Args, Clone, Debug)]
pub struct LimitArgs {
    /// Failed sign-ins of one account in a quarter of an hour, after which it has to wait.
    #[arg(long, env = "ESHOPZ_SIGN_IN_FAILURES_PER_ACCOUNT", default_value_t = 10, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub sign_in_failures_per_account: u64,

    /// Failed sign-ins from one client address in a quarter of an hour.
    #[arg(long, env = "ESHOPZ_SIGN_IN_FAILURES_PER_ADDRESS", default_value_t = 100, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub sign_in_failures_per_address: u64,

    /// Registrations from one client address in an hour.
    #[arg(long, env = "ESHOPZ_REGISTRATIONS_PER_ADDRESS", default_value_t = 1_000, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub registrations_per_address: u64,

    /// Password resets that are asked for with one email in an hour.
    #[arg(long, env = "ESHOPZ_RESETS_PER_ACCOUNT", default_value_t = 5, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub resets_per_account: u64,

    /// Password resets that are asked for from one client address in an hour.
    #[arg(long, env = "ESHOPZ_RESETS_PER_ADDRESS", default_value_t = 100, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub resets_per_address: u64,

    /// Mailed tokens from one client address in an hour that are none of ours, or no more.
    #[arg(long, env = "ESHOPZ_WRONG_TOKENS_PER_ADDRESS", default_value_t = 100, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub wrong_tokens_per_address: u64,

    /// Imports of the catalogue by one admin in an hour.
    #[arg(long, env = "ESHOPZ_IMPORTS_PER_ADMIN", default_value_t = 600, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub imports_per_admin: u64,
}
