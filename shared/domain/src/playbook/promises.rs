//! What the playbook's document says that sales and marketing promise each other.

use super::FeedbackReason;
use super::read::{GIVEN_BACK, TITLE};
use crate::calendar::Week;
use crate::identity::Slug;
use crate::promise::{Delivery, Promises, Tries};
use crate::reader::{Node, Object};
use crate::stage::Step;
use crate::time::zone;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// The hours of a playbook that promises nothing.
pub(super) const FIRST_ANSWER_HOURS: u16 = 24;
/// Of these hours the last fifth is due soon, where nothing else is said.
pub(super) const DUE_SOON_PERCENT: u8 = 20;

pub(super) fn promises(
    object: &Object<'_>,
    territories: &[Slug],
    reasons: &BTreeMap<Step, Vec<FeedbackReason>>,
    timezone: Option<&TimeZone>,
) -> Option<Promises> {
    let none = Promises {
        first_answer_hours: FIRST_ANSWER_HOURS,
        due_soon_percent: DUE_SOON_PERCENT,
        working_hours: None,
        tries: None,
        marketing: Vec::new(),
    };
    let Some(promises) = object.optional("promises").and_then(|node| node.object()) else {
        return Some(none);
    };
    let hours = promises.required("first_answer_hours").and_then(|node| node.integer(1, 2_000));
    let percent = promises.optional("due_soon_percent").and_then(|node| node.integer(0, 90));
    let working_hours = promises.optional("working_hours").and_then(|node| Week::read(&node));
    let tries = promises.optional("follow_up").and_then(|node| tries(&node, reasons));
    let mut marketing: Vec<Delivery> = Vec::new();
    for node in promises.optional("marketing").and_then(|node| node.list()).unwrap_or_default() {
        let Some(delivery) = delivery(&node, territories, timezone.unwrap_or(&TimeZone::UTC)) else {
            continue;
        };
        if marketing.iter().any(|known| known.territory == delivery.territory) {
            let name = delivery.territory.as_ref().map_or("no territory", Slug::as_str);
            node.fault(format!("\"{name}\" is used twice; every territory has one promise"));
        }
        marketing.push(delivery);
    }
    promises.finish();
    // The order of a list says nothing in a playbook.
    marketing.sort_by(|a, b| a.territory.cmp(&b.territory));
    Some(Promises {
        first_answer_hours: u16::try_from(hours?).ok()?,
        due_soon_percent: percent.and_then(|n| u8::try_from(n).ok()).unwrap_or(DUE_SOON_PERCENT),
        working_hours,
        tries,
        marketing,
    })
}

/// Reads a reason for which sales gives leads back.
pub(super) fn reason(node: &Node<'_>, reasons: &BTreeMap<Step, Vec<FeedbackReason>>) -> Option<String> {
    // While one of the steps takes any text, any reason may still be given with it.
    let all_listed = GIVEN_BACK.iter().all(|step| reasons.contains_key(step));
    let listed: BTreeSet<&str> = reasons.values().flatten().map(|reason| reason.id.as_str()).collect();
    let reason = node.text(TITLE)?;
    if all_listed && !listed.contains(reason) {
        let listed: Vec<&str> = listed.iter().copied().collect();
        node.fault(format!("names no reason of this playbook; the reasons are: {}", listed.join(", ")));
    }
    Some(reason.to_owned())
}

fn tries(node: &Node<'_>, reasons: &BTreeMap<Step, Vec<FeedbackReason>>) -> Option<Tries> {
    let object = node.object()?;
    let at_least = object.required("tries").and_then(|node| node.integer(1, 50));
    let before = object.required("before").map(|node| {
        if node.value().as_array().is_some_and(Vec::is_empty) {
            node.fault("is an empty list; expected at least one reason");
        }
        node.list_or_one().iter().filter_map(|node| reason(node, reasons)).collect::<BTreeSet<_>>()
    });
    object.finish();
    Some(Tries { at_least: u16::try_from(at_least?).ok()?, before: before? })
}

fn delivery(node: &Node<'_>, territories: &[Slug], timezone: &TimeZone) -> Option<Delivery> {
    let object = node.object()?;
    let territory = object.optional("territory").map(|node| {
        let id = node.parsed(Slug::parse)?;
        if !territories.contains(&id) {
            node.fault("names no territory of this playbook");
        }
        Some(id)
    });
    let timezone = match object.optional("timezone") {
        Some(node) => node.parsed(zone),
        None => Some(timezone.clone()),
    };
    let leads = object.required("leads_a_week").and_then(|node| node.integer(1, 1_000_000));
    let percent = object.optional("accepted_percent").map(|node| node.integer(1, 100));
    object.finish();
    let percent = percent.map_or(Some(None), |percent| percent.map(|n| u8::try_from(n).ok()))?;
    Some(Delivery {
        territory: territory.map_or(Some(None), |id| id.map(Some))?,
        timezone: timezone?,
        leads: u32::try_from(leads?).ok()?,
        accepted_percent: percent,
    })
}
