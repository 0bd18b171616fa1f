//! Which lead a delivery is about.
//!
//! Of the identities that came with it, the strongest one that is known decides. But a lead found by a weaker identity
//! that holds a *different* value of a stronger kind is a different person: ten people share the phone number of a
//! switchboard. A weaker identity that another lead owns is not moved. Both cases leave a trace as possible
//! duplicates; nothing is merged silently.

use crate::identity::{Identity, LeadId};
use crate::lead::Lead;

/// What became of a delivery's identities.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The lead that is meant; none where it is a new one.
    pub lead: Option<LeadId>,
    /// The identities that nobody owned and that the lead now gets.
    pub claims: Vec<Identity>,
    /// Leads that own one of the identities and yet are not the one meant.
    pub possible_duplicates: Vec<LeadId>,
}

/// Tells whether `lead` holds another value than `identity` of the same kind (external ids: of the same system).
fn contradicts(lead: &Lead, identity: &Identity) -> bool {
    let mut same_kind = lead.identities.iter().filter(|known| match (known, identity) {
        (Identity::External(a), Identity::External(b)) => a.system() == b.system(),
        (known, identity) => known.kind() == identity.kind(),
    });
    let mut any = false;
    let found = same_kind.any(|known| {
        any = true;
        known == identity
    });
    any && !found
}

/// Decides which lead is meant. `owners` has, for each identity that somebody owns, that lead.
#[must_use]
pub fn resolve(identities: &[Identity], owners: &[(Identity, Lead)]) -> Resolution {
    let mut sorted: Vec<&Identity> = identities.iter().collect();
    sorted.sort();
    let owner =
        |identity: &Identity| owners.iter().find(|(owned, _)| owned == identity).map(|(_, lead)| lead);
    let mut meant: Option<&Lead> = None;
    let mut possible_duplicates = Vec::new();
    for identity in &sorted {
        let Some(lead) = owner(identity) else { continue };
        if meant.is_some_and(|meant| meant.id == lead.id) {
            continue;
        }
        let stronger = sorted.iter().filter(|other| other.strength() < identity.strength());
        let fits = meant.is_none() && !stronger.clone().any(|other| contradicts(lead, other));
        if fits {
            meant = Some(lead);
        } else if !possible_duplicates.contains(&lead.id) {
            possible_duplicates.push(lead.id.clone());
        }
    }
    let mut claims: Vec<Identity> =
        sorted.into_iter().filter(|identity| owner(identity).is_none()).cloned().collect();
    claims.dedup();
    Resolution { lead: meant.map(|lead| lead.id.clone()), claims, possible_duplicates }
}
