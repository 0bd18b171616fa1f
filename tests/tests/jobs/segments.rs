//! The segments report through its route: beside a recount that asks other routes, and as a job that is stopped.

use super::setting::Setting;
use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::jobs::JobStatus;
use adapters::ports::Catalog;
use domain::change::Fact;
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::ExternalId;
use domain::money::{Currency, Money};
use domain::sales::Move;
use domain::time::{DAY_MS, Day, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{NOON, activate, activity, time};
use testkit::{Dynamo, Failure, MemoryJobStarter, RoleTokens, test_playbook};
use tests::{Api, Call};

const PATH: &str = "/v1/reports/segments";

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What was sent about one lead.
#[derive(Default)]
struct Sent {
    /// When it did something or something was said of it.
    at: Vec<Timestamp>,
    /// When sales first touched it.
    touched: Option<Timestamp>,
    won: bool,
    lost: bool,
}

/// Everything on the embedded database.
struct OnDynamo {
    api: Api,
    rescore: rescore::App,
    clock: Arc<SetClock>,
    tokens: RoleTokens,
    _dynamo: Dynamo,
}

impl OnDynamo {
    async fn new() -> Self {
        let (dynamo, clock) = (Dynamo::start().await, Arc::new(SetClock::at(time(NOON))));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (store, catalog): (_, Arc<dyn Catalog>) = (Arc::new(dynamo.leads()), Arc::new(dynamo.catalog()));
        let mut playbook = test_playbook();
        let segments = playbook["segments"].as_array_mut().unwrap();
        segments.push(
            json!({"id": "prices", "when": {"signal": "pricing_viewed", "at_least": 2, "within_days": 3}}),
        );
        segments
            .push(json!({"id": "at_sales", "when": {"stage": ["marketing_qualified", "sales_accepted"]}}));
        activate(&playbook, Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let api = Api::over(&store, &catalog, &shown);
        let rescore = rescore::App::on_one_machine(store, catalog, shown);
        Self { api, rescore, clock, tokens, _dynamo: dynamo }
    }

    fn call(&self, role: Role, method: &str, path: &str) -> Call {
        self.api.call(method, path).token(self.tokens.of(role))
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Role::Sales, "GET", path).expect(200).await.json()
    }

    /// Goes to a time, and does on each midnight before what the schedule does.
    async fn go_to(&self, at: Timestamp) {
        let (from, to) = (self.clock.now().day(), at.day());
        for day in from.0 + 1..=to.0 {
            self.clock.set(Day(day).start());
            rescore::handle(&self.rescore, json!({"action": "due"})).await.unwrap();
        }
        self.clock.set(at);
    }

    /// Gives the segments of a lead just before a moment, as another route tells them from its facts.
    async fn segments(&self, lead: &str, before: Timestamp) -> BTreeSet<String> {
        let told = self.get(&format!("/v1/leads/{lead}/segments?at={}", before.plus(-1))).await;
        let items = told["items"].as_array().unwrap();
        items.iter().map(|item| item["segment_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn address(n: u64) -> String {
    format!("p{n}@company.example")
}

/// Lets ten leads do things for twelve days, and sales answer some.
async fn twelve_days(world: &OnDynamo) -> Vec<Sent> {
    let (mut chance, start) = (Chance(5), time(NOON));
    let mut sent: Vec<Sent> = (0..10).map(|_| Sent::default()).collect();
    for day in 0..12 {
        for n in 0..10 {
            let at = start.plus(day * DAY_MS + n * 20 * MINUTE_MS);
            world.go_to(at).await;
            let (known, email) = (&mut sent[n as usize], address(n as u64));
            if known.at.is_empty() {
                if chance.below(3) > 0 {
                    continue;
                }
                let country = ["AT", "DE", "US"][n as usize % 3];
                let (size, title) =
                    (["120", "5"][n as usize % 2], ["Head of Sales", "Clerk"][n as usize / 2 % 2]);
                let form = json!({
                    "email": email, "country": country, "submission_id": n.to_string(), "company_size": size,
                    "job_title": title, "consent_marketing": "yes",
                });
                world.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
                known.at.push(at);
                continue;
            }
            // Who is lost and comes back may be handed over once more, and is open again.
            if known.won || known.lost {
                continue;
            }
            let draw = chance.below(10);
            if draw < 6 {
                let (kind, path) =
                    if draw < 4 { ("page_viewed", "/pricing") } else { ("webinar_attended", "/") };
                let body = json!({"lead": {"email": email}, "kind": kind, "id": at.to_string(), "properties": {"path": path}});
                world.call(Role::Capture, "POST", "/v1/activities").json(&body).expect(200).await;
                known.at.push(at);
            } else if draw > 7 {
                let id = lead_id(world, &email).await;
                let what = ["accepted", "won", "lost"][chance.below(3) as usize];
                let mut body = json!({"kind": what, "by": "at-1"});
                if what == "won" {
                    // Two leads share a deal.
                    body["deal"] = json!({"system": "crm", "id": format!("d{}", n / 2)});
                    body["amount"] = json!({"amount": format!("{}.10", n + 1), "currency": "EUR"});
                }
                let path = format!("/v1/leads/{id}/feedback");
                let answer = world.call(Role::Sales, "POST", &path).json(&body).send().await;
                // What makes no sense, such as accepting what was not handed over, is refused.
                if answer.status == 200 {
                    known.touched = known.touched.or(Some(at));
                    known.won |= what == "won";
                    known.lost |= what == "lost";
                }
            }
        }
    }
    world.go_to(start.plus(14 * DAY_MS)).await;
    sent
}

async fn lead_id(world: &OnDynamo, email: &str) -> String {
    let found = world.call(Role::Admin, "POST", "/v1/leads/lookup").json(&json!({"email": email}));
    found.expect(200).await.json()["items"][0]["lead_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn on_a_database_it_equals_a_recount_by_other_routes() {
    let world = OnDynamo::new().await;
    let sent = twelve_days(&world).await;
    let report =
        world.get(&format!("{PATH}?from=2026-11-20&per=day&tz=UTC&compare=newsletter,prices|country")).await;
    let known: Vec<(usize, &Sent)> =
        sent.iter().enumerate().filter(|(_, sent)| !sent.at.is_empty()).collect();
    let mut ids = Vec::new();
    for (n, _) in &known {
        ids.push(lead_id(&world, &address(*n as u64)).await);
    }
    // Members at the end of each day, lead by lead from its facts.
    let segments = report["segments"].as_array().unwrap();
    let mut moved = 0;
    for segment in segments {
        let name = segment["segment"].as_str().unwrap();
        let mut members = 0;
        for period in segment["periods"].as_array().unwrap() {
            let end = time(period["to"].as_str().unwrap());
            let mut found = 0;
            for id in &ids {
                found += i64::from(world.segments(id, end).await.contains(name));
            }
            assert_eq!(period["members"], found, "{name} at {end}");
            let (entered, left) = (period["entered"].as_i64().unwrap(), period["left"].as_i64().unwrap());
            assert_eq!(members + entered - left, found, "{name}: who came and left until {end}");
            members = found;
            moved += entered + left;
        }
        assert_eq!(segment["members"], members, "{name} now");
    }
    assert!(moved > 20, "too little happened: {moved}");

    // The cohorts, from what was sent; the hand-off from the dossier.
    let (mut handed, mut decided) = (0, 0);
    for name in ["newsletter", "dach_active", "prices"] {
        let mut expected: BTreeMap<&str, i64> =
            ["leads", "handed_off", "won", "lost", "open"].map(|number| (number, 0)).into();
        for ((n, sent), id) in known.iter().zip(&ids) {
            let dossier = world.get(&format!("/v1/leads/{id}?limit=200")).await;
            let entries = dossier["timeline"]["items"].as_array().unwrap();
            let hand_off = entries
                .iter()
                .filter(|entry| entry["effects"].to_string().contains("\"handed_off\""))
                .map(|entry| time(entry["at"].as_str().unwrap()))
                .min()
                .filter(|at| sent.touched.is_none_or(|touched| touched >= *at));
            let until = hand_off.or(sent.touched.map(|at| at.plus(-1))).unwrap_or(world.clock.now());
            let mut held = false;
            for at in sent.at.iter().filter(|at| **at <= until) {
                held |= world.segments(id, at.plus(1)).await.contains(name);
            }
            if held {
                let how = if sent.won {
                    "won"
                } else if sent.lost {
                    "lost"
                } else {
                    "open"
                };
                for number in ["leads", how] {
                    *expected.get_mut(number).unwrap() += 1;
                }
                if hand_off.is_some() {
                    *expected.get_mut("handed_off").unwrap() += 1;
                }
                (handed, decided) =
                    (handed + usize::from(hand_off.is_some()), decided + usize::from(how != "open"));
            }
            assert!(*n < 10);
        }
        let cohort = &segments.iter().find(|segment| segment["segment"] == name).unwrap()["cohort"];
        for (number, wanted) in expected {
            assert_eq!(cohort[number], wanted, "{number} of {name}: {cohort}");
        }
    }
    assert!(handed > 2 && decided > 2, "too little happened: {handed} handed off, {decided} decided");
    for one in report["compare"].as_array().unwrap() {
        let sum: u64 =
            one["groups"].as_array().unwrap().iter().map(|group| group["leads"].as_u64().unwrap()).sum();
        assert_eq!(report["leads"], sum, "each lead is in one group: {one}");
    }
    let at_sales = segments.iter().find(|segment| segment["segment"] == "at_sales").unwrap();
    assert_eq!(at_sales["looks_at_the_outcome"], true);
    assert_eq!(at_sales["cohort"]["leads"], 0, "nobody is at sales before being handed to it");
    assert!(report["answer"].as_str().unwrap().starts_with("too few to conclude"), "{}", report["answer"]);
}

/// Forty leads, each on a day of its own; every second is won, those of one share a deal with those of the next.
async fn setting() -> Setting {
    let setting = Setting::new().await;
    let start = setting.now();
    for n in 0..40_i64 {
        setting.go_to(start.plus(n * 6 * HOUR_MS));
        let who = address(n as u64);
        let consent = ConsentFact {
            purpose: Purpose::Marketing,
            status: ConsentStatus::Confirmed,
            basis: Basis::Consent,
            at: setting.now(),
            text: None,
            source: None,
        };
        let came = Fact::Activity(activity("webinar_attended", &[]));
        setting.record(&who, &format!("{n} came"), came).await;
        setting.record(&who, &format!("{n} agreed"), Fact::Consent(consent)).await;
        setting.later(HOUR_MS);
        let what = if n % 2 == 0 {
            let amount = Money::parse("10.01", Currency::parse("EUR").unwrap()).unwrap();
            Move::Won { deal: ExternalId::new("crm", &format!("d{}", n / 4)).unwrap(), amount: Some(amount) }
        } else {
            Move::Lost { deal: None, reason: None }
        };
        setting.record(&who, &format!("{n} ended"), Fact::Sales { what, by: None, note: None }).await;
    }
    setting.later(DAY_MS);
    setting
}

const WORDS: &str = "?per=week&compare=dach_active,newsletter|label";

#[tokio::test]
async fn a_report_whose_worker_stops_after_every_page_ends_with_the_same_figures() {
    let mut setting = setting().await;
    let whole = setting.call(Role::Sales, "GET", &format!("{PATH}{WORDS}"), None).await.json();
    let newsletter =
        whole["segments"].as_array().unwrap().iter().find(|s| s["segment"] == "newsletter").unwrap();
    // Twenty won leads share ten deals.
    assert_eq!(
        (&newsletter["cohort"]["won"], &newsletter["cohort"]["lost"]),
        (&json!(20), &json!(20)),
        "{whole}"
    );
    assert_eq!(newsletter["cohort"]["revenue"], json!([{"currency": "EUR", "amount": "100.10"}]));
    setting.insights_within(Duration::ZERO);
    let first = setting.call(Role::Sales, "GET", &format!("{PATH}{WORDS}"), None).await;
    assert_eq!(first.status, 202);
    let id = first.json()["job"].as_str().unwrap().to_owned();
    let mut calls = 0;
    while setting.insights.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done {
        // Every second worker dies before it has noted anything.
        if calls % 2 == 1 {
            setting.failures.take_calls();
            // In turn when it reads leads and when it reads what happened to one of them; the first five reads are ahead.
            setting.failures.on_call(if calls % 4 == 1 { 7 } else { 6 }, Failure::Throttled);
            let died = insights::run_job(&setting.insights, &id).await;
            setting.failures.heal();
            assert!(died.is_err(), "the worker died");
        } else {
            insights::run_job(&setting.insights, &id).await.unwrap();
        }
        calls += 1;
        assert!(calls < 40, "it gets somewhere");
    }
    assert!(calls >= 8, "it was stopped in between: {calls}");
    let answer = setting.call(Role::Sales, "GET", &format!("{PATH}{WORDS}"), None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), whole);
}

#[tokio::test]
async fn csv_has_a_line_for_each_segment_and_a_column_for_each_period() {
    let setting = setting().await;
    let text =
        setting.call_accepting(&format!("{PATH}?per=week&from=2026-11-23&tz=UTC"), "text/csv").await.text();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |segment: &str, column: &str| {
        let place =
            head.iter().position(|name| name == column).unwrap_or_else(|| panic!("{column}: {head:?}"));
        lines.iter().find(|line| &line[0] == segment).unwrap()[place].to_owned()
    };
    // Four leads a day, the first two of them on the 22nd.
    assert_eq!(of("newsletter", "members_until_2026-11-30T00:00:00Z"), "30");
    assert_eq!(
        (of("newsletter", "members"), of("newsletter", "entered")),
        ("40".to_owned(), "38".to_owned())
    );
    assert_eq!((of("newsletter", "won"), of("newsletter", "win_rate")), ("19".to_owned(), "0.5".to_owned()));
    assert_eq!(of("newsletter", "revenue_eur"), "90.09");
    assert_eq!((of("dach_active", "leads"), of("dach_active", "win_rate")), ("0".to_owned(), String::new()));
}

#[tokio::test]
async fn every_fault_of_the_question_is_named() {
    let setting = Setting::new().await;
    let ask = async |words: &str| {
        let answer = setting.call(Role::Marketing, "GET", &format!("{PATH}{words}"), None).await;
        (answer.status, answer.pointers())
    };
    let wrong = "?per=year&tz=Mars&from=yesterday&compare=newsletter,nobody|attribute:|label|label|country";
    let (status, pointers) = ask(wrong).await;
    assert_eq!(status, 422);
    assert_eq!(pointers, ["/compare", "/compare", "/compare", "/compare", "/from", "/per", "/tz"]);
    assert_eq!(ask("?from=2027-01-01").await, (422, vec!["/from".to_owned()]));
    assert_eq!(ask("?from=2026-11-20&to=2026-11-20").await, (422, vec!["/to".to_owned()]));
    // 400 days are as many as it has.
    assert_eq!(ask("?from=2025-01-01&per=day").await, (422, vec!["/per".to_owned()]));
    assert_eq!(ask("?from=2025-11-01&per=day").await.0, 200);
    assert_eq!(ask("?colour=red").await.0, 422);
    // Twelve months unless said, and the end is now.
    let usual = setting.call(Role::Sales, "GET", PATH, None).await.json();
    let periods = usual["segments"][0]["periods"].as_array().unwrap();
    assert_eq!((periods.len(), &periods[11]["to"], &usual["to"]), (12, &json!(NOON), &json!(NOON)));
    assert_eq!(periods[0]["from"], "2025-11-30T23:00:00Z");
}

#[tokio::test]
async fn what_takes_longer_is_a_job_that_whoever_asks_the_same_meets() {
    let setting = setting().await;
    let mut waiting = setting.insights.clone();
    waiting.answer_within = Duration::ZERO;
    let started = Arc::new(MemoryJobStarter::new());
    waiting.starter = started.clone();
    let api = Api::of(adapters::http::split(insights::router(waiting)).0);
    let ask = async |words: &str| {
        let path = format!("{PATH}{words}");
        api.call("GET", &path).token(setting.tokens.of(Role::Sales)).send().await
    };
    let first = ask("?per=week").await;
    let job = first.json()["job"].as_str().unwrap().to_owned();
    assert_eq!((first.status, started.take()), (202, vec![job.clone()]));
    assert_eq!(ask("?per=week").await.json()["job"], job.as_str());
    assert_ne!(ask("?per=day&from=2026-11-20").await.json()["job"], job.as_str(), "another question");
    insights::run_job(&setting.insights, &job).await.unwrap();
    assert_eq!(ask("?per=week").await.status, 200);
}
