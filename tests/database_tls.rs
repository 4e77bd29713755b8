//! PostgreSQL by TLS: encrypted where that is asked for, and then with nobody else than whom the shop trusts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eshopz_testkit::postgres::Postgres;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

use crate::support::{Folder, MODULES, Process, eshopz, free_port, text};

/// What a client begins with that wants TLS: a length, and a number that is no version of the protocol
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `SSLRequest`).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A server that speaks TLS as `localhost`: a PostgreSQL, which has no port, behind somebody who does that for it, as a
/// pooler would.
struct Server {
    postgres: Postgres,
    folder: Folder,
    port: u16,
    came: Arc<Came>,
}

/// How many connected.
#[derive(Default)]
struct Came {
    encrypted: AtomicUsize,
    plainly: AtomicUsize,
}

impl Server {
    async fn start() -> Self {
        let folder = Folder::new();
        let postgres = Postgres::start(&folder.0).await.unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.0.join("ca.crt"), cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = versions.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), came: Arc::default(), postgres, folder };
        let (acceptor, socket, came) = (TlsAcceptor::from(Arc::new(config)), server.socket(), Arc::clone(&server.came));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, acceptor.clone(), socket.clone(), Arc::clone(&came)));
            }
        });
        server
    }

    fn config(&self) -> tokio_postgres::Config {
        self.postgres.url().parse().unwrap()
    }

    /// Where the PostgreSQL listens.
    fn socket(&self) -> PathBuf {
        let config = self.config();
        let Some(Host::Unix(folder)) = config.get_hosts().first() else { panic!("it listens at a port") };
        folder.join(format!(".s.PGSQL.{}", config.get_ports().first().unwrap_or(&5432)))
    }

    fn url(&self, host: &str, more: &str) -> String {
        let config = self.config();
        let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        format!("postgres://{user}@{host}:{}/{name}?connect_timeout=5{more}", self.port)
    }

    fn ca_file(&self) -> String {
        self.folder.0.join("ca.crt").display().to_string()
    }
}

/// A client's way to the PostgreSQL. Nobody cares how it ends.
async fn pass(mut client: TcpStream, acceptor: TlsAcceptor, socket: PathBuf, came: Arc<Came>) -> std::io::Result<()> {
    let mut server = UnixStream::connect(socket).await?;
    let mut begin = [0; 8];
    client.read_exact(&mut begin).await?;
    if begin == SSL_REQUEST {
        client.write_all(b"S").await?;
        let mut client = acceptor.accept(client).await?;
        came.encrypted.fetch_add(1, Ordering::Relaxed);
        copy_bidirectional(&mut client, &mut server).await?;
    } else {
        came.plainly.fetch_add(1, Ordering::Relaxed);
        server.write_all(&begin).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

/// Exit code and what was said.
async fn migrate(url: String, ca_file: Option<String>) -> (i32, String) {
    let run = move || {
        let mut command = eshopz(&url, &["migrate", "up"]);
        if let Some(file) = ca_file {
            command.env("ESHOPZ_DATABASE_CA_FILE", file);
        }
        command.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    (output.status.code().unwrap(), text(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_spoken_to_where_tls_is_asked_for() {
    let server = Server::start().await;
    let ca = || Some(server.ca_file());
    // Nobody has signed it whom the system trusts.
    for mode in ["require", "verify-full"] {
        let (code, said) = migrate(server.url("localhost", &format!("&sslmode={mode}")), None).await;
        assert!(code == 1 && said.contains("UnknownIssuer"), "{said}");
    }
    // It is for somebody of another name.
    let (code, said) = migrate(server.url("127.0.0.1", "&sslmode=require"), ca()).await;
    assert!(code == 1 && said.contains("not valid for name"), "{said}");
    let nothing = server.folder.0.join("nothing.crt").display().to_string();
    std::fs::write(&nothing, "no certificate").unwrap();
    for file in [nothing, "/no/such/file".to_owned()] {
        let (code, said) = migrate(server.url("localhost", ""), Some(file.clone())).await;
        assert!(code == 2 && said.contains("ESHOPZ_DATABASE_CA_FILE") && said.contains(&file), "{said}");
    }
    let (code, said) = migrate(server.url("localhost", "&sslmode=require"), ca()).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_to_trust_all_is_encrypted() {
    let server = Server::start().await;
    assert_eq!(migrate(server.url("localhost", ""), Some(server.ca_file())).await.0, 0);
    let (port, url, ca) = (free_port(), server.url("localhost", ""), server.ca_file());
    let data = server.folder.0.clone();
    let make = move || {
        let mut command = eshopz(&url, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.env("ESHOPZ_DATABASE_CA_FILE", &ca).env("ESHOPZ_DATA_DIR", &data);
        command
    };
    let log = server.folder.0.join("shop.log");
    let mut process = Process::spawn("a shop by TLS", port, log, Box::new(make));
    process.wait_until_ready().await;
    let answer = reqwest::get(format!("{}/api/v1/products", process.public())).await.unwrap();
    assert_eq!(answer.status(), 200);
    let (encrypted, plainly) = (&server.came.encrypted, &server.came.plainly);
    assert!(encrypted.load(Ordering::Relaxed) >= MODULES.len());
    assert_eq!(plainly.load(Ordering::Relaxed), 0);
    // Who says no is not asked again.
    assert_eq!(migrate(server.url("localhost", "&sslmode=disable"), Some(server.ca_file())).await.0, 0);
    assert_eq!(plainly.load(Ordering::Relaxed), 1);
}
