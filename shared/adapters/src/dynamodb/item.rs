//! How the fields of an item are written and read, whatever they stand for; what is damaged, and how large an item is.

use super::packed::{at_distance, distance};
use super::{Item, keys};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::identity::{ExternalId, LeadId, Slug};
use domain::ledger::Ledger;
use domain::machine::Machines;
use domain::phase::Phase;
use domain::sales::DeliveryId;
use domain::time::{Day, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use thiserror::Error;

/// Says which part of which stored record cannot be read. It repeats nothing of what is stored there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the stored record of {record} is damaged: attribute {place} {problem}")]
pub struct CorruptRecord {
    /// Whose record: `lead …`, `entry … of lead …`.
    pub record: String,
    /// Which attribute, with the names of the fields inside it where it has some.
    pub place: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What is wrong, before it is known whose record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    place: String,
    problem: &'static str,
}

impl Damage {
    pub(super) fn new(place: &str, problem: &'static str) -> Self {
        Self { place: place.to_owned(), problem }
    }

    /// Says of what larger thing the damaged one is a part.
    pub(super) fn within(mut self, outer: &'static str) -> Self {
        self.place = format!("{outer}.{}", self.place);
        self
    }

    pub(super) fn of(self, record: String) -> CorruptRecord {
        CorruptRecord { record, place: self.place, problem: self.problem }
    }
}

/// Names the owner of an item for an error. A visitor's partition holds their id and is not repeated.
pub(super) fn owner_of(item: &Item) -> String {
    match item.get(keys::LEAD_ID) {
        Some(Stored::S(id)) if LeadId::parse(id).is_ok() => format!("lead {id}"),
        Some(Stored::S(_)) => "no lead or a visitor".to_owned(),
        _ => "a lead without its id".to_owned(),
    }
}

/// Fills an item and leaves out what says nothing.
#[derive(Default)]
pub(super) struct Writer(pub(super) Item);

impl Writer {
    pub(super) fn put(&mut self, name: &str, value: Stored) {
        self.0.insert(name.to_owned(), value);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.put(name, Stored::S(text.to_owned()));
    }

    pub(super) fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn number(&mut self, name: &str, n: impl ToString) {
        self.put(name, Stored::N(n.to_string()));
    }

    pub(super) fn time(&mut self, name: &str, at: Timestamp) {
        self.number(name, at.millis());
    }

    pub(super) fn since(&mut self, name: &str, at: Option<Timestamp>, created_at: Timestamp) {
        if let Some(at) = at {
            self.number(name, distance(at, created_at));
        }
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.put(name, Stored::Bool(true));
        }
    }

    pub(super) fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.put(name, Stored::B(Blob::new(bytes)));
        }
    }

    pub(super) fn deliveries(&mut self, name: &str, ids: &[DeliveryId]) {
        self.bytes(name, ids.iter().flat_map(|id| id.0).collect());
    }

    /// DynamoDB refuses empty sets.
    pub(super) fn texts(&mut self, name: &str, texts: Vec<String>) {
        if !texts.is_empty() {
            self.put(name, Stored::Ss(texts));
        }
    }

    pub(super) fn map(&mut self, name: &str, inner: Self) {
        if !inner.0.is_empty() {
            self.put(name, inner.into_value());
        }
    }

    pub(super) fn into_value(self) -> Stored {
        Stored::M(self.0)
    }

    pub(super) fn into_item(self) -> Item {
        self.0
    }
}

pub(super) const MISSING: &str = "is missing";
pub(super) const UNREADABLE: &str = "does not read as what it should hold";
pub(super) const TYPE: &str = "has another type than it should";

/// Reads the attributes of an item or of a map inside one.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Item);

impl<'a> Reader<'a> {
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::S(text)) => Ok(Some(text)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn owned(self, name: &'static str) -> Result<Option<String>, Damage> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    /// Reads a text through a parser.
    pub(super) fn parsed<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Damage> {
        self.text(name)?.map(|text| parse(text).ok_or(Damage::new(name, UNREADABLE))).transpose()
    }

    pub(super) fn number<T: FromStr>(self, name: &'static str) -> Result<Option<T>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::N(n)) => n.parse().map(Some).map_err(|_| Damage::new(name, UNREADABLE)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn time(self, name: &'static str) -> Result<Option<Timestamp>, Damage> {
        Ok(self.number(name)?.map(Timestamp::from_millis))
    }

    pub(super) fn since(
        self,
        name: &'static str,
        created_at: Timestamp,
    ) -> Result<Option<Timestamp>, Damage> {
        Ok(self.number(name)?.map(|distance| at_distance(distance, created_at)))
    }

    pub(super) fn flag(self, name: &'static str) -> Result<bool, Damage> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Stored::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn bytes(self, name: &'static str) -> Result<&'a [u8], Damage> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Stored::B(blob)) => Ok(blob.as_ref()),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn deliveries(self, name: &'static str) -> Result<Vec<DeliveryId>, Damage> {
        let (ids, []) = self.bytes(name)?.as_chunks() else { return Err(Damage::new(name, UNREADABLE)) };
        Ok(ids.iter().map(|id| DeliveryId(*id)).collect())
    }

    pub(super) fn ledger(self, name: &'static str) -> Result<Ledger, Damage> {
        Ledger::decode(self.bytes(name)?).ok_or(Damage::new(name, UNREADABLE))
    }

    pub(super) fn machines(self, name: &'static str) -> Result<Machines, Damage> {
        Machines::decode(self.bytes(name)?).ok_or(Damage::new(name, UNREADABLE))
    }

    pub(super) fn phase(self, name: &'static str) -> Result<Option<Phase>, Damage> {
        let Some(place) = self.number::<usize>(name)? else { return Ok(None) };
        match Phase::WORDS.get(place) {
            Some((_, phase)) => Ok(Some(*phase)),
            None => Err(Damage::new(name, UNREADABLE)),
        }
    }

    /// Reads days that are counted from another one, by an id.
    pub(super) fn days(self, name: &'static str, from: Day) -> Result<BTreeMap<Slug, Day>, Damage> {
        let days = match self.0.get(name) {
            None => return Ok(BTreeMap::new()),
            Some(Stored::M(days)) => days,
            Some(_) => return Err(Damage::new(name, TYPE)),
        };
        let day = |(id, after): (&String, &Stored)| {
            let Stored::N(after) = after else { return None };
            let day = after.parse::<i64>().ok()?.checked_add(from.0.into())?;
            Some((slug(id)?, Day(day.try_into().ok()?)))
        };
        days.iter().map(day).collect::<Option<_>>().ok_or_else(|| Damage::new(name, UNREADABLE))
    }

    pub(super) fn set<T: Ord>(
        self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<BTreeSet<T>, Damage> {
        match self.0.get(name) {
            None => Ok(BTreeSet::new()),
            Some(Stored::Ss(texts)) => texts
                .iter()
                .map(|text| parse(text))
                .collect::<Option<_>>()
                .ok_or_else(|| Damage::new(name, UNREADABLE)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn list(self, name: &'static str) -> Result<&'a [Stored], Damage> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Stored::L(values)) => Ok(values),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn map(self, name: &'static str) -> Result<Option<&'a Item>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::M(map)) => Ok(Some(map)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn external(
        self,
        system: &'static str,
        id: &'static str,
    ) -> Result<Option<ExternalId>, Damage> {
        match (self.text(system)?, self.text(id)?) {
            (None, None) => Ok(None),
            (Some(s), Some(i)) => ExternalId::new(s, i).map(Some).map_err(|_| Damage::new(id, UNREADABLE)),
            (None, Some(_)) => Err(Damage::new(system, MISSING)),
            (Some(_), None) => Err(Damage::new(id, MISSING)),
        }
    }
}

/// Gives what must be there.
pub(super) fn required<T>(name: &'static str, value: Option<T>) -> Result<T, Damage> {
    value.ok_or_else(|| Damage::new(name, MISSING))
}

pub(super) fn slug(text: &str) -> Option<Slug> {
    Slug::parse(text).ok()
}

/// Gives the size of an item by [DynamoDB's rules][rules]: names and texts in UTF-8, binary as it is, a number 1 byte
/// and half a byte for each significant digit (rounded up on both sides of the point, one more with a minus), a list
/// or map 3 bytes and 1 for each element, everything else 1.
///
/// [rules]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
#[must_use]
pub fn item_size(item: &HashMap<String, Stored>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Stored) -> usize {
    match value {
        Stored::S(text) => text.len(),
        Stored::N(n) => number_size(n),
        Stored::B(blob) => blob.as_ref().len(),
        Stored::Ss(texts) => texts.iter().map(String::len).sum(),
        Stored::Ns(numbers) => numbers.iter().map(|n| number_size(n)).sum(),
        Stored::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        Stored::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        Stored::M(map) => 3 + map.len() + item_size(map),
        _ => 1,
    }
}

pub(super) fn number_size(text: &str) -> usize {
    let (sign, text) = text.strip_prefix('-').map_or((0, text), |text| (1, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    // The digits from the first to the last that is not zero, and how many of them stand before the point.
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0').len();
    if significant == 0 {
        return 1;
    }
    let point = (i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent))
        .saturating_sub(i64::try_from(leading).unwrap_or(0));
    let before = usize::try_from(point.max(0)).unwrap_or(significant).min(significant);
    1 + before.div_ceil(2) + (significant - before).div_ceil(2) + sign
}
