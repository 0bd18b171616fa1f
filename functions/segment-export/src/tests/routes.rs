//! What callers ask and get: segments, previews, exports and their faults.

use super::*;

#[tokio::test]
async fn segments_are_those_of_the_active_playbook() {
    let world = World::new().await;
    let (status, answer) = world.ask("GET", "/v1/segments", None).await;
    assert_eq!(status, 200);
    assert_eq!(answer["items"][0]["segment_id"], "newsletter");
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_preview_counts_those_who_are_in_the_segment_now_and_shows_ten() {
    let world = World::new().await;
    for n in 0..30 {
        world.store.put(lead(n).ready().lead());
        world.store.put(lead(100 + n).lead());
    }
    let (status, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["count"], &answer["looked_at"], &answer["complete"]),
        (&json!(30), &json!(60), &json!(true))
    );
    let sample = answer["sample"].as_array().unwrap();
    assert_eq!(sample.len(), 10);
    let fields: Vec<&String> = sample[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["country", "email", "label", "lead_id", "stage"]);
    // Nothing was written since, and yet the points have faded.
    world.later(120 * DAY_MS);
    let (_, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!(answer["count"], 0);
    assert_eq!(world.ask("GET", "/v1/segments/no/preview", None).await.0, 404);
}

#[tokio::test]
async fn a_preview_without_time_says_that_it_is_not_complete() {
    let mut world = World::new().await;
    world.store.put(lead(1).ready().lead());
    world.app.answer_within = Duration::ZERO;
    let (status, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!((status, &answer["complete"]), (200, &json!(false)));
}

#[tokio::test]
async fn every_fault_of_an_export_is_named_with_what_would_be_right() {
    let world = World::new().await;
    let body = json!({"format": "xlsx", "columns": ["email", "shoe_size", "email"], "speed": 3});
    let (status, answer) = world.ask("POST", "/v1/segments/dach_active/exports", Some(body)).await;
    assert_eq!(status, 422);
    let faults: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|f| f["pointer"].as_str().unwrap()).collect();
    for pointer in ["/format", "/purpose", "/columns/1", "/columns/2", "/speed"] {
        assert!(faults.contains(&pointer), "{pointer}: {answer}");
    }
    assert!(answer.to_string().contains("landing_page, created_at, attributes.NAME"), "{answer}");
    assert_eq!(world.ask("POST", "/v1/segments/no/exports", Some(asked("csv"))).await.0, 404);
    assert_eq!(world.ask("GET", "/v1/exports/export-0", None).await.0, 404);
}

#[tokio::test]
async fn an_export_leaves_out_who_has_not_consented_and_makes_cells_harmless() {
    let world = World::new().await;
    let formula = || AttributeValue::Text("=HYPERLINK(\"http://x.example\")".to_owned());
    let mut given = lead(1).known_by(phone("+436641234567")).with("full_name", formula()).ready().lead();
    consent(&mut given, ConsentStatus::Confirmed);
    let mut pending = lead(2).ready().lead();
    consent(&mut pending, ConsentStatus::Pending);
    let mut elsewhere = lead(4).lead();
    consent(&mut elsewhere, ConsentStatus::Confirmed);
    let never = lead(3).ready().lead();
    [&given, &pending, &elsewhere, &never].into_iter().for_each(|lead| world.store.put(lead.clone()));

    let mut body = asked("csv");
    body["columns"] = json!(["email", "phone", "label", "attributes.full_name", "attributes.company_size"]);
    let csv = world.export(body.clone()).await;
    body["format"] = json!("jsonl");
    let lines = world.export(body).await;
    world.work().await;

    let answer = world.look(&csv).await;
    assert_eq!(
        (&answer["status"], &answer["rows"], &answer["left_out"]),
        (
            &json!("done"),
            &json!(1),
            &json!({"no_consent": 1, "consent_pending": 1, "consent_withdrawn": 0, "suppressed": 0, "nothing_to_match_by": 0, "withdrew_elsewhere": 0})
        )
    );
    assert!(answer["link"].as_str().unwrap().contains(&csv));
    let file = world.file(&csv, "csv");
    assert_eq!(file.file_name, "dach_active-2026-11-22.csv");
    let text = String::from_utf8(file.bytes).unwrap();
    let row = "lead1@company.example,+436641234567,A1,\"'=HYPERLINK(\"\"http://x.example\"\")\",120";
    assert_eq!(text, format!("email,phone,label,attributes.full_name,attributes.company_size\r\n{row}\r\n"));
    let text = String::from_utf8(world.file(&lines, "jsonl").bytes).unwrap();
    let row: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!((&row["phone"], &row["attributes.company_size"]), (&json!("+436641234567"), &json!(120)));
    assert!(row["attributes.full_name"].as_str().unwrap().starts_with("=HYPERLINK"));
}

#[tokio::test]
async fn an_export_of_nobody_is_a_file_all_the_same() {
    let world = World::new().await;
    let (csv, lines) = (world.export(asked("csv")).await, world.export(asked("jsonl")).await);
    world.work().await;
    assert!(
        world
            .file(&csv, "csv")
            .bytes
            .starts_with(b"lead_id,email,phone,external_ids,company,country,stage,label,fit,")
    );
    assert!(world.file(&lines, "jsonl").bytes.is_empty());
    assert_eq!(world.look(&lines).await["rows"], 0);
}

#[tokio::test]
async fn the_same_key_is_the_same_export_and_for_another_one_it_is_refused() {
    let world = World::new().await;
    let path = "/v1/segments/dach_active/exports";
    let (_, first) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    let (status, again) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    assert_eq!((status, &again["export_id"]), (202, &first["export_id"]));
    assert_eq!(world.ask_with("POST", path, Some(asked("jsonl")), Some("k1")).await.0, 409);
    let (_, other) = world.ask("POST", path, Some(asked("csv"))).await;
    assert_ne!(other["export_id"], first["export_id"]);
    world.work().await;
    let (_, done) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    assert_eq!(done["status"], "done");
    assert!(world.starter.take().is_empty());
}

#[tokio::test]
async fn an_export_whose_worker_died_is_taken_up_when_somebody_asks() {
    let world = World::new().await;
    let id = world.export(asked("csv")).await;
    assert_eq!(world.starter.take(), [id.as_str()]);
    // Taken, and never heard of again.
    assert!(world.app.jobs.take(&id).await.unwrap().is_some());
    assert_eq!(world.look(&id).await["status"], "running");
    assert!(world.starter.take().is_empty());
    world.later(LEASE_MS);
    world.look(&id).await;
    world.work().await;
    assert_eq!(world.look(&id).await["status"], "done");
}

#[tokio::test]
async fn a_job_of_another_kind_is_left_alone() {
    let world = World::new().await;
    world.app.jobs.add("report-1", JobKind::Report, &json!({})).await.unwrap();
    run_job(&world.app, "report-1").await.unwrap();
    run_job(&world.app, "export-none").await.unwrap();
    assert_eq!(world.app.jobs.get("report-1").await.unwrap().unwrap().status, JobStatus::Waiting);
    assert_eq!(world.ask("GET", "/v1/exports/report-1", None).await.0, 404);
}
