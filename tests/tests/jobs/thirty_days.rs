//! Thirty days of hourly ticks beside brute force: the same leads in the end, and nothing touched in between that need not
//! be.
//!
//! Beside the store stands a copy of every lead that no tick sees. Each hour all leads of the copy are scored anew,
//! whatever is known about when they are due; where anything shows, the copy is brought along.

use super::setting::Setting;
use domain::attribute::AttributeValue;
use domain::change::{Fact, advance, is_ready};
use domain::evaluation::Evaluation;
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::promise::{People, running};
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use testkit::builders::{a_lead, activity, change, delivered, email, playbook};

const LEADS: usize = 300;
const DAYS: usize = 30;

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn fact(&mut self) -> Fact {
        Fact::Activity(match self.below(20) {
            0 => activity("contact_requested", &[]),
            1..=4 => activity("webinar_attended", &[]),
            5..=13 => activity("page_viewed", &[("path", "/pricing")]),
            _ => activity("page_viewed", &[("path", "/about")]),
        })
    }
}

fn who(n: usize) -> String {
    format!("p{n}@company.example")
}

/// Makes a lead of any fit that did up to eight things in the last sixty days.
fn lead(n: usize, now: Timestamp, chance: &mut Chance) -> Lead {
    let texts = [
        ("country", ["AT", "DE", "US"][n % 3]),
        ("industry", ["Logistics", "Media"][n / 3 % 2]),
        ("job_title", ["Head of Sales", "Clerk", "Student"][n / 6 % 3]),
    ];
    let since = now.plus(-60 * DAY_MS);
    let new = a_lead().known_by(email(&who(n))).at(since);
    let new = texts
        .into_iter()
        .fold(new, |lead, (name, text)| lead.with(name, AttributeValue::Text(text.to_owned())))
        .with("company_size", AttributeValue::Number(chance.below(2_000) as f64));
    let mut facts: Vec<_> = (0..chance.below(9))
        .map(|at| {
            let age = chance.below(60 * 24) as i64 * HOUR_MS;
            delivered(&format!("{n} {at}"), now.plus(-age), chance.fact())
        })
        .collect();
    facts.sort_by_key(|fact| fact.occurred_at);
    change(&new.lead(), &facts, now).lead
}

/// Tells whether anything about a lead is not as its facts and the day have it, or has to be said of a promise.
fn differs(lead: &Lead, now: Timestamp) -> bool {
    let fresh = Evaluation::of(lead, playbook(), now.day());
    fresh.score.label != lead.score.label
        || fresh.persona != lead.persona
        || fresh.phase != lead.phase
        || fresh.segments != lead.segments
        || is_ready(lead, playbook(), now.day()) != lead.ready
        || running(lead).is_some_and(|owed| owed.raise(People::nobody(), &playbook().promises, now).is_some())
}

#[tokio::test]
async fn hourly_ticks_over_thirty_days_read_what_is_due_and_leave_what_brute_force_leaves() {
    let setting = Setting::new().await;
    let mut chance = Chance(42);
    let mut copy: BTreeMap<LeadId, Lead> = BTreeMap::new();
    for n in 0..LEADS {
        let lead = lead(n, setting.now(), &mut chance);
        setting.store.put(lead.clone());
        copy.insert(lead.id.clone(), lead);
    }
    let (mut due, mut read, mut moved) = (0, 0, 0);
    for hour in 0..DAYS * 24 {
        setting.later(HOUR_MS);
        let now = setting.now();
        let mut due_now = 0;
        for lead in copy.values_mut().filter(|lead| differs(lead, now)) {
            let change = advance(lead, playbook(), lead.playbook_version, None, People::nobody(), now);
            *lead = change.expect("what differs is written").lead;
            due_now += 1;
        }
        setting.failures.take_calls();
        setting.handle(json!({"action": "due"})).await;
        let calls = setting.failures.take_calls();
        let made = |wanted: &str| calls.iter().filter(|call| **call == wanted).count();
        assert_eq!((made("commit"), made("put_off")), (due_now, 0), "only what is due is written: {now}");
        assert_eq!(made("scan") + made("entries"), 0, "nothing is searched for: {now}");
        (due, read) = (due + due_now, read + made("load"));
        // In between, leads go on doing things; what they do is recorded on both sides.
        for n in 0..chance.below(3) {
            setting.later(HOUR_MS / 10);
            let (id, fact) = (format!("{hour} {n}"), chance.fact());
            let at = chance.below(LEADS as u64) as usize;
            let stored = setting.record(&who(at), &id, fact.clone()).await;
            let lead = copy.get_mut(&stored.id).unwrap();
            let stage = lead.stage;
            *lead = change(lead, &[delivered(&id, setting.now(), fact)], setting.now()).lead;
            moved += usize::from(stage != lead.stage);
        }
        setting.go_to(now);
    }
    let kept: BTreeMap<LeadId, Lead> =
        setting.store.leads().into_iter().map(|lead| (lead.id.clone(), lead)).collect();
    assert_eq!(kept, copy, "each lead is the same, to its version");
    assert!(read * 10 <= due * 12, "{read} leads were read, {due} had something due");
    assert!(due > 200 && moved > 50, "too little happened: {due} due, {moved} moved");
}
