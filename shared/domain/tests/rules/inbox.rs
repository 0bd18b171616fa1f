//! What to work on first, and who may take it.

use crate::case::{playbook, slug, time, yaml};
use crate::drawn::{BRISK, brisk, deliver, delivery, some_facts};
use domain::change::{Capture, Event, EventKind, Fact, Incoming, Outcome, advance};
use domain::claim::{holder, is_taken};
use domain::inbox::{Pressing, Rank, followed_up_at, span, tries};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::{People, Person};
use domain::sales::{DeliveryId, Move};
use domain::score::Label;
use domain::stage::Stage;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use proptest::prelude::*;
use serde_json::json;

fn told(n: usize, at: Timestamp, fact: Fact) -> Incoming {
    Incoming {
        delivery: delivery(n),
        occurred_at: at,
        history: false,
        by: "test".to_owned(),
        strict: true,
        fact,
    }
}

fn sales(what: Move, by: &str) -> Fact {
    Fact::Sales { what, by: Some(slug(by)), note: None }
}

/// A playbook whose every lead is ready, with a promise of ten hours.
fn eager() -> Playbook {
    let mut document = yaml(BRISK);
    document["marketing_qualified"] = json!({"labels": ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "D1", "D2", "D3", "D4"]});
    document["promises"] = json!({"first_answer_hours": 10, "due_soon_percent": 20,
        "follow_up": {"tries": 3, "before": ["silence"]}});
    document["reasons"]["rejected"] = json!([{"id": "silence"}]);
    playbook(&document)
}

fn handed(playbook: &Playbook, at: Timestamp) -> Lead {
    let capture = Fact::Captured(Box::new(Capture { responded: true, ..Capture::default() }));
    let lead = deliver(None, &told(0, at, capture), playbook, at).lead;
    assert_eq!(lead.stage, Stage::MarketingQualified);
    lead
}

fn report(lead: &Lead, n: usize, fact: Fact, playbook: &Playbook, at: Timestamp) -> Lead {
    deliver(Some(lead.clone()), &told(n, at, fact), playbook, at).lead
}

fn follow_up() -> Fact {
    Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None }
}

#[test]
fn a_promise_is_pressing_as_its_clock_says() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let lead = handed(&playbook, start);
    assert_eq!(Pressing::of(&lead, start), Pressing::Running);
    // That it is due soon is said by the tick, in the owner's working hours.
    let late = start.plus(9 * HOUR_MS);
    assert_eq!(Pressing::of(&lead, late), Pressing::Running);
    let soon = advance(&lead, &playbook, 1, None, People::nobody(), late).expect("it is said").lead;
    assert_eq!(Pressing::of(&soon, late), Pressing::DueSoon);
    assert_eq!(Pressing::of(&soon, start.plus(10 * HOUR_MS)), Pressing::Broken);
    // Answered is answered, and an answer that was taken back never was.
    let answered = report(&soon, 1, follow_up(), &playbook, late);
    assert_eq!((Pressing::of(&answered, late), tries(&answered)), (Pressing::Nothing, 1));
    let back = report(&answered, 2, Fact::Withdrawn { id: delivery(1), note: None }, &playbook, late);
    assert_eq!(
        (Pressing::of(&back, late), tries(&back), followed_up_at(&back)),
        (Pressing::DueSoon, 0, None)
    );
}

#[test]
fn the_parts_of_a_rank_count_one_after_another() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let now = start.plus(5 * HOUR_MS);
    let base = handed(&playbook, start);
    let like = |label: &str| {
        let mut lead = base.clone();
        lead.score.label = Label::parse(label).unwrap();
        lead
    };
    let rank = |lead: &Lead| Rank::of(lead, &playbook.promises, now);
    // Bands from the best; of those equally far the more active first.
    let order =
        ["A1", "B1", "A2", "C1", "B2", "A3", "D1", "C2", "B3", "A4", "D2", "C3", "B4", "D3", "C4", "D4"];
    assert!(order.windows(2).all(|two| rank(&like(two[0])) < rank(&like(two[1]))), "{order:?}");
    // Whatever the label, a broken promise comes first, and one that is kept last.
    let mut broken = like("D4");
    broken.promise_due_at = Some(now);
    assert!(rank(&broken) < rank(&like("A1")));
    let tried = report(&like("A1"), 1, follow_up(), &playbook, start.plus(HOUR_MS));
    assert!(rank(&like("D4")) < rank(&tried));
    // Of two that nobody owes an answer, whom fewer tried to reach, up to the promised three.
    let again = |lead: &Lead, n| report(lead, n, follow_up(), &playbook, start.plus(2 * HOUR_MS));
    let (twice, often) = (again(&tried, 2), again(&again(&again(&tried, 3), 4), 5));
    assert!(
        rank(&tried).tries == 1 && rank(&twice).tries == 2 && rank(&often).tries == 3 && tries(&often) == 4
    );
    let says = |lead: &Lead| {
        rank(lead).because(lead, &playbook.promises, now).into_iter().map(|p| p.says).collect::<Vec<_>>()
    };
    assert!(says(&twice).contains(&"they were tried 2 of 3 times".to_owned()), "{:?}", says(&twice));
    assert!(says(&often).contains(&"they were tried as often as promised".to_owned()));
    assert_eq!(says(&base)[0], "the promise of an answer is due in 5 hours");
    assert_eq!(says(&broken)[0], "the promise of an answer was broken 0 minutes ago");
    assert_eq!((span(MINUTE_MS), span(DAY_MS * 3)), ("1 minute".to_owned(), "3 days".to_owned()));
}

#[test]
fn whoever_takes_a_lead_first_has_it_whatever_time_the_other_names() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let offered = handed(&playbook, start);
    let owner = offered.person.clone().unwrap();
    assert!(!is_taken(&offered));
    let now = start.plus(HOUR_MS);
    let assigned = |to: &str| Move::Assigned { to: slug(to), promise_due_at: None };
    for first in [Move::Accepted, assigned("at-2")] {
        let taken = report(&offered, 1, sales(first.clone(), "at-2"), &playbook, now);
        assert_eq!(taken.person, Some(slug("at-2")), "{first:?}");
        assert_eq!(taken.person_since, Some(now));
        for other in [Move::Accepted, assigned("at-3")] {
            let earlier = told(2, now.plus(-MINUTE_MS), sales(other.clone(), "at-3"));
            let change = deliver(Some(taken.clone()), &earlier, &playbook, now);
            assert!(matches!(change.outcomes[..], [Outcome::Illegal { .. }]), "{first:?}, then {other:?}");
            assert_eq!(change.lead, taken);
            assert_eq!(holder(&taken, &other, Some(&slug("at-3"))), Some(&slug("at-2")));
        }
        // To pass it on is no taking; nor does who has it take it from themselves.
        let passed = report(&taken, 3, sales(assigned("at-3"), "at-2"), &playbook, now.plus(MINUTE_MS));
        assert_eq!(passed.person, Some(slug("at-3")));
        assert_eq!(holder(&taken, &Move::Accepted, Some(&slug("at-2"))), None);
    }
    // What systems report in bulk is kept in the order in which it happened.
    let taken = report(&offered, 1, sales(Move::Accepted, "at-2"), &playbook, now);
    let bulk = Incoming { strict: false, ..told(2, now.plus(-MINUTE_MS), sales(Move::Accepted, "at-3")) };
    let change = deliver(Some(taken), &bulk, &playbook, now);
    assert_eq!(change.lead.person, Some(slug("at-3")));
    assert_ne!(Some(owner), change.lead.person);
}

#[test]
fn whoever_has_a_lead_by_whatever_fact_is_told_outside() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let offered = handed(&playbook, start);
    let owner = offered.person.clone().unwrap();
    let people: People =
        [(owner.clone(), Person { deputy: Some(slug("at-2")), ..Person::default() })].into_iter().collect();
    let owners = |events: &[Event]| -> Vec<String> {
        let assigned = events.iter().filter(|event| event.kind == EventKind::Assigned);
        assigned.flat_map(|event| event.detail.iter().map(|(_, owner)| owner.clone())).collect()
    };
    // Nobody answered, so the deputy has it.
    let late = start.plus(11 * HOUR_MS);
    let broken = advance(&offered, &playbook, 1, None, &people, late).expect("it is broken");
    assert_eq!(owners(&broken.events), ["at-2"]);
    // They had called in time and say so now: it is theirs again.
    let called = told(1, start.plus(HOUR_MS), follow_up());
    let kept = deliver(Some(broken.lead.clone()), &called, &playbook, late.plus(MINUTE_MS));
    assert_eq!((&kept.lead.person, owners(&kept.events)), (&Some(owner.clone()), vec![owner.to_string()]));
    // Whoever takes it has it, and who has it already is no news.
    let taken = told(2, late, sales(Move::Accepted, "at-3"));
    let taken = deliver(Some(broken.lead), &taken, &playbook, late);
    assert_eq!(owners(&taken.events), ["at-3"]);
    let on = deliver(Some(taken.lead), &told(3, late, sales(Move::Qualified, "at-3")), &playbook, late);
    assert_eq!(owners(&on.events), Vec::<String>::new());
}

#[test]
fn who_is_to_answer_by_when_does_not_go_by_what_is_known_already_of_later() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let offered = handed(&playbook, start);
    let given = told(
        1,
        start.plus(HOUR_MS),
        sales(Move::Assigned { to: slug("at-2"), promise_due_at: None }, "at-2"),
    );
    let called = told(2, start.plus(2 * HOUR_MS), follow_up());
    let now = start.plus(3 * HOUR_MS);
    let both = |first: &Incoming, second: &Incoming| {
        let lead = deliver(Some(offered.clone()), first, &playbook, now).lead;
        deliver(Some(lead), second, &playbook, now).lead.sales
    };
    assert_eq!(both(&given, &called), both(&called, &given));
}

#[test]
fn a_taking_that_is_withdrawn_leaves_the_lead_to_be_taken() {
    let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
    let offered = handed(&playbook, start);
    let now = start.plus(HOUR_MS);
    let taken = report(
        &offered,
        1,
        sales(Move::Assigned { to: slug("at-2"), promise_due_at: None }, "at-2"),
        &playbook,
        now,
    );
    assert!(is_taken(&taken));
    let back = report(&taken, 2, Fact::Withdrawn { id: delivery(1), note: None }, &playbook, now.plus(1));
    assert_eq!((is_taken(&back), &back.person), (false, &offered.person));
    let again = report(&back, 3, sales(Move::Accepted, "at-3"), &playbook, now.plus(2));
    assert_eq!(again.person, Some(slug("at-3")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rank_reads_back_as_it_was_written(facts in some_facts(14), hours in 0_i64..60) {
        let playbook = brisk();
        let mut lead = None;
        let mut now = time("2026-03-02");
        for (at, fact) in &facts {
            now = *at;
            lead = Some(deliver(lead.take(), fact, &playbook, now).lead);
        }
        let rank = Rank::of(&lead.unwrap(), &playbook.promises, now.plus(hours * HOUR_MS));
        prop_assert_eq!(Rank::parse(&rank.to_text()), Some(rank));
    }

    /// Of any who take a lead by themselves, in any order and naming any time, the first to be heard has it, as long as
    /// nobody passes it on, gives it back or ends it.
    #[test]
    fn of_any_who_take_a_lead_the_first_has_it(
        takers in prop::collection::vec((0_u8..4, -50_i64..50, any::<bool>()), 1..12)
    ) {
        let (playbook, start) = (eager(), time("2026-03-02T08:00:00Z"));
        let mut lead = handed(&playbook, start);
        let now = start.plus(HOUR_MS);
        let first = slug(&format!("p-{}", takers[0].0));
        for (n, (who, minutes, accepts)) in takers.iter().enumerate() {
            let who = slug(&format!("p-{who}"));
            let to = who.clone();
            let what = if *accepts { Move::Accepted } else { Move::Assigned { to, promise_due_at: None } };
            let fact = Fact::Sales { what, by: Some(who.clone()), note: None };
            let delivery = DeliveryId::new("taker", &n.to_string());
            let sent = Incoming { delivery, ..told(0, now.plus(minutes * MINUTE_MS / 10), fact) };
            let change = deliver(Some(lead), &sent, &playbook, now);
            let stored = !matches!(change.outcomes[..], [Outcome::Illegal { .. }]);
            prop_assert!(!stored || who == first, "{} was told that they have it", who);
            lead = change.lead;
            prop_assert_eq!(lead.person.as_ref(), Some(&first));
        }
    }
}

#[test]
fn what_is_no_rank_is_none() {
    for text in [
        "",
        "0 0 0",
        "9 0 0 0 0 0 aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0 0 0 0 0 0 A",
        "0 0 0 0 0 0 aaaaaaaaaaaaaaaaaaaaaaaaaa x",
    ] {
        assert_eq!(Rank::parse(text), None, "{text}");
    }
}
