//! Who may do what: the OpenAPI documents say it, and the routers do it.

use adapters::http::Role;
use serde_json::Value;
use std::collections::BTreeSet;
use tests::{Answer, World};

/// The operations that anybody may call, each for a reason.
const PUBLIC: &[(&str, &str)] = &[
    ("GET", "/docs"),                              // Says what there is.
    ("GET", "/health"),                            // Watched from outside.
    ("GET", "/t/c/{token}"),                       // Readers of mails follow links.
    ("GET", "/t/f/{token}"),                       // The mail's signed link lets in.
    ("GET", "/t/o/{token}"),                       // Mail programs load pictures.
    ("GET", "/t/u/{token}"),                       // The same.
    ("GET", "/t/y/{token}"),                       // The same.
    ("GET", "/v1/openapi.json"),                   // As /docs.
    ("GET", "/v1/schemas/events.json"),            // As /docs.
    ("GET", "/v1/schemas/playbook.json"),          // Editors ask for it without credentials.
    ("HEAD", "/t/c/{token}"),                      // As its GET.
    ("OPTIONS", "/v1/forms/{form_id}"),            // Browsers ask without credentials.
    ("OPTIONS", "/v1/forms/{form_id}/activities"), // The same.
    ("POST", "/t/f/{token}"),                      // As its GET.
    ("POST", "/t/u/{token}"),                      // The same; mail programs post by themselves.
    ("POST", "/t/y/{token}"),                      // As its GET.
    ("POST", "/v1/forms/{form_id}"),               // Strangers fill in forms.
    ("POST", "/v1/forms/{form_id}/activities"),    // Pages report what strangers do.
    ("POST", "/v1/hooks/crm/{mapping_id}"),        // A CRM shows who it is as its mapping says.
];

/// The operations that an admin may not call either, each for a reason.
const NOT_FOR_ADMINS: &[(&str, &str)] = &[
    ("POST", "/v1/playbooks/{version}/signoffs"), // Belongs to neither team, and signs for none.
];

struct Operation {
    method: String,
    path: String,
    /// The roles that its documentation names; none where it is public.
    roles: Option<Vec<String>>,
}

fn operations(world: &World) -> Vec<Operation> {
    let mut all = Vec::new();
    for function in &world.api.functions {
        for (path, item) in function.openapi["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if !["get", "put", "post", "delete", "options", "patch", "head"].contains(&method.as_str()) {
                    continue;
                }
                let roles = operation["security"].as_array().map(|schemes| {
                    let named =
                        schemes.iter().flat_map(|scheme| scheme["token"].as_array().into_iter().flatten());
                    named.map(|role| role.as_str().unwrap().to_owned()).collect()
                });
                all.push(Operation { method: method.to_uppercase(), path: path.clone(), roles });
            }
        }
    }
    all
}

async fn call(world: &World, operation: &Operation, token: Option<&str>) -> Answer {
    let stands_for = [
        ("{lead_id}", "aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("{form_id}", "contact"),
        ("{segment_id}", "newsletter"),
        ("{export_id}", "export-0"),
        ("{version}", "99"),
        ("{job_id}", "backtest-0"),
        ("{name}", "country"),
        ("{content_id}", "savings"),
        ("{person_id}", "nobody"),
        ("{campaign_id}", "spring"),
        ("{persona_id}", "nobody"),
        ("{evidence_id}", "none"),
        ("{token_id}", "0"),
        ("{webhook_id}", "webhook-0"),
        ("{mapping_id}", "hubspot"),
        ("{template_id}", "plain"),
        ("{token}", "made-up"),
    ];
    let path =
        stands_for.iter().fold(operation.path.clone(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: say here what stands for the parameter");
    let call = world.api.call(&operation.method, &path);
    match token {
        Some(token) => call.token(token).json(&Value::Null).send().await,
        None => call.json(&Value::Null).send().await,
    }
}

#[tokio::test]
async fn only_the_operations_on_the_short_list_are_public() {
    let world = World::new().await;
    let public: BTreeSet<(String, String)> = operations(&world)
        .into_iter()
        .filter(|operation| operation.roles.is_none())
        .map(|operation| (operation.method, operation.path))
        .collect();
    let listed = PUBLIC.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(public, listed);
}

#[tokio::test]
async fn whoever_has_no_token_is_asked_who_they_are() {
    let world = World::new().await;
    for operation in operations(&world).iter().filter(|operation| operation.roles.is_some()) {
        for token in [None, Some("ll_admin_made-up"), Some("")] {
            let answer = call(&world, operation, token).await;
            assert_eq!(answer.status, 401, "{} {}", operation.method, operation.path);
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn each_operation_lets_in_the_roles_that_its_documentation_names_and_no_other() {
    let world = World::new().await;
    for operation in &operations(&world) {
        let Some(named) = &operation.roles else { continue };
        assert!(!named.contains(&"admin".to_owned()), "admin goes without saying");
        for (word, role) in Role::WORDS {
            let answer = call(&world, operation, Some(world.tokens.of(*role))).await;
            let nor_admins = NOT_FOR_ADMINS.contains(&(operation.method.as_str(), operation.path.as_str()));
            let may = (*role == Role::Admin && !nor_admins) || named.contains(&(*word).to_owned());
            let let_in = !matches!(answer.status, 401 | 403);
            assert_eq!(let_in, may, "{word}: {} {}: {}", operation.method, operation.path, answer.text());
            assert_ne!(answer.status, 500, "{} {}: {}", operation.method, operation.path, answer.text());
        }
    }
}

#[tokio::test]
async fn what_an_operation_documents_names_its_roles_in_words_too() {
    let world = World::new().await;
    for function in &world.api.functions {
        for (path, item) in function.openapi["paths"].as_object().unwrap() {
            for operation in
                item.as_object().unwrap().values().filter(|operation| operation["security"].is_array())
            {
                let said = format!("{} {}", operation["summary"], operation["description"]);
                for role in operation["security"][0]["token"].as_array().unwrap() {
                    assert!(said.contains(role.as_str().unwrap()), "{path}: {role} is not in {said}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_worth_nothing() {
    let world = World::new().await;
    let clock: std::sync::Arc<dyn adapters::clock::Clock> = std::sync::Arc::clone(&world.clock) as _;
    let tokens = adapters::http::Tokens::new(std::sync::Arc::clone(&world.catalog), clock);
    let (secret, _) = tokens.create(Role::Sales, "at-1", Some(world.now().plus(60_000))).await.unwrap();
    world.api.call("GET", "/v1/inbox").token(&secret).expect(200).await;
    world.later(60_000);
    world.api.call("GET", "/v1/inbox").token(&secret).expect(401).await;
}
