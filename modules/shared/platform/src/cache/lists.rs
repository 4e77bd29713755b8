//! Copies of lists, in memory only. A page shows several things, and is out of date as soon as one of them changes,
//! or when something might have to be added to it.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eshopz_kernel::Fault;
use metrics::{Counter, counter};
use moka::future::Cache;

use super::stamps::{Moment, Stamps, Watch};

/// A page that others began to read before a change is not taken; so often it is looked again.
const TRIES: usize = 3;

/// A page, and what it shows.
#[derive(Clone, Debug)]
pub struct Listed<V> {
    pub page: V,
    /// Keys, as [`Lists::forget`] has them.
    pub shows: Vec<String>,
}

/// A cache of pages. Clones share it.
pub struct Lists<V>(Arc<Inner<V>>);

impl<V> Clone for Lists<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> std::fmt::Debug for Lists<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lists").field("name", &self.0.name).finish_non_exhaustive()
    }
}

struct Inner<V> {
    module: &'static str,
    name: &'static str,
    pages: Cache<String, Entry<V>>,
    stamps: Stamps,
    /// Rises with every change.
    changes: AtomicU64,
    /// Whether this process hears of changes that others make.
    current: AtomicBool,
    meters: OnceLock<(Counter, Counter)>,
}

#[derive(Clone)]
struct Entry<V> {
    page: V,
    watch: Arc<Watch>,
    /// How many changes there had been when it was begun to read it.
    began: u64,
}

impl<V: Clone + Send + Sync + 'static> Lists<V> {
    /// An empty cache; `capacity` is the sum of what the pages weigh, none of which is kept longer than `life`.
    #[must_use]
    pub fn new(module: &'static str, name: &'static str, capacity: u64, life: Duration, weigh: fn(&V) -> u32) -> Self {
        let pages = Cache::builder()
            .max_capacity(capacity)
            .weigher(move |key: &String, entry: &Entry<V>| {
                let key = u32::try_from(key.len()).unwrap_or(u32::MAX);
                weigh(&entry.page).saturating_add(key).saturating_add(entry.watch.weight())
            })
            .time_to_live(life)
            .build();
        Self(Arc::new(Inner {
            module,
            name,
            pages,
            stamps: Stamps::default(),
            changes: AtomicU64::new(0),
            current: AtomicBool::new(true),
            meters: OnceLock::new(),
        }))
    }

    /// A copy, or what `load` gives. Of many who ask at once one loads; if he goes away, the next one does.
    /// Failures are not kept.
    ///
    /// # Errors
    /// Those of the load.
    pub async fn get<F>(&self, key: &str, load: F) -> Result<V, Fault>
    where
        F: Future<Output = Result<Listed<V>, Fault>>,
    {
        let inner = &*self.0;
        if !inner.current.load(Ordering::SeqCst) {
            return Ok(load.await?.page);
        }
        let came = inner.changes.load(Ordering::SeqCst);
        let (hit, miss) = inner.meters();
        if let Some(entry) = inner.pages.get(key).await
            && inner.is_good(&entry, came)
        {
            hit.increment(1);
            return Ok(entry.page);
        }
        miss.increment(1);
        let mut load = pin!(load);
        for _ in 0..TRIES {
            let filling = inner.fill(load.as_mut());
            let entry = inner.pages.try_get_with_by_ref(key, filling).await.map_err(|fault| Fault::clone(&fault))?;
            if inner.is_good(&entry, came) {
                return Ok(entry.page);
            }
            inner.pages.invalidate(key).await;
        }
        Ok(load.await?.page)
    }

    /// Forgets the pages that show one of these.
    pub fn forget(&self, keys: &[String]) {
        keys.iter().for_each(|key| self.0.stamps.forget(key));
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets all pages: any may have to show something more.
    pub fn forget_all(&self) {
        self.0.stamps.forget_all();
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.pages.invalidate_all();
    }

    /// Says whether this process hears of others' changes. While it does not, nothing is kept.
    pub fn set_current(&self, current: bool) {
        self.0.current.store(current, Ordering::SeqCst);
        self.forget_all();
    }
}

impl<V: Clone + Send + Sync + 'static> Inner<V> {
    async fn fill<F>(&self, load: F) -> Result<Entry<V>, Fault>
    where
        F: Future<Output = Result<Listed<V>, Fault>>,
    {
        let (began, moment): (u64, Moment) = (self.changes.load(Ordering::SeqCst), self.stamps.moment());
        let Listed { page, shows } = load.await?;
        Ok(Entry { page, watch: Arc::new(moment.watch(&shows)), began })
    }

    /// Whether it may answer somebody who came when there had been so many changes: nothing that it shows has
    /// changed since it was read, or it was read after that.
    fn is_good(&self, entry: &Entry<V>, came: u64) -> bool {
        entry.began >= came || self.stamps.is_unchanged(&entry.watch)
    }

    /// Made at the first use: the recorder is there by then.
    fn meters(&self) -> &(Counter, Counter) {
        self.meters.get_or_init(|| {
            let meter = |outcome: &'static str| counter!("eshopz_cache_requests_total", "module" => self.module, "cache" => self.name, "level" => "memory", "outcome" => outcome);
            (meter("hit"), meter("miss"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn lists() -> Lists<usize> {
        Lists::new("test", "test", 1_000_000, Duration::from_secs(60), |_| 1)
    }

    /// Counts how often it is loaded.
    async fn get(lists: &Lists<usize>, loads: &AtomicUsize, shows: &[&str]) -> usize {
        let shows = shows.iter().map(|key| (*key).to_owned()).collect();
        let load = async { Ok(Listed { page: loads.fetch_add(1, Ordering::SeqCst) + 1, shows }) };
        lists.get("page", load).await.unwrap()
    }

    #[tokio::test]
    async fn a_page_is_forgotten_with_what_it_shows() {
        let (lists, loads) = (lists(), AtomicUsize::new(0));
        assert_eq!(get(&lists, &loads, &["a", "b"]).await, 1);
        lists.forget(&["somebody else".to_owned()]);
        assert_eq!(get(&lists, &loads, &["a", "b"]).await, 1);
        lists.forget(&["b".to_owned()]);
        assert_eq!(get(&lists, &loads, &["a", "b"]).await, 2);
        lists.forget_all();
        assert_eq!(get(&lists, &loads, &["a", "b"]).await, 3);
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_read_again_by_who_comes_after() {
        let (lists, loads) = (lists(), AtomicUsize::new(0));
        let first = lists.get("page", async {
            loads.fetch_add(1, Ordering::SeqCst);
            lists.forget(&["a".to_owned()]);
            Ok(Listed { page: 1, shows: vec!["a".to_owned()] })
        });
        assert_eq!(first.await.unwrap(), 1, "who came before the change may have it");
        assert_eq!(get(&lists, &loads, &["a"]).await, 2);
    }

    #[tokio::test]
    async fn nothing_is_kept_by_who_does_not_hear() {
        let (lists, loads) = (lists(), AtomicUsize::new(0));
        lists.set_current(false);
        assert_eq!(get(&lists, &loads, &["a"]).await, 1);
        assert_eq!(get(&lists, &loads, &["a"]).await, 2);
        lists.set_current(true);
        assert_eq!(get(&lists, &loads, &["a"]).await, 3);
        assert_eq!(get(&lists, &loads, &["a"]).await, 3);
    }
}
