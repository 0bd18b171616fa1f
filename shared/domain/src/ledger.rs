//! The signal ledger: how often, and on which days, a lead showed each signal.
//!
//! It is all that scoring, windows and decay need, at day resolution, so that scoring a lead reads one small item and
//! never its history. A signal is kept under a 24-bit key made from its *definition*: two playbook versions that mean
//! the same thing share the counts, and a changed meaning starts a key of its own, to be filled from the timeline.
//!
//! The stored form ([`Ledger::encode`]) takes 8 bytes for a signal seen once and 2 more for each further day.

use crate::time::Day;

/// The most days kept per signal; older ones still count in the total.
pub const MOST_DAYS: usize = 400;
/// Days are stored as their distance from 1990-01-01, before which no fact is accepted: two bytes until 2034.
const BASE_DAY: i32 = 7_305;

/// The key of a signal: 24 bits of a hash over its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SignalKey(pub u32);

/// The counts of one signal, its days in a shared list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    key: SignalKey,
    total: u32,
    first: Day,
    start: u32,
    len: u32,
}

/// A signal with its counts and its own list of days, for changing them: key, total, first day, days.
type Loose = (SignalKey, u32, Day, Vec<(Day, u32)>);

/// The counts of all signals of a lead.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    days: Vec<(Day, u32)>,
}

/// What the ledger knows of one signal.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'a> {
    /// How often it was ever seen.
    pub total: u32,
    /// The first day on which it was seen.
    pub first: Day,
    /// How often it was seen on each day, oldest first, as far back as days are kept.
    pub days: &'a [(Day, u32)],
}

impl Counts<'_> {
    /// Gives the last day on which the signal was seen.
    #[must_use]
    pub fn last(&self) -> Day {
        self.days.last().map_or(self.first, |(day, _)| *day)
    }

    /// Counts the hits from the day `from` to the day `to`, both included.
    #[must_use]
    pub fn between(&self, from: Day, to: Day) -> u32 {
        self.days
            .iter()
            .filter(|(day, _)| (from..=to).contains(day))
            .map(|(_, n)| *n)
            .fold(0, u32::saturating_add)
    }

    /// Counts all hits up to the day `to`, those included whose days are no longer kept.
    #[must_use]
    pub fn until(&self, to: Day) -> u32 {
        let after: u32 =
            self.days.iter().filter(|(day, _)| *day > to).map(|(_, n)| *n).fold(0, u32::saturating_add);
        self.total.saturating_sub(after)
    }
}

impl Ledger {
    /// Tells whether no signal was ever seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives the counts of one signal.
    #[must_use]
    pub fn get(&self, key: SignalKey) -> Option<Counts<'_>> {
        // A lead shows a handful of signals: looking at each in turn is faster than halving.
        self.entries.iter().find(|entry| entry.key == key).map(|entry| self.counts(entry))
    }

    fn counts(&self, entry: &Entry) -> Counts<'_> {
        let (start, end) = (entry.start as usize, (entry.start + entry.len) as usize);
        Counts { total: entry.total, first: entry.first, days: self.days.get(start..end).unwrap_or_default() }
    }

    /// Gives every signal with its counts, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (SignalKey, Counts<'_>)> {
        self.entries.iter().map(|entry| (entry.key, self.counts(entry)))
    }

    /// Counts `hits` more of a signal on a day.
    pub fn add(&mut self, key: SignalKey, day: Day, hits: u32) {
        let mut all = self.unpack();
        match all.binary_search_by_key(&key, |(key, ..)| *key) {
            Ok(at) => {
                if let Some((_, total, first, days)) = all.get_mut(at) {
                    *total = total.saturating_add(hits);
                    *first = (*first).min(day);
                    match days.binary_search_by_key(&day, |(day, _)| *day) {
                        Ok(at) => {
                            if let Some((_, n)) = days.get_mut(at) {
                                *n = n.saturating_add(hits);
                            }
                        }
                        Err(at) => days.insert(at, (day, hits)),
                    }
                    let spare = days.len().saturating_sub(MOST_DAYS);
                    days.drain(..spare);
                }
            }
            Err(at) => all.insert(at, (key, hits, day, vec![(day, hits)])),
        }
        *self = Self::pack(all);
    }

    /// Takes back one hit of a signal on a day, and tells whether there was one.
    pub fn take_back(&mut self, key: SignalKey, day: Day) -> bool {
        let mut all = self.unpack();
        let Ok(at) = all.binary_search_by_key(&key, |(key, ..)| *key) else { return false };
        let Some((_, total, first, days)) = all.get_mut(at) else { return false };
        let Ok(place) = days.binary_search_by_key(&day, |(day, _)| *day) else { return false };
        let Some((_, hits)) = days.get_mut(place) else { return false };
        *hits = hits.saturating_sub(1);
        *total = total.saturating_sub(1);
        if *hits == 0 {
            days.remove(place);
        }
        if *first == day {
            // Days before the first one that is kept were dropped; then the first of all is none of those that are kept.
            *first = days.first().map_or(day, |(day, _)| *day);
        }
        if *total == 0 {
            all.remove(at);
        }
        *self = Self::pack(all);
        true
    }

    /// Drops the days before `horizon`, which no rule looks at; totals, first and last days stay.
    #[must_use]
    pub fn folded(&self, horizon: Day) -> Self {
        let mut all = self.unpack();
        for (_, _, _, days) in &mut all {
            let keep = days.len().saturating_sub(1);
            let spare = days.iter().take(keep).take_while(|(day, _)| *day < horizon).count();
            days.drain(..spare);
        }
        Self::pack(all)
    }

    /// Tells whether days were dropped that the totals still count.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.iter().any(|(_, counts)| {
            counts.days.iter().map(|(_, n)| *n).fold(0, u32::saturating_add) < counts.total
        })
    }

    /// Gives a ledger of the hits on days after `day` only, as far as days are kept.
    #[must_use]
    pub fn after(&self, day: Day) -> Self {
        let mut all = self.unpack();
        for (_, total, first, days) in &mut all {
            days.retain(|(d, _)| *d > day);
            *total = days.iter().map(|(_, n)| *n).fold(0, u32::saturating_add);
            *first = days.first().map_or(Day(0), |(d, _)| *d);
        }
        all.retain(|(_, total, ..)| *total > 0);
        Self::pack(all)
    }

    /// Keeps only the signals whose key is asked for.
    pub fn retain(&mut self, keep: impl Fn(SignalKey) -> bool) {
        let mut all = self.unpack();
        all.retain(|(key, ..)| keep(*key));
        *self = Self::pack(all);
    }

    fn unpack(&self) -> Vec<Loose> {
        self.iter().map(|(key, c)| (key, c.total, c.first, c.days.to_vec())).collect()
    }

    fn pack(all: Vec<Loose>) -> Self {
        let mut ledger = Self::default();
        for (key, total, first, days) in all {
            let start = u32::try_from(ledger.days.len()).unwrap_or(u32::MAX);
            let len = u32::try_from(days.len()).unwrap_or(u32::MAX);
            ledger.entries.push(Entry { key, total, first, start, len });
            ledger.days.extend(days);
        }
        ledger
    }

    /// Writes the compact stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * 8 + self.days.len() * 2);
        for (key, counts) in self.iter() {
            let [_, a, b, c] = key.0.to_be_bytes();
            out.extend([a, b, c]);
            put(&mut out, counts.total);
            put(&mut out, u32::try_from(counts.first.0.saturating_sub(BASE_DAY)).unwrap_or(0));
            put(&mut out, u32::try_from(counts.days.len()).unwrap_or(u32::MAX));
            let mut previous = counts.first;
            for (day, n) in counts.days {
                put(&mut out, u32::try_from(day.0.saturating_sub(previous.0)).unwrap_or(0));
                put(&mut out, *n);
                previous = *day;
            }
        }
        out
    }

    /// Reads the stored form; `None` where the bytes are not one.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        // A signal takes 8 bytes or more and a day 2 or more, so neither list has to grow.
        let mut ledger =
            Self { entries: Vec::with_capacity(bytes.len() / 8), days: Vec::with_capacity(bytes.len() / 2) };
        while let [a, b, c, rest @ ..] = bytes {
            bytes = rest;
            let key = SignalKey(u32::from_be_bytes([0, *a, *b, *c]));
            let total = take(&mut bytes)?;
            let first = Day(i32::try_from(take(&mut bytes)?).ok()?.checked_add(BASE_DAY)?);
            let len = take(&mut bytes)?;
            let start = u32::try_from(ledger.days.len()).ok()?;
            let mut previous = first;
            for _ in 0..len {
                previous = previous.plus(i32::try_from(take(&mut bytes)?).ok()?);
                ledger.days.push((previous, take(&mut bytes)?));
            }
            if ledger.entries.last().is_some_and(|last| last.key >= key) {
                return None;
            }
            ledger.entries.push(Entry { key, total, first, start, len });
        }
        bytes.is_empty().then_some(ledger)
    }
}

fn put(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits and the flag of more")]
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 0x80 here")]
    out.push(n as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    let mut n: u32 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger(hits: &[(u32, i32, u32)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (key, day, n) in hits {
            ledger.add(SignalKey(*key), Day(20_000 + day), *n);
        }
        ledger
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back_equal(
            hits in prop::collection::vec((0_u32..1 << 24, 0_i32..500, 1_u32..300), 0..40)
        ) {
            let ledger = ledger(&hits);
            prop_assert_eq!(Ledger::decode(&ledger.encode()), Some(ledger));
        }

        #[test]
        fn the_order_of_hits_does_not_matter(hits in prop::collection::vec((0_u32..5, 0_i32..50, 1_u32..3), 0..30)) {
            let backwards: Vec<_> = hits.iter().rev().copied().collect();
            prop_assert_eq!(ledger(&hits), ledger(&backwards));
        }

        #[test]
        fn bytes_that_are_no_ledger_are_refused_and_never_harm(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(ledger) = Ledger::decode(&bytes) {
                prop_assert!(ledger.iter().count() <= 20);
            }
        }
    }

    #[test]
    fn ten_activities_over_six_signals_take_less_than_a_hundred_bytes() {
        let hits: Vec<_> = (0_i32..10).map(|i| ((i as u32 % 6) * 1_000_003 % (1 << 24), i * 3, 1)).collect();
        assert!(ledger(&hits).encode().len() <= 70);
    }

    #[test]
    fn folding_keeps_totals_and_the_last_day() {
        let folded = ledger(&[(1, 0, 2), (1, 10, 1), (2, 3, 1)]).folded(Day(20_020));
        let one = folded.get(SignalKey(1)).unwrap();
        assert_eq!((one.total, one.first, one.last(), one.days.len()), (3, Day(20_000), Day(20_010), 1));
        assert_eq!(folded.get(SignalKey(2)).unwrap().last(), Day(20_003));
    }

    #[test]
    fn only_what_came_after_a_day_counts_after_it() {
        let after = ledger(&[(1, 0, 2), (1, 10, 1), (2, 3, 1)]).after(Day(20_003));
        assert_eq!(after.iter().count(), 1);
        assert_eq!(after.get(SignalKey(1)).unwrap().total, 1);
    }
}
