//! A folder that only one process uses at a time.
//!
//! Two `leadloop dev` on one folder would not crash at once: SQLite arbitrates between processes. But each keeps table
//! metadata and idempotency tokens in memory, and each would feed the same outbox. So the first one holds an advisory
//! lock on a file in the folder. The operating system frees it with the process, also after `kill -9`: no stale lock
//! file is ever left to clean up.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder cannot hold a service's data.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder cannot be made, or not be written to.
    #[error("the folder {} cannot be used: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another handle, in this or another process, has the folder open.
    #[error("the folder {} is in use by another process; stop that one, or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// A claim on a folder; dropping it frees the folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Open as long as the claim lasts: closing it is what frees the lock.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and claims it.
    pub(crate) fn claim(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(".lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
