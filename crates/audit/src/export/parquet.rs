//! `parquet`: the columns that people search by and the leaf hash, compressed with zstd, as files below
//! `origin=<percent-encoded>/date=<UTC day>/`. A file is named by the first and last index in it, so the same events give the same name.

use std::fmt;
use std::io;
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::parser::parse_message_type;

use super::{ExportError, Exporter, Recorded, percent_encoded, word};

/// Most rows of one file; they are held in memory until it is written.
pub const MAX_ROWS: usize = 65_536;

/// The columns. Numbers and what every event has are required, the rest may be null.
pub const SCHEMA: &str = "message event {
    REQUIRED INT64 idx;
    REQUIRED INT64 ts (TIMESTAMP(MICROS, true));
    REQUIRED BYTE_ARRAY hlc (UTF8);
    REQUIRED BYTE_ARRAY id (UTF8);
    REQUIRED BYTE_ARRAY type (UTF8);
    OPTIONAL BYTE_ARRAY root_task (UTF8);
    OPTIONAL BYTE_ARRAY task (UTF8);
    OPTIONAL BYTE_ARRAY agent (UTF8);
    OPTIONAL BYTE_ARRAY instance (UTF8);
    OPTIONAL BYTE_ARRAY user (UTF8);
    OPTIONAL BYTE_ARRAY actor (UTF8);
    OPTIONAL BYTE_ARRAY server (UTF8);
    OPTIONAL BYTE_ARRAY tool (UTF8);
    OPTIONAL BYTE_ARRAY effect (UTF8);
    OPTIONAL BYTE_ARRAY decision (UTF8);
    OPTIONAL BYTE_ARRAY code (UTF8);
    OPTIONAL BYTE_ARRAY lease (UTF8);
    OPTIONAL BYTE_ARRAY cause (UTF8);
    OPTIONAL BYTE_ARRAY outcome (UTF8);
    OPTIONAL BYTE_ARRAY labels (UTF8);
    REQUIRED BYTE_ARRAY leaf_hash (UTF8);
}";

/// Numbers of a row, in the order of [`SCHEMA`].
const NUMBERS: usize = 2;
/// Texts of a row, in the order of [`SCHEMA`].
const TEXTS: usize = 19;

/// Where finished files go: a path of our own making, relative, and the bytes.
pub type Put<'a> = dyn FnMut(&str, &[u8]) -> io::Result<()> + Send + 'a;

/// Collects rows and writes a file when there are enough, or the day changes.
pub struct Parquet<'a> {
    put: Box<Put<'a>>,
    folder: String,
    first: u64,
    last: u64,
    rows: Vec<Row>,
}

struct Row {
    numbers: [i64; NUMBERS],
    texts: [Option<String>; TEXTS],
}

impl fmt::Debug for Parquet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parquet({}, {} rows)", self.folder, self.rows.len())
    }
}

impl<'a> Parquet<'a> {
    /// Hands finished files to `put`.
    pub fn new(put: Box<Put<'a>>) -> Self {
        Self {
            put,
            folder: String::new(),
            first: 0,
            last: 0,
            rows: Vec::new(),
        }
    }

    /// Rows that wait for their file.
    pub fn waiting(&self) -> usize {
        self.rows.len()
    }

    fn write(&mut self) -> Result<(), ExportError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let bytes = file(&rows)?;
        let path = format!(
            "{}/events-{}-{}.parquet",
            self.folder, self.first, self.last
        );
        Ok((self.put)(&path, &bytes)?)
    }
}

impl Exporter for Parquet<'_> {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        let folder = folder(record);
        if folder != self.folder || self.rows.len() >= MAX_ROWS {
            self.write()?;
            self.folder = folder;
        }
        if self.rows.is_empty() {
            self.first = record.index;
        }
        self.last = record.index;
        self.rows.push(row(record));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.write()
    }
}

/// The folder of a log's files.
pub fn folder_of(origin: &str) -> String {
    format!("origin={}", percent_encoded(origin, b"-_."))
}

/// The folder of an event's file, in the form that Hive partitioning reads.
fn folder(record: &Recorded<'_>) -> String {
    let ts = record.leaf.ts.to_string();
    let date = ts.split('T').next().unwrap_or_default();
    format!("{}/date={date}", folder_of(record.origin))
}

fn row(record: &Recorded<'_>) -> Row {
    let (leaf, event) = (record.leaf, &record.leaf.event);
    let task = event.task.as_ref();
    let agent = event.agent.as_ref();
    let action = event.action.as_ref();
    let outcome = event.outcome.as_ref();
    let labels = task.map(|task| {
        task.labels
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    });
    let labels = labels.filter(|labels| !labels.is_empty());
    Row {
        numbers: [
            i64::try_from(record.index).unwrap_or(i64::MAX),
            leaf.ts.as_micros(),
        ],
        texts: [
            Some(leaf.hlc.to_string()),
            Some(event.id.to_string()),
            Some(event.kind.as_str().to_owned()),
            task.map(|task| task.root.to_string()),
            task.map(|task| task.id.to_string()),
            agent.map(|agent| agent.id.to_string()),
            agent
                .and_then(|agent| agent.instance)
                .map(|id| id.to_string()),
            event.user.clone(),
            event.actor.clone(),
            action
                .and_then(|action| action.server.as_ref())
                .map(ToString::to_string),
            action
                .and_then(|action| action.tool.as_ref())
                .map(ToString::to_string),
            action.and_then(|action| action.effect).and_then(word),
            event
                .decision
                .as_ref()
                .map(|one| one.effect.as_str().to_owned()),
            outcome.and_then(|outcome| outcome.code.clone()),
            event.lease.as_ref().map(|lease| lease.id.to_string()),
            event.cause.map(|id| id.to_string()),
            outcome.and_then(|outcome| word(outcome.status)),
            labels.map(|labels| labels.join(",")),
            Some(record.leaf_hash.to_string()),
        ],
    }
}

/// One file with one row group.
fn file(rows: &[Row]) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("bailiwick ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    for at in 0..NUMBERS {
        let values = rows.iter().filter_map(|row| row.numbers.get(at).copied());
        let values: Vec<i64> = values.collect();
        let mut column = some_column(group.next_column()?)?;
        column
            .typed::<Int64Type>()
            .write_batch(&values, None, None)?;
        column.close()?;
    }
    for at in 0..TEXTS {
        let texts = rows
            .iter()
            .map(|row| row.texts.get(at).and_then(Option::as_ref));
        let present: Vec<i16> = texts
            .clone()
            .map(|text| i16::from(text.is_some()))
            .collect();
        let values: Vec<ByteArray> = texts
            .flatten()
            .map(|text| ByteArray::from(text.as_bytes()))
            .collect();
        let mut column = some_column(group.next_column()?)?;
        // A required column has no definition levels, and ignores them.
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, Some(&present), None)?;
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn some_column(
    column: Option<SerializedColumnWriter<'_>>,
) -> Result<SerializedColumnWriter<'_>, ParquetError> {
    column.ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))
}
