//! The program as its users meet it, over HTTP.
//!
//! What speaks only the public API is a flow: a function of a shop, written once, run on every topology by
//! `tests/topologies`. Flows share a shop and run at the same time, so each makes what it needs and looks at
//! nothing else. What is about the process itself, or needs settings of its own, is a test here.

use futures::future::BoxFuture;

use crate::support::Shop;

mod accounts;
mod bad_input;
mod catalogue;
mod catalogue_files;
mod conditional;
mod cors;
mod edge;
mod journey;
mod lifecycle;
mod logs;
pub mod payments;
mod process;
mod races;
mod races_crossed;
mod races_lifecycle;
mod races_twins;
mod repair;
mod returns;
mod revocation;
mod settings;
mod statements;
mod stopping;
mod tls;
mod verify;
mod verify_at_scale;

/// A flow by its name.
pub struct Flow {
    pub name: &'static str,
    pub run: for<'a> fn(&'a Shop) -> BoxFuture<'a, ()>,
}

macro_rules! flows {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// Every flow.
        pub const ALL: &[Flow] = &[$(
            Flow {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: |shop| Box::pin($module::$name(shop)),
            }
        ),*];
    };
}

flows! {
    accounts::an_account_and_its_addresses,
    accounts::a_deleted_account_is_forgotten_by_cart_and_order,
    accounts::the_keys_are_published,
    bad_input::each_bad_request_has_its_problem,
    bad_input::nobody_gets_in_where_they_do_not_belong,
    bad_input::odd_text_is_stored_or_refused_but_never_breaks,
    bad_input::orders_are_refused_before_anything_is_written,
    bad_input::what_is_internal_cannot_be_reached,
    catalogue::a_change_is_seen_everywhere_within_a_second,
    catalogue::a_file_goes_in,
    catalogue::a_tree_of_categories,
    catalogue::products_are_found,
    catalogue::stock_has_a_ledger,
    conditional::a_key_is_good_once_wherever_it_arrives,
    conditional::a_stale_change_is_refused_wherever_it_arrives,
    conditional::request_ids_and_traces_are_taken,
    conditional::the_documents_are_served,
    journey::an_unpaid_order_expires_and_frees_its_stock,
    journey::cancelled_with_stock_and_money_back,
    journey::declined_then_paid_then_refunded_in_part,
    journey::guest_to_customer_to_delivered,
    journey::guest_to_shipped,
    journey::history_is_ones_own,
    lifecycle::an_ordered_cart_goes_nowhere_else,
    lifecycle::lines_are_cancelled_one_after_the_other,
    lifecycle::the_last_line_cancels_the_order,
    lifecycle::twins_cancel_a_line_once,
    payments::a_bank_that_asks_back,
    payments::webhooks_in_any_number,
    races::carts_in_opposite_order_do_not_deadlock,
    races::fifty_twins_make_one_order,
    races::one_cart_makes_one_order_under_many_keys,
    races::two_hundred_buyers_for_ten,
    races::two_refunds_never_exceed_the_capture,
    returns::a_return_is_accepted_and_refunded,
    returns::a_return_is_rejected_and_asked_for_again,
    returns::returns_race_and_nothing_comes_back_twice,
    revocation::a_changed_password_ends_the_other_sessions,
    revocation::a_disabled_account_is_out,
    revocation::a_role_taken_away_is_gone,
    revocation::a_stolen_refresh_token_ends_the_session,
    revocation::one_device_is_signed_out,
    revocation::signed_out_is_signed_out_everywhere,
    revocation::the_password_is_reset,
}
