//! `/api/v1/users/me/addresses`: the address book.

use actix_web::{delete, get, patch, post};
use eshopz_kernel::{AddressId, Page, UserId};
use eshopz_platform::http::params::page_limit;
use eshopz_platform::http::{Answer, Body, IfMatch, PathId, Problem, Query, Reply, SignedIn};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use super::fields::{clearable, optional, present, present_trimmed, trimmed};
use super::sessions::Paging;
use super::views::AddressView;
use crate::store::addresses::{Address, AddressChange, NewAddress};

/// A new entry.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAddress {
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(examples("Ann Example"), pattern = "<words>", min_length = 1, max_length = 200)]
    name: String,
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(examples("1 Harbour Street"), pattern = "<words>", min_length = 1, max_length = 200)]
    line1: String,
    #[serde(default, deserialize_with = "optional")]
    #[validate(length(max = 200), custom(function = "super::fields::one_line"))]
    #[schema(examples("Apt 4"), pattern = "<line>", max_length = 200)]
    line2: Option<String>,
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 100), custom(function = "super::fields::one_line"))]
    #[schema(examples("Portland"), pattern = "<words>", min_length = 1, max_length = 100)]
    city: String,
    #[serde(default, deserialize_with = "optional")]
    #[validate(length(max = 100), custom(function = "super::fields::one_line"))]
    #[schema(examples("OR"), pattern = "<line>", max_length = 100)]
    region: Option<String>,
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 20), custom(function = "super::fields::one_line"))]
    #[schema(examples("97201"), pattern = "<words>", min_length = 1, max_length = 20)]
    postal_code: String,
    /// ISO 3166-1 alpha-2, in capitals.
    #[validate(custom(function = "super::fields::country_code"))]
    #[schema(examples("US"), pattern = "<country>")]
    country: String,
    #[serde(default, deserialize_with = "optional")]
    #[validate(length(max = 40), custom(function = "super::fields::phone_number"))]
    #[schema(examples("+1 555 0100"), pattern = "<phone>", max_length = 40)]
    phone: Option<String>,
    /// The first address is the default whatever is said here.
    #[serde(default)]
    #[schema(examples(true))]
    is_default: bool,
}

/// What changes; fields that are left out stay as they are, `null` clears those that may be empty.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAddress {
    #[serde(default, deserialize_with = "present_trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(value_type = String, required = false, examples("Ann Example"), pattern = "<words>", min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "present_trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(value_type = String, required = false, examples("2 Harbour Street"), pattern = "<words>", min_length = 1, max_length = 200)]
    line1: Option<String>,
    #[serde(default, deserialize_with = "clearable")]
    #[validate(length(max = 200), custom(function = "super::fields::one_line"))]
    #[schema(value_type = Option<String>, required = false, examples("Apt 5"), pattern = "<line>", max_length = 200)]
    line2: Option<Option<String>>,
    #[serde(default, deserialize_with = "present_trimmed")]
    #[validate(length(min = 1, max = 100), custom(function = "super::fields::one_line"))]
    #[schema(value_type = String, required = false, examples("Portland"), pattern = "<words>", min_length = 1, max_length = 100)]
    city: Option<String>,
    #[serde(default, deserialize_with = "clearable")]
    #[validate(length(max = 100), custom(function = "super::fields::one_line"))]
    #[schema(value_type = Option<String>, required = false, examples("OR"), pattern = "<line>", max_length = 100)]
    region: Option<Option<String>>,
    #[serde(default, deserialize_with = "present_trimmed")]
    #[validate(length(min = 1, max = 20), custom(function = "super::fields::one_line"))]
    #[schema(value_type = String, required = false, examples("97202"), pattern = "<words>", min_length = 1, max_length = 20)]
    postal_code: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    #[serde(default, deserialize_with = "present")]
    #[validate(custom(function = "super::fields::country_code"))]
    #[schema(value_type = String, required = false, examples("US"), pattern = "<country>")]
    country: Option<String>,
    #[serde(default, deserialize_with = "clearable")]
    #[validate(length(max = 40), custom(function = "super::fields::phone_number"))]
    #[schema(value_type = Option<String>, required = false, examples("+1 555 0100"), pattern = "<phone>", max_length = 40)]
    phone: Option<Option<String>>,
    /// `true` makes it the default in place of another; the default itself cannot be set to `false`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = bool, required = false, examples(true))]
    is_default: Option<bool>,
}

impl CreateAddress {
    fn of(self, user: UserId) -> NewAddress {
        NewAddress {
            id: AddressId::new().uuid(),
            user_id: user.uuid(),
            name: self.name,
            line1: self.line1,
            line2: self.line2,
            city: self.city,
            region: self.region,
            postal_code: self.postal_code,
            country: self.country,
            phone: self.phone,
            is_default: self.is_default,
        }
    }
}

impl From<UpdateAddress> for AddressChange {
    fn from(body: UpdateAddress) -> Self {
        Self {
            name: body.name,
            line1: body.line1,
            line2: body.line2,
            city: body.city,
            region: body.region,
            postal_code: body.postal_code,
            country: body.country,
            phone: body.phone,
            is_default: body.is_default,
        }
    }
}

fn shown(address: Address) -> Answer {
    let version = address.version;
    Ok(Reply::ok(&AddressView::from(address))?.etag(version))
}

/// List your addresses.
///
/// Oldest first.
#[utoipa::path(
    tag = "user",
    params(Paging),
    responses((status = 200, body = Page<AddressView>, description = "The address book")),
    security(("bearer" = [])),
)]
#[get("/me/addresses")]
pub async fn list_addresses(service: Service, SignedIn(principal): SignedIn, Query(paging): Query<Paging>) -> Answer {
    let limit = page_limit(paging.limit);
    let rows = service.addresses(principal.user_id, paging.cursor.as_deref(), limit).await?;
    Ok(Reply::ok(&Page::from_rows(rows, limit, |address| address.id, AddressView::from))?)
}

/// Add an address.
#[utoipa::path(
    tag = "user",
    request_body = CreateAddress,
    responses(
        (status = 201, body = AddressView, description = "Added"),
        (status = 409, body = Problem, description = "`address_book_full`: there are 100 entries already"),
    ),
    security(("bearer" = [])),
)]
#[post("/me/addresses")]
pub async fn create_address(
    service: Service,
    SignedIn(principal): SignedIn,
    Body(body): Body<CreateAddress>,
) -> Answer {
    let address = service.add_address(body.of(principal.user_id)).await?;
    let (path, version) = (format!("/api/v1/users/me/addresses/{}", address.id), address.version);
    Ok(Reply::created(path, &AddressView::from(address))?.etag(version))
}

/// One of your addresses.
#[utoipa::path(
    tag = "user",
    params(("id" = Uuid, Path, description = "The address")),
    responses((status = 200, body = AddressView, description = "The address"), (status = 304, description = "As the `If-None-Match` says")),
    security(("bearer" = [])),
)]
#[get("/me/addresses/{id}")]
pub async fn get_address(service: Service, SignedIn(principal): SignedIn, PathId(id): PathId<AddressId>) -> Answer {
    shown(service.address(principal.user_id, id).await?)
}

/// Change an address.
#[utoipa::path(
    tag = "user",
    request_body = UpdateAddress,
    params(
        ("id" = Uuid, Path, description = "The address"),
        ("If-Match" = Option<String>, Header, description = "The ETag that you saw"),
    ),
    responses(
        (status = 200, body = AddressView, description = "Changed"),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since"),
    ),
    security(("bearer" = [])),
)]
#[patch("/me/addresses/{id}")]
pub async fn update_address(
    service: Service,
    SignedIn(principal): SignedIn,
    PathId(id): PathId<AddressId>,
    if_match: IfMatch,
    Body(body): Body<UpdateAddress>,
) -> Answer {
    shown(service.change_address(principal.user_id, id, body.into(), &if_match).await?)
}

/// Delete an address.
///
/// If it was the default, the newest of the others takes its place.
#[utoipa::path(
    tag = "user",
    params(
        ("id" = Uuid, Path, description = "The address"),
        ("If-Match" = Option<String>, Header, description = "The ETag that you saw"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since"),
    ),
    security(("bearer" = [])),
)]
#[delete("/me/addresses/{id}")]
pub async fn delete_address(
    service: Service,
    SignedIn(principal): SignedIn,
    PathId(id): PathId<AddressId>,
    if_match: IfMatch,
) -> Answer {
    service.remove_address(principal.user_id, id, &if_match).await?;
    Ok(Reply::no_content())
}
