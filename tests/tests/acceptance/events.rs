//! Every file of `events/`, through the router of its function, as Lambda would hand it over.
//!
//! The files serve `sam local invoke -e` as well. A file is called `<case>.<status>.json`; one that a schedule sends is
//! called `<case>.ok.json` and is fed to the real programs only. In it, `TOKEN_ADMIN`, `TOKEN_MARKETING`, `TOKEN_SALES` and
//! `TOKEN_CAPTURE` stand for tokens, and `LEAD_ID` for a lead that is known as `ada@company.example` and was handed to
//! sales. They hold under the tests' playbook and under the starter.
//!
//! Version 1 of the playbook is the active one. Version 2 promises an answer in twelve hours; it is proposed, and nobody
//! signed it. Version 3 has a segment more and is proposed and signed by marketing, whose own that is. Version 4 has
//! another name and is a draft. `JOB_ID` stands for a backtest of version 2 that is done, and `WEBHOOK_ID` for a webhook whose
//! receiver does not answer. A CRM tells by the mapping `crm`, and has the key `a-key-of-the-crm`.
//! `CONFIRM_TOKEN` is that of the link in the mail by which the lead's owner was told of it. `OPEN_TOKEN`, `CLICK_TOKEN`,
//! `UNSUBSCRIBE_TOKEN` and `OPT_IN_TOKEN` are those of the picture and the links of a mail to the lead.

use adapters::clock::Clock;
use adapters::http::Role;
use adapters::http::lambda::answer;
use adapters::signed_link::{CONFIRM, Links};
use domain::consent::Purpose;
use domain::hand_over;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::time::DAY_MS;
use nurture::link::{Mail, MailLinks};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use testkit::dynamo::root;
use tests::{World, ada};

/// Gives the files of a function, each with the status that it expects.
fn files(function: &str) -> Vec<(PathBuf, u64)> {
    let folder = root().join("events").join(function);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| !path.to_str().unwrap().ends_with(".ok.json"))
        .collect();
    files.sort();
    let status = |path: &PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let (_, status) = stem.rsplit_once('.').unwrap_or_else(|| panic!("{stem} names no status"));
        status.parse().unwrap_or_else(|_| panic!("{stem} names no status"))
    };
    files.into_iter().map(|path| (path.clone(), status(&path))).collect()
}

/// Writes the people whom the playbook names and versions 2, 3 and 4, and gives the id of a backtest of version 2.
async fn agreement(world: &World) -> String {
    let active = world.get(Role::Marketing, "/v1/playbooks/active").await;
    for person in Playbook::parse(&active["document"]).unwrap().people() {
        let record = json!({ "name": "Anna Example", "email": "anna@company.example", "team": "sales" });
        let put = world.call(Role::Admin, "PUT", &format!("/v1/people/{person}"));
        put.json(&record).expect(200).await;
    }
    let add = async |changed: Value| {
        let added = world.post(Role::Marketing, "/v1/playbooks", &changed).await;
        assert_eq!(added.status, 201, "{}", added.text());
    };
    let step = async |path: &str| world.call(Role::Marketing, "POST", path).expect(200).await;
    let mut document = active["document"].clone();
    document["promises"] = json!({ "first_answer_hours": 12 });
    add(document).await;
    step("/v1/playbooks/2/propose").await;
    let mut document = active["document"].clone();
    let sample = json!({ "id": "event_sample", "when": { "fit": { "at_least": 50 } } });
    document["segments"].as_array_mut().unwrap().push(sample);
    add(document).await;
    step("/v1/playbooks/3/propose").await;
    step("/v1/playbooks/3/signoffs").await;
    let mut document = active["document"].clone();
    document["name"] = "Another name".into();
    add(document).await;
    step("/v1/playbooks/2/backtest").await.json()["job"].as_str().unwrap().to_owned()
}

/// Writes the links of a mail to a lead, of yesterday.
async fn mail_links(world: &World, lead: &Lead) -> MailLinks {
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let made_at = world.now().plus(-DAY_MS);
    let mail = Mail { lead: lead.id.clone(), number: 1, program: None, content: None, made_at };
    MailLinks::new(&Links::new(Arc::clone(&world.catalog), clock), "", mail).await.unwrap()
}

/// Gives the token that a path ends with.
fn token_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Signs what the link of the mail about a lead's hand-over has.
async fn confirm_token(world: &World, lead: &Lead) -> String {
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let about = hand_over::to_bytes(&lead.id, hand_over::latest(lead).unwrap().fact.id);
    let links = Links::new(Arc::clone(&world.catalog), clock);
    links.sign(CONFIRM, &about, world.now().plus(DAY_MS)).await.unwrap()
}

async fn run(function: &str, playbook: &Value) {
    let files = files(function);
    assert!(!files.is_empty(), "{function} has no events");
    for (path, status) in files {
        let world = World::with(playbook).await;
        assert_eq!(world.submit("contact", &ada()).await.status, 202);
        world.later(60_000);
        let known = world.memory().leads().pop().unwrap();
        let job = agreement(&world).await;
        let webhook = json!({ "url": "http://127.0.0.1:1/" });
        let webhook = world.post(Role::Admin, "/v1/webhooks", &webhook).await.json();
        let webhook = webhook["id"].as_str().unwrap().to_owned();
        let mapping = json!({ "preset": "salesforce",
            "auth": { "kind": "header", "header": "x-api-key", "secret": "a-key-of-the-crm" } });
        world.call(Role::Admin, "PUT", "/v1/crm/mappings/crm").json(&mapping).expect(200).await;
        let links = mail_links(&world, &known).await;
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace("CLICK_TOKEN", token_of(&links.click("https://www.company.example/pricing").unwrap()))
            .replace("OPEN_TOKEN", token_of(&links.pixel()))
            .replace("UNSUBSCRIBE_TOKEN", token_of(&links.unsubscribe(Purpose::Marketing)))
            .replace("OPT_IN_TOKEN", token_of(&links.opt_in(&[Purpose::Marketing], known.email().unwrap())))
            .replace("TOKEN_ADMIN", &world.tokens.admin)
            .replace("TOKEN_MARKETING", &world.tokens.marketing)
            .replace("TOKEN_SALES", &world.tokens.sales)
            .replace("TOKEN_CAPTURE", &world.tokens.capture)
            .replace("LEAD_ID", known.id.as_str())
            .replace("JOB_ID", &job)
            .replace("WEBHOOK_ID", &webhook)
            .replace("CONFIRM_TOKEN", &confirm_token(&world, &known).await);
        let event = serde_json::from_str(&text).unwrap();
        let own = world.api.functions.iter().find(|own| own.name == function).unwrap();
        let got = answer(own.router.clone(), event)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(got["statusCode"], status, "{}: {got}", path.display());
        // REST answers hold each header in a list.
        let content_type = &got["multiValueHeaders"]["content-type"][0];
        let content_type =
            content_type.as_str().or(got["headers"]["content-type"].as_str()).unwrap_or_default();
        let html = content_type.starts_with("text/html");
        if status >= 400 && !html {
            assert_eq!(content_type, "application/problem+json", "{}", path.display());
            let body: Value = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
            assert_eq!(body["status"], status);
            assert!(body["type"].as_str().unwrap().starts_with("urn:leadloop:problem:"));
        }
    }
}

#[tokio::test]
async fn every_event_of_lead_capture_is_answered_as_its_name_says() {
    run("lead-capture", &testkit::test_playbook()).await;
}

#[tokio::test]
async fn every_event_of_lead_capture_is_answered_so_under_the_starter_playbook_too() {
    run("lead-capture", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_sales_feedback_is_answered_as_its_name_says() {
    run("sales-feedback", &testkit::test_playbook()).await;
}

#[tokio::test]
async fn every_event_of_sales_feedback_is_answered_so_under_the_starter_playbook_too() {
    run("sales-feedback", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_playbook_is_answered_as_its_name_says() {
    run("playbook", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_segment_export_is_answered_so_under_the_starter_playbook() {
    run("segment-export", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_insights_is_answered_as_its_name_says() {
    run("insights", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_deliver_is_answered_as_its_name_says() {
    run("deliver", &testkit::starter_playbook()).await;
}

#[tokio::test]
async fn every_event_of_nurture_is_answered_as_its_name_says() {
    run("nurture", &testkit::test_playbook()).await;
}

#[tokio::test]
async fn every_event_of_nurture_is_answered_so_under_the_starter_playbook_too() {
    run("nurture", &testkit::starter_playbook()).await;
}

/// Posts an event file and gives the world afterwards.
async fn posted(file: &str) -> World {
    let world = World::new().await;
    let text = std::fs::read_to_string(root().join("events/lead-capture").join(file)).unwrap();
    let own = world.api.functions.iter().find(|own| own.name == "lead-capture").unwrap();
    answer(own.router.clone(), serde_json::from_str(&text).unwrap()).await.unwrap();
    world
}

#[tokio::test]
async fn the_same_form_is_the_same_lead_however_api_gateway_wraps_it() {
    let mut dossiers = Vec::new();
    for file in [
        "form-json.202.json",
        "form-json-base64.202.json",
        "form-json-http-api.202.json",
        "form-multipart-base64.202.json",
        "form-plain-html.303.json",
    ] {
        let mut dossier = posted(file).await.dossier("grace@company.example").await;
        assert_eq!(dossier["stage"], "marketing_qualified", "{file}");
        // A file that somebody attached is mentioned and not kept.
        let form = &mut dossier["timeline"]["items"][0]["properties"];
        let brief = form.as_object_mut().unwrap().remove("brief");
        assert_eq!(brief.is_some(), file.contains("multipart"), "{file}");
        dossier.as_object_mut().unwrap().remove("lead_id");
        dossiers.push((file, dossier));
    }
    for (file, dossier) in &dossiers {
        assert_eq!(dossier, &dossiers[0].1, "{file}");
    }
}
