//! The module's own tables, for Diesel. `migrations/user` makes them.

diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        email_verified_at -> Nullable<Timestamptz>,
        password_hash -> Nullable<Text>,
        full_name -> Text,
        phone -> Nullable<Text>,
        role -> Text,
        disabled_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        second_factor_at -> Nullable<Timestamptz>,
        password_set_at -> Timestamptz,
        erasure_repeated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        user_agent -> Nullable<Text>,
        address -> Nullable<Text>,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        second_factor -> Bool,
    }
}

diesel::table! {
    refresh_tokens (hash) {
        hash -> Binary,
        session_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    mailed_tokens (hash) {
        hash -> Binary,
        user_id -> Uuid,
        purpose -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    letters (id) {
        id -> Uuid,
        purpose -> Text,
        user_id -> Nullable<Uuid>,
        address -> Nullable<Text>,
        attempts -> Integer,
        available_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    second_factors (user_id) {
        user_id -> Uuid,
        secret_encrypted -> Binary,
        sealed_by -> Text,
        last_step -> BigInt,
        failures -> Integer,
        failures_since -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    recovery_codes (user_id, hash) {
        user_id -> Uuid,
        hash -> Binary,
    }
}

diesel::table! {
    addresses (id) {
        id -> Uuid,
        user_id -> Uuid,
        name -> Text,
        line1 -> Text,
        line2 -> Nullable<Text>,
        city -> Text,
        region -> Nullable<Text>,
        postal_code -> Text,
        country -> Text,
        phone -> Nullable<Text>,
        is_default -> Bool,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        private_key_encrypted -> Binary,
        public_key -> Binary,
        created_at -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
        signs_from -> Timestamptz,
    }
}

diesel::table! {
    exports (id) {
        id -> Uuid,
        user_id -> Uuid,
        requested_at -> Timestamptz,
    }
}

diesel::table! {
    export_parts (export_id, module, number) {
        export_id -> Uuid,
        module -> Text,
        number -> Integer,
        is_last -> Bool,
        document -> Jsonb,
    }
}

diesel::allow_tables_to_appear_in_same_query!(users, sessions);
diesel::allow_tables_to_appear_in_same_query!(users, mailed_tokens);
diesel::allow_tables_to_appear_in_same_query!(users, second_factors);
