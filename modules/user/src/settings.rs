//! What an operator may set.

use std::fmt;
use std::time::Duration;

use crate::keys::GivenKey;

/// At most `count` in `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub count: u64,
    pub window: Duration,
}

impl Limit {
    #[must_use]
    pub const fn new(count: u64, window: Duration) -> Self {
        Self { count, window }
    }

    /// Another count in the same time.
    #[must_use]
    pub const fn of(self, count: u64) -> Self {
        Self { count, ..self }
    }
}

/// The module's settings. [`Default`] has all but `key_secret`, without which the module does not start.
#[derive(Clone)]
pub struct UserSettings {
    /// How long an access token is good.
    pub access_token_ttl: Duration,
    /// How long a session lives without being refreshed.
    pub refresh_token_ttl: Duration,
    pub reset_token_ttl: Duration,
    pub verification_token_ttl: Duration,
    /// Argon2id: memory in KiB, passes, lanes.
    pub argon2_memory_kib: u32,
    pub argon2_iterations: u32,
    pub argon2_parallelism: u32,
    /// Passwords hashed at the same time; each takes a core and `argon2_memory_kib`.
    pub hash_concurrency: usize,
    /// Requests that may wait for their turn to hash; more are told 503.
    pub hash_queue: usize,
    /// Encrypts the signing keys and the secrets of second factors at rest; at least 16 bytes, the same in every process.
    pub key_secret: String,
    /// Secrets that keys may still be encrypted with.
    pub previous_key_secrets: Vec<String>,
    /// Keys that sign access tokens, the first of them, in place of those in the database; empty for these.
    pub signing_keys: Vec<GivenKey>,
    /// How long after one process another is given other `signing_keys`, at most. The same in every process.
    pub signing_keys_known_within: Duration,
    /// How old a process' picture of the keys in the database may be. The same in every process, for the
    /// times of a rotation follow from it.
    pub key_refresh: Duration,
    /// Failed sign-ins per account, and per client address.
    pub sign_in_failures_per_account: Limit,
    pub sign_in_failures_per_address: Limit,
    pub registrations_per_address: Limit,
    /// Requested password resets per email, and per client address.
    pub resets_per_account: Limit,
    pub resets_per_address: Limit,
    /// Mailed tokens per client address that are not good.
    pub wrong_tokens_per_address: Limit,
    /// Requests for what is held on a person, per account.
    pub exports_per_account: Limit,
    /// How long such a request waits for the other modules.
    pub export_patience: Duration,
    /// The modules that hand over what they hold on a person.
    pub export_from: Vec<&'static str>,
    /// Wrong codes of a second factor, per account.
    pub second_factor_failures: Limit,
    /// Whether an admin may act as one only in sessions that have shown a second factor.
    pub admins_need_second_factor: bool,
    /// How long after a process was given another `key_secret` what is locked with the one before is locked anew:
    /// longer than it takes until the last process has been given it.
    pub reseal_after: Duration,
}

impl UserSettings {
    /// The present secret, then those of before.
    pub(crate) fn key_secrets(&self) -> Vec<String> {
        std::iter::once(&self.key_secret).chain(&self.previous_key_secrets).cloned().collect()
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            access_token_ttl: MINUTE * 15,
            refresh_token_ttl: DAY * 30,
            reset_token_ttl: MINUTE * 30,
            verification_token_ttl: DAY * 7,
            // OWASP's second choice for Argon2id.
            argon2_memory_kib: 19_456,
            argon2_iterations: 2,
            argon2_parallelism: 1,
            hash_concurrency: std::thread::available_parallelism().map_or(2, usize::from),
            hash_queue: 256,
            key_secret: String::new(),
            previous_key_secrets: Vec::new(),
            signing_keys: Vec::new(),
            signing_keys_known_within: Duration::ZERO,
            key_refresh: Duration::from_secs(10),
            sign_in_failures_per_account: Limit::new(10, MINUTE * 15),
            sign_in_failures_per_address: Limit::new(100, MINUTE * 15),
            // Whole offices register from one address.
            registrations_per_address: Limit::new(1_000, HOUR),
            resets_per_account: Limit::new(5, HOUR),
            resets_per_address: Limit::new(100, HOUR),
            wrong_tokens_per_address: Limit::new(100, HOUR),
            exports_per_account: Limit::new(20, HOUR),
            export_patience: Duration::from_secs(10),
            export_from: Vec::new(),
            // Of a million codes three are good at a time.
            second_factor_failures: Limit::new(5, MINUTE * 15),
            admins_need_second_factor: false,
            reseal_after: MINUTE * 5,
        }
    }
}

impl fmt::Debug for UserSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSettings")
            .field("access_token_ttl", &self.access_token_ttl)
            .field("refresh_token_ttl", &self.refresh_token_ttl)
            .field("hash_concurrency", &self.hash_concurrency)
            .field("key_secret", &"…")
            .field("signing_keys", &self.signing_keys)
            .finish_non_exhaustive()
    }
}
