//! A lead's signals counted anew from its timeline, as they were counted when the facts arrived.

use super::nurture::MAIL;
use super::{Entry, Fact};
use crate::activity::Activity;
use crate::lead::Lead;
use crate::ledger::{Ledger, SignalKey};
use crate::machine::{also, take_along, withheld_keys};
use crate::playbook::Playbook;
use crate::sales::DeliveryId;
use crate::time::Day;
use std::collections::BTreeSet;

/// Hits of signals: what counts, and what is withheld since machines did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// What counts.
    pub ledger: Ledger,
    /// What is withheld, under the keys of [`crate::machine::withheld_key`].
    pub withheld: Ledger,
}

/// Counts a timeline, in any order.
#[derive(Clone, Debug)]
pub struct Recount<'a> {
    playbook: &'a Playbook,
    known: &'a BTreeSet<SignalKey>,
    counted: Counted,
    /// What mails told, until it is known which of it other clicks name.
    held: Vec<(DeliveryId, Activity, Day)>,
    named: BTreeSet<DeliveryId>,
}

impl<'a> Recount<'a> {
    /// Starts with what the lead has counted of the signals that are `known`; the others are counted anew.
    #[must_use]
    pub fn new(playbook: &'a Playbook, known: &'a BTreeSet<SignalKey>, lead: &Lead) -> Self {
        let mut counted = Counted { ledger: lead.ledger.clone(), withheld: lead.machines.withheld.clone() };
        counted.ledger.retain(|key| known.contains(&key));
        let kept: BTreeSet<SignalKey> = withheld_keys(playbook)
            .filter(|(signal, ..)| known.contains(&signal.key))
            .map(|(.., key)| key)
            .collect();
        counted.withheld.retain(|key| kept.contains(&key));
        Self { playbook, known, counted, held: Vec::new(), named: BTreeSet::new() }
    }

    /// Counts an entry.
    pub fn take(&mut self, entry: &Entry) {
        let activity = match &entry.fact {
            Fact::Activity(activity) => activity,
            Fact::Captured(capture) => match &capture.activity {
                Some(activity) => activity,
                None => return,
            },
            _ => return,
        };
        self.named.append(&mut also(activity, &entry.by));
        match DeliveryId::parse(&entry.id).filter(|_| entry.by == MAIL) {
            Some(id) => self.held.push((id, activity.clone(), entry.at.day())),
            None => count(self.playbook, self.known, activity, entry.at.day(), &mut self.counted),
        }
    }

    /// Gives what was counted.
    #[must_use]
    pub fn finish(mut self) -> Counted {
        for (id, mut activity, day) in self.held {
            if self.named.contains(&id) {
                take_along(&mut activity);
            }
            count(self.playbook, self.known, &activity, day, &mut self.counted);
        }
        self.counted
    }
}

fn count(
    playbook: &Playbook,
    known: &BTreeSet<SignalKey>,
    activity: &Activity,
    day: Day,
    counted: &mut Counted,
) {
    playbook.count(activity, day, &mut counted.ledger, &mut counted.withheld, |key| !known.contains(&key));
}
