//! The campaigns report by each field of a touch, kept by date.

use super::trend::{Table, Trend, of_day, only};
use super::{Night, Tally, count_of, most};
use crate::App;
use crate::campaigns::Counted;
use crate::request::{CampaignsAsked, TrendAsked};
use crate::response;
use adapters::ports::{Put, StoreError};
use domain::campaign::Campaign;
use domain::condition::TouchField;
use domain::lead::Lead;
use domain::report::{Basis, Question, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is counted in a night: each group in each basis.
pub(super) struct Touched {
    declared: BTreeMap<String, Campaign>,
    all: Vec<(CampaignsAsked, Counted)>,
}

impl Touched {
    pub(super) async fn new(app: &App, night: &Night) -> Result<Self, StoreError> {
        let declared = adapters::campaigns::all(app.catalog.as_ref()).await?;
        let tz = night.zone.iana_name().unwrap_or("UTC");
        let asked = |group_by: TouchField, basis: Basis| {
            let (from, to) = night.span(basis);
            let question = Question { group_by, basis, from, to };
            (CampaignsAsked::new(question, tz.to_owned()), Counted::default())
        };
        let each = Self::GROUPS
            .iter()
            .flat_map(|(_, group)| Self::BASES.iter().map(|(_, basis)| asked(*group, *basis)));
        Ok(Self { declared, all: each.collect() })
    }
}

impl Tally for Touched {
    fn add(&mut self, lead: &Lead) {
        let row = Row::of(lead);
        for (CampaignsAsked { question, .. }, counted) in &mut self.all {
            row.iter().for_each(|row| counted.campaigns.add(question, row));
            counted.members_of(question, &self.declared, lead);
        }
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let kept = self.all.into_iter().map(|(asked, counted)| {
            let mut report = response::report(&asked, counted, &self.declared, night.now);
            let rows = match report.get_mut("rows").map(Value::take) {
                Some(Value::Array(rows)) => rows,
                _ => Vec::new(),
            };
            let (rows, left_out) = most(rows, |row| count_of(row, "leads"));
            let body = json!({ "as_of": night.now.to_string(), "rows": rows, "rows_left_out": left_out });
            night.keep(Self::REPORT, asked.group_by, asked.question.basis, body)
        });
        kept.collect()
    }
}

impl Trend for Touched {
    type GroupBy = TouchField;
    const REPORT: &'static str = "campaigns";
    const GROUPS: &'static [(&'static str, TouchField)] = TouchField::WORDS;

    fn shown(asked: &TrendAsked, mut kept: Value) -> Option<Value> {
        only(asked, &mut kept, "/rows", asked.group_by);
        Some(kept)
    }

    /// Currencies have columns, so that all days have those of any.
    fn table(asked: &TrendAsked, days: &[Value]) -> Option<Table> {
        let mut rows = Vec::new();
        for day in days {
            let name = day.get("day")?.as_str()?;
            rows.extend(day.get("rows")?.as_array()?.iter().map(|row| of_day(name, row.clone())));
        }
        Some(response::campaigns_table(&["day", asked.group_by], &rows))
    }
}
