//! Lists and searches: what is meant, the page, and a second try for a query with typing errors.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use moka::future::Cache;

use super::meant::Meant;
use super::{ProductService, WholeProduct};
use crate::domain::spelling;
use crate::error::ProductError;
use crate::store;
use crate::store::facets::FacetRow;
use crate::store::listing::{After, Key, Listed, Order};
use crate::store::selection::{Search, Selection};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// As it was typed.
    pub q: Option<String>,
    /// A slug; all below it is meant too.
    pub category: Option<String>,
    /// Everything else; its search and categories come from the fields above.
    pub selection: Selection,
    pub order: Order,
    pub after: Option<After>,
    /// The page before was of a corrected search.
    pub corrected: bool,
    pub facets: bool,
}

/// A page, with one product more than was asked for when there are more.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub rows: Vec<(Key, WholeProduct)>,
    /// Nothing had the words as they were typed; these have the nearest ones.
    pub corrected: bool,
    pub facets: Option<Arc<Vec<FacetRow>>>,
}

impl ProductService {
    /// Lists products.
    ///
    /// # Errors
    /// The statements'.
    pub async fn list_products(&self, filter: Filter, limit: usize) -> Result<Listing, ProductError> {
        let mut conn = self.db.read_conn().await?;
        let mut selection = filter.selection.clone();
        if let Some(slug) = &filter.category {
            selection.categories = Some(store::categories::subtree(&mut conn, slug).await?);
        }
        let words = filter.q.as_deref().map(spelling::words);
        let nothing_meant =
            words.as_ref().is_some_and(Vec::is_empty) || selection.categories.as_ref().is_some_and(Vec::is_empty);
        if nothing_meant {
            return Ok(Listing { facets: filter.facets.then(Arc::default), ..Listing::default() });
        }
        let (rows, corrected) = find(&mut conn, &self.meant, &mut selection, words, &filter, limit + 1).await?;
        let facets = match filter.facets {
            true => Some(self.facets.of(&mut conn, &selection).await?),
            false => None,
        };
        let rows = rows.into_iter().map(|Listed { whole, key }| (key, whole.into())).collect();
        Ok(Listing { rows, corrected, facets })
    }
}

/// More matches than this are not counted anew each time.
const COUNTED_EACH_TIME: i64 = 10_000;
/// How long the counts of very many matches are kept.
const COUNTS_KEPT: Duration = Duration::from_secs(10);

/// The facets of very many matches, which take a while to count and do not change much meanwhile.
pub struct FacetCounts(Cache<String, Arc<Vec<FacetRow>>>);

impl Default for FacetCounts {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(200).time_to_live(COUNTS_KEPT).build())
    }
}

impl FacetCounts {
    async fn of(
        &self,
        conn: &mut AsyncPgConnection,
        selection: &Selection,
    ) -> Result<Arc<Vec<FacetRow>>, ProductError> {
        let key = format!("{selection:?}");
        if let Some(counted) = self.0.get(&key).await {
            return Ok(counted);
        }
        let counted = Arc::new(store::facets::count(conn, selection).await?);
        let matches = counted.iter().find(|row| row.facet == "matches").and_then(|row| row.count);
        if matches.is_some_and(|matches| matches > COUNTED_EACH_TIME) {
            self.0.insert(key, Arc::clone(&counted)).await;
        }
        Ok(counted)
    }
}

/// The page by the words as they were typed; if a first page is empty, by the nearest words.
async fn find(
    conn: &mut AsyncPgConnection,
    meant: &Meant,
    selection: &mut Selection,
    words: Option<Vec<String>>,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<Listed>, bool), ProductError> {
    let after = filter.after.as_ref();
    let Some(words) = words else {
        return Ok((store::listing::page(conn, selection, filter.order, after, limit).await?, false));
    };
    if !filter.corrected {
        selection.search = typed(&words, meant);
        let rows = store::listing::page(conn, selection, filter.order, after, limit).await?;
        if !rows.is_empty() || after.is_some() {
            return Ok((rows, false));
        }
    }
    let Some(groups) = meant.instead(conn, words).await? else { return Ok((Vec::new(), false)) };
    selection.search = Some(Search::AnyOf(groups));
    Ok((store::listing::page(conn, selection, filter.order, after, limit).await?, true))
}

fn typed(words: &[String], meant: &Meant) -> Option<Search> {
    let (last, before) = words.split_last()?;
    let unknown = meant.unknown(before, last);
    Some(Search::Typed { before: before.to_vec(), last: last.clone(), unknown })
}
