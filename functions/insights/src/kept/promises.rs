//! The promises of both sides, kept by date.
//!
//! Hand-offs are counted once for each basis, by territory and person; both tables are sums of that. Which leads waited
//! longest is not kept: these are figures, and whoever is erased stands in none.

use super::trend::{Table, Trend, dated, only};
use super::{Night, Tally, count_of, most};
use crate::App;
use crate::promises::{figures, table, territory};
use crate::request::TrendAsked;
use adapters::playbooks::Version;
use adapters::ports::{Put, StoreError};
use domain::lead::Lead;
use domain::promise::People;
use domain::promise::kept::{GroupBy, Kept, Question};
use domain::report::Basis;
use domain::time::Timestamp;
use serde_json::{Value, json};

/// How many of marketing's weeks are kept of a promise: the one under way, and the one before, which a night may end.
const WEEKS: usize = 2;

/// What is counted in a night: the day's hand-offs, and all.
pub(super) struct Promised {
    active: Version,
    people: People,
    now: Timestamp,
    all: Vec<(Basis, Question, Kept)>,
}

impl Promised {
    pub(super) async fn new(app: &App, night: &Night) -> Result<Self, StoreError> {
        let active = app.playbooks.active().await?;
        let people = app.playbooks.people(&active.playbook).await?;
        let all = Self::BASES.iter().map(|(_, basis)| {
            let (from, to) = night.span(*basis);
            let group_by = Self::GROUPS.iter().map(|(_, group_by)| *group_by).collect();
            (*basis, Question { from, to, zone: night.zone.clone(), group_by }, Kept::default())
        });
        Ok(Self { all: all.collect(), active, people, now: night.now })
    }
}

impl Tally for Promised {
    fn add(&mut self, lead: &Lead) {
        let (playbook, now) = (&self.active.playbook, self.now);
        let territory = territory(playbook, lead, now);
        for (_, question, kept) in &mut self.all {
            kept.add(question, &playbook.promises, &self.people, lead, territory, now);
        }
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let Self { active, now, all, .. } = *self;
        let each = all.into_iter().flat_map(|(basis, question, kept)| {
            let of_group = |(word, group_by): &(&'static str, GroupBy)| {
                let (question, kept) = kept.by(&question, *group_by);
                let figures = figures(&question, &active.playbook, &kept, now);
                night.keep(Self::REPORT, word, basis, body(figures, now))
            };
            Self::GROUPS.iter().map(of_group).collect::<Vec<Put>>()
        });
        each.collect()
    }
}

/// Gives what is kept of figures.
fn body(mut figures: Value, now: Timestamp) -> Value {
    let mut list = |at: &str| match figures.pointer_mut(at).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let (mut rows, rows_left_out) = most(list("/sales/rows"), |row| count_of(row, "promised"));
    let (mut marketing, marketing_left_out) = most(list("/marketing"), |one| count_of(one, "leads_a_week"));
    for weeks in marketing.iter_mut().filter_map(|one| one.get_mut("weeks")?.as_array_mut()) {
        weeks.drain(..weeks.len().saturating_sub(WEEKS));
    }
    for count in rows.iter_mut().chain(figures.pointer_mut("/sales/total")).filter_map(Value::as_object_mut) {
        count.remove("waited_longest");
    }
    let mut sales = figures.get_mut("sales").map(Value::take).unwrap_or_default();
    if let Some(sales) = sales.as_object_mut() {
        sales.insert("rows".to_owned(), rows.into());
        sales.insert("rows_left_out".to_owned(), rows_left_out.into());
    }
    json!({
        "as_of": now.to_string(), "sales": sales, "marketing": marketing, "marketing_left_out": marketing_left_out,
    })
}

impl Trend for Promised {
    type GroupBy = GroupBy;
    const REPORT: &'static str = "promises";
    /// A week is made of days.
    const GROUPS: &'static [(&'static str, GroupBy)] =
        &[("territory", GroupBy::Territory), ("person", GroupBy::Person)];

    fn shown(asked: &TrendAsked, mut kept: Value) -> Option<Value> {
        only(asked, &mut kept, "/sales/rows", asked.group_by);
        if asked.group_by == "territory" {
            only(asked, &mut kept, "/marketing", "territory");
        }
        Some(kept)
    }

    fn table(_: &TrendAsked, days: &[Value]) -> Option<Table> {
        dated(days, |day| Some(table(day)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    #[test]
    fn as_much_as_is_kept_of_a_day_is_a_small_part_of_what_a_night_may_write() {
        let long = "x".repeat(63);
        let count = json!({
            "promised": 1_000_000_000, "kept": 1_000_000_000, "broken": 1_000_000_000, "open": 1_000_000_000,
            "kept_rate": 0.123_456_789_012_345_67, "kept_rate_interval": { "low": 0.1234, "high": 0.5678 },
            "first_answer_hours": { "median": 26_280, "p90": 26_280, "of": 1_000_000_000 },
            "tries": { "given_up": 1_000_000_000, "kept": 1_000_000_000 },
            "waited_longest": [long, long, long],
        });
        let row = |_| {
            let mut row: Map<String, Value> = count.as_object().unwrap().clone();
            row.insert("territory".to_owned(), long.as_str().into());
            Value::Object(row)
        };
        let week = json!({ "week": "2026-11-16", "handed_off": 1_000_000, "accepted": 1_000_000,
            "returned": 1_000_000, "verdict": "broken" });
        let promise = json!({ "territory": long, "tz": "America/Argentina/ComodRivadavia", "leads_a_week": 1_000_000,
            "accepted_percent": 100, "kept": 260, "broken": 260, "open": 260, "weeks": vec![week; 260] });
        let figures = json!({
            "sales": { "total": count, "rows": (0..1_000).map(row).collect::<Vec<_>>() },
            "marketing": vec![promise; 1_000],
        });
        let body = body(figures, Timestamp::from_secs(1_800_000_000));
        assert_eq!(
            (&body["sales"]["rows_left_out"], &body["marketing_left_out"]),
            (&json!(975), &json!(975))
        );
        assert!(!body.to_string().contains("waited"));
        assert!(body.to_string().len() < 32_000, "{}", body.to_string().len());
    }
}
