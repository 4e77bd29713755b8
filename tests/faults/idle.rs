//! Clients that send a byte now and then, or nothing: they are shown out, and the others do not notice.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::order;
use crate::support::{Deployment, Folder, MODULES, Plan, Process, Shop, Topology, eshopz, free_port};
use crate::topologies::slot;

/// Whoever dribbles is shown out within this time.
const SHOWN_OUT: Duration = Duration::from_secs(16);

/// What a client that dribbles is told, and after how long its connection ended.
struct Dribbled {
    told: String,
    took: Duration,
}

/// Sends a beginning at once, reads the answer if it is whole, and then a byte of the rest each second.
async fn dribble(port: u16, beginning: &[u8], reads: bool, rest: &[u8]) -> Dribbled {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(beginning).await.unwrap();
    let mut buffer = [0; 4096];
    if reads {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
    let (mut reader, mut writer) = stream.into_split();
    let began = Instant::now();
    let mut told = Vec::new();
    let dribbling = async {
        for byte in rest {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = dribbling => {}
        // A reset ends it as well.
        _ = reader.read_to_end(&mut told) => {}
        () = tokio::time::sleep(Duration::from_secs(40)) => panic!("it may stay for ever"),
    }
    Dribbled { told: String::from_utf8_lossy(&told).into_owned(), took: began.elapsed() }
}

/// The slowest of the answers that people get who come again and again for so long, each over a connection of
/// their own.
async fn slowest(shop: &Shop, for_so_long: Duration) -> Duration {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(SHOWN_OUT).build().unwrap();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < for_so_long {
        let asked = Instant::now();
        let answer = client.get(format!("{}/api/v1/products?limit=5", shop.base)).send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap_or_default());
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_a_second_is_not_waited_for() {
    let _slot = slot().await;
    let deployment = Deployment::start(Plan::of(Topology::combined())).await;
    let (shop, port) = (&deployment.shop, deployment.processes[0].port);
    let (cart, token) = shop.guest_cart(&[]).await;
    let head =
        b"GET /api/v1/products?limit=1 HTTP/1.1\r\nhost: shop\r\nx-padding: 0123456789012345678901234567890\r\n\r\n";
    let body = order(&cart, "pm_card_visa").to_string();
    let of_order = format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-cart-token: {token}\r\nidempotency-key: one\r\n\r\n",
        body.len()
    );
    // What is taken in while it comes has a thread besides.
    let admin = shop.admin().await;
    let file = "Handle,Title,Variant Price\nslow-shirt,Slow Shirt,1.00\n".repeat(2);
    let of_import = format!(
        "POST /api/v1/products/import HTTP/1.1\r\nhost: shop\r\ncontent-type: text/csv\r\ncontent-length: {}\r\n\
         authorization: {admin}\r\n\r\n",
        file.len()
    );
    let imports = join_all((0..20).map(|_| dribble(port, of_import.as_bytes(), false, file.as_bytes())));
    let first_heads = join_all((0..20).map(|_| dribble(port, b"", false, head)));
    // actix times the first head of a connection only.
    let later_heads = join_all((0..20).map(|_| dribble(port, head, true, head)));
    let one_byte_more = join_all((0..20).map(|_| dribble(port, head, true, b"G")));
    let bodies = join_all((0..20).map(|_| dribble(port, of_order.as_bytes(), false, body.as_bytes())));
    let others = slowest(shop, SHOWN_OUT);
    let (first_heads, later_heads, one_byte_more, bodies, imports, others) =
        futures::join!(first_heads, later_heads, one_byte_more, bodies, imports, others);
    for (what, all, status) in [
        ("a first head", first_heads, "HTTP/1.1 408"),
        ("a later head", later_heads, ""),
        ("a head that stops", one_byte_more, ""),
        ("a body", bodies, "HTTP/1.1 408"),
        ("an import", imports, "HTTP/1.1 408"),
    ] {
        for Dribbled { told, took } in all {
            assert!(took < SHOWN_OUT, "{what} is waited for {took:?}");
            assert!(told.starts_with(status), "{what}: {told}");
        }
    }
    // Far less than to wait for one of those who dribble.
    assert!(others < Duration::from_secs(4), "others wait {others:?}");
}

/// One process that may have few open files.
struct Frugal {
    process: Process,
    shop: Shop,
    _folder: Folder,
}

impl Frugal {
    async fn start(files: u32) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let db = eshopz_testkit::db::TestDb::new(&MODULES).await;
        let (url, data) = (db.url.clone(), folder.0.clone());
        let make = move || {
            let program = eshopz(&url, &[]);
            let mut command = std::process::Command::new("prlimit");
            command.arg(format!("--nofile={files}:{files}")).arg(program.get_program());
            command.args(["serve", "--workers", "2", "--listen", &format!("127.0.0.1:{port}")]);
            for (name, value) in program.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.env("ESHOPZ_DATA_DIR", &data);
            command
        };
        let mut process = Process::spawn("a frugal shop", port, folder.0.join("eshopz.log"), Box::new(make));
        process.wait_until_ready().await;
        let shop = Shop::new(process.public(), db, folder.0.join("mail"), 1);
        Self { process, shop, _folder: folder }
    }
}

/// Four hundred that begin like this and then say no more, and somebody who means it.
async fn make_room(beginning: &[u8]) {
    let _slot = slot().await;
    let frugal = Frugal::start(300).await;
    let (shop, port) = (&frugal.shop, frugal.process.port);
    let crowd = async {
        let mut idle = Vec::new();
        for _ in 0..400 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            idle.push(stream);
            // There is room for some sixty: whoever means to ask has a while to begin.
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        let open = frugal.process.metric(&["eshopz_http_connections"]).await;
        // Each of them ends by the other side.
        let ended = idle.iter_mut().map(|stream| async {
            let mut told = Vec::new();
            tokio::time::timeout(SHOWN_OUT, stream.read_to_end(&mut told)).await.expect("it may stay for ever")
        });
        drop(join_all(ended).await);
        open
    };
    let (open, slowest) = futures::join!(crowd, slowest(shop, Duration::from_secs(8)));
    assert!((1.0..=80.0).contains(&open), "{open} connections with 300 files");
    assert!(slowest < Duration::from_secs(4), "others wait {slowest:?}");
    // And the shop sells as ever.
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    assert_eq!(shop.guest_order(&shirt, 1, Some("pm_card_visa")).await["status"], "paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_say_nothing_make_room() {
    make_room(b"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_keep_their_bodies_back_make_room() {
    make_room(
        b"POST /api/v1/carts HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    )
    .await;
}
