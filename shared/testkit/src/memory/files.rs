//! Files in memory, and a list of the jobs that somebody started.

use super::lock;
use adapters::ports::{FileStore, JobStarter, StoreError, Upload};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

/// The least that a part other than the last may have, in bytes.
const LEAST_PART: usize = 5 * 1024 * 1024;

/// A file that was completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFile {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its type.
    pub content_type: String,
    /// The name under which people save it.
    pub file_name: String,
}

/// A file that is being uploaded, and its parts by their numbers.
type Unfinished = (MemoryFile, BTreeMap<usize, Vec<u8>>);

#[derive(Debug, Default)]
struct State {
    started: usize,
    uploads: BTreeMap<String, Unfinished>,
    files: BTreeMap<String, MemoryFile>,
}

/// Gives the tag of a part, which follows from what is in it, as in S3.
fn tag(part: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Files in memory.
#[derive(Debug, Default)]
pub struct MemoryFiles(Mutex<State>);

impl MemoryFiles {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a file, once it is complete.
    #[must_use]
    pub fn file(&self, key: &str) -> Option<MemoryFile> {
        lock(&self.0).files.get(key).cloned()
    }

    /// Gives the keys of all complete files.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        lock(&self.0).files.keys().cloned().collect()
    }
}

fn refused(code: &str) -> StoreError {
    StoreError::Refused(code.to_owned())
}

#[async_trait]
impl FileStore for MemoryFiles {
    async fn start(&self, key: &str, content_type: &str, file_name: &str) -> Result<Upload, StoreError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.0);
        state.started += 1;
        let id = format!("upload-{}", state.started);
        let (content_type, file_name) = (content_type.to_owned(), file_name.to_owned());
        let file = MemoryFile { bytes: Vec::new(), content_type, file_name };
        state.uploads.insert(id.clone(), (file, BTreeMap::new()));
        Ok(Upload { key: key.to_owned(), id, parts: Vec::new() })
    }

    async fn add(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let number = upload.parts.len() + 1;
        let mut state = lock(&self.0);
        let (_, parts) = state.uploads.get_mut(&upload.id).ok_or_else(|| refused("NoSuchUpload"))?;
        // A part that is sent again takes the place of the one before, as in S3.
        upload.parts.push(tag(&bytes));
        parts.insert(number, bytes);
        Ok(())
    }

    async fn complete(&self, upload: &Upload) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.0);
        let (file, parts) = state.uploads.get(&upload.id).cloned().ok_or_else(|| refused("NoSuchUpload"))?;
        let mut bytes = Vec::new();
        for (number, expected) in (1..).zip(&upload.parts) {
            let part = parts.get(&number).filter(|part| tag(part) == *expected);
            let part = part.ok_or_else(|| refused("InvalidPart"))?;
            if number < upload.parts.len() && part.len() < LEAST_PART {
                return Err(refused("EntityTooSmall"));
            }
            bytes.extend_from_slice(part);
        }
        state.files.insert(upload.key.clone(), MemoryFile { bytes, ..file });
        state.uploads.remove(&upload.id);
        Ok(())
    }

    async fn put(
        &self,
        key: &str,
        content_type: &str,
        file_name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let (content_type, file_name) = (content_type.to_owned(), file_name.to_owned());
        lock(&self.0).files.insert(key.to_owned(), MemoryFile { bytes, content_type, file_name });
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        tokio::task::yield_now().await;
        Ok(lock(&self.0).files.get(key).map(|file| file.bytes.clone()))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        tokio::task::yield_now().await;
        Ok(lock(&self.0).files.get(key).and_then(|file| u64::try_from(file.bytes.len()).ok()))
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        lock(&self.0).files.remove(key);
        Ok(())
    }

    async fn link(&self, key: &str) -> Result<String, StoreError> {
        tokio::task::yield_now().await;
        Ok(format!("https://files.example/{key}?signed"))
    }
}

/// Remembers which jobs were started, and starts none.
#[derive(Debug, Default)]
pub struct MemoryJobStarter(Mutex<Vec<String>>);

impl MemoryJobStarter {
    /// Makes one that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the jobs that were started since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[async_trait]
impl JobStarter for MemoryJobStarter {
    async fn start(&self, job: &str) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        lock(&self.0).push(job.to_owned());
        Ok(())
    }
}
