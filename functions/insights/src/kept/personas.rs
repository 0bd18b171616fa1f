//! Who mirrors which persona, kept by date: as all leads stood, since nobody mirrors a persona on a day.

use super::trend::{Table, Trend, dated, only};
use super::{Night, Tally, most};
use crate::App;
use crate::personas::card::{Overview, table};
use crate::request::TrendAsked;
use adapters::playbooks::Version;
use adapters::ports::{Put, StoreError};
use domain::lead::Lead;
use domain::persona::figures::Figures;
use domain::report::Basis;
use domain::time::Day;
use serde::Deserialize;
use serde_json::{Value, json};

/// What rows stand for.
const GROUP: &str = "persona";

/// What is counted in a night.
pub(super) struct Mirrored {
    active: Version,
    today: Day,
    figures: Figures,
}

impl Mirrored {
    pub(super) async fn new(app: &App, night: &Night) -> Result<Self, StoreError> {
        let active = app.playbooks.active().await?;
        Ok(Self { active, today: night.now.day(), figures: Figures::default() })
    }
}

impl Tally for Mirrored {
    fn add(&mut self, lead: &Lead) {
        self.figures.add(lead, &self.active.playbook, self.today);
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let Self { active, figures, .. } = *self;
        let mut overview = Overview::of(&figures, &active.playbook, active.number, night.now);
        let left_out;
        (overview.rows, left_out) = most(overview.rows, |row| row.group.all);
        (overview.overlaps, _) = most(overview.overlaps, |overlap| overlap.all);
        let mut body = json!(overview);
        if let Some(body) = body.as_object_mut() {
            body.insert("rows_left_out".to_owned(), left_out.into());
        }
        vec![night.keep(Self::REPORT, GROUP, Basis::Cohort, body)]
    }
}

impl Trend for Mirrored {
    type GroupBy = ();
    const REPORT: &'static str = "personas";
    const GROUPS: &'static [(&'static str, ())] = &[(GROUP, ())];
    const BASES: &'static [(&'static str, Basis)] = &[("cohort", Basis::Cohort)];

    fn shown(asked: &TrendAsked, mut kept: Value) -> Option<Value> {
        only(asked, &mut kept, "/rows", "persona_id");
        Some(kept)
    }

    fn table(_: &TrendAsked, days: &[Value]) -> Option<Table> {
        dated(days, |day| Some(table(&Overview::deserialize(day).ok()?)))
    }
}
