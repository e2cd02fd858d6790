//! `jsonl`: one line an event, `{origin, index, leaf_hash, leaf}`. `leaf` is last and holds the leaf's bytes as they are hashed: what
//! stands between `"leaf":` and the closing brace of the line gives `leaf_hash` back (RFC 6962 §2.1: SHA-256 over a zero byte and the leaf).

use std::io::Write;

use super::{ExportError, Exporter, Recorded};

/// Writes lines. To go on later, start behind the index of the last whole line.
#[derive(Debug)]
pub struct Jsonl<W>(pub W);

impl<W: Write> Exporter for Jsonl<W> {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        let origin = serde_json::to_string(record.origin)?;
        write!(
            self.0,
            r#"{{"origin":{origin},"index":{},"leaf_hash":"{}","leaf":"#,
            record.index, record.leaf_hash
        )?;
        self.0.write_all(record.bytes)?;
        Ok(self.0.write_all(b"}\n")?)
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(self.0.flush()?)
    }
}
