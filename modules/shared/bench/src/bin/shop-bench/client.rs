//! One connection, one request at a time, as cheap as it can be had: the load shares the machine with what it
//! measures.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub struct Conn {
    sender: SendRequest<Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Conn {
    /// To a port of this machine.
    pub async fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        drop(tokio::task::spawn_local(connection));
        Ok(Self { sender })
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
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Reply { status, body })
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
