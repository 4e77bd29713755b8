//! A listener that has somebody else at work on what the event is about.

use std::time::Duration;

use eshopz_kernel::{Fault, FaultKind};

/// Only relays and queues see it, also those of other processes.
const CODE: &str = "postponed";

/// A listener's answer to an event whose effect somebody is about to have without it, a request for one: it comes again
/// after so many seconds, for the case that nothing came of that, and the attempt does not count.
#[must_use]
pub fn postponed(seconds: u32) -> Fault {
    let mut fault = Fault::new(FaultKind::Conflict, CODE, "Somebody is at work on it.");
    fault.retry_after = Some(seconds);
    fault
}

/// The pause of such an answer.
#[must_use]
pub fn is_postponed(fault: &Fault) -> Option<Duration> {
    let seconds = fault.retry_after.filter(|_| fault.code == CODE)?;
    Some(Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_faults_put_a_delivery_off() {
        assert_eq!(is_postponed(&postponed(3)), Some(Duration::from_secs(3)));
        assert_eq!(is_postponed(&Fault::unavailable("Somebody is at work on it.", 3)), None);
    }
}
