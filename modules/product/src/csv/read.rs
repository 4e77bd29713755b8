//! Rows out of a byte stream, in bounded memory.
//!
//! The header tells the delimiter: a comma, or the semicolon or tab that a spreadsheet of another
//! country makes of it. A row is numbered as a spreadsheet shows it: text of several lines within
//! quotes is one row, and an empty line counts.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use eshopz_kernel::Currency;

use super::cell;
use super::columns::{Column, Columns};
use super::line::Parsed;
use super::parse::parse;

/// The largest row, in bytes. One that is larger has lost a closing quote, and with it the rest of the
/// file would be one row.
pub const ROW_LIMIT: usize = 4 * 1024 * 1024;

/// The bytes in which the end of the header is looked for.
const HEAD: usize = 64 * 1024;

/// How files begin that are no CSV in UTF-8: UTF-16 of either order, ZIP and so `.xlsx`, gzip, the old `.xls`.
const FOREIGN: [&[u8]; 5] = [b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0"];

/// The file ends the import.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No header, or one without what is needed.
    #[error("{0}")]
    NotAProductCsv(String),
    #[error("row {row} is longer than {ROW_LIMIT} bytes; a closing quote is missing in it or above it")]
    RowTooLong { row: u64 },
    #[error("the file broke off: {0}")]
    Broken(io::Error),
}

/// The rows of a file.
pub struct Lines<R> {
    reader: csv::Reader<Metered<io::Chain<Cursor<Vec<u8>>, R>>>,
    columns: Columns,
    record: csv::ByteRecord,
    meter: Meter,
    currency: Currency,
    row: u64,
}

impl<R: Read> Lines<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Unreadable::NotAProductCsv`] naming what is missing.
    pub fn open(source: R, currency: Currency) -> Result<Self, Unreadable> {
        let mut source = source;
        let head = head(&mut source)?;
        let meter = Meter::default();
        let delimiter = delimiter(&head);
        let input = Metered { inner: Cursor::new(head).chain(source), meter: meter.clone() };
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(input);
        let nothing = Columns::of(&csv::ByteRecord::new());
        let mut lines = Self { reader, columns: nothing, record: csv::ByteRecord::new(), meter, currency, row: 0 };
        if !lines.advance()? {
            return Err(Unreadable::NotAProductCsv("The file is empty; a header row is expected.".to_owned()));
        }
        lines.columns = Columns::of(&lines.record);
        if !lines.columns.has(Column::Handle) {
            return Err(Unreadable::NotAProductCsv(missing_handle(&lines.record)));
        }
        Ok(lines)
    }

    /// Bytes that have been taken from the source.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.meter.total.get()
    }

    /// The next row and its number; `None` at the end.
    ///
    /// # Errors
    /// [`Unreadable`] when the rest of the file cannot be read.
    pub fn next_row(&mut self) -> Result<Option<(u64, Parsed)>, Unreadable> {
        if !self.advance()? {
            return Ok(None);
        }
        Ok(Some((self.row, parse(&self.columns, &self.record, self.row, self.currency))))
    }

    fn advance(&mut self) -> Result<bool, Unreadable> {
        self.meter.pending.set(0);
        let before = self.reader.position().line();
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| self.broken(error))?;
        if more {
            // The reader skips empty lines; what a record and its own line ends do not explain is those.
            let within: usize = self.record.iter().map(|cell| cell.iter().filter(|byte| **byte == b'\n').count()).sum();
            let passed = self.reader.position().line().saturating_sub(before);
            let own = u64::try_from(within).unwrap_or(0).saturating_add(1);
            self.row += 1 + passed.saturating_sub(own);
        }
        Ok(more)
    }

    fn broken(&self, error: csv::Error) -> Unreadable {
        match error.into_kind() {
            csv::ErrorKind::Io(_) if self.meter.pending.get() > ROW_LIMIT => {
                Unreadable::RowTooLong { row: self.row + 1 }
            }
            csv::ErrorKind::Io(error) => Unreadable::Broken(error),
            other => Unreadable::Broken(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// The file's first bytes, at least up to the end of the first line, without a byte order mark.
fn head(source: &mut impl Read) -> Result<Vec<u8>, Unreadable> {
    let mut head = Vec::new();
    let mut limited = BufReader::new(source.take(u64::try_from(HEAD).unwrap_or(u64::MAX)));
    loop {
        let read = limited.read_until(b'\n', &mut head).map_err(Unreadable::Broken)?;
        if read == 0 || head.iter().any(|byte| !byte.is_ascii_whitespace()) {
            break;
        }
    }
    head.extend_from_slice(limited.buffer());
    let no_text = FOREIGN.iter().any(|begin| head.starts_with(begin));
    if no_text || first_line(&head).contains(&0) {
        let told = "The file is not a CSV in UTF-8; save the sheet as \"CSV UTF-8\", and send it as it is, not packed.";
        return Err(Unreadable::NotAProductCsv(told.to_owned()));
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    Ok(head)
}

/// The first line with something in it.
fn first_line(head: &[u8]) -> &[u8] {
    head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

/// The delimiter that the first line uses most.
fn delimiter(head: &[u8]) -> u8 {
    let count = |delimiter: u8| first_line(head).iter().filter(|byte| **byte == delimiter).count();
    [b';', b'\t']
        .into_iter()
        .filter(|other| count(*other) > count(b','))
        .max_by_key(|other| count(*other))
        .unwrap_or(b',')
}

fn missing_handle(header: &csv::ByteRecord) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> =
        header.iter().take(SHOWN).map(|name| super::refusal::shortened(&cell::one_line(&cell::decode(name)))).collect();
    format!("The header has no column `Handle`. It begins with: {}.", names.join(", "))
}

/// Bytes read: in all, and since the last row began.
#[derive(Clone, Debug, Default)]
struct Meter {
    total: Rc<Cell<u64>>,
    pending: Rc<Cell<usize>>,
}

struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.total.set(self.meter.total.get() + u64::try_from(read).unwrap_or(0));
        self.meter.pending.set(self.meter.pending.get() + read);
        if self.meter.pending.get() > ROW_LIMIT { Err(io::ErrorKind::InvalidData.into()) } else { Ok(read) }
    }
}
