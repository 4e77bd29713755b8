//! What tells a call that found nobody from one that was answered badly.

use eshopz_kernel::Fault;
use thiserror::Error;

/// The cause of a fault that arose on the way: the neighbour was away, whatever it was asked.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct NeighbourAway(pub(super) String);

/// Whether a call failed because the neighbour could not be reached or did not answer, so that neither it nor
/// what was asked of it is at fault. False for everything that the neighbour said itself, and for a connection
/// that broke under the call: the call may have been what ended the process.
#[must_use]
pub fn is_away(fault: &Fault) -> bool {
    fault.cause().is_some_and(|cause| cause.is::<NeighbourAway>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_arose_on_the_way_is_an_absence() {
        let unavailable = || Fault::unavailable("Not now.", 1);
        assert!(is_away(&unavailable().caused_by(NeighbourAway("connection refused".to_owned()))));
        assert!(!is_away(&unavailable().caused_by("connection refused")));
        assert!(!is_away(&unavailable()));
    }
}
