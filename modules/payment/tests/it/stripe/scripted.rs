//! A real HTTP server that plays the faults of Stripe that no stand-in has: it answers what the test wrote
//! down, one line of the script for each request, and keeps what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Line {
    Answer(u16, Value),
    AnswerWith(u16, &'static str, Value),
    /// An answer that is no JSON.
    Garbage(u16),
    /// The connection breaks after the request has come in.
    Reset,
    /// Nothing ever comes back.
    Hang,
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Such as `POST /v1/refunds`.
    pub line: String,
    /// In small letters.
    pub headers: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
}

impl Asked {
    pub fn key(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Play {
    script: Mutex<VecDeque<Line>>,
    asked: Mutex<Vec<Asked>>,
}

/// A running server.
pub struct Scripted {
    pub url: String,
    play: Arc<Play>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub async fn start(script: impl IntoIterator<Item = Line>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let play = Arc::new(Play { script: Mutex::new(script.into_iter().collect()), asked: Mutex::default() });
        let playing = Arc::clone(&play);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&playing)));
            }
        });
        Self { url, play, task }
    }

    /// What came in so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.play.asked.lock().unwrap().clone()
    }

    /// The first lines of it.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, play: Arc<Play>) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await else { return };
    play.asked.lock().unwrap().push(asked);
    // A request that the script does not have gets an answer that no test takes for a good one.
    let line = play.script.lock().unwrap().pop_front().unwrap_or(Line::Garbage(418));
    let (status, header, body) = match line {
        Line::Answer(status, body) => (status, "x-scripted: yes", body.to_string()),
        Line::AnswerWith(status, header, body) => (status, header, body.to_string()),
        Line::Garbage(status) => (status, "x-scripted: yes", "<html>".to_owned()),
        Line::Reset => {
            stream.get_ref().set_zero_linger().unwrap();
            return;
        }
        Line::Hang => return std::future::pending().await,
    };
    let head = format!("HTTP/1.1 {status} Scripted\r\n{header}\r\ncontent-length: {}\r\nconnection: close", body.len());
    // Whoever asked may have gone.
    let _ = stream.get_mut().write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
        match line.trim() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: BTreeMap<String, String> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { line: first, headers, form: serde_html_form::from_bytes(&body).unwrap() })
}
