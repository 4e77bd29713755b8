//! The module's own tables, for Diesel. `migrations/payment` makes them.

diesel::table! {
    payments (id) {
        id -> Uuid,
        order_id -> Uuid,
        customer_id -> Nullable<Uuid>,
        payer_token_hash -> Nullable<Text>,
        currency -> Text,
        amount_minor -> BigInt,
        captured_minor -> BigInt,
        refunded_minor -> BigInt,
        gateway_refunded_minor -> BigInt,
        gateway_bounced_minor -> BigInt,
        released_minor -> BigInt,
        status -> Text,
        gateway -> Text,
        gateway_reference -> Nullable<Text>,
        method -> Nullable<Jsonb>,
        next_action -> Nullable<Jsonb>,
        failure_code -> Nullable<Text>,
        failure_message -> Nullable<Text>,
        attempt_id -> Nullable<Uuid>,
        attempts -> Integer,
        processing_since -> Nullable<Timestamptz>,
        undo_requested_at -> Nullable<Timestamptz>,
        undo_reason -> Nullable<Text>,
        undo_tries -> Integer,
        undo_due_at -> Timestamptz,
        ask_tries -> Integer,
        ask_due_at -> Timestamptz,
        secured_at -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    transactions (id) {
        id -> Uuid,
        payment_id -> Uuid,
        kind -> Text,
        status -> Text,
        amount_minor -> BigInt,
        currency -> Text,
        payment_method -> Nullable<Text>,
        method -> Nullable<Jsonb>,
        gateway_reference -> Nullable<Text>,
        charge_reference -> Nullable<Text>,
        reason -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        failure_message -> Nullable<Text>,
        created_at -> Timestamptz,
        tried_at -> Timestamptz,
        tries -> Integer,
        due_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_events (id) {
        id -> Uuid,
        gateway -> Text,
        event_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        payment_id -> Nullable<Uuid>,
        reference -> Nullable<Text>,
        body -> Text,
        received_at -> Timestamptz,
        applied_at -> Nullable<Timestamptz>,
        tries -> Integer,
        due_at -> Timestamptz,
    }
}
