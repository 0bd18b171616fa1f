//! Programs: who is in which, when mails may go, and that no life of a lead breaks the pace.

use crate::case::{lead_id, playbook, slug, time, yaml};
use crate::starter::text;
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::nurture::{claim, exhausted, release, sent_fact};
use domain::change::{Capture, Change, Effect, Fact, Incoming, Pace, Subject, decide, review};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{Email, Identity};
use domain::lead::Lead;
use domain::nurture::pace::{due_program, may_go, suits};
use domain::nurture::{LEASE_MS, Mail, days_ms};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::{DeliveryId, Move};
use domain::time::{DAY_MS, Day, HOUR_MS, MINUTE_MS, Timestamp};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The starter with programs of one's own.
fn with(programs: &str, nurture: &str) -> Playbook {
    let mut document = yaml(&text("playbooks/b2b-starter.yaml"));
    document["nurture"] = json!({ "postal_address": "Company, Vienna" });
    if let (Value::Object(known), Value::Object(more)) = (&mut document["nurture"], yaml(nurture)) {
        known.extend(more);
    }
    document["programs"] = yaml(programs);
    playbook(&document)
}

/// A lead and the playbook that it lives under, with the time as it goes on.
struct Life<'a> {
    playbook: &'a Playbook,
    people: People,
    lead: Lead,
    now: Timestamp,
    facts: u32,
    effects: Vec<Effect>,
}

impl<'a> Life<'a> {
    /// A lead that filled in a form at a time; it agreed to mails where `agreed` says so.
    fn new(playbook: &'a Playbook, n: u8, at: &str, country: &str, agreed: bool) -> Self {
        let now = time(at);
        let attribute = NewAttribute { value: AttributeValue::Text(country.to_owned()), known_at: None };
        let consent = consent(ConsentStatus::Confirmed, now);
        let capture = Capture {
            attributes: BTreeMap::from([(AttributeName::parse("country").unwrap(), attribute)]),
            consents: if agreed { vec![consent] } else { Vec::new() },
            responded: true,
            ..Capture::default()
        };
        let email = Identity::Email(Email::parse("ada@company.example").unwrap());
        let subject = Subject::New { id: lead_id(n), playbook_version: 1 };
        let people = People::nobody().clone();
        let fact = incoming(0, now, "api:test", Fact::Captured(Box::new(capture)));
        let change = decide(subject, vec![email], &[], &[fact], playbook, &people, now);
        let effects = change.entries.iter().flat_map(|entry| entry.effects.clone()).collect();
        Self { playbook, people, lead: change.lead, now, facts: 1, effects }
    }

    fn take(&mut self, change: Change) {
        self.effects.extend(change.entries.iter().flat_map(|entry| entry.effects.clone()));
        self.lead = change.lead;
    }

    fn hear(&mut self, by: &str, fact: Fact) {
        let fact = incoming(self.facts, self.now, by, fact);
        self.facts += 1;
        self.record(&fact);
    }

    fn record(&mut self, fact: &Incoming) {
        let subject = Subject::Existing(Box::new(self.lead.clone()));
        let change = decide(
            subject,
            Vec::new(),
            &[],
            std::slice::from_ref(fact),
            self.playbook,
            &self.people,
            self.now,
        );
        self.take(change);
    }

    fn does(&mut self, kind: &str) {
        let activity = Activity { kind: kind.to_owned(), properties: BTreeMap::new() };
        self.hear("api:test", Fact::Activity(activity));
    }

    fn says(&mut self, what: Move) {
        self.hear("sales:test", Fact::Sales { what, by: None, note: None });
    }

    fn withdraws(&mut self) {
        self.hear("api:test", Fact::Consent(consent(ConsentStatus::Withdrawn, self.now)));
    }

    /// Lets time pass until a moment, doing by itself what a review does.
    fn until(&mut self, at: Timestamp) {
        while let Some(due) = self.lead.due_at.filter(|due| *due <= at && !self.lead.is_due_a_mail()) {
            self.now = self.now.max(due);
            let change = review(&self.lead, self.playbook, 1, None, Pace::AtOnce, &self.people, self.now);
            let Some(change) = change else { break };
            self.take(change);
        }
        self.now = self.now.max(at);
    }

    /// Sends the next mail of its program as soon as it may go, and tells when that was.
    fn mailed(&mut self, content: &str) -> Option<Timestamp> {
        let at = self.lead.nurture.next_at?;
        self.until(at);
        self.send(content)
    }

    /// Sends what is due, if something is.
    fn send(&mut self, content: &str) -> Option<Timestamp> {
        if self.lead.nurture.next_at.is_none_or(|at| at > self.now) {
            return None;
        }
        let program = due_program(&self.lead, self.playbook)?.id.clone();
        let mail = Mail::Program { program, content: slug(content) };
        self.take(claim(&self.lead, (mail, 7), self.playbook, &self.people, self.now));
        let sending = self.lead.nurture.sending.clone().unwrap();
        self.record(&sent_fact(&self.lead, &sending, true));
        assert_eq!(self.lead.nurture.sending, None);
        Some(self.now)
    }

    fn program(&self) -> Option<&str> {
        self.lead.nurture.program.as_ref().map(|id| id.as_str())
    }

    /// What was said of programs since the last time that this was asked.
    fn said(&mut self) -> Vec<String> {
        let said = |effect: &Effect| match effect {
            Effect::ProgramEntered { program, held_out, over, given_back, .. } => {
                let over: Vec<&str> = over.iter().map(|id| id.as_str()).collect();
                let how = if *held_out { "held out of" } else { "in" };
                let back = given_back.as_deref().map(|reason| format!(" given back for {reason}"));
                Some(format!("{how} {program} over {over:?}{}", back.unwrap_or_default()))
            }
            Effect::ProgramLeft { program, exit, .. } => Some(format!("out of {program}: {}", exit.as_str())),
            Effect::ContentExhausted { program } => Some(format!("nothing left in {program}")),
            _ => None,
        };
        std::mem::take(&mut self.effects).iter().filter_map(said).collect()
    }
}

fn consent(status: ConsentStatus, at: Timestamp) -> ConsentFact {
    ConsentFact { purpose: Purpose::Marketing, status, basis: Basis::Consent, text: None, source: None, at }
}

fn incoming(n: u32, at: Timestamp, by: &str, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("test", &n.to_string());
    Incoming { delivery, occurred_at: at, history: false, by: by.to_owned(), strict: false, fact }
}

const ALL_DAY: &str = "hours: {monday: 00:00-24:00, tuesday: 00:00-24:00, wednesday: 00:00-24:00, \
                       thursday: 00:00-24:00, friday: 00:00-24:00, saturday: 00:00-24:00, sunday: 00:00-24:00}";
const MONDAY: &str = "2026-03-02T12:00:00Z";

#[test]
fn a_lead_is_in_the_first_program_that_takes_it_and_the_others_are_named() {
    let playbook = with(
        "
- {id: zeta, priority: 10, audience: {country: AT}}
- {id: alpha, audience: {stage: [inquiry, nurturing]}}
- {id: buyers, for: customer, audience: {country: AT}}
",
        ALL_DAY,
    );
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    assert_eq!(life.said(), [r#"in zeta over ["alpha"]"#]);
    let mut life = Life::new(&playbook, 1, MONDAY, "DE", true);
    assert_eq!(life.said(), ["in alpha over []"]);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", false);
    assert_eq!((life.said(), life.lead.nurture.next_at), (vec![], None), "nobody asked for mails");
}

#[test]
fn a_program_ends_when_the_lead_is_handed_over_and_the_one_for_customers_begins_with_the_purchase() {
    let playbook = with(
        "
- {id: warm, audience: {country: AT}}
- {id: along, for: with_sales, audience: {country: AT}}
- {id: buyers, for: customer, audience: {country: AT}}
",
        ALL_DAY,
    );
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.now = life.now.plus(HOUR_MS);
    life.does("contact_requested");
    assert!(life.lead.person.is_some(), "it was handed over");
    assert_eq!(life.said(), ["in warm over []", "out of warm: stage", "in along over []"]);
    life.now = life.now.plus(HOUR_MS);
    let deal = domain::identity::ExternalId::new("crm", "1").unwrap();
    life.says(Move::Won { deal, amount: None });
    assert_eq!(life.said(), ["out of along: stage", "in buyers over []"]);
    life.withdraws();
    assert_eq!(
        (life.said(), life.lead.nurture.next_at),
        (vec!["out of buyers: permission".to_owned()], None)
    );
}

#[test]
fn what_sales_gives_back_enters_the_program_for_that_reason_with_sales_word_for_it() {
    let playbook = with(
        "
- {id: later, priority: 1, audience: {country: AT}, given_back_for: [budget, timing]}
- {id: warm, audience: {country: AT}, again_after_days: 30}
",
        ALL_DAY,
    );
    for (reason, entered) in
        [("budget", vec!["in later over [] given back for budget"]), ("deciding", vec![])]
    {
        let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
        life.now = life.now.plus(HOUR_MS);
        life.does("contact_requested");
        life.said();
        life.now = life.now.plus(HOUR_MS);
        life.says(Move::NotReady { reason: Some(reason.to_owned()), not_before: None });
        assert_eq!(life.said(), entered);
        // Whoever left may come in again once its time is over, and no sooner.
        life.until(life.now.plus(40 * DAY_MS));
        let again = if reason == "budget" { "later" } else { "warm" };
        assert_eq!(life.program(), Some(again));
    }
}

#[test]
fn a_goal_an_exit_a_program_that_comes_first_and_one_that_is_gone_each_end_a_program() {
    let playbook = with(
        "
- {id: a, priority: 1, audience: {signal: webinar_attended}}
- {id: b, audience: {country: AT}, goal: {signal: pricing_viewed, at_least: 2}, exit: {signal: careers_viewed}}
",
        ALL_DAY,
    );
    let viewed = |life: &mut Life<'_>, path: &str| {
        let path = BTreeMap::from([("path".to_owned(), AttributeValue::Text(path.to_owned()))]);
        life.hear("api:test", Fact::Activity(Activity { kind: "page_viewed".to_owned(), properties: path }));
    };
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    viewed(&mut life, "/pricing");
    assert_eq!(life.said(), ["in b over []"]);
    viewed(&mut life, "/pricing");
    assert_eq!(life.said(), ["out of b: goal"]);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    viewed(&mut life, "/careers");
    assert_eq!(life.said(), ["in b over []", "out of b: condition"]);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.does("webinar_attended");
    assert_eq!(life.said(), ["in b over []", "out of b: another", "in a over []"]);
    let without = with("[]", ALL_DAY);
    life.playbook = &without;
    let change = review(&life.lead, &without, 2, None, Pace::Hold, &life.people, life.now).unwrap();
    life.take(change);
    assert_eq!((life.said(), life.lead.nurture.next_at), (vec!["out of a: retired".to_owned()], None));
}

#[test]
fn the_same_share_is_held_out_whoever_asks_and_a_larger_one_holds_the_same_ones() {
    let of = |percent: u8| {
        with(&format!("[{{id: p, audience: {{country: AT}}, holdout_percent: {percent}}}]"), ALL_DAY)
    };
    let (ten, forty) = (of(10), of(40));
    let other = with("[{id: q, audience: {country: AT}, holdout_percent: 10}]", ALL_DAY);
    let (mut few, mut many, mut both) = (0, 0, 0);
    for n in 0..20_000_u32 {
        let id = format!("lead-{n}");
        let (small, large) = (ten.programs[0].holds_out(&id), forty.programs[0].holds_out(&id));
        assert!(!small || large, "{id}");
        few += u32::from(small);
        many += u32::from(large);
        both += u32::from(small && other.programs[0].holds_out(&id));
    }
    assert!((1_850..2_150).contains(&few) && (7_750..8_250).contains(&many), "{few} {many}");
    assert!((140..260).contains(&both), "{both} are held out of two programs, a hundredth of all");
}

#[test]
fn who_is_held_out_gets_nothing_also_of_no_other_program_and_stays_so_when_the_share_changes() {
    let programs = |percent: u8| {
        format!(
            "[{{id: a, priority: 1, audience: {{country: AT}}, holdout_percent: {percent}}}, {{id: b, audience: {{country: AT}}}}]"
        )
    };
    let (some, none) = (with(&programs(50), ALL_DAY), with(&programs(0), ALL_DAY));
    let n = (0..200).find(|n| some.programs[0].holds_out(lead_id(*n).as_str())).unwrap();
    let mut life = Life::new(&some, n, MONDAY, "AT", true);
    assert_eq!(life.said(), [r#"held out of a over ["b"]"#]);
    assert_eq!(life.lead.nurture.next_at, None);
    life.playbook = &none;
    life.now = life.now.plus(DAY_MS);
    life.does("page_viewed");
    assert!(life.lead.nurture.enrolment().unwrap().held_out && life.lead.nurture.next_at.is_none());
}

#[test]
fn mails_keep_their_distance_and_the_week_has_room_for_so_many() {
    let playbook = with("[{id: p, audience: {country: AT}, first_after_days: 2, gap_days: 1}]", ALL_DAY);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    let start = life.now;
    let days: Vec<i64> =
        (0..5).map(|n| life.mailed(&format!("piece-{n}")).unwrap().since(start) / HOUR_MS).collect();
    // Two a week: the third a week after the first.
    assert_eq!(days, [48, 72, 48 + 168, 72 + 168, 48 + 336]);
}

#[test]
fn quiet_hours_hold_in_the_lead_s_own_time_also_where_clocks_change_and_on_holidays() {
    let hours =
        "{hours: {monday: 09:00-17:00, tuesday: 09:00-17:00, sunday: 01:30-03:30}, holidays: [2026-03-03]}";
    let playbook = with("[{id: p, audience: {stage: inquiry}, first_after_days: 0}]", hours);
    let program = &playbook.programs[0];
    for (country, from, at) in [
        ("AT", "2026-03-02T07:00:00Z", "2026-03-02T08:00:00Z"),
        ("AT", "2026-03-02T16:00:00Z", "2026-03-08T00:30:00Z"), // Tuesday is a holiday, Sunday is next
        ("JP", "2026-03-02T09:00:00Z", "2026-03-07T16:30:00Z"),
        ("AT", "2026-03-29T00:45:00Z", "2026-03-29T00:45:00Z"),
        ("AT", "2026-03-29T01:29:00Z", "2026-03-29T01:29:00Z"), // half past three, an hour earlier than usual
        ("AT", "2026-03-29T01:30:00Z", "2026-03-30T07:00:00Z"),
        ("AT", "2026-10-25T02:29:00Z", "2026-10-25T02:29:00Z"),
        // Nine in New York is six in Los Angeles: it has to suit in both.
        ("US", "2026-03-02T14:00:00Z", "2026-03-02T17:00:00Z"),
        // On the night in which their clocks change, the two share no minute of that hour.
        ("US", "2026-03-02T22:00:00Z", "2026-03-09T16:00:00Z"),
    ] {
        let life = Life::new(&playbook, 1, MONDAY, country, true);
        let found = suits(&life.lead, program, &playbook, time(from)).unwrap();
        assert_eq!(found, time(at), "{country} {from}");
    }
}

#[test]
fn what_is_late_waits_for_the_next_moment_that_suits() {
    let hours = "{hours: {monday: 09:00-17:00, tuesday: 09:00-17:00}}";
    let playbook = with("[{id: p, audience: {country: AT}, first_after_days: 0}]", hours);
    let mut life = Life::new(&playbook, 1, "2026-03-02T15:30:00Z", "AT", true);
    let mail = Mail::Program { program: slug("p"), content: slug("one") };
    assert!(life.lead.nurture.next_at.unwrap() <= life.now && may_go(&life.lead, &mail, &playbook, life.now));
    // Whoever sends comes at five, when the day is over: the claim is taken back, and the mail is due in the morning.
    life.now = time("2026-03-02T16:00:00Z");
    life.take(claim(&life.lead, (mail.clone(), 1), &playbook, &life.people, life.now));
    assert!(!may_go(&life.lead, &mail, &playbook, life.now));
    life.take(release(&life.lead, None, &playbook, &life.people, life.now));
    let morning = time("2026-03-03T08:00:00Z");
    assert_eq!(life.lead.nurture.next_at, Some(morning));
    assert!(may_go(&life.lead, &mail, &playbook, morning));
    // What is late by day goes at once.
    life.now = time("2026-03-03T12:00:00Z");
    life.does("page_viewed");
    assert!(life.lead.nurture.next_at.unwrap() <= life.now);
}

#[test]
fn sales_can_pause_and_nothing_left_to_send_waits_tells_once_or_moves_on() {
    let programs = |exhausted: &str| {
        format!(
            "[{{id: p, priority: 1, audience: {{country: AT}}, exhausted: {exhausted}}}, {{id: q, audience: {{country: AT}}}}]"
        )
    };
    let playbook = with(&programs("tell"), ALL_DAY);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.said();
    let until = life.now.plus(20 * DAY_MS);
    life.hear("sales:test", Fact::NurturePaused { until: Some(until), by: None, note: None });
    assert_eq!(life.lead.nurture.next_at, Some(until));
    assert!(!may_go(
        &life.lead,
        &Mail::Program { program: slug("p"), content: slug("x") },
        &playbook,
        life.now
    ));
    life.now = life.now.plus(HOUR_MS);
    life.hear("sales:test", Fact::NurturePaused { until: None, by: None, note: None });
    assert!(life.lead.nurture.next_at.unwrap() < until);
    life.until(life.lead.nurture.next_at.unwrap());
    life.take(exhausted(&life.lead, &playbook, &life.people, life.now));
    assert_eq!(life.said(), ["nothing left in p"]);
    let again = life.lead.nurture.next_at.unwrap();
    assert!(again >= life.now.plus(7 * DAY_MS));
    life.until(again);
    life.take(exhausted(&life.lead, &playbook, &life.people, life.now));
    assert_eq!(life.said(), Vec::<String>::new(), "it is said once");

    let playbook = with(&programs("move_on"), ALL_DAY);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.said();
    life.take(exhausted(&life.lead, &playbook, &life.people, life.now));
    assert_eq!(life.said(), ["nothing left in p", "out of p: exhausted", "in q over []"]);
}

#[test]
fn who_reacts_to_nothing_gets_a_last_try_then_rests_until_it_does_something() {
    let nurture = format!("{{{ALL_DAY}, sunset: {{after_mails: 2, wait_days: 10}}}}");
    let playbook = with("[{id: p, audience: {country: AT}, again_after_days: 1}]", &nurture);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.mailed("one");
    life.mailed("two");
    assert_eq!(life.lead.nurture.unanswered, 2, "the next is the last try");
    let last = life.mailed("three").unwrap();
    life.said();
    life.until(last.plus(60 * DAY_MS));
    assert_eq!((life.said(), life.program()), (vec!["out of p: silent".to_owned()], None));
    assert_eq!(life.lead.nurture.rests_since.unwrap().day(), last.day().plus(10));
    life.now = life.now.plus(HOUR_MS);
    life.does("page_viewed");
    assert_eq!(life.said(), ["in p over []"]);
    // An answer in time keeps it.
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    for piece in ["one", "two", "three"] {
        life.mailed(piece);
    }
    life.now = life.now.plus(DAY_MS);
    life.does("email_clicked");
    life.until(life.now.plus(6 * DAY_MS));
    assert_eq!((life.program(), life.lead.nurture.unanswered), (Some("p"), 0));
}

#[test]
fn a_claim_fails_what_changed_meanwhile_ends_by_the_fact_and_is_taken_back_where_nothing_went() {
    let playbook = with("[{id: p, audience: {country: AT}}]", ALL_DAY);
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    life.until(life.lead.nurture.next_at.unwrap());
    let mail = Mail::Program { program: slug("p"), content: slug("one") };
    let before = life.lead.clone();
    life.take(claim(&life.lead, (mail.clone(), 7), &playbook, &life.people, life.now));
    assert_eq!(life.lead.version, before.version + 1, "whoever else claims meets another version");
    assert_eq!(life.lead.nurture.next_at.unwrap().since(life.now), LEASE_MS);
    assert!(may_go(&life.lead, &mail, &playbook, life.now));
    let sending = life.lead.nurture.sending.clone().unwrap();
    let fact = sent_fact(&life.lead, &sending, false);
    let claimed = life.lead.clone();
    life.record(&fact);
    assert_eq!((life.lead.nurture.messages, life.lead.nurture.sent.len()), (1, 1));
    life.record(&fact);
    assert_eq!(
        (life.lead.nurture.messages, life.lead.nurture.sent.len()),
        (1, 1),
        "a repeat changes nothing"
    );
    let back = release(&claimed, None, &playbook, &life.people, life.now).lead;
    assert_eq!((back.nurture.sending, back.nurture.next_at), (None, before.nurture.next_at));
    // Unsubscribing between the claim and the sending stops the mail.
    life.lead = claimed;
    life.withdraws();
    assert!(!may_go(&life.lead, &mail, &playbook, life.now));
}

#[test]
fn a_mail_whose_moment_was_missed_waits_for_the_next_that_is_not_quiet() {
    let playbook = with("[{id: p, audience: {country: AT}}]", "{hours: {monday: 09:00-17:00}}");
    let mut life = Life::new(&playbook, 1, MONDAY, "AT", true);
    let mail = Mail::Program { program: slug("p"), content: slug("x") };
    life.until(life.lead.nurture.next_at.unwrap());
    for (at, goes) in [
        ("2026-03-09T08:00:00Z", true),
        ("2026-03-09T15:59:59Z", true),
        ("2026-03-09T16:00:00Z", false),
        ("2026-03-10T09:00:00Z", false),
    ] {
        assert_eq!(may_go(&life.lead, &mail, &playbook, time(at)), goes, "{at}");
    }
}

/// What happens to a lead in a random life.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Waits(u8),
    Does,
    Asks,
    Withdraws,
    Agrees,
    Back,
    Pauses(u8),
    Resumes,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (1_u8..60).prop_map(Turn::Waits),
        2 => Just(Turn::Does),
        1 => Just(Turn::Asks),
        1 => Just(Turn::Withdraws),
        2 => Just(Turn::Agrees),
        1 => Just(Turn::Back),
        1 => (1_u8..40).prop_map(Turn::Pauses),
        1 => Just(Turn::Resumes),
    ]
}

/// Says what the clock on a wall shows: the day of the week from Monday, the minute of the day, the day.
fn wall(at: Timestamp, zone: &str) -> (u8, i64, Day) {
    let zone = TimeZone::get(zone).unwrap();
    let local = at.plus(
        i64::from(zone.to_offset(jiff::Timestamp::from_millisecond(at.millis()).unwrap()).seconds()) * 1_000,
    );
    (local.day().weekday(), local.since(local.day().start()) / MINUTE_MS, local.day())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_life_breaks_the_pace_and_nobody_is_mailed_who_should_not_be(
        turns in prop::collection::vec(turn(), 1..25), gap in 1_u16..9, most in 1_u16..4, first in 0_u16..5,
        (country, zone) in prop::sample::select(vec![("AT", "Europe/Vienna"), ("JP", "Asia/Tokyo"), ("IE", "Europe/Dublin")]),
    ) {
        let playbook = with(
            &format!(
                "[{{id: p, audience: {{stage: [inquiry, nurturing]}}, gap_days: {gap}, first_after_days: {first}, again_after_days: 3}},
                  {{id: s, for: with_sales, audience: {{stage: [marketing_qualified, sales_accepted]}}, gap_days: {gap}, again_after_days: 2}}]"
            ),
            &format!("{{most_per_week: {most}, holidays: [2026-04-06, 2026-05-01]}}"),
        );
        let mut life = Life::new(&playbook, 1, MONDAY, country, true);
        let mut sent: Vec<Timestamp> = Vec::new();
        let mut agreed = true;
        let mut paused: Option<Timestamp> = None;
        let mut number = 0;
        for turn in turns {
            let target = match turn {
                Turn::Waits(days) => life.now.plus(i64::from(days) * DAY_MS),
                _ => life.now.plus(90 * MINUTE_MS),
            };
            loop {
                let due = life.lead.due_at.filter(|due| *due <= target);
                let Some(due) = due else { break };
                if life.lead.is_due_a_mail() {
                    life.now = life.now.max(due);
                    number += 1;
                    let at = life.send(&format!("piece-{number}"));
                    prop_assert!(at.is_some(), "a mail was due");
                    let at = at.unwrap();
                    let (weekday, minute, day) = wall(at, zone);
                    prop_assert!(weekday < 5 && (540..1_020).contains(&minute), "{at} is quiet in {zone}");
                    prop_assert!(!["2026-04-06", "2026-05-01"].contains(&day.to_string().as_str()), "{at}");
                    prop_assert!(agreed && paused.is_none_or(|until| at >= until), "{at}");
                    if let Some(last) = sent.last() {
                        prop_assert!(at.since(*last) >= days_ms(gap), "{last} {at}");
                    }
                    sent.push(at);
                    let week = sent.iter().filter(|one| at.since(**one) < 7 * DAY_MS).count();
                    prop_assert!(week <= usize::from(most), "{sent:?}");
                } else {
                    let before = life.now;
                    life.until(due.max(life.now));
                    prop_assert!(life.lead.due_at.is_none_or(|next| next > due) || life.now > before || life.lead.is_due_a_mail());
                }
            }
            life.until(target);
            match turn {
                Turn::Waits(_) => {}
                Turn::Does => life.does("page_viewed"),
                Turn::Asks => life.does("contact_requested"),
                Turn::Withdraws => {
                    life.withdraws();
                    agreed = false;
                    prop_assert_eq!(life.program(), None);
                }
                Turn::Agrees => {
                    life.hear("api:test", Fact::Consent(consent(ConsentStatus::Confirmed, life.now)));
                    agreed = true;
                }
                Turn::Back => life.says(Move::NotReady { reason: Some("budget".to_owned()), not_before: None }),
                Turn::Pauses(days) => {
                    let until = life.now.plus(i64::from(days) * DAY_MS);
                    life.hear("sales:test", Fact::NurturePaused { until: Some(until), by: None, note: None });
                    paused = Some(until);
                }
                Turn::Resumes => {
                    life.hear("sales:test", Fact::NurturePaused { until: None, by: None, note: None });
                    paused = None;
                }
            }
            // A program of marketing's never outlives the hand-off, and the other way round.
            let whose = life.program().map(|id| if id == "p" { "marketing" } else { "sales" });
            prop_assert!(whose.is_none_or(|whose| whose == life.lead.team().as_str()), "{whose:?} {}", life.lead.stage);
            prop_assert_eq!(life.lead.nurture.sent.len(), sent.len().min(14));
        }
    }
}
