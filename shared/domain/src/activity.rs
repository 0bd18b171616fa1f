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

/// The kind by which somebody tells how a lead stands to a campaign: its properties `campaign` and `status` say so, and
/// `responded` whether that status counts as a response, as the campaign's record had it when it was told.
pub const MEMBER: &str = "campaign_member";

impl Activity {
    /// Tells whether it is a response to a marketing communication, where the playbook's `lead_when` says nothing else.
    #[must_use]
    pub fn is_response(&self) -> bool {
        if self.kind == MEMBER { self.has_responded() } else { is_response(&self.kind) }
    }

    /// Tells whether it shows interest that sales should hear of at once, if a signal listens for it or it is a response: who
    /// unsubscribes, or whose mail came back, did nothing of that sort.
    #[must_use]
    pub fn is_own_doing(&self) -> bool {
        if self.kind == MEMBER {
            self.has_responded()
        } else {
            HAPPENS_TO.binary_search(&self.kind.as_str()).is_err()
        }
    }

    /// Tells whether it says that a mail did not arrive. One that came back for now may have arrived all the same: an
    /// automatic answer is told so too. Who does not say which it was means a mail that never arrived.
    #[must_use]
    pub fn is_lost_mail(&self) -> bool {
        self.kind == "email_bounced" && self.properties.get("permanent") != Some(&AttributeValue::Flag(false))
    }

    fn has_responded(&self) -> bool {
        self.properties.get("responded") == Some(&AttributeValue::Flag(true))
    }

    /// Gives the campaign and the status that it tells of, where it is one of a member.
    #[must_use]
    pub fn membership(&self) -> Option<(&str, &str)> {
        let text = |name: &str| match self.properties.get(name) {
            Some(AttributeValue::Text(text)) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        };
        (self.kind == MEMBER).then(|| text("campaign").zip(text("status"))).flatten()
    }
}

/// Kinds that happen to a lead, or by which a lead merely looks on; by default they make no contact a lead.
const NO_RESPONSE: &[&str] = &[
    "address_suppressed",
    "email_bounced",
    "email_complained",
    "email_delivered",
    "email_opened",
    "email_sent",
    "page_viewed",
    "suppression_lifted",
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

/// Tells whether an activity of this kind is a response to a marketing communication: anything but being sent something,
/// opening it, or viewing a page.
fn is_response(kind: &str) -> bool {
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
const HAPPENS_TO: &[&str] = &[
    "address_suppressed",
    "email_bounced",
    "email_complained",
    "email_delivered",
    "email_opened",
    "email_sent",
    "suppression_lifted",
    "unsubscribed",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(kind: &str, properties: &[(&str, AttributeValue)]) -> Activity {
        let named = |(name, value): &(&str, AttributeValue)| ((*name).to_owned(), value.clone());
        Activity { kind: kind.to_owned(), properties: properties.iter().map(named).collect() }
    }

    #[test]
    fn opening_and_viewing_is_no_response() {
        let responds = |kind: &str| activity(kind, &[]).is_response();
        let own = |kind: &str| activity(kind, &[]).is_own_doing();
        assert!(responds("form_submitted") && responds("webinar_attended") && responds("email_clicked"));
        assert!(own("page_viewed") && own("of_our_own") && HAPPENS_TO.is_sorted() && NO_RESPONSE.is_sorted());
        assert!(!own("unsubscribed") && !own("email_bounced"));
        assert!(!responds("page_viewed") && !responds("email_opened") && !responds("email_bounced"));
    }

    #[test]
    fn a_mail_is_lost_unless_it_came_back_for_now() {
        let told =
            |kind: &str, permanent: &[(&str, AttributeValue)]| activity(kind, permanent).is_lost_mail();
        assert!(
            told("email_bounced", &[]) && told("email_bounced", &[("permanent", AttributeValue::Flag(true))])
        );
        assert!(!told("email_bounced", &[("permanent", AttributeValue::Flag(false))]));
        assert!(!told("email_delivered", &[]) && !told("email_complained", &[]));
    }

    #[test]
    fn a_member_responds_where_its_status_says_so() {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let told = |flag| {
            activity(MEMBER, &[("campaign", text(" webinar ")), ("status", text("x")), ("responded", flag)])
        };
        let (yes, no) = (told(AttributeValue::Flag(true)), told(AttributeValue::Flag(false)));
        assert!(yes.is_response() && yes.is_own_doing() && !no.is_response() && !no.is_own_doing());
        assert!(!told(text("true")).is_response());
        assert_eq!(yes.membership(), Some(("webinar", "x")));
        assert_eq!(activity(MEMBER, &[("campaign", text("webinar"))]).membership(), None);
        assert_eq!(Activity { kind: "form_submitted".to_owned(), ..yes }.membership(), None);
    }
}
