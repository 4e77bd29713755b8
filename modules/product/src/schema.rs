//! The tables of the schema `products` as Diesel sees them. Other modules' tables are not visible from here.

diesel::table! {
    categories (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        parent_id -> Nullable<Uuid>,
        position -> Integer,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    // Its words are in `product_words`, made by PostgreSQL and used in SQL only.
    products (id) {
        id -> Uuid,
        handle -> Text,
        title -> Text,
        description -> Text,
        vendor -> Text,
        product_type -> Text,
        tags -> Array<Text>,
        status -> Text,
        category_id -> Nullable<Uuid>,
        options -> Jsonb,
        images -> Jsonb,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        price_min_minor -> BigInt,
        price_max_minor -> BigInt,
        skus -> Text,
    }
}

diesel::table! {
    variants (id) {
        id -> Uuid,
        product_id -> Uuid,
        sku -> Nullable<Text>,
        title -> Text,
        option_values -> Array<Text>,
        price_minor -> BigInt,
        compare_at_minor -> Nullable<BigInt>,
        barcode -> Nullable<Text>,
        weight_grams -> Integer,
        requires_shipping -> Bool,
        taxable -> Bool,
        position -> Integer,
        image_url -> Nullable<Text>,
        imported_on_hand -> Nullable<Integer>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    stock_levels (variant_id) {
        variant_id -> Uuid,
        on_hand -> BigInt,
        reserved -> BigInt,
        backorder -> Bool,
    }
}

diesel::table! {
    stock_movements (id) {
        id -> Uuid,
        variant_id -> Uuid,
        delta -> BigInt,
        on_hand_after -> BigInt,
        kind -> Text,
        reason -> Nullable<Text>,
        order_id -> Nullable<Uuid>,
        actor -> Text,
        created_at -> Timestamptz,
        return_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    reservations (order_id) {
        order_id -> Uuid,
        state -> Text,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    reservation_lines (order_id, variant_id) {
        order_id -> Uuid,
        variant_id -> Uuid,
        quantity -> BigInt,
    }
}

diesel::table! {
    reservation_returns (order_id, id, variant_id) {
        order_id -> Uuid,
        id -> Uuid,
        variant_id -> Uuid,
        quantity -> BigInt,
        sold -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::joinable!(products -> categories (category_id));
diesel::joinable!(variants -> products (product_id));
diesel::joinable!(stock_levels -> variants (variant_id));
diesel::joinable!(reservation_lines -> reservations (order_id));
diesel::allow_tables_to_appear_in_same_query!(
    categories,
    products,
    variants,
    stock_levels,
    stock_movements,
    reservations,
    reservation_lines,
    reservation_returns,
);
