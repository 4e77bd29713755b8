//! Reserving stock for orders, selling what was reserved, and undoing either. Every call can be
//! repeated; each is one transaction, which locks the order's reservation first where there is one. What nearly always
//! happens, a first reservation of what is there and its sale, is tried by a single statement before.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use eshopz_kernel::OrderId;
use eshopz_product_api::{ReserveStock, StockLine};
use uuid::Uuid;

use super::ProductService;
use crate::domain::ReservationState;
use crate::domain::stock::{by_variant, left, shortages};
use crate::error::ProductError;
use crate::store;

/// The most of one variant in an order: sums of it stay within the columns.
const MAX_QUANTITY: i64 = 1_000_000_000;

/// Reservations that are freed in one transaction.
const FREED_AT_ONCE: i64 = 100;

#[eshopz_crash::crash_points]
impl ProductService {
    /// Reserves all lines or none.
    ///
    /// # Errors
    /// [`ProductError::InsufficientStock`]; [`ProductError::ReservationMismatch`] when the order holds
    /// or bought other lines; [`ProductError::Field`] for quantities out of range.
    pub(crate) async fn reserve_stock(&self, command: ReserveStock) -> Result<(), ProductError> {
        let wanted = quantities(&command.lines)?;
        let (order, expires_at) = (command.order_id.uuid(), command.expires_at);
        let mut conn = self.db.conn().await?;
        let at_once = store::reservations::hold_at_once(&mut conn, order, &wanted, expires_at).await?;
        if !at_once.is_empty() {
            drop(conn);
            self.shelf.sold(at_once).await;
            return Ok(());
        }
        let products = loop {
            let done = (*conn).transaction(async |conn| try_reserve(conn, order, &wanted, expires_at).await).await?;
            // A twin has reserved in the meantime: its reservation is locked before the stock the next time.
            if let Some(products) = done {
                break products;
            }
        };
        drop(conn);
        self.shelf.sold(products).await;
        Ok(())
    }

    /// Turns a reservation into a sale.
    ///
    /// # Errors
    /// [`ProductError::NoReservation`]; [`ProductError::InsufficientStock`] when it was freed meanwhile
    /// and others have taken the stock.
    pub(crate) async fn sell_reserved(&self, order: OrderId) -> Result<(), ProductError> {
        let id = order.uuid();
        let mut conn = self.db.conn().await?;
        if store::reservations::sell_at_once(&mut conn, id).await? {
            // What is available stays the same.
            return Ok(());
        }
        let products = (*conn)
            .transaction(async |conn| {
                let state = store::reservations::lock(conn, id).await?;
                let held = match state.ok_or(ProductError::NoReservation(order))? {
                    ReservationState::Sold => return Ok(Vec::new()),
                    ReservationState::Held => true,
                    ReservationState::Released => false,
                };
                let products = if held {
                    store::reservations::lock_stock(conn, &[id]).await?;
                    // What is available stays the same.
                    Vec::new()
                } else {
                    let lines = store::reservations::lines(conn, id).await?;
                    lock_available(conn, &lines).await?
                };
                store::reservations::sell(conn, id, held).await?;
                Ok::<_, ProductError>(products)
            })
            .await?;
        drop(conn);
        self.shelf.sold(products).await;
        Ok(())
    }

    /// Frees what an order holds, or puts back what it bought.
    ///
    /// # Errors
    /// The statements'.
    pub(crate) async fn release_stock(&self, order: OrderId) -> Result<(), ProductError> {
        let id = order.uuid();
        let mut conn = self.db.conn().await?;
        let products = (*conn)
            .transaction(async |conn| {
                let sold = match store::reservations::lock(conn, id).await? {
                    None | Some(ReservationState::Released) => return Ok(Vec::new()),
                    Some(ReservationState::Held) => false,
                    Some(ReservationState::Sold) => true,
                };
                let products = store::reservations::lock_stock(conn, &[id]).await?;
                if sold {
                    store::reservations::put_back(conn, id).await?;
                } else {
                    store::reservations::free(conn, &[id]).await?;
                }
                Ok::<_, ProductError>(products)
            })
            .await?;
        drop(conn);
        self.shelf.sold(products).await;
        Ok(())
    }

    /// Frees what is held past its deadline, some at a time, until nothing is.
    ///
    /// # Errors
    /// The statements'.
    pub(crate) async fn free_overdue(&self) -> Result<(), ProductError> {
        loop {
            let mut conn = self.db.conn().await?;
            let (freed, products) = (*conn)
                .transaction(async |conn| {
                    let due = store::reservations::lock_due(conn, FREED_AT_ONCE).await?;
                    let mut products = Vec::new();
                    if !due.is_empty() {
                        products = store::reservations::lock_stock(conn, &due).await?;
                        store::reservations::free(conn, &due).await?;
                    }
                    Ok::<_, ProductError>((i64::try_from(due.len()).unwrap_or(0), products))
                })
                .await?;
            drop(conn);
            self.shelf.sold(products).await;
            metrics::counter!("eshopz_product_reservations_expired_total", "module" => "product")
                .increment(freed.unsigned_abs());
            if freed < FREED_AT_ONCE {
                return Ok(());
            }
        }
    }
}

/// The quantities by variant.
///
/// # Errors
/// [`ProductError::Field`] when one is out of range.
pub(super) fn quantities(lines: &[StockLine]) -> Result<BTreeMap<Uuid, i64>, ProductError> {
    if lines.iter().all(|line| (1..=MAX_QUANTITY).contains(&line.quantity)) {
        return Ok(by_variant(lines));
    }
    Err(ProductError::field("/lines", "range", format!("must have quantities from 1 to {MAX_QUANTITY}")))
}

/// Reserves for an order that has no reservation, under the locks of its stock, as [`store::reservations::hold_at_once`]
/// does, or goes on with the one that it has. `None`, with nothing but locks to be rolled back, when a twin was quicker.
#[eshopz_crash::crash_points]
async fn try_reserve(
    conn: &mut AsyncPgConnection,
    order: Uuid,
    wanted: &BTreeMap<Uuid, i64>,
    expires_at: DateTime<Utc>,
) -> Result<Option<Vec<Uuid>>, ProductError> {
    if let Some(state) = store::reservations::lock(conn, order).await? {
        return reserve_again(conn, order, state, wanted, expires_at).await.map(Some);
    }
    let products = lock_available(conn, wanted).await?;
    if !store::reservations::begin(conn, order, expires_at).await? {
        return Ok(None);
    }
    store::reservations::hold(conn, order, wanted).await?;
    Ok(Some(products))
}

/// An order that reserved before: the same lines are its own already, or are taken anew. What it gave back
/// since is not wanted again. Returns the products of which fewer are available now.
#[eshopz_crash::crash_points]
async fn reserve_again(
    conn: &mut AsyncPgConnection,
    order: Uuid,
    state: ReservationState,
    wanted: &BTreeMap<Uuid, i64>,
    expires_at: DateTime<Utc>,
) -> Result<Vec<Uuid>, ProductError> {
    let wanted = left(wanted.clone(), &store::returns::given_back(conn, order).await?);
    let same = store::reservations::lines(conn, order).await? == wanted;
    match state {
        ReservationState::Held | ReservationState::Sold if !same => {
            Err(ProductError::ReservationMismatch(OrderId::from(order)))
        }
        ReservationState::Sold => Ok(Vec::new()),
        ReservationState::Held => {
            store::reservations::set_held(conn, order, expires_at).await?;
            Ok(Vec::new())
        }
        ReservationState::Released => {
            store::reservations::drop_lines(conn, order).await?;
            store::reservations::set_held(conn, order, expires_at).await?;
            hold(conn, order, &wanted).await
        }
    }
}

/// Counts the lines as reserved, if all of them can be supplied; whose variants they are.
#[eshopz_crash::crash_points]
async fn hold(
    conn: &mut AsyncPgConnection,
    order: Uuid,
    wanted: &BTreeMap<Uuid, i64>,
) -> Result<Vec<Uuid>, ProductError> {
    let products = lock_available(conn, wanted).await?;
    store::reservations::hold(conn, order, wanted).await?;
    Ok(products)
}

/// Locks the stock of the variants, if there is enough of each; whose variants they are.
#[eshopz_crash::crash_points]
async fn lock_available(conn: &mut AsyncPgConnection, wanted: &BTreeMap<Uuid, i64>) -> Result<Vec<Uuid>, ProductError> {
    let variants: Vec<Uuid> = wanted.keys().copied().collect();
    let locked = store::levels::lock(conn, &variants).await?;
    let short = shortages(wanted, &locked.levels);
    if short.is_empty() { Ok(locked.products) } else { Err(ProductError::InsufficientStock(short)) }
}
