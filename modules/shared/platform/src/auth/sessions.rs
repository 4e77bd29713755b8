//! Copies of what the user module says of a session, so that it is not asked with every request.
//!
//! A revocation has to hold within a second on every pod, and does so without anybody being told. Say
//! that a session is read a moment before it is revoked. The copy that is made of it ends [`LIFE`] (0.8
//! seconds) after the reading began, however long the answer took. If another pod takes it from Redis,
//! it keeps it for the rest of its life there, which the ways to Redis and back make longer by the
//! patience for one question each, 0.1 seconds: a second in all, and some 0.8 when Redis is quick. A
//! copy that Redis hands out after it has stood still is told by the time that was written into it.
//!
//! So it holds with Redis or without; Redis spares the user module all pods' look-ups but one. Where a
//! session ends it is forgotten at once, there and in Redis. That a session is not good is kept just as
//! long: it may be asked about as often.

use std::time::Duration;

use chrono::Utc;
use eshopz_kernel::{Fault, Role, SessionId};

use super::Identity;
use crate::cache::{Codec, Copies, CopiesConfig, Redis};

/// The role behind a session by the session's id; `None` of one that is not good.
pub type SessionCopies = Copies<Option<Role>>;

/// How long a copy lives.
const LIFE: Duration = Duration::from_millis(800);
/// Milliseconds after which a copy cannot be in Redis any more, unless Redis stood still.
const STOOD_STILL: i64 = 900;

/// The copies of a process, for its [`super::Authenticator`] and its user module.
#[must_use]
pub fn session_copies(redis: Redis) -> SessionCopies {
    let config = CopiesConfig { module: "user", capacity: 100_000, memory_life: LIFE, redis_life: LIFE };
    Copies::weighed("sessions", redis, config, Codec { encode, decode }, |_| 1)
}

/// To be called once sessions have ended: who comes next is asked about again.
pub async fn forget_sessions(copies: &SessionCopies, ended: impl IntoIterator<Item = SessionId>) {
    let keys: Vec<String> = ended.into_iter().map(key).collect();
    if !keys.is_empty() {
        // What Redis could not be told of ends by itself.
        let _ = copies.forget(&keys).await;
    }
}

pub(super) async fn role(
    copies: &SessionCopies,
    identity: &dyn Identity,
    session: SessionId,
) -> Result<Option<Role>, Fault> {
    copies.get(&key(session), identity.session_role(session)).await
}

fn key(session: SessionId) -> String {
    session.to_string()
}

fn encode(role: &Option<Role>) -> Option<Vec<u8>> {
    serde_json::to_vec(&(Utc::now().timestamp_millis(), role)).ok()
}

fn decode(bytes: &[u8]) -> Option<Option<Role>> {
    let (at, role): (i64, Option<Role>) = serde_json::from_slice(bytes).ok()?;
    (Utc::now().timestamp_millis() - at < STOOD_STILL).then_some(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_from_before_redis_stood_still_is_not_taken() {
        for role in [None, Some(Role::Customer), Some(Role::Admin)] {
            assert_eq!(decode(&encode(&role).unwrap()), Some(role));
        }
        let old = Utc::now().timestamp_millis() - STOOD_STILL;
        assert_eq!(decode(format!("[{old},\"admin\"]").as_bytes()), None);
        assert_eq!(decode(b"null"), None);
    }
}
