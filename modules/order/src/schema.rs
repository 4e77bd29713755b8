//! The module's own tables, as its migrations make them. The connection's search path finds them.

diesel::table! {
    orders (id) {
        id -> Uuid,
        number -> Text,
        cart_id -> Uuid,
        customer_id -> Nullable<Uuid>,
        token_hash -> Nullable<Text>,
        status -> Text,
        email -> Text,
        currency -> Text,
        subtotal_minor -> BigInt,
        discount_minor -> BigInt,
        shipping_minor -> BigInt,
        tax_minor -> BigInt,
        total_minor -> BigInt,
        shipping_address -> Jsonb,
        billing_address -> Jsonb,
        tracking -> Nullable<Jsonb>,
        payment_id -> Uuid,
        cancel_reason -> Nullable<Text>,
        version -> BigInt,
        placed_at -> Timestamptz,
        updated_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        cancelled_at -> Nullable<Timestamptz>,
        undone_at -> Nullable<Timestamptz>,
        reversed_minor -> BigInt,
        tries -> Integer,
        try_at -> Nullable<Timestamptz>,
        selling_at -> Nullable<Timestamptz>,
        sellers -> Integer,
    }
}

diesel::table! {
    order_lines (order_id, position) {
        order_id -> Uuid,
        position -> Integer,
        variant_id -> Uuid,
        product_id -> Uuid,
        sku -> Nullable<Text>,
        title -> Text,
        variant_title -> Text,
        image_url -> Nullable<Text>,
        quantity -> BigInt,
        unit_price_minor -> BigInt,
        line_total_minor -> BigInt,
        taxable -> Bool,
        cancelled_quantity -> BigInt,
        asked_quantity -> BigInt,
        returned_quantity -> BigInt,
    }
}

diesel::table! {
    order_timeline (id) {
        id -> BigInt,
        order_id -> Uuid,
        at -> Timestamptz,
        from_status -> Nullable<Text>,
        to_status -> Text,
        event -> Text,
        actor -> Text,
        actor_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    order_reversals (id) {
        id -> Uuid,
        order_id -> Uuid,
        kind -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        note -> Nullable<Text>,
        restock -> Nullable<Bool>,
        worth_minor -> Nullable<BigInt>,
        refund_minor -> Nullable<BigInt>,
        version -> BigInt,
        requested_at -> Timestamptz,
        updated_at -> Timestamptz,
        done_at -> Nullable<Timestamptz>,
        tries -> Integer,
        try_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    order_reversal_lines (reversal_id, variant_id) {
        reversal_id -> Uuid,
        variant_id -> Uuid,
        quantity -> BigInt,
    }
}

diesel::table! {
    order_refunds (id) {
        id -> Uuid,
        order_id -> Uuid,
        amount_minor -> BigInt,
        reason -> Nullable<Text>,
        status -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        tries -> Integer,
        try_at -> Nullable<Timestamptz>,
        part_id -> Nullable<Uuid>,
        attempt -> Integer,
    }
}
