//! The funnel: a history worked out by hand, and what holds of any leads however they are divided.

use crate::case::lead_id;
use crate::drawn::{arrive, brisk, delivery, some_facts, start};
use domain::activity::Activity;
use domain::change::{Fact, Incoming};
use domain::condition::TouchField;
use domain::funnel::{Count, Ending, Funnel, Group, GroupBy, Line, Question, Row};
use domain::identity::{ExternalId, Slug};
use domain::lead::{Lead, Touch};
use domain::money::{Currency, Money};
use domain::report::{self, Basis, Campaigns, PATH};
use domain::sales::{Move, SalesFact};
use domain::stage::Stage;
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn hour(n: i64) -> Timestamp {
    start().plus(n * HOUR_MS)
}

fn asked(group_by: GroupBy, basis: Basis, from: Option<i64>, to: Option<i64>) -> Question {
    Question { group_by, basis, from: from.map(hour), to: to.map(hour), zone: TimeZone::UTC }
}

/// A lead that first responded at the start, after a touch five hours before, and what sales told of it by the hour.
fn lead(n: u8, moves: &[(i64, Move)]) -> Lead {
    let viewed = Activity { kind: "page_viewed".to_owned(), properties: BTreeMap::new() };
    let incoming = Incoming {
        delivery: delivery(0),
        occurred_at: start(),
        history: false,
        by: "test".to_owned(),
        strict: false,
        fact: Fact::Activity(viewed),
    };
    let (mut lead, _) = arrive(&[(start(), incoming)], &brisk());
    lead.id = lead_id(n);
    lead.created_at = hour(-5);
    lead.responded_at = Some(hour(0));
    lead.touches.take(Touch {
        at: hour(-5),
        channel: Some("email".to_owned()),
        campaign: None,
        landing_page: None,
    });
    lead.sales = moves
        .iter()
        .enumerate()
        .map(|(id, (at, what))| SalesFact {
            at: hour(*at),
            id: delivery(id),
            by: None,
            what: what.clone(),
            ends: false,
        })
        .collect();
    lead
}

fn handed() -> Move {
    Move::MarketingQualified { owner: Slug::parse("at-1").unwrap(), promise_due_at: hour(0) }
}

fn won() -> Move {
    Move::Won { deal: ExternalId::new("crm", "1").unwrap(), amount: None }
}

fn counted(question: &Question, leads: &[Lead]) -> (Line, Vec<(Group, Line)>) {
    let mut funnel = Funnel::default();
    leads.iter().filter_map(Row::of).for_each(|row| funnel.add(question, &row));
    funnel.finish(usize::MAX)
}

fn numbers(line: &Line, stage: Stage) -> [u64; 5] {
    let count = line.stages.get(&stage).cloned().unwrap_or_default();
    [count.reached, count.entered, count.open, count.left, count.advanced]
}

/// One that was won after a detour, one that sales won at once, one that waits, one that nobody handed over, one that is out.
fn five() -> Vec<Lead> {
    vec![
        lead(
            1,
            &[
                (10, handed()),
                (20, Move::Rejected { reason: None }),
                (100, handed()),
                (110, Move::Accepted),
                (200, won()),
            ],
        ),
        lead(2, &[(50, won())]),
        lead(3, &[(30, handed()), (36, Move::Accepted)]),
        lead(4, &[]),
        lead(5, &[(40, handed()), (90, Move::Disqualified { reason: None })]),
    ]
}

#[test]
fn a_cohort_tells_how_far_its_leads_came_and_which_of_them_may_still_go_on() {
    let question = asked(GroupBy::Touch(TouchField::Channel), Basis::Cohort, None, None);
    let (total, rows) = counted(&question, &five());
    assert_eq!(rows, [(Group::Of(Some("email".to_owned())), total.clone())]);
    assert_eq!((total.leads, total.won, total.lost, total.open), (5, 2, 1, 2));
    assert_eq!(numbers(&total, Stage::Inquiry), [5, 5, 1, 0, 0]);
    // The one that was won at once came so far and never stood there.
    assert_eq!(numbers(&total, Stage::MarketingQualified), [4, 3, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::SalesAccepted), [3, 2, 1, 0, 0]);
    assert_eq!(numbers(&total, Stage::SalesQualified), [2, 0, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Opportunity), [2, 0, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Customer), [2, 2, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Nurturing), [1, 1, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Disqualified), [1, 1, 0, 0, 0]);
    let hours = |stage: Stage, of: fn(&Count) -> Option<u16>| total.stages.get(&stage).and_then(of);
    // 10, 30 and 40 hours after the response; 15, 35 and 45 after the touch.
    assert_eq!(hours(Stage::MarketingQualified, |count| count.took.quantile(50)), Some(30));
    assert_eq!(hours(Stage::MarketingQualified, |count| count.took.quantile(90)), Some(40));
    assert_eq!(hours(Stage::MarketingQualified, |count| count.since_first.quantile(50)), Some(35));
    // From the first hand-off at 10 to 110, and from 30 to 36.
    assert_eq!(hours(Stage::SalesAccepted, |count| count.took.quantile(50)), Some(6));
    assert_eq!(hours(Stage::Customer, |count| count.took.quantile(50)), None);
    assert_eq!(hours(Stage::Customer, |count| count.since_first.quantile(50)), Some(55));
}

#[test]
fn a_period_tells_what_happened_in_it_whoever_it_happened_to() {
    let question = asked(GroupBy::Label, Basis::Period, Some(20), Some(100));
    let (total, _) = counted(&question, &five());
    // The fourth did nothing in it. The first was given back, the second won, the fifth disqualified.
    assert_eq!((total.leads, total.won, total.lost, total.open), (4, 1, 1, 2));
    assert_eq!(numbers(&total, Stage::Inquiry), [0, 0, 0, 3, 3]);
    assert_eq!(numbers(&total, Stage::MarketingQualified), [2, 2, 0, 3, 1]);
    assert_eq!(numbers(&total, Stage::SalesAccepted), [1, 1, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Nurturing), [1, 1, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Customer), [1, 1, 0, 0, 0]);
    assert_eq!(numbers(&total, Stage::Disqualified), [1, 1, 0, 0, 0]);
    assert_eq!(total.stages[&Stage::MarketingQualified].took.quantile(50), Some(6));
    // The end is not included, the beginning is.
    let (rest, _) = counted(&Question { from: question.to, to: None, ..question }, &five());
    assert_eq!((rest.leads, numbers(&rest, Stage::MarketingQualified)), (1, [1, 1, 0, 1, 1]));
    assert_eq!(numbers(&rest, Stage::Nurturing), [0, 0, 0, 1, 1]);
}

#[test]
fn who_was_a_customer_before_begins_as_who_asks_again_does() {
    let question = asked(GroupBy::Label, Basis::Cohort, None, None);
    let old = |moves: &[(i64, Move)]| Lead { was_customer: true, ..lead(1, moves) };
    let (total, _) = counted(&question, &[old(&[])]);
    assert_eq!(
        (numbers(&total, Stage::Inquiry), numbers(&total, Stage::Customer)),
        ([1, 1, 1, 0, 0], [0; 5])
    );
    let (total, _) = counted(&question, &[old(&[(7, won())])]);
    assert_eq!((total.won, numbers(&total, Stage::Customer)), (1, [1, 1, 0, 0, 0]));
}

#[test]
fn months_are_those_of_the_time_zone_and_a_lead_counts_in_each_of_its_segments() {
    let mut lead = lead(1, &[]);
    lead.segments = ["a", "b"].into_iter().map(|id| Slug::parse(id).unwrap()).collect();
    let at = Timestamp::parse("2026-01-31T23:30:00Z").unwrap();
    lead.touches.first.as_mut().unwrap().at = at;
    let row = Row::of(&Lead { responded_at: Some(at), ..lead }).unwrap();
    let groups = |group_by, zone: &str| {
        let zone = TimeZone::get(zone).unwrap();
        Question { zone, ..asked(group_by, Basis::Cohort, None, None) }.groups(&row)
    };
    assert_eq!(groups(GroupBy::FirstContactMonth, "UTC"), [Some("2026-01".to_owned())]);
    assert_eq!(groups(GroupBy::FirstContactMonth, "Europe/Vienna"), [Some("2026-02".to_owned())]);
    assert_eq!(groups(GroupBy::Segment, "UTC"), [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(groups(GroupBy::Persona, "UTC"), [None]);
}

fn some_leads() -> impl Strategy<Value = Vec<Lead>> {
    prop::collection::vec((some_facts(12), prop::option::of(0_u8..6)), 1..8).prop_map(|all| {
        let lead = |(n, (facts, channel)): (usize, (Vec<_>, Option<u8>))| {
            let (mut lead, _) = arrive(&facts, &brisk());
            lead.id = lead_id(n as u8);
            let at = lead.created_at;
            let channel = channel.map(|n| format!("c{n}"));
            lead.touches.first = Some(Touch { at, channel, campaign: None, landing_page: None });
            lead
        };
        all.into_iter().enumerate().map(lead).collect()
    })
}

fn some_question() -> impl Strategy<Value = Question> {
    let group_by = prop::sample::select(GroupBy::WORDS).prop_map(|(_, group_by)| group_by);
    let time = || prop::option::of(-10_i64..60 * 24);
    (group_by, prop::sample::select(Basis::WORDS), time(), time())
        .prop_map(|(group_by, (_, basis), from, to)| asked(group_by, basis, from, to))
}

/// Leads, won, lost, and euros of all rows that a report of a time has.
fn brought(leads: &[Lead], from: Option<i64>, to: Option<i64>) -> (u64, u64, i64) {
    let (group_by, basis) = (TouchField::Channel, Basis::Period);
    let asked = report::Question { group_by, basis, from: from.map(hour), to: to.map(hour) };
    let mut campaigns = Campaigns::default();
    leads.iter().filter_map(report::Row::of).for_each(|row| campaigns.add(&asked, &row));
    let lines = campaigns.finish(&asked);
    let sum = |of: &dyn Fn(&report::Line) -> u64| lines.values().map(of).sum();
    let euros = lines.values().flat_map(|line| line.revenue.values()).sum();
    (sum(&|line| line.leads), sum(&|line| line.won), euros)
}

#[test]
fn what_is_said_again_of_a_won_deal_changes_what_it_brought_and_not_when() {
    let won_for = |euros: &str| {
        let amount = Money::parse(euros, Currency::parse("EUR").unwrap()).ok();
        Move::Won { deal: ExternalId::new("crm", "1").unwrap(), amount }
    };
    // Corrected later, and told of a colleague in between.
    let leads = [lead(1, &[(10, won_for("0.10")), (90, won_for("0.30"))]), lead(2, &[(50, won_for("0.20"))])];
    assert_eq!(brought(&leads, Some(0), Some(40)), (1, 1, 30));
    assert_eq!(brought(&leads, Some(40), Some(80)), (1, 1, 0), "the colleague, and no deal of their own");
    assert_eq!(brought(&leads, Some(80), None), (0, 0, 0), "nothing was won");
    assert_eq!(brought(&leads, None, None), (2, 2, 30));
    let question = asked(GroupBy::Country, Basis::Period, Some(80), None);
    assert_eq!(counted(&question, &leads).0.leads, 0, "and nothing happened");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_the_leads_in_any_order_add_up_to_one_report(
        (leads, parts) in some_leads().prop_flat_map(|leads| {
            let parts = prop::collection::vec(0_usize..3, leads.len());
            (Just(leads), (parts, Just([0_usize, 1, 2]).prop_shuffle()))
        }),
        question in some_question(),
        most in 0_usize..4,
    ) {
        let (of, order) = parts;
        let rows: Vec<Row> = leads.iter().filter_map(Row::of).collect();
        let mut whole = Funnel::with_room_for(most);
        rows.iter().for_each(|row| whole.add(&question, row));
        let mut divided: Vec<Funnel> = (0..3).map(|_| Funnel::with_room_for(most)).collect();
        leads.iter().zip(&of).for_each(|(lead, part)| {
            Row::of(lead).iter().for_each(|row| divided[*part].add(&question, row));
        });
        let [a, b, c] = order.map(|part| divided[part].clone());
        // From the left and from the right.
        let mut left = a.clone();
        left.merge(b.clone());
        left.merge(c.clone());
        let mut right = b;
        right.merge(c);
        let mut joined = a;
        joined.merge(right);
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&joined, &whole);
        prop_assert!(whole.names().len() <= most);

        let asked = report::Question {
            group_by: TouchField::Channel, basis: question.basis, from: question.from, to: question.to,
        };
        let mut campaigns = Campaigns::default();
        rows.iter().for_each(|row| campaigns.add(&asked, &row.lead));
        let mut divided: Vec<Campaigns> = vec![Campaigns::default(); 3];
        leads.iter().zip(&of).for_each(|(lead, part)| {
            Row::of(lead).iter().for_each(|row| divided[*part].add(&asked, &row.lead));
        });
        let mut joined = Campaigns::default();
        order.into_iter().for_each(|part| joined.merge(divided[part].clone()));
        prop_assert_eq!(joined.finish(&asked), campaigns.finish(&asked));
    }

    #[test]
    fn shares_are_shares_and_every_lead_is_somewhere(leads in some_leads(), question in some_question()) {
        let rows: Vec<Row> = leads.iter().filter_map(Row::of).collect();
        let (total, lines) = counted(&question, &leads);
        for line in lines.iter().map(|(_, line)| line).chain([&total]) {
            prop_assert_eq!(line.leads, line.won + line.lost + line.open);
            let path: Vec<Count> =
                PATH.iter().map(|stage| line.stages.get(stage).cloned().unwrap_or_default()).collect();
            for count in line.stages.values() {
                prop_assert!(count.advanced <= count.left && count.entered <= count.reached);
            }
            if question.basis == Basis::Cohort {
                prop_assert_eq!(path[0].reached, line.leads);
                prop_assert!(path.windows(2).all(|two| two[0].reached >= two[1].reached));
                // Who is open stands somewhere, once.
                prop_assert_eq!(path.iter().map(|count| count.open).sum::<u64>(), line.open);
                prop_assert!(path[5].reached >= line.won);
            }
        }
        let counts = rows.iter().filter(|row| question.counts(row));
        prop_assert_eq!(counts.clone().count() as u64, total.leads);
        prop_assert_eq!(counts.filter(|row| question.ending(row) == Ending::Won).count() as u64, total.won);
        if question.group_by != GroupBy::Segment {
            prop_assert_eq!(lines.iter().map(|(_, line)| line.leads).sum::<u64>(), total.leads);
        }
    }

    #[test]
    fn days_side_by_side_hold_every_move_once(leads in some_leads(), cut in 0_i64..60) {
        // Who came into a stage on both sides of the cut counts in both periods, and once in the whole.
        for lead in &leads {
            let Some(row) = Row::of(lead) else { continue };
            let at = start().plus(cut * DAY_MS);
            let of = |from, to| {
                let question = Question { from, to, ..asked(GroupBy::Label, Basis::Period, None, None) };
                let passage = |stage: &Stage| question.passage(&row, *stage);
                PATH.iter().map(passage).filter(|passage| passage.entered).count()
            };
            let (all, before, after) = (of(None, None), of(None, Some(at)), of(Some(at), None));
            prop_assert!(before.max(after) <= all && all <= before + after);
        }
    }
}
