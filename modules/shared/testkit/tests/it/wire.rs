//! Calls between processes, over real connections: what arrives, what is repeated, how long it takes at
//! most, and what a stop does to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use eshopz_kernel::{Fault, FieldError};
use eshopz_platform::context::{self, RequestContext};
use eshopz_platform::http::middleware::request_context;
use eshopz_platform::wire::{Gate, Methods, Neighbour, NeighbourConfig, ServiceKeys, Tuning, guard, unknown};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::TcpStream;

#[path = "wire/silence.rs"]
mod silence;

fn keys() -> ServiceKeys {
    ServiceKeys::new(vec!["a secret of these tests".to_owned()]).unwrap()
}

/// The context of a call, as it came in.
struct Seen {
    request_id: String,
    traceparent: Option<String>,
    left: Option<Duration>,
}

/// The module that is called.
#[derive(Default)]
struct Desk {
    begun: AtomicUsize,
    ended: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

impl Desk {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Does not return for whoever comes first.
    async fn stall(&self) -> Result<(), Fault> {
        match self.begun.fetch_add(1, Ordering::SeqCst) {
            0 => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn sleep(&self, millis: u64) -> Result<u64, Fault> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let left = context::deadline().map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
        let (request_id, traceparent) = (context::current_request_id(), context::current_traceparent());
        self.seen.lock().unwrap().push(Seen { request_id, traceparent, left });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(millis)
    }

    fn methods(self: &Arc<Self>) -> Methods {
        Methods::of("desk")
            .method("sleep", self, |desk, millis: u64| async move { desk.sleep(millis).await })
            .method("stall", self, |desk, (): ()| async move { desk.stall().await })
            .method("echo", self, |_, text: String| async move { Ok(text) })
            .method("refuse", self, |_, (): ()| async move { Err::<(), _>(refusal()) })
            .method("break", self, |_, (): ()| async move { Err::<(), _>(Fault::internal("the innermost secret")) })
    }
}

fn refusal() -> Fault {
    let mut fault = Fault::conflict("out_of_ink", "There is no ink left — 墨.")
        .with("lines", [1, 2])
        .with("available", i64::MAX)
        .caused_by("not for you");
    fault.errors = vec![FieldError { field: "/pens/0".into(), code: "range".into(), message: "at most 3".into() }];
    fault.retry_after = Some(7);
    fault
}

/// A process that serves the desk.
struct Peer {
    address: SocketAddr,
    desk: Arc<Desk>,
    gate: Gate,
    handle: ServerHandle,
    connections: Arc<AtomicUsize>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn peer(keys: ServiceKeys) -> Peer {
    peer_on(keys, "127.0.0.1:0".parse().unwrap())
}

fn peer_on(keys: ServiceKeys, address: SocketAddr) -> Peer {
    let (desk, gate, connections) = (Arc::new(Desk::default()), Gate::new(keys), Arc::new(AtomicUsize::new(0)));
    let (served, data, counted) = (desk.clone(), web::Data::new(gate.clone()), connections.clone());
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(guard))
            .wrap(from_fn(request_context))
            .app_data(data.clone())
            .service(served.methods().into_scope())
            .default_service(web::to(unknown))
    })
    .workers(2)
    .disable_signals()
    .on_connect(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    })
    .bind_auto_h2c(address)
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Peer { address, desk, gate, handle, connections }
}

fn neighbour(address: SocketAddr, tuning: Tuning) -> Neighbour {
    Neighbour::new(NeighbourConfig {
        module: "desk",
        caller: "test".to_owned(),
        url: format!("http://{address}"),
        keys: keys(),
        tuning,
    })
    .unwrap()
}

/// A server that hangs up on whoever has said something; the number of those.
async fn rude() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = socket.read(&mut [0; 1_024]).await;
        }
    });
    (address, count)
}

async fn code_of<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Fault>>) -> (String, Duration) {
    let started = Instant::now();
    let fault = call.await.unwrap_err();
    (fault.code.into_owned(), started.elapsed())
}

#[tokio::test]
async fn results_and_faults_arrive_as_they_left() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning::default());
    let long = "ж".repeat(3_000_000);
    for text in ["", "héllo\u{0}\n\"", "🛒", &long] {
        assert_eq!(desk.read::<_, String>("echo", text).await.unwrap(), text);
    }
    let fault = desk.write::<_, ()>("refuse", &()).await.unwrap_err();
    let sent = refusal();
    assert_eq!((fault.kind, &fault.code, &fault.message), (sent.kind, &sent.code, &sent.message));
    assert_eq!((fault.errors, fault.details, fault.retry_after), (sent.errors, sent.details, sent.retry_after));
    let fault = desk.read::<_, ()>("break", &()).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.to_string().contains("innermost")), ("internal", false));
}

#[tokio::test]
async fn the_context_goes_along() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning::default());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let context = RequestContext {
        request_id: "asked-1".to_owned(),
        traceparent: Some(trace.clone()),
        deadline: Some(tokio::time::Instant::now() + Duration::from_secs(3)),
        ..RequestContext::default()
    };
    context.scope(desk.read::<_, u64>("sleep", &0)).await.unwrap();
    desk.write::<_, u64>("sleep", &0).await.unwrap();
    let seen = peer.desk.seen.lock().unwrap();
    assert_eq!((seen[0].request_id.as_str(), &seen[0].traceparent), ("asked-1", &Some(trace)));
    assert!((2..3).contains(&seen[0].left.unwrap().as_secs()), "the caller's: {:?}", seen[0].left);
    assert!((9..10).contains(&seen[1].left.unwrap().as_secs()), "that of a write: {:?}", seen[1].left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_share_one_connection() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning { connections: 1, ..Tuning::default() });
    // Of several first calls at once two may connect; whoever comes later finds a connection.
    desk.read::<_, u64>("sleep", &1).await.unwrap();
    // As actix's workers: each a thread with a runtime of its own, which ends.
    for _ in 0..3 {
        let desk = desk.clone();
        let worker = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let calls = (0..100).map(|_| desk.read::<_, u64>("sleep", &1));
                for result in futures::future::join_all(calls).await {
                    result.unwrap();
                }
            });
        });
        worker.await.unwrap();
    }
    assert_eq!(peer.desk.begun(), 301);
    assert_eq!(peer.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_enters_without_a_token() {
    let peer = peer(keys());
    let foreign = ServiceKeys::new(vec!["another".to_owned()]).unwrap();
    let client = reqwest::Client::new();
    for token in [String::new(), foreign.token("x", "desk").unwrap(), keys().token("x", "product").unwrap()] {
        for path in ["/internal/v1/desk/echo", "/internal/v1/desk/none", "/internal/v1", "/", "/api/v1/products"] {
            for method in [reqwest::Method::GET, reqwest::Method::POST] {
                let url = format!("http://{}{path}", peer.address);
                let response = client.request(method, url).bearer_auth(&token).body("\"x\"").send().await.unwrap();
                assert_eq!(response.status(), 401, "{path}");
                assert_eq!(response.headers()["content-type"], "application/problem+json");
                assert!(response.text().await.unwrap().contains("service_token_invalid"));
            }
        }
    }
    // A good one opens its module, and nothing else.
    for (path, status) in
        [("/internal/v1/desk/echo", 200), ("/internal/v1/desk/none", 503), ("/internal/v1/product/x", 401)]
    {
        let url = format!("http://{}{path}", peer.address);
        let token = keys().token("x", "desk").unwrap();
        let response = client.post(url).bearer_auth(token).body("\"x\"").send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_refused_token_is_not_the_consumers_401() {
    let peer = peer(ServiceKeys::new(vec!["another".to_owned()]).unwrap());
    let desk = neighbour(peer.address, Tuning::default());
    let fault = desk.read::<_, String>("echo", "x").await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.retry_after), ("unavailable", Some(1)));
    assert!(fault.message.contains("desk service"));
}

#[tokio::test]
async fn a_method_that_is_not_there_is_no_outage() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning { breaker_failures: 1, ..Tuning::default() });
    assert_eq!(code_of(desk.read::<_, ()>("of_tomorrow", &())).await.0, "unavailable");
    assert_eq!(desk.read::<_, String>("echo", "x").await.unwrap(), "x");
}

#[tokio::test]
async fn a_deadline_ends_the_work_and_the_wait() {
    let peer = peer(keys());
    let desk = neighbour(peer.address, Tuning::default());
    let within = |millis| RequestContext {
        deadline: Some(tokio::time::Instant::now() + Duration::from_millis(millis)),
        ..RequestContext::default()
    };
    let (code, took) = code_of(within(300).scope(desk.write::<_, u64>("sleep", &60_000))).await;
    assert_eq!(code, "unavailable");
    assert!((250..2_000).contains(&took.as_millis()), "{took:?}");
    assert_eq!((peer.desk.begun(), peer.desk.ended.load(Ordering::SeqCst)), (1, 0));
    let (code, _) = code_of(within(0).scope(desk.read::<_, u64>("sleep", &0))).await;
    assert_eq!((code.as_str(), peer.desk.begun()), ("unavailable", 1), "too late to be worth a call");
    assert_eq!(within(5_000).scope(desk.read::<_, u64>("sleep", &1)).await.unwrap(), 1);
    // Its module answered about the time by itself, within it: the breaker heard no failure.
    assert_eq!(desk.read::<_, u64>("sleep", &1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_neighbour_that_hangs_is_not_waited_for_longer_than_allowed() {
    // The kernel takes connections; nobody ever reads them.
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let tuning = Tuning { read: Duration::from_millis(300), write: Duration::from_millis(400), ..Tuning::default() };
    let desk = neighbour(hung.local_addr().unwrap(), tuning);
    let (code, took) = code_of(desk.read::<_, u64>("sleep", &0)).await;
    assert_eq!(code, "unavailable");
    assert!((280..2_000).contains(&took.as_millis()), "{took:?}");
    let (code, took) = code_of(desk.write::<_, u64>("sleep", &0)).await;
    assert_eq!(code, "unavailable");
    assert!((380..2_000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn reads_are_tried_twice_and_writes_once() {
    let (address, tries) = rude().await;
    let desk = neighbour(address, Tuning { breaker_failures: 100, ..Tuning::default() });
    assert_eq!(code_of(desk.read::<_, ()>("sleep", &0)).await.0, "unavailable");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    assert_eq!(code_of(desk.write::<_, ()>("sleep", &0)).await.0, "unavailable");
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_answer_of_something_on_the_way_is_tried_again_and_a_fault_is_not() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = HttpServer::new(move || {
        let counted = counted.clone();
        App::new().default_service(web::to(move || {
            let turn = counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(match turn {
                0 => HttpResponse::ServiceUnavailable().body("<html>proxy</html>"),
                1 => HttpResponse::Ok().json("there"),
                _ => HttpResponse::Conflict().insert_header(("x-eshopz-fault", "1")).json(Fault::conflict("no", "No.")),
            })
        }))
    })
    .workers(1)
    .disable_signals()
    .bind_auto_h2c("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let desk = neighbour(address, Tuning::default());
    assert_eq!(desk.read::<_, String>("echo", "x").await.unwrap(), "there");
    assert_eq!(code_of(desk.read::<_, String>("echo", "x")).await.0, "no");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    handle.stop(false).await;
}

#[tokio::test]
async fn a_neighbour_that_is_down_is_left_alone_until_it_is_back() {
    let (address, tries) = rude().await;
    let desk = neighbour(address, Tuning::default());
    for _ in 0..20 {
        code_of(desk.write::<_, ()>("sleep", &0)).await;
    }
    assert_eq!(tries.load(Ordering::SeqCst), 5, "the breaker opens after five");
    let (code, took) = code_of(desk.read::<_, ()>("sleep", &0)).await;
    assert!(code == "unavailable" && took < Duration::from_millis(200), "{took:?}");

    // One that comes back by itself.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let desk = neighbour(free, Tuning::default());
    for _ in 0..20 {
        code_of(desk.read::<_, ()>("echo", "x")).await;
    }
    let peer = peer_on(keys(), free);
    let started = Instant::now();
    while desk.read::<_, String>("echo", "x").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "it was never asked again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..50 {
        desk.write::<_, String>("echo", "x").await.unwrap();
    }
    drop(peer);
}

/// A name behind which processes come and go: what connects is led to the present one.
async fn switchboard(first: SocketAddr) -> (SocketAddr, Arc<Mutex<SocketAddr>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, target) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(first)));
    let leads_to = target.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let target = *leads_to.lock().unwrap();
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut socket, &mut onward).await;
            });
        }
    });
    (address, target)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_change_under_load_without_a_failed_or_doubled_call() {
    let mut old = peer(keys());
    let (address, target) = switchboard(old.address).await;
    let desk = neighbour(address, Tuning::default());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (desk, stopped) = (desk.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while !*stopped.borrow() {
                    desk.write::<_, u64>("sleep", &2).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut served = 0;
    for turn in 0..4 {
        let new = peer(keys());
        *target.lock().unwrap() = new.address;
        // With and without a time in which peers can go by themselves.
        if turn % 2 == 0 {
            old.gate.leave();
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
        assert_eq!(old.gate.shut(Duration::from_secs(10)).await, 0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        old.handle.stop(false).await;
        assert_eq!(old.desk.begun(), old.desk.ended.load(Ordering::SeqCst), "nothing was cut");
        served += old.desk.begun();
        while new.desk.begun() < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        old = new;
    }
    stop.send(true).unwrap();
    let mut done = 0;
    for caller in callers {
        done += caller.await.unwrap();
    }
    assert_eq!(served + old.desk.begun(), done, "each call once");
}
