//! Connections of one worker: one for reads, on which they are pipelined, and some for transactions.

use std::cell::RefCell;
use std::collections::HashMap;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Error, NoTls, Statement};

use crate::orders::Prepared;

/// Connections for transactions; of two workers as many as 16 clients can use.
const WRITERS: usize = 8;

/// Where reads are asked.
pub struct Reader {
    pub client: Client,
    statements: HashMap<String, Vec<Statement>>,
}

impl Reader {
    pub fn named(&self, name: &str) -> Option<&[Statement]> {
        self.statements.get(name).map(Vec::as_slice)
    }
}

/// Where transactions are done.
pub struct Writer {
    pub client: Client,
    pub prepared: Prepared,
}

pub struct Pool {
    url: String,
    statements: HashMap<String, Vec<String>>,
    reader: OnceCell<Reader>,
    idle: RefCell<Vec<Writer>>,
    permits: Semaphore,
}

/// A connection on loan.
pub struct Lent<'a> {
    pool: &'a Pool,
    writer: Option<Writer>,
    _permit: SemaphorePermit<'a>,
}

impl Lent<'_> {
    /// None never: it is given back only at the end.
    pub fn writer(&mut self) -> Option<&mut Writer> {
        self.writer.as_mut()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.idle.borrow_mut().extend(self.writer.take());
    }
}

impl Pool {
    pub fn new(url: &str, statements: &str) -> Self {
        let statements = serde_json::from_str(statements).unwrap_or_default();
        let permits = Semaphore::new(WRITERS);
        Self { url: url.to_owned(), statements, reader: OnceCell::new(), idle: RefCell::default(), permits }
    }

    pub async fn reader(&self) -> Result<&Reader, Error> {
        self.reader
            .get_or_try_init(async || {
                let client = connect(&self.url).await?;
                let mut statements = HashMap::new();
                for (name, texts) in &self.statements {
                    let mut prepared = Vec::new();
                    for text in texts {
                        prepared.push(client.prepare(text).await?);
                    }
                    statements.insert(name.clone(), prepared);
                }
                Ok(Reader { client, statements })
            })
            .await
    }

    pub async fn writer(&self) -> Result<Lent<'_>, Box<dyn std::error::Error>> {
        let permit = self.permits.acquire().await?;
        let idle = self.idle.borrow_mut().pop();
        let writer = match idle {
            Some(writer) => writer,
            None => {
                let client = connect(&self.url).await?;
                Writer { prepared: Prepared::new(&client).await?, client }
            }
        };
        Ok(Lent { pool: self, writer: Some(writer), _permit: permit })
    }
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    drop(tokio::spawn(connection));
    Ok(client)
}
