//! The mark of a target: which export of it finished last, and where its ledger lies.
//!
//! It moves when an export is done, in one transaction with that: an export that failed never moves it, and one that moved
//! it is done. Two exports of one target at once are no harm. One of what changed holds only on top of the export that it
//! began from; if the mark moved meanwhile, it begins anew from there. One of everybody holds by itself, and the one that
//! finishes later is the last one.

use crate::App;
use crate::ledger::Ledger;
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};

/// For how long a mark counts, in milliseconds. The bucket keeps ledgers some days longer.
const KEEP_MS: i64 = 80 * DAY_MS;

/// What the last export of a target left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) export: String,
    pub(crate) finished_at: Timestamp,
    pub(crate) ledger: Ledger,
}

impl Mark {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "export_id": self.export,
            "finished_at": self.finished_at.to_string(),
            "ledger": self.ledger.to_json(),
        })
    }

    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        Some(Self {
            export: text("export_id")?.to_owned(),
            finished_at: Timestamp::parse(text("finished_at")?)?,
            ledger: Ledger::from_json(json.get("ledger")?)?,
        })
    }

    /// Gives what people see of it.
    pub(crate) fn shown(&self) -> Value {
        json!({ "export_id": self.export, "finished_at": self.finished_at.to_string() })
    }
}

/// A target's mark with its record.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    record: Option<Record>,
    /// The mark, if there is one that still counts.
    pub(crate) mark: Option<Mark>,
}

/// Reads the mark of a target.
pub(crate) async fn find(app: &App, target: &str) -> Result<Found, StoreError> {
    let record = app.catalog.get(CatalogKind::Mark, target).await?;
    let mark = record.as_ref().and_then(|record| Mark::from_json(&record.body));
    let mark = mark.filter(|mark| app.clock.now().since(mark.finished_at) < KEEP_MS);
    Ok(Found { record, mark })
}

impl Found {
    /// Makes the write that moves the mark from where it was found.
    pub(crate) fn moved(&self, target: &str, to: &Mark) -> Put {
        let mut put = match &self.record {
            Some(record) => Put::over(record, to.to_json()),
            None => Put::new(CatalogKind::Mark, target, to.to_json()),
        };
        put.record.expires_at = Some(to.finished_at.plus(KEEP_MS));
        put
    }
}
