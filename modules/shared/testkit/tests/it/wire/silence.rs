//! Neighbours that say nothing: hung, vanished without a word, or only slow.

use eshopz_platform::wire::is_away;
use tokio::sync::watch;

use super::*;

/// A name behind which the first machine can vanish: what leads to it is held open, and carries nothing any more.
/// What connects afterwards is led to the second.
async fn failover(first: SocketAddr, second: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (vanish, vanished) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut vanished = vanished.clone();
            tokio::spawn(async move {
                let over = *vanished.borrow();
                let mut onward = TcpStream::connect(if over { second } else { first }).await.unwrap();
                let vanishes = async {
                    if over || vanished.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut socket, &mut onward) => return,
                    () = vanishes => {}
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (address, vanish)
}

fn within(read: Duration) -> Tuning {
    Tuning { read, connections: 1, ..Tuning::default() }
}

#[tokio::test]
async fn a_read_is_answered_by_another_process_when_the_first_has_vanished() {
    let (first, second) = (peer(keys()), peer(keys()));
    let (address, vanish) = failover(first.address, second.address).await;
    // Less than it takes until the connection itself is given up.
    let desk = neighbour(address, within(Duration::from_secs(3)));
    assert_eq!(desk.read::<_, u64>("sleep", &1).await.unwrap(), 1);
    vanish.send(true).unwrap();
    let started = Instant::now();
    assert_eq!(desk.read::<_, u64>("sleep", &2).await.unwrap(), 2);
    assert!(started.elapsed() < Duration::from_millis(2_700), "{:?}", started.elapsed());
    assert_eq!((first.desk.begun(), second.desk.begun()), (1, 1));
    let started = Instant::now();
    assert_eq!(desk.read::<_, u64>("sleep", &3).await.unwrap(), 3);
    assert!(started.elapsed() < Duration::from_secs(1), "nobody waits for it again: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_read_that_hangs_is_asked_again_and_one_that_is_slow_is_not_lost() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, within(Duration::from_secs(4)));
    desk.read::<_, ()>("stall", &()).await.unwrap();
    assert_eq!(peer.desk.begun(), 2);
    // Both are as slow, and the first is answered first.
    assert_eq!(desk.read::<_, u64>("sleep", &2_700).await.unwrap(), 2_700);
    assert_eq!(peer.desk.begun(), 4);
    // What may take long is left in peace, and so is what is in a hurry.
    assert_eq!(desk.read_within::<_, u64>("sleep", &2_200, Duration::from_secs(4)).await.unwrap(), 2_200);
    assert_eq!(desk.write::<_, u64>("sleep", &1).await.unwrap(), 1);
    let hurried = neighbour(peer.address, within(Duration::from_millis(1_900)));
    assert_eq!(hurried.read::<_, u64>("sleep", &1_000).await.unwrap(), 1_000);
    assert_eq!(peer.desk.begun(), 7);
}

#[tokio::test]
async fn a_neighbour_that_has_vanished_is_noticed_long_before_a_patient_call_ends() {
    let (first, second) = (peer(keys()), peer(keys()));
    let (address, vanish) = failover(first.address, second.address).await;
    let desk = neighbour(address, Tuning { connections: 1, ..Tuning::default() });
    desk.write::<_, u64>("sleep", &1).await.unwrap();
    vanish.send(true).unwrap();
    let started = Instant::now();
    let fault = desk.write::<_, u64>("sleep", &2).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    assert!(is_away(&fault), "{fault}");
    assert_eq!(second.desk.begun(), 0, "it may have been done");
}

#[tokio::test]
async fn a_request_waits_for_a_hung_neighbour_once() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let desk = neighbour(hung.local_addr().unwrap(), within(Duration::from_millis(2_200)));
    let calls = async {
        let (_, first) = code_of(desk.read::<_, u64>("sleep", &0)).await;
        let (_, second) = code_of(desk.read::<_, u64>("sleep", &0)).await;
        (first, second)
    };
    let (first, second) = RequestContext::default().scope(calls).await;
    assert!((2_000..4_000).contains(&first.as_millis()), "both attempts had their time: {first:?}");
    assert!(second < Duration::from_millis(500), "{second:?}");
}

#[tokio::test]
async fn who_is_away_is_told_from_who_says_no() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = neighbour(free, Tuning { breaker_failures: 2, ..Tuning::default() });
    for why in ["refused", "left alone"] {
        assert!(is_away(&nobody.read::<_, ()>("echo", "x").await.unwrap_err()), "{why}");
    }
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let hung = neighbour(hung.local_addr().unwrap(), Tuning { write: Duration::from_millis(200), ..Tuning::default() });
    assert!(is_away(&hung.write::<_, ()>("echo", "x").await.unwrap_err()));

    // The call may have been what broke it.
    let (rude, _) = rude().await;
    assert!(!is_away(&neighbour(rude, Tuning::default()).read::<_, ()>("echo", "x").await.unwrap_err()));
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning::default());
    assert!(!is_away(&desk.read::<_, ()>("of_tomorrow", &()).await.unwrap_err()));
    assert!(!is_away(&desk.read::<_, ()>("break", &()).await.unwrap_err()));
}
