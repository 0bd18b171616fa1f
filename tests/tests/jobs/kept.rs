//! Figures that are kept by date: what a night keeps is what the reports say, once, whatever dies on the way.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::Jobs;
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use adapters::write_path::About;
use domain::change::Fact;
use domain::identity::{ExternalId, Identity};
use domain::money::{Currency, Money};
use domain::sales::Move;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{delivered, test_playbook, time};
use testkit::{FailingCatalog, Failure};

/// How many records a night keeps: nine groups of the funnel, three of the campaigns and two of the promises, in two bases,
/// and the personas.
const A_NIGHT: usize = 2 * (9 + 3 + 2) + 1;

/// Leads of some days, two of them won, the playbook's zone being Vienna; a night of 22 November.
async fn setting() -> Setting {
    let mut playbook = test_playbook();
    playbook["promises"] = json!({
        "first_answer_hours": 8, "follow_up": {"tries": 2, "before": ["rival"]}, "marketing": [
            {"territory": "alps", "leads_a_week": 2, "accepted_percent": 50}, {"leads_a_week": 1},
        ],
    });
    let setting = Setting::with(&playbook).await;
    tell(&setting).await;
    setting.go_to(time("2026-11-22T01:30:00Z"));
    setting
}

/// Three weeks of hand-offs, some of them answered: by the night of 22 November some in time, some late, some not yet.
async fn hand_over(setting: &Setting) {
    let people = [
        (
            "anna",
            "AT",
            "Head of plant",
            "2026-11-02T08:00:00Z",
            Some((Move::Accepted, "2026-11-02T10:00:00Z")),
        ),
        (
            "berta",
            "AT",
            "Head of systems",
            "2026-11-09T08:00:00Z",
            Some((Move::FollowedUp, "2026-11-11T10:00:00Z")),
        ),
        ("cilli", "DE", "Head of plant systems", "2026-11-20T20:00:00Z", None),
        (
            "dora",
            "AT",
            "Head of plant",
            "2026-11-20T23:30:00Z",
            Some((Move::Accepted, "2026-11-21T01:45:00Z")),
        ),
        ("edith", "FR", "Head of sales", "2026-11-21T09:00:00Z", None),
        ("fanny", "CH", "Head of plant", "2026-11-21T20:00:00Z", None),
        ("greta", "AT", "Head of plant", "2026-11-21T23:30:00Z", None),
    ];
    for (name, country, job, at, answer) in people {
        setting.go_to(time(at));
        let email = format!("{name}@company.example");
        let form = json!({"email": email, "country": country, "job_title": job, "company_size": "120"});
        let sent = setting.call(Role::Marketing, "POST", "/v1/forms/contact", Some(&form)).await;
        assert_eq!(sent.status, 202, "{}", sent.text());
        if let Some((what, at)) = answer {
            setting.go_to(time(at));
            setting.record(&email, "answer", Fact::Sales { what, by: None, note: None }).await;
        }
    }
    setting.go_to(time("2026-11-22T01:30:00Z"));
}

async fn tell(setting: &Setting) {
    let lead = |id: &str, at: &str, channel: &str, country: &str| {
        json!({
            "external_id": {"system": "x", "id": id}, "occurred_at": at, "source": {"channel": channel, "campaign": "spring"},
            "attributes": {"country": country},
        })
    };
    let leads = json!({"mode": "history", "leads": [
        lead("1", "2026-10-02T08:00:00Z", "email", "AT"), lead("2", "2026-10-03T08:00:00Z", "email", "DE"),
        // Half an hour before midnight in Vienna, and half an hour after.
        lead("3", "2026-11-20T22:30:00Z", "social", "AT"), lead("4", "2026-11-20T23:30:00Z", "social", "AT"),
    ]});
    let answer = setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&leads)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let spring = json!({"channel": "email", "costs": [{"month": "2026-11", "cost": {"amount": "300.00", "currency": "EUR"}}]});
    let put = setting.catalog.put(&[Put::new(CatalogKind::Campaign, "spring", spring)]).await;
    assert!(put.unwrap());
}

async fn win(setting: &Setting, id: &str, at: &str) {
    let amount = Money::parse("10.00", Currency::parse("EUR").unwrap()).ok();
    let what = Move::Won { deal: ExternalId::new("crm", id).unwrap(), amount };
    let incoming = delivered(&format!("won {id}"), time(at), Fact::Sales { what, by: None, note: None });
    let who = Identity::External(ExternalId::new("x", id).unwrap());
    setting.write_path.record(&About::Anybody(vec![who]), &[incoming]).await.unwrap();
}

async fn night(setting: &Setting) -> Result<Option<Value>, StoreError> {
    insights::scheduled(&setting.insights, &json!({"action": "keep_figures"})).await
}

async fn get(setting: &Setting, path: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn kept(setting: &Setting) -> Vec<Record> {
    setting.catalog.list(CatalogKind::Report, 1_000, None).await.unwrap().items
}

#[tokio::test]
async fn a_night_keeps_what_the_reports_say_of_the_day_and_of_all() {
    let setting = setting().await;
    win(&setting, "1", "2026-11-21T10:00:00Z").await;
    night(&setting).await.unwrap();
    for report in ["funnel", "campaigns"] {
        for group in ["channel", "campaign"] {
            let live =
                format!("/v1/reports/{report}?group_by={group}&from=2026-11-21&to=2026-11-22&basis=period");
            let trend = format!("/v1/reports/{report}/trend?group_by={group}");
            let (live, trend) = (get(&setting, &live).await, get(&setting, &trend).await);
            assert_eq!(trend["items"].as_array().map(Vec::len), Some(1), "{trend}");
            assert_eq!(
                (&trend["items"][0]["day"], &trend["items"][0]["rows"]),
                (&json!("2026-11-21"), &live["rows"])
            );
            assert!(live["rows"].as_array().is_some_and(|rows| !rows.is_empty()));
            assert_eq!(trend["items"][0]["total"], live["total"]);
        }
    }
    let all = get(&setting, "/v1/reports/funnel?group_by=country").await;
    let kept = get(&setting, "/v1/reports/funnel/trend?group_by=country&basis=cohort").await;
    assert_eq!(kept["items"][0]["rows"], all["rows"]);
    // What comes to be known later changes the report, and not what was kept.
    win(&setting, "2", "2026-11-21T11:00:00Z").await;
    night(&setting).await.unwrap();
    let live = get(&setting, "/v1/reports/funnel?from=2026-11-21&to=2026-11-22&basis=period").await;
    let kept = get(&setting, "/v1/reports/funnel/trend").await;
    assert_eq!((&live["total"]["won"], &kept["items"][0]["total"]["won"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_night_keeps_what_the_report_says_of_the_promises_of_both_sides() {
    let setting = setting().await;
    hand_over(&setting).await;
    night(&setting).await.unwrap();
    for (basis, span) in [("period", "&from=2026-11-21&to=2026-11-22"), ("cohort", "")] {
        for group in ["territory", "person"] {
            let mut live = get(&setting, &format!("/v1/reports/promises?group_by={group}{span}")).await;
            let path = format!("/v1/reports/promises/trend?group_by={group}&basis={basis}");
            let trend = get(&setting, &path).await;
            let day = &trend["items"][0];
            assert_eq!(
                (&day["day"], trend["items"].as_array().map(Vec::len)),
                (&json!("2026-11-21"), Some(1))
            );
            // Who waited longest are leads, and no figures.
            let sales = live["sales"].as_object_mut().unwrap();
            sales["total"].as_object_mut().unwrap().remove("waited_longest").unwrap();
            for row in sales["rows"].as_array_mut().unwrap() {
                row.as_object_mut().unwrap().remove("waited_longest").unwrap();
            }
            sales.insert("rows_left_out".to_owned(), json!(0));
            for promise in live["marketing"].as_array_mut().unwrap() {
                let weeks = promise["weeks"].as_array_mut().unwrap();
                weeks.drain(..weeks.len().saturating_sub(2));
            }
            assert_eq!((&day["sales"], &day["marketing"]), (&live["sales"], &live["marketing"]), "{path}");
            assert_eq!(day["as_of"], live["as_of"]);
        }
    }
    let counts = |day: &Value| {
        let total = &day["sales"]["total"];
        ["promised", "kept", "broken", "open"].map(|name| total[name].as_u64().unwrap())
    };
    // The day in Vienna had those of half past midnight, ten, and nine in the evening; all of it is what is told above.
    let of_day = get(&setting, "/v1/reports/promises/trend").await;
    assert_eq!(counts(&of_day["items"][0]), [3, 1, 1, 1]);
    let all = get(&setting, "/v1/reports/promises/trend?basis=cohort&row=alps").await;
    assert_eq!(counts(&all["items"][0]), [7, 2, 3, 2]);
    let marketing = &all["items"][0]["marketing"];
    assert_eq!(
        (&marketing[0]["weeks"][0]["week"], &marketing[0]["weeks"][1]["handed_off"]),
        (&json!("2026-11-09"), &json!(3))
    );
    assert_eq!((marketing[1].clone(), &all["items"][0]["sales"]["rows"][1]), (Value::Null, &Value::Null));
    assert_eq!(all["items"][0]["sales"]["rows"][0]["promised"], 5);
    let csv = "/v1/reports/promises/trend?basis=cohort&group_by=person";
    let csv = setting.call_accepting(csv, "text/csv").await.text();
    assert!(csv.starts_with("day,side,territory,person,week,promised,kept,"), "{csv}");
    assert!(csv.contains("\n2026-11-21,sales,,at-1,,5,2,1,2,"), "{csv}");
    assert!(csv.contains("\n2026-11-21,marketing,alps,,2026-11-16,2,"), "{csv}");
    let wrong = "/v1/reports/promises/trend?group_by=week&basis=all";
    let wrong = setting.call(Role::Sales, "GET", wrong, None).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/basis".to_owned(), "/group_by".to_owned()]));
}

#[tokio::test]
async fn a_night_keeps_what_the_report_says_of_personas() {
    let setting = setting().await;
    hand_over(&setting).await;
    win(&setting, "1", "2026-11-21T10:00:00Z").await;
    night(&setting).await.unwrap();
    let mut live = get(&setting, "/v1/reports/personas").await;
    live.as_object_mut()
        .unwrap()
        .extend([("day".to_owned(), json!("2026-11-21")), ("rows_left_out".to_owned(), json!(0))]);
    let trend = get(&setting, "/v1/reports/personas/trend").await;
    assert_eq!(trend["items"], json!([live]));
    let rows = |of: &Value| -> Vec<(String, u64)> {
        let rows = of["items"][0]["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["persona_id"].as_str().unwrap().to_owned(), row["all"].as_u64().unwrap()))
            .collect()
    };
    assert_eq!(rows(&trend), [("it_lead".to_owned(), 2), ("plant_manager".to_owned(), 4)]);
    let one = get(&setting, "/v1/reports/personas/trend?row=plant_manager").await;
    assert_eq!(rows(&one), [("plant_manager".to_owned(), 4)]);
    // Later leads change the report, and not what was kept.
    setting.go_to(time("2026-11-22T10:00:00Z"));
    let form = json!({"email": "hanna@company.example", "country": "AT", "job_title": "Head of plant"});
    assert_eq!(setting.call(Role::Marketing, "POST", "/v1/forms/contact", Some(&form)).await.status, 202);
    night(&setting).await.unwrap();
    assert_eq!(get(&setting, "/v1/reports/personas/trend").await["items"], trend["items"]);
    setting.later(DAY_MS);
    night(&setting).await.unwrap();
    let csv = setting.call_accepting("/v1/reports/personas/trend?row=plant_manager", "text/csv").await.text();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("day,persona,name,meet,all,leads,"), "{csv}");
    let starts = |line: usize, start: &str| assert!(lines[line].starts_with(start), "{csv}");
    starts(1, "2026-11-21,plant_manager,");
    starts(2, "2026-11-21,,,,");
    starts(3, "2026-11-22,plant_manager,");
    assert!(lines[1].contains(",4,4,") && lines[3].contains(",5,5,") && lines.len() == 5, "{csv}");
    let wrong = "/v1/reports/personas/trend?group_by=country&basis=period";
    let wrong = setting.call(Role::Sales, "GET", wrong, None).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/basis".to_owned(), "/group_by".to_owned()]));
}

#[tokio::test]
async fn a_night_that_was_missed_stays_missing_and_is_named() {
    let setting = setting().await;
    night(&setting).await.unwrap();
    // Nobody calls in the next night.
    setting.later(2 * DAY_MS);
    night(&setting).await.unwrap();
    for report in ["funnel", "campaigns", "promises", "personas"] {
        let trend = get(&setting, &format!("/v1/reports/{report}/trend?from=2026-11-20&to=2026-12-01")).await;
        let days: Vec<&Value> = trend["items"].as_array().unwrap().iter().map(|day| &day["day"]).collect();
        assert_eq!(days, ["2026-11-21", "2026-11-23"], "{report}");
        // Today is the 24th, which has not ended.
        assert_eq!(trend["missing"], json!(["2026-11-20", "2026-11-22"]), "{report}");
    }
    let page = get(&setting, "/v1/reports/funnel/trend?from=2026-11-20&limit=2").await;
    assert_eq!((&page["missing"], &page["next_cursor"]), (&json!(["2026-11-20"]), &json!("2026-11-22")));
}

#[tokio::test]
async fn a_table_of_days_has_the_columns_of_all_of_them() {
    let setting = setting().await;
    night(&setting).await.unwrap();
    setting.later(DAY_MS);
    win(&setting, "1", "2026-11-22T10:00:00Z").await;
    night(&setting).await.unwrap();
    let path = "/v1/reports/campaigns/trend?basis=cohort&row=email";
    let csv = setting.call_accepting(path, "text/csv").await.text();
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let head = table.headers().unwrap().clone();
    let cells = |row: &csv::StringRecord| {
        let at = |name: &str| head.iter().position(|known| known == name).map(|at| row[at].to_owned());
        ["day", "channel", "leads", "won", "revenue_eur"].map(|name| at(name).unwrap())
    };
    let rows: Vec<_> = table.records().map(|row| cells(&row.unwrap())).collect();
    assert_eq!(rows, [["2026-11-21", "email", "2", "0", ""], ["2026-11-22", "email", "2", "1", "10.00"]]);
}

#[tokio::test]
async fn a_trend_is_one_read_for_each_month_and_looks_at_no_lead() {
    let mut setting = setting().await;
    night(&setting).await.unwrap();
    insights::scheduled(&setting.insights, &json!({"action": "watch_content"})).await.unwrap();
    let catalog = FailingCatalog::new(Arc::clone(&setting.catalog), setting.failures.clone());
    setting.insights.catalog = Arc::new(catalog);
    setting.insights_within(Duration::from_secs(20));
    for report in ["funnel", "campaigns", "promises", "personas", "content"] {
        for (span, reads) in [("from=2026-11-01", 1), ("from=2026-10-31", 2)] {
            setting.failures.take_calls();
            let trend = get(&setting, &format!("/v1/reports/{report}/trend?{span}")).await;
            assert_eq!(trend["items"].as_array().map(Vec::len), Some(1), "{report}");
            assert_eq!(setting.failures.take_calls(), vec!["list"; reads], "{report}?{span}");
        }
    }
}

#[tokio::test]
async fn a_trend_has_the_days_that_are_asked_for_in_pages_and_of_one_row_where_one_is_meant() {
    let setting = setting().await;
    for _ in 0..12 {
        night(&setting).await.unwrap();
        setting.later(DAY_MS);
    }
    // The last of them was that of 3 December, which counted the 2nd; now it is the 4th.
    let days = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["day"].as_str().unwrap().to_owned()).collect()
    };
    let all = get(&setting, "/v1/reports/funnel/trend").await;
    let found = days(&all);
    assert_eq!((found.len(), found[0].as_str(), found[11].as_str()), (12, "2026-11-21", "2026-12-02"));
    assert!(found.is_sorted() && all["next_cursor"].is_null());
    let some = get(&setting, "/v1/reports/funnel/trend?from=2026-11-29&to=2026-12-02").await;
    assert_eq!(days(&some), ["2026-11-29", "2026-11-30", "2026-12-01"]);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&setting, &format!("/v1/reports/funnel/trend?from=2026-11-20&limit=5{cursor}")).await;
        paged.extend(days(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, found);
    let social = get(&setting, "/v1/reports/funnel/trend?basis=cohort&row=social&to=2026-11-22").await;
    assert_eq!(
        (&social["items"][0]["rows"][0]["leads"], social["items"][0]["rows"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
    let none = get(&setting, "/v1/reports/campaigns/trend?basis=cohort&row=&to=2026-11-22").await;
    assert_eq!(none["items"][0]["rows"], json!([]));
    let csv =
        setting.call_accepting("/v1/reports/funnel/trend?basis=cohort&row=social", "text/csv").await.text();
    assert!(csv.starts_with("day,channel,stage,reached,entered,open,conversion,"), "{csv}");
    assert!(csv.contains("\n2026-11-21,social,inquiry,2,2,2,,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 12 * 8);
    let faults = setting
        .call(
            Role::Sales,
            "GET",
            "/v1/reports/funnel/trend?from=2026&limit=0&cursor=x&basis=all&group_by=x",
            None,
        )
        .await;
    assert_eq!(faults.pointers(), ["/basis", "/cursor", "/from", "/group_by", "/limit"]);
    let faults = setting
        .call(
            Role::Sales,
            "GET",
            "/v1/reports/campaigns/trend?group_by=country&from=2026-11-22&to=2026-11-22",
            None,
        )
        .await;
    assert_eq!(faults.pointers(), ["/group_by", "/to"]);
}

#[tokio::test]
async fn a_night_that_dies_at_any_step_and_is_taken_up_again_keeps_the_same() {
    let undisturbed = setting().await;
    hand_over(&undisturbed).await;
    win(&undisturbed, "1", "2026-11-21T10:00:00Z").await;
    night(&undisturbed).await.unwrap();
    let expected: Vec<(String, Value)> =
        kept(&undisturbed).await.into_iter().map(|record| (record.id, record.body)).collect();
    assert_eq!(expected.len(), A_NIGHT);
    // Days that were kept long ago are found under these names.
    for report in [
        "funnel.channel.period",
        "campaigns.campaign.cohort",
        "promises.person.cohort",
        "personas.persona.cohort",
    ] {
        assert!(expected.iter().any(|(id, _)| *id == format!("{report}#2026-11-21")), "{report}");
    }
    let mut survived = 0;
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        for step in 1.. {
            let mut setting = setting().await;
            hand_over(&setting).await;
            win(&setting, "1", "2026-11-21T10:00:00Z").await;
            let catalog =
                Arc::new(FailingCatalog::new(Arc::clone(&setting.catalog), setting.failures.clone()));
            setting.insights.jobs = Jobs::new(Arc::clone(&catalog) as _, Arc::clone(&setting.clock) as _);
            setting.insights.catalog = catalog;
            setting.failures.take_calls();
            setting.failures.on_call(step, failure);
            let first = night(&setting).await;
            let steps = setting.failures.take_calls().len();
            if step > steps {
                // It did not come to the failure.
                first.unwrap();
                break;
            }
            survived += 1;
            // All of the day or nothing.
            assert!([0, expected.len()].contains(&kept(&setting).await.len()), "{failure:?} at {step}");
            // Whoever died holds the job until its lease ends; the schedule's retry and the tick come after.
            for _ in 0..2 {
                setting.later(3 * MINUTE_MS);
                night(&setting).await.unwrap();
            }
            let found: Vec<(String, Value)> = kept(&setting)
                .await
                .into_iter()
                .map(|record| (record.id, without_time(record.body)))
                .collect();
            let expected = expected.iter().cloned().map(|(id, body)| (id, without_time(body)));
            assert_eq!(found, expected.collect::<Vec<_>>(), "{failure:?} at {step}");
        }
    }
    assert!(survived >= 3 * 6, "{survived} steps failed");
}

/// When it was counted is another time where it was counted later.
fn without_time(mut body: Value) -> Value {
    body.as_object_mut().unwrap().remove("as_of");
    body
}

#[tokio::test]
async fn a_worker_that_vanishes_in_the_scan_leaves_the_day_to_the_next() {
    let setting = setting().await;
    setting.failures.take_calls();
    setting.failures.on_call(2, Failure::Hangs);
    let hanging = tokio::time::timeout(Duration::from_millis(200), night(&setting)).await;
    assert!(hanging.is_err(), "killed while it waits");
    night(&setting).await.unwrap();
    assert!(kept(&setting).await.is_empty(), "its lease has not ended");
    setting.later(3 * MINUTE_MS);
    let job = insights::run_job(&setting.insights, "report-kept-2026-11-21").await;
    job.unwrap();
    assert_eq!(kept(&setting).await.len(), A_NIGHT);
    let first = kept(&setting).await;
    night(&setting).await.unwrap();
    assert_eq!(kept(&setting).await, first, "run twice: the same");
}

#[tokio::test]
async fn a_night_keeps_the_latest_won_leads_and_what_they_are_like() {
    let setting = setting().await;
    let won = async || adapters::won::latest(setting.catalog.as_ref()).await.unwrap();
    assert!(won().await.as_of.is_none());
    win(&setting, "1", "2026-11-21T10:00:00Z").await;
    night(&setting).await.unwrap();
    let first = won().await;
    let traits: Vec<String> = first
        .won
        .iter()
        .flat_map(|won| won.traits)
        .map(|(name, value)| format!("{} {value}", name.as_str()))
        .collect();
    assert_eq!(traits, ["country AT", "channel email", "campaign spring"]);
    win(&setting, "2", "2026-11-21T11:00:00Z").await;
    setting.later(DAY_MS);
    night(&setting).await.unwrap();
    let second = won().await;
    assert_eq!((first.won.iter().count(), second.won.iter().count()), (1, 2));
    assert!(second.as_of > first.as_of);
}
