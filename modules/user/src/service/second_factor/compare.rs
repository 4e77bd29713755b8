//! Comparing what somebody shows with what is kept, once.

use std::time::Duration;

use diesel_async::AsyncPgConnection;
use eshopz_kernel::Fault;
use uuid::Uuid;

use crate::domain::recovery_code;
use crate::domain::totp::Secret;
use crate::error::UserError;
use crate::settings::Limit;
use crate::store::second_factors;
use crate::vault::Vault;

/// What somebody shows beside a password.
pub enum Proof {
    /// Six digits of an authenticator app.
    Code(String),
    Recovery(String),
}

/// What came of comparing a code.
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Too many were wrong; seconds until others are taken.
    TooMany(u32),
}

/// Compares and notes what came of it. `begun_for` is how long ago the factor may have been begun, in seconds.
pub(super) async fn compare(
    conn: &mut AsyncPgConnection,
    vault: &Vault,
    user: Uuid,
    proof: &Proof,
    limit: Limit,
    begun_for: Option<f64>,
) -> Result<Verdict, UserError> {
    let factor = second_factors::lock(conn, user, limit.window).await?.ok_or(UserError::SecondFactorNotBegun)?;
    if begun_for.is_some_and(|most| factor.age > most) {
        return Err(UserError::SecondFactorNotBegun);
    }
    if u64::try_from(factor.failures).unwrap_or_default() >= limit.count {
        let left = Duration::try_from_secs_f64(factor.window_left.ceil()).unwrap_or_default();
        return Ok(Verdict::TooMany(u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1)));
    }
    let step = match proof {
        Proof::Code(code) => {
            let plain = vault.open(&name_of(user), &factor.secret_encrypted)?;
            Secret::of(plain).step_of(code, factor.unix_seconds, factor.last_step)
        }
        // It says nothing of the time.
        Proof::Recovery(code) => {
            let taken = second_factors::take_code(conn, user, &recovery_code::hash(user, code)).await?;
            taken.then_some(factor.last_step)
        }
    };
    Ok(match step {
        Some(step) => {
            second_factors::used(conn, user, step).await?;
            Verdict::Right
        }
        None => {
            second_factors::failed(conn, user, factor.failures).await?;
            Verdict::Wrong
        }
    })
}

/// What a secret is bound to: it opens for no other account.
pub(super) fn name_of(user: Uuid) -> String {
    format!("second factor of {user}")
}

/// Of somebody who is signed in: 401 would tell him that he is not.
pub(super) fn incorrect(verdict: &Verdict, field: &str) -> Result<(), UserError> {
    match verdict {
        Verdict::Right => Ok(()),
        Verdict::Wrong => {
            Err(Fault::field(field, "incorrect", "is not right, was used before, or is not of now").into())
        }
        Verdict::TooMany(seconds) => Err(too_many(*seconds)),
    }
}

pub(super) fn too_many(seconds: u32) -> UserError {
    Fault::too_many(format!("Too many wrong codes. Try again in {seconds} seconds."), seconds).into()
}
