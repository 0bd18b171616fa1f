//! P4: what scheduled rescoring reads and writes, against what has something due.
//!
//! `due LEADS DAYS`: a base of leads with ten activities each on the past days, an hourly tick of `rescore`, and in every
//! hour new activity of one in 1,200 leads (2 % in a day). Beside the table stands a copy of all leads in memory that no
//! tick touches: every hour each lead of it is scored anew, and where its label, its segments or its readiness differ,
//! it has something due and is brought along. In the end both must be the same, to the version of each lead.

use crate::Failure;
use crate::cpu::Stopwatch;
use crate::items;
use crate::world::{VERSION, World};
use adapters::clock::{Clock, SetClock, new_lead_id};
use adapters::dynamodb::leads::units;
use adapters::ports::LeadLists;
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Fact, Incoming, Subject, advance, decide, is_ready};
use domain::evaluation::Evaluation;
use domain::identity::{Email, Identity, LeadId};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::{FailingLeadStore, Failures};

/// What people do, and how often of a hundred times.
const DONE: [(u64, &str, &str); 9] = [
    (30, "email_clicked", "/newsletter"),
    (24, "page_viewed", "/products/pumps"),
    (14, "page_viewed", "/pricing"),
    (12, "page_viewed", "/customers/acme"),
    (10, "content_downloaded", "/papers/pumps"),
    (4, "webinar_registered", "/webinars/pumps"),
    (3, "webinar_attended", "/webinars/pumps"),
    (2, "page_viewed", "/careers"),
    (1, "contact_requested", "/contact"),
];
/// One in so many leads does something in an hour.
const IDLE: usize = 1_200;

pub(crate) async fn run(endpoint: &str, count: usize, days: i64) -> Result<(), Failure> {
    let world = World::at(endpoint);
    let start = Timestamp::parse("2026-03-01T00:30:00Z").ok_or("a time")?;
    let clock = Arc::new(SetClock::at(start));
    let calls = Failures::none();
    let store = Arc::new(FailingLeadStore::new(Arc::clone(&world.store), calls.clone()));
    let app = rescore::App::on_one_machine(store, Arc::clone(&world.catalog), Arc::clone(&clock) as _);
    let playbook = app.playbooks.version(VERSION).await?;
    let mut chance = Chance(42);
    let mut leads = Vec::with_capacity(count);
    for n in 0..count {
        leads.push(one(n, &playbook, start, &mut chance)?);
    }
    world.put(&leads).await?;

    let mut copy: Vec<Lead> = leads;
    let (mut due, mut activities, mut cpu_ms) = (0, 0, 0.0);
    let mut calls_of: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut idle_ticks, mut calls_of_idle) = (0_u32, 0);
    units::take();
    for hour in 0..days * 24 {
        clock.set(clock.now().plus(HOUR_MS));
        let now = clock.now();
        let changed = brute_force(&mut copy, &playbook, now);
        calls.take_calls();
        let watch = Stopwatch::start();
        let answer = rescore::handle(&app, json!({"action": "due"})).await?;
        cpu_ms += watch.cpu_ms();
        if answer.get("remaining") != Some(&json!(0)) || answer.get("failed") != Some(&json!(0)) {
            return Err(format!("a tick that could not end: {answer}").into());
        }
        let made = calls.take_calls();
        if changed == 0 {
            idle_ticks += 1;
            calls_of_idle += made.len();
        }
        due += changed;
        for call in made {
            *calls_of.entry(call).or_default() += 1;
        }
        // Activity comes between the ticks; it is not what is measured, so it is put without a transaction.
        let mut active = BTreeMap::new();
        for n in 0..count / IDLE {
            let at = now.plus(chance.below(HOUR_MS as u64) as i64);
            let who = chance.below(count as u64) as usize;
            let fact = incoming(&format!("{hour} {n}"), at, Fact::Activity(some_activity(&mut chance)));
            let lead = copy.get_mut(who).ok_or("a lead")?;
            *lead = decided(Subject::Existing(Box::new(lead.clone())), &[], &[fact], &playbook, at).lead;
            active.insert(who, lead.clone());
            activities += 1;
        }
        let active: Vec<Lead> = active.into_values().collect();
        world.put(&active).await?;
    }

    let written = units::take();
    let sum = |index: bool| -> f64 {
        written.iter().filter(|(name, _)| name.contains('/') == index).map(|(_, units)| units).sum()
    };
    let of = |call: &str| calls_of.get(call).copied().unwrap_or(0);
    let different = differences(&world, copy).await?;
    println!(
        "due leads={count} days={days} ticks={} activities={activities} due={due} read={} read_per_due={:.3} written={} put_off={} \
         different_from_brute_force={different} write_units_per_due={:.2} index_units_per_due={:.2} calls_of_a_tick_without_due={:.1} \
         ({idle_ticks} of them) cpu_ms_of_all_ticks={cpu_ms:.0}",
        days * 24,
        of("load"),
        of("load") as f64 / due as f64,
        of("commit"),
        of("put_off"),
        sum(false) / due as f64,
        sum(true) / due as f64,
        calls_of_idle as f64 / f64::from(idle_ticks),
    );
    Ok(())
}

/// Scores every lead, brings along those about which anything differs, and gives their number.
fn brute_force(leads: &mut [Lead], playbook: &Playbook, now: Timestamp) -> u64 {
    let today = now.day();
    let mut due = 0;
    for lead in leads {
        let fresh = Evaluation::of(lead, playbook, today);
        let same = fresh.score.label == lead.score.label
            && fresh.persona == lead.persona
            && fresh.phase == lead.phase
            && fresh.segments == lead.segments
            && is_ready(lead, playbook, today) == lead.ready;
        if same {
            continue;
        }
        due += 1;
        if let Some(change) = advance(lead, playbook, VERSION, None, People::nobody(), now) {
            *lead = change.lead;
        }
    }
    due
}

/// Counts the leads that are not in the table as they are in the copy.
async fn differences(world: &World, copy: Vec<Lead>) -> Result<usize, Failure> {
    let mut copy: BTreeMap<LeadId, Lead> = copy.into_iter().map(|lead| (lead.id.clone(), lead)).collect();
    let (mut different, mut cursor) = (0, None::<String>);
    loop {
        let page = world.store.scan(0, 1, cursor.as_deref()).await?;
        different += page.items.iter().filter(|lead| copy.remove(&lead.id).as_ref() != Some(*lead)).count();
        cursor = page.next;
        if cursor.is_none() {
            return Ok(different + copy.len());
        }
    }
}

/// Makes a lead of twelve attributes that came within the last 120 days and did ten things since, the latest most.
fn one(n: usize, playbook: &Playbook, now: Timestamp, chance: &mut Chance) -> Result<Lead, Failure> {
    let email = format!("annemarie.hinterberger{n}@company.example");
    let sent = items::lead(n, &email);
    let mut capture = Capture { responded: true, ..Capture::default() };
    for (name, value) in sent.get("attributes").and_then(Value::as_object).into_iter().flatten() {
        let value = match value {
            Value::String(text) => AttributeValue::Text(text.clone()),
            Value::Bool(flag) => AttributeValue::Flag(*flag),
            number => AttributeValue::Number(number.as_f64().ok_or("a number")?),
        };
        capture.attributes.insert(AttributeName::parse(name)?, NewAttribute { value, known_at: None });
    }
    let varied = [
        ("country", ["AT", "DE", "FR", "US", "IT", "JP"]),
        ("industry", ["Manufacturing", "Logistics", "Media", "Legal", "Food", "Retail"]),
        ("job_title", ["Head of Sales", "Buyer", "Engineer", "CEO", "Student", "Assistant"]),
    ];
    for (name, values) in varied {
        let text = values.get(chance.below(6) as usize).copied().unwrap_or_default();
        let value = AttributeValue::Text(text.to_owned());
        capture.attributes.insert(AttributeName::parse(name)?, NewAttribute { value, known_at: None });
    }
    let span = (1 + chance.below(120)) as i64 * DAY_MS;
    let mut facts = vec![incoming(&format!("lead {n}"), now.plus(-span), Fact::Captured(Box::new(capture)))];
    for at in 0..10 {
        // Of two equally likely ages the smaller.
        let age = chance.below(span as u64).min(chance.below(span as u64)) as i64;
        facts.push(incoming(&format!("{n} {at}"), now.plus(-age), Fact::Activity(some_activity(chance))));
    }
    facts.sort_by_key(|fact| fact.occurred_at);
    let subject = Subject::New { id: new_lead_id(), playbook_version: VERSION };
    Ok(decided(subject, &[Identity::Email(Email::parse(&email)?)], &facts, playbook, now).lead)
}

fn decided(
    subject: Subject,
    claims: &[Identity],
    facts: &[Incoming],
    playbook: &Playbook,
    now: Timestamp,
) -> Change {
    decide(subject, claims.to_vec(), &[], facts, playbook, People::nobody(), now)
}

fn incoming(id: &str, at: Timestamp, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("benchmark", id);
    Incoming { delivery, occurred_at: at, history: false, by: "benchmark".to_owned(), strict: false, fact }
}

fn some_activity(chance: &mut Chance) -> Activity {
    let mut left = chance.below(DONE.iter().map(|(often, ..)| often).sum());
    let (_, kind, path) = DONE
        .into_iter()
        .find(|(often, ..)| {
            let found = left < *often;
            left = left.saturating_sub(*often);
            found
        })
        .unwrap_or((0, "email_clicked", "/newsletter"));
    let path = AttributeValue::Text(path.to_owned());
    Activity { kind: kind.to_owned(), properties: [("path".to_owned(), path)].into() }
}

/// Numbers that look random and are the same in each run (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end.max(1)
    }
}
