//! The public listener with TLS: who it says that it is, what it speaks, and that nobody holds it up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Folder, Server, free_port, run, text};

/// A certificate for `localhost`, in files.
struct Files {
    folder: Folder,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new() -> Self {
        let folder = Folder::new();
        let certificate = Self::write(&folder.0);
        Self { folder, certificate }
    }

    fn write(folder: &Path) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    fn certificate(&self) -> PathBuf {
        self.folder.0.join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.0.join("tls.key")
    }

    async fn shop(&self) -> Server {
        let (certificate, key) = (self.certificate(), self.key());
        let files = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        Server::start(&files).await
    }
}

fn port(shop: &Server) -> u16 {
    shop.base.rsplit(':').next().unwrap().parse().unwrap()
}

/// A connection of somebody who trusts just this certificate.
async fn connect(
    port: u16,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

const NOW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const GET: &[u8] = b"GET /api/v1/categories HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Sends it for certain: TLS may keep what is written, and a read does not send that.
async fn send(stream: &mut TlsStream<TcpStream>, what: &[u8]) {
    stream.write_all(what).await.unwrap();
    stream.flush().await.unwrap();
}

async fn get(mut stream: TlsStream<TcpStream>) -> String {
    send(&mut stream, GET).await;
    let mut told = Vec::new();
    // Whether TLS is ended in good order does not matter here.
    let _ = stream.read_to_end(&mut told).await;
    String::from_utf8_lossy(&told).into_owned()
}

#[tokio::test]
async fn it_speaks_tls_and_nothing_else() {
    let files = Files::new();
    let shop = files.shop().await;
    let port = port(&shop);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(port, &files.certificate, &[version], &[]).await.unwrap();
        let answer = get(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nstrict-transport-security: max-age="), "{answer}");
    }
    let stream = connect(port, &files.certificate, NOW, &["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let other = Files::new();
    connect(port, &other.certificate, NOW, &[]).await.expect_err("it shows another certificate than it was given");

    let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    plain.write_all(GET).await.unwrap();
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told).await;
    assert!(!told.starts_with(b"HTTP/"), "it answers without TLS");
}

#[tokio::test]
async fn it_speaks_http_2() {
    let files = Files::new();
    let shop = files.shop().await;
    let stream = connect(port(&shop), &files.certificate, NOW, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let get = |path: &str| {
        let request = hyper::Request::get(format!("https://localhost{path}")).body(Empty::<Bytes>::new()).unwrap();
        let mut sender = sender.clone();
        async move {
            let answer = sender.send_request(request).await.unwrap();
            let (head, body) = answer.into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        }
    };
    let answers = join_all((0..100).map(|_| get("/api/v1/categories"))).await;
    for (head, body) in answers {
        assert_eq!((head.status.as_u16(), head.headers["x-frame-options"].as_bytes()), (200, &b"DENY"[..]));
        assert!(body.starts_with(b"{"));
    }
    // More than are served at once are told to come again, and the connection lives on.
    let crowd = join_all((0..600).map(|_| get("/api/v1/products"))).await;
    let refused: Vec<_> = crowd.iter().filter(|(head, _)| head.status.as_u16() != 200).collect();
    for (head, _) in &refused {
        assert_eq!((head.status.as_u16(), head.headers.contains_key("retry-after")), (503, true));
    }
    assert!(refused.len() < 500, "{} of 600 are refused", refused.len());
    assert_eq!(get("/api/v1/categories").await.0.status.as_u16(), 200);
}

/// How long a connection lasts whose client sends a byte each second, after what it sends at once.
async fn dribbled(port: u16, at_once: &[u8]) -> Duration {
    let began = Instant::now();
    let (mut reader, mut writer) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
    writer.write_all(at_once).await.unwrap();
    let dribbling = async {
        while writer.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut told = Vec::new();
    tokio::select! {
        () = dribbling => {}
        _ = reader.read_to_end(&mut told) => {}
        () = tokio::time::sleep(Duration::from_secs(40)) => panic!("it may stay for ever"),
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_his_time_holds_nobody_up() {
    let files = Files::new();
    let shop = files.shop().await;
    let port = port(&shop);
    // A handshake record that announces more than ever comes; and nothing at all.
    let handshakes = join_all((0..300).map(|_| dribbled(port, &[0x16, 0x03, 0x01, 0x02, 0x00])));
    // Through with the handshake, and then a head that does not end, or the begin of HTTP/2 and no more.
    let slow = |protocol: &'static str, beginning: &'static [u8]| {
        let certificate = files.certificate.clone();
        async move {
            let mut stream = connect(port, &certificate, NOW, &[protocol]).await.unwrap();
            send(&mut stream, beginning).await;
            let began = Instant::now();
            let mut told = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut told)).await;
            drop(ended.expect("it may stay for ever"));
            began.elapsed()
        }
    };
    let heads = join_all((0..20).map(|_| slow("http/1.1", b"GET / HTTP/1.1\r\nhost: ")));
    let prefaces = join_all((0..20).map(|_| slow("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let asked = Instant::now();
            let answer = get(connect(port, &files.certificate, NOW, &[]).await.unwrap()).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slowest
    };
    let (handshakes, heads, prefaces, slowest) = futures::join!(handshakes, heads, prefaces, others);
    assert!(slowest < Duration::from_secs(4), "others wait {slowest:?}");
    for (what, all) in [("a handshake", handshakes), ("a head", heads), ("a preface", prefaces)] {
        let longest = all.into_iter().max().unwrap();
        assert!(longest < Duration::from_secs(16), "{what} is waited for {longest:?}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_without_a_restart() {
    let files = Files::new();
    let shop = files.shop().await;
    let port = port(&shop);
    // What is no certificate changes nothing.
    std::fs::write(files.certificate(), "nonsense").unwrap();
    let began = Instant::now();
    while !shop.said().contains("the TLS certificate stays as it was") {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not notice: {}", shop.said());
        connect(port, &files.certificate, NOW, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewed = Files::write(&files.folder.0);
    let began = Instant::now();
    while connect(port, &renewed, NOW, &[]).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "it still shows the old one");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn wrong_files_are_one_line_before_a_port_is_bound() {
    let files = Files::new();
    let path = |name: &str| files.folder.0.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    std::fs::write(path("nonsense"), "s3cret nonsense").unwrap();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let listen = format!("127.0.0.1:{}", free_port());
    // Whoever bound the port before looking would fail by this.
    let _taken = std::net::TcpListener::bind(&listen).unwrap();
    for (arguments, words) in [
        (vec!["--tls-certificate", &certificate], "set both"),
        (vec!["--tls-key", &key], "set both"),
        (vec!["--tls-certificate", &certificate, "--tls-key", &path("missing")], "cannot read"),
        (vec!["--tls-certificate", &path("nonsense"), "--tls-key", &key], "there is no certificate in"),
        (vec!["--tls-certificate", &certificate, "--tls-key", &path("nonsense")], "there is no private key in"),
        (vec!["--tls-certificate", &certificate, "--tls-key", &path("other.key")], "are no pair"),
        (vec!["--cors-origins", "*"], "name each origin"),
        (vec!["--trusted-proxies", "proxy.example"], "is no address and no network"),
    ] {
        let all = [vec!["serve", "--listen", &listen], arguments].concat();
        let refused = run("postgres://nobody@127.0.0.1:9/none", &all, "");
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{all:?}: {said}");
        assert!(said.contains(words) && !said.contains("s3cret"), "{all:?}: {said}");
    }
}
