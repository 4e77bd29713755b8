//! Password hashes: Argon2id away from the async threads, a bounded number at a time.
//!
//! One hash takes a core for tens of milliseconds and 19 MiB. Without a bound, a burst of sign-ins
//! would starve every other request and could exhaust the memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use argon2::password_hash::Error as HashError;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use eshopz_platform::meters;
use eshopz_platform::turns::{Full, Turn, Turns};

use crate::error::UserError;
use crate::settings::UserSettings;

/// Hashes and compares passwords.
pub struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Turns>,
    memory: Arc<Memory>,
    decoy: String,
}

/// What came of comparing a password.
pub enum Compared {
    Right,
    /// With the turn, which goes to the next one when the failure has been counted.
    Wrong(Turn),
}

impl Passwords {
    /// Argon2 with parameters out of range falls back to the crate's defaults, which are those of
    /// [`UserSettings::default`].
    pub fn new(settings: &UserSettings) -> Self {
        let (memory, passes, lanes) =
            (settings.argon2_memory_kib, settings.argon2_iterations, settings.argon2_parallelism);
        let params = Params::new(memory, passes, lanes, None).unwrap_or_else(|error| {
            tracing::error!(%error, "Argon2 settings are out of range; the defaults hold");
            Params::default()
        });
        // Never the hash of anything, but to compare with it takes as long as with a real one.
        let decoy = format!(
            "$argon2id$v=19$m={},t={},p={}$ZGVjb3ktb2YtdGhlLXNob3A$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
        );
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Arc::new(Turns::new(settings.hash_concurrency, settings.hash_queue)),
            memory: Arc::default(),
            decoy,
        }
    }

    /// Whether a hash was made with less than the present settings, or another algorithm.
    pub fn is_weak(&self, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else { return false };
        let Ok(made) = Params::try_from(&hash) else { return true };
        let now = self.argon2.params();
        hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
            || made.m_cost() < now.m_cost()
            || made.t_cost() < now.t_cost()
            || made.p_cost() < now.p_cost()
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`UserError::Busy`] when too many wait already.
    pub async fn turn(&self) -> Result<Turn, UserError> {
        let began = Instant::now();
        let turn = self.turns.take().await.map_err(|Full(_)| {
            metrics::counter!("eshopz_user_hashes_refused_total", "module" => "user").increment(1);
            UserError::Busy
        })?;
        took("waiting", began);
        Ok(turn)
    }

    /// Sets the gauge of who waits.
    pub fn observe(&self) {
        metrics::gauge!("eshopz_user_hashes_waiting", "module" => "user").set(meters::gauge(self.turns.waiting()));
    }

    /// Hashes a password, as a PHC string.
    ///
    /// # Errors
    /// [`UserError::Hashing`], for want of memory or randomness.
    pub async fn hash(&self, turn: Turn, password: String) -> Result<String, UserError> {
        let (argon2, memory) = (self.argon2.clone(), Arc::clone(&self.memory));
        in_background(move || {
            let _turn = turn;
            memory.with(|blocks| new_hash(&argon2, password.as_bytes(), blocks))
        })
        .await
    }

    /// Whether a password has this hash. Without a hash it never has, and takes as long.
    ///
    /// # Errors
    /// [`UserError::Hashing`], for want of memory, or when the hash is none.
    pub async fn verify(&self, turn: Turn, password: String, hash: Option<String>) -> Result<Compared, UserError> {
        let memory = Arc::clone(&self.memory);
        let expected = hash.unwrap_or_else(|| self.decoy.clone());
        in_background(move || {
            let right = memory.with(|blocks| has_hash(password.as_bytes(), &expected, blocks))?;
            Ok(if right { Compared::Right } else { Compared::Wrong(turn) })
        })
        .await
    }
}

/// Memory of hashes, as many times as there may be at once, kept for the next ones: to have the system clear 19 MiB takes a
/// seventh of a hash's time. It does not go back to the system: what is given up is kept by the allocator, for the thread
/// that it was taken by, and after some hundred hashes each of many threads would have its own.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = kept().pop().unwrap_or_default();
        let done = work(&mut blocks);
        kept().push(blocks);
        done
    }
}

/// As `PasswordHasher` of the crate does it, which takes memory of its own each time.
fn new_hash(argon2: &Argon2<'_>, password: &[u8], blocks: &mut Vec<Block>) -> Result<String, HashError> {
    let salt = Salt::new(&rand::random::<[u8; Salt::RECOMMENDED_LENGTH]>())?;
    let params = argon2.params();
    blocks.resize(params.block_count(), Block::default());
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    argon2.hash_password_into_with_memory(password, &salt, &mut output, blocks)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(salt),
        hash: Some(Output::new(&output)?),
    };
    Ok(hash.to_string())
}

/// As `PasswordVerifier` of the crate does it, which takes memory of its own each time: with the parameters that the
/// hash was made with, and compared in constant time.
fn has_hash(password: &[u8], expected: &str, blocks: &mut Vec<Block>) -> Result<bool, HashError> {
    let hash = PasswordHash::new(expected)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let params = Params::try_from(&hash)?;
    blocks.resize(params.block_count(), Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len()).ok_or(HashError::OutputSize)?;
    Argon2::new(algorithm, version, params).hash_password_into_with_memory(password, &salt, output, blocks)?;
    Ok(Output::new(output)? == expected)
}

/// The turn goes along with the work: a request that is dropped still takes its core until the hash is done.
fn took(step: &'static str, began: Instant) {
    metrics::histogram!("eshopz_user_hash_duration_seconds", "module" => "user", "step" => step)
        .record(began.elapsed());
}

async fn in_background<T, W>(work: W) -> Result<T, UserError>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, HashError> + Send + 'static,
{
    let began = Instant::now();
    let done = tokio::task::spawn_blocking(work).await;
    took("hashing", began);
    done.map_err(|error| UserError::Hashing(error.to_string()))?.map_err(|error| UserError::Hashing(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(concurrency: usize, queue: usize) -> Passwords {
        Passwords::new(&UserSettings {
            argon2_memory_kib: 64,
            argon2_iterations: 1,
            hash_concurrency: concurrency,
            hash_queue: queue,
            ..UserSettings::default()
        })
    }

    #[tokio::test]
    async fn a_password_has_its_own_hash_only() {
        let passwords = passwords(1, 1);
        let hash = passwords.hash(passwords.turn().await.unwrap(), "open sesame".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        for (password, hash, expected) in [
            ("open sesame", Some(hash.clone()), true),
            ("open barley", Some(hash), false),
            ("open sesame", None, false),
        ] {
            let turn = passwords.turn().await.unwrap();
            let compared = passwords.verify(turn, password.to_owned(), hash).await.unwrap();
            assert_eq!(matches!(compared, Compared::Right), expected);
        }
    }

    #[tokio::test]
    async fn a_hash_of_less_is_weak() {
        let made = passwords(1, 1);
        let hash = made.hash(made.turn().await.unwrap(), "open sesame".to_owned()).await.unwrap();
        assert!(!made.is_weak(&hash));
        let with = |memory, passes| {
            Passwords::new(&UserSettings {
                argon2_memory_kib: memory,
                argon2_iterations: passes,
                ..UserSettings::default()
            })
        };
        assert!(with(128, 1).is_weak(&hash) && with(64, 2).is_weak(&hash) && !with(32, 1).is_weak(&hash));
        assert!(made.is_weak(&hash.replace("argon2id", "argon2i")));
    }

    #[tokio::test]
    async fn memory_is_kept_as_often_as_there_may_be_hashes_at_once() {
        let passwords = passwords(2, 100);
        let hashes = (0..20).map(async |number| {
            let hash = passwords.hash(passwords.turn().await.unwrap(), number.to_string()).await.unwrap();
            let turn = passwords.turn().await.unwrap();
            assert!(matches!(passwords.verify(turn, number.to_string(), Some(hash)).await, Ok(Compared::Right)));
        });
        futures::future::join_all(hashes).await;
        let kept: Vec<usize> = passwords.memory.0.lock().unwrap().iter().map(Vec::len).collect();
        assert!((1..=2).contains(&kept.len()) && kept.iter().all(|blocks| *blocks == 64), "{kept:?}");
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let passwords = Arc::new(passwords(1, 1));
        let first = passwords.turn().await.unwrap();
        let second = tokio::spawn({
            let passwords = Arc::clone(&passwords);
            async move { passwords.turn().await.is_ok() }
        });
        while passwords.turns.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(passwords.turn().await, Err(UserError::Busy)));
        drop(first);
        assert!(second.await.unwrap());
        assert!(passwords.turn().await.is_ok());
        assert_eq!(passwords.turns.waiting(), 0);
    }
}
