//! Copies of what everybody may see, so that a product that many look at is read and written as JSON
//! once.
//!
//! A copy is dropped after the commit of a change and before its answer, here, in Redis, and by
//! [`Broadcast`] in every other process. What is lost between the commit and that, when a process dies,
//! is shown for [`MEMORY_LIFE`] at most by a process that has it in memory, and for [`REDIS_LIFE`] by
//! those that find it in Redis. Carts and orders never read a copy.
//!
//! That a product is not there is not remembered: it may be made the next moment, and costs one look
//! into an index.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eshopz_platform::broadcast::{Broadcast, News};
use eshopz_platform::cache::{Codec, Copies, CopiesConfig, Lists, Redis};
use eshopz_platform::db::Db;
use eshopz_platform::tasks::Tasks;
use moka::future::Cache as Memory;
use tokio::sync::watch;
use uuid::Uuid;

use crate::Cache;
use crate::store::rows::Category;

const MODULE: &str = "product";

/// Long enough that a product in demand is hardly ever fetched, short enough for a change of which a
/// process is never told.
const MEMORY_LIFE: Duration = Duration::from_secs(5);
const REDIS_LIFE: Duration = Duration::from_secs(60);
/// Bytes of products in memory: some ten thousand of the usual size.
const PRODUCT_BYTES: u64 = 16 * 1024 * 1024;
/// What a copy takes beside its text.
const OVERHEAD: usize = 300;
/// Bytes of lists of products in memory: some five hundred pages.
const LIST_BYTES: u64 = 16 * 1024 * 1024;
/// As short as the lag of a replica may be, which a page may be of.
const LIST_LIFE: Duration = Duration::from_secs(2);
/// Pages of the category tree in memory.
const PAGES: u64 = 500;
/// Handles of which the product's id is remembered. A copy knows its handle, so that these need not be
/// forgotten when they change.
const HANDLES: u64 = 20_000;
const HANDLE_LIFE: Duration = Duration::from_secs(600);
/// Stands for the whole category tree among the ids of products that have changed.
const TREE: &str = "categories";
/// Stands for all lists: they may have to show something that they have not shown yet, or elsewhere.
const LISTS: &str = "lists";

/// A product as everybody sees it, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductCopy {
    pub handle: Arc<str>,
    pub etag: Arc<str>,
    /// JSON.
    pub body: Bytes,
}

/// The copies of this process, and how it tells the others that they are out of date.
pub struct Shelf {
    cache: Cache,
    pub(super) products: Copies<ProductCopy>,
    /// Bodies of lists, each under the query that asks for it. Sales change no list but those that show what was
    /// sold, unless it asks for what is in stock: such a one is not kept.
    pub lists: Lists<Bytes>,
    pub(super) handles: Memory<String, Uuid>,
    pub(super) pages: Copies<Arc<Vec<Category>>>,
    broadcast: Broadcast,
    tasks: Tasks,
}

impl Shelf {
    /// Where nothing is kept, it is told all the same that things have changed, for processes where it is.
    pub fn new(db: &Db, redis: Redis, cache: Cache) -> Self {
        let memory_life = if cache == Cache::On { MEMORY_LIFE } else { Duration::ZERO };
        let products = CopiesConfig { module: MODULE, capacity: PRODUCT_BYTES, memory_life, redis_life: REDIS_LIFE };
        let pages =
            CopiesConfig { module: MODULE, capacity: PAGES, memory_life: MEMORY_LIFE, redis_life: Duration::ZERO };
        let shelf = Self {
            cache,
            products: Copies::weighed("product", redis, products, ProductCopy::codec(), ProductCopy::weight),
            lists: Lists::new(MODULE, "list", LIST_BYTES, LIST_LIFE, weight_of_list),
            handles: Memory::builder().max_capacity(HANDLES).time_to_live(HANDLE_LIFE).build(),
            pages: Copies::weighed("category", Redis::none(), pages, Codec::none(), |_| 1),
            broadcast: Broadcast::new(db.clone(), "catalogue"),
            tasks: db.tasks().clone(),
        };
        // Until it hears of the others' changes.
        shelf.set_current(false);
        shelf
    }

    /// Whether there are copies of products at all.
    pub fn is_on(&self) -> bool {
        self.cache != Cache::Off
    }

    /// Whether anything is kept in memory.
    pub fn is_in_memory(&self) -> bool {
        self.cache == Cache::On
    }

    /// Drops the copies of changed products everywhere, and all lists, and waits until it is done, within bounds.
    /// To be called after the commit, with no connection in hand; for new products too.
    pub async fn changed(self: &Arc<Self>, products: impl IntoIterator<Item = Uuid>) {
        let mut keys = keys(products);
        if !keys.is_empty() {
            keys.push(LISTS.to_owned());
        }
        self.drop_keys(keys, true).await;
    }

    /// The same for changes that come so often, and matter so little to those who look, that nobody
    /// waits until the other processes have heard of them.
    pub async fn sold(self: &Arc<Self>, products: impl IntoIterator<Item = Uuid>) {
        self.drop_keys(keys(products), false).await;
    }

    /// The category tree has changed.
    pub async fn tree_changed(self: &Arc<Self>) {
        self.forget_tree_here();
        self.broadcast.tell([TREE.to_owned()], false).await;
    }

    /// Anything may have changed.
    pub fn forget_all_here(&self) {
        self.products.forget_all_here();
        self.forget_tree_here();
    }

    fn forget_tree_here(&self) {
        self.pages.forget_all_here();
        self.lists.forget_all();
    }

    fn forget_lists_here(&self, keys: &[String]) {
        if keys.iter().any(|key| key == LISTS) {
            self.lists.forget_all();
        } else {
            self.lists.forget(keys);
        }
    }

    async fn drop_keys(self: &Arc<Self>, keys: Vec<String>, wait: bool) {
        if keys.is_empty() {
            return;
        }
        let shelf = Arc::clone(self);
        // It must be done although the client may have gone.
        let dropping = self.tasks.spawn(async move {
            shelf.forget_lists_here(&keys);
            let unclean = !shelf.products.forget(&keys).await;
            match wait {
                true => shelf.broadcast.tell(keys, unclean).await,
                false => shelf.broadcast.tell_later(keys, unclean),
            }
        });
        let _ = dropping.await;
    }

    /// Hears what other processes change, until it is told to stop.
    pub async fn listen(self: Arc<Self>, shutdown: watch::Receiver<bool>) {
        let broadcast = self.broadcast.clone();
        broadcast.run(move |news| self.hear(news), shutdown).await;
    }

    fn hear(&self, news: News) {
        match news {
            News::Listening => self.set_current(true),
            News::Deaf => self.set_current(false),
            News::ChangedEverything => self.forget_all_here(),
            News::Changed { keys, unclean } => {
                if keys.iter().any(|key| key == TREE) {
                    self.forget_tree_here();
                }
                self.forget_lists_here(&keys);
                self.products.forget_here(&keys);
                if unclean {
                    let products = self.products.clone();
                    drop(self.tasks.spawn(async move { products.forget(&keys).await }));
                }
            }
        }
    }

    fn set_current(&self, current: bool) {
        self.products.set_current(current);
        self.pages.set_current(current);
        self.lists.set_current(current);
    }
}

fn weight_of_list(body: &Bytes) -> u32 {
    u32::try_from(body.len() + OVERHEAD).unwrap_or(u32::MAX)
}

fn keys(products: impl IntoIterator<Item = Uuid>) -> Vec<String> {
    let mut keys: Vec<String> = products.into_iter().map(|id| id.to_string()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl ProductCopy {
    fn weight(&self) -> u32 {
        u32::try_from(self.handle.len() + self.etag.len() + self.body.len() + OVERHEAD).unwrap_or(u32::MAX)
    }

    /// In Redis: version of the format, ETag, and handle in a line each, then the body as it is.
    fn codec() -> Codec<Self> {
        Codec { encode: |copy| Some(copy.encoded()), decode: Self::decoded }
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + OVERHEAD);
        for line in [FORMAT, &*self.etag, &*self.handle] {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn decoded(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(parts.next()?).ok();
        if line()? != FORMAT {
            return None;
        }
        let (etag, handle) = (line()?.into(), line()?.into());
        Some(Self { etag, handle, body: Bytes::copy_from_slice(parts.next()?) })
    }
}

/// To be raised when what a product shows changes, so that processes of two versions do not read each
/// other's copies.
const FORMAT: &str = "product 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reads_back_and_another_format_does_not() {
        let body = Bytes::from_static(b"{\"a\":\"two\\nlines\"}\n");
        let copy = ProductCopy { handle: "mug".into(), etag: "\"1-ab\"".into(), body };
        let bytes = copy.encoded();
        assert_eq!(ProductCopy::decoded(&bytes), Some(copy));
        assert_eq!(ProductCopy::decoded(b"product 0\n\"1-ab\"\nmug\n{}"), None);
        assert_eq!(ProductCopy::decoded(b"product 1\n\"1-ab\""), None);
    }
}
