//! The funnel by each of its groups, kept by date.

use super::trend::{Table, Trend, dated};
use super::{MOST_ROWS, Night, Tally};
use crate::funnel::figures::{Figures, table};
use crate::request::TrendAsked;
use adapters::ports::Put;
use domain::funnel::{Funnel, GroupBy, Question, Row};
use domain::lead::Lead;
use domain::report::Basis;
use serde_json::Value;

/// What is counted in a night: each group in each basis. Rows beyond those with most leads are counted together.
pub(super) struct Funnels(Vec<(&'static str, Question, Funnel)>);

impl Funnels {
    pub(super) fn new(night: &Night) -> Self {
        let asked = |(word, group_by): &(&'static str, GroupBy), basis: Basis| {
            let ((from, to), zone) = (night.span(basis), night.zone.clone());
            (*word, Question { group_by: *group_by, basis, from, to, zone }, Funnel::default())
        };
        let each =
            Self::GROUPS.iter().flat_map(|group| Self::BASES.iter().map(|(_, basis)| asked(group, *basis)));
        Self(each.collect())
    }
}

impl Tally for Funnels {
    fn add(&mut self, lead: &Lead) {
        let Some(row) = Row::of(lead) else { return };
        self.0.iter_mut().for_each(|(_, question, funnel)| funnel.add(question, &row));
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let kept = self.0.into_iter().map(|(group_by, question, funnel)| {
            let figures = Figures::of(funnel, MOST_ROWS, night.now);
            night.keep(Self::REPORT, group_by, question.basis, figures.to_json())
        });
        kept.collect()
    }
}

impl Trend for Funnels {
    type GroupBy = GroupBy;
    const REPORT: &'static str = "funnel";
    const GROUPS: &'static [(&'static str, GroupBy)] = GroupBy::WORDS;

    fn shown(asked: &TrendAsked, kept: Value) -> Option<Value> {
        let mut figures = Figures::from_json(&kept)?;
        if let Some(row) = &asked.row {
            figures.only(row.as_deref());
        }
        Some(figures.shown(asked.group_by, asked.basis))
    }

    fn table(asked: &TrendAsked, days: &[Value]) -> Option<Table> {
        dated(days, |day| Some(table(day, asked.group_by, asked.basis)))
    }
}
