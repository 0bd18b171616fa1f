//! The lead: one small value that holds all that deciding needs, and never its history.

use crate::attribute::{AttributeValue, Attributes, COUNTRY};
use crate::condition::View;
use crate::consent::Consents;
use crate::identity::{Email, ExternalId, Identity, LeadId, Phone, Slug};
use crate::ledger::Ledger;
use crate::machine::Machines;
use crate::member::Members;
use crate::nurture::Nurture;
use crate::nurture::opt_in::OptIn;
use crate::phase::Phase;
use crate::sales::{DeliveryId, SalesFact, Standing, standing};
use crate::score::Score;
use crate::stage::{Stage, Team};
use crate::suppression;
use crate::time::{Day, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

pub use crate::touch::{Touch, Touches};

/// How many deliveries a lead remembers to have had.
pub const RECENT_DELIVERIES: usize = 32;
/// How many it remembers after a request of many: a request may hold a hundred about one lead.
pub const MOST_RECENT: usize = 128;
/// The most addresses, numbers and external ids, each, that one lead is known by.
pub const MOST_OF_A_KIND: usize = 20;
/// The most browsers whose ids ride in the lead.
pub const MOST_ANONYMOUS: usize = 5;

/// How many pieces of content a lead remembers to have had.
pub const MOST_CONTENT: usize = 64;
/// How many of them only forms told of, which anybody can send: a stranger can neither fill the memory nor drive out what
/// others told.
pub const MOST_TOLD: usize = 16;
/// How many bytes the ids of all of them take: all 64 where ids have the usual length of up to 40, so that an item stays
/// below 4 KB; of the longest ids, 63 letters, it is 40 pieces.
pub const MOST_CONTENT_BYTES: usize = MOST_CONTENT * 40;

/// By which way a lead is known to have had a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HadBy {
    /// Somebody trusted told that it opened, read or downloaded it: nothing takes that back.
    Own,
    /// A mail with it was sent; it may yet come back.
    Mail,
    /// A form told of it, and nobody else did.
    Form,
    /// A mail with it was sent, and a form told of it.
    MailAndForm,
}

impl HadBy {
    /// Every way; its place is its number in a record.
    pub const ALL: [Self; 4] = [Self::Own, Self::Mail, Self::Form, Self::MailAndForm];

    /// Gives what is known by both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Own, _) | (_, Self::Own) => Self::Own,
            (one, other) if one == other => one,
            _ => Self::MailAndForm,
        }
    }
}

/// A piece of content that a lead had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Had {
    /// The day on which it last did.
    pub on: Day,
    /// How that is known.
    pub by: HadBy,
}

/// The company that a lead belongs to, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Company {
    /// Its name.
    pub name: Option<String>,
    /// Its domain, never that of a free mailbox.
    pub domain: Option<String>,
    /// Its id in another system.
    pub external_id: Option<ExternalId>,
}

impl Company {
    /// Tells whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.name.is_none() && self.domain.is_none() && self.external_id.is_none()
    }
}

/// A person whom we know, and everything that deciding about them needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// Counts the commits; each is conditional on the one before.
    pub version: u64,
    /// The playbook version that it is evaluated with.
    pub playbook_version: u32,
    /// How it is known, strongest first.
    pub identities: Vec<Identity>,
    /// The company that it belongs to.
    pub company: Company,
    /// What is known of it.
    pub attributes: Attributes,
    /// What it agreed to.
    pub consents: Consents,
    /// What it was asked to confirm of that.
    pub opt_in: OptIn,
    /// Why nobody may write to it, whatever it agreed to.
    pub suppressed: Option<suppression::Reason>,
    /// Where it came from.
    pub touches: Touches,
    /// When it was first heard of, by the time of the facts.
    pub created_at: Timestamp,
    /// When it first responded to marketing; a contact has not.
    pub responded_at: Option<Timestamp>,
    /// Whether it was a customer before Leadloop knew it.
    pub was_customer: bool,
    /// What sales reported and what was promised, sorted by [`SalesFact::place`].
    pub sales: Vec<SalesFact>,
    /// The facts that were withdrawn.
    pub withdrawn: Vec<DeliveryId>,
    /// How many activities it has.
    pub activities: u32,
    /// How often and when it showed each signal.
    pub ledger: Ledger,
    /// Since when activity counts towards becoming ready again, for a lead that sales gave back.
    pub counts_from: Option<Timestamp>,
    /// What it showed since then.
    pub ledger_since: Ledger,
    /// What machines did that read its mails.
    pub machines: Machines,
    /// The score at its latest evaluation.
    pub score: Score,
    /// Whether it met the definition at its latest evaluation.
    pub ready: bool,
    /// Who gets it as soon as they have room for it, where a new playbook or an import made it ready together with many.
    pub held_for: Option<Slug>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Timestamp,
    /// The number of the pass through the funnel, from 1.
    pub cycle: u32,
    /// The person who has it.
    pub person: Option<Slug>,
    /// When that was recorded: from when on it stands in their inbox, whenever it is said to have happened.
    pub person_since: Option<Timestamp>,
    /// When its owner promised to have answered.
    pub promise_due_at: Option<Timestamp>,
    /// The fact by which sales found it to be a real prospect, while it waits for somebody of its territory's pool.
    pub to_assign: Option<DeliveryId>,
    /// The persona that it mirrors.
    pub persona: Option<Slug>,
    /// The phase that it is in.
    pub phase: Option<Phase>,
    /// The segments that it is in.
    pub segments: BTreeSet<Slug>,
    /// The content that it had: sent, opened, read or downloaded.
    pub content: BTreeMap<Slug, Had>,
    /// When something about it changes without anything happening.
    pub due_at: Option<Timestamp>,
    /// The latest deliveries, oldest first.
    pub recent: Vec<DeliveryId>,
    /// How it stands to campaigns.
    pub members: Members,
    /// What it knows of its nurturing.
    pub nurture: Nurture,
    /// Leads that may be the same person.
    pub possible_duplicates: BTreeSet<LeadId>,
}

impl Lead {
    /// Gives the e-mail address.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        self.identities.iter().find_map(|identity| match identity {
            Identity::Email(email) => Some(email),
            _ => None,
        })
    }

    /// Gives the phone number.
    #[must_use]
    pub fn phone(&self) -> Option<&Phone> {
        self.identities.iter().find_map(|identity| match identity {
            Identity::Phone(phone) => Some(phone),
            _ => None,
        })
    }

    /// Gives the ids in other systems.
    pub fn external_ids(&self) -> impl Iterator<Item = &ExternalId> {
        self.identities.iter().filter_map(|identity| match identity {
            Identity::External(id) => Some(id),
            _ => None,
        })
    }

    /// Gives the country as it is stored.
    #[must_use]
    pub fn country(&self) -> Option<&AttributeValue> {
        self.attributes.get(COUNTRY).map(|attribute| &attribute.value)
    }

    /// Gives the team that owns it; there always is one.
    #[must_use]
    pub const fn team(&self) -> Team {
        self.stage.team()
    }

    /// Folds its facts into its standing.
    #[must_use]
    pub fn standing(&self) -> Standing {
        standing(self.created_at, self.responded_at, self.was_customer, &self.sales, &self.withdrawn)
    }

    /// Shows the lead to conditions that look at facts only.
    #[must_use]
    pub fn view(&self, today: Day) -> View<'_> {
        View {
            id: &self.id,
            attributes: &self.attributes,
            ledger: &self.ledger,
            withheld: &self.machines.withheld,
            touches: &self.touches,
            consents: &self.consents,
            today,
            score: None,
            persona: None,
            stage: None,
            stage_since: self.stage_since,
            person: self.person.as_ref(),
            phase: None,
            segments: &self.segments,
        }
    }

    /// Shows the lead to conditions that look at all that was found of it at its latest evaluation.
    #[must_use]
    pub fn evaluated(&self, today: Day) -> View<'_> {
        View {
            score: Some(&self.score),
            persona: self.persona.as_ref(),
            stage: Some(self.stage),
            phase: self.phase,
            ..self.view(today)
        }
    }

    /// Tells whether what is due is a mail of its nurturing, rather than a review or a promise.
    #[must_use]
    pub fn is_due_a_mail(&self) -> bool {
        self.due_at.is_some() && self.due_at == self.nurture.next_at
    }

    /// Remembers a piece of content that the lead had; the one that it had longest ago goes where there is no room.
    ///
    /// What only forms told of has [`MOST_TOLD`] places, and makes room among itself.
    pub fn had(&mut self, content: Slug, on: Day, by: HadBy) {
        let had = self.content.entry(content.clone()).or_insert(Had { on, by });
        *had = Had { on: on.max(had.on), by: had.by.and(by) };
        loop {
            let told = self.content.values().filter(|had| had.by == HadBy::Form).count();
            let bytes: usize = self.content.keys().map(|content| content.as_str().len()).sum();
            let full = self.content.len() > MOST_CONTENT || bytes > MOST_CONTENT_BYTES;
            if told <= MOST_TOLD && !full {
                return;
            }
            // A form's goes first. Of those of the oldest day, the one that just came goes last.
            let oldest =
                self.content.iter().min_by_key(|(id, had)| (had.by != HadBy::Form, had.on, **id == content));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.content.remove(&oldest);
        }
    }

    /// Forgets content that a mail brought which came back on a day, unless the lead had it since, or otherwise too.
    pub fn came_back(&mut self, content: &Slug, on: Day) {
        match self.content.get_mut(content).filter(|had| had.on <= on) {
            Some(Had { by: HadBy::Mail, .. }) => {
                self.content.remove(content);
            }
            Some(had) if had.by == HadBy::MailAndForm => had.by = HadBy::Form,
            _ => {}
        }
    }

    /// Tells whether a delivery is among the latest ones.
    #[must_use]
    pub fn remembers(&self, delivery: DeliveryId) -> bool {
        self.recent.contains(&delivery)
    }

    /// Adds an identity in its place and tells whether it is new.
    pub fn know(&mut self, identity: Identity) -> bool {
        if self.identities.contains(&identity) {
            return false;
        }
        // Stable: within one kind the first one known stays the first.
        let at = self.identities.partition_point(|known| known.strength() <= identity.strength());
        self.identities.insert(at, identity);
        let anonymous = self.identities.iter().filter(|i| matches!(i, Identity::Anonymous(_))).count();
        if anonymous > MOST_ANONYMOUS
            && let Some(oldest) = self.identities.iter().position(|i| matches!(i, Identity::Anonymous(_)))
        {
            self.identities.remove(oldest);
        }
        true
    }

    /// Puts an address that it is known by in front of its others: the first one is written to.
    pub fn prefer(&mut self, address: &Email) {
        let another = |known: &Identity| matches!(known, Identity::Email(email) if email != address);
        // Stable: whatever else is known keeps its place.
        self.identities.sort_by_key(|known| (known.strength(), another(known)));
    }
}
