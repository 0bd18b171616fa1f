//! Segments: who is in one, and files of them.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::LEASE_MS;
use serde_json::{Value, json};
use testkit::Failure;

async fn leads(setting: &Setting, n: usize) {
    let lead = |i: usize| {
        let status = ["confirmed", "withdrawn", "pending"][i % 3];
        json!({
            "email": format!("p{i}@company.example"), "attributes": {"country": "AT", "note": "=cmd|' /C calc'!A0", "size": i},
            "consent": [{"purpose": "marketing", "status": status}]
        })
    };
    for chunk in (0..n).map(lead).collect::<Vec<Value>>().chunks(100) {
        let answer =
            setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&json!({"leads": chunk}))).await;
        assert_eq!(answer.status, 200);
    }
}

async fn start(setting: &Setting, segment: &str, body: &Value) -> String {
    let path = format!("/v1/segments/{segment}/exports");
    let answer = setting.call(Role::Marketing, "POST", &path, Some(body)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["export_id"].as_str().unwrap().to_owned()
}

async fn look(setting: &Setting, id: &str) -> Value {
    setting.call(Role::Marketing, "GET", &format!("/v1/exports/{id}"), None).await.json()
}

#[tokio::test]
async fn a_preview_counts_the_segment_and_shows_ten() {
    let setting = Setting::new().await;
    leads(&setting, 45).await;
    let preview = setting.call(Role::Marketing, "GET", "/v1/segments/newsletter/preview", None).await.json();
    assert_eq!(
        (&preview["count"], &preview["looked_at"], &preview["complete"]),
        (&json!(15), &json!(45), &json!(true))
    );
    assert_eq!(preview["sample"].as_array().map(Vec::len), Some(10));
    let unknown = setting.call(Role::Marketing, "GET", "/v1/segments/nobody/preview", None).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_condition_that_stands_in_no_playbook_is_previewed_line_by_line() {
    let setting = Setting::new().await;
    leads(&setting, 30).await;
    let lines = json!([
        {"attribute": "size", "at_least": 10},
        {"consent": "marketing"},
        {"any": [{"attribute": "country", "equals": "AT"}, {"attribute": "city", "equals": "Graz"}]},
        {"not": {"attribute": "city", "exists": true}},
    ]);
    let body = json!({"where": {"all": lines}});
    let preview = setting.call(Role::Marketing, "POST", "/v1/segments/preview", Some(&body)).await.json();
    // Of 30, twenty are large enough, every third of all has consented: six of the twenty.
    assert_eq!((&preview["count"], &preview["looked_at"]), (&json!(6), &json!(30)), "{preview}");
    let part = |pointer: &str| {
        let parts = preview["parts"].as_array().unwrap();
        parts.iter().find(|part| part["pointer"] == pointer).unwrap_or_else(|| panic!("{pointer}")).clone()
    };
    assert_eq!((&part("")["met"], &part("")["left"]), (&json!(6), &Value::Null));
    let (size, consent) = (part("/all/0"), part("/all/1"));
    assert_eq!((&size["met"], &size["not_met"], &size["left"]), (&json!(20), &json!(10), &json!(20)));
    assert_eq!((&size["drops_alone"], &consent["drops_alone"]), (&json!(4), &json!(14)));
    assert_eq!((&consent["met"], &consent["left"]), (&json!(10), &json!(6)));
    assert!(consent["says"].as_str().unwrap().contains("marketing"), "{consent}");
    let city = part("/all/2/any/1");
    assert_eq!((&city["met"], &city["not_known"]), (&json!(0), &json!(30)), "nobody said a city");
    assert_eq!(part("/all/3/not")["not_met"], json!(30));
    assert_eq!(part("/all/3")["left"], json!(6));

    let saved = setting.call(Role::Marketing, "GET", "/v1/segments/dach_active/preview", None).await.json();
    let same = json!({"where": {"segment": "dach_active"}});
    let unsaved = setting.call(Role::Marketing, "POST", "/v1/segments/preview", Some(&same)).await.json();
    assert_eq!(saved["count"], unsaved["count"], "a condition may speak of segments");
    assert!(saved["parts"].as_array().is_some_and(|parts| parts.len() == 3));

    let wrong = json!({"where": {"all": [{"attribute": "Size"}, {"segment": "nobody"}]}, "colour": 1});
    let answer = setting.call(Role::Marketing, "POST", "/v1/segments/preview", Some(&wrong)).await;
    assert_eq!(answer.status, 422);
    for pointer in ["/where/all/0/attribute", "/where/all/1/segment", "/colour"] {
        assert!(answer.pointers().iter().any(|p| p == pointer), "{pointer}: {:?}", answer.pointers());
    }
    let listed = setting.call(Role::Marketing, "GET", "/v1/segments", None).await.json();
    assert!(listed["items"][0]["says"].as_str().is_some_and(|says| !says.is_empty()), "{listed}");
}

#[tokio::test]
async fn an_export_is_the_segment_less_those_without_consent_who_are_counted() {
    let setting = Setting::new().await;
    leads(&setting, 30).await;
    for i in 0..30 {
        let body = json!({"lead": {"email": format!("p{i}@company.example")}, "kind": "webinar_attended"});
        setting.call(Role::Capture, "POST", "/v1/activities", Some(&body)).await;
    }
    let columns = json!(["email", "stage", "label", "attributes.note", "attributes.size", "phone"]);
    let id =
        start(&setting, "dach_active", &json!({"format": "csv", "purpose": "marketing", "columns": columns}))
            .await;
    assert_eq!(look(&setting, &id).await["status"], "waiting");
    segment_export::run_job(&setting.export, &id).await.unwrap();
    let done = look(&setting, &id).await;
    assert_eq!(
        (&done["status"], &done["rows"], &done["left_out"]),
        (
            &json!("done"),
            &json!(10),
            &json!({"no_consent": 0, "consent_pending": 10, "consent_withdrawn": 10, "suppressed": 0, "nothing_to_match_by": 0, "withdrew_elsewhere": 0})
        )
    );
    assert!(done["link"].as_str().is_some_and(|link| link.contains(&id)));
    let file = setting.files.file(&format!("exports/{id}.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(file.bytes.as_slice());
    assert_eq!(
        reader.headers().unwrap(),
        vec!["email", "stage", "label", "attributes.note", "attributes.size", "phone"]
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert_eq!(
            row[0].trim_start_matches('p').split('@').next().unwrap().parse::<usize>().unwrap() % 3,
            0
        );
        assert_eq!(&row[3], "'=cmd|' /C calc'!A0", "no spreadsheet runs it");
        assert_eq!(&row[5], "");
    }
    // The same as JSON Lines holds the values as they are.
    let id = start(
        &setting,
        "dach_active",
        &json!({"format": "jsonl", "purpose": "marketing", "columns": columns}),
    )
    .await;
    segment_export::run_job(&setting.export, &id).await.unwrap();
    let file = setting.files.file(&format!("exports/{id}.jsonl")).unwrap();
    let lines: Vec<Value> = std::str::from_utf8(&file.bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 10);
    assert!(
        lines
            .iter()
            .all(|line| line["attributes.note"] == "=cmd|' /C calc'!A0" && line["attributes.size"].is_u64())
    );
}

#[tokio::test]
async fn every_fault_of_a_request_is_named() {
    let setting = Setting::new().await;
    let body = json!({"format": "xlsx", "columns": ["email", "email", "shoe"], "speed": 1});
    let answer = setting.call(Role::Marketing, "POST", "/v1/segments/newsletter/exports", Some(&body)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.pointers(), ["/columns/1", "/columns/2", "/format", "/purpose", "/speed"]);
    assert!(setting.started.take().is_empty(), "nothing was started");
}

#[tokio::test]
async fn the_same_key_is_the_same_export_and_another_worker_does_not_touch_it() {
    let setting = Setting::new().await;
    leads(&setting, 3).await;
    let call = || async {
        setting
            .call_with_key(
                "POST",
                "/v1/segments/newsletter/exports",
                "k-1",
                &json!({"format": "csv", "purpose": "marketing"}),
            )
            .await
            .json()["export_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (first, second) = (call().await, call().await);
    assert_eq!(first, second);
    segment_export::run_job(&setting.export, &first).await.unwrap();
    let file = setting.files.file(&format!("exports/{first}.csv")).unwrap();
    segment_export::run_job(&setting.export, &first).await.unwrap();
    assert_eq!(setting.files.file(&format!("exports/{first}.csv")).unwrap(), file);
}

#[tokio::test]
async fn an_export_whose_worker_dies_goes_on_and_leaves_no_half_file() {
    let setting = Setting::new().await;
    leads(&setting, 300).await;
    let id = start(
        &setting,
        "newsletter",
        &json!({"format": "jsonl", "purpose": "marketing", "columns": ["email"]}),
    )
    .await;
    setting.failures.on_call(1, Failure::Throttled);
    assert!(segment_export::run_job(&setting.export, &id).await.is_err());
    assert_eq!(setting.files.file(&format!("exports/{id}.jsonl")), None, "no file has its final name");
    assert_eq!(setting.started.take(), std::slice::from_ref(&id), "asking for it started it");
    setting.later(LEASE_MS);
    assert_eq!(look(&setting, &id).await["status"], "running");
    assert_eq!(setting.started.take(), std::slice::from_ref(&id), "who asks for it starts it again");
    segment_export::run_job(&setting.export, &id).await.unwrap();
    let file = setting.files.file(&format!("exports/{id}.jsonl")).unwrap();
    let mut emails: Vec<&str> = std::str::from_utf8(&file.bytes).unwrap().lines().collect();
    emails.sort_unstable();
    emails.dedup();
    assert_eq!(emails.len(), 100, "no row is lost or doubled");
}

#[tokio::test]
async fn what_the_playbook_wants_exported_is_made_by_itself_and_tells_who_withdrew() {
    let setting = Setting::new().await;
    leads(&setting, 9).await;
    let mut document = testkit::test_playbook();
    document["timezone"] = json!("Europe/Vienna");
    document["exports"] = json!([
        {"id": "daily", "segment": "newsletter", "format": "csv", "purpose": "marketing", "columns": ["email"],
            "since": "last", "every": "day", "at": "06:00"},
    ]);
    let version = testkit::builders::agree(&document, &setting.rescore.playbooks).await;
    let tick = || rescore::handle(&setting.rescore, json!({"action": "due"}));
    let mut made = Vec::new();
    for day in 22..24 {
        setting.later(60_000);
        let ordered = tick().await.unwrap()["ordered"].clone();
        let id = format!("export-daily-2026-11-{day}");
        assert_eq!(ordered, json!([id]));
        assert_eq!(tick().await.unwrap()["ordered"], json!([]), "once a day");
        segment_export::run_job(&setting.export, &id).await.unwrap();
        let done = look(&setting, &id).await;
        assert_eq!((&done["status"], &done["scheduled"]), (&json!("done"), &json!("daily")), "{done}");
        assert_eq!(done["playbook_version"], version);
        made.push(done);
        let body = json!({"leads": [{"email": "p3@company.example", "consent": [{"purpose": "marketing", "status": "withdrawn"}]}]});
        setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&body)).await;
        setting.later(domain::time::DAY_MS);
    }
    assert_eq!(made[0]["changes"], json!({"added": 3, "changed": 0, "removed": 0, "replaced": 0}));
    assert_eq!(made[1]["changes"], json!({"added": 0, "changed": 0, "removed": 1, "replaced": 0}));
    assert_eq!(made[1]["changes_since"]["export_id"], made[0]["export_id"]);
    let file = setting.files.file("exports/export-daily-2026-11-23-changes.csv").unwrap();
    let text = String::from_utf8(file.bytes).unwrap();
    assert_eq!(text, "change,reason,email\r\nremoved,consent_withdrawn,p3@company.example\r\n");
}

#[tokio::test]
async fn an_audience_of_leads_that_look_the_same_stays_right_whatever_call_of_a_worker_fails() {
    let hash = |text: &str| domain::audience::sha256_hex(text).unwrap();
    let (ada, bert) = (hash("adalovelace@gmail.com"), hash("bert@company.example"));
    let disturbed = async |call: Option<usize>| -> usize {
        let setting = Setting::new().await;
        let say = async |who: &str, purpose: &str, status: &str| {
            let consent = json!([{"purpose": purpose, "status": status}]);
            let body =
                json!({"leads": [{"email": who, "attributes": {"country": "AT"}, "consent": consent}]});
            let answer = setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&body)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        let made = async || {
            setting.later(60_000);
            let body = json!({"preset": "google_customer_match", "since": "last"});
            let id = start(&setting, "newsletter", &body).await;
            setting.failures.take_calls();
            if let Some(call) = call {
                setting.failures.on_call(call, Failure::Throttled);
            }
            let mut workers = 0;
            while look(&setting, &id).await["status"] != "done" {
                let _may_fail = segment_export::run_job(&setting.export, &id).await;
                setting.failures.heal();
                setting.later(LEASE_MS);
                workers += 1;
                assert!(workers < 5, "it comes to an end");
            }
            let emails = |role: &str| -> Vec<String> {
                let file = setting.files.file(&format!("exports/{id}-{role}.csv")).unwrap();
                let mut reader = csv::Reader::from_reader(file.bytes.as_slice());
                let mut emails: Vec<String> =
                    reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
                emails.sort();
                emails
            };
            (emails("add"), emails("remove"), setting.failures.take_calls().len())
        };
        for who in ["ada.lovelace@gmail.com", "adalovelace@gmail.com", "bert@company.example"] {
            say(who, "marketing", "confirmed").await;
            say(who, "ad_audience", "confirmed").await;
        }
        let (add, remove, calls) = made().await;
        let mut both = vec![ada.clone(), bert.clone()];
        both.sort();
        assert_eq!((add, remove), (both, vec![]), "two spellings are one row");
        // One leaves the segment: the other one has the same address.
        say("ada.lovelace@gmail.com", "marketing", "withdrawn").await;
        let (add, remove, _) = made().await;
        assert_eq!((add, remove), (vec![], vec![]));
        say("ada.lovelace@gmail.com", "ad_audience", "withdrawn").await;
        let (add, remove, _) = made().await;
        assert_eq!((add, remove), (vec![], vec![ada.clone()]), "nobody is in it by another spelling");
        say("ada.lovelace@gmail.com", "ad_audience", "confirmed").await;
        let (add, remove, _) = made().await;
        assert_eq!((add, remove), (vec![ada.clone()], vec![]));
        calls
    };
    let calls = disturbed(None).await;
    assert!(calls >= 8, "the table is read twice, in four parts: {calls}");
    for call in 1..=calls {
        disturbed(Some(call)).await;
    }
}
