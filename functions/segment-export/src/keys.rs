//! What an audience's destination knows people by, and who of them may not be in it.
//!
//! A destination has no people, it has *keys*: hashes of an e-mail address, of a phone number, of a postal address. Two
//! leads can have the same one: Google drops the dots of a Gmail address, two people of one name live under one postal
//! code. What holds for leads does not hold for keys then, and it is the keys that must be right:
//!
//! * **A key is taken back only where no row of today has it.** What is kept is asked when the removals are written, after
//!   all leads were read.
//! * **A key is told once.** A row that has no key of its own is not written again: it would tell the destination nothing.
//!   One that has one is written whole.
//! * **Who withdrew is in no audience, by whatever spelling.** The destination cannot tell the two leads apart, so the one
//!   who consented would put the other one back. A row with a key of somebody who withdrew is left out whole, with the
//!   other keys too: they most likely lead to the same person. Whoever merely never consented, or has not confirmed yet,
//!   keeps nobody out. What was withdrawn counts wherever the lead is, in the segment or not.
//!
//! The last needs all of them before the first row is written, whatever the order of the table: the leads are read twice,
//! once for those who withdrew and once for the rows. Who withdraws, or comes back, between the two is set right by the
//! next export.
//!
//! # Memory
//!
//! Eight bytes for each key, which are ten to twenty in a set, and half as much again while it grows; at most three keys
//! for each row and for each lead that withdrew: of a million of these 60 MB at the most. An export of columns has none of
//! it. A worker that takes over makes the same set again from the lines of the export's own ledger, as far as they were
//! noted.

use crate::ledger::{Line, WAYS, ways};
use domain::export::Spec;
use serde_json::Value;
use std::collections::HashSet;

/// The keys of an export of an audience, so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// Those of the rows of today, and those that were taken back already.
    told: HashSet<u64>,
    /// Those of leads that withdrew consent.
    withdrawn: HashSet<u64>,
}

fn of(spec: &Spec, row: &[Value]) -> impl Iterator<Item = u64> {
    ways(spec, row).into_iter().filter(|key| *key != 0)
}

impl Keys {
    /// Takes in a line of the export's own ledger, or one of the ledger before of which the removals were written: what its
    /// rows had is in a row of today or was taken back.
    pub(crate) fn extend(&mut self, spec: &Spec, line: &Line) {
        match line {
            Line::Row { who, .. } => self.told.extend(of(spec, who)),
            Line::Withdrew { keys } => self.withdrawn.extend(keys),
            Line::Gone { .. } => {}
        }
    }

    /// Takes in somebody who withdrew, by any of these rows; gives the line that the next worker knows it by.
    pub(crate) fn withdraw(&mut self, spec: &Spec, rows: &[Vec<Value>]) -> Option<Line> {
        let mut keys: Vec<u64> = rows.iter().flat_map(|row| of(spec, row)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| self.withdrawn.insert(*key));
        (!keys.is_empty()).then_some(Line::Withdrew { keys })
    }

    /// Tells whether the destination could take a row's person for one who withdrew.
    pub(crate) fn is_withdrawn(&self, spec: &Spec, row: &[Value]) -> bool {
        of(spec, row).any(|key| self.withdrawn.contains(&key))
    }

    /// Takes in a row of today; tells whether no row before it had one of its keys.
    pub(crate) fn tell(&mut self, spec: &Spec, row: &[Value]) -> bool {
        of(spec, row).fold(false, |new, key| self.told.insert(key) | new)
    }

    /// Takes back those keys of a row that are wanted and that no row of today has, each once; gives which, one bit each.
    pub(crate) fn take_back(&mut self, spec: &Spec, who: &[Value], wanted: u8) -> u8 {
        let keys = ways(spec, who).into_iter().enumerate().take(WAYS);
        let taken = keys.filter(|(n, key)| wanted >> n & 1 == 1 && *key != 0 && self.told.insert(*key));
        taken.fold(0, |bits, (n, _)| bits | 1 << n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec() -> Spec {
        Spec::from_json(&json!({"preset": "meta_custom_audiences"})).unwrap()
    }

    fn row(email: &str, phone: Option<&str>) -> Vec<Value> {
        vec![json!(email), json!(phone), json!("anna"), json!("huber"), json!("at"), json!("1010")]
    }

    #[test]
    fn a_key_that_a_row_of_today_has_is_not_taken_back_and_another_one_once() {
        let (spec, mut keys) = (spec(), Keys::default());
        assert!(keys.tell(&spec, &row("a", None)));
        assert!(!keys.tell(&spec, &row("a", None)), "the same row tells nothing");
        let gone = row("b", Some("1"));
        assert_eq!(
            keys.take_back(&spec, &gone, 0b101),
            0b001,
            "the postal address is that of the one who stays"
        );
        assert_eq!(keys.take_back(&spec, &gone, 0b111), 0b010, "the address was taken back already");
    }

    #[test]
    fn a_row_with_a_key_of_somebody_who_withdrew_is_known_and_so_it_is_by_the_next_worker() {
        let (spec, mut keys) = (spec(), Keys::default());
        let bare =
            |email: &str| vec![json!(email), Value::Null, Value::Null, Value::Null, Value::Null, Value::Null];
        let line = keys.withdraw(&spec, &[bare("a"), bare("b"), bare("a")]).unwrap();
        assert_eq!(keys.withdraw(&spec, &[bare("b")]), None, "it is known already");
        let mut next = Keys::default();
        next.extend(&spec, &line);
        for keys in [keys, next] {
            assert!(keys.is_withdrawn(&spec, &row("a", None)) && keys.is_withdrawn(&spec, &row("b", None)));
            assert!(!keys.is_withdrawn(&spec, &row("c", None)));
        }
    }
}
