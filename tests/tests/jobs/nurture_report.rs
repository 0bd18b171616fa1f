//! What nurturing did, through its routes: the figures are those recounted from the timelines, each has exactly its leads
//! behind it, and what takes long ends with the same. What the figures mean, and how seldom they mislead, is shown in
//! `shared/learning`.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::JobStatus;
use adapters::ports::{Direction, Timeline};
use adapters::write_path::About;
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::nurture::{MAIL, NURTURE};
use domain::change::{Capture, Effect, Entry, Fact};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{ExternalId, Slug};
use domain::lead::Lead;
use domain::money::{Currency, Money};
use domain::sales::{DeliveryId, Move};
use domain::stage::{Stage, Team};
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::Failure;
use testkit::builders::{agree, delivered, email, test_playbook, time};

const LEADS: usize = 90;
const REPORT: &str = "/v1/reports/nurture";

fn playbook(percent: u8) -> Value {
    let mut playbook = test_playbook();
    playbook["nurture"] = json!({"postal_address": "Company, Vienna"});
    playbook["programs"] = json!([
        {"id": "warm", "title": "Keeps them warm", "priority": 1, "holdout_percent": percent,
         "audience": {"attribute": "country", "in": ["AT", "DE"]}},
        {"id": "rest", "audience": {"stage": ["inquiry", "nurturing"]}, "holdout_percent": 50},
        {"id": "buyers", "for": "customer", "audience": {"stage": ["customer"]}, "holdout_percent": 20},
    ]);
    playbook
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

/// Leads of two programs that came on the days of three months, with what sales did with them and what became of mails.
async fn setting() -> Setting {
    let setting = Setting::with(&playbook(40)).await;
    let mut state = 7_u64;
    let mut roll = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % n) as i64
    };
    let start = time("2026-06-01T08:00:00Z");
    for n in 0..LEADS {
        let who = format!("p{n}@company.example");
        let mut at = start.plus(n as i64 * DAY_MS);
        setting.go_to(at);
        let job = ["plant manager", "systems", "chef"][roll(3) as usize];
        let given = |name: &str, value: &str| {
            let value = NewAttribute { value: text(value), known_at: None };
            (AttributeName::parse(name).unwrap(), value)
        };
        let consent = agreed(at);
        let capture = Capture {
            attributes: [given("country", ["AT", "DE", "FR"][roll(3) as usize]), given("job_title", job)]
                .into(),
            consents: vec![consent],
            responded: true,
            ..Capture::default()
        };
        let lead = setting.record(&who, &format!("{n} comes"), Fact::Captured(Box::new(capture))).await;
        let (program, enrolment) = lead.nurture.enrolments.iter().next().expect("it is in a program");
        if !enrolment.held_out {
            let program = program.clone();
            for number in 1..=roll(4) {
                at = at.plus(3 * DAY_MS);
                mail(&setting, &who, at, number, &program, &mut roll).await;
            }
        }
        for step in 0..roll(6) {
            at = at.plus((1 + roll(400)) * HOUR_MS);
            setting.go_to(at);
            // Colleagues share a deal.
            let deal = ExternalId::new("crm", &(n / 2).to_string()).unwrap();
            let euros =
                Money::parse(&format!("{}.50", 10 + roll(90)), Currency::parse("EUR").unwrap()).unwrap();
            let owner = Slug::parse("at-1").unwrap();
            let what = match roll(6) {
                0..=1 => Move::MarketingQualified { owner, promise_due_at: at },
                2 => Move::Accepted,
                3 => Move::NotReady { reason: None, not_before: None },
                4 => Move::Won { deal, amount: Some(euros) },
                _ => Move::Qualified,
            };
            let id = format!("{n} {step}");
            let mut fact = delivered(&id, at, Fact::Sales { what, by: None, note: None });
            fact.history = true;
            let about = About::Anybody(vec![email(&who)]);
            setting.write_path.record(&about, &[fact]).await.unwrap();
            if roll(8) == 0 {
                let id = DeliveryId::new("test", &id);
                setting.record(&who, &format!("{n} {step} not"), Fact::Withdrawn { id, note: None }).await;
            }
        }
    }
    setting.go_to(start.plus(200 * DAY_MS));
    setting
}

async fn tell(setting: &Setting, who: &str, at: Timestamp, by: &str, kind: &str, properties: Value) {
    let properties = properties.as_object().unwrap().iter().map(|(name, value)| {
        let value = value.as_f64().map_or_else(|| text(value.as_str().unwrap()), AttributeValue::Number);
        (name.clone(), value)
    });
    let activity = Activity { kind: kind.to_owned(), properties: properties.collect() };
    setting.go_to(at);
    let mut told = delivered(&format!("{who} {kind} {at}"), at, Fact::Activity(activity));
    by.clone_into(&mut told.by);
    setting.write_path.record(&About::Anybody(vec![email(who)]), &[told]).await.unwrap();
}

/// A mail, and what became of it.
async fn mail(
    setting: &Setting,
    who: &str,
    at: Timestamp,
    number: i64,
    program: &Slug,
    roll: &mut impl FnMut(u64) -> i64,
) {
    let content = ["guide", "case", "webinar"][roll(3) as usize];
    let sent = json!({"message": number, "program": program.as_str(), "content": content});
    tell(setting, who, at, NURTURE, "email_sent", sent).await;
    let mut later = at;
    for kind in ["email_delivered", "email_opened", "email_clicked", "email_opened", "unsubscribed"] {
        later = later.plus(HOUR_MS);
        match roll(5) {
            0 | 1 => tell(setting, who, later, MAIL, kind, json!({"message": number})).await,
            2 => {
                let burst = json!({"message": number, "machine": "many_links"});
                tell(setting, who, later, MAIL, kind, burst).await;
            }
            _ => {}
        }
    }
}

async fn get(setting: &Setting, path: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// What the timeline of a lead says of a program.
#[derive(Debug, Default, Clone)]
struct Recounted {
    eligible: Option<(Timestamp, bool)>,
    ready: Option<Timestamp>,
    won: BTreeSet<String>,
}

/// Recounts a program from a timeline alone: what was said of it when it was said, without what was withdrawn.
fn recount(program: &str, entries: &[Entry], lead: &Lead) -> Recounted {
    let mut found = Recounted::default();
    for entry in entries {
        for effect in &entry.effects {
            if let Effect::ProgramEntered { program: entered, held_out, .. } = effect
                && entered.as_str() == program
            {
                found.eligible.get_or_insert((entry.recorded_at, *held_out));
            }
        }
    }
    let Some((eligible, _)) = found.eligible else { return found };
    // Sales' facts alone decide where a lead stood; withdrawn ones never were.
    let withdrawn: Vec<DeliveryId> = entries
        .iter()
        .filter_map(|entry| match &entry.fact {
            Fact::Withdrawn { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    let mut stage = Stage::Inquiry;
    for entry in entries {
        let stands = DeliveryId::parse(&entry.id).is_none_or(|id| !withdrawn.contains(&id));
        let Fact::Sales { what, .. } = &entry.fact else { continue };
        let Some(next) = stage.after(what.step()).filter(|_| stands) else { continue };
        let comes = match stage {
            Stage::Customer => next.in_inbox(),
            stage => stage.team() == Team::Marketing && next.team() == Team::Sales,
        };
        if comes && entry.at > eligible {
            found.ready.get_or_insert(entry.at);
        }
        stage = next;
    }
    // A deal is won when that was first said; in these lives nobody loses one again.
    let standing = lead.standing();
    for deal in &standing.deals {
        let first = entries.iter().find(|entry| {
            let stands = DeliveryId::parse(&entry.id).is_none_or(|id| !withdrawn.contains(&id));
            stands && matches!(&entry.fact, Fact::Sales { what: Move::Won { deal: won, .. }, .. } if *won == deal.id)
        });
        if first.is_some_and(|entry| entry.at > eligible) {
            found.won.insert(deal.id.id().to_owned());
        }
    }
    found
}

async fn timelines(setting: &Setting) -> Vec<(Lead, Vec<Entry>)> {
    let mut all = Vec::new();
    for lead in setting.store.leads() {
        let page = setting.store.entries(&lead.id, Direction::Forward, 500, None).await.unwrap();
        all.push((lead, page.items));
    }
    all
}

/// A yes to mails.
fn agreed(at: Timestamp) -> ConsentFact {
    ConsentFact {
        purpose: Purpose::Marketing,
        status: ConsentStatus::Confirmed,
        basis: Basis::Consent,
        text: None,
        source: None,
        at,
    }
}

#[tokio::test]
async fn figures_are_those_of_the_timelines_and_each_has_its_leads_behind_it() {
    let setting = setting().await;
    let timelines = timelines(&setting).await;
    let report = get(&setting, REPORT).await;
    let rows = report["rows"].as_array().unwrap();
    let programs: BTreeSet<&str> = rows.iter().map(|row| row["program"].as_str().unwrap()).collect();
    assert_eq!(programs, BTreeSet::from(["warm", "rest", "buyers"]));
    assert_eq!(rows[0]["title"], "Keeps them warm");
    let mut seen = 0;
    for row in rows {
        let program = row["program"].as_str().unwrap();
        let all: Vec<Recounted> =
            timelines.iter().map(|(lead, entries)| recount(program, entries, lead)).collect();
        for (arm, held_out) in [("nurtured", false), ("held_out", true)] {
            let arm_of =
                || all.iter().filter(move |one| one.eligible.is_some_and(|(_, held)| held == held_out));
            let figures = [
                ("leads", arm_of().count()),
                ("ready", arm_of().filter(|one| one.ready.is_some()).count()),
                ("won", arm_of().filter(|one| !one.won.is_empty()).count()),
            ];
            assert_eq!(row[arm]["leads"], figures[0].1, "{program} {arm}");
            assert_eq!(row[arm]["ready"]["hits"], figures[1].1, "{program} {arm}");
            assert_eq!(row[arm]["won"]["hits"], figures[2].1, "{program} {arm}");
            for (figure, expected) in figures {
                let query = format!("program={program}&arm={arm}&figure={figure}");
                assert_eq!(behind(&setting, &query).await.len(), expected, "{query}");
                seen += expected;
            }
        }
        let (nurtured, held_out) = (&row["nurtured"], &row["held_out"]);
        let shares = json!([{"holdout_percent": match program { "warm" => 40, "rest" => 50, _ => 20 },
            "nurtured": nurtured["leads"], "held_out": held_out["leads"]}]);
        assert_eq!(row["shares"], shares);
        // So few leads claim nothing, and say so.
        for effect in row["effects"].as_array().unwrap() {
            assert_eq!(effect["claimed"], false, "{effect}");
            let says = effect["says"].as_str().unwrap();
            assert!(
                says.starts_with("Too early to tell") || says.starts_with("Nothing can be told"),
                "{says}"
            );
        }
        let ready = &row["effects"][0];
        let rate = |arm: &Value| arm["ready"]["rate"].as_f64().unwrap();
        let difference = ready["difference"].as_f64().unwrap();
        assert!((difference - (rate(nurtured) - rate(held_out))).abs() < 2e-4, "{ready}");
        assert!(ready["low"].as_f64().unwrap() < difference && difference < ready["high"].as_f64().unwrap());
    }
    assert!(seen > 150, "{seen}");
    // The report's revenue counts each deal once in a program, whoever of two colleagues tells of it.
    let deals: BTreeMap<&str, i64> = [("warm", 0), ("rest", 0)].into();
    for program in deals.into_keys() {
        let row = rows.iter().find(|row| row["program"] == program).unwrap();
        let mut once: BTreeMap<String, (Timestamp, DeliveryId, i64)> = BTreeMap::new();
        for (lead, entries) in &timelines {
            let won = recount(program, entries, lead).won;
            for deal in lead.standing().deals.into_iter().filter(|deal| won.contains(deal.id.id())) {
                let said = (deal.at, deal.fact, deal.amount.unwrap().minor);
                let known = once.entry(deal.id.id().to_owned()).or_insert(said);
                *known = (*known).max(said);
            }
        }
        let total: i64 = once.values().map(|(.., minor)| minor).sum();
        let sum = |arm: &str| {
            let amount = row[arm]["revenue"][0]["amount"].as_str().unwrap_or("0.00");
            Money::parse(amount, Currency::parse("EUR").unwrap()).unwrap().minor
        };
        assert_eq!(sum("nurtured") + sum("held_out"), total, "{program}");
        assert!(total > 0);
    }
}

/// Gives the leads behind a figure, over all pages, and sees that none comes twice.
async fn behind(setting: &Setting, query: &str) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = get(setting, &format!("{REPORT}/leads?limit=7&{query}{cursor}")).await;
        for item in page["items"].as_array().unwrap() {
            assert!(ids.insert(item["lead_id"].as_str().unwrap().to_owned()), "twice: {item}");
        }
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn personas_in_phases_add_up_to_their_program_and_claim_nothing() {
    let setting = setting().await;
    let whole = get(&setting, &format!("{REPORT}?program=warm&from=2026-06-10&to=2026-08-10")).await;
    let cells =
        get(&setting, &format!("{REPORT}?program=warm&group_by=persona_phase&from=2026-06-10&to=2026-08-10"))
            .await;
    let rows = cells["rows"].as_array().unwrap();
    assert!(rows.len() > 2 && cells["caution"].as_str().unwrap().contains("claim nothing"));
    for pointer in ["/nurtured/leads", "/held_out/leads", "/nurtured/ready/hits", "/held_out/won/hits"] {
        let sum: u64 = rows.iter().map(|row| row.pointer(pointer).unwrap().as_u64().unwrap()).sum();
        assert_eq!(whole["rows"][0].pointer(pointer).unwrap(), sum, "{pointer}");
    }
    for row in rows {
        assert!(row.get("effects").is_none() && !row.to_string().contains("claimed"), "{row}");
        let name = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let query = format!(
            "program=warm&persona={}&phase={}&arm=nurtured&from=2026-06-10&to=2026-08-10",
            name("persona"),
            name("phase")
        );
        assert_eq!(row["nurtured"]["leads"], behind(&setting, &query).await.len(), "{query}");
    }
}

#[tokio::test]
async fn mails_of_each_content_are_counted_from_the_timelines_without_what_machines_did() {
    let setting = setting().await;
    let mut expected: BTreeMap<(String, String), BTreeMap<&str, u64>> = BTreeMap::new();
    for (_, entries) in timelines(&setting).await {
        let told = |kind: &str, by: &str| -> Vec<(i64, BTreeMap<String, AttributeValue>)> {
            let told = entries.iter().filter(|entry| entry.by == by);
            told.filter_map(|entry| match &entry.fact {
                Fact::Activity(activity) if activity.kind == kind => {
                    let AttributeValue::Number(n) = activity.properties["message"] else { panic!() };
                    Some((n as i64, activity.properties.clone()))
                }
                _ => None,
            })
            .collect()
        };
        for (number, sent) in told("email_sent", NURTURE) {
            let name = |key: &str| match &sent[key] {
                AttributeValue::Text(text) => text.clone(),
                _ => panic!(),
            };
            let sums = expected.entry((name("program"), name("content"))).or_default();
            *sums.entry("sent").or_default() += 1;
            for (kind, figure) in [
                ("email_delivered", "delivered"),
                ("email_opened", "opened"),
                ("email_clicked", "clicked"),
                ("unsubscribed", "unsubscribed"),
            ] {
                let people = told(kind, MAIL).iter().any(|(n, properties)| {
                    let machine = properties.contains_key("machine") && kind.starts_with("email_");
                    *n == number && (!machine || kind == "email_delivered")
                });
                *sums.entry(figure).or_default() += u64::from(people);
            }
        }
    }
    let report = get(&setting, &format!("{REPORT}?group_by=content")).await;
    let rows = report["rows"].as_array().unwrap();
    let found: BTreeMap<(String, String), BTreeMap<&str, u64>> = rows
        .iter()
        .map(|row| {
            let sums = ["sent", "delivered", "opened", "clicked", "unsubscribed"].map(|figure| {
                let hits = row[figure].as_u64().or_else(|| row[figure]["hits"].as_u64());
                (figure, hits.unwrap())
            });
            let name = |key: &str| row[key].as_str().unwrap().to_owned();
            ((name("program"), name("content")), sums.into())
        })
        .collect();
    assert_eq!(found, expected);
    assert!(found.len() >= 5 && report["caution"].as_str().unwrap().contains("not drawn"));
    // All of them are older than 30 days.
    assert!(rows.iter().all(|row| row["ready"]["of"] == row["sent"]));
    assert!(rows.iter().any(|row| row["ready"]["hits"].as_u64().unwrap() > 0));
}

#[tokio::test]
async fn a_share_that_changed_is_told_and_compared_share_by_share() {
    let setting = Setting::with(&playbook(10)).await;
    let come = async |from: usize, to: usize| {
        for n in from..to {
            let country = NewAttribute { value: text("AT"), known_at: None };
            let consent = agreed(setting.now());
            let capture = Capture {
                attributes: [(AttributeName::parse("country").unwrap(), country)].into(),
                consents: vec![consent],
                responded: true,
                ..Capture::default()
            };
            setting
                .record(&format!("s{n}@x.example"), &n.to_string(), Fact::Captured(Box::new(capture)))
                .await;
        }
    };
    come(0, 30).await;
    agree(&playbook(50), &setting.rescore.playbooks).await;
    setting.later(HOUR_MS);
    come(30, 60).await;
    let report = get(&setting, &format!("{REPORT}?program=warm")).await;
    let shares = report["rows"][0]["shares"].as_array().unwrap();
    let of = |at: usize, key: &str| shares[at][key].as_u64().unwrap();
    assert_eq!((of(0, "holdout_percent"), of(1, "holdout_percent")), (10, 50), "{report}");
    assert_eq!((of(0, "nurtured") + of(0, "held_out"), of(1, "nurtured") + of(1, "held_out")), (30, 30));
    assert!(of(0, "held_out") < 10 && of(1, "held_out") > 8);
}

#[tokio::test]
async fn tables_have_the_figures_of_the_reports() {
    let setting = setting().await;
    for (group_by, columns) in [
        ("program", &["nurtured_leads", "figure", "difference", "says", "claimed"][..]),
        ("persona_phase", &["persona", "held_out_ready", "won_high"][..]),
        ("content", &["content", "sent", "opened", "judged"][..]),
    ] {
        let path = format!("{REPORT}?group_by={group_by}");
        let report = get(&setting, &path).await;
        let answer = setting.call_accepting(&path, "text/csv").await;
        let mut table = csv::Reader::from_reader(answer.body.as_ref());
        let head: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
        let lines: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
        let rows = report["rows"].as_array().unwrap();
        let expected = match group_by {
            "program" => rows.iter().map(|row| row["effects"].as_array().unwrap().len()).sum(),
            _ => rows.len(),
        };
        assert_eq!(lines.len(), expected);
        assert!(columns.iter().all(|column| head.iter().any(|known| known == column)), "{head:?}");
        if group_by == "program" {
            let cell =
                |name: &str| lines[0].get(head.iter().position(|known| known == name).unwrap()).unwrap();
            assert_eq!(cell("says"), rows[0]["effects"][0]["says"].as_str().unwrap());
            assert_eq!(cell("claimed"), "false");
            assert_eq!(cell("difference"), rows[0]["effects"][0]["difference"].to_string());
        }
    }
}

#[tokio::test]
async fn every_fault_of_the_question_is_named_and_only_both_teams_may_ask() {
    let setting = Setting::new().await;
    for (path, pointers) in [
        (
            "?group_by=colour&program=Not%20one&from=yesterday&tz=Mars",
            vec!["/from", "/group_by", "/program", "/tz"],
        ),
        ("?from=2026-02-01&to=2026-02-01", vec!["/to"]),
        ("/leads", vec!["/program"]),
        (
            "/leads?program=p&arm=both&figure=lost&phase=later&persona=A&cursor=x",
            vec!["/arm", "/cursor", "/figure", "/persona", "/phase"],
        ),
    ] {
        let answer = setting.call(Role::Marketing, "GET", &format!("{REPORT}{path}"), None).await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (422, pointers.into_iter().map(String::from).collect()),
            "{path}"
        );
    }
    assert_eq!(setting.call(Role::Capture, "GET", REPORT, None).await.status, 403);
    assert_eq!(get(&setting, REPORT).await["rows"], json!([]), "nobody was ever eligible");
}

#[tokio::test]
async fn reports_that_take_longer_than_a_caller_waits_end_with_the_same_figures() {
    let mut setting = setting().await;
    for group_by in ["program", "persona_phase", "content"] {
        let path = format!("{REPORT}?group_by={group_by}");
        setting.insights_within(Duration::from_secs(20));
        let at_once = get(&setting, &path).await;
        setting.insights_within(Duration::ZERO);
        let first = setting.call(Role::Sales, "GET", &path, None).await;
        assert_eq!(first.status, 202, "{}", first.text());
        let id = first.json()["job"].as_str().unwrap().to_owned();
        let (mut calls, mut failed) = (0, 0);
        while setting.insights.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done {
            if calls == 1 {
                setting.failures.on_call(3, Failure::Throttled);
            }
            failed += usize::from(insights::run_job(&setting.insights, &id).await.is_err());
            setting.failures.take_calls();
            calls += 1;
            assert!(calls < 20, "it gets somewhere with each call");
        }
        // The walk over timelines takes a call for each page, one of which failed.
        assert!(group_by != "content" || failed == 1, "{calls} calls, {failed} failed");
        assert_eq!(get(&setting, &path).await, at_once, "{group_by}");
    }
}
