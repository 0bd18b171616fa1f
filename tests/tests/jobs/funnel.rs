//! The funnel through its routes: each figure has exactly its leads behind it, whatever is asked; CSV, faults, and a
//! report that takes long. What the figures mean is shown in the domain's own tests, and against SQL in `tests/olist`.

use super::setting::Setting;
use adapters::http::Role;
use adapters::write_path::About;
use domain::change::Fact;
use domain::identity::{ExternalId, Identity, Slug};
use domain::sales::Move;
use domain::time::{DAY_MS, HOUR_MS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::builders::{delivered, time};

const GROUPS: [&str; 9] = [
    "channel",
    "campaign",
    "landing_page",
    "country",
    "persona",
    "segment",
    "label",
    "person",
    "first_contact_month",
];

/// Forty leads of four months, each with up to seven things that sales told of it, drawn from a fixed seed.
async fn setting() -> Setting {
    let setting = Setting::new().await;
    let mut state = 2_026_u64;
    let mut roll = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % n) as i64
    };
    let start = time("2026-06-30T20:00:00Z");
    for n in 0..40 {
        let came = start.plus(roll(120) * DAY_MS + roll(24) * HOUR_MS);
        let channel = ["email", "social", "paid_search"].get(roll(4) as usize);
        let (campaign, country) =
            (["spring", "=autumn"][roll(2) as usize], ["AT", "DE", "FR"][roll(3) as usize]);
        let lead = json!({
            "external_id": {"system": "x", "id": n.to_string()}, "occurred_at": came.to_string(),
            "source": {"channel": channel, "campaign": campaign},
            "attributes": {"country": country},
        });
        let body = json!({"mode": "history", "leads": [lead]});
        assert_eq!(setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&body)).await.status, 200);
        let who = About::Anybody(vec![Identity::External(ExternalId::new("x", &n.to_string()).unwrap())]);
        let deal = ExternalId::new("crm", &n.to_string()).unwrap();
        let mut at = came;
        for step in 0..roll(8) {
            at = at.plus(roll(200) * HOUR_MS);
            let what = match roll(9) {
                0..=2 => Move::MarketingQualified { owner: Slug::parse("at-1").unwrap(), promise_due_at: at },
                3 => Move::Accepted,
                4 => Move::Rejected { reason: None },
                5 => Move::Qualified,
                6 => Move::Opportunity { deal: deal.clone(), amount: None },
                7 => Move::Won { deal: deal.clone(), amount: None },
                _ => Move::Disqualified { reason: None },
            };
            let by = Some(Slug::parse(["at-1", "de-1"][roll(2) as usize]).unwrap());
            let mut fact = delivered(&format!("{n} {step}"), at, Fact::Sales { what, by, note: None });
            fact.history = true;
            setting.write_path.record(&who, &[fact]).await.unwrap();
        }
    }
    setting
}

async fn get(setting: &Setting, path: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Counts the leads behind a figure, over all pages, and sees that none comes twice.
async fn behind(setting: &Setting, query: &str) -> u64 {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = get(setting, &format!("/v1/reports/funnel/leads?limit=7{query}{cursor}")).await;
        for item in page["items"].as_array().unwrap() {
            assert!(ids.insert(item["lead_id"].as_str().unwrap().to_owned()), "twice: {item}");
            assert!(!item["stays"].as_array().unwrap().is_empty());
        }
        let Some(next) = page["next_cursor"].as_str() else { return ids.len() as u64 };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn behind_each_figure_stand_exactly_its_leads() {
    let setting = setting().await;
    let mut opened = BTreeSet::new();
    for basis in ["cohort", "period"] {
        for group in GROUPS {
            let words = format!("basis={basis}&group_by={group}&from=2026-07-15&to=2026-10-01");
            let report = get(&setting, &format!("/v1/reports/funnel?{words}")).await;
            let total = (None, &report["total"]);
            let rows = report["rows"].as_array().unwrap();
            let rows = rows.iter().map(|row| (Some(row[group].as_str().unwrap_or_default()), row));
            for (name, row) in std::iter::once(total).chain(rows) {
                let of_row = name.map_or(String::new(), |name| format!("&row={}", name.replace('=', "%3D")));
                for figure in ["leads", "won", "lost", "open"] {
                    let found = behind(&setting, &format!("&{words}{of_row}&figure={figure}")).await;
                    assert_eq!(row[figure], found, "{words} {name:?} {figure}");
                }
                for stage in row["stages"].as_array().unwrap() {
                    let word = stage["stage"].as_str().unwrap();
                    for figure in ["reached", "entered", "open", "left", "advanced"] {
                        let Some(expected) = stage[figure].as_u64() else { continue };
                        if expected > 0 {
                            opened.insert((basis, word.to_owned(), figure));
                        }
                        // Each figure of every row of two groups, and of the total and the first rows of the others.
                        if name.is_none() || ["channel", "person"].contains(&group) {
                            let query = format!("&{words}{of_row}&figure={figure}&stage={word}");
                            assert_eq!(behind(&setting, &query).await, expected, "{query}");
                        }
                    }
                }
            }
        }
    }
    assert!(opened.len() > 30, "{opened:?}");
}

#[tokio::test]
async fn conversions_carry_their_interval_and_a_cohort_says_whether_it_is_open() {
    let setting = setting().await;
    let report = get(&setting, "/v1/reports/funnel?group_by=country").await;
    let (total, stages) = (&report["total"], report["total"]["stages"].as_array().unwrap());
    assert_eq!((&total["leads"], &total["still_open"]), (&json!(40), &json!(true)));
    for two in stages.windows(2).take(5) {
        let (before, this) = (&two[0], &two[1]);
        let conversion = &this["conversion"];
        assert_eq!(conversion["of"], before["reached"]);
        let rate = this["reached"].as_f64().unwrap() / before["reached"].as_f64().unwrap();
        assert!((conversion["rate"].as_f64().unwrap() - rate).abs() < 1e-12);
        // Wilson's interval by its own formula, Wilson 1927, with z = 1.96.
        let (n, z) = (before["reached"].as_f64().unwrap(), 1.959_964);
        let middle = (rate + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
        assert!((conversion["low"].as_f64().unwrap() - (middle - half)).abs() < 1e-3, "{conversion}");
        assert!((conversion["high"].as_f64().unwrap() - (middle + half)).abs() < 1e-3, "{conversion}");
    }
    let ended = get(&setting, "/v1/reports/funnel?to=2026-06-01").await;
    assert_eq!((&ended["total"]["still_open"], &ended["rows"]), (&json!(false), &json!([])));
    assert_eq!(ended["total"]["stages"][1]["conversion"], Value::Null);
}

#[tokio::test]
async fn csv_has_a_line_for_each_row_and_stage_with_cells_made_harmless() {
    let setting = setting().await;
    for basis in ["cohort", "period"] {
        let path = format!("/v1/reports/funnel?group_by=campaign&basis={basis}");
        let report = get(&setting, &path).await;
        let text = setting.call_accepting(&path, "text/csv").await.text();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
        let head = lines.next().unwrap();
        let cells: Vec<Vec<&str>> = lines.collect();
        assert_eq!(cells.len(), 2 * 8, "{text}");
        let at = |name: &str| head.iter().position(|column| *column == name).unwrap();
        for (n, line) in cells.iter().enumerate() {
            let row = &report["rows"][n / 8];
            let stage = &row["stages"][n % 8];
            assert_eq!(line.len(), head.len());
            assert_eq!(line[0], if row["campaign"] == "=autumn" { "'=autumn" } else { "spring" });
            assert_eq!(line[at("entered")], stage["entered"].to_string());
            assert_eq!(line[at("won")], row["won"].to_string());
            // A number that is read and written once more may differ in its last digit.
            let (rate, cell) =
                (stage["conversion"]["rate"].as_f64(), line[at("conversion")].parse::<f64>().ok());
            assert_eq!(rate.is_some(), cell.is_some());
            assert!((rate.unwrap_or(0.0) - cell.unwrap_or(0.0)).abs() < 1e-12);
        }
    }
}

#[tokio::test]
async fn every_fault_of_the_question_is_named() {
    let setting = Setting::new().await;
    for (path, pointers) in [
        ("?group_by=colour&basis=x&tz=Mars&from=yesterday", vec!["/basis", "/from", "/group_by", "/tz"]),
        ("?from=2026-02-01&to=2026-02-01", vec!["/to"]),
        ("/leads?figure=reached", vec!["/stage"]),
        ("/leads?figure=won&stage=customer", vec!["/stage"]),
        ("/leads?figure=open&stage=contact&cursor=x", vec!["/cursor", "/stage"]),
        ("/leads?figure=rich&group_by=x&basis=y", vec!["/basis", "/figure", "/group_by"]),
    ] {
        let answer = setting.call(Role::Marketing, "GET", &format!("/v1/reports/funnel{path}"), None).await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (422, pointers.into_iter().map(String::from).collect()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_funnel_that_takes_longer_than_a_caller_waits_is_a_job() {
    let mut setting = setting().await;
    let path = "/v1/reports/funnel?group_by=label&basis=period";
    let at_once = get(&setting, path).await;
    setting.insights_within(Duration::ZERO);
    let first = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(first.status, 202, "{}", first.text());
    let job = first.json()["job"].as_str().unwrap().to_owned();
    assert_eq!(setting.started.take(), std::slice::from_ref(&job));
    insights::run_job(&setting.insights, &job).await.unwrap();
    assert_eq!(get(&setting, path).await, at_once);
}
