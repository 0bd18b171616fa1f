//! The ports in memory.
//!
//! They hold the domain's own values, so they say nothing about what an item looks like; `dynamodb/record_tests.rs`
//! does. What they have in common with the database is what the [contract](crate::contract) asks, and two habits of
//! DynamoDB that a caller must be able to live with: a page that was filled names a next one, also where nothing
//! follows; and every call gives way to other tasks first, so that racing requests really interleave.

mod bus;
mod catalog;
mod files;
mod leads;
mod mailer;

pub use bus::MemoryEventBus;
pub use catalog::MemoryCatalog;
pub use files::{MemoryFile, MemoryFiles, MemoryJobStarter};
pub use leads::{MemoryLeadStore, Outbox, SentEvent};
pub use mailer::MemoryMailer;

use adapters::ports::{Page, StoreError};
use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks the cursors of one list, so that one of another list is refused.
fn cursor(list: &str, key: &str) -> String {
    // Fit for a URL, as cursors are passed around there.
    data_encoding::BASE64URL_NOPAD.encode(format!("{list}|{key}").as_bytes())
}

fn start(list: &str, cursor: Option<&str>) -> Result<Option<String>, StoreError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    match text.split_once('|') {
        Some((of, key)) if of == list => Ok(Some(key.to_owned())),
        _ => Err(StoreError::Refused("the cursor is not one of this list".to_owned())),
    }
}

/// Cuts a page out of what is left of a list, each item with its key.
fn page<T>(list: &str, items: Vec<(String, T)>, limit: usize) -> Page<T> {
    let mut last = None;
    let mut taken = Vec::new();
    for (key, item) in items.into_iter().take(limit) {
        last = Some(key);
        taken.push(item);
    }
    let next = last.filter(|_| taken.len() == limit).map(|key| cursor(list, &key));
    Page { items: taken, next }
}
