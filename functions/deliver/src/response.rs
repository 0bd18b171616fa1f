//! What goes out: webhooks, without what signs.

use crate::crm::auth::Auth;
use crate::queue::Sent;
use crate::secrets::Secrets;
use adapters::crm::hook::Hook;
use adapters::webhooks::to_body;
use domain::webhook::Webhook;
use serde_json::{Value, json};

/// Gives a webhook. Its secrets are another record, so they cannot be among it.
#[must_use]
pub fn webhook(webhook: &Webhook) -> Value {
    let mut json = to_body(webhook);
    if let Some(map) = json.as_object_mut() {
        map.insert("id".to_owned(), webhook.id.clone().into());
        map.retain(|_, value| !value.is_null());
    }
    json
}

/// Gives a webhook with its newest secret, which nobody is shown again.
#[must_use]
pub fn with_secret(of: &Webhook, secrets: &Secrets) -> Value {
    let mut json = webhook(of);
    if let Some(map) = json.as_object_mut() {
        map.insert("secret".to_owned(), secrets.reveal().into());
        if let Some(at) = secrets.old_ends_at() {
            map.insert("old_secrets_end_at".to_owned(), at.to_string().into());
        }
    }
    json
}

/// Gives a CRM with what may be shown of who we are there.
#[must_use]
pub fn with_auth(of: &Webhook, auth: &Auth) -> Value {
    let mut json = webhook(of);
    if let Some(map) = json.as_object_mut() {
        map.insert("auth".to_owned(), auth.shown());
    }
    json
}

/// Gives a mapping, with what may be shown of how its CRM is known.
#[must_use]
pub fn mapping(id: &str, document: &Value, hook: Option<&Hook>) -> Value {
    let mut json = document.clone();
    if let Some(map) = json.as_object_mut() {
        map.insert("id".to_owned(), id.into());
        if let Some(hook) = hook {
            map.insert("auth".to_owned(), hook.shown());
        }
    }
    json
}

/// Tells what came of a try.
#[must_use]
pub(crate) fn tried(event_id: &str, sent: &Sent) -> Value {
    json!({ "delivered": sent.is_taken(), "status": sent.status(), "how": sent.how(), "event_id": event_id })
}
