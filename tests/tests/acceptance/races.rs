//! Many at once: on DynamoDB as it is embedded, and with the transaction conflicts that it never makes.

use adapters::http::Role;
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::Failure;
use tests::{World, ada};

/// Gives the worlds in which a race is run: in memory and on DynamoDB, each once as it is, and once with every third
/// write losing a race against nobody.
async fn worlds() -> Vec<(&'static str, World)> {
    let worlds = vec![
        ("memory", World::new().await),
        ("memory with conflicts", World::new().await),
        ("DynamoDB", World::on_dynamo().await),
        ("DynamoDB with conflicts", World::on_dynamo().await),
    ];
    for (name, world) in &worlds {
        if name.ends_with("conflicts") {
            world.failures.every_write(3, Failure::Conflict);
        }
    }
    worlds
}

async fn entries(world: &World, email: &str) -> Vec<Value> {
    world.dossier(email).await["timeline"]["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn fifty_captures_of_one_address_at_once_make_one_lead() {
    for (name, world) in worlds().await {
        let submit = async |n: usize| {
            let mut fields = ada();
            fields["submission_id"] = json!(format!("s-{n}"));
            world.submit("contact", &fields).await.status
        };
        let statuses = join_all((0..50).map(submit)).await;
        assert!(statuses.iter().all(|status| *status == 202), "{name}: {statuses:?}");
        let entries = entries(&world, "ada@company.example").await;
        assert_eq!(entries.len(), 50, "{name}: every submission is there");
        let created = entries.iter().filter(|entry| entry["effects"][0]["effect"] == "created").count();
        assert_eq!(created, 1, "{name}");
        let captured = world.events().await.iter().filter(|kind| *kind == "captured").count();
        assert_eq!(captured, 1, "{name}");
        let handed = world.events().await.iter().filter(|kind| *kind == "handed_off").count();
        assert_eq!(handed, 1, "{name}: one hand-off");
        let lead = world.dossier("ada@company.example").await;
        assert_eq!((&lead["version"], &lead["possible_duplicates"]), (&json!(50), &json!([])), "{name}");
    }
}

#[tokio::test]
async fn fifty_different_activities_of_one_lead_at_once_all_arrive() {
    for (name, world) in worlds().await {
        let send = async |n: usize| {
            let body = json!({"lead": {"email": "ada@company.example"}, "kind": "page_viewed",
                "properties": {"path": "/pricing"}, "id": format!("p-{n}")});
            world.post(Role::Capture, "/v1/activities", &body).await.ok(name)["status"].clone()
        };
        let statuses = join_all((0..50).map(send)).await;
        assert_eq!(statuses.iter().filter(|status| **status == "created").count(), 1, "{name}");
        assert_eq!(statuses.iter().filter(|status| **status == "updated").count(), 49, "{name}");
        let ids: BTreeSet<String> =
            entries(&world, "ada@company.example").await.iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), 50, "{name}");
        let lead = world.dossier("ada@company.example").await;
        assert_eq!(
            (&lead["version"], &lead["score"]["engagement"]),
            (&json!(50), &json!(40)),
            "{name}: 3 × 10 + 15, capped"
        );
    }
}

#[tokio::test]
async fn the_same_delivery_ten_times_at_once_has_one_effect() {
    for (name, world) in worlds().await {
        let submitted =
            join_all((0..10).map(|_| async { world.submit("contact", &ada()).await.status })).await;
        assert!(submitted.iter().all(|status| *status == 202), "{name}");
        let view = json!({"lead": {"email": "ada@company.example"}, "kind": "page_viewed", "id": "p-1",
            "occurred_at": "2026-11-22T11:00:00Z"});
        let sent = join_all((0..10).map(|_| world.post(Role::Capture, "/v1/activities", &view))).await;
        let updated = sent.iter().filter(|answer| answer.json()["status"] == "updated").count();
        assert_eq!(updated, 1, "{name}");
        let id = world.lead_id("ada@company.example").await;
        let path = format!("/v1/leads/{id}/feedback");
        let won = json!({"kind": "won", "deal": {"system": "crm", "id": "D-1"}, "occurred_at": "2026-11-22T11:59:00Z"});
        let sent = join_all((0..10).map(|_| world.post(Role::Sales, &path, &won))).await;
        let updated = sent.iter().filter(|answer| answer.json()["status"] == "updated").count();
        assert_eq!(updated, 1, "{name}");
        assert_eq!(entries(&world, "ada@company.example").await.len(), 3, "{name}");
    }
}

#[tokio::test]
async fn one_batch_ten_times_at_once_is_one_batch() {
    for (name, world) in worlds().await {
        let lead = |n: u8| {
            json!({"external_id": {"system": "crm", "id": format!("{n}")}, "occurred_at": "2018-02-01T12:00:00Z",
                "attributes": {"country": "AT"}})
        };
        let body = json!({"mode": "history", "leads": (0..8).map(lead).collect::<Vec<_>>()});
        let answers = join_all((0..10).map(|_| world.post(Role::Marketing, "/v1/leads/batch", &body))).await;
        let results: Vec<Value> = answers
            .into_iter()
            .flat_map(|answer| answer.ok(name)["results"].as_array().unwrap().clone())
            .collect();
        let count = |status: &str| results.iter().filter(|result| result["status"] == status).count();
        assert_eq!((count("created"), count("unchanged")), (8, 72), "{name}");
    }
}

#[tokio::test]
async fn two_who_report_different_ends_at_once_are_both_kept_and_leave_one_truth() {
    for (name, world) in worlds().await {
        world.submit("contact", &ada()).await;
        let path = format!("/v1/leads/{}/feedback", world.lead_id("ada@company.example").await);
        let report = async |n: usize| {
            let kind = ["won", "lost", "opportunity"][n % 3];
            let body = json!({"kind": kind, "deal": {"system": "crm", "id": format!("D-{n}")}});
            world.post(Role::Sales, &path, &body).await.status
        };
        let statuses = join_all((0..12).map(report)).await;
        assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{name}: {statuses:?}");
        let stored = statuses.iter().filter(|status| **status == 200).count();
        let lead = world.dossier("ada@company.example").await;
        assert_eq!(lead["timeline"]["items"].as_array().unwrap().len(), stored + 1, "{name}");
        assert_eq!(lead["version"], json!(stored + 1), "{name}");
    }
}

#[tokio::test]
async fn of_twenty_who_take_a_lead_at_once_one_has_it_and_the_others_are_told_who() {
    for (name, world) in worlds().await {
        for (nth, kind) in ["accepted", "assigned"].into_iter().enumerate() {
            let mut fields = ada();
            fields["email"] = json!(format!("{kind}@company.example"));
            fields["submission_id"] = json!(kind);
            world.submit("contact", &fields).await;
            let id = world.lead_id(&format!("{kind}@company.example")).await;
            world.later(60_000);
            let take = async |n: usize| {
                let who = format!("at-{}", n + 2);
                // Each says another time, so that none is a repeat, and the latest to ask says the earliest.
                let at = world.now().plus(-1_000 * n as i64).to_string();
                let mut body = json!({"kind": kind, "by": who, "occurred_at": at});
                if kind == "assigned" {
                    body["to"] = json!(who);
                }
                (who, world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), &body).await)
            };
            let answers = join_all((0..20).map(take)).await;
            let winners: Vec<&String> =
                answers.iter().filter(|(_, answer)| answer.status == 200).map(|(who, _)| who).collect();
            let lead = world.dossier(&format!("{kind}@company.example")).await;
            assert_eq!(winners.len(), 1, "{name}, {kind}");
            assert_eq!(lead["owner"]["person"], json!(winners[0]), "{name}, {kind}: who was told so has it");
            for (who, answer) in answers.iter().filter(|(who, _)| who != winners[0]) {
                assert_eq!(answer.status, 409, "{name}, {who}: {}", answer.text());
                let problem = answer.json();
                assert_eq!(problem["type"], "urn:leadloop:problem:taken", "{name}: {problem}");
                assert_eq!(problem["owner"], json!(winners[0]), "{name}");
                assert!(problem["detail"].as_str().unwrap().starts_with(winners[0].as_str()), "{problem}");
            }
            assert_eq!(
                lead["timeline"]["items"].as_array().unwrap().len(),
                2,
                "{name}: nothing else is stored"
            );
            let list = world.get(Role::Sales, &format!("/v1/inbox?owner={}", winners[0])).await;
            let mine = list["items"].as_array().unwrap().iter().any(|item| item["lead_id"] == json!(id));
            assert!(mine, "{name}, {nth}: it stands in the winner's inbox");
        }
    }
}
