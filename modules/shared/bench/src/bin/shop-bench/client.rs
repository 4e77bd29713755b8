//! One connection, one request at a time, as cheap as it can be had: the load shares the machine with what it
//! measures.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::sleep;

pub struct Conn {
    sender: SendRequest<Full<Bytes>>,
    log: Option<Rc<Log>>,
}

/// What came of the requests of some connections. Those that note it here come again when they are told to.
#[derive(Debug, Default)]
pub struct Log {
    /// How long those took that went well.
    pub micros: RefCell<Vec<u64>>,
    /// Answers with 503, and those of them without `Retry-After`.
    pub refused: Cell<u64>,
    pub mute: Cell<u64>,
}

impl Log {
    /// What was until now does not count.
    pub fn forget(&self) {
        self.micros.borrow_mut().clear();
        self.refused.set(0);
        self.mute.set(0);
    }

    /// When to ask again.
    fn note(&self, reply: &Reply, began: Instant) -> Option<Duration> {
        if reply.status != 503 {
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.micros.borrow_mut().push(micros);
            return None;
        }
        self.refused.set(self.refused.get() + 1);
        if reply.retry_after.is_none() {
            self.mute.set(self.mute.get() + 1);
        }
        reply.retry_after
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
    pub retry_after: Option<Duration>,
}

impl Conn {
    /// To a port of this machine.
    pub async fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        drop(tokio::task::spawn_local(connection));
        Ok(Self { sender, log: None })
    }

    /// The same, which notes what comes of its requests.
    pub async fn noted(port: u16, log: &Rc<Log>) -> Result<Self, String> {
        Ok(Self { log: Some(log.clone()), ..Self::open(port).await? })
    }

    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: String) -> Result<Reply, String> {
        self.ask(Method::POST, path, headers, body).await
    }

    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Reply, String> {
        self.ask(Method::GET, path, headers, String::new()).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Reply, String> {
        let body = Bytes::from(body);
        loop {
            let began = Instant::now();
            let reply = self.once(&method, path, headers, body.clone()).await?;
            match self.log.as_ref().and_then(|log| log.note(&reply, began)) {
                Some(pause) => sleep(pause).await,
                None => return Ok(reply),
            }
        }
    }

    async fn once(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        self.sender.ready().await.map_err(|error| error.to_string())?;
        let response = self.sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Reply { status, body, retry_after: retry_after.map(Duration::from_secs) })
    }
}

impl Reply {
    /// The JSON of an answer with this status; anything else is wrong.
    pub fn expect<'a, T: serde::Deserialize<'a>>(&'a self, status: u16) -> Result<T, String> {
        let wrong = || format!("{} {}", self.status, String::from_utf8_lossy(&self.body));
        if self.status != status {
            return Err(wrong());
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("{error}: {}", wrong()))
    }
}
