//! P1: thirty rules over synthetic leads, scored from what is stored.
//!
//! `score FILE [PASSES]`: FILE holds leads as JSON lines. Each pass scores all of them on one thread: from the encoded
//! ledger as the item has it, one lead after the other through all of memory (`out_of_cache`) and page by page as a sweep
//! does (`page`); from the decoded ledger (`page_decoded`); and decodes only. Afterwards the points are compared with
//! those that the other engines give for the same file, by the second, and with the same sums by the day.

use crate::Failure;
use crate::cpu::{Figures, Stopwatch, memory_mib};
use domain::attribute::{Attribute, AttributeName, AttributeValue, Attributes};
use domain::condition::View;
use domain::consent::Consents;
use domain::identity::{LeadId, Slug};
use domain::lead::Touches;
use domain::ledger::{Ledger, SignalKey};
use domain::playbook::Playbook;
use domain::score::{LineKind, explain, score};
use domain::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::{BufRead, BufReader};

/// The moment of scoring is 2026-01-01T00:00:00Z; the day that ends then is the one that windows count from.
const NOW: i64 = 1_767_225_600;
/// A sweep scores a lead just after it decoded the page that it came in, when it is still in the cache; this many are in
/// a page. Each is scored so often that reading it for the first time weighs little.
const PAGE: usize = 1_000;
const AGAIN: usize = 10;
const PLAYBOOK: &str = include_str!("../scoring.yaml");

struct Lead {
    attributes: Attributes,
    stored: Vec<u8>,
    /// What the reference below gives, in points by the second and by the day.
    by_second: f64,
    by_day: f64,
}

struct Empty {
    id: LeadId,
    touches: Touches,
    consents: Consents,
    segments: BTreeSet<Slug>,
    withheld: Ledger,
}

impl Empty {
    fn view<'a>(&'a self, attributes: &'a Attributes, ledger: &'a Ledger) -> View<'a> {
        View {
            id: &self.id,
            attributes,
            ledger,
            withheld: &self.withheld,
            touches: &self.touches,
            consents: &self.consents,
            today: Timestamp::from_secs(NOW - 1).day(),
            score: None,
            stage: None,
            stage_since: Timestamp::from_secs(NOW),
            person: None,
            persona: None,
            phase: None,
            segments: &self.segments,
        }
    }
}

pub(crate) fn run(file: &str, passes: usize) -> Result<(), Failure> {
    let document: Value = playbook::yaml::read(PLAYBOOK)?;
    let playbook = Playbook::parse(&document).map_err(|faults| format!("{faults:?}"))?;
    let keys: BTreeMap<&str, SignalKey> = playbook.signals.iter().map(|s| (s.id.as_str(), s.key)).collect();
    let mut leads = Vec::new();
    for line in BufReader::new(std::fs::File::open(file)?).lines() {
        leads.push(read(&serde_json::from_str(&line?)?, &keys).ok_or("a lead that does not read")?);
    }
    let empty = Empty {
        id: LeadId::from_bytes([0; 16]),
        touches: Touches::default(),
        consents: Consents::default(),
        segments: BTreeSet::new(),
        withheld: Ledger::default(),
    };
    let ledgers: Vec<Ledger> = leads
        .iter()
        .map(|lead| Ledger::decode(&lead.stored))
        .collect::<Option<_>>()
        .ok_or("a ledger that does not read")?;

    let mut figures: [Figures; 4] = Default::default();
    for _ in 0..passes {
        let stored = |lead: &Lead, _: &Ledger| {
            if let Some(ledger) = Ledger::decode(&lead.stored) {
                black_box(score(&playbook, &empty.view(&lead.attributes, &ledger)));
            }
        };
        let decoded = |lead: &Lead, ledger: &Ledger| {
            black_box(score(&playbook, &empty.view(&lead.attributes, ledger)));
        };
        let decode = |lead: &Lead, _: &Ledger| {
            black_box(Ledger::decode(&lead.stored));
        };
        let all = leads.len();
        let speeds = [
            speed(&leads, &ledgers, all, 1, stored),
            speed(&leads, &ledgers, PAGE, AGAIN, stored),
            speed(&leads, &ledgers, PAGE, AGAIN, decoded),
            speed(&leads, &ledgers, PAGE, AGAIN, decode),
        ];
        figures.iter_mut().zip(speeds).for_each(|(figures, speed)| figures.add(speed));
    }
    let [cold, warm, decoded, decode] = figures;
    let bytes = leads.iter().map(|lead| lead.stored.len()).sum::<usize>() as f64 / leads.len() as f64;
    println!(
        "score leads={} ledger_bytes={bytes:.0} passes={passes} million_leads_per_cpu_second: out_of_cache={cold} page={warm} page_decoded={decoded} decode_only={decode} rss={:.0}MiB",
        leads.len(),
        memory_mib(std::process::id(), "VmRSS"),
    );
    agreement(&playbook, &empty, &leads, &ledgers);
    Ok(())
}

/// Gives how many million leads a CPU second takes when each page of leads is worked on `again` times.
fn speed(
    leads: &[Lead],
    ledgers: &[Ledger],
    page: usize,
    again: usize,
    work: impl Fn(&Lead, &Ledger),
) -> f64 {
    let watch = Stopwatch::start();
    for (leads, ledgers) in leads.chunks(page).zip(ledgers.chunks(page)) {
        for _ in 0..again {
            leads.iter().zip(ledgers).for_each(|(lead, ledger)| work(lead, ledger));
        }
    }
    (leads.len() * again) as f64 / watch.cpu_ms() / 1e3
}

/// Compares the points with the reference: the lines of the explanation without the clamps of either part, since the
/// other engines clamp only the sum.
fn agreement(playbook: &Playbook, empty: &Empty, leads: &[Lead], ledgers: &[Ledger]) {
    let (mut sum_second, mut sum_day, mut sum) = (0.0, 0.0, 0.0);
    let (mut same_second, mut same_day, mut off_by_most) = (0_usize, 0_usize, 0.0_f64);
    let mut grades = [0_usize; 4];
    let mut theirs = [0_usize; 4];
    for (lead, ledger) in leads.iter().zip(ledgers) {
        let explanation = explain(playbook, &empty.view(&lead.attributes, ledger));
        let points: i64 =
            explanation.lines.iter().filter(|l| l.kind != LineKind::Clamp).map(|l| l.points).sum();
        let ours = points.max(0) as f64;
        sum += ours;
        sum_second += lead.by_second;
        sum_day += lead.by_day;
        off_by_most = off_by_most.max((ours - lead.by_day).abs());
        same_second += usize::from(grade(ours) == grade(lead.by_second));
        same_day += usize::from(grade(ours) == grade(lead.by_day));
        for (counts, points) in [(&mut grades, ours), (&mut theirs, lead.by_second)] {
            if let Some(count) = counts.get_mut(grade(points)) {
                *count += 1;
            }
        }
    }
    let share = |n: usize| 100.0 * n as f64 / leads.len() as f64;
    println!(
        "agreement by_second: sum={sum_second:.1} A,B,C,D={theirs:?}; by_day: sum={sum_day:.1}; ours: sum={sum:.0} A,B,C,D={grades:?}; same grade as by_second {:.2} %, as by_day {:.2} %; furthest from by_day {off_by_most:.3} points",
        share(same_second),
        share(same_day),
    );
}

fn grade(points: f64) -> usize {
    [80.0, 50.0, 25.0].iter().position(|from| points >= *from).unwrap_or(3)
}

fn read(line: &Value, keys: &BTreeMap<&str, SignalKey>) -> Option<Lead> {
    let mut attributes = Attributes::new();
    let mut ledger = Ledger::default();
    let mut events: Vec<(&str, i64)> = Vec::new();
    for (name, value) in line.as_object()? {
        let value = match value {
            Value::String(_) if name == "id" => continue,
            Value::String(text) => AttributeValue::Text(text.clone()),
            Value::Number(n) => AttributeValue::Number(n.as_f64()?),
            Value::Bool(flag) => AttributeValue::Flag(*flag),
            Value::Array(list) => {
                for event in list {
                    let (kind, at) = (event["t"].as_str()?, event["at"].as_i64()?);
                    ledger.add(*keys.get(kind)?, Timestamp::from_secs(at).day(), 1);
                    events.push((kind, at));
                }
                continue;
            }
            _ => return None,
        };
        let attribute = Attribute {
            value,
            set_at: Timestamp::from_secs(NOW),
            set_by: "form:contact".to_owned(),
            known_at: None,
        };
        attributes.insert(AttributeName::parse(name).ok()?, attribute);
    }
    let by_second = reference(line, &events, |at| (NOW - at) as f64 / 86_400.0);
    let by_day =
        reference(line, &events, |at| (NOW - 1).div_euclid(86_400) as f64 - at.div_euclid(86_400) as f64);
    Some(Lead { attributes, stored: ledger.encode(), by_second, by_day })
}

/// The thirty rules once more, by hand and in floating point: what the other engines compute.
fn reference(lead: &Value, events: &[(&str, i64)], age_days: impl Fn(i64) -> f64) -> f64 {
    let text = |name: &str| lead[name].as_str().unwrap_or_default();
    let number = |name: &str| lead[name].as_f64().unwrap_or_default();
    let flag = |name: &str| lead[name].as_bool().unwrap_or_default();
    let mut fit: f64 = match text("country") {
        "US" | "CA" | "GB" => 10.0,
        "DE" | "FR" | "NL" => 7.0,
        "CN" => -10.0,
        _ => 0.0,
    };
    fit += match text("industry") {
        "software" => 12.0,
        "finance" | "health" => 8.0,
        _ => 0.0,
    };
    fit += match number("employees") {
        n if n > 5000.0 => 6.0,
        n if n >= 501.0 => 12.0,
        n if n >= 50.0 => 8.0,
        _ => 0.0,
    };
    fit += match number("revenue") {
        n if n > 100.0 => 9.0,
        n if n >= 10.0 => 5.0,
        _ => 0.0,
    };
    fit += match text("seniority") {
        "c_level" | "vp" => 12.0,
        "director" => 8.0,
        _ => 0.0,
    };
    fit += if matches!(text("department"), "marketing" | "sales") { 6.0 } else { 0.0 };
    fit -= if flag("free_email") { 15.0 } else { 0.0 };
    fit += if flag("has_phone") && number("budget") >= 10_000.0 { 5.0 } else { 0.0 };
    let fading = |kind: &str, points: f64, half_life: f64| -> f64 {
        events
            .iter()
            .filter(|(k, _)| *k == kind)
            .map(|(_, at)| points * (-age_days(*at) / half_life).exp2())
            .sum()
    };
    let within = |kind: &str, least: usize, days: i64, points: f64| -> f64 {
        let n = events.iter().filter(|(k, at)| *k == kind && NOW - at <= days * 86_400).count();
        if n >= least { points } else { 0.0 }
    };
    let intent = fading("pricing_view", 6.0, 14.0)
        + fading("demo_request", 25.0, 30.0)
        + fading("form_submit", 10.0, 21.0)
        + fading("webinar", 8.0, 30.0)
        + fading("download", 5.0, 21.0)
        + within("pricing_view", 2, 7, 8.0)
        + within("form_submit", 1, 30, 5.0)
        + within("demo_request", 1, 14, 10.0);
    let nurture = fading("email_open", 1.0, 7.0)
        + fading("email_click", 3.0, 14.0)
        + fading("page_view", 1.0, 7.0)
        + within("email_click", 3, 30, 6.0)
        + within("page_view", 5, 7, 5.0)
        + within("unsubscribe", 1, 365, -20.0)
        + within("bounce", 2, 90, -10.0);
    (fit.min(60.0) + intent.min(50.0) + nurture.min(30.0)).max(0.0)
}
