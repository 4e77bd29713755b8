//! How accounts are guarded: second factors of admins, and what a password's hash costs.

use anyhow::ensure;
use clap::{Args, ValueEnum};

/// Whether something has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Need {
    Required,
    Optional,
}

/// How accounts are guarded.
#[derive(Args, Clone, Debug)]
pub struct AccountArgs {
    /// Whether an admin needs a second factor to act as one; `required` in production, `optional` in development.
    #[arg(long, env = "ESHOPZ_ADMIN_SECOND_FACTOR", value_enum, global = true)]
    pub admin_second_factor: Option<Need>,

    /// Memory of a password's hash (Argon2id), in KiB. Higher settings reach a password with its next sign-in.
    #[arg(long, env = "ESHOPZ_ARGON2_MEMORY_KIB", default_value_t = 19_456, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(8..=4_194_304))]
    pub argon2_memory_kib: u32,

    /// Passes of a password's hash over its memory.
    #[arg(long, env = "ESHOPZ_ARGON2_ITERATIONS", default_value_t = 2, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub argon2_iterations: u32,

    /// Lanes of a password's hash.
    #[arg(long, env = "ESHOPZ_ARGON2_PARALLELISM", default_value_t = 1, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub argon2_parallelism: u32,
}

/// The least that OWASP's Password Storage Cheat Sheet takes for Argon2id: memory in KiB, and passes. Each is as good
/// as the others.
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

impl AccountArgs {
    /// Whether an admin may act as one only with a second factor.
    #[must_use]
    pub fn admins_need_second_factor(&self, is_production: bool) -> bool {
        self.admin_second_factor.map_or(is_production, |need| need == Need::Required)
    }

    /// Whether the hash's settings make sense, and are not too low for production.
    ///
    /// # Errors
    /// Says what would do.
    pub fn check(&self, is_production: bool) -> anyhow::Result<()> {
        let (memory, passes) = (self.argon2_memory_kib, self.argon2_iterations);
        ensure!(
            memory >= self.argon2_parallelism.saturating_mul(8),
            "ESHOPZ_ARGON2_MEMORY_KIB is {memory}; each of the {} lanes needs 8",
            self.argon2_parallelism
        );
        let is_enough = OWASP.iter().any(|(least, times)| memory >= *least && passes >= *times);
        ensure!(
            is_enough || !is_production,
            "ESHOPZ_ARGON2_MEMORY_KIB={memory} with ESHOPZ_ARGON2_ITERATIONS={passes} is too little for production; OWASP \
             wants 19456 with 2, 12288 with 3, 9216 with 4 or 7168 with 5, at least"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        accounts: AccountArgs,
    }

    fn accounts(arguments: &[&str]) -> AccountArgs {
        Line::parse_from(["eshopz"].iter().chain(arguments)).accounts
    }

    #[test]
    fn production_asks_admins_for_more_unless_told_otherwise() {
        assert!(accounts(&[]).admins_need_second_factor(true) && !accounts(&[]).admins_need_second_factor(false));
        assert!(accounts(&["--admin-second-factor", "required"]).admins_need_second_factor(false));
        assert!(!accounts(&["--admin-second-factor", "optional"]).admins_need_second_factor(true));
    }

    #[test]
    fn hashes_have_a_floor_in_production() {
        let with = |memory: &str, passes: &str, lanes: &str| {
            accounts(&["--argon2-memory-kib", memory, "--argon2-iterations", passes, "--argon2-parallelism", lanes])
        };
        for (memory, passes) in [("19456", "2"), ("65536", "1"), ("12288", "3"), ("7168", "5"), ("1000000", "9")] {
            assert!(with(memory, passes, "1").check(true).is_ok(), "{memory} {passes}");
        }
        for (memory, passes) in [("19456", "1"), ("19455", "2"), ("7167", "9"), ("64", "1")] {
            assert!(with(memory, passes, "1").check(false).is_ok(), "{memory} {passes}");
            let error = with(memory, passes, "1").check(true).unwrap_err().to_string();
            assert!(error.contains(memory) && error.contains("OWASP"), "{error}");
        }
        assert!(with("31", "1", "4").check(false).is_err());
        assert!(accounts(&[]).check(true).is_ok());
    }
}
