//! A listener that has somebody else at work on what the event is about.

use std::fmt;
use std::time::Duration;

use eshopz_kernel::Fault;

/// Who causes a fault that puts a delivery off.
#[derive(Debug)]
struct Postponed(Duration);

impl fmt::Display for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to be delivered again in {:?}", self.0)
    }
}

impl std::error::Error for Postponed {}

/// A listener's answer to an event whose effect somebody is about to have without it, a request for one: it comes again
/// after the pause, for the case that nothing came of that, and the attempt does not count.
#[must_use]
pub fn postponed(pause: Duration) -> Fault {
    Fault::internal("somebody is at it").caused_by(Postponed(pause))
}

/// The pause of such an answer.
#[must_use]
pub fn is_postponed(fault: &Fault) -> Option<Duration> {
    fault.cause().and_then(|cause| cause.downcast_ref::<Postponed>()).map(|postponed| postponed.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_faults_put_a_delivery_off() {
        let pause = Duration::from_secs(3);
        assert_eq!(is_postponed(&postponed(pause)), Some(pause));
        assert_eq!(is_postponed(&Fault::internal("somebody is at it")), None);
    }
}
