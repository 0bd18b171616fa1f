//! Where an export stands, as its job keeps it for whoever goes on with it.

use crate::ledger::Ledger;
use crate::mark::Mark;
use crate::output::Output;
use crate::response;
use crate::scan::Scan;
use domain::export::Reason;
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an export counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// People who are in it and were not; of an audience, two who are matched by the same may have one row.
    pub(crate) added: u64,
    /// People whose row says something else than before.
    pub(crate) changed: u64,
    /// People who are in it no more.
    pub(crate) removed: u64,
    /// People of whom something was taken back, as they are known by something else now.
    pub(crate) replaced: u64,
    /// Those in the segment who were left out, by reason.
    pub(crate) left_out: BTreeMap<Reason, u64>,
}

impl Counts {
    fn to_json(&self) -> Value {
        json!({
            "added": self.added, "changed": self.changed, "removed": self.removed, "replaced": self.replaced,
            "left_out": self.left_out.iter().map(|(reason, n)| (reason.as_str(), *n)).collect::<BTreeMap<_, _>>(),
        })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let number = |key: &str| json.get(key).and_then(Value::as_u64);
        let left_out = json.get("left_out")?.as_object()?.iter();
        Some(Self {
            added: number("added")?,
            changed: number("changed")?,
            removed: number("removed")?,
            replaced: number("replaced")?,
            left_out: left_out.map(|(word, n)| Reason::parse(word).zip(n.as_u64())).collect::<Option<_>>()?,
        })
    }
}

/// Where an export stands.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) started_at: Timestamp,
    /// When everything was uploaded.
    pub(crate) finished_at: Option<Timestamp>,
    /// Whether those who withdrew from an audience are known; before, they are what the leads are read for.
    pub(super) gathered: bool,
    /// Where it goes on in the table.
    pub(super) scan: Scan,
    /// The export that this one tells the changes since.
    pub(crate) base: Option<Mark>,
    /// Of how many pieces of its ledger the removals were written.
    pub(super) removed: usize,
    pub(crate) outputs: Vec<Output>,
    pub(super) ledger: Ledger,
    pub(crate) counts: Counts,
}

impl State {
    /// Reads what was noted; `None` where nothing was.
    pub(super) fn read(json: &Value) -> Option<Self> {
        let time = |key: &str| json.get(key).and_then(Value::as_str).and_then(Timestamp::parse);
        Some(Self {
            started_at: time("started_at")?,
            finished_at: time("finished_at"),
            gathered: json.get("gathered")?.as_bool()?,
            scan: Scan::from_json(json.get("scan")?)?,
            base: json.get("base").and_then(Mark::from_json),
            removed: usize::try_from(json.get("removed")?.as_u64()?).ok()?,
            outputs: json.get("outputs")?.as_array()?.iter().map(Output::from_json).collect::<Option<_>>()?,
            ledger: Ledger::from_json(json.get("ledger")?)?,
            counts: Counts::from_json(json.get("counts")?)?,
        })
    }

    pub(super) fn write(&self) -> Value {
        json!({
            "started_at": self.started_at.to_string(),
            "finished_at": self.finished_at.map(|at| at.to_string()),
            "gathered": self.gathered,
            "scan": self.scan.to_json(),
            "base": self.base.as_ref().map(Mark::to_json),
            "removed": self.removed,
            "outputs": self.outputs.iter().map(Output::to_json).collect::<Vec<_>>(),
            "ledger": self.ledger.to_json(),
            "counts": self.counts.to_json(),
            // What a caller is told meanwhile.
            "rows": self.outputs.iter().map(|output| output.rows).sum::<u64>(),
            "left_out": response::left_out(&self.counts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Role;
    use testkit::MemoryFiles;

    #[tokio::test]
    async fn what_is_noted_reads_back() {
        let spec = json!({"format": "csv", "purpose": "marketing", "columns": ["email"]});
        let spec = domain::export::Spec::from_json(&spec).unwrap();
        let (key, name) = ("exports/x.csv".to_owned(), "x.csv".to_owned());
        let output = Output::begin(&MemoryFiles::new(), &spec, Role::All, key, name).await.unwrap();
        let at = Timestamp::from_secs(1_795_348_800);
        let ledger = Ledger::new("target", "export");
        let state = State {
            started_at: at,
            finished_at: Some(at),
            gathered: true,
            scan: Scan::all(),
            base: Some(Mark { export: "before".to_owned(), finished_at: at, ledger: ledger.clone() }),
            removed: 2,
            outputs: vec![output],
            ledger,
            counts: Counts {
                added: 3,
                left_out: BTreeMap::from([(Reason::NoConsent, 2)]),
                ..Counts::default()
            },
        };
        assert_eq!(State::read(&state.write()).unwrap().write(), state.write());
        assert!(State::read(&Value::Null).is_none());
    }
}
