//! The test methods of the sandbox, under Stripe's names, and how each behaves.

/// What happens to whoever pays with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Approve,
    /// Pays, and then the money cannot be given back.
    RefuseRefunds,
    /// Stripe's decline code.
    Decline(&'static str),
    Authenticate,
    NeverAnswer,
}

/// A test card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Card {
    pub brand: &'static str,
    pub last4: &'static str,
    pub behaviour: Behaviour,
}

const fn card(brand: &'static str, last4: &'static str, behaviour: Behaviour) -> Card {
    Card { brand, last4, behaviour }
}

/// The card of a name; Stripe writes the declined ones with and without `visa_`.
pub(super) fn named(name: &str) -> Option<Card> {
    let name = name.strip_prefix("pm_")?;
    let name =
        name.strip_prefix("card_visa_charge").map_or_else(|| name.to_owned(), |rest| format!("card_charge{rest}"));
    use Behaviour::{Approve, Authenticate, Decline, NeverAnswer, RefuseRefunds};
    Some(match name.as_str() {
        "card_visa" => card("visa", "4242", Approve),
        "card_visa_debit" => card("visa", "5556", Approve),
        "card_mastercard" => card("mastercard", "4444", Approve),
        "card_mastercard_debit" => card("mastercard", "3222", Approve),
        "card_mastercard_prepaid" => card("mastercard", "5100", Approve),
        "card_amex" => card("amex", "8431", Approve),
        "card_discover" => card("discover", "9424", Approve),
        "card_diners" => card("diners", "3237", Approve),
        "card_jcb" => card("jcb", "0505", Approve),
        "card_unionpay" => card("unionpay", "0005", Approve),
        "card_refundFail" => card("visa", "5126", RefuseRefunds),
        "card_chargeDeclined" => card("visa", "0002", Decline("card_declined")),
        "card_chargeDeclinedInsufficientFunds" => card("visa", "9995", Decline("insufficient_funds")),
        "card_chargeDeclinedLostCard" => card("visa", "9987", Decline("lost_card")),
        "card_chargeDeclinedStolenCard" => card("visa", "9979", Decline("stolen_card")),
        "card_chargeDeclinedFraudulent" => card("visa", "0019", Decline("fraudulent")),
        "card_chargeDeclinedExpiredCard" => card("visa", "0069", Decline("expired_card")),
        "card_chargeDeclinedIncorrectCvc" => card("visa", "0127", Decline("incorrect_cvc")),
        "card_chargeDeclinedProcessingError" => card("visa", "0119", Decline("processing_error")),
        "card_chargeDeclinedVelocityLimitExceeded" => card("visa", "6975", Decline("card_velocity_exceeded")),
        "card_authenticationRequired" => card("visa", "3184", Authenticate),
        "card_threeDSecure2Required" => card("visa", "3220", Authenticate),
        "sandbox_timeout" => card("visa", "0000", NeverAnswer),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stripes() {
        assert_eq!(named("pm_card_visa"), Some(card("visa", "4242", Behaviour::Approve)));
        assert_eq!(named("pm_card_visa_chargeDeclined"), named("pm_card_chargeDeclined"));
        for unknown in ["", "card_visa", "pm_card_vis", "pm_4242424242424242", "4242424242424242"] {
            assert_eq!(named(unknown), None);
        }
    }
}
