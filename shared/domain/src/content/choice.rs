//! The next piece of content for a lead, and why that one.
//!
//! Of what fits, the piece with the best rate of success among leads of the same persona and phase comes first, where
//! success is having moved on or having been won within thirty days. Small numbers are not believed: each rate is drawn
//! towards the average of its persona and phase by [`DRAW`] leads that count as average, and that average towards the one
//! of all content. Three of three is luck, thirty of a hundred is not.
//!
//! Nobody learns anything of content that nobody gets. So one lead in [`FAIR_IN`], chosen by its id, the day and what fits
//! it, gets a piece that fewer than [`FAIR_TRIES`] leads like it had so far, the more likely the fewer that were. Nothing
//! is drawn by chance: the same lead gets the same answer all day long, from everybody who asks.

use super::results::{Cell, Results, Sums};
use super::{Content, Lack, Reader};
use crate::time::Day;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// How many leads that did as the average does are added to what was counted of a piece of content.
pub const DRAW: f64 = 20.0;
/// How many leads of a persona and phase a piece of content has to have had to be no longer new to them.
pub const FAIR_TRIES: u64 = 30;
/// One lead in so many gets what is new.
pub const FAIR_IN: u64 = 5;
/// What is thought of content before anything is known of any: one lead in so many moves on.
const FIRST_GUESS: f64 = 10.0;

/// A piece that fits, with what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Ranked<'a> {
    /// The piece.
    pub content: &'a Content,
    /// What it did for leads of the same persona and phase.
    pub sums: Sums,
    /// Its rate of success, drawn towards the average.
    pub rate: f64,
}

impl Ranked<'_> {
    /// Tells whether it is new to leads of this persona and phase.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.sums.leads < FAIR_TRIES
    }
}

/// Why the first of those that fit is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It did best.
    Best,
    /// It is new, and this lead is one of those that get what is new.
    New,
}

/// What to say to a lead next.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// What fits: the choice, then the runners-up, the best first.
    pub fits: Vec<Ranked<'a>>,
    /// Why the first one is.
    pub turn: Turn,
    /// The average of all content for leads of this persona and phase.
    pub average: f64,
    /// How many pieces were left out, by the first reason that applied.
    pub left_out: BTreeMap<Lack, usize>,
}

impl<'a> Choice<'a> {
    /// Gives the choice; none where nothing fits.
    #[must_use]
    pub fn chosen(&self) -> Option<&Ranked<'a>> {
        self.fits.first()
    }

    /// Says why the choice is what it is, in words with figures.
    #[must_use]
    pub fn because(&self, reader: &Reader<'_>) -> String {
        let whom = whom(reader);
        let Some(Ranked { content, sums, rate }) = self.chosen() else {
            return format!("nothing fits: {}", self.left_out_because());
        };
        let rate = percent(*rate);
        let known = match sums.judged {
            0 => format!("of \"{}\" nothing is known yet for {whom}", content.title),
            n => format!(
                "of {n} {whom} who had \"{}\", {} moved on or were won within 30 days",
                content.title, sums.succeeded
            ),
        };
        match self.turn {
            Turn::New => format!(
                "{known}; it is new to them: {} of the {FAIR_TRIES} had it who are needed to judge it, and this lead is the one in {FAIR_IN} that gets what is new",
                sums.leads
            ),
            Turn::Best => {
                let of = match self.fits.len() {
                    1 => "the only one that fits".to_owned(),
                    n => format!("the best of {n} that fit"),
                };
                let average = percent(self.average);
                format!("{known}; drawn towards the average there of {average} that is {rate}, {of}")
            }
        }
    }

    fn left_out_because(&self) -> String {
        let parts: Vec<String> =
            self.left_out.iter().map(|(lack, n)| format!("{n} {}", words(*lack))).collect();
        if parts.is_empty() { "there is no content".to_owned() } else { parts.join(", ") }
    }
}

fn words(lack: Lack) -> &'static str {
    match lack {
        Lack::Expired => "expired",
        Lack::NotYetValid => "not valid yet",
        Lack::OtherPersona => "for other personas",
        Lack::OtherPhase => "for other phases",
        Lack::OtherLanguage => "in another language",
        Lack::HadBefore => "had before",
    }
}

/// Names the leads that are like a reader.
fn whom(reader: &Reader<'_>) -> String {
    let persona =
        reader.persona.map_or_else(|| "leads without a persona".to_owned(), |p| format!("leads like {p}"));
    match reader.phase {
        Some(phase) => format!("{persona} in the phase {phase}"),
        None => format!("{persona} in no phase"),
    }
}

fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

/// Chooses the next piece of content for a lead. It looks at each piece once and asks nobody else.
#[must_use]
pub fn next<'a>(reader: &Reader<'_>, catalog: &'a [Content], results: &Results, today: Day) -> Choice<'a> {
    let average = average(reader, results);
    let (mut fits, mut left_out) = (Vec::new(), BTreeMap::new());
    for content in catalog {
        match content.lacks(reader, today) {
            Some(lack) => *left_out.entry(lack).or_default() += 1,
            None => {
                let sums = sums_of(content, reader, results);
                fits.push(Ranked { content, sums, rate: drawn(&sums, average) });
            }
        }
    }
    // Who did equally well takes turns, or all of a batch would get the first by name. Each draws its lot once.
    let lot = |ranked: &Ranked<'_>| spread(&[reader.lead.as_str(), ranked.content.id.as_str()]);
    let mut lots: Vec<(u64, Ranked<'a>)> = fits.into_iter().map(|ranked| (lot(&ranked), ranked)).collect();
    lots.sort_by(|(a_lot, a), (b_lot, b)| {
        let by_rate = b.rate.partial_cmp(&a.rate).unwrap_or(Ordering::Equal);
        by_rate.then_with(|| a_lot.cmp(b_lot)).then_with(|| a.content.id.cmp(&b.content.id))
    });
    let mut fits: Vec<Ranked<'a>> = lots.into_iter().map(|(_, ranked)| ranked).collect();
    let turn = match new_one(reader, &fits, today) {
        Some(at) => {
            let new = fits.remove(at);
            fits.insert(0, new);
            Turn::New
        }
        None => Turn::Best,
    };
    Choice { fits, turn, average, left_out }
}

/// Gives the place of the new piece that a lead gets, where it is its turn to get one.
fn new_one(reader: &Reader<'_>, fits: &[Ranked<'_>], today: Day) -> Option<usize> {
    let ids: BTreeSet<&str> = fits.iter().map(|ranked| ranked.content.id.as_str()).collect();
    let ids = ids.into_iter().collect::<Vec<_>>().join(" ");
    let draw = spread(&[reader.lead.as_str(), &ids, &today.to_string()]);
    if !draw.is_multiple_of(FAIR_IN) {
        return None;
    }
    // Each missing try is one lot, so that the least tried comes first most of the time and a batch does not get one piece.
    let missing = |ranked: &Ranked<'_>| FAIR_TRIES.saturating_sub(ranked.sums.leads);
    let lots: u64 = fits.iter().map(missing).sum();
    let mut lot = (draw / FAIR_IN).checked_rem(lots)?;
    fits.iter().position(|ranked| {
        let own = missing(ranked);
        let is_it = lot < own;
        lot = lot.saturating_sub(own);
        is_it
    })
}

fn sums_of(content: &Content, reader: &Reader<'_>, results: &Results) -> Sums {
    let cell = Cell { content: content.id.clone(), persona: reader.persona.cloned(), phase: reader.phase };
    results.cells.get(&cell).copied().unwrap_or_default()
}

/// Gives the average of all content for leads of the same persona and phase, drawn towards that for all leads.
fn average(reader: &Reader<'_>, results: &Results) -> f64 {
    let (mut here, mut all) = (Sums::default(), Sums::default());
    for (cell, sums) in &results.cells {
        all.add(sums);
        if cell.persona.as_ref() == reader.persona && cell.phase == reader.phase {
            here.add(sums);
        }
    }
    let (succeeded, judged) = (number(all.succeeded), number(all.judged));
    drawn(&here, (succeeded + 1.0) / (judged + FIRST_GUESS))
}

/// Gives the rate of success, as if [`DRAW`] average leads more had been counted.
fn drawn(sums: &Sums, average: f64) -> f64 {
    (number(sums.succeeded) + DRAW * average) / (number(sums.judged) + DRAW)
}

#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// Spreads texts evenly over the numbers, the same on every machine.
fn spread(texts: &[&str]) -> u64 {
    let hash = Sha256::digest(texts.join("\n").as_bytes());
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
