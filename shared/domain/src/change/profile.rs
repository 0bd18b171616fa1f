//! What a delivery says of a lead, taken in: attributes, company, consent, activity. What a public form says only fills
//! what is empty, and what arrives late never overwrites what is newer.

use super::nurture::MAIL;
use super::{Capture, Effect, Incoming};
use crate::activity::{Activity, content_of};
use crate::attribute::{Attribute, MOST_ATTRIBUTES, MOST_BYTES, NewAttribute, NewAttributes};
use crate::condition::same;
use crate::consent::{ConsentFact, ConsentStatus, Purpose};
use crate::content::told;
use crate::identity::{Email, ExternalId, Identity, is_free_mail};
use crate::lead::{Company, HadBy, Lead};
use crate::ledger::Ledger;
use crate::permission::country_of;
use crate::playbook::{LeadWhen, Playbook};
use crate::suppression::Reason;
use crate::time::Timestamp;

/// What goes by address, so that consent to it is worth as much as the address.
const BY_ADDRESS: [Purpose; 2] = [Purpose::Marketing, Purpose::AdAudience];

pub(super) fn capture_into(
    lead: &mut Lead,
    capture: &Capture,
    incoming: &Incoming,
    playbook: &Playbook,
    effects: &mut Vec<Effect>,
) -> bool {
    let before = lead.clone();
    attributes_into(lead, &capture.attributes, incoming, capture.public, effects);
    company_into(lead, &capture.company, capture.public);
    for consent in &capture.consents {
        let consent = if capture.public { ticked(lead, consent, playbook) } else { consent.clone() };
        consent_into(lead, &consent, &incoming.by, effects);
    }
    let mut responded = capture.responded && matches!(playbook.lead_when, LeadWhen::AnyResponse);
    if let Some(touch) = &capture.touch {
        lead.touches.take(touch.clone());
    }
    if let Some(activity) = &capture.activity {
        activity_into(lead, activity, incoming.occurred_at, playbook, false);
        content_into(lead, activity, incoming, playbook);
        responded |= playbook.responds(activity);
    }
    if responded {
        lead.responded_at =
            Some(lead.responded_at.map_or(incoming.occurred_at, |at| at.min(incoming.occurred_at)));
    }
    if capture.customer
        && lead.responded_at.is_none()
        && lead.sales.iter().all(|fact| fact.what.moves_nothing())
    {
        lead.was_customer = true;
    }
    // A form is something that the lead did, also when it says nothing new.
    capture.activity.is_some()
        || *lead != before
        || effects.iter().any(|effect| matches!(effect, Effect::AttributeProposed { .. }))
}

fn attributes_into(
    lead: &mut Lead,
    attributes: &NewAttributes,
    incoming: &Incoming,
    public: bool,
    effects: &mut Vec<Effect>,
) {
    let mut bytes: usize = lead.attributes.iter().map(|(name, a)| name.as_str().len() + a.value.size()).sum();
    for (name, NewAttribute { value, known_at }) in attributes {
        let old = lead.attributes.get(name);
        if old.is_some_and(|old| same(&old.value, value) && old.value.to_string() == value.to_string()) {
            continue;
        }
        let stale = old.is_some_and(|old| old.set_at > incoming.occurred_at);
        let size = name.as_str().len() + value.size();
        let full = bytes + size > MOST_BYTES || (old.is_none() && lead.attributes.len() >= MOST_ATTRIBUTES);
        if stale || full || (public && old.is_some()) {
            effects.push(Effect::AttributeProposed { name: name.clone(), value: value.clone() });
            continue;
        }
        bytes += size;
        let new = Attribute {
            value: value.clone(),
            set_at: incoming.occurred_at,
            set_by: incoming.by.clone(),
            known_at: *known_at,
        };
        let old = lead.attributes.insert(name.clone(), new).map(|old| old.value);
        effects.push(Effect::AttributeChanged { name: name.clone(), old, new: value.clone() });
    }
}

/// A box ticked on a public form is pending until the owner of the address confirms it, unless the playbook trusts the
/// forms of the lead's own country, whichever the form names. What was withdrawn comes back only by confirmation, however
/// often it is ticked.
fn ticked(lead: &Lead, consent: &ConsentFact, playbook: &Playbook) -> ConsentFact {
    let objected = lead.consents.0.get(&consent.purpose).is_some_and(|state| {
        state.withdrawn_at.is_some() && state.status() != Some(ConsentStatus::Confirmed)
    });
    let trusted =
        !objected && country_of(lead).is_some_and(|country| playbook.single_opt_in.contains(&country));
    let status = if trusted { ConsentStatus::Confirmed } else { ConsentStatus::Pending };
    ConsentFact { status, ..consent.clone() }
}

/// Takes in what somebody said. Where a stranger may have typed the address, a yes to what goes by address waits until the
/// owner of that address says it, from a mail: whoever else said it knew of no such address.
pub(super) fn consent_into(lead: &mut Lead, consent: &ConsentFact, by: &str, effects: &mut Vec<Effect>) {
    let before = lead.consents.status(consent.purpose);
    let unsure = lead.opt_in.typed && by != MAIL && BY_ADDRESS.contains(&consent.purpose);
    if unsure && consent.status == ConsentStatus::Confirmed {
        lead.consents.take(&ConsentFact { status: ConsentStatus::Pending, ..consent.clone() });
    } else {
        lead.consents.take(consent);
    }
    let after = lead.consents.status(consent.purpose);
    if let Some(status) = after.filter(|_| after != before) {
        effects.push(Effect::ConsentChanged { purpose: consent.purpose, status });
    }
}

/// Takes in that a public form gave a lead its first address, if it did: what was confirmed before, in a call say, was
/// confirmed for none, and anybody may have typed this one. So what goes by address waits until its owner confirms it. Where
/// the lead was known by what others can know of it too, its phone say, nothing but that is ground to write there; the id of
/// a browser is known to that browser alone, and whoever fills in a form in it is whom it stands for.
pub(super) fn first_address_into(
    lead: &mut Lead,
    known: &[Identity],
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    if lead.email().is_none() || known.iter().any(|identity| matches!(identity, Identity::Email(_))) {
        return;
    }
    lead.opt_in.typed = known.iter().any(|identity| !matches!(identity, Identity::Anonymous(_)));
    confirmed_for_another(lead, now, effects);
}

/// Takes in an address from somebody with a token where a stranger may have typed the one that was written to: mails go to
/// this one from now on, and the other stays known behind it. What the owner of the other confirmed, and that it is dead,
/// says nothing of this one.
pub(super) fn own_address_into(
    lead: &mut Lead,
    claims: &[Identity],
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let address = |identity: &Identity| match identity {
        Identity::Email(email) => Some(email.clone()),
        _ => None,
    };
    let own: Option<Email> = claims.iter().find_map(address);
    let Some(own) = own.filter(|_| lead.opt_in.typed) else { return };
    lead.prefer(&own);
    lead.opt_in.typed = false;
    lead.suppressed = lead.suppressed.filter(|reason| *reason != Reason::Bounced);
    confirmed_for_another(lead, now, effects);
}

/// Lets what was confirmed for another address, or for none, wait until the owner of this one confirms it.
fn confirmed_for_another(lead: &mut Lead, now: Timestamp, effects: &mut Vec<Effect>) {
    for purpose in BY_ADDRESS {
        let state = lead.consents.0.get_mut(&purpose);
        let Some(state) = state.filter(|state| state.status() == Some(ConsentStatus::Confirmed)) else {
            continue;
        };
        state.pending_at = state.pending_at.max(state.confirmed_at.take());
        lead.opt_in.wanted_at = Some(now);
        effects.push(Effect::ConsentChanged { purpose, status: ConsentStatus::Pending });
    }
}

fn company_into(lead: &mut Lead, company: &Company, public: bool) {
    fn fill<T: Clone>(slot: &mut Option<T>, value: Option<&T>, public: bool) {
        if let Some(value) = value
            && (slot.is_none() || !public)
        {
            *slot = Some(value.clone());
        }
    }
    fill(&mut lead.company.name, company.name.as_ref(), public);
    fill(&mut lead.company.domain, company.domain.as_ref().filter(|domain| !is_free_mail(domain)), public);
    fill::<ExternalId>(&mut lead.company.external_id, company.external_id.as_ref(), public);
    if lead.company.domain.is_none() {
        let domain = lead.email().map(|email| email.domain().to_owned());
        lead.company.domain = domain.filter(|domain| !is_free_mail(domain));
    }
}

/// Remembers how the lead stands to a campaign, where somebody with a token tells so: a page's script speaks for anybody.
pub(super) fn member_into(lead: &mut Lead, activity: &Activity, incoming: &Incoming) {
    if let Some((campaign, status)) = activity.membership().filter(|_| incoming.by.starts_with("api:")) {
        lead.members.take(campaign, status, incoming.occurred_at);
    }
}

/// Remembers the content that a lead had, and forgets what a mail brought that [did not arrive](Activity::is_lost_mail).
pub(super) fn content_into(lead: &mut Lead, activity: &Activity, incoming: &Incoming, playbook: &Playbook) {
    let Some(content) = content_of(activity) else { return };
    let Some(by) = told(&activity.kind, &incoming.by, playbook) else { return };
    let day = incoming.occurred_at.day();
    match (activity.kind.as_str(), by) {
        // A form knows of no mail.
        ("email_bounced", HadBy::Form) => {}
        ("email_bounced", _) => {
            if activity.is_lost_mail() {
                lead.came_back(&content, day);
            }
        }
        _ => lead.had(content, day, by),
    }
}

/// Counts an activity; one that `waits` is no response yet.
pub(super) fn activity_into(
    lead: &mut Lead,
    activity: &Activity,
    at: Timestamp,
    playbook: &Playbook,
    waits: bool,
) {
    lead.activities = lead.activities.saturating_add(1);
    if playbook.responds(activity) && !waits {
        lead.responded_at = Some(lead.responded_at.map_or(at, |known| known.min(at)));
    }
    playbook.count(activity, at.day(), &mut lead.ledger, &mut lead.machines.withheld, |_| true);
    if lead.counts_from.is_some_and(|from| at > from) {
        // What is withheld is nothing that it did since.
        playbook.count(activity, at.day(), &mut lead.ledger_since, &mut Ledger::default(), |_| true);
    }
}
