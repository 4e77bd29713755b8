//! The reasons for which an attempt fails, as the payer hears them. A gateway's code that is not in
//! here becomes `card_declined`, so that the catalogue of problem codes is complete.

/// A reason and its words for the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: &'static str,
    pub message: &'static str,
}

const fn reason_of(code: &'static str, message: &'static str) -> Reason {
    Reason { code, message }
}

/// The answer when the gateway gives no better one. Lost and stolen cards and suspected fraud come under
/// it too: whoever holds the card must not learn that it has been noticed.
pub const CARD_DECLINED: Reason =
    reason_of("card_declined", "The card was declined. Ask the bank that issued it, or pay with another one.");

/// The gateway did not answer, and later knew nothing of the attempt.
pub const GATEWAY_TIMEOUT: Reason =
    reason_of("gateway_timeout", "The payment service did not answer in time. Nothing was collected; try again.");

/// The gateway could not be reached.
pub const GATEWAY_UNAVAILABLE: Reason =
    reason_of("gateway_unavailable", "The payment service cannot be reached. Nothing was collected; try again.");

/// The method is none that the gateway knows.
pub const UNKNOWN_METHOD: Reason =
    reason_of("unknown_payment_method", "The payment service does not know this payment method.");

/// Every reason with a 402.
pub const DECLINES: [Reason; 9] = [
    CARD_DECLINED,
    reason_of("insufficient_funds", "The card has insufficient funds. Pay with another one."),
    reason_of("expired_card", "The card has expired. Pay with another one."),
    reason_of("incorrect_cvc", "The card's security code is incorrect. Check it and try again."),
    reason_of("incorrect_number", "The card's number is incorrect. Check it and try again."),
    reason_of("card_velocity_exceeded", "The card's limit of amount or number of payments is exceeded."),
    reason_of("authentication_failed", "The bank could not confirm that it is you. Try again or use another card."),
    reason_of("processing_error", "An error occurred while the card was processed. Try again in a moment."),
    GATEWAY_TIMEOUT,
];

/// The reason under a gateway's code.
#[must_use]
pub fn reason(code: &str) -> Reason {
    DECLINES
        .into_iter()
        .chain([GATEWAY_UNAVAILABLE, UNKNOWN_METHOD])
        .find(|reason| reason.code == code)
        .unwrap_or(CARD_DECLINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_not_catalogued_are_plain_declines() {
        assert_eq!(reason("insufficient_funds").code, "insufficient_funds");
        for code in ["stolen_card", "fraudulent", "", "no such thing"] {
            assert_eq!(reason(code), CARD_DECLINED);
        }
    }
}
