//! Who we are to a CRM: a token that somebody gave us, or one that its OAuth 2.0 server gives us for a while.
//!
//! What somebody gave us is kept beside the secrets of webhooks and shown to nobody ([adr 0018](../../../docs/adr/0018-webhooks.md)).
//! A token of the server is kept beside it until it ends, and with it the refresh token, since some servers give a new one
//! each time and take the old one no longer. Two workers may renew at once: whoever is told no looks whether the other one
//! was told yes. A CRM that takes a token no longer, though its time is not over, is asked once more with a new one.

use crate::App;
use crate::post::{Failed, Reply, Target};
use adapters::ports::{Catalog, CatalogKind, Put, StoreError};
use axum::body::Bytes;
use axum::http::Method;
use domain::reader::Node;
use domain::sales::DeliveryId;
use domain::time::{MINUTE_MS, SECOND_MS, Timestamp};
use serde_json::{Value, json};

/// The kind of the records.
const KIND: CatalogKind = CatalogKind::WebhookSecret;
/// The longest of what somebody gives us, in characters.
const LONGEST: usize = 4_000;
/// For how long a token holds whose server does not say, in milliseconds.
const HOLDS_MS: i64 = 30 * MINUTE_MS;
/// How long before its end a token is renewed, in milliseconds.
const AHEAD_MS: i64 = MINUTE_MS;

/// What somebody gave us. It is shown nowhere by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth(Value);

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

impl Auth {
    /// Reads it; `loopback` says whether this machine itself may be meant.
    #[must_use]
    pub fn read(node: &Node<'_>, loopback: bool) -> Option<Self> {
        const KINDS: &[(&str, &str)] = &[
            ("bearer", "bearer"),
            ("client_credentials", "client_credentials"),
            ("refresh_token", "refresh_token"),
        ];
        let object = node.object()?;
        let kind = object.required("kind").and_then(|node| node.one_of(KINDS));
        let text = |name: &'static str| {
            object
                .required(name)
                .and_then(|node| node.text(LONGEST).filter(|text| text.is_ascii() || name != "token"))
        };
        let url = || {
            object.required("token_url").and_then(|node| {
                node.parsed(|text| Target::parse(text.trim(), loopback).map(|_| text.trim().to_owned()))
            })
        };
        let read = match kind? {
            "bearer" => text("token").map(|token| json!({ "kind": "bearer", "token": token })),
            kind => {
                let (url, id) = (url(), text("client_id"));
                let scope = object.optional("scope").map(|node| node.text(LONGEST));
                let (secret, refresh) = if kind == "refresh_token" {
                    let secret = object.optional("client_secret").map(|node| node.text(LONGEST));
                    (secret, Some(text("refresh_token")))
                } else {
                    (Some(text("client_secret")), None)
                };
                let whole = ![scope, secret, refresh].contains(&Some(None));
                url.zip(id).filter(|_| whole).map(|(url, id)| {
                    json!({ "kind": kind, "token_url": url, "client_id": id, "client_secret": secret.flatten(),
                        "refresh_token": refresh.flatten(), "scope": scope.flatten() })
                })
            }
        };
        object.finish();
        read.map(Self)
    }

    /// Gives what may be shown of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({ "kind": self.text("kind"), "token_url": self.text("token_url"), "client_id": self.text("client_id") })
    }

    /// Makes the write of it over whatever is there.
    #[must_use]
    pub fn put(&self, webhook: &str) -> Put {
        Put { force: true, ..Put::new(KIND, webhook, json!({ "auth": self.0 })) }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Tells it from others, so that no token outlives what it was given for.
    fn print(&self) -> String {
        DeliveryId::new("crm auth", &self.0.to_string()).to_string()
    }

    /// Asks for a token; the one that renews may be newer than the one that somebody gave us.
    fn form(&self, refresh: Option<&str>) -> String {
        let refresh = refresh.or_else(|| self.text("refresh_token"));
        let fields = [
            ("grant_type", self.text("kind")),
            ("client_id", self.text("client_id")),
            ("client_secret", self.text("client_secret")),
            ("refresh_token", refresh.filter(|_| self.text("kind") == Some("refresh_token"))),
            ("scope", self.text("scope")),
        ];
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
        form.finish()
    }
}

/// Gives the id of the record of a webhook's token.
#[must_use]
pub fn token_id(webhook: &str) -> String {
    format!("{webhook}#token")
}

/// Reads what somebody gave us for a CRM.
///
/// # Errors
///
/// [`StoreError`]; also where there is nothing, since every CRM has some.
pub async fn read(catalog: &dyn Catalog, webhook: &str) -> Result<Auth, StoreError> {
    let record = catalog.get(KIND, webhook).await?;
    let auth = record.and_then(|record| record.body.get("auth").cloned());
    auth.map(Auth).ok_or_else(|| StoreError::Damaged(format!("the CRM {webhook} has no credentials")))
}

/// Gives a token; where `stale` is the one that we have, another one.
///
/// # Errors
///
/// [`StoreError`]; what the server of tokens does is no error here.
pub(crate) async fn token(
    app: &App,
    webhook: &str,
    auth: &Auth,
    stale: Option<&str>,
) -> Result<Result<String, Failed>, StoreError> {
    if let Some(token) = auth.text("token") {
        return Ok(Ok(token.to_owned()));
    }
    let (id, now, print) = (token_id(webhook), app.clock.now(), auth.print());
    let record = app.catalog.get(KIND, &id).await?;
    let kept = record.as_ref().map(|record| &record.body).filter(|body| text(body, "for") == Some(&print));
    let usable = |body: &Value| {
        let token = text(body, "token").filter(|token| Some(*token) != stale)?;
        let ends_at = text(body, "ends_at").and_then(Timestamp::parse)?;
        (ends_at > now.plus(AHEAD_MS)).then(|| token.to_owned())
    };
    if let Some(token) = kept.and_then(usable) {
        return Ok(Ok(token));
    }
    let refresh = kept.and_then(|body| text(body, "refresh_token"));
    let headers = [
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("accept", "application/json".to_owned()),
    ];
    let url = auth.text("token_url").unwrap_or_default();
    let no_token = || Failed::NoToken("its server gave none".to_owned());
    let asked = app.poster.call(Method::POST, url, &headers, Bytes::from(auth.form(refresh)), now).await;
    let given = match asked {
        Ok(reply) if (200..300).contains(&reply.answer.status) => reply.json().ok_or_else(no_token),
        Ok(reply) => Err(Failed::NoToken(format!("its server answered {}", reply.answer.status))),
        Err(failed) => Err(Failed::NoToken(failed.to_string())),
    };
    let given = given.and_then(|given| {
        let token =
            text(&given, "access_token").filter(|token| axum::http::HeaderValue::from_str(token).is_ok());
        let token = token.ok_or_else(no_token)?.to_owned();
        Ok((token, given))
    });
    let (token, given) = match given {
        Ok(given) => given,
        Err(failed) => {
            // Somebody else may have renewed meanwhile, and used up what we renewed with.
            let again = app.catalog.get(KIND, &id).await?;
            let theirs =
                again.filter(|again| record.as_ref().is_none_or(|record| record.version != again.version));
            let theirs = theirs.filter(|again| text(&again.body, "for") == Some(&print));
            return Ok(theirs.and_then(|again| usable(&again.body)).ok_or(failed));
        }
    };
    let holds_ms =
        given.get("expires_in").and_then(Value::as_i64).or_else(|| text(&given, "expires_in")?.parse().ok());
    let holds_ms = holds_ms.map_or(HOLDS_MS, |seconds| seconds.clamp(0, 86_400) * SECOND_MS);
    let body = json!({
        "for": print,
        "token": token,
        "ends_at": now.plus(holds_ms).to_string(),
        "refresh_token": text(&given, "refresh_token").or(refresh),
    });
    // A server may have taken back the refresh token that we had, so the new one is written down before anything is done
    // with the token. Whoever wrote meanwhile has a later one, or an equally good one.
    let put = match &record {
        None => Put::new(KIND, id, body),
        Some(record) => Put::over(record, body),
    };
    let _mine = app.catalog.put(std::slice::from_ref(&put)).await?;
    Ok(Ok(token))
}

/// Sends a request with a token and, where the CRM takes that no longer, once more with a new one.
///
/// # Errors
///
/// [`StoreError`]; what the CRM does is no error here.
pub(crate) async fn exchange(
    app: &App,
    webhook: &str,
    auth: &Auth,
    method: Method,
    url: &str,
    body: Bytes,
) -> Result<Result<Reply, Failed>, StoreError> {
    let mut stale: Option<String> = None;
    loop {
        let token = match token(app, webhook, auth, stale.as_deref()).await? {
            Ok(token) => token,
            Err(failed) => return Ok(Err(failed)),
        };
        let mut headers =
            vec![("authorization", format!("Bearer {token}")), ("accept", "application/json".to_owned())];
        if !body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let now = app.clock.now();
        let reply = app.poster.call(method.clone(), url, &headers, body.clone(), now).await;
        let refused = reply.as_ref().is_ok_and(|reply| reply.answer.status == 401);
        if !refused || stale.is_some() || auth.text("token").is_some() {
            return Ok(reply);
        }
        stale = Some(token);
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fault::Faults;

    fn read(value: &Value) -> Result<Auth, Vec<String>> {
        let faults = Faults::new();
        let read = Auth::read(&Node::root(value, &faults), false);
        faults.into_result(read).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    #[test]
    fn each_kind_is_read_and_nothing_secret_is_shown() {
        let bearer = json!({"kind": "bearer", "token": "geheim"});
        let client = json!({"kind": "client_credentials", "token_url": "https://crm.example/token", "client_id": "us",
            "client_secret": "geheim"});
        let refresh = json!({"kind": "refresh_token", "token_url": "https://crm.example/token", "client_id": "us",
            "refresh_token": "geheim"});
        for given in [bearer, client, refresh] {
            let auth = read(&given).unwrap();
            assert!(!format!("{auth:?} {}", auth.shown()).contains("geheim"));
            assert_eq!(auth.shown()["kind"], given["kind"]);
        }
    }

    #[test]
    fn every_fault_is_named() {
        let client = json!({"kind": "client_credentials", "token_url": "http://crm.example/", "client_id": "", "token": "x"});
        let faults = read(&client).unwrap_err();
        for pointer in ["/token_url", "/client_id", "/client_secret", "/token"] {
            assert!(faults.iter().any(|at| at == pointer), "{pointer}: {faults:?}");
        }
        assert_eq!(read(&json!({"kind": "basic"})).unwrap_err(), ["/kind"]);
    }

    #[test]
    fn a_form_asks_for_what_the_kind_needs() {
        let auth = read(
            &json!({"kind": "refresh_token", "token_url": "https://crm.example/token", "client_id": "a&b",
            "refresh_token": "old"}),
        )
        .unwrap();
        assert_eq!(auth.form(None), "grant_type=refresh_token&client_id=a%26b&refresh_token=old");
        assert_eq!(auth.form(Some("new")), "grant_type=refresh_token&client_id=a%26b&refresh_token=new");
    }
}
