//! How both sides kept their promises, counted.

use crate::case::{lead_id, patched, playbook, slug, time, yaml};
use crate::drawn::{BRISK, arrive, deliver, some_facts};
use domain::change::{Capture, Fact, Incoming};
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::kept::{Count, GroupBy, Kept, Question};
use domain::promise::{People, State, Verdict, clocks, turns};
use domain::sales::{DeliveryId, Move, SalesFact};
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn promising() -> Playbook {
    let promises = yaml(
        "{promises: {first_answer_hours: 8, follow_up: {tries: 2, before: [rival]},
          marketing: [{territory: alps, timezone: Europe/Vienna, leads_a_week: 2, accepted_percent: 50}, {leads_a_week: 1}]}}",
    );
    playbook(&patched(yaml(BRISK), &promises))
}

fn question(group_by: &[GroupBy]) -> Question {
    Question { from: None, to: None, zone: TimeZone::UTC, group_by: group_by.to_vec() }
}

fn territory<'a>(playbook: &'a Playbook, lead: &Lead, now: Timestamp) -> Option<&'a Slug> {
    playbook.territory(lead, now.day()).map(|territory| &territory.id)
}

fn count(question: &Question, playbook: &Playbook, leads: &[Lead], now: Timestamp) -> Kept {
    let mut kept = Kept::default();
    for lead in leads {
        kept.add(question, &playbook.promises, People::nobody(), lead, territory(playbook, lead, now), now);
    }
    kept
}

/// A lead of which nothing is known.
fn born() -> Lead {
    let fact = Incoming {
        delivery: DeliveryId::new("kept", "born"),
        occurred_at: time("2026-01-01"),
        history: false,
        by: "test".to_owned(),
        strict: false,
        fact: Fact::Captured(Box::new(Capture { responded: true, ..Capture::default() })),
    };
    deliver(None, &fact, &promising(), time("2026-01-01")).lead
}

/// A lead of which these sales facts are known.
fn with(n: u8, facts: &[(&str, Move)]) -> Lead {
    let mut lead = born();
    lead.id = lead_id(n);
    lead.sales = facts
        .iter()
        .map(|(at, what)| SalesFact {
            at: time(at),
            id: DeliveryId::new("kept", &format!("{at} {what:?}")),
            by: None,
            what: what.clone(),
            ends: false,
        })
        .collect();
    lead
}

fn handed(to: &str, due: &str) -> Move {
    Move::MarketingQualified { owner: slug(to), promise_due_at: time(due) }
}

#[test]
fn each_hand_off_is_a_promise_of_whoever_had_the_lead_and_the_longest_waits_stand_out() {
    let playbook = promising();
    let rejected = || Move::Rejected { reason: Some("rival".to_owned()) };
    let leads = [
        with(
            1,
            &[
                ("2026-03-02T08:00:00Z", handed("at-1", "2026-03-02T16:00:00Z")),
                ("2026-03-02T11:30:00Z", Move::FollowedUp),
                ("2026-03-02T12:00:00Z", rejected()),
            ],
        ),
        with(
            2,
            &[
                ("2026-03-03T08:00:00Z", handed("at-1", "2026-03-03T16:00:00Z")),
                ("2026-03-04T09:00:00Z", Move::Accepted),
            ],
        ),
        with(3, &[("2026-03-09T08:00:00Z", handed("at-2", "2026-03-09T16:00:00Z"))]),
        with(
            4,
            &[
                ("2026-03-02T08:00:00Z", handed("at-1", "2026-03-02T16:00:00Z")),
                (
                    "2026-03-02T16:00:01Z",
                    Move::PromiseBroken { to: Some((slug("at-2"), time("2026-03-03T00:00:01Z"))) },
                ),
                ("2026-03-02T17:00:00Z", Move::Accepted),
            ],
        ),
    ];
    let kept =
        count(&question(&[GroupBy::Person, GroupBy::Week]), &playbook, &leads, time("2026-03-09T10:00:00Z"));
    let row =
        |person: &str, monday: &str| &kept.sales[&vec![Some(person.to_owned()), Some(monday.to_owned())]];
    let of = |count: &Count| {
        (count.promised, count.kept, count.broken, count.open, count.gave_up, count.tried_enough)
    };
    assert_eq!(kept.sales.len(), 2);
    assert_eq!(of(row("at-1", "2026-03-02")), (3, 1, 2, 0, 1, 0));
    assert_eq!(of(row("at-2", "2026-03-09")), (1, 0, 0, 1, 0, 0));
    let total = kept.total();
    assert_eq!(
        (total.took.quantile(50), total.took.quantile(90), total.took.count()),
        (Some(9), Some(25), 3)
    );
    let waited: Vec<(LeadId, i64, bool)> =
        total.waited.iter().map(|w| (w.lead.clone(), w.ms / HOUR_MS, w.answered)).collect();
    assert_eq!(waited, [(lead_id(2), 25, true), (lead_id(4), 9, true), (lead_id(1), 3, true)]);
}

#[test]
fn marketing_is_judged_by_every_whole_week_that_was_asked_for_also_the_empty_ones() {
    let playbook = promising();
    let [elsewhere, alps] = playbook.promises.marketing.as_slice() else { panic!("two promises") };
    let at = |at: &str| (at.to_owned(), handed("eu-1", "2026-12-31"));
    let leads: Vec<Lead> = ["2026-03-03T08:00:00Z", "2026-03-17T08:00:00Z"]
        .into_iter()
        .enumerate()
        .map(|(n, day)| with(n as u8, &[(&at(day).0, at(day).1)]))
        .collect();
    let judged = |question: &Question, promise, now: &str| -> Vec<(String, u32, Verdict)> {
        let kept = count(question, &playbook, &leads, time(now));
        let weeks = kept.weeks(question, promise, time(now));
        weeks.iter().map(|week| (week.monday.to_string(), week.tally.delivered, week.verdict)).collect()
    };
    let all = question(&[GroupBy::Territory]);
    let expected = |rows: &[(&str, u32, Verdict)]| -> Vec<(String, u32, Verdict)> {
        rows.iter().map(|(monday, n, verdict)| ((*monday).to_owned(), *n, *verdict)).collect()
    };
    assert_eq!(
        judged(&all, elsewhere, "2026-03-24T08:00:00Z"),
        expected(&[
            ("2026-03-02", 1, Verdict::Kept),
            ("2026-03-09", 0, Verdict::Broken),
            ("2026-03-16", 1, Verdict::Kept),
            ("2026-03-23", 0, Verdict::Open),
        ])
    );
    assert_eq!(judged(&all, alps, "2026-03-24T08:00:00Z"), [], "nobody was handed over there");
    // Half a week breaks nobody's promise.
    let some = Question { from: Some(time("2026-03-04")), to: Some(time("2026-03-20")), ..all };
    assert_eq!(
        judged(&some, elsewhere, "2026-03-24T08:00:00Z"),
        expected(&[("2026-03-09", 0, Verdict::Broken)])
    );
    assert_eq!(judged(&some, alps, "2026-03-24T08:00:00Z"), expected(&[("2026-03-09", 0, Verdict::Broken)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_add_up_in_any_order_and_every_hand_off_stands_in_one_row(
        histories in prop::collection::vec(some_facts(12), 1..6), cut in any::<prop::sample::Index>(), days in 0_i64..60
    ) {
        let playbook = promising();
        let mut leads = Vec::new();
        let mut now = Timestamp::default();
        for (n, facts) in histories.iter().enumerate() {
            let (mut lead, then) = arrive(facts, &playbook);
            lead.id = lead_id(n as u8);
            now = now.max(then);
            leads.push(lead);
        }
        let now = now.plus(days * DAY_MS);
        let question = question(&[GroupBy::Territory, GroupBy::Person, GroupBy::Week]);
        let whole = count(&question, &playbook, &leads, now);
        let (first, second) = leads.split_at(cut.index(leads.len()));
        let of = |leads: &[Lead]| count(&question, &playbook, leads, now);
        let (mut there, mut back) = (of(first), of(second));
        there.merge(of(second));
        back.merge(of(first));
        prop_assert_eq!(&there, &whole);
        prop_assert_eq!(&back, &whole);
        for group in [GroupBy::Territory, GroupBy::Person, GroupBy::Week] {
            let (asked, one) = whole.by(&question, group);
            prop_assert_eq!(&asked.group_by, &[group]);
            prop_assert_eq!(&one, &count(&asked, &playbook, &leads, now));
        }
        let all: Vec<State> = leads
            .iter()
            .flat_map(|lead| clocks(turns(lead, None)))
            .map(|clock| clock.state(now))
            .collect();
        let total = whole.total();
        prop_assert_eq!(total.promised, all.len() as u64);
        prop_assert_eq!(total.kept, all.iter().filter(|state| **state == State::Kept).count() as u64);
        prop_assert_eq!(total.broken, all.iter().filter(|state| **state == State::Broken).count() as u64);
        prop_assert_eq!(total.promised, total.kept + total.broken + total.open);
        prop_assert!(total.tried_enough <= total.gave_up && total.took.count() <= total.promised);
    }
}
