//! A file in the making: one multipart upload, of which anybody can take over the rest.
//!
//! A part is uploaded for every 5 MiB, which is the least that S3 takes. What does not fill a part yet lies in a small
//! file beside it at each checkpoint, so that where an export stands can be noted at any time, however little it wrote. The
//! SHA-256 is that of the parts so far; its state is noted with them, so that the sum is of the whole file, whoever wrote
//! which part, without reading it again.

use crate::ledger::hash_of;
use adapters::ports::{FileStore, StoreError, Upload};
use domain::export::{Format, Spec};
use domain::segment::{harmless_cell, harmless_phone};
use serde_json::{Map, Value, json};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};

/// From which size on a part is uploaded; S3 wants at least 5 MiB of each but the last.
pub(crate) const PART_BYTES: usize = 5 * 1024 * 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everybody.
    All,
    /// What changed, each row with how.
    Changes,
    /// Those to be added to an audience.
    Add,
    /// Those to be removed from it.
    Remove,
}

impl Role {
    const WORDS: &'static [(&'static str, Self)] =
        &[("all", Self::All), ("changes", Self::Changes), ("add", Self::Add), ("remove", Self::Remove)];

    pub(crate) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, role)| *role == self).map_or("", |(word, _)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, role)| *role)
    }

    /// Gives what stands between the name and the ending.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Changes => "-changes",
            Self::Add => "-add",
            Self::Remove => "-remove",
        }
    }

    /// Gives the names of what stands in a row of such a file.
    pub(crate) fn header(self, spec: &Spec) -> Vec<String> {
        let before: &[&str] = if self == Self::Changes { &["change", "reason"] } else { &[] };
        before.iter().map(|name| (*name).to_owned()).chain(spec.header()).collect()
    }
}

/// A file in the making.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) role: Role,
    pub(crate) upload: Upload,
    /// The name under which people save it.
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// Of the parts so far.
    pub(crate) bytes: u64,
    hash: Sha256,
    /// Where what fills no part yet lies.
    tail: Option<String>,
    /// What fills no part yet.
    pending: Vec<u8>,
}

impl Output {
    /// Begins a file, with its header.
    pub(crate) async fn begin(
        files: &dyn FileStore,
        spec: &Spec,
        role: Role,
        key: String,
        name: String,
    ) -> Result<Self, StoreError> {
        let upload = files.start(&key, spec.format.content_type(), &name).await?;
        let (hash, pending) = (Sha256::new(), Vec::new());
        let mut output = Self { role, upload, name, rows: 0, bytes: 0, hash, tail: None, pending };
        if spec.format == Format::Csv {
            output.csv(role.header(spec).iter())?;
        }
        Ok(output)
    }

    /// Adds a row; `before` stands before it, as the header says.
    pub(crate) fn row(&mut self, spec: &Spec, before: &[Value], row: &[Value]) -> Result<(), StoreError> {
        self.rows += 1;
        let values = before.iter().chain(row);
        let is_phone = |at: usize| at.checked_sub(before.len()).is_some_and(|at| spec.is_phone(at));
        match spec.format {
            Format::JsonLines => {
                let header = self.role.header(spec);
                let object: Map<String, Value> = header.into_iter().zip(values.cloned()).collect();
                serde_json::to_writer(&mut self.pending, &object).map_err(unwritable)?;
                self.pending.push(b'\n');
                Ok(())
            }
            Format::Csv => self.csv(values.enumerate().map(|(at, value)| match value {
                Value::Null => String::new(),
                Value::String(text) if is_phone(at) => harmless_phone(text).into_owned(),
                Value::String(text) => harmless_cell(text).into_owned(),
                other => other.to_string(),
            })),
        }
    }

    fn csv(&mut self, cells: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<(), StoreError> {
        let mut builder = csv::WriterBuilder::new();
        let mut writer = builder.terminator(csv::Terminator::CRLF).from_writer(&mut self.pending);
        writer.write_record(cells).map_err(unwritable)?;
        writer.flush().map_err(unwritable)
    }

    /// Tells whether what is there fills a part.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= PART_BYTES
    }

    /// Brings what is there to safety, as a part or beside the parts; `beside` is the folder for that.
    pub(crate) async fn save(&mut self, files: &dyn FileStore, beside: &str) -> Result<(), StoreError> {
        if self.is_full() {
            return self.part(files).await;
        }
        if !self.pending.is_empty() {
            // Named by what is in it, as the pieces of a ledger are, and for the same reason.
            let tail = format!("{beside}/{}-{}", self.role.as_str(), hash_of(&self.pending));
            if self.tail.as_ref() != Some(&tail) {
                files.put(&tail, "application/octet-stream", "unfinished", self.pending.clone()).await?;
                self.tail = Some(tail);
            }
        }
        Ok(())
    }

    /// Uploads what is there as a part.
    async fn part(&mut self, files: &dyn FileStore) -> Result<(), StoreError> {
        let mut hash = self.hash.clone();
        hash.update(&self.pending);
        let bytes = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        files.add(&mut self.upload, std::mem::take(&mut self.pending)).await?;
        (self.hash, self.tail) = (hash, None);
        self.bytes += bytes;
        Ok(())
    }

    /// Uploads what is left; an upload needs one part, also of nothing.
    pub(crate) async fn close(&mut self, files: &dyn FileStore) -> Result<(), StoreError> {
        if self.pending.is_empty() && !self.upload.parts.is_empty() {
            return Ok(());
        }
        self.part(files).await
    }

    /// Gives where what fills no part yet was brought to.
    pub(crate) fn tail(&self) -> Option<&String> {
        self.tail.as_ref()
    }

    /// Gives the SHA-256 of the file in hexadecimal, once it is closed.
    pub(crate) fn sha256(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.clone().finalize())
    }

    pub(crate) fn to_json(&self) -> Value {
        let Upload { key, id, parts } = &self.upload;
        json!({
            "role": self.role.as_str(),
            "upload": { "key": key, "id": id, "parts": parts },
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "hash": data_encoding::HEXLOWER.encode(&self.hash.serialize()),
            "tail": self.tail,
        })
    }

    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| json.get(key).and_then(Value::as_u64);
        let upload = json.get("upload")?;
        let parts = upload.get("parts")?.as_array()?.iter().map(|part| part.as_str().map(str::to_owned));
        let hash = data_encoding::HEXLOWER.decode(text(json, "hash")?.as_bytes()).ok()?;
        Some(Self {
            role: Role::parse(&text(json, "role")?)?,
            upload: Upload {
                key: text(upload, "key")?,
                id: text(upload, "id")?,
                parts: parts.collect::<Option<_>>()?,
            },
            name: text(json, "name")?,
            rows: number("rows")?,
            bytes: number("bytes")?,
            hash: Sha256::deserialize(hash.as_slice().try_into().ok()?).ok()?,
            tail: text(json, "tail"),
            pending: Vec::new(),
        })
    }

    /// Fetches what fills no part yet, after another worker noted it.
    pub(crate) async fn fetch(&mut self, files: &dyn FileStore) -> Result<(), StoreError> {
        if let Some(tail) = &self.tail {
            let lost = || StoreError::Refused("NoSuchUpload".to_owned());
            self.pending = files.read(tail).await?.ok_or_else(lost)?;
        }
        Ok(())
    }
}

fn unwritable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("a row could not be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::MemoryFiles;

    #[tokio::test]
    async fn the_sum_is_that_of_the_whole_file_whoever_wrote_which_part() {
        let (files, key) = (MemoryFiles::new(), "exports/x.jsonl");
        let spec = Spec::from_json(&json!({"format": "jsonl", "purpose": "marketing", "columns": ["email"]}));
        let spec = spec.unwrap();
        let mut output =
            Output::begin(&files, &spec, Role::All, key.to_owned(), "x.jsonl".to_owned()).await.unwrap();
        for n in 0..23 {
            // Odd lengths, so that no part ends where a block of the hash does; every third worker fills a part.
            let text = "x".repeat(if n % 3 == 2 { PART_BYTES } else { 1_000 + n });
            output.row(&spec, &[], &[json!(text)]).unwrap();
            output.save(&files, "exports/x").await.unwrap();
            output = Output::from_json(&output.to_json()).unwrap();
            output.fetch(&files).await.unwrap();
        }
        output.close(&files).await.unwrap();
        files.complete(&output.upload).await.unwrap();
        let whole = files.file(key).unwrap().bytes;
        assert_eq!(output.sha256(), data_encoding::HEXLOWER.encode(&Sha256::digest(&whole)));
        assert_eq!((output.bytes, output.rows), (whole.len() as u64, 23));
        assert_eq!(whole.split(|b| *b == b'\n').count(), 24);
    }
}
