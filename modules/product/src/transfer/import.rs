//! A file into the database, batch by batch, in bounded memory.
//!
//! Three hands work at once, with short queues between them that make the faster wait for the slower:
//! one takes chunks from wherever the file comes from, one (a thread, since the CSV reader blocks)
//! reads and gathers rows, one plans and writes.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::{Currency, Fault};
use eshopz_platform::audit::{self, Entry};
use eshopz_platform::db::Db;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::categories::CategoryTree;
use super::changes::Changes;
use super::memory::{Memory, Outcome, Seen};
use super::plan::{Plan, Planned, plan};
use super::state::Shop;
use super::{ImportReport, Progress, load, write};
use crate::csv::{Batch, Batches, Lines, Unreadable};
use crate::error::ProductError;
use crate::service::shelf::Shelf;

/// Chunks that wait for the reader.
const CHUNKS: usize = 8;
/// Bytes of a chunk that is read from a file.
const CHUNK: usize = 64 * 1024;
/// Times that a batch is tried when somebody else writes the same rows.
const TRIES: u32 = 5;

/// Imports a product CSV from a reader such as a file.
///
/// # Errors
/// When the file cannot be read or is no product CSV, or the database cannot be reached. What has been
/// written stays; the same file again goes on from there.
pub async fn import<R: AsyncRead + Unpin>(
    db: &Db,
    currency: Currency,
    reader: R,
    progress: impl FnMut(Progress),
) -> Result<ImportReport, ProductError> {
    import_and_tell(db, None, currency, reader, progress).await
}

/// The same, dropping the copies of what it changes.
pub(crate) async fn import_and_tell<R: AsyncRead + Unpin>(
    db: &Db,
    shelf: Option<&Arc<Shelf>>,
    currency: Currency,
    reader: R,
    progress: impl FnMut(Progress),
) -> Result<ImportReport, ProductError> {
    let chunks = futures::stream::unfold(reader, async |mut reader| {
        let mut chunk = Vec::with_capacity(CHUNK);
        match (&mut reader).take(u64::try_from(CHUNK).unwrap_or(u64::MAX)).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(chunk)), reader)),
            Err(error) => Some((Err(error), reader)),
        }
    });
    import_chunks(db, shelf, currency, Box::pin(chunks), progress).await
}

/// The same from a stream of chunks. A [`Fault`] within its error is passed on.
pub(crate) async fn import_chunks<S: Stream<Item = io::Result<Bytes>> + Unpin>(
    db: &Db,
    shelf: Option<&Arc<Shelf>>,
    currency: Currency,
    mut chunks: S,
    progress: impl FnMut(Progress),
) -> Result<ImportReport, ProductError> {
    let (chunk_sender, chunk_receiver) = mpsc::channel(CHUNKS);
    let (batch_sender, batch_receiver) = mpsc::channel(1);
    let source = ChunkReader { chunks: chunk_receiver, rest: Bytes::new() };
    // It ends by itself when either queue is closed.
    drop(tokio::task::spawn_blocking(move || read(source, currency, &batch_sender)));
    let pump = async move {
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = chunk_sender.closed() => break,
            };
            let Some(chunk) = chunk else { break };
            let failed = chunk.is_err();
            if chunk_sender.send(chunk).await.is_err() || failed {
                break;
            }
        }
    };
    let ((), report) = tokio::join!(pump, write_all(db, shelf, batch_receiver, progress));
    report
}

/// Gathers rows until the file ends or nobody takes them.
fn read(source: ChunkReader, currency: Currency, batches: &mpsc::Sender<Result<Batch, Unreadable>>) {
    let mut reader = match Lines::open(source, currency) {
        Ok(lines) => Batches::new(lines),
        Err(error) => return drop(batches.blocking_send(Err(error))),
    };
    while let Some(batch) = reader.next_batch().transpose() {
        let failed = batch.is_err();
        if batches.blocking_send(batch).is_err() || failed {
            break;
        }
    }
}

/// The queue of chunks as what the CSV reader reads from.
struct ChunkReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let taken = self.rest.len().min(buffer.len());
        let (filled, _) = buffer.split_at_mut(taken);
        self.rest.copy_to_slice(filled);
        Ok(taken)
    }
}

async fn write_all(
    db: &Db,
    shelf: Option<&Arc<Shelf>>,
    mut batches: mpsc::Receiver<Result<Batch, Unreadable>>,
    mut progress: impl FnMut(Progress),
) -> Result<ImportReport, ProductError> {
    let mut report = ImportReport::default();
    let mut entry = Some(Entry::new("catalogue.imported", "import", Uuid::now_v7()));
    let mut memory = Memory::default();
    let mut tree = None;
    while let Some(batch) = batches.recv().await {
        let batch = batch.map_err(unreadable)?;
        let (plan, seen) = write_batch(db, &batch, &memory, &mut tree, entry.as_ref()).await?;
        // The first batch has told of all of them.
        entry = None;
        if let Some(shelf) = shelf {
            shelf.changed(touched(&plan)).await;
        }
        report.rows += batch.rows;
        count(&mut report, &plan, &memory);
        report.refuse(plan.refused);
        memory.keep(seen);
        progress(Progress { rows: report.rows, bytes: batch.bytes });
    }
    if let Some(shelf) = shelf {
        // The file may have brought new ones.
        shelf.tree_changed().await;
    }
    Ok(report)
}

/// The products that were there and are not as they were. Of new ones nobody has a copy.
fn touched(plan: &Plan) -> impl Iterator<Item = Uuid> {
    let touched =
        plan.planned.iter().filter(|planned| planned.before.as_ref().is_some_and(|was| *was != planned.after));
    touched.map(|planned| planned.after.id)
}

fn unreadable(error: Unreadable) -> ProductError {
    match error {
        Unreadable::NotAProductCsv(what) => Fault::invalid("not_a_product_csv", what).into(),
        Unreadable::RowTooLong { .. } => Fault::invalid("not_a_product_csv", format!("The {error}.")).into(),
        Unreadable::Broken(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
            Some(fault) => fault.clone().into(),
            None => Fault::malformed("malformed_body", "The file broke off before its end.").caused_by(error).into(),
        },
    }
}

/// Writes a batch in a transaction, again when somebody else was at the same rows.
async fn write_batch(
    db: &Db,
    batch: &Batch,
    memory: &Memory,
    tree: &mut Option<CategoryTree>,
    entry: Option<&Entry>,
) -> Result<(Plan, Seen), ProductError> {
    let mut conn = db.conn().await?;
    let mut tries = 1;
    loop {
        let mut attempt = tree.take();
        let written = conn.transaction(async |conn| {
            let written = one_batch(conn, batch, memory, &mut attempt).await?;
            if let Some(entry) = entry {
                audit::record(conn, entry).await?;
            }
            Ok(written)
        });
        match written.await {
            Ok(done) => {
                *tree = attempt;
                return Ok(done);
            }
            Err(error) if tries < TRIES && is_collision(&error) => tries += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(20) * tries).await;
    }
}

/// Somebody else has written what this batch was about to: another reading of the shop mends it.
fn is_collision(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ForeignKeyViolation,
            _,
        ) => true,
        DieselError::DatabaseError(_, info) => info.message().contains("deadlock detected"),
        _ => false,
    }
}

async fn one_batch(
    conn: &mut AsyncPgConnection,
    batch: &Batch,
    memory: &Memory,
    tree: &mut Option<CategoryTree>,
) -> Result<(Plan, Seen), DieselError> {
    let mut tree_now = match tree.take() {
        Some(tree) => tree,
        None => CategoryTree::new(load::categories(conn).await?),
    };
    let mut shop = read_shop(conn, batch).await?;
    let mut recall = memory.recall();
    let mut planned = plan(batch, &shop, &mut recall, &mut tree_now);
    let stock: Vec<Uuid> = Changes::of(&planned.planned).stock.iter().map(|change| change.variant_id).collect();
    // Orders go on while a batch is planned: what it sets is read again under a lock.
    if !stock.is_empty() && shop.refresh(&load::lock_stock(conn, &stock).await?) {
        recall = memory.recall();
        planned = plan(batch, &shop, &mut recall, &mut tree_now);
    }
    let changes = Changes::of(&planned.planned);
    write::write(conn, tree_now.fresh(), &changes).await?;
    write::tell(conn, &changes).await?;
    tree_now.settle();
    *tree = Some(tree_now);
    let seen = recall.fresh;
    Ok((planned, seen))
}

async fn read_shop(conn: &mut AsyncPgConnection, batch: &Batch) -> Result<Shop, DieselError> {
    let handles: Vec<&str> = batch.groups.iter().map(|group| group.handle.as_str()).collect();
    let lines = batch.groups.iter().flat_map(|group| &group.lines);
    let skus: Vec<&str> = lines.filter_map(|line| line.sku.as_deref()).filter(|sku| !sku.is_empty()).collect();
    let products = load::lock_products(conn, &handles).await?;
    let skus = if skus.is_empty() { Default::default() } else { load::sku_owners(conn, &skus).await? };
    Ok(Shop { products, skus })
}

/// Counts a batch. A product that comes back further down the file is counted once.
fn count(report: &mut ImportReport, plan: &Plan, memory: &Memory) {
    report.images += plan.images;
    report.variants.created += plan.variants.created;
    report.variants.updated += plan.variants.updated;
    report.variants.unchanged += plan.variants.unchanged;
    for Planned { after, outcome, .. } in &plan.planned {
        match (memory.outcome(&after.handle), outcome) {
            (None, Outcome::Created) => report.products.created += 1,
            (None, Outcome::Updated) => report.products.updated += 1,
            (None, Outcome::Unchanged) => report.products.unchanged += 1,
            (Some(Outcome::Unchanged), Outcome::Updated) => {
                report.products.unchanged -= 1;
                report.products.updated += 1;
            }
            (Some(_), _) => {}
        }
    }
}
