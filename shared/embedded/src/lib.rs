//! AWS on one machine: DynamoDB and S3 inside the calling process, for `leadloop dev` and for the tests.
//!
//! What runs against it is the real SDK over real HTTP on a loopback port, so that signing, retries, serialisation and
//! error mapping are the ones of production; only the service at the other end is replaced. The tables and schedules
//! come from `template.yaml`, which is what is deployed: there is no second definition that could drift.
//!
//! The crate knows endpoints and keys, and no SDK configuration: callers build their clients from
//! [`Database::endpoint`], [`Files::endpoint`], [`REGION`], [`ACCESS_KEY`] and [`SECRET_KEY`], just as a function in the
//! cloud builds its own from its environment.
//!
//! # Layout
//!
//! - [`template`] reads `template.yaml`: which tables there are, and which function ticks how often;
//! - [`database`] is DynamoDB (`dynoxide`, on SQLite), in a folder or in memory;
//! - [`tables`] makes the template's tables in a database, through the SDK;
//! - [`files`] is S3 (`s3s`, on plain files), with presigned links;
//! - `server` and `folder` are what the two services share: a thread that serves a port, and a folder that only one
//!   process may use.
//!
//! # What it cannot prove
//!
//! Conflicts between transactions, throttling and indexes that lag behind never happen here: a mutex serialises all
//! requests. Nothing checks IAM. Expired items stay until [`Database::sweep_ttl`] is called. Tests inject what they need
//! of these.
//!
//! # Invariant
//!
//! A service lives exactly as long as its handle: when the handle is dropped or shut down, its thread has ended, its port
//! is closed and its files are closed and complete. Nothing here outlives the handle, and nothing listens on any address
//! but 127.0.0.1.

pub mod database;
pub mod files;
mod folder;
mod server;
pub mod tables;
pub mod template;

pub use database::{Database, DatabaseError};
pub use files::{Files, FilesError};
pub use folder::FolderError;
pub use tables::{CreateTablesError, create_tables};
pub use template::{Cadence, ScheduleDefinition, TableDefinition, Template, TemplateError};

/// The access key id that both services take. Not a secret: they listen on the loopback address only.
pub const ACCESS_KEY: &str = "leadloop-local";

/// The secret access key that belongs to [`ACCESS_KEY`]; S3 links are signed with it and checked against it.
pub const SECRET_KEY: &str = "leadloop-local-secret";

/// The region that requests are signed for; the services take any.
pub const REGION: &str = "eu-central-1";

#[cfg(test)]
mod tests;
