//! Sends the letters that are in the database.
//!
//! What asks for a letter writes a row in its own transaction, so no crash loses one and no mail server is waited for.
//! Every process of the module sends: it takes rows with a lease, makes the token, hands the letter over, and deletes the
//! row. A process that dies in between is replaced by time, and its letter may come twice.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::UserService;
use crate::domain::secret::Secret;
use crate::error::UserError;
use crate::mail::{self, Mailer, SendError};
use crate::store::letters::{self, Claimed};
use crate::store::mailed_tokens::{self, Purpose};

/// Letters that a process sends at the same time.
const AT_ONCE: usize = 4;
/// How long one is ours: longer than a mailer may take.
const LEASE: Duration = Duration::from_secs(90);
/// How often a process looks without being woken: for those that others asked for, and those that are due again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two looks while the database is away.
const AWAY: Duration = Duration::from_secs(5);
/// What letters under way may take when the process stops.
const DRAIN: Duration = Duration::from_secs(5);
/// The first pause after a failure; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause while the server is away, and while it refuses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_AFTER_REFUSAL: Duration = Duration::from_secs(1_800);

const DAY: f64 = 86_400.0;

impl Purpose {
    /// Seconds after which nobody waits for the letter any more.
    const fn patience(self) -> f64 {
        match self {
            Self::PasswordReset => DAY,
            Self::VerifyEmail => 3.0 * DAY,
        }
    }
}

impl UserService {
    /// Sends letters until `shutdown` is true, or its sender is gone.
    pub(crate) async fn deliver_mail(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut sending = JoinSet::new();
        let mut pause = LOOK_EVERY;
        loop {
            while sending.try_join_next().is_some() {}
            match self.claim(AT_ONCE - sending.len().min(AT_ONCE)).await {
                Ok(claimed) => {
                    pause = LOOK_EVERY;
                    for letter in claimed {
                        sending.spawn(Arc::clone(&self).send_letter(letter));
                    }
                }
                Err(error) => {
                    if pause == LOOK_EVERY {
                        tracing::warn!(%error, "letters cannot be read; trying again");
                    }
                    pause = (pause * 2).min(AWAY);
                }
            }
            tokio::select! {
                biased;
                () = eshopz_platform::jobs::stopped(&mut shutdown) => break,
                Some(_) = sending.join_next() => {}
                () = self.letters_wait.notified() => {}
                () = sleep(pause) => {}
            }
        }
        // What is cut off is taken up again when its lease is over.
        let _ = timeout(DRAIN, async { while sending.join_next().await.is_some() {} }).await;
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, UserError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut conn = self.db.conn().await?;
        Ok(letters::claim(&mut conn, LEASE, limit).await?)
    }

    async fn send_letter(self: Arc<Self>, letter: Claimed) {
        let id = letter.id;
        match self.try_letter(letter).await {
            Ok(outcome) => {
                metrics::counter!("eshopz_user_letters_total", "module" => "user", "outcome" => outcome).increment(1);
            }
            // Its lease ends by itself.
            Err(error) => tracing::warn!(letter = %id, %error, "a letter has to wait"),
        }
    }

    async fn try_letter(&self, mut letter: Claimed) -> Result<&'static str, UserError> {
        // A newer version of the program asked for it, and sends it.
        let Some(purpose) = letter.purpose() else { return Ok("left") };
        let mut conn = self.db.conn().await?;
        if let Some(address) = &letter.address {
            let Some(user) = super::account_of(&mut conn, address).await? else {
                letters::drop_one(&mut conn, letter.id).await?;
                return Ok("unwanted");
            };
            letters::address_to(&mut conn, letter.id, user.id).await?;
            letter.user_id = Some(user.id);
        }
        let secret = Secret::generate();
        let ttl = self.token_ttl(purpose);
        let Some(to) = letters::begin(&mut conn, letter.id, &secret.hash, ttl).await? else {
            letters::drop_one(&mut conn, letter.id).await?;
            return Ok("unwanted");
        };
        drop(conn);
        let mail = match purpose {
            Purpose::PasswordReset => mail::password_reset(to, &secret.text, ttl.as_secs() / 60),
            Purpose::VerifyEmail => mail::verification(to, &secret.text),
        };
        let mailer = self.mailer();
        match mailer.send(&mail).await {
            Ok(()) => {
                letters::sent(&mut *self.db.conn().await?, &letter).await?;
                Ok("sent")
            }
            Err(error) => self.put_off(&letter, purpose, &secret, error).await,
        }
    }

    async fn put_off(
        &self,
        letter: &Claimed,
        purpose: Purpose,
        secret: &Secret,
        error: SendError,
    ) -> Result<&'static str, UserError> {
        let mut conn = self.db.conn().await?;
        if !matches!(error, SendError::Unknown(_)) {
            mailed_tokens::withdraw(&mut conn, &secret.hash).await?;
        }
        let (user, attempts, letter_kind) = (letter.user_id, letter.attempts, purpose.as_str());
        if letter.age > purpose.patience() {
            letters::drop_one(&mut conn, letter.id).await?;
            tracing::error!(?user, letter = letter_kind, attempts, %error, "a letter is given up: it could not be sent");
            return Ok("given_up");
        }
        let pause = pause_after(attempts, &error);
        letters::postpone(&mut conn, letter.id, pause).await?;
        tracing::warn!(?user, letter = letter_kind, attempts, ?pause, %error, "a letter could not be sent; trying again");
        Ok("failed")
    }

    fn token_ttl(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::PasswordReset => self.settings.reset_token_ttl,
            Purpose::VerifyEmail => self.settings.verification_token_ttl,
        }
    }

    fn mailer(&self) -> Arc<dyn Mailer> {
        Arc::clone(&self.mailer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Letters go by another way from now on.
    pub(crate) fn replace_mailer(&self, mailer: Arc<dyn Mailer>) {
        *self.mailer.write().unwrap_or_else(PoisonError::into_inner) = mailer;
        self.letters_wait.notify_one();
    }
}

/// Doubles with each attempt.
fn pause_after(attempts: i32, error: &SendError) -> Duration {
    let longest = match error {
        SendError::Refused(_) => LONGEST_AFTER_REFUSAL,
        SendError::NotSent(_) | SendError::Unknown(_) => LONGEST_PAUSE,
    };
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default().min(16);
    (FIRST_PAUSE * 2_u32.saturating_pow(doublings)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_an_end() {
        let (away, refused) = (SendError::NotSent(String::new()), SendError::Refused(String::new()));
        let seconds = |attempts, error| pause_after(attempts, error).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 1_000].map(|attempts| seconds(attempts, &away)), [1, 2, 4, 32, 60, 60]);
        assert_eq!([1, 7, 12, i32::MAX].map(|attempts| seconds(attempts, &refused)), [1, 64, 1_800, 1_800]);
    }
}
