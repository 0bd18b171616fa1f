//! Doing something outside once: claim, act, complete.
//!
//! A mail cannot be sent in the transaction that says so. So whoever is about to send one writes a claim first, sends, and
//! completes the claim; whoever meets a completed claim does nothing. A worker that dies in between leaves a claim open, and
//! nobody can tell whether its mail went out. Such a claim is left alone for [`LEASE_MS`], which outlasts every worker; then
//! it is taken up as often as the caller allows, and after that it stays as one whose outcome is not known, for people to
//! read. What is known not to have gone out is let go, and counts as no try.

use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::identity::LeadId;
use domain::time::{MINUTE_MS, Timestamp};
use serde_json::{Value, json};

/// For how long an open claim is its maker's, in milliseconds: longer than any function runs.
pub const LEASE_MS: i64 = 16 * MINUTE_MS;
/// How often completing a claim is tried before it is left open.
const TRIES: u32 = 3;

/// What came of asking for a claim.
#[derive(Debug)]
pub enum Claim {
    /// It is ours: act now.
    Ours(Held),
    /// It was done already, or ended otherwise.
    Over,
    /// Somebody else may be at it until a moment.
    Elsewhere(Timestamp),
    /// It was tried as often as allowed, and whether it was done is not known. Said once; from then on it is over.
    Unknown,
}

/// A claim that is ours.
#[derive(Debug)]
pub struct Held {
    record: Record,
    /// How often it was tried before with nobody knowing what came of it.
    pub before: u64,
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It cannot be done.
    Never,
    /// Whether it was done is not known.
    Unknown,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nothing => "nothing",
            Self::Never => "never",
            Self::Unknown => "unknown",
        }
    }
}

/// The word of a claim that somebody is at.
const OPEN: &str = "open";
/// The word of one that nobody is at, since it is known that nothing was done.
const FREE: &str = "free";

fn body(state: &str, tries: u64, now: Timestamp) -> Value {
    json!({ "state": state, "tries": tries, "at": now.to_string() })
}

fn state(record: &Record) -> &str {
    record.body.get("state").and_then(Value::as_str).unwrap_or_default()
}

fn tries(record: &Record) -> u64 {
    record.body.get("tries").and_then(Value::as_u64).unwrap_or(0)
}

/// Gives what the ids of claims begin with that are about the hand-overs of a lead.
#[must_use]
pub fn of_hand_overs(lead: &LeadId) -> String {
    format!("hand-off.{lead}.")
}

/// Tells whether a claim is over, without taking it.
///
/// # Errors
///
/// [`StoreError`].
pub async fn is_over(catalog: &dyn Catalog, id: &str) -> Result<bool, StoreError> {
    let record = catalog.get(CatalogKind::Claim, id).await?;
    Ok(record.is_some_and(|record| !matches!(state(&record), OPEN | FREE)))
}

/// Asks for a claim, which may be forgotten after `keep_until`. One whose outcome is not known is tried up to `most` times in
/// all.
///
/// # Errors
///
/// [`StoreError`]; the claim may have been written all the same, and is then taken up when its lease ends.
pub async fn take(
    catalog: &dyn Catalog,
    id: &str,
    now: Timestamp,
    keep_until: Timestamp,
    most: u64,
) -> Result<Claim, StoreError> {
    let put = match catalog.get(CatalogKind::Claim, id).await? {
        None => Put::new(CatalogKind::Claim, id, body(OPEN, 1, now)),
        Some(record) => {
            let at = record.body.get("at").and_then(Value::as_str).and_then(Timestamp::parse);
            let free_at = at.unwrap_or(now).plus(LEASE_MS);
            match state(&record) {
                FREE => Put::over(&record, body(OPEN, tries(&record) + 1, now)),
                OPEN if now < free_at => return Ok(Claim::Elsewhere(free_at)),
                OPEN if tries(&record) >= most => {
                    let end = Put::over(&record, body(End::Unknown.as_str(), tries(&record), now));
                    let written = catalog.put(std::slice::from_ref(&end)).await?;
                    return Ok(if written { Claim::Unknown } else { Claim::Elsewhere(now.plus(LEASE_MS)) });
                }
                OPEN => Put::over(&record, body(OPEN, tries(&record) + 1, now)),
                _ => return Ok(Claim::Over),
            }
        }
    };
    let mut put = put;
    put.record.expires_at = Some(keep_until);
    if !catalog.put(std::slice::from_ref(&put)).await? {
        return Ok(Claim::Elsewhere(now.plus(LEASE_MS)));
    }
    let before = tries(&put.record).saturating_sub(1);
    Ok(Claim::Ours(Held { record: put.record, before }))
}

/// Completes a claim, or lets it go with [`let_go`]. Where it cannot be written it stays open, and is taken up when its lease
/// ends.
///
/// # Errors
///
/// [`StoreError`].
pub async fn end(catalog: &dyn Catalog, held: &Held, end: End, now: Timestamp) -> Result<(), StoreError> {
    write(catalog, held, body(end.as_str(), tries(&held.record), now)).await
}

/// Lets a claim go whose act is known not to have been done, so that it can be taken at once.
///
/// # Errors
///
/// [`StoreError`].
pub async fn let_go(catalog: &dyn Catalog, held: &Held, now: Timestamp) -> Result<(), StoreError> {
    write(catalog, held, body(FREE, held.before, now)).await
}

async fn write(catalog: &dyn Catalog, held: &Held, body: Value) -> Result<(), StoreError> {
    let put = Put::over(&held.record, body);
    let mut failed = None;
    for _ in 0..TRIES {
        match catalog.put(std::slice::from_ref(&put)).await {
            // Not written: a try before was, whose answer got lost, or the lease ended and somebody else has it.
            Ok(_) => return Ok(()),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), Err)
}
