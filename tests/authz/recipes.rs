//! How each operation is asked, so that nothing but who asks can be wrong with it.
//!
//! A recipe names the [`Thing`] that is asked for. The thing's names stand in the path, by the parameters of the
//! OpenAPI document, and in the body, in `{braces}`; [`super::things`] says which names a thing has.

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    Nothing,
    /// An account that can be signed in to, with a refresh token.
    SignIn,
    /// An account that was mailed a token, by a word of the letter's subject.
    Mailed(&'static str),
    /// An account that nobody uses.
    Bystander,
    Address,
    /// Another device of the same account.
    Session,
    Category,
    Product,
    Variant,
    /// A cart with a line, and a guest's cart to merge into it.
    Cart,
    /// An order that is paid.
    Order,
    Delivered,
    /// A delivered order with a return that waits for a decision.
    Returned,
    Unpaid,
    Authorized,
    /// A payment that is collected, and refunded in part.
    Captured,
}

impl Thing {
    /// Whether guests have such things too.
    pub const fn is_of_guests(self) -> bool {
        use Thing::{Authorized, Captured, Cart, Delivered, Order, Returned, Unpaid};
        matches!(self, Cart | Order | Delivered | Returned | Unpaid | Authorized | Captured)
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Nothing,
    Json(&'static str),
    Form(&'static str),
    Csv(&'static str),
    /// JSON with the gateway's signature.
    Signed(&'static str),
}

/// How an operation is asked.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Method and path, as in the document.
    pub operation: &'static str,
    pub thing: Thing,
    pub content: Content,
    /// It changes the account of whoever asks, so each time it is another account.
    pub on_itself: bool,
}

const fn ask(operation: &'static str, thing: Thing) -> Recipe {
    Recipe { operation, thing, content: Content::Nothing, on_itself: false }
}

impl Recipe {
    const fn json(self, body: &'static str) -> Self {
        Self { content: Content::Json(body), ..self }
    }

    const fn sending(self, content: Content) -> Self {
        Self { content, ..self }
    }

    const fn on_itself(self) -> Self {
        Self { on_itself: true, ..self }
    }
}

const ADDRESS: &str = r#"{"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
    "postal_code": "SW1Y 4JH", "country": "GB"}"#;
const PRODUCT: &str =
    r#"{"title": "Linen Shirt {unique}", "variants": [{"price": {"amount": 4900, "currency": "USD"}, "on_hand": 5}]}"#;
const VARIANT: &str =
    r#"{"option_values": {"Size": "{unique}"}, "price": {"amount": 4900, "currency": "USD"}, "on_hand": 5}"#;
const CSV: &str = "Handle,Title,Published,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price\n\
    {unique},Linen Shirt,true,Title,Default Title,3,49\n";
const ORDER: &str = r#"{"cart_id": "{id}", "email": "guest@example.com", "payment_method": "pm_card_visa",
    "shipping_address": {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
    "postal_code": "SW1Y 4JH", "country": "GB"}}"#;

/// Every operation.
pub const RECIPES: &[Recipe] = &[
    ask("GET /.well-known/jwks.json", Thing::Nothing),
    ask("POST /api/v1/auth/login", Thing::SignIn).json(r#"{"email": "{email}", "password": "{password}"}"#),
    ask("POST /api/v1/auth/logout", Thing::Nothing).on_itself(),
    ask("POST /api/v1/auth/password-reset", Thing::SignIn).json(r#"{"email": "{email}"}"#),
    ask("POST /api/v1/auth/password-reset/confirm", Thing::Mailed("password"))
        .json(r#"{"token": "{token}", "new_password": "{another_password}"}"#),
    ask("POST /api/v1/auth/refresh", Thing::SignIn).json(r#"{"refresh_token": "{refresh_token}"}"#),
    ask("POST /api/v1/auth/token", Thing::SignIn)
        .sending(Content::Form("grant_type=refresh_token&refresh_token={refresh_token}")),
    ask("POST /api/v1/auth/verify-email", Thing::Mailed("confirm")).json(r#"{"token": "{token}"}"#),
    ask("GET /api/v1/users", Thing::Nothing),
    ask("POST /api/v1/users", Thing::Nothing)
        .json(r#"{"email": "{unique}@example.com", "password": "{another_password}", "full_name": "Ada Lovelace"}"#),
    ask("GET /api/v1/users/{id}", Thing::Bystander),
    ask("PATCH /api/v1/users/{id}", Thing::Bystander).json(r#"{"role": "admin"}"#),
    ask("GET /api/v1/users/me", Thing::Nothing),
    ask("PATCH /api/v1/users/me", Thing::Nothing).json(r#"{"full_name": "Ada King"}"#).on_itself(),
    ask("DELETE /api/v1/users/me", Thing::Nothing).on_itself(),
    ask("PUT /api/v1/users/me/password", Thing::Nothing)
        .json(r#"{"current_password": "{password}", "new_password": "{another_password}"}"#)
        .on_itself(),
    ask("GET /api/v1/users/me/addresses", Thing::Address),
    ask("POST /api/v1/users/me/addresses", Thing::Nothing).json(ADDRESS).on_itself(),
    ask("GET /api/v1/users/me/addresses/{id}", Thing::Address),
    ask("PATCH /api/v1/users/me/addresses/{id}", Thing::Address).json(r#"{"city": "Ockham"}"#),
    ask("DELETE /api/v1/users/me/addresses/{id}", Thing::Address),
    ask("GET /api/v1/users/me/sessions", Thing::Nothing),
    ask("DELETE /api/v1/users/me/sessions/{id}", Thing::Session),
    ask("GET /api/v1/users/audit-log", Thing::Nothing),
    ask("DELETE /api/v1/users/{id}/second-factor", Thing::Bystander),
    ask("GET /api/v1/users/me/export", Thing::Nothing),
    ask("GET /api/v1/users/me/second-factor", Thing::Nothing),
    ask("POST /api/v1/users/me/second-factor", Thing::Nothing)
        .json(r#"{"current_password": "{password}"}"#)
        .on_itself(),
    // What comes of a code is in modules/user/tests; here nobody has begun with one.
    ask("DELETE /api/v1/users/me/second-factor", Thing::Nothing)
        .json(r#"{"current_password": "{password}", "code": "123456"}"#),
    ask("POST /api/v1/users/me/second-factor/confirm", Thing::Nothing).json(r#"{"code": "123456"}"#),
    ask("POST /api/v1/users/me/second-factor/recovery-codes", Thing::Nothing)
        .json(r#"{"current_password": "{password}", "code": "123456"}"#),
    ask("GET /api/v1/categories", Thing::Nothing),
    ask("POST /api/v1/categories", Thing::Nothing).json(r#"{"name": "Shirts {unique}"}"#),
    ask("GET /api/v1/categories/{slug}", Thing::Category),
    ask("PATCH /api/v1/categories/{slug}", Thing::Category).json(r#"{"name": "Blouses"}"#),
    ask("DELETE /api/v1/categories/{slug}", Thing::Category),
    ask("GET /api/v1/products/audit-log", Thing::Nothing),
    ask("GET /api/v1/products", Thing::Product),
    ask("POST /api/v1/products", Thing::Nothing).json(PRODUCT),
    ask("GET /api/v1/products/export", Thing::Product),
    ask("POST /api/v1/products/import", Thing::Nothing).sending(Content::Csv(CSV)),
    ask("GET /api/v1/products/{id}", Thing::Product),
    ask("PATCH /api/v1/products/{id}", Thing::Product).json(r#"{"title": "Cotton Shirt"}"#),
    ask("DELETE /api/v1/products/{id}", Thing::Product),
    ask("POST /api/v1/products/{id}/variants", Thing::Product).json(VARIANT),
    ask("GET /api/v1/variants/{id}", Thing::Variant),
    ask("PATCH /api/v1/variants/{id}", Thing::Variant).json(r#"{"price": {"amount": 1, "currency": "USD"}}"#),
    ask("DELETE /api/v1/variants/{id}", Thing::Variant),
    ask("PUT /api/v1/variants/{id}/stock", Thing::Variant).json(r#"{"on_hand": 7}"#),
    ask("POST /api/v1/variants/{id}/stock-adjustments", Thing::Variant).json(r#"{"delta": 1, "reason": "found"}"#),
    ask("GET /api/v1/variants/{id}/stock-movements", Thing::Variant),
    ask("POST /api/v1/carts", Thing::Nothing).json("{}").on_itself(),
    ask("GET /api/v1/carts/mine", Thing::Nothing),
    ask("GET /api/v1/carts/{id}", Thing::Cart),
    ask("DELETE /api/v1/carts/{id}", Thing::Cart),
    ask("POST /api/v1/carts/{id}/items", Thing::Cart).json(r#"{"variant_id": "{another_variant}", "quantity": 1}"#),
    ask("DELETE /api/v1/carts/{id}/items", Thing::Cart),
    ask("PATCH /api/v1/carts/{id}/items/{item_id}", Thing::Cart).json(r#"{"quantity": 2}"#),
    ask("DELETE /api/v1/carts/{id}/items/{item_id}", Thing::Cart),
    ask("POST /api/v1/carts/{id}/merge", Thing::Cart).json(r#"{"cart_id": "{guest_cart}", "token": "{guest_token}"}"#),
    ask("GET /api/v1/payments/audit-log", Thing::Nothing),
    ask("GET /api/v1/payments", Thing::Unpaid),
    ask("GET /api/v1/payments/{id}", Thing::Captured),
    ask("POST /api/v1/payments/{id}/confirm", Thing::Unpaid).json(r#"{"payment_method": "pm_card_visa"}"#),
    ask("POST /api/v1/payments/{id}/capture", Thing::Authorized).json("{}"),
    ask("GET /api/v1/payments/{id}/refunds", Thing::Captured),
    ask("POST /api/v1/payments/{id}/refunds", Thing::Captured)
        .json(r#"{"amount": {"amount": 1, "currency": "USD"}, "reason": "late"}"#),
    ask("GET /api/v1/payments/{id}/transactions", Thing::Captured),
    ask("POST /api/v1/payments/webhooks/{gateway}", Thing::Nothing).sending(Content::Signed(
        r#"{"id": "evt_{unique}", "type": "charge.updated", "data": {"object": {"id": "ch_{unique}"}}}"#,
    )),
    ask("GET /api/v1/orders/audit-log", Thing::Nothing),
    ask("GET /api/v1/orders", Thing::Order),
    ask("POST /api/v1/orders", Thing::Cart).json(ORDER),
    ask("GET /api/v1/orders/{id}", Thing::Order),
    ask("POST /api/v1/orders/{id}/cancel", Thing::Order).json(r#"{"reason": "too large"}"#),
    ask("GET /api/v1/orders/{id}/timeline", Thing::Order),
    ask("POST /api/v1/orders/{id}/transitions", Thing::Order).json(r#"{"to": "processing"}"#),
    ask("GET /api/v1/orders/{id}/returns", Thing::Returned),
    ask("POST /api/v1/orders/{id}/returns", Thing::Delivered)
        .json(r#"{"items": [{"variant_id": "{variant}", "quantity": 1}]}"#),
    ask("GET /api/v1/orders/{id}/returns/{return_id}", Thing::Returned),
    ask("POST /api/v1/orders/{id}/returns/{return_id}/accept", Thing::Returned).json("{}"),
    ask("POST /api/v1/orders/{id}/returns/{return_id}/reject", Thing::Returned).json(r#"{"reason": "worn"}"#),
];
