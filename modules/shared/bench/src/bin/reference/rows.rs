//! Rows as JSON, whatever their columns are.

use std::error::Error;
use std::io::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

/// JSON as PostgreSQL sends it.
struct AsItIs<'a>(&'a [u8]);

impl<'a> FromSql<'a> for AsItIs<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // The binary form of `jsonb` is its version and the text.
        let text = if *of == Type::JSONB { raw.get(1..) } else { Some(raw) };
        text.map(Self).ok_or_else(|| "an empty document".into())
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::JSON | Type::JSONB)
    }
}

/// A JSON document of so many bytes, `{"a":"xx…"}`.
pub fn constant(size: usize) -> Bytes {
    format!("{{\"a\":\"{}\"}}", "x".repeat(size.saturating_sub(8))).into()
}

/// Adds a row as an object.
pub fn write(to: &mut Vec<u8>, row: &Row) -> Result<(), Box<dyn Error>> {
    for (index, column) in row.columns().iter().enumerate() {
        write!(to, "{}\"{}\":", if index == 0 { '{' } else { ',' }, column.name())?;
        match *column.type_() {
            Type::UUID => add::<Uuid>(to, row, index)?,
            Type::TEXT | Type::VARCHAR => add::<&str>(to, row, index)?,
            Type::TEXT_ARRAY => add::<Vec<&str>>(to, row, index)?,
            Type::BOOL => add::<bool>(to, row, index)?,
            Type::INT2 => add::<i16>(to, row, index)?,
            Type::INT4 => add::<i32>(to, row, index)?,
            Type::INT8 => add::<i64>(to, row, index)?,
            Type::FLOAT4 => add::<f32>(to, row, index)?,
            Type::TIMESTAMPTZ => add::<DateTime<Utc>>(to, row, index)?,
            Type::JSONB | Type::JSON => {
                let value: Option<AsItIs<'_>> = row.try_get(index)?;
                to.extend_from_slice(value.map_or(b"null", |value| value.0));
            }
            ref other => return Err(format!("a column of type {other}").into()),
        }
    }
    to.push(b'}');
    Ok(())
}

fn add<'a, T: FromSql<'a> + Serialize>(to: &mut Vec<u8>, row: &'a Row, index: usize) -> Result<(), Box<dyn Error>> {
    Ok(serde_json::to_writer(to, &row.try_get::<_, Option<T>>(index)?)?)
}
