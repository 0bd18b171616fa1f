//! What each piece of content did, kept by date by the job that counts it each day: of all leads, and of each piece one list
//! of sums over all personas and phases. Such a list grows at its end, as everywhere.

use super::trend::{Table, Trend, dated, only};
use super::{Night, most};
use crate::content::written::{RESULT_COLUMNS, listed, sums_json, table};
use crate::request::TrendAsked;
use adapters::content::{results_from, results_json};
use adapters::ports::Put;
use domain::content::results::{Cell, Results, Sums};
use domain::identity::Slug;
use domain::report::Basis;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What rows stand for.
const GROUP: &str = "content";
/// The columns of the report that a trend has not: it knows no parts of a piece, and no titles.
const NOT_KEPT: [&str; 4] = ["of", "title", "persona", "phase"];

/// What content did.
pub(crate) struct Did;

impl Did {
    /// Makes what is kept of a night.
    pub(crate) fn keep(night: &Night, results: &Results, version: u32) -> Put {
        let mut pieces: BTreeMap<&Slug, Sums> = BTreeMap::new();
        results.cells.iter().for_each(|(cell, sums)| pieces.entry(&cell.content).or_default().add(sums));
        let (pieces, rows_left_out) = most(pieces.into_iter().collect(), |(_, sums)| sums.leads);
        let whole = |(content, sums): (&Slug, Sums)| {
            (Cell { content: content.clone(), persona: None, phase: None }, sums)
        };
        let kept = Results { cells: pieces.into_iter().map(whole).collect(), ..*results };
        let body = json!({
            "as_of": night.now.to_string(), "playbook_version": version, "results": results_json(&kept),
            "rows_left_out": rows_left_out,
        });
        night.keep(Self::REPORT, GROUP, Basis::Cohort, body)
    }
}

impl Trend for Did {
    type GroupBy = ();
    const REPORT: &'static str = "content";
    const GROUPS: &'static [(&'static str, ())] = &[(GROUP, ())];
    const BASES: &'static [(&'static str, Basis)] = &[("cohort", Basis::Cohort)];

    fn shown(asked: &TrendAsked, mut kept: Value) -> Option<Value> {
        let results = results_from(&kept.get_mut("results")?.take())?;
        let mut pieces: Vec<(&Slug, &Sums)> =
            results.cells.iter().map(|(cell, sums)| (&cell.content, sums)).collect();
        // Stable: what was had equally often stays in the order of the ids.
        pieces.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.leads));
        let rows = pieces.into_iter().map(|(content, sums)| {
            let mut row = sums_json(sums);
            if let Some(row) = row.as_object_mut() {
                row.insert(GROUP.to_owned(), content.as_str().into());
            }
            row
        });
        let mut shown = json!({
            "as_of": kept.get("as_of"), "playbook_version": kept.get("playbook_version"), "rows": rows.collect::<Vec<_>>(),
            "rows_left_out": kept.get("rows_left_out"), "unknown": results.unknown, "left_out": results.left_out,
        });
        only(asked, &mut shown, "/rows", GROUP);
        Some(shown)
    }

    fn table(_: &TrendAsked, days: &[Value]) -> Option<Table> {
        let columns: Vec<(&str, &str)> =
            RESULT_COLUMNS.iter().filter(|(name, _)| !NOT_KEPT.contains(name)).copied().collect();
        dated(days, |day| Some(table(listed(day, "rows"), &columns)))
    }
}
