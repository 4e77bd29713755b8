//! What the shop is measured against: the same work as thin as actix allows. No checks, no errors worth
//! reading, no logs; a statement is prepared once per connection, and each worker has connections of its own.
//!
//! For `scripts/bench` only. Nothing of the shop may use it.

mod orders;
mod pool;
mod rows;

use std::rc::Rc;

use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use clap::Parser;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncCommands as _, Client as RedisClient};
use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use self::pool::Pool;

#[derive(Clone, Debug, Parser)]
struct Args {
    /// Where to listen, at 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// PostgreSQL, in which the shop's tables are.
    #[arg(long)]
    database: String,
    #[arg(long)]
    redis: String,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Sizes of the constant answers: `/constant/0` and so on.
    #[arg(long, value_delimiter = ',')]
    constant: Vec<usize>,
    /// What `/sql/NAME` runs, as a JSON object of NAME to an array of statements with one parameter, a UUID.
    #[arg(long, default_value = "{}")]
    statements: String,
}

type Failed = actix_web::error::InternalError<String>;

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::new(error.to_string(), actix_web::http::StatusCode::INTERNAL_SERVER_ERROR)
}

/// Of one worker.
struct Worker {
    constant: Vec<Bytes>,
    pool: Pool,
    redis_url: String,
    redis: OnceCell<MultiplexedConnection>,
}

impl Worker {
    async fn redis(&self) -> Result<MultiplexedConnection, Failed> {
        let opened = self.redis.get_or_try_init(async || {
            RedisClient::open(self.redis_url.as_str())?.get_multiplexed_async_connection().await
        });
        opened.await.cloned().map_err(failed)
    }
}

type State = web::Data<Rc<Worker>>;

fn json(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

async fn constant(worker: State, which: web::Path<usize>) -> HttpResponse {
    match worker.constant.get(*which) {
        Some(body) => json(body.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn redis_get(worker: State, key: web::Path<String>) -> Result<HttpResponse, Failed> {
    let body: Vec<u8> = worker.redis().await?.get(key.as_str()).await.map_err(failed)?;
    Ok(json(body.into()))
}

/// The rows of some statements as JSON. One that takes an array of ids is asked for the first column of what the
/// first has found; all others are asked at once.
async fn sql(worker: State, path: web::Path<(String, Uuid)>) -> Result<HttpResponse, Failed> {
    let (name, id) = path.into_inner();
    let reader = worker.pool.reader().await.map_err(failed)?;
    let statements = reader.named(&name).ok_or_else(|| failed("no such statements"))?;
    let parameter: [&(dyn ToSql + Sync); 1] = [&id];
    let (of_ids, direct): (Vec<_>, Vec<_>) = statements.iter().partition(|one| one.params() == [Type::UUID_ARRAY]);
    let asked = direct.into_iter().map(|statement| reader.client.query(statement, &parameter));
    let mut rows = futures::future::try_join_all(asked).await.map_err(failed)?;
    if !of_ids.is_empty() {
        let found = rows.iter().take(1).flatten().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>();
        let parameter: [&(dyn ToSql + Sync); 1] = [&found.map_err(failed)?];
        let asked = of_ids.into_iter().map(|statement| reader.client.query(statement, &parameter));
        rows.extend(futures::future::try_join_all(asked).await.map_err(failed)?);
    }
    let mut body = Vec::with_capacity(4096);
    for row in rows.iter().flatten() {
        rows::write(&mut body, row).map_err(failed)?;
    }
    Ok(json(body.into()))
}

async fn commit(worker: State) -> Result<HttpResponse, Failed> {
    orders::commit(&worker.pool).await.map_err(failed)?;
    Ok(HttpResponse::Created().content_type(ContentType::json()).body("{\"ok\":true}"))
}

async fn order(worker: State) -> Result<HttpResponse, Failed> {
    let id = orders::place(&worker.pool).await.map_err(failed)?;
    Ok(HttpResponse::Created()
        .content_type(ContentType::json())
        .body(format!("{{\"id\":\"{id}\",\"status\":\"paid\"}}")))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let (port, workers) = (args.port, args.workers);
    let server = HttpServer::new(move || {
        let worker = Worker {
            constant: args.constant.iter().map(|size| rows::constant(*size)).collect(),
            pool: Pool::new(&args.database, &args.statements),
            redis_url: args.redis.clone(),
            redis: OnceCell::new(),
        };
        App::new()
            .app_data(web::Data::new(Rc::new(worker)))
            .route("/constant/{which}", web::get().to(constant))
            .route("/redis/{key}", web::get().to(redis_get))
            .route("/sql/{name}/{id}", web::get().to(sql))
            .route("/commit", web::post().to(commit))
            .route("/order", web::post().to(order))
    });
    server.workers(workers).bind(("127.0.0.1", port))?.run().await
}
