//! Points that no scenario passes, and why. A run over all points fails for one that is missing here.

use super::plan::short;

const LOST_RACE: &str = "somebody else is quicker by a moment; two deaths can come here, and need not";
const OTHER_GATEWAY: &str = "the sandbox never does this; modules/payment/tests has a gateway that does";
const TWO_CHARGES: &str =
    "the gateway tells of charges, or parts of them, in an order that needs luck; see modules/payment/tests";
const PAID_TWICE: &str =
    "a payer who finishes with his bank in the moment in which he pays otherwise; modules/payment/tests has him";
const LOST_WEBHOOK: &str = "no webhook is lost, and nobody changes a hold at the gateway; see modules/payment/tests";
const STOPPING: &str = "the process is stopping; what it does not note comes again when its lease is over";

/// The beginning of the points' names, and the reason.
pub const UNREACHED: &[(&str, &str)] = &[
    ("order::service::checkout::OrderService::let_go#", LOST_RACE),
    ("order::service::checkout::OrderService::winner#2:", LOST_RACE),
    ("order::service::expire::OrderService::", LOST_RACE),
    ("order::service::reverse::OrderService::ask_for_refund#2:", "a refund is refused while another is on its way"),
    ("order::service::reverse::OrderService::carry_out_all#3:", LOST_RACE),
    ("order::service::expire::each#", LOST_RACE),
    ("order::service::settle::OrderService::settle#7:", LOST_RACE),
    ("order::service::refund_again::", "a refund that failed is asked for again ten minutes later"),
    ("order::service::reverse::OrderService::older_are_pending#", "more refunds at once than were paid"),
    (
        "order::service::voided::OrderService::cancel_voided#",
        "the gateway lets a hold go that nobody wants to; see tests/topologies",
    ),
    ("order::service::cancel::OrderService::resume_cancel#", LOST_RACE),
    ("order::listeners::Export::", "an export changes nothing but what it is gathered in; see tests/flows/privacy.rs"),
    ("payment::service::attempts::PaymentService::carry_out#2:", OTHER_GATEWAY),
    ("payment::service::attempts::PaymentService::forget_attempt#", OTHER_GATEWAY),
    ("payment::service::attempts::take_in#2:", LOST_WEBHOOK),
    ("payment::service::attempts::take_in#8:", OTHER_GATEWAY),
    ("payment::service::capture::PaymentService::carry_out_capture#2:", LOST_WEBHOOK),
    ("payment::service::confirm::PaymentService::resume_confirm#5:", OTHER_GATEWAY),
    ("payment::service::webhooks::absorb#9:", OTHER_GATEWAY),
    ("payment::service::webhooks::bounced#", OTHER_GATEWAY),
    ("payment::service::voids::answered#2:", OTHER_GATEWAY),
    ("payment::service::reconcile::PaymentService::hear_of#", LOST_WEBHOOK),
    ("payment::service::voids::let_go_elsewhere#", LOST_WEBHOOK),
    ("payment::service::voids::refused#2:", OTHER_GATEWAY),
    ("payment::service::settle::authorized#", TWO_CHARGES),
    ("payment::service::settle::captured#1:", TWO_CHARGES),
    ("payment::service::settle::captured#7:", TWO_CHARGES),
    ("payment::service::settle::captured#8:", TWO_CHARGES),
    ("payment::service::settle::close_attempt#", TWO_CHARGES),
    ("payment::service::settle::refund_broken_release#", TWO_CHARGES),
    ("payment::service::surplus::note#2:", TWO_CHARGES),
    ("payment::service::surplus::is_returned#", TWO_CHARGES),
    ("payment::service::surplus::take_over#", TWO_CHARGES),
    ("payment::service::surplus::PaymentService::give_back#", TWO_CHARGES),
    ("payment::service::surplus::PaymentService::give_back_the_rest#", TWO_CHARGES),
    ("payment::service::replaced::PaymentService::carry_out_instead#3:", OTHER_GATEWAY),
    ("payment::service::replaced::PaymentService::give_way#", OTHER_GATEWAY),
    ("payment::service::replaced::PaymentService::carry_out_instead#6:", PAID_TWICE),
    ("payment::service::replaced::PaymentService::let_go_replaced#4:", PAID_TWICE),
    ("payment::service::replaced::PaymentService::learn_of_replaced#", PAID_TWICE),
    ("payment::service::replaced::PaymentService::take_in_replaced#", PAID_TWICE),
    ("payment::service::undo::PaymentService::finish_undo#4:", OTHER_GATEWAY),
    ("payment::service::reconcile::PaymentService::sweep_webhooks#", "once an hour, and each statement by itself"),
    ("product::service::reserving::reserve_again#", "a client that repeats its checkout half an hour later"),
    ("platform::events::held::renew#", "a listener that needs more than half a lease"),
    ("platform::events::relay::Relay::renew#", "a listener that needs more than half a lease"),
    ("platform::events::held::release#", "more events than a listener takes in half a lease"),
    ("platform::events::settle::Relay::settle#4:", "more events than a listener takes in half a lease"),
    ("platform::events::lease::Lease::lost#", "a relay that is frozen, and not dead"),
    ("platform::events::outbox::publish_all#", "what tells many events at once is the import of a catalogue"),
    ("platform::events::relay::Relay::run#3:", STOPPING),
    ("platform::events::relay::Relay::wind_down#", STOPPING),
    ("platform::events::relay::Relay::finish#", STOPPING),
];

/// Why a point is not passed.
pub fn reason(point: &str) -> Option<&'static str> {
    UNREACHED.iter().find(|(begin, _)| short(point).starts_with(begin)).map(|(_, reason)| *reason)
}
