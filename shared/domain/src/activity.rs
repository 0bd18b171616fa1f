//! Something a lead did, when, with properties.

use crate::attribute::AttributeValue;
use crate::identity::Slug;
use std::collections::BTreeMap;

/// The longest name of a kind of activity, in characters.
pub const LONGEST_KIND: usize = 63;

/// Something a lead did. Its time stands with the delivery that brought it.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// What was done: `page_viewed`, `content_downloaded`, or a kind of the company's own.
    pub kind: String,
    /// The details, by name.
    pub properties: BTreeMap<String, AttributeValue>,
}

/// Kinds that happen to a lead, or by which a lead merely looks on; by default they make no contact a lead.
const NO_RESPONSE: &[&str] = &[
    "email_bounced",
    "email_complained",
    "email_delivered",
    "email_opened",
    "email_sent",
    "page_viewed",
    "unsubscribed",
];

/// Reads the kind of an activity.
///
/// # Errors
///
/// A sentence that says what a kind looks like.
pub fn parse_kind(text: &str) -> Result<String, &'static str> {
    let ok = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.len() <= LONGEST_KIND
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if ok {
        Ok(text.to_owned())
    } else {
        Err(
            "is not a kind of activity; expected 1 to 63 of a-z, 0-9 and _, starting with a letter, such as page_viewed",
        )
    }
}

/// Tells whether an activity of this kind is a response to a marketing communication, where the playbook's
/// `lead_when` says nothing else: anything but being sent something, opening it, or viewing a page.
#[must_use]
pub fn is_response(kind: &str) -> bool {
    NO_RESPONSE.binary_search(&kind).is_err()
}

/// Gives the piece of content that an activity is about: the id in its property `content`.
#[must_use]
pub fn content_of(activity: &Activity) -> Option<Slug> {
    match activity.properties.get("content") {
        Some(AttributeValue::Text(text)) => Slug::parse(&text.trim().to_ascii_lowercase()).ok(),
        _ => None,
    }
}

/// Kinds that happen to a lead rather than being done by it: mail programs and providers cause them.
const HAPPENS_TO: &[&str] =
    &["email_bounced", "email_complained", "email_delivered", "email_opened", "email_sent", "unsubscribed"];

/// Tells whether an activity of this kind shows interest that sales should hear of at once, if a signal listens for it or
/// it is a response: who unsubscribes, or whose mail came back, did nothing of that sort.
#[must_use]
pub fn is_own_doing(kind: &str) -> bool {
    HAPPENS_TO.binary_search(&kind).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_and_viewing_is_no_response() {
        assert!(
            is_response("form_submitted") && is_response("webinar_attended") && is_response("email_clicked")
        );
        assert!(is_own_doing("page_viewed") && is_own_doing("of_our_own") && HAPPENS_TO.is_sorted());
        assert!(!is_own_doing("unsubscribed") && !is_own_doing("email_bounced"));
        assert!(!is_response("page_viewed") && !is_response("email_opened") && !is_response("email_bounced"));
    }
}
