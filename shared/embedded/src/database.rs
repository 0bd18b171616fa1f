//! DynamoDB in this process: dynoxide on SQLite, behind its own HTTP server.
//!
//! **Durability.** The file is in WAL mode, so a process that is killed leaves a database that opens again with every
//! acknowledged write in it: a commit is in the operating system's hands before it is acknowledged, and a torn tail of
//! the log is recognised by its checksums. What `synchronous` adds is safety when the *machine* loses power. SQLite's
//! default, FULL, waits for the disk at each commit; NORMAL waits at checkpoints only, so a power cut may take the last
//! moments but never damages the file. A development database is worth the second, so that is what
//! [`Database::open`] chooses.
//!
//! **Limits.** Requests are handled one at a time. Within a database, what makes it slow is repeated transactions: dynoxide
//! keeps the token of every `TransactWriteItems` for ten minutes, as DynamoDB does, and looks through all of them at each
//! next one (about 35 ns each in the dev profile), and the SDK always sends a token. Minutes of full load therefore settle
//! at some 200 transactions a second, while `PutItem` and `BatchWriteItem` keep their pace: use those to fill a table with
//! hundreds of thousands of items. Tokens are kept in memory, so a restart forgets them.
//!
//! **Isolation.** Every handle has its own file, or its own memory, and its own port; any number of them live side by
//! side in one test process.

use std::fmt;
use std::path::{Path, PathBuf};

use dynoxide::DynoxideError;

use crate::folder::{Folder, FolderError};
use crate::server::Server;

/// The database's file in its folder; SQLite puts `-wal` and `-shm` files beside it while it is open.
const FILE: &str = "dynamodb.sqlite";

/// Why the database cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The folder cannot be used, or somebody else uses it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is there and is not a database that this build can read.
    #[error("the database {} cannot be read; put a good copy in its place, or delete it to start empty", file.display())]
    Unreadable {
        /// The database's file.
        file: PathBuf,
        /// What the engine said.
        source: Box<DynoxideError>,
    },
    /// No port could be opened on the loopback address.
    #[error("the database cannot listen on 127.0.0.1: {0}")]
    Listen(#[source] std::io::Error),
    /// The engine failed at something that it was asked for directly.
    #[error("the database failed")]
    Engine(#[source] Box<DynoxideError>),
}

/// A running database.
///
/// Dropping it stops the server and closes the file, and waits for both; in asynchronous code, prefer
/// [`Database::shutdown`], which does not hold up the runtime meanwhile.
pub struct Database {
    // The order matters, since fields are dropped in it: first the server, then the engine's last handle, which closes
    // the file, then the claim on the folder.
    server: Server,
    engine: dynoxide::Database,
    _folder: Option<Folder>,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Database").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database in a folder, which is made where it is missing, and serves it.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be used or is in use, the file is damaged or of a newer format, or no port is free.
    pub fn open(folder: &Path) -> Result<Self, DatabaseError> {
        let folder = Folder::claim(folder)?;
        let file = folder.path().join(FILE);
        let engine = open_file(&file)
            .map_err(|source| DatabaseError::Unreadable { file: file.clone(), source: Box::new(source) })?;
        Self::serve(engine, Some(folder))
    }

    /// Opens an empty database in memory, which ends with the handle, and serves it.
    ///
    /// # Errors
    ///
    /// Where no port is free.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        Self::serve(dynoxide::Database::memory().map_err(engine)?, None)
    }

    fn serve(engine: dynoxide::Database, folder: Option<Folder>) -> Result<Self, DatabaseError> {
        let served = engine.clone();
        let server = Server::start("dynamodb", move |listener, stop| async move {
            if let Err(reason) =
                dynoxide::server::serve_with_shutdown(listener, served, stop.requested()).await
            {
                tracing::error!(reason, "the database's server ended");
            }
        })
        .map_err(DatabaseError::Listen)?;
        Ok(Self { server, engine, _folder: folder })
    }

    /// Returns the URL for the SDK's `endpoint_url`, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.server.endpoint()
    }

    /// Deletes what has expired from every table with a time to live, and returns how many items that was.
    ///
    /// DynamoDB does this by itself within a few days; here it happens when asked. It reads each such table whole, 25
    /// rows at a time, and lets waiting requests go first in between. Must be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the engine fails, such as on a full disk.
    pub async fn sweep_ttl(&self) -> Result<usize, DatabaseError> {
        let engine_handle = self.engine.clone();
        match tokio::task::spawn_blocking(move || engine_handle.sweep_ttl()).await {
            Ok(swept) => swept.map_err(engine),
            Err(stopped) => Err(engine(DynoxideError::InternalServerError(stopped.to_string()))),
        }
    }

    /// Stops serving, lets running requests finish for up to two seconds, and closes the file.
    ///
    /// When it returns, the log is merged into the database file, which can then be copied or deleted.
    pub async fn shutdown(self) {
        if tokio::task::spawn_blocking(move || drop(self)).await.is_err() {
            tracing::error!("the database did not shut down cleanly");
        }
    }
}

fn engine(source: DynoxideError) -> DatabaseError {
    DatabaseError::Engine(Box::new(source))
}

fn open_file(file: &Path) -> Result<dynoxide::Database, DynoxideError> {
    let path = file.to_str().ok_or_else(|| {
        DynoxideError::InternalServerError("the path is not valid UTF-8, which SQLite needs".to_owned())
    })?;
    let engine = dynoxide::Database::new(path)?;
    // The one door that dynoxide offers to `synchronous`: "restore the normal settings after bulk loading" sets NORMAL
    // (and SQLite's defaults for the cache). Without it the connection keeps SQLite's FULL.
    engine.disable_bulk_loading()?;
    // Reads the schema and the table of tables, so that a damaged one is found now and not by the first request.
    engine.table_count()?;
    Ok(engine)
}
