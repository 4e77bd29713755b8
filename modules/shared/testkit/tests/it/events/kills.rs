//! Processes that relay are killed, for real and at random: nothing is lost, and nothing happens twice.

use std::ops::Range;
use std::process::Stdio;

use diesel_async::AsyncConnection as _;
use eshopz_platform::db::Conn;
use eshopz_testkit::load::Dice;
use eshopz_testkit::widgets::WidgetSold;
use tokio::process::{Child, Command};

use super::*;

const EVENTS: i64 = 100_000;
const WRITERS: i64 = 4;
const PROCESSES: usize = 3;
/// Without a single event delivered, whatever else the machine has to do.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Notes each delivery that is begun again, by which those are counted that a kill cut off.
const NOTE_REPETITIONS: &str = "\
    CREATE TABLE repeated (event_id uuid, listener text); \
    CREATE FUNCTION note_repeated() RETURNS trigger LANGUAGE plpgsql AS $$ \
        BEGIN INSERT INTO repeated VALUES (NEW.event_id, NEW.listener); RETURN NULL; END $$; \
    CREATE TRIGGER note_repeated AFTER UPDATE ON outbox_deliveries FOR EACH ROW \
        WHEN (NEW.attempts > 1 AND NEW.attempts > OLD.attempts) EXECUTE FUNCTION note_repeated()";

/// A process that relays, gone with this.
fn process(widgets: &Widgets, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_widget-relay"))
        .arg(&widgets.base.url)
        .args(arguments)
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn seed() -> u64 {
    let given = std::env::var("ESHOPZ_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| u64::from(std::process::id()))
}

/// Publishes its part of the events: singly and in batches, between others that are rolled back and have
/// negative numbers, and some in transactions that stay open while later events are committed.
async fn write(db: Db, mut numbers: Range<i64>, mut dice: Dice) {
    let mut conn = db.conn().await.unwrap();
    let mut late: Option<Conn> = None;
    loop {
        let kind = dice.below(10);
        let batch: Vec<_> =
            numbers.by_ref().take(if kind < 2 { 10 } else { 100 }).map(|number| WidgetMade { number }).collect();
        match kind {
            0 => {
                for event in &batch {
                    outbox::publish(&mut conn, event).await.unwrap();
                }
            }
            1 if late.is_none() => {
                let mut open = db.conn().await.unwrap();
                open.batch_execute("BEGIN").await.unwrap();
                outbox::publish_all(&mut open, &batch).await.unwrap();
                late = Some(open);
                continue;
            }
            2 => {
                let undone = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
                    let never: Vec<_> = batch.iter().map(|event| WidgetMade { number: -1 - event.number }).collect();
                    outbox::publish_all(conn, &never).await?;
                    Err(diesel::result::Error::RollbackTransaction)
                });
                undone.await.unwrap_err();
                outbox::publish_all(&mut conn, &batch).await.unwrap();
            }
            3 => {
                let sold: Vec<_> = batch.iter().map(|event| WidgetSold { number: event.number }).collect();
                outbox::publish_all(&mut conn, &sold).await.unwrap();
            }
            _ => outbox::publish_all(&mut conn, &batch).await.unwrap(),
        }
        if let Some(mut open) = late.take() {
            open.batch_execute("COMMIT").await.unwrap();
        }
        if numbers.is_empty() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_survive_random_kills() {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let widgets = Widgets::new().await;
    widgets.execute(NOTE_REPETITIONS).await;
    let began = Instant::now();
    let mut processes: Vec<Child> = (0..PROCESSES).map(|_| process(&widgets, &[])).collect();
    let part = EVENTS / WRITERS;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let dice = Dice::new(seed + 1 + u64::try_from(writer).unwrap());
            tokio::spawn(write(widgets.db.clone(), writer * part..(writer + 1) * part, dice))
        })
        .collect();
    let mut kills = 0;
    let (mut published, mut moved) = (0, Instant::now());
    while published < EVENTS {
        assert!(moved.elapsed() < STANDSTILL, "seed {seed}: {published} are published, and no more");
        tokio::time::sleep(Duration::from_millis(500 + u64::try_from(dice.below(5_000)).unwrap())).await;
        let victim = &mut processes[dice.below(PROCESSES)];
        victim.kill().await.unwrap();
        *victim = process(&widgets, &[]);
        kills += 1;
        let before = std::mem::replace(&mut published, widgets.published().await);
        if published > before {
            moved = Instant::now();
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (seconds, cut_off) = (began.elapsed().as_secs(), widgets.count("repeated").await);
    println!("seed {seed}: {EVENTS} events in {seconds} s, {kills} kills, {cut_off} deliveries begun again");
    assert!(kills > 3 && cut_off > 0, "seed {seed}: {kills} kills, {cut_off} deliveries begun again");
    assert_eq!(widgets.count("outbox").await, EVENTS, "seed {seed}");
    assert_eq!(widgets.count("effects WHERE number < 0").await, 0, "seed {seed}: of rolled back events");
    let sold = widgets.count("outbox WHERE name = 'widget.sold.v1'").await;
    for (listener, events) in [("test.all", EVENTS), ("test.sold", sold)] {
        let effects = format!("effects WHERE listener = '{listener}'");
        let each = format!("(SELECT DISTINCT number FROM {effects}) AS each");
        assert_eq!((widgets.count(&effects).await, widgets.count(&each).await), (events, events), "seed {seed}");
    }
    assert!(widgets.broken().await.is_empty(), "seed {seed}");
}

#[tokio::test]
async fn what_a_killed_process_held_is_delivered_within_ten_seconds() {
    let widgets = Widgets::new().await;
    let mut doomed = process(&widgets, &["hang"]);
    for number in 0..20 {
        widgets.publish(number).await;
    }
    until("it holds them all", async || widgets.count("outbox_deliveries WHERE attempts > 0").await == 20).await;
    let _successor = process(&widgets, &[]);
    doomed.kill().await.unwrap();
    let killed = Instant::now();
    until("they are delivered", async || widgets.published().await == 20).await;
    println!("recovered {} ms after the kill", killed.elapsed().as_millis());
    assert!(killed.elapsed() < Duration::from_secs(10), "took {:?}", killed.elapsed());
    assert_eq!(widgets.count("effects").await, 20);
}

#[tokio::test]
async fn a_listener_that_outlasts_its_lease_is_not_repeated() {
    let widgets = Widgets::new().await;
    let slow = Taker { pause: Duration::from_secs(3), ..widgets.taker("test.slow") };
    let config = RelayConfig { lease: Duration::from_secs(1), ..quick() };
    let relays = [
        widgets.relay(std::slice::from_ref(&slow), config.clone()),
        widgets.relay(std::slice::from_ref(&slow), config),
    ];
    widgets.publish(1).await;
    until("it is delivered", async || widgets.published().await == 1).await;
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(slow.calls.load(Ordering::SeqCst), 1);
    assert_eq!(widgets.count("effects").await, 1);
}
