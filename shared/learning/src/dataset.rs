//! Leads with what was known of them, in columns.
//!
//! Learning reads one attribute of all leads far more often than all attributes of one lead, so each attribute is a
//! column: a number is kept as it is, a text by its code in the column's dictionary. A column grows only to the last
//! lead that has a value in it, and "not given" costs nothing to say. 100,000 leads with thirty attributes take 12 MB
//! where they are texts and 24 MB where they are numbers.
//!
//! Values are told apart as the condition language does it, since what is learned becomes conditions: texts without
//! regard to case, and a text that looks like a number is one. A text that is long, or that comes when a column knows
//! [`MOST_TEXTS`] others already, is kept as *rare*: nobody would read a rule about it, and what makes an attribute a
//! name or a message must not fill the memory.

use domain::attribute::{AttributeName, AttributeValue};
use domain::identity::Slug;
use std::collections::{BTreeMap, HashMap};

/// The most texts that a column tells apart.
pub const MOST_TEXTS: usize = 2_048;
/// The longest text that a column tells from others, in characters.
pub const LONGEST_TEXT: usize = 100;

/// How a lead ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Was it won?
    pub won: bool,
    /// What it brought, in minor units of the currency of reports.
    pub revenue: Option<i64>,
    /// Did it stay a customer, where that is known?
    pub retained: Option<bool>,
}

/// What one lead has in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing.
    NotGiven,
    /// A number.
    Number(f64),
    /// A text, or yes or no, by its place in [`Column::known`]; none for a rare one.
    Text(Option<usize>),
}

/// The values of one attribute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// 0 for no text, 1 for a rare one, from 2 on the place in `known`.
    texts: Vec<u32>,
    /// NaN for no number.
    numbers: Vec<f64>,
    known: Vec<AttributeValue>,
    codes: HashMap<(bool, String), u32>,
}

impl Column {
    fn set(&mut self, lead: usize, value: &AttributeValue) {
        let (flag, folded) = match value {
            AttributeValue::Number(n) => return self.set_number(lead, *n),
            AttributeValue::Flag(flag) => (true, flag.to_string()),
            AttributeValue::Text(text) => {
                // As a range does: a number that came through a form is still a number.
                if let Some(n) = text.trim().parse().ok().filter(|n: &f64| n.is_finite()) {
                    return self.set_number(lead, n);
                }
                (false, text.to_lowercase())
            }
        };
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX - 2) + 2;
        let full = self.known.len() >= MOST_TEXTS || folded.chars().nth(LONGEST_TEXT).is_some();
        let code = match self.codes.get(&(flag, folded.clone())) {
            Some(code) => *code,
            None if full => 1,
            None => {
                self.codes.insert((flag, folded), next);
                self.known.push(value.clone());
                next
            }
        };
        self.texts.resize(lead, 0);
        self.texts.push(code);
    }

    fn set_number(&mut self, lead: usize, n: f64) {
        self.numbers.resize(lead, f64::NAN);
        self.numbers.push(n);
    }

    /// Gives what a lead has here.
    pub(crate) fn cell(&self, lead: usize) -> Cell {
        match self.numbers.get(lead) {
            Some(n) if !n.is_nan() => return Cell::Number(*n),
            _ => {}
        }
        match self.texts.get(lead) {
            None | Some(0) => Cell::NotGiven,
            Some(code) => Cell::Text(usize::try_from(*code).ok().and_then(|code| code.checked_sub(2))),
        }
    }

    /// Gives the texts that are told apart, and yes and no, as they were first written.
    pub(crate) fn known(&self) -> &[AttributeValue] {
        &self.known
    }
}

/// Leads with what was known of them and how they ended.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    pub(crate) attributes: BTreeMap<AttributeName, Column>,
    pub(crate) signals: BTreeMap<Slug, Vec<u32>>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Who each lead is, spread evenly over the numbers; by its place, where nobody said.
    spread: BTreeMap<usize, u64>,
}

/// Spreads texts evenly over the numbers: FNV-1a, the same on every machine.
#[must_use]
pub fn spread(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Its low bits follow the last byte too closely.
    hash ^ hash >> 32
}

impl Dataset {
    /// Says who the lead is that was added last, by something that stays the same where the base is imported anew.
    pub fn known_as(&mut self, name: &str) {
        if let Some(last) = self.outcomes.len().checked_sub(1) {
            self.spread.insert(last, spread(name));
        }
    }

    /// Gives the fold of a lead, of so many.
    pub(crate) fn fold(&self, lead: usize, folds: usize) -> usize {
        // A multiplicative hash of its place, so that neighbours are spread.
        let place = (lead as u64).wrapping_mul(2_654_435_761) >> 16 & 0xffff;
        let spread = self.spread.get(&lead).copied().unwrap_or(place);
        usize::try_from(spread % folds.max(1) as u64).unwrap_or(0)
    }

    /// Adds a lead: the attributes that were known of it, how often it showed which signal, and how it ended.
    ///
    /// What must not be learned from, since it was known only after the outcome or nobody knows when, is not handed
    /// in. A lead's value of an attribute counts once; where two are handed in, the first does.
    pub fn add<'a>(
        &mut self,
        attributes: impl IntoIterator<Item = (&'a AttributeName, &'a AttributeValue)>,
        signals: impl IntoIterator<Item = (&'a Slug, u32)>,
        outcome: Outcome,
    ) {
        let lead = self.outcomes.len();
        for (name, value) in attributes {
            if !self.attributes.contains_key(name) {
                self.attributes.insert(name.clone(), Column::default());
            }
            if let Some(column) = self.attributes.get_mut(name)
                && column.cell(lead) == Cell::NotGiven
            {
                column.set(lead, value);
            }
        }
        for (signal, count) in signals {
            let counts = self.signals.entry(signal.clone()).or_default();
            counts.resize(lead, 0);
            counts.push(count);
        }
        self.outcomes.push(outcome);
    }

    /// Gives the number of leads.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Tells whether there are no leads.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LOST: Outcome = Outcome { won: false, revenue: None, retained: None };
    pub(crate) const WON: Outcome = Outcome { won: true, revenue: None, retained: None };

    pub(crate) fn name(text: &str) -> AttributeName {
        AttributeName::parse(text).unwrap()
    }

    pub(crate) fn text(text: &str) -> AttributeValue {
        AttributeValue::Text(text.to_owned())
    }

    #[test]
    fn values_are_told_apart_as_conditions_do() {
        let mut dataset = Dataset::default();
        let a = name("a");
        let values = [text("Web"), text("WEB"), text(" 12 "), AttributeValue::Number(12.0), text("true")];
        for value in &values {
            dataset.add([(&a, value)], [], LOST);
        }
        dataset.add([], [], WON);
        dataset.add([(&a, &AttributeValue::Flag(true))], [], LOST);
        let column = &dataset.attributes[&a];
        let cells: Vec<Cell> = (0..8).map(|lead| column.cell(lead)).collect();
        let text = |code| Cell::Text(Some(code));
        let number = Cell::Number(12.0);
        assert_eq!(
            cells,
            [text(0), text(0), number, number, text(1), Cell::NotGiven, text(2), Cell::NotGiven]
        );
        assert_eq!(column.known()[0], super::tests::text("Web"));
    }

    #[test]
    fn free_text_stays_small() {
        let mut dataset = Dataset::default();
        let a = name("message");
        for i in 0..MOST_TEXTS + 10 {
            dataset.add([(&a, &text(&format!("message {i}")))], [], LOST);
        }
        dataset.add([(&a, &text(&"x".repeat(LONGEST_TEXT + 1)))], [], LOST);
        dataset.add([(&a, &text("Message 5"))], [], LOST);
        let column = &dataset.attributes[&a];
        assert_eq!(column.known().len(), MOST_TEXTS);
        assert_eq!(column.cell(MOST_TEXTS), Cell::Text(None));
        assert_eq!(column.cell(MOST_TEXTS + 10), Cell::Text(None));
        assert_eq!(column.cell(MOST_TEXTS + 11), Cell::Text(Some(5)));
    }
}
