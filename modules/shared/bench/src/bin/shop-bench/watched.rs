//! What it costs to be watched: checkouts with metrics, logs and one trace in twenty, and without any of them.
//!
//! The two shops take turns, each by itself, on the same database. Whoever watches is on this machine as well: somebody who
//! asks for the metrics, and somebody who takes the spans.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::client::Conn;
use crate::load::{Figures, drive};
use crate::machine::{MANAGEMENT, Machine, Mode};
use crate::setup::Stock;
use crate::table::{median, medians};
use crate::work::{Ports, Work};

const CONNECTIONS: usize = 16;
/// What of its checkouts must be left to a shop that is watched.
const MUST: f64 = 0.95;
const WARM_UP: Duration = Duration::from_secs(1);
/// Prometheus asks less often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A collector of spans that takes all, and throws them away.
struct Collector {
    port: u16,
    bytes: Rc<Cell<usize>>,
    /// It ends with this.
    _serving: JoinSet<()>,
}

/// Whether a watched shop does what it must, and the figures.
pub async fn measure(
    machine: &mut Machine,
    stock: &Stock,
    (rounds, length): (usize, Duration),
    progress: impl Fn(&str),
) -> Result<(bool, Value), String> {
    let collector = Collector::start().await?;
    let otlp = format!("http://127.0.0.1:{}", collector.port);
    let watched = [("ESHOPZ_MEASURING", "on"), ("ESHOPZ_OTLP_URL", otlp.as_str()), ("ESHOPZ_TRACE_SAMPLE", "0.05")];
    let alone = [("ESHOPZ_MEASURING", "off"), ("RUST_LOG", "off")];
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        progress(&format!("round {} of {rounds}", round + 1));
        // Neither always comes first.
        for is_watched in [round % 2 == 0, round % 2 != 0] {
            if is_watched {
                with.push(once(machine, stock, &watched, length).await?);
            } else {
                without.push(once(machine, stock, &alone, length).await?);
            }
        }
    }
    if collector.bytes.get() == 0 {
        return Err("no span has come".to_owned());
    }
    let ratio = median(with.iter().zip(&without).map(|(with, without)| with.per_second / without.per_second).collect());
    let (with, without) = (medians(&with), medians(&without));
    println!("{:<24} {:>12} {:>9} {:>9}", "whole guest checkout", "checkouts/s", "p50 ms", "p99 ms");
    for (name, Figures { per_second, p50_ms, p99_ms }) in [("watched", with), ("not watched", without)] {
        println!("{name:<24} {per_second:>12.0} {p50_ms:>9.2} {p99_ms:>9.2}");
    }
    let mark = if ratio < MUST { "  BELOW" } else { "" };
    println!("{:<24} {ratio:>12.3} {:>9} {MUST:.2}{mark}", "ratio", "must");
    let figures = json!({"watched": with.json(), "not_watched": without.json(), "ratio": ratio, "must": MUST,
        "connections": CONNECTIONS, "rounds": rounds, "seconds": length.as_secs()});
    Ok((ratio >= MUST, json!({"watched": figures})))
}

/// Checkouts for so long, of a shop that is started for them.
async fn once(
    machine: &mut Machine,
    stock: &Stock,
    settings: &[(&str, &str)],
    length: Duration,
) -> Result<Figures, String> {
    let (shop, _) = machine.shop_with(Mode::Hot, settings).await?;
    let work = Work::Checkout(Ports::all(shop.port), stock.shelf.clone());
    drive(&work, CONNECTIONS, WARM_UP).await?;
    tokio::select! {
        figures = drive(&work, CONNECTIONS, length) => figures,
        error = look(shop.port + MANAGEMENT) => Err(error),
    }
}

/// Reads the metrics now and then, until they cannot be had.
async fn look(port: u16) -> String {
    loop {
        let read = async { Conn::open(port).await?.get("/metrics", &[]).await };
        match read.await {
            Ok(reply) if reply.status == 200 => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(reply) => return format!("/metrics: {}", reply.status),
            Err(error) => return format!("/metrics: {error}"),
        }
    }
}

impl Collector {
    async fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let bytes = Rc::new(Cell::new(0));
        let mut serving = JoinSet::new();
        let taken = bytes.clone();
        serving.spawn_local(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                clients.spawn_local(take(client, taken.clone()));
            }
        });
        Ok(Self { port, bytes, _serving: serving })
    }
}

/// Answers each request of a client when it has come whole.
async fn take(mut client: TcpStream, taken: Rc<Cell<usize>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            match whole(&buffer) {
                Some(end) if buffer.len() >= end => break end,
                _ => {
                    if client.read_buf(&mut buffer).await.ok()? == 0 {
                        return None;
                    }
                }
            }
        };
        buffer.drain(..end);
        taken.set(taken.get() + end);
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

/// How long the request at the beginning is, once its head is there.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(buffer.get(..head)?).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + 4 + length.trim().parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_request_has_an_end() {
        assert_eq!(whole(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 3\r\n"), None);
        assert_eq!(whole(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 3\r\n\r\n"), Some(50));
    }
}
