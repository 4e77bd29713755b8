//! Taking the person out of the payments of a deleted account. `crate::personal` says which columns tell of one.

use diesel::sql_query;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use eshopz_kernel::{EventId, UserId};
use eshopz_platform::events::inbox;
use eshopz_platform::prepared::prepared;

use crate::error::PaymentError;
use crate::service::PaymentService;

/// With the account as `$1`. What the gateway has still to be asked needs to know how, and is over soon.
const FORGET: [&str; 3] = [
    // First, as whoever else changes a payment.
    "UPDATE payments SET method = NULL, next_action = NULL, undo_reason = NULL WHERE customer_id = $1",
    "UPDATE transactions t SET reason = NULL, \
        payment_method = CASE WHEN t.status IN ('pending', 'requires_action', 'surplus') THEN t.payment_method END, \
        method = CASE WHEN t.status IN ('pending', 'requires_action', 'surplus') THEN t.method END \
     FROM payments p WHERE p.id = t.payment_id AND p.customer_id = $1",
    "DELETE FROM idempotency_keys k USING transactions t JOIN payments p ON p.id = t.payment_id \
     WHERE k.resource_id = t.id AND k.status IS NOT NULL AND p.customer_id = $1",
];

impl PaymentService {
    /// Forgets how a person has paid, and what was said about it; what was paid and given back stays. Once per event.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn forget_customer(
        &self,
        listener: &str,
        event: EventId,
        user: UserId,
    ) -> Result<(), PaymentError> {
        let mut conn = self.db.conn().await?;
        (*conn)
            .transaction(async |conn| {
                if !inbox::claim(conn, listener, event).await? {
                    return Ok(());
                }
                for forget in FORGET {
                    prepared(sql_query(forget).bind::<SqlUuid, _>(user.uuid())).execute(conn).await?;
                }
                let own = sql_query("DELETE FROM idempotency_keys WHERE caller = $1");
                prepared(own.bind::<Text, _>(format!("user:{user}"))).execute(conn).await?;
                Ok(())
            })
            .await
    }
}
