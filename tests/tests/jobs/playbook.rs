//! Playbooks, people and tokens through their routes.

use super::setting::Setting;
use adapters::http::Role;
use serde_json::{Value, json};
use testkit::builders::test_playbook;

#[tokio::test]
async fn a_playbook_that_is_not_valid_is_answered_with_every_fault() {
    let setting = Setting::new().await;
    let mut playbook = test_playbook();
    playbook["bands"]["fit"]["A"] = json!(10);
    playbook["marketing_qualified"]["labels"] = json!(["A1", "Z9"]);
    playbook["colour"] = json!("red");
    let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&playbook)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.pointers(), ["/bands/fit", "/colour", "/marketing_qualified/labels/1"]);
    let listed = setting.call(Role::Marketing, "GET", "/v1/playbooks", None).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "nothing is stored of it");
}

#[tokio::test]
async fn a_version_names_nobody_without_a_record_before_it_goes_live() {
    let setting = Setting::new().await;
    let mut playbook = test_playbook();
    playbook["default_qualifier"] = json!("new-1");
    let added = setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&playbook)).await;
    assert_eq!((added.status, &added.json()["status"]), (201, &json!("draft")));
    let again = setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&playbook)).await;
    assert_eq!(again.json()["version"], added.json()["version"], "the same content is the same version");
    let refused = setting.call(Role::Admin, "POST", "/v1/playbooks/2/activate", None).await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("new-1"));
    let active = setting.call(Role::Sales, "GET", "/v1/playbooks/active", None).await.json();
    assert_eq!((&active["version"], &active["document"]["name"]), (&json!(1), &json!("Tests")));
}

#[tokio::test]
async fn a_token_works_until_it_is_deleted_or_ends() {
    let setting = Setting::new().await;
    let ends = setting.now().plus(3_600_000).to_string();
    let body = json!({"role": "marketing", "holder": "ada", "expires_at": ends});
    let made = setting.call(Role::Admin, "POST", "/v1/tokens", Some(&body)).await.json();
    let secret = made["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("ll_marketing_"));
    let listed = setting.call(Role::Admin, "GET", "/v1/tokens", None).await.text();
    assert!(!listed.contains(&secret), "it is shown once");
    assert_eq!(setting.call_as(&secret, "GET", "/v1/segments").await.status, 200);
    setting.later(3_600_001);
    assert_eq!(setting.call_as(&secret, "GET", "/v1/segments").await.status, 401, "it has ended");

    let made = setting
        .call(Role::Admin, "POST", "/v1/tokens", Some(&json!({"role": "marketing", "holder": "ada"})))
        .await;
    let (secret, id) = (made.json()["token"].clone(), made.json()["id"].clone());
    let path = format!("/v1/tokens/{}", id.as_str().unwrap());
    assert_eq!(setting.call(Role::Admin, "DELETE", &path, None).await.status, 204);
    assert_eq!(setting.call(Role::Admin, "DELETE", &path, None).await.status, 404);
    assert_eq!(setting.call_as(secret.as_str().unwrap(), "GET", "/v1/segments").await.status, 401);
}

#[tokio::test]
async fn a_persons_record_is_checked_and_kept() {
    let setting = Setting::new().await;
    let wrong = json!({"name": "", "email": "x", "team": "x", "timezone": "Vienna", "shoe": 1,
        "working_hours": {"monday": "9-5"}, "holidays": ["Christmas"], "absences": [{"through": "2026-07-17"}]});
    let answer = setting.call(Role::Admin, "PUT", "/v1/people/at-9", Some(&wrong)).await;
    assert_eq!((answer.status, answer.pointers().len()), (422, 8));
    let right = json!({"name": "Anna", "email": "anna@company.example", "team": "sales", "timezone": "Europe/Vienna",
        "working_hours": {"monday": "22:00-06:00"}, "absences": [{"from": "2026-07-06"}]});
    for _ in 0..2 {
        assert_eq!(setting.call(Role::Admin, "PUT", "/v1/people/at-9", Some(&right)).await.status, 200);
    }
    let kept: Value = setting.call(Role::Sales, "GET", "/v1/people/at-9", None).await.json();
    assert_eq!((&kept["id"], &kept["name"]), (&json!("at-9"), &json!("Anna")));
    for key in ["working_hours", "absences", "holidays"] {
        assert_eq!(kept.get(key), right.get(key), "{key}");
    }
}

#[tokio::test]
async fn each_example_of_the_api_description_is_accepted() {
    let setting = Setting::with(&super::personas::playbook()).await;
    let ada = json!({"email": "ada@company.example", "country": "AT", "company_size": "120", "job_title": "Head of Sales"});
    setting.call(Role::Capture, "POST", "/v1/forms/contact", Some(&ada)).await;
    let api: Value = serde_json::from_str(&leadloop::openapi::document()).unwrap();
    let lead = setting.lead_of("ada@company.example");
    let mut other = test_playbook();
    other["name"] = json!("Other");
    setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&other)).await;
    setting.call(Role::Marketing, "POST", "/v1/playbooks/2/propose", None).await;
    let webhook = json!({"url": "https://hooks.example/"});
    let webhook = setting.call(Role::Admin, "POST", "/v1/webhooks", Some(&webhook)).await.json();
    let mut posted = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        // Sales' routes are tried where sales' facts are; an address is taken off the list by a
        // person only; templates are tried where there are programs.
        if ["feedback", "lookup", "reassign", "hooks", "lift", "templates"]
            .iter()
            .any(|word| path.contains(word))
        {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            for content in
                operation["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, c)| c)
            {
                let Some(mut example) = content.get("example").cloned() else { continue };
                if let Some(subscriber) = example.get_mut("subscriber") {
                    *subscriber = webhook["id"].clone();
                }
                let path = path
                    .replace("{form_id}", "contact")
                    .replace("{lead_id}", lead.id.as_str())
                    .replace("{segment_id}", "newsletter")
                    .replace("{person_id}", "at-1")
                    .replace("{persona_id}", "olga")
                    .replace("{version}", "2")
                    .replace("{content_id}", "savings")
                    .replace("{template_id}", "plain")
                    .replace("{webhook_id}", webhook["id"].as_str().unwrap())
                    .replace("{mapping_id}", "hubspot")
                    .replace("{name}", "country");
                // The one thing that an admin may not do.
                let role = if path.ends_with("signoffs") { Role::Marketing } else { Role::Admin };
                let answer = setting.call(role, &method.to_uppercase(), &path, Some(&example)).await;
                assert!(answer.status < 300, "{method} {path}: {}", answer.text());
                let results = answer.text();
                assert!(!results.contains("\"rejected\""), "{method} {path}: {results}");
                posted += 1;
            }
        }
    }
    assert!(posted >= 7, "{posted}");
}
