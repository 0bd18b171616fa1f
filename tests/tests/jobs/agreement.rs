//! The agreement through its routes: two keys, one content; and no way around them.

use super::setting::Setting;
use adapters::http::Role;
use adapters::playbooks::content_hash;
use adapters::ports::CatalogKind;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testkit::builders::test_playbook;

/// The tests' playbook with other points: what both teams live with.
fn with_points(points: i64) -> Value {
    let mut playbook = test_playbook();
    playbook["engagement"][0]["rules"][0]["points"] = json!(points);
    playbook
}

/// The tests' playbook with one more segment: what is marketing's own.
fn with_segment(id: &str) -> Value {
    let mut playbook = test_playbook();
    let segment = json!({"id": id, "when": {"attribute": "country", "equals": "AT"}});
    playbook["segments"].as_array_mut().unwrap().push(segment);
    playbook
}

async fn people(setting: &Setting) {
    for person in ["at-1", "de-1", "eu-1"] {
        let record = json!({"name": person, "email": format!("{person}@company.example"), "team": "sales"});
        let path = format!("/v1/people/{person}");
        assert_eq!(setting.call(Role::Admin, "PUT", &path, Some(&record)).await.status, 200);
    }
}

async fn add(setting: &Setting, playbook: &Value) -> u64 {
    let added = setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(playbook)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    added.json()["version"].as_u64().unwrap()
}

async fn step(setting: &Setting, role: Role, version: u64, step: &str) -> (u16, Value) {
    let answer = setting.call(role, "POST", &format!("/v1/playbooks/{version}/{step}"), None).await;
    (answer.status, answer.json())
}

async fn version(setting: &Setting, which: &str) -> Value {
    setting.call(Role::Sales, "GET", &format!("/v1/playbooks/{which}"), None).await.json()
}

#[tokio::test]
async fn a_version_goes_live_when_both_teams_signed_exactly_it() {
    let setting = Setting::new().await;
    people(&setting).await;
    let two = add(&setting, &with_points(35)).await;
    let drafted = version(&setting, "2").await;
    assert_eq!((&drafted["status"], &drafted["needs"]), (&json!("draft"), &json!(["marketing", "sales"])));
    assert_eq!(drafted["sha256"], json!(content_hash(&with_points(35))));

    assert_eq!(step(&setting, Role::Marketing, two, "signoffs").await.0, 409, "a draft is asked of nobody");
    assert_eq!(step(&setting, Role::Admin, two, "activate").await.0, 409, "not even an admin");
    assert_eq!(step(&setting, Role::Marketing, two, "propose").await.0, 200);
    let (status, problem) = step(&setting, Role::Admin, two, "activate").await;
    assert_eq!(status, 409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("marketing and of sales is missing"), "{detail}");
    assert_eq!(step(&setting, Role::Admin, two, "signoffs").await.0, 403, "an admin is neither team");
    assert_eq!(step(&setting, Role::Capture, two, "signoffs").await.0, 403);
    assert_eq!(step(&setting, Role::Marketing, two, "signoffs").await.0, 200);
    assert_eq!(step(&setting, Role::Marketing, two, "activate").await.0, 409, "one key opens nothing");
    let path = format!("/v1/playbooks/{two}/signoffs");
    let other = json!({"sha256": content_hash(&test_playbook())});
    let refused = setting.call(Role::Sales, "POST", &path, Some(&other)).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let own = json!({"sha256": drafted["sha256"], "comment": "Prices matter."});
    let signed = setting.call(Role::Sales, "POST", &path, Some(&own)).await.json();
    assert_eq!(signed["sign_offs"][1]["holder"], json!("at-1"));
    assert_eq!(signed["sign_offs"][1]["comment"], json!("Prices matter."));
    assert_eq!(signed["sign_offs"][0]["team"], json!("marketing"));

    let (status, active) = step(&setting, Role::Sales, two, "activate").await;
    assert_eq!((status, &active["status"]), (200, &json!("active")));
    assert_eq!(version(&setting, "1").await["status"], json!("retired"));
    assert_eq!(step(&setting, Role::Sales, two, "activate").await.0, 200, "asked again, it stays active");
    assert_eq!(version(&setting, "active").await["history"]["activated_by"], json!("at-1"));
}

#[tokio::test]
async fn the_two_keys_belong_to_two_people() {
    let setting = Setting::new().await;
    let both = json!({"role": "marketing", "holder": "at-1"});
    let token = setting.call(Role::Admin, "POST", "/v1/tokens", Some(&both)).await.json();
    let two = add(&setting, &with_points(35)).await;
    step(&setting, Role::Marketing, two, "propose").await;
    assert_eq!(step(&setting, Role::Sales, two, "signoffs").await.0, 200);
    let path = format!("/v1/playbooks/{two}/signoffs");
    let refused = setting.call_as(token["token"].as_str().unwrap(), "POST", &path).await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("two people"));
}

#[tokio::test]
async fn what_is_marketings_own_needs_marketings_key_alone() {
    let setting = Setting::new().await;
    people(&setting).await;
    let two = add(&setting, &with_segment("austrians")).await;
    assert_eq!(version(&setting, "2").await["needs"], json!(["marketing"]));
    step(&setting, Role::Marketing, two, "propose").await;
    assert_eq!(step(&setting, Role::Sales, two, "signoffs").await.0, 200);
    assert_eq!(step(&setting, Role::Sales, two, "activate").await.0, 409, "sales' key is not marketing's");
    step(&setting, Role::Marketing, two, "signoffs").await;
    assert_eq!(step(&setting, Role::Marketing, two, "activate").await.0, 200);
}

#[tokio::test]
async fn the_active_version_decides_which_keys_are_needed_when_it_is_activated() {
    let setting = Setting::new().await;
    people(&setting).await;
    // Against version 1 it is a segment; against version 2 it takes points back as well.
    let segment = add(&setting, &with_segment("austrians")).await;
    step(&setting, Role::Marketing, segment, "propose").await;
    step(&setting, Role::Marketing, segment, "signoffs").await;
    let points = add(&setting, &with_points(35)).await;
    step(&setting, Role::Sales, points, "propose").await;
    step(&setting, Role::Sales, points, "signoffs").await;
    step(&setting, Role::Marketing, points, "signoffs").await;
    assert_eq!(step(&setting, Role::Sales, points, "activate").await.0, 200);
    assert_eq!(step(&setting, Role::Marketing, segment, "activate").await.0, 409);
}

#[tokio::test]
async fn an_edit_is_another_content_that_nobody_signed() {
    let setting = Setting::new().await;
    people(&setting).await;
    let two = add(&setting, &with_points(35)).await;
    step(&setting, Role::Marketing, two, "propose").await;
    step(&setting, Role::Marketing, two, "signoffs").await;
    step(&setting, Role::Sales, two, "signoffs").await;
    let three = add(&setting, &with_points(36)).await;
    step(&setting, Role::Marketing, three, "propose").await;
    assert_eq!(version(&setting, "3").await["sign_offs"], json!([]));
    assert_eq!(step(&setting, Role::Marketing, three, "activate").await.0, 409);
}

#[tokio::test]
async fn going_back_is_agreeing_anew() {
    let setting = Setting::new().await;
    people(&setting).await;
    for number in [2, 3] {
        let added = add(&setting, &with_points(30 + number)).await;
        step(&setting, Role::Marketing, added, "propose").await;
        step(&setting, Role::Marketing, added, "signoffs").await;
        step(&setting, Role::Sales, added, "signoffs").await;
        assert_eq!(step(&setting, Role::Sales, added, "activate").await.0, 200);
        setting.later(1_000);
    }
    assert_eq!(
        step(&setting, Role::Sales, 2, "activate").await.0,
        409,
        "its signatures are of another round"
    );
    assert_eq!(step(&setting, Role::Sales, 2, "propose").await.0, 200);
    assert_eq!(step(&setting, Role::Sales, 2, "activate").await.0, 409);
    step(&setting, Role::Marketing, 2, "signoffs").await;
    step(&setting, Role::Sales, 2, "signoffs").await;
    let (status, back) = step(&setting, Role::Sales, 2, "activate").await;
    assert_eq!((status, &back["status"]), (200, &json!("active")));
    let earlier = back["history"]["earlier"].as_array().unwrap();
    assert_eq!(earlier.len(), 1, "{back}");
    assert_eq!(
        earlier[0]["sign_offs"].as_array().map(Vec::len),
        Some(2),
        "nothing of the first round is lost"
    );
    assert!(earlier[0]["retired_at"].is_string());
}

#[tokio::test]
async fn of_two_activations_at_once_one_wins() {
    for _ in 0..20 {
        let setting = Setting::new().await;
        people(&setting).await;
        for points in [41, 42] {
            let added = add(&setting, &with_points(points)).await;
            step(&setting, Role::Marketing, added, "propose").await;
            step(&setting, Role::Marketing, added, "signoffs").await;
            step(&setting, Role::Sales, added, "signoffs").await;
        }
        let (a, b) = tokio::join!(
            step(&setting, Role::Sales, 2, "activate"),
            step(&setting, Role::Marketing, 3, "activate")
        );
        let mut statuses = [a.0, b.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let active = version(&setting, "active").await["version"].as_u64().unwrap();
        assert_eq!(active, if a.0 == 200 { 2 } else { 3 });
        let other = version(&setting, &(5 - active).to_string()).await;
        assert_eq!(other["status"], json!("proposed"), "who lost is as before");
        let jobs = setting.rescore.jobs.list().await.unwrap();
        assert_eq!(jobs.len(), 1, "one activation, one sweep");
    }
}

#[tokio::test]
async fn the_diff_says_in_words_what_changed() {
    let setting = Setting::new().await;
    let mut second = with_segment("austrians");
    second["engagement"][0]["rules"][0]["points"] = json!(35);
    add(&setting, &second).await;
    let diff = setting.call(Role::Sales, "GET", "/v1/playbooks/2/diff?from=1", None).await.json();
    assert_eq!((&diff["from"], &diff["needs"]), (&json!(1), &json!(["marketing", "sales"])));
    let both = diff["both"][0]["text"].as_str().unwrap();
    assert!(both.contains("→ 35 points"), "{both}");
    assert_eq!(diff["marketing"][0]["section"], json!("segments"), "{diff}");
    let unsaid = setting.call(Role::Sales, "GET", "/v1/playbooks/2/diff", None).await.json();
    assert_eq!(unsaid, diff, "compared with the active version unless said");
    let nothing = setting.call(Role::Sales, "GET", "/v1/playbooks/1/diff", None).await.json();
    assert_eq!((&nothing["needs"], &nothing["both"]), (&json!([]), &json!([])));
}

/// What somebody may call.
#[derive(Clone, Debug)]
enum Call {
    Add(i64),
    AddSegment(u8),
    Propose(u64),
    Sign { version: u64, role: Role, other_content: bool },
    Activate { version: u64, role: Role },
}

fn call() -> impl Strategy<Value = Call> {
    let role = || {
        prop_oneof![
            4 => Just(Role::Marketing), 4 => Just(Role::Sales), 1 => Just(Role::Admin), 1 => Just(Role::Capture),
        ]
    };
    prop_oneof![
        1 => (31_i64..34).prop_map(Call::Add),
        1 => (0_u8..2).prop_map(Call::AddSegment),
        4 => (1_u64..4).prop_map(Call::Propose),
        8 => (1_u64..4, role(), prop::bool::weighted(0.1))
            .prop_map(|(version, role, other_content)| Call::Sign { version, role, other_content }),
        4 => (1_u64..4, role()).prop_map(|(version, role)| Call::Activate { version, role }),
    ]
}

/// Whether the content of the active version was signed, while `active` was the active one, by whom its changes need.
fn has_its_keys(record: &Value, before: &Value, active: u64) -> bool {
    let document = &record["document"];
    let hash = content_hash(document);
    let signed = |team: &str| {
        let signed = record["sign_offs"].as_array().unwrap().iter();
        signed
            .filter(|s| s["team"] == team && s["sha256"] == hash.as_str() && s["against"] == active)
            .map(|s| s["holder"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    let without_segments = |document: &Value| {
        let mut document = document.clone();
        document.as_object_mut().unwrap().remove("segments");
        document
    };
    let sales_too = without_segments(document) != without_segments(before);
    let (marketing, sales) = (signed("marketing"), signed("sales"));
    !marketing.is_empty() && (!sales_too || sales.iter().any(|holder| !marketing.contains(holder)))
}

/// Plays the calls and gives how many versions went live; each has its keys.
async fn play(calls: Vec<Call>) -> usize {
    let setting = Setting::new().await;
    people(&setting).await;
    let stored = async |number: u64| {
        let id = format!("{number:08}");
        setting.catalog.get(CatalogKind::Playbook, &id).await.unwrap().unwrap().body
    };
    let (mut active, mut went_live) = (1, 0);
    for call in calls {
        match call {
            Call::Add(points) => {
                add(&setting, &with_points(points)).await;
            }
            Call::AddSegment(n) => {
                add(&setting, &with_segment(&format!("s{n}"))).await;
            }
            Call::Propose(version) => {
                step(&setting, Role::Marketing, version, "propose").await;
            }
            Call::Sign { version, role, other_content } => {
                let hash = if other_content { json!({"sha256": "00"}) } else { json!({}) };
                let path = format!("/v1/playbooks/{version}/signoffs");
                setting.call(role, "POST", &path, Some(&hash)).await;
            }
            Call::Activate { version, role } => {
                step(&setting, role, version, "activate").await;
            }
        }
        let now = version(&setting, "active").await["version"].as_u64().unwrap();
        if now != active {
            let (record, before) = (stored(now).await, stored(active).await);
            assert!(
                has_its_keys(&record, &before["document"], active),
                "version {now} over {active}: {record}"
            );
            (active, went_live) = (now, went_live + 1);
        }
        setting.later(1_000);
    }
    went_live
}

#[test]
fn no_sequence_of_calls_makes_a_version_live_without_its_keys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let went_live = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() });
    let played = runner.run(&prop::collection::vec(call(), 1..80), |calls| {
        went_live.set(went_live.get() + runtime.block_on(play(calls)));
        Ok(())
    });
    played.unwrap();
    assert!(
        went_live.get() >= 5,
        "only {} versions went live: the sequences show too little",
        went_live.get()
    );
}
