//! Stories that nobody chose, in memory and on DynamoDB.

use adapters::http::Role;
use domain::time::MINUTE_MS;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tests::World;

/// Something that happens; each a minute after the one before.
#[derive(Clone, Debug)]
enum Step {
    /// A form is sent, perhaps by a browser that was seen before.
    Form { who: u8, id: u8, visitor: Option<u8>, fits: bool },
    /// A page reports what a browser did.
    Page { visitor: u8, id: u8 },
    /// An activity comes in, so many minutes late, for whoever is known by an address, a phone or both.
    Activity { who: u8, phone: Option<u8>, id: u8, kind: &'static str, late: i64 },
    /// Sales reports something.
    Feedback { who: u8, kind: &'static str, id: u8, late: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let late = || prop_oneof![2 => Just(0_i64), 1 => 0_i64..90, 1 => Just(12_000_i64)];
    prop_oneof![
        (0..3_u8, 0..3_u8, prop::option::of(0..2_u8), any::<bool>())
            .prop_map(|(who, id, visitor, fits)| Step::Form { who, id, visitor, fits }),
        (0..2_u8, 0..4_u8).prop_map(|(visitor, id)| Step::Page { visitor, id }),
        (
            0..3_u8,
            prop::option::of(0..2_u8),
            0..4_u8,
            select(vec!["page_viewed", "webinar_attended"]),
            late()
        )
            .prop_map(|(who, phone, id, kind, late)| Step::Activity { who, phone, id, kind, late }),
        (
            0..3_u8,
            select(vec![
                "accepted",
                "rejected",
                "qualified",
                "opportunity",
                "won",
                "lost",
                "disqualified",
                "churned",
                "follow_up"
            ]),
            0..3_u8,
            late()
        )
            .prop_map(|(who, kind, id, late)| Step::Feedback { who, kind, id, late }),
    ]
}

fn address(who: u8) -> String {
    format!("{who}@company.example")
}

async fn take(world: &World, step: &Step) -> Value {
    let at = |late: &i64| world.now().plus(-late * MINUTE_MS).to_string();
    let answer = match step {
        Step::Form { who, id, visitor, fits } => {
            let mut fields =
                json!({"email": address(*who), "submission_id": format!("s-{id}"), "country": "AT"});
            if let Some(visitor) = visitor {
                fields["anonymous_id"] = json!(format!("v-visitor-{visitor}"));
            }
            if *fits {
                fields["job_title"] = json!("Director");
                fields["company_size"] = json!("100");
            }
            world.submit("contact", &fields).await
        }
        Step::Page { visitor, id } => {
            let body = json!({"anonymous_id": format!("v-visitor-{visitor}"), "consent": {"tracking": true}, "activities": [
                {"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": format!("p-{id}")}]});
            world.api.call("POST", "/v1/forms/contact/activities").json(&body).send().await
        }
        Step::Activity { who, phone, id, kind, late } => {
            let mut lead = json!({"email": address(*who)});
            if let Some(phone) = phone {
                lead["phone"] = json!(format!("+43123456{phone}"));
            }
            let body = json!({"lead": lead, "kind": kind, "id": format!("a-{id}"), "occurred_at": at(late)});
            world.post(Role::Capture, "/v1/activities", &body).await
        }
        Step::Feedback { who, kind, id, late } => {
            let mut body = json!({"lead": {"email": address(*who)}, "kind": kind, "id": format!("f-{id}"), "occurred_at": at(late)});
            match *kind {
                "rejected" | "disqualified" => body["reason"] = json!("because"),
                "opportunity" | "won" => body["deal"] = json!({"system": "crm", "id": format!("D-{id}")}),
                "follow_up" => body["channel"] = json!("phone"),
                _ => {}
            }
            world.post(Role::Sales, "/v1/feedback/batch", &json!({"feedback": [body]})).await
        }
    };
    world.later(MINUTE_MS);
    json!({"status": answer.status, "body": answer.json()})
}

/// Tells a story and gives every answer, every dossier, inbox and event, with ids that do not depend on chance.
async fn told(world: &World, story: &[Step]) -> String {
    let mut answers = Vec::new();
    for step in story {
        answers.push(take(world, step).await);
    }
    let (mut dossiers, mut ids) = (Vec::new(), Vec::new());
    for who in 0..3 {
        let found = world.post(Role::Sales, "/v1/leads/lookup", &json!({"email": address(who)})).await.json();
        let Some(id) = found["items"][0]["lead_id"].as_str() else { continue };
        let path = format!("/v1/leads/{id}");
        let mut dossier = world.get(Role::Sales, &format!("{path}?limit=200")).await;
        // They are a set, in the order of their ids.
        let duplicates = dossier["possible_duplicates"].take();
        let then = world.now().plus(-15 * MINUTE_MS);
        let score = world.get(Role::Sales, &format!("{path}/score?at={then}")).await;
        dossiers.push(json!([dossier, duplicates.as_array().map(Vec::len), score]));
        ids.push(id.to_owned());
    }
    let mut inbox = world.get(Role::Admin, "/v1/inbox").await;
    // Among leads of one promise the order is by id, and thus by chance.
    let key = |item: &Value| {
        (item["promise"]["due_at"].as_str().unwrap_or("~").to_owned(), item["email"].to_string())
    };
    inbox["items"].as_array_mut().unwrap().sort_by_key(key);
    let mut end = json!([answers, dossiers, inbox, world.events().await]).to_string();
    for (n, id) in ids.iter().enumerate() {
        end = end.replace(id.as_str(), &format!("lead {n}"));
    }
    end
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_story_ends_the_same_in_memory_and_on_dynamodb(story in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (memory, dynamo) = runtime.block_on(async {
            (told(&World::new().await, &story).await, told(&World::on_dynamo().await, &story).await)
        });
        prop_assert_eq!(memory, dynamo);
    }

    #[test]
    fn a_story_whose_every_step_is_delivered_twice_ends_as_if_it_were_not(story in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (once, twice) = runtime.block_on(async {
            let (once, twice) = (World::new().await, World::new().await);
            for step in &story {
                take(&once, step).await;
                let now = twice.now();
                take(&twice, step).await;
                twice.clock.set(now);
                take(&twice, step).await;
            }
            (told(&once, &[]).await, told(&twice, &[]).await)
        });
        prop_assert_eq!(once, twice);
    }
}
