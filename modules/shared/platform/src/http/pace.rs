//! How slowly a body may come in.

use std::fmt::Display;
use std::time::Duration;

use actix_web::web::Bytes;
use eshopz_kernel::{Fault, FaultKind};
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::body::BODY_PATIENCE;

/// How long a body may take at any rate, and how much has to come in each second after that: whoever sends a byte
/// now and then must not keep a connection and its memory.
pub(super) const BODY_START: Duration = Duration::from_secs(10);
const BODY_BYTES_PER_SECOND: u64 = 1024;

/// A body that is taken in chunk by chunk, for as long as it takes. Only the time counts in which its client is waited
/// for, not that in which nobody asks for more.
///
/// Ends with 400 `malformed_body` when the client breaks off, and 408 `request_timeout` when it dribbles.
pub fn paced<S, E>(payload: S) -> impl Stream<Item = Result<Bytes, Fault>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let begin = Pace { payload, patience: BODY_START, over: false };
    futures::stream::unfold(begin, |mut pace| async move {
        let next = pace.next().await;
        next.map(|chunk| (chunk, pace))
    })
}

struct Pace<S> {
    payload: S,
    /// How long its client may still be waited for.
    patience: Duration,
    over: bool,
}

impl<S, E> Pace<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.over {
            return None;
        }
        let asked = Instant::now();
        let chunk = match timeout_at(asked + self.patience, self.payload.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return self.end(broken_off(&error)),
            Err(elapsed) => return self.end(too_slow().caused_by(elapsed)),
        };
        let left = self.patience.saturating_sub(asked.elapsed());
        self.patience = left.saturating_add(earned(chunk.len())).min(BODY_PATIENCE);
        Some(Ok(chunk))
    }

    const fn end(&mut self, fault: Fault) -> Option<Result<Bytes, Fault>> {
        self.over = true;
        Some(Err(fault))
    }
}

pub(super) fn broken_off(error: &impl Display) -> Fault {
    Fault::malformed("malformed_body", "The body broke off before its end.").caused_by(error.to_string())
}

/// The time that so many bytes are worth.
pub(super) fn earned(received: usize) -> Duration {
    let millis = u64::try_from(received).unwrap_or(u64::MAX).saturating_mul(1_000) / BODY_BYTES_PER_SECOND;
    Duration::from_millis(millis)
}

pub(super) fn too_slow() -> Fault {
    Fault::new(FaultKind::RequestTimeout, "request_timeout", "The body arrived too slowly. Send the request again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::ready;

    fn bytes(count: usize) -> Result<Bytes, String> {
        Ok(Bytes::from(vec![b'x'; count]))
    }

    #[tokio::test]
    async fn who_dribbles_is_not_waited_for_and_who_takes_its_time_with_much_is() {
        let silent = futures::stream::iter([bytes(1), bytes(1)]).chain(futures::stream::pending());
        let mut pace = Pace { payload: Box::pin(silent), patience: Duration::from_millis(50), over: false };
        assert!(pace.next().await.unwrap().is_ok() && pace.next().await.unwrap().is_ok());
        assert!(pace.patience < Duration::from_millis(53));
        let refused = pace.next().await.unwrap().unwrap_err();
        assert_eq!((refused.kind, pace.next().await.is_none()), (FaultKind::RequestTimeout, true));

        // What has come earns time, but never more than any body has.
        let mut pace =
            Pace { payload: Box::pin(futures::stream::iter([bytes(1 << 20)])), patience: BODY_START, over: false };
        assert_eq!((pace.next().await.unwrap().unwrap().len(), pace.patience), (1 << 20, BODY_PATIENCE));

        let broken = futures::stream::once(ready(Err::<Bytes, _>("gone")));
        let told: Vec<_> = paced(Box::pin(broken)).collect().await;
        assert!(matches!(told.as_slice(), [Err(fault)] if fault.code == "malformed_body"), "{told:?}");
    }
}
