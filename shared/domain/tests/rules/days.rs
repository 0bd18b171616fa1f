//! What time alone does to a lead, compared with brute force: four hundred days, each looked at.

use crate::case::playbook;
use crate::drawn::{any_playbook, arrive, some_facts};
use domain::change::{LOOK_AHEAD_DAYS, advance};
use domain::evaluation::Evaluation;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::People;
use domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

/// Reviews a lead and tells whether that changed what it is rather than only when it is due.
fn reviewed(lead: &mut Lead, playbook: &Playbook, now: Timestamp) -> bool {
    match advance(lead, playbook, 1, None, People::nobody(), now) {
        Some(change) => {
            *lead = change.lead;
            !change.entries.is_empty()
        }
        None => false,
    }
}

/// What of a lead may change by time alone, the bare numbers of its score left out, which are computed on read.
fn shown(lead: &Lead) -> impl PartialEq + std::fmt::Debug + '_ {
    (
        (lead.score.label, &lead.persona, lead.phase, &lead.segments, lead.ready),
        (lead.stage, lead.stage_since, lead.cycle, &lead.person, lead.promise_due_at),
        (lead.responded_at, &lead.sales, &lead.ledger_since),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lead_reviewed_only_when_it_is_due_is_every_day_what_one_reviewed_daily_is(
        facts in some_facts(10), rules in any_playbook()
    ) {
        let playbook = playbook(&rules);
        let (lead, now) = arrive(&facts, &playbook);
        let (mut daily, mut due) = (lead.clone(), lead);
        for ahead in 1..=i64::from(LOOK_AHEAD_DAYS) {
            let now = now.plus(ahead * DAY_MS).day().start();
            reviewed(&mut daily, &playbook, now);
            if due.due_at.is_some_and(|at| at <= now) {
                reviewed(&mut due, &playbook, now);
            }
            prop_assert_eq!(shown(&due), shown(&daily), "on {}", now);
            let found = Evaluation::of(&due, &playbook, now.day());
            prop_assert_eq!(found.score.label, due.score.label, "on {}", now);
            prop_assert_eq!((&found.persona, found.phase), (&due.persona, due.phase), "on {}", now);
            prop_assert_eq!(&found.segments, &due.segments, "on {}", now);
        }
        let horizon = playbook.horizon(now.plus(i64::from(LOOK_AHEAD_DAYS) * DAY_MS).day());
        prop_assert_eq!(due.ledger.folded(horizon), daily.ledger.folded(horizon));
    }

    /// What is due costs a read and a write: nobody is looked at on a day on which nothing about them can change.
    #[test]
    fn a_lead_is_due_on_a_day_that_changes_it_or_when_nobody_looked_further_ahead(
        facts in some_facts(10), rules in any_playbook()
    ) {
        let playbook = playbook(&rules);
        let (mut lead, mut looked) = arrive(&facts, &playbook);
        for _ in 0..12 {
            let Some(due) = lead.due_at else { break };
            let before = lead.clone();
            reviewed(&mut lead, &playbook, due);
            let ahead = due.day().0 - looked.day().0;
            prop_assert!(shown(&lead) != shown(&before) || ahead >= LOOK_AHEAD_DAYS, "on {} nothing changed", due);
            prop_assert!(lead.due_at.is_none_or(|next| next > due), "is due again on {}", due);
            looked = due;
        }
    }
}
