//! The tables of the schema `carts` as Diesel sees them. Other modules' tables are not visible from here.

diesel::table! {
    carts (id) {
        id -> Uuid,
        status -> Text,
        customer_id -> Nullable<Uuid>,
        token_hash -> Nullable<Bytea>,
        currency -> Text,
        version -> Int8,
        order_id -> Nullable<Uuid>,
        merged_into -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        expires_at -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    cart_items (id) {
        id -> Uuid,
        cart_id -> Uuid,
        variant_id -> Uuid,
        product_id -> Uuid,
        sku -> Nullable<Text>,
        title -> Text,
        variant_title -> Text,
        image_url -> Nullable<Text>,
        quantity -> Int8,
        unit_price_minor -> Int8,
        requires_shipping -> Bool,
        taxable -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::joinable!(cart_items -> carts (cart_id));
diesel::allow_tables_to_appear_in_same_query!(carts, cart_items);
