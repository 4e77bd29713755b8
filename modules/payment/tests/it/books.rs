//! Each kind of planted error is found by its rule.

use crate::shop::Shop;

#[tokio::test]
async fn planted_errors_are_found() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    assert_eq!(shop.refund(&intent, "r", 40).await.status, 201);
    shop.intent(70).await;
    shop.assert_balanced().await;
    let loosened = "ALTER TABLE payments.payments DROP CONSTRAINT payments_captured_within_amount, \
                    DROP CONSTRAINT payments_refunded_within_captured, \
                    DROP CONSTRAINT payments_released_within_held";
    shop.plant(loosened).await;
    for (plant, mend, rules) in [
        (
            "UPDATE payments.payments SET captured_minor = 90 WHERE captured_minor = 100",
            "UPDATE payments.payments SET captured_minor = 100 WHERE captured_minor = 90",
            &["captured_sum", "gateway_drift"][..],
        ),
        (
            "UPDATE payments.payments SET refunded_minor = 30 WHERE refunded_minor = 40",
            "UPDATE payments.payments SET refunded_minor = 40 WHERE refunded_minor = 30",
            &["refunded_sum"],
        ),
        (
            "UPDATE payments.payments SET released_minor = 10 WHERE amount_minor = 70",
            "UPDATE payments.payments SET released_minor = 0",
            &["released_sum"],
        ),
        (
            "UPDATE payments.transactions SET status = 'pending', created_at = created_at - interval '1 hour', \
                settled_at = settled_at - interval '1 hour' WHERE kind = 'refund'",
            "UPDATE payments.transactions SET status = 'succeeded', created_at = created_at + interval '1 hour', \
                settled_at = settled_at + interval '1 hour' WHERE kind = 'refund'",
            &["gateway_answers"],
        ),
        (
            "UPDATE payments.payments SET amount_minor = 50 WHERE amount_minor = 100",
            "UPDATE payments.payments SET amount_minor = 100 WHERE amount_minor = 50",
            &["payment_bounds"],
        ),
        (
            "UPDATE payments.payments SET status = 'succeeded', secured_at = now() - interval '30 days', \
                gateway_reference = 'x' WHERE amount_minor = 70",
            "UPDATE payments.payments SET status = 'requires_payment_method', secured_at = NULL, \
                gateway_reference = NULL WHERE amount_minor = 70",
            &["payment_status"],
        ),
        (
            "UPDATE payments.outbox SET name = 'x' WHERE name = 'payment.succeeded.v1'",
            "UPDATE payments.outbox SET name = 'payment.succeeded.v1' WHERE name = 'x'",
            &["payment_events"],
        ),
        (
            "UPDATE payments.outbox SET name = 'x' WHERE name = 'payment.refunded.v1'",
            "UPDATE payments.outbox SET name = 'payment.refunded.v1' WHERE name = 'x'",
            &["refund_events"],
        ),
        (
            "UPDATE payments.sandbox_charges SET refunded_minor = 50",
            "UPDATE payments.sandbox_charges SET refunded_minor = 40",
            &["gateway_drift"],
        ),
        (
            "UPDATE payments.sandbox_charges SET reference = 'x' WHERE false; \
             UPDATE payments.payments SET gateway_reference = 'nobody knows' WHERE captured_minor = 100",
            "UPDATE payments.payments SET gateway_reference = (SELECT reference FROM payments.sandbox_charges) \
             WHERE captured_minor = 100",
            &["gateway_drift", "gateway_drift"],
        ),
        (
            "UPDATE payments.payments SET undo_requested_at = now() - interval '1 hour' WHERE captured_minor = 100",
            "UPDATE payments.payments SET undo_requested_at = NULL",
            &["payments_undone"],
        ),
        (
            "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body, received_at, payment_id) \
             SELECT gen_random_uuid(), 'sandbox', 'evt', 'x', '{}', now() - interval '1 hour', id \
             FROM payments.payments WHERE amount_minor = 70",
            "DELETE FROM payments.webhook_events",
            &["parked_events"],
        ),
        (
            "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body, received_at, reference) \
             SELECT gen_random_uuid(), 'sandbox', 'evt', 'x', '{}', now() - interval '1 hour', reference \
             FROM payments.sandbox_charges",
            "DELETE FROM payments.webhook_events",
            &["parked_events"],
        ),
        (
            "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body, received_at, payment_id, reference) \
             VALUES (gen_random_uuid(), 'sandbox', 'evt', 'x', '{}', now() - interval '1 hour', gen_random_uuid(), 'y')",
            "DELETE FROM payments.webhook_events",
            &[],
        ),
    ] {
        shop.plant(plant).await;
        assert_eq!(shop.broken().await, rules, "{plant}");
        shop.plant(mend).await;
        shop.assert_balanced().await;
    }
}
