//! Personas: evidence of all six kinds gives exactly the card that it should, statement by statement.
//!
//! The files of `tests/personas/` come in through `leadloop import evidence`, which asks the routes over HTTP as it would
//! those of a stack; the sixth kind, database mining, is the system's own. The cards are compared with the files beside
//! them: where one differs, what came is in `target/tmp` to be looked at and copied.

use super::learning::{LEADS, captured, past, record, wins};
use super::setting::Setting;
use adapters::config::Environment;
use adapters::http::Role;
use adapters::jobs::JobStatus;
use clap::Parser;
use domain::change::Fact;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::builders::{activity, test_playbook};
use testkit::dynamo::root;

fn file(name: &str) -> PathBuf {
    root().join("tests/personas").join(name)
}

/// The tests' playbook with the personas of the fixtures.
pub(crate) fn playbook() -> Value {
    let mut playbook = test_playbook();
    let ours: Value = serde_json::from_str(&std::fs::read_to_string(file("playbook.json")).unwrap()).unwrap();
    playbook.as_object_mut().unwrap().extend(ours.as_object().unwrap().clone());
    playbook
}

/// 240 leads, every third in Austria, of which every second came to a webinar before sales called.
async fn setting() -> Setting {
    let setting = Setting::with(&playbook()).await;
    past(&setting).await;
    for n in (0..LEADS).filter(|n| n.is_multiple_of(6)) {
        let (who, at) = (format!("lead{n}@company.example"), captured(n).plus(2 * DAY_MS));
        record(&setting, &who, "webinar", at, Fact::Activity(activity("webinar_attended", &[]))).await;
    }
    setting
}

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: leadloop::Command,
}

/// A setting whose routes are served, for commands.
struct Served {
    url: String,
    token: String,
}

impl Served {
    async fn of(setting: &Setting) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = setting.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, token: setting.tokens.of(Role::Marketing).to_owned() }
    }

    /// Imports a file; gives what was rejected and why.
    async fn import(&self, name: &str, more: &[&str]) -> Vec<String> {
        let (kind, _) = name.split_once('.').unwrap();
        // Tests run beside each other; each has a port of its own.
        let (_, port) = self.url.rsplit_once(':').unwrap();
        let rejects = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{kind}.{port}.rejects.csv"));
        let _fresh = std::fs::remove_file(&rejects);
        let (input, output) = (file(name), rejects.clone());
        let words =
            ["leadloop", "import", "evidence", input.to_str().unwrap(), "--persona", "olga", "--kind", kind];
        let rest = ["--url", &self.url, "--token", &self.token, "--rejects", output.to_str().unwrap()];
        let line = Line::try_parse_from(words.iter().chain(more).chain(&rest)).unwrap();
        let leadloop::Command::Import { what } = line.command else { panic!("it is an import") };
        let done = leadloop::import::run(what, &Environment::read()).await;
        let text = std::fs::read_to_string(&rejects).unwrap_or_default();
        let _gone = std::fs::remove_file(&rejects);
        let rejected: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        assert_eq!(done.is_err(), !rejected.is_empty(), "{done:?}");
        rejected
    }

    async fn everything(&self) -> Vec<String> {
        let mut rejected = Vec::new();
        for name in
            ["interview_prospect", "interview_sales", "interview_customer_service", "social_listening"]
        {
            rejected.extend(self.import(&format!("{name}.jsonl"), &[]).await);
        }
        rejected.extend(self.import("keyword_research.csv", &["--supports", "friday_reports"]).await);
        rejected
    }
}

async fn get(setting: &Setting, path: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn mine(setting: &Setting, persona: &str) -> Value {
    let path = format!("/v1/personas/{persona}/mining");
    let answer = setting.call(Role::Marketing, "POST", &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].clone()
}

/// Compares with a file; what came is kept beside the build.
fn same_as(name: &str, came: &str) {
    let expected = std::fs::read_to_string(file(name)).unwrap_or_default();
    if came != expected {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&kept, came).unwrap();
        panic!("tests/personas/{name} is not what came, which is in {}", kept.display());
    }
}

#[tokio::test]
async fn evidence_of_all_six_kinds_gives_exactly_this_card() {
    let setting = setting().await;
    let served = Served::of(&setting).await;
    let rejected = served.everything().await;
    let [prints, many] = rejected.as_slice() else { panic!("{rejected:?}") };
    assert!(
        prints.starts_with("3,")
            && prints.contains("no statement of the persona")
            && prints.contains("friday_reports"),
        "{prints}"
    );
    assert!(
        many.starts_with("9,") && many.contains("is no number of searches") && many.contains("größte anlage"),
        "{many}"
    );
    mine(&setting, "olga").await;
    let card = get(&setting, "/v1/personas/olga").await;
    let verdict = |id: &str| {
        let mut all =
            card["aspects"].as_array().unwrap().iter().flat_map(|a| a["statements"].as_array().unwrap());
        all.find(|statement| statement["id"] == id).unwrap()["verdict"].clone()
    };
    for (id, expected) in [
        ("from_the_line", "claims_evidence"),
        ("no_standstill", "stands"),
        ("friday_reports", "stands"),
        ("three_plants", "guess"),
        ("it_says_no", "stands"),
        ("too_dear", "contradicted"),
        ("no_time", "disputed"),
    ] {
        assert_eq!(verdict(id), expected, "{id}");
    }
    assert_eq!(card["missing_kinds"], json!([]));
    same_as("card.json", &(serde_json::to_string_pretty(&card).unwrap() + "\n"));

    let markdown = setting.call_accepting("/v1/personas/olga", "text/markdown").await;
    assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
    same_as("card.md", &markdown.text());

    let page = setting.call_accepting("/v1/personas/olga", "text/html,*/*;q=0.8").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let text = page.text();
    assert!(text.contains("&lt;script&gt;alert('Friday')&lt;/script&gt;"), "{text}");
    for forbidden in
        ["<script", "javascript:alert(1)\"", "<img", "<link", "src=", "href=", "url(", "plant_ada", "ada@"]
    {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    same_as("card.html", &text);
    // Nothing anywhere has who wrote it.
    let list = get(&setting, "/v1/personas/olga/evidence?kind=social_listening").await;
    assert!(!list.to_string().contains("ada"), "{list}");
}

#[tokio::test]
async fn a_second_import_and_a_second_run_of_mining_add_nothing() {
    let setting = setting().await;
    let served = Served::of(&setting).await;
    served.everything().await;
    let first = mine(&setting, "olga").await;
    let before = get(&setting, "/v1/personas/olga/evidence?limit=200").await;
    served.everything().await;
    setting.later(DAY_MS);
    let second = mine(&setting, "olga").await;
    assert_eq!(
        (first["findings"].as_array().unwrap().len(), &second["withdrawn"]),
        (5, &json!(0)),
        "{first}"
    );
    let after = get(&setting, "/v1/personas/olga/evidence?limit=200").await;
    let ids = |list: &Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|one| one["evidence_id"].clone()).collect()
    };
    assert_eq!(ids(&before), ids(&after));
    assert_eq!(ids(&before).len(), 3 + 3 + 3 + 2 + 4 + 5);
}

#[tokio::test]
async fn mining_rests_on_nothing_that_was_not_known_in_time_and_replaces_what_it_found_before() {
    let setting = setting().await;
    let mined = mine(&setting, "olga").await;
    let of_persona = (0..LEADS).filter(|n| n.is_multiple_of(3));
    assert_eq!((&mined["leads"], &mined["judged"]), (&json!(LEADS), &json!(of_persona.clone().count())));
    let findings = mined["findings"].as_array().unwrap();
    let of = |attribute: &str, compared: &str| {
        let found = |f: &&Value| {
            [&f["attribute"], &f["signal"]].contains(&&json!(attribute)) && f["compared"] == compared
        };
        findings.iter().find(found).unwrap_or_else(|| panic!("{attribute}: {mined}"))
    };
    let large: Vec<usize> = of_persona.filter(|n| n.is_multiple_of(2)).collect();
    let won = large.iter().filter(|n| wins(**n) && **n % 8 != 7).count();
    let size = of("company_size", "won_with_lost");
    assert_eq!(size["support"], json!(large.len()));
    assert!(
        size["text"].as_str().unwrap().contains(&format!(
            "{:.0} % of {}",
            100.0 * won as f64 / large.len() as f64,
            large.len()
        )),
        "{size}"
    );
    let webinar = of("webinar_attended", "persona_with_base");
    assert_eq!((&webinar["lift"], &webinar["weight"]), (&json!(3.0), &json!(1)));
    let told = mined["findings"].to_string();
    for hidden in ["budget", "shoe_size", "country"] {
        assert!(!told.contains(&format!("\"attribute\":\"{hidden}\"")), "{hidden}: {told}");
    }
    assert_eq!(mined["left_out"].as_array().unwrap().len(), 2, "{}", mined["left_out"]);

    // What somebody entered by hand stays; what no longer shows goes.
    let by_hand = json!({"kind": "database_mining", "text": "Most pay late", "attribute": "country", "date": "2026-01-01"});
    let path = "/v1/personas/olga/evidence";
    setting.call(Role::Marketing, "POST", path, Some(&by_hand)).await;
    for n in (0..LEADS).filter(|n| !n.is_multiple_of(3)) {
        let (who, at) = (format!("lead{n}@company.example"), captured(n).plus(2 * DAY_MS));
        record(&setting, &who, "webinar", at, Fact::Activity(activity("webinar_attended", &[]))).await;
    }
    let again = mine(&setting, "olga").await;
    assert_eq!(again["withdrawn"], json!(1), "{again}");
    let left = get(&setting, "/v1/personas/olga/evidence?kind=database_mining").await;
    let left = left["items"].as_array().unwrap();
    assert_eq!(left.len(), again["findings"].as_array().unwrap().len() + 1);
    assert!(left.iter().any(|one| one["text"] == "Most pay late" && one["compared"].is_null()));
    assert!(left.iter().all(|one| one["evidence_id"] != webinar["evidence_id"]), "{left:?}");
}

#[tokio::test]
async fn mining_whose_worker_stops_goes_on_to_the_same_findings() {
    let mut setting = setting().await;
    let whole = mine(&setting, "olga").await;
    setting.insights_within(Duration::ZERO);
    let answer = setting.call(Role::Marketing, "POST", "/v1/personas/olga/mining", None).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.json()["job"].as_str().unwrap().to_owned();
    setting.insights.work_for = Duration::from_secs(600);
    insights::run_job(&setting.insights, &id).await.unwrap();
    assert_eq!(setting.insights.jobs.get(&id).await.unwrap().unwrap().status, JobStatus::Done);
    let job = setting.call(Role::Sales, "GET", &format!("/v1/jobs/{id}"), None).await.json();
    let texts = |result: &Value| -> Vec<Value> {
        result["findings"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect()
    };
    assert_eq!(texts(&job["result"]), texts(&whole));
    assert_eq!(job["result"]["withdrawn"], json!(0));
}

#[tokio::test]
async fn a_persona_whose_condition_nobody_can_have_known_is_not_mined_and_says_so() {
    let mut playbook = playbook();
    playbook["personas"][1]["when"] = json!({"attribute": "budget", "equals": "large"});
    let setting = Setting::with(&playbook).await;
    past(&setting).await;
    let mined = mine(&setting, "otto").await;
    assert_eq!((&mined["judged"], mined["findings"].as_array().unwrap().len()), (&json!(0), 0));
    assert!(mined["caution"].to_string().contains("looks at `budget`"), "{}", mined["caution"]);
    let overview = get(&setting, "/v1/reports/personas").await;
    assert!(overview["rows"][1]["all"].as_u64().unwrap() > 0, "they do mirror it today: {overview}");
}

#[tokio::test]
async fn the_report_counts_who_mirrors_each_persona_none_and_several() {
    let setting = setting().await;
    let report = get(&setting, "/v1/reports/personas").await;
    let count = |of: &dyn Fn(usize) -> bool| json!((0..LEADS).filter(|n| of(*n)).count());
    let austria = |n: usize| n.is_multiple_of(3);
    let large = |n: usize| n.is_multiple_of(2);
    let [olga, otto] = report["rows"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&olga["persona_id"], &otto["persona_id"]), (&json!("olga"), &json!("otto")));
    assert_eq!((&olga["all"], &olga["meet"]), (&count(&austria), &count(&austria)));
    assert_eq!(otto["all"], count(&|n| large(n) && !austria(n)), "of two, the first by priority");
    assert_eq!(otto["meet"], count(&large));
    assert_eq!(report["none"]["all"], count(&|n| !large(n) && !austria(n)));
    assert_eq!(report["several"], count(&|n| large(n) && austria(n)));
    assert_eq!(report["overlaps"], json!([{"personas": ["olga", "otto"], "all": report["several"]}]));
    let won = count(&|n| austria(n) && n % 8 != 7 && wins(n));
    assert_eq!((&olga["won"], &olga["share_of_base"]), (&won, &json!(0.3333)));
    assert_eq!(olga["phases"]["customer"], won);
    let ended = (0..LEADS).filter(|n| austria(*n) && n % 8 != 7).count();
    let rate = won.as_u64().unwrap() as f64 / ended as f64;
    assert!((olga["win_rate"].as_f64().unwrap() - rate).abs() < 1e-4);
    let bounds = &olga["win_rate_interval"];
    assert!(bounds["low"].as_f64().unwrap() < rate && rate < bounds["high"].as_f64().unwrap());
    let csv = setting.call_accepting("/v1/reports/personas", "text/csv").await.text();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 4, "{csv}");
    assert!(
        rows[0].starts_with("persona,name,meet,all,leads,share_of_base")
            && rows[1].starts_with("olga,\"Olga, who runs the plant\",80,80,80,0.3333,"),
        "{csv}"
    );
}

#[tokio::test]
async fn figures_that_take_long_become_a_job_that_every_card_meets() {
    let mut setting = setting().await;
    setting.insights_within(Duration::ZERO);
    for path in ["/v1/personas/olga", "/v1/personas/otto", "/v1/reports/personas"] {
        let answer = setting.call(Role::Sales, "GET", path, None).await;
        assert_eq!(answer.status, 202, "{path}");
    }
    let mut started = setting.started.take();
    started.dedup();
    let [job] = started.as_slice() else { panic!("{started:?}") };
    insights::run_job(&setting.insights, job).await.unwrap();
    for path in ["/v1/personas/olga", "/v1/personas/otto", "/v1/reports/personas"] {
        get(&setting, path).await;
    }
}
