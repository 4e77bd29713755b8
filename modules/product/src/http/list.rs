//! The list of products: filters, search, facets.

use actix_web::{HttpRequest, get, web};
use bytes::Bytes;
use chrono::{DateTime, Datelike as _, Utc};
use eshopz_kernel::{Currency, Cursor, Fault, Money, Page};
use eshopz_platform::cache::Listed;
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Answer, Caller, Problem, Query, Reply};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::fields;
use super::schemas::Name;
use super::views::{PriceRange, ProductView};
use crate::domain::Status;
use crate::service::{Filter, Listing, ProductService};
use crate::store::facets::FacetRow;
use crate::store::listing::{After, Key, Order};
use crate::store::selection::Selection;

/// The order of a list of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Sort {
    #[serde(rename = "relevance")]
    Relevance,
    #[serde(rename = "-created_at")]
    Newest,
    #[serde(rename = "price")]
    Cheapest,
    #[serde(rename = "-price")]
    Dearest,
    #[serde(rename = "title")]
    Title,
}

/// Which products, in which order.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProductQuery {
    /// Words to search for. The last one may be unfinished; typing errors are forgiven.
    #[validate(length(max = 200), custom(function = fields::text))]
    #[param(pattern = "<text>", max_length = 200, example = "blue shirt")]
    pub q: Option<String>,
    /// A category's slug; all below it is meant too.
    #[validate(custom(function = fields::line))]
    #[param(pattern = "<line>", max_length = 255)]
    pub category: Option<String>,
    #[validate(custom(function = fields::line))]
    #[param(pattern = "<line>", max_length = 255)]
    pub vendor: Option<String>,
    #[validate(custom(function = fields::line))]
    #[param(pattern = "<line>", max_length = 255)]
    pub product_type: Option<String>,
    /// May be repeated; a product has all of them.
    #[serde(default)]
    #[validate(length(max = 20), custom(function = fields::names))]
    #[param(value_type = Vec<Name>, required = false, max_items = 20)]
    pub tag: Vec<String>,
    /// The lowest price of a product is this at least, in minor units.
    #[validate(range(min = 0, max = 1_000_000_000_000_i64))]
    #[param(minimum = 0, maximum = 1_000_000_000_000_i64)]
    #[serde(default, deserialize_with = "given")]
    pub min_price: Option<i64>,
    /// The lowest price of a product is this at most, in minor units.
    #[validate(range(min = 0, max = 1_000_000_000_000_i64))]
    #[param(minimum = 0, maximum = 1_000_000_000_000_i64)]
    #[serde(default, deserialize_with = "given")]
    pub max_price: Option<i64>,
    /// Whether any of its variants can be bought now.
    #[serde(default, deserialize_with = "given")]
    pub in_stock: Option<bool>,
    /// For admins, who see products of every status without it.
    #[param(inline)]
    #[serde(default, deserialize_with = "given")]
    pub status: Option<Status>,
    /// `relevance` is for searches, and then the default; without one it is `-created_at`. Of very many
    /// matches the best of the newest thousand come first, then those of the next. In a shop of more than
    /// 5,000 products it is sixty at a time, unless there is a filter.
    #[param(inline)]
    #[serde(default, deserialize_with = "given")]
    pub sort: Option<Sort>,
    /// Adds `facets`: what the products have in common, with counts.
    #[serde(default, deserialize_with = "given")]
    pub facets: Option<bool>,
    /// Products on a page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters and sort.
    #[validate(length(max = 4000))]
    #[param(max_length = 4000)]
    pub cursor: Option<String>,
}

/// A value, and how many of the products have it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetCount {
    #[schema(example = "Northwind")]
    pub value: String,
    #[schema(example = 12)]
    pub count: i64,
}

/// What all products that match have in common: the 50 commonest values of each.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Facets {
    /// Slugs.
    pub category: Vec<FacetCount>,
    pub vendor: Vec<FacetCount>,
    pub product_type: Vec<FacetCount>,
    pub tag: Vec<FacetCount>,
    /// `null` when nothing matches.
    pub price: Option<PriceRange>,
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductPage {
    pub items: Vec<ProductView>,
    /// Pass as `cursor` to get the next page; `null` on the last one.
    pub next_cursor: Option<String>,
    /// With `facets=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub facets: Option<Facets>,
}

/// A place in a list.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    sort: Sort,
    key: Key,
    id: Uuid,
    /// The search was corrected.
    corrected: bool,
}

/// List and search products
///
/// Active products; for admins, all.
#[utoipa::path(
    tag = "product",
    params(ProductQuery),
    responses(
        (status = 200, body = ProductPage, description = "A page of products."),
        (status = 403, body = Problem, description = "`forbidden`: a `status` other than `active` is for admins."),
    ),
    security((), ("bearer" = []))
)]
#[get("")]
pub async fn list_products(
    service: web::Data<ProductService>,
    caller: Caller,
    Query(query): Query<ProductQuery>,
    req: HttpRequest,
) -> Answer {
    let status = visible(&caller, query.status)?;
    if caller.is_admin() {
        return Ok(Reply::ok(&read(&service, query, status, true).await?)?);
    }
    // A sale may add to what is in stock, or take from it.
    if !service.shelf.is_in_memory() || query.in_stock.is_some() {
        return Ok(Reply::ok(&read(&service, query, status, false).await?)?.public());
    }
    let load = async {
        let page = read(&service, query, status, false).await?;
        let shows = page.items.iter().map(|product| product.id.to_string()).collect();
        let body = serde_json::to_vec(&page).map_err(|error| Fault::internal("serialise list").caused_by(error))?;
        Ok(Listed { page: Bytes::from(body), shows })
    };
    let body = service.shelf.lists.get(req.query_string(), load).await?;
    Ok(Reply::json(body).public())
}

async fn read(
    service: &ProductService,
    query: ProductQuery,
    status: Option<Status>,
    admin: bool,
) -> Result<ProductPage, Fault> {
    let (limit, sort) = (page_limit(query.limit), query.sort_or_default()?);
    let listing = service.list_products(query.into_filter(sort, status)?, limit).await?;
    Ok(page(listing, sort, limit, service.currency(), admin))
}

/// Everybody sees active products; admins those of the status they ask for, or all.
fn visible(caller: &Caller, asked: Option<Status>) -> Result<Option<Status>, Fault> {
    match asked {
        _ if caller.is_admin() => Ok(asked),
        None | Some(Status::Active) => Ok(Some(Status::Active)),
        Some(Status::Draft | Status::Archived) if caller.principal.is_none() => {
            Err(Fault::unauthenticated("unauthenticated", "Products that are not active are for admins; sign in."))
        }
        Some(Status::Draft | Status::Archived) => {
            Err(Fault::forbidden("forbidden", "Products that are not active are for admins."))
        }
    }
}

impl ProductQuery {
    fn sort_or_default(&self) -> Result<Sort, Fault> {
        let searched = self.q.as_ref().filter(|q| !q.trim().is_empty());
        match (self.sort, searched) {
            (Some(Sort::Relevance), None) => Err(Fault::field("/sort", "relevance", "goes with `q` only")),
            (Some(sort), _) => Ok(sort),
            (None, Some(_)) => Ok(Sort::Relevance),
            (None, None) => Ok(Sort::Newest),
        }
    }

    fn into_filter(self, sort: Sort, status: Option<Status>) -> Result<Filter, Fault> {
        let place = self.cursor.as_deref().map(|cursor| Place::read(cursor, sort)).transpose()?;
        Ok(Filter {
            q: self.q.filter(|q| !q.trim().is_empty()),
            category: self.category,
            selection: Selection {
                status,
                search: None,
                categories: None,
                vendor: self.vendor,
                product_type: self.product_type,
                tags: self.tag,
                min_price: self.min_price,
                max_price: self.max_price,
                in_stock: self.in_stock,
            },
            order: sort.into(),
            corrected: place.as_ref().is_some_and(|place| place.corrected),
            after: place.map(|place| After { key: place.key, id: place.id }),
            facets: self.facets.unwrap_or(false),
        })
    }
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Relevance => Self::Relevance,
            Sort::Newest => Self::Newest,
            Sort::Cheapest => Self::Cheapest,
            Sort::Dearest => Self::Dearest,
            Sort::Title => Self::Title,
        }
    }
}

impl Place {
    /// A cursor of a list in this order, with nothing in it that PostgreSQL would choke on.
    fn read(cursor: &str, sort: Sort) -> Result<Self, Fault> {
        let place: Self = Cursor::decode(cursor)?;
        let fits = match (&place.key, sort) {
            (Key::Rank(rank, _), Sort::Relevance) => rank.is_finite(),
            (Key::CreatedAt(at), Sort::Newest) => is_usual(*at),
            (Key::Price(_), Sort::Cheapest | Sort::Dearest) => true,
            (Key::Title(title), Sort::Title) => !title.contains('\0'),
            _ => false,
        };
        if fits && place.sort == sort { Ok(place) } else { Cursor::decode("") }
    }
}

/// A time that PostgreSQL knows.
fn is_usual(at: DateTime<Utc>) -> bool {
    (1..10_000).contains(&at.year())
}

fn page(listing: Listing, sort: Sort, limit: usize, currency: Currency, admin: bool) -> ProductPage {
    let Listing { rows, corrected, facets } = listing;
    let page = Page::from_rows(
        rows,
        limit,
        |(key, whole)| Place { sort, key: key.clone(), id: whole.product.id, corrected },
        |(_, whole)| ProductView::of(whole, currency, admin),
    );
    ProductPage {
        items: page.items,
        next_cursor: page.next_cursor,
        facets: facets.map(|rows| facet_view(&rows, currency)),
    }
}

fn facet_view(rows: &[FacetRow], currency: Currency) -> Facets {
    let mut facets = Facets::default();
    let (mut min, mut max) = (None, None);
    for FacetRow { facet, value, count } in rows {
        let counted = FacetCount { value: value.clone(), count: count.unwrap_or_default() };
        match facet.as_str() {
            "category" => facets.category.push(counted),
            "vendor" => facets.vendor.push(counted),
            "product_type" => facets.product_type.push(counted),
            "tag" => facets.tag.push(counted),
            "price_min" => min = *count,
            "price_max" => max = *count,
            _ => {}
        }
    }
    let money = |amount| Money::new(amount, currency);
    facets.price = min.zip(max).map(|(min, max)| PriceRange { min: money(min), max: money(max) });
    facets
}
