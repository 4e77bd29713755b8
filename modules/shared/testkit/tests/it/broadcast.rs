//! Processes of a module that tell each other of changes, over a real PostgreSQL.

use std::time::{Duration, Instant};

use eshopz_platform::broadcast::{Broadcast, News};
use eshopz_testkit::db::TestDb;
use tokio::sync::{mpsc, watch};

/// A process that listens.
struct Pod {
    broadcast: Broadcast,
    news: mpsc::UnboundedReceiver<News>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Pod {
    async fn start(base: &TestDb) -> Self {
        let broadcast = Broadcast::new(base.db("carts"), "test");
        let (tell, news) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(broadcast.clone().run(move |news| drop(tell.send(news)), stopped));
        let mut pod = Self { broadcast, news, stop, task };
        assert_eq!(pod.next().await, News::Listening);
        pod
    }

    async fn next(&mut self) -> News {
        tokio::time::timeout(Duration::from_secs(20), self.news.recv()).await.unwrap().unwrap()
    }
}

fn changed(keys: &[&str], unclean: bool) -> News {
    News::Changed { keys: keys.iter().map(|key| (*key).to_owned()).collect(), unclean }
}

#[tokio::test]
async fn others_hear_and_the_teller_waits_until_they_are_about_to() {
    let base = TestDb::new(&["cart"]).await;
    let (one, mut two) = (Pod::start(&base).await, Pod::start(&base).await);
    assert!(one.broadcast.is_listening());
    let began = Instant::now();
    one.broadcast.tell(["b".to_owned(), "a".to_owned()], false).await;
    println!("told within {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(two.next().await, changed(&["a", "b"], false));
    println!("heard within {:?}", began.elapsed());
    one.broadcast.tell_later(["c".to_owned()], true);
    assert_eq!(two.next().await, changed(&["c"], true));

    // One that does not listen, such as a command, tells as well.
    Broadcast::new(base.db("carts"), "test").tell(["d".to_owned()], false).await;
    assert_eq!(two.next().await, changed(&["d"], false));
    one.broadcast.tell((0..5_000).map(|n| n.to_string()), false).await;
    assert_eq!(two.next().await, News::ChangedEverything);

    two.stop.send_replace(true);
    two.task.await.unwrap();
    assert_eq!(two.news.recv().await, Some(News::Deaf));
}

#[tokio::test]
async fn what_is_told_at_once_goes_out_together() {
    let base = TestDb::new(&["cart"]).await;
    let (one, mut two) = (Pod::start(&base).await, Pod::start(&base).await);
    futures::future::join_all((0..300).map(|n| one.broadcast.tell([format!("{n:03}")], false))).await;
    let (mut keys, mut messages) = (Vec::new(), 0);
    while keys.len() < 300 {
        let News::Changed { keys: some, .. } = two.next().await else { panic!("only changes") };
        keys.extend(some);
        messages += 1;
    }
    keys.sort();
    assert_eq!(keys, (0..300).map(|n| format!("{n:03}")).collect::<Vec<_>>());
    assert!(messages < 20, "{messages}");
}

#[tokio::test]
async fn who_loses_the_connection_knows_and_listens_again() {
    let base = TestDb::new(&["cart"]).await;
    let (one, mut two) = (Pod::start(&base).await, Pod::start(&base).await);
    let owner = base.owner().await;
    owner
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR (query = '' AND application_name = 'eshopz-carts')", &[])
        .await
        .unwrap();
    assert_eq!(two.next().await, News::Deaf);
    assert_eq!(two.next().await, News::Listening);
    one.broadcast.tell(["a".to_owned()], false).await;
    assert_eq!(two.next().await, changed(&["a"], false));
}
