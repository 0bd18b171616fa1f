//! How a CRM that calls us shows that it is the one that it says: by a signature over what it sends, or by a secret of its
//! own. Codes are compared in constant time. What it is shown by is kept beside the secrets of webhooks and given out by no
//! route.

use axum::http::HeaderMap;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use domain::reader::Node;
use domain::time::{MINUTE_MS, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// How far HubSpot's clock may be off, and how old a message of its may be, in milliseconds: what it says itself.
const TOLERANCE_MS: i64 = 5 * MINUTE_MS;
/// The shortest secret, in characters.
const SHORTEST: usize = 12;
/// The longest secret or URL, in characters.
const LONGEST: usize = 2_000;

/// How a signature is written.
const ENCODINGS: &[(&str, &str)] = &[("hex", "hex"), ("base64", "base64")];

/// By what a CRM is known. It is shown nowhere by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook(Value);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook(…)")
    }
}

impl Hook {
    /// Reads it.
    #[must_use]
    pub fn read(node: &Node<'_>) -> Option<Self> {
        const KINDS: &[(&str, &str)] = &[
            ("hubspot_v3", "hubspot_v3"),
            ("hmac_sha256", "hmac_sha256"),
            ("bearer", "bearer"),
            ("header", "header"),
        ];
        let object = node.object()?;
        let kind = object.required("kind").and_then(|node| node.one_of(KINDS));
        let secret = object.required("secret").and_then(|node| {
            let secret = node.text(LONGEST)?;
            let long = secret.len() >= SHORTEST;
            if !long {
                node.fault(format!("is shorter than {SHORTEST} characters; anybody could guess it"));
            }
            long.then_some(secret)
        });
        let header = || object.required("header").and_then(|node| node.parsed(header_name));
        let read = match kind? {
            // The signature is over the address that HubSpot called. What stands before us may change it on the way, so a
            // person says it.
            "hubspot_v3" => {
                let url = object.required("url").and_then(|node| {
                    let url = node
                        .text(LONGEST)
                        .filter(|url| url.starts_with("https://") || url.starts_with("http://"));
                    if url.is_none() {
                        node.fault("is no URL; expected the one that was entered at HubSpot");
                    }
                    url
                });
                url.map(|url| json!({ "kind": "hubspot_v3", "url": url }))
            }
            "hmac_sha256" => {
                let header = header();
                let encoding = object.optional("encoding").map_or(Some("hex"), |node| node.one_of(ENCODINGS));
                let prefix = object.optional("prefix").map_or(Some(""), |node| node.text(40));
                header.zip(encoding).zip(prefix).map(|((header, encoding), prefix)| {
                    json!({ "kind": "hmac_sha256", "header": header, "encoding": encoding, "prefix": prefix })
                })
            }
            "header" => header().map(|header| json!({ "kind": "header", "header": header })),
            _ => Some(json!({ "kind": "bearer" })),
        };
        object.finish();
        let (mut read, secret) = (read?, secret?);
        if let Some(map) = read.as_object_mut() {
            map.insert("secret".to_owned(), secret.into());
        }
        Some(Self(read))
    }

    /// Reads it from its record.
    #[must_use]
    pub fn from_body(body: &Value) -> Option<Self> {
        body.get("hook").cloned().map(Self)
    }

    /// Writes the body of its record.
    #[must_use]
    pub fn to_body(&self) -> Value {
        json!({ "hook": self.0 })
    }

    /// Gives what may be shown of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = self.0.clone();
        if let Some(map) = shown.as_object_mut() {
            map.remove("secret");
        }
        shown
    }

    /// Tells whether a request comes from whoever knows the secret and, at HubSpot, is not an old one that is played again.
    #[must_use]
    pub fn believes(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let secret = text("secret").as_bytes();
        match text("kind") {
            "hubspot_v3" => {
                let stamp = header("x-hubspot-request-timestamp");
                let fresh = stamp.parse().is_ok_and(|at: i64| {
                    now.millis().checked_sub(at).is_some_and(|ms| ms.abs() <= TOLERANCE_MS)
                });
                let signed = [b"POST", text("url").as_bytes(), body, stamp.as_bytes()];
                let code = BASE64.decode(header("x-hubspot-signature-v3").as_bytes()).unwrap_or_default();
                fresh && is_code(secret, &signed, &code)
            }
            "hmac_sha256" => {
                let given = header(text("header"));
                let Some(given) = given.strip_prefix(text("prefix")) else { return false };
                let code = match text("encoding") {
                    "base64" => BASE64.decode(given.as_bytes()),
                    _ => HEXLOWER_PERMISSIVE.decode(given.as_bytes()),
                };
                is_code(secret, &[body], &code.unwrap_or_default())
            }
            "bearer" => is_same(secret, header("authorization").strip_prefix("Bearer ").unwrap_or_default()),
            "header" => is_same(secret, header(text("header"))),
            _ => false,
        }
    }
}

fn header_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim().to_lowercase();
    let known = axum::http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    if known { Ok(name) } else { Err("is no name of a header; expected one such as x-signature") }
}

fn code_of(secret: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| code.update(part));
    Some(code)
}

fn is_code(secret: &[u8], parts: &[&[u8]], given: &[u8]) -> bool {
    code_of(secret, parts).is_some_and(|code| code.verify_slice(given).is_ok())
}

/// Compares two secrets by their codes, which takes as long whatever they have in common.
fn is_same(secret: &[u8], given: &str) -> bool {
    let code = code_of(secret, &[given.as_bytes()]).map(|code| code.finalize().into_bytes());
    code.is_some_and(|code| is_code(secret, &[secret], &code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fault::Faults;

    const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);
    const SECRET: &str = "a-secret-of-a-crm";

    fn read(value: &Value) -> Result<Hook, Vec<String>> {
        let faults = Faults::new();
        let read = Hook::read(&Node::root(value, &faults));
        faults.into_result(read).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    fn hook(mut value: Value) -> Hook {
        value["secret"] = SECRET.into();
        let hook = read(&value).unwrap();
        assert!(!format!("{hook:?} {}", hook.shown()).contains(SECRET));
        assert_eq!(Hook::from_body(&hook.to_body()), Some(hook.clone()));
        hook
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn code(parts: &[&[u8]]) -> Vec<u8> {
        code_of(SECRET.as_bytes(), parts).unwrap().finalize().into_bytes().to_vec()
    }

    #[test]
    fn hubspot_signs_method_address_body_and_time_and_an_old_message_is_not_believed() {
        const URL: &str = "https://leads.company.example/v1/hooks/crm/hubspot";
        let hook = hook(json!({ "kind": "hubspot_v3", "url": URL }));
        let at = |ms: i64| {
            let stamp = (NOW.millis() + ms).to_string();
            let signed = BASE64.encode(&code(&[b"POST", URL.as_bytes(), b"[]", stamp.as_bytes()]));
            headers(&[("x-hubspot-request-timestamp", &stamp), ("x-hubspot-signature-v3", &signed)])
        };
        assert!(hook.believes(&at(0), b"[]", NOW) && hook.believes(&at(-TOLERANCE_MS), b"[]", NOW));
        assert!(!hook.believes(&at(0), b"[ ]", NOW), "not one byte may differ");
        assert!(
            !hook.believes(&at(-TOLERANCE_MS - 1), b"[]", NOW)
                && !hook.believes(&at(TOLERANCE_MS + 1), b"[]", NOW)
        );
        for missing in ["x-hubspot-request-timestamp", "x-hubspot-signature-v3"] {
            let mut headers = at(0);
            headers.remove(missing);
            assert!(!hook.believes(&headers, b"[]", NOW), "{missing}");
        }
        let far = headers(&[
            ("x-hubspot-request-timestamp", "-9223372036854775808"),
            ("x-hubspot-signature-v3", ""),
        ]);
        assert!(!hook.believes(&far, b"[]", NOW));
    }

    #[test]
    fn a_signature_of_any_vendor_is_believed_as_its_mapping_says() {
        let own = hook(json!({ "kind": "hmac_sha256", "header": "X-Sign", "prefix": "sha256=" }));
        let hex = format!("sha256={}", HEXLOWER_PERMISSIVE.encode(&code(&[b"{}"])));
        assert!(own.believes(&headers(&[("x-sign", &hex)]), b"{}", NOW));
        assert!(own.believes(
            &headers(&[("x-sign", &hex.to_uppercase().replace("SHA256", "sha256"))]),
            b"{}",
            NOW
        ));
        for bad in [hex.trim_start_matches("sha256="), "sha256=", "sha256=zz", ""] {
            assert!(!own.believes(&headers(&[("x-sign", bad)]), b"{}", NOW), "{bad}");
        }
        let own = hook(json!({ "kind": "hmac_sha256", "header": "x-sign", "encoding": "base64" }));
        assert!(own.believes(&headers(&[("x-sign", &BASE64.encode(&code(&[b"{}"])))]), b"{}", NOW));
        assert!(!own.believes(&HeaderMap::new(), b"{}", NOW));
    }

    #[test]
    fn a_secret_is_believed_and_no_other_one_nor_a_part_of_it() {
        let bearer = hook(json!({ "kind": "bearer" }));
        let own = hook(json!({ "kind": "header", "header": "x-api-key" }));
        assert!(bearer.believes(&headers(&[("authorization", &format!("Bearer {SECRET}"))]), b"", NOW));
        assert!(own.believes(&headers(&[("x-api-key", SECRET)]), b"", NOW));
        for bad in ["", "a-secret", "a-secret-of-a-crm-", "A-SECRET-OF-A-CRM"] {
            assert!(
                !bearer.believes(&headers(&[("authorization", &format!("Bearer {bad}"))]), b"", NOW),
                "{bad}"
            );
            assert!(!own.believes(&headers(&[("x-api-key", bad)]), b"", NOW), "{bad}");
        }
        assert!(!bearer.believes(&headers(&[("authorization", SECRET)]), b"", NOW));
    }

    #[test]
    fn every_fault_is_named() {
        let faults = read(
            &json!({ "kind": "hmac_sha256", "secret": "short", "header": "a b", "encoding": "x", "url": "y" }),
        );
        let faults = faults.unwrap_err();
        for pointer in ["/secret", "/header", "/encoding", "/url"] {
            assert!(faults.iter().any(|at| at == pointer), "{pointer}: {faults:?}");
        }
        assert_eq!(
            read(&json!({ "kind": "hubspot_v3", "secret": SECRET, "url": "leads" })).unwrap_err(),
            ["/url"]
        );
    }
}
