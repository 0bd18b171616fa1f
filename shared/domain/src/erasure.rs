//! Somebody is to be forgotten: what goes out, what of a no outlives them, and where a lead stands in somebody else's record.
//!
//! **A no outlives the data.** Whoever never wanted to be written to must not be written to because we forgot that they said
//! so: the next import would bring the address back, and a yes with it. So of a lead that said no its addresses go onto the
//! list of those that nobody may write to, as hashes. Of somebody who never said no nothing stays.

use crate::change::{Event, EventKind, entry_id};
use crate::consent::{ConsentStatus, Purpose};
use crate::identity::LeadId;
use crate::lead::Lead;
use crate::sales::DeliveryId;
use crate::suppression::Reason;
use crate::time::Timestamp;
use serde_json::Value;

/// What a lead that is erased said no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct No {
    /// Why nobody may write to it.
    pub reason: Reason,
    /// When it withdrew its consent; none where it did not, and something else forbids.
    pub withdrawn_at: Option<Timestamp>,
}

/// Gives the no that outlives a lead; none of one that never said any.
#[must_use]
pub fn no(lead: &Lead) -> Option<No> {
    let marketing = lead.consents.0.get(&Purpose::Marketing);
    let withdrawn = marketing.filter(|state| state.status() == Some(ConsentStatus::Withdrawn));
    let said = withdrawn.map(|_| Reason::Unsubscribed);
    Some(No {
        reason: lead.suppressed.max(said)?,
        withdrawn_at: withdrawn.and_then(|state| state.withdrawn_at),
    })
}

/// Gives the event that tells of an erasure. It says whom by their id, and nothing else of them.
#[must_use]
pub fn event(lead: &Lead, at: Timestamp) -> Event {
    let kind = EventKind::Erased;
    let entry = entry_id(at, DeliveryId::new(kind.as_str(), lead.id.as_str()));
    Event { id: format!("{entry}-0-{}", kind.as_str()), kind, at, detail: Vec::new() }
}

/// Takes a lead out of a document that has leads in lists: what stands in a list and is the lead's id, or has it right in
/// itself, goes from the list; elsewhere the id goes. Tells whether it was there.
pub fn take_out(document: &mut Value, lead: &LeadId) -> bool {
    let is_it = |value: &Value| value.as_str() == Some(lead.as_str());
    let is_about = |value: &Value| match value {
        Value::Array(items) => items.iter().any(is_it),
        Value::Object(fields) => fields.values().any(is_it),
        other => is_it(other),
    };
    match document {
        Value::Array(items) => {
            let before = items.len();
            items.retain(|item| !is_about(item));
            let found = items.len() < before;
            items.iter_mut().fold(found, |found, item| take_out(item, lead) | found)
        }
        Value::Object(fields) => {
            let before = fields.len();
            fields.retain(|name, value| name != lead.as_str() && !is_it(value));
            let found = fields.len() < before;
            fields.values_mut().fold(found, |found, value| take_out(value, lead) | found)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lead_is_taken_out_of_lists_and_nobody_else_is() {
        let lead = LeadId::from_bytes([7; 16]);
        let it = lead.as_str();
        let mut document = json!({
            "turns": [it, "other"],
            "won": [[it, 5, { "industry": "steel" }], ["other", 6, {}]],
            "rows": [{ "name": "a", "quotes": [{ "lead_id": it, "words": "x" }, { "lead_id": "other" }] }],
            "about": it,
            "by_lead": { it: { "name": "x" } },
            "text": format!("beside {it}"),
        });
        assert!(take_out(&mut document, &lead));
        let left = json!({
            "turns": ["other"],
            "won": [["other", 6, {}]],
            "rows": [{ "name": "a", "quotes": [{ "lead_id": "other" }] }],
            "by_lead": {},
            "text": format!("beside {it}"),
        });
        assert_eq!(document, left);
        assert!(!take_out(&mut document, &lead), "there is nothing more to take out");
        assert_eq!(document, left);
    }
}
