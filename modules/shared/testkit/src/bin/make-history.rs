//! Fills a migrated database without orders with a history of many: `make-history <database url> <orders>`.

use std::error::Error;

use eshopz_testkit::history;
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(orders)) = (arguments.next(), arguments.next()) else {
        return Err("make-history <database url> <orders>".into());
    };
    let (owner, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    Ok(history::fill(&owner, orders.parse()?).await?)
}
