//! What an export said of whom, kept so that the next one of the same target can tell what changed.
//!
//! A line for each row: the lead's id, a hash of the row, and of the row what says who somebody is, since whoever was
//! erased can be asked no more. A line too for each lead that the export before had and this one has not, with the reason:
//! it is what a worker knows of the leads that those before it saw. And of an audience, for each lead that withdrew
//! consent, short hashes of what the destination would know it by ([`keys`](crate::keys)). Nothing else of anybody is kept.
//!
//! A ledger is written in pieces, one at each of its export's checkpoints. A piece is named by what is in it, so that a
//! worker that was thought dead, and writes its own version late, replaces nobody's.
//!
//! # Memory
//!
//! Leads come in the order of the table, ledgers were written in it too, but nothing promises that it stays the same. So
//! an [`Index`] of the ledger before is held in memory: 56 bytes for each of its rows, 56 MB for a million, and nothing
//! of what the rows say. That is read once more, piece by piece, when the removals are written.

use adapters::ports::{FileStore, StoreError};
use domain::export::{Reason, Spec};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// In which folder of the bucket ledgers lie; files that people fetch lie elsewhere and go sooner.
const FOLDER: &str = "ledgers";
/// What a ledger whose piece is gone is refused with.
pub(crate) const LOST: &str = "NoSuchLedger";

/// Where a ledger lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    folder: String,
    pieces: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(target: &str, export: &str) -> Self {
        Self { folder: format!("{FOLDER}/{target}/{export}"), pieces: Vec::new() }
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = String> {
        self.pieces.iter().map(|piece| format!("{}/{piece}", self.folder))
    }

    /// Writes the next piece; none where there is nothing in it.
    pub(crate) async fn add(&mut self, files: &dyn FileStore, lines: Vec<u8>) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let piece = format!("{:05}-{}.jsonl", self.pieces.len(), hash_of(&lines));
        let key = format!("{}/{piece}", self.folder);
        files.put(&key, "application/x-ndjson", &piece, lines).await?;
        self.pieces.push(piece);
        Ok(())
    }

    /// Reads a piece.
    pub(crate) async fn read(&self, files: &dyn FileStore, n: usize) -> Result<Vec<Line>, StoreError> {
        let lost = || StoreError::Refused(LOST.to_owned());
        let key = self.keys().nth(n).ok_or_else(lost)?;
        let bytes = files.read(&key).await?.ok_or_else(lost)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Line::read(line).ok_or_else(|| StoreError::Damaged(key.clone()))).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "folder": self.folder, "pieces": self.pieces })
    }

    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let pieces = json.get("pieces")?.as_array()?.iter().map(|piece| piece.as_str().map(str::to_owned));
        Some(Self {
            folder: json.get("folder")?.as_str()?.to_owned(),
            pieces: pieces.collect::<Option<_>>()?,
        })
    }
}

/// Gives a short name for what is in a file.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(Sha256::digest(bytes).get(..12).unwrap_or_default())
}

fn short(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A line of a ledger.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// The export has a row of the lead.
    Row {
        lead: String,
        /// The hash of the row.
        hash: u64,
        /// Of the row what says who it is.
        who: Vec<Value>,
    },
    /// The export before had one, and this one has not.
    Gone { lead: String, reason: Reason },
    /// Somebody withdrew consent whom the destination would know by these.
    Withdrew { keys: Vec<u64> },
}

impl Line {
    /// Makes the line of a row.
    pub(crate) fn of(spec: &Spec, lead: &str, row: &[Value]) -> Self {
        let hash = short(json!(row).to_string().as_bytes());
        Self::Row { lead: lead.to_owned(), hash, who: spec.identifying(row) }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let json = match self {
            Self::Row { lead, hash, who } => json!([lead, format!("{hash:016x}"), who]),
            Self::Gone { lead, reason } => json!([lead, reason.as_str()]),
            Self::Withdrew { keys } => {
                json!([Value::Null, keys.iter().map(|key| format!("{key:016x}")).collect::<Vec<_>>()])
            }
        };
        out.extend_from_slice(json.to_string().as_bytes());
        out.push(b'\n');
    }

    fn read(line: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(line).ok()?;
        let text = |at: usize| json.get(at).and_then(Value::as_str);
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        if json.get(0)?.is_null() {
            let keys = json.get(1)?.as_array()?.iter().map(|key| key.as_str().and_then(number));
            return Some(Self::Withdrew { keys: keys.collect::<Option<_>>()? });
        }
        let lead = text(0)?.to_owned();
        match json.get(2) {
            Some(who) => {
                let hash = number(text(1)?)?;
                Some(Self::Row { lead, hash, who: who.as_array()?.clone() })
            }
            None => Some(Self::Gone { lead, reason: Reason::parse(text(1)?)? }),
        }
    }
}

/// What became of a row of the ledger before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The lead was not seen, so far.
    Unseen,
    /// It has a row again; of what it was known by these, one bit each, no longer hold.
    Kept { replaced: u8 },
    /// It has none any more.
    Gone(Reason),
}

/// How a row stands to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Changed,
    Same,
}

/// In how many ways somebody is known at most: three by an audience.
pub(crate) const WAYS: usize = 3;

#[derive(Clone, Debug)]
struct Entry {
    lead: [u8; 16],
    hash: u64,
    /// A hash of each way in which the person is known; 0 where there is none.
    known_by: [u64; WAYS],
    fate: Fate,
}

/// The ledger before in short, with what became of each row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index(Vec<Entry>);

fn place(lead: &str) -> [u8; 16] {
    let mut place = [0; 16];
    place.iter_mut().zip(Sha256::digest(lead.as_bytes())).for_each(|(to, from)| *to = from);
    place
}

/// Gives a hash of each way in which a row's person is known; 0 where there is none.
pub(crate) fn ways(spec: &Spec, who: &[Value]) -> [u64; WAYS] {
    let mut ways = [0; WAYS];
    for (to, fields) in ways.iter_mut().zip(spec.known_by(who)) {
        *to = fields.map_or(0, |fields| short(json!(fields).to_string().as_bytes()).max(1));
    }
    ways
}

impl Index {
    /// Takes in the rows of a piece of the ledger before.
    pub(crate) fn extend(&mut self, spec: &Spec, lines: &[Line]) {
        self.0.extend(lines.iter().filter_map(|line| match line {
            Line::Row { lead, hash, who } => {
                let (lead, known_by) = (place(lead), ways(spec, who));
                Some(Entry { lead, hash: *hash, known_by, fate: Fate::Unseen })
            }
            Line::Gone { .. } | Line::Withdrew { .. } => None,
        }));
    }

    /// Makes it ready to be asked, after all pieces were taken in.
    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable_by_key(|entry| entry.lead);
    }

    fn entry(&mut self, lead: &str) -> Option<&mut Entry> {
        let at = self.0.binary_search_by_key(&place(lead), |entry| entry.lead).ok()?;
        self.0.get_mut(at)
    }

    /// Takes in a line of the ledger of now, and tells how it stands to the one before; of a lead that is gone, whether
    /// there was a row before.
    pub(crate) fn take(&mut self, spec: &Spec, line: &Line) -> Change {
        match line {
            Line::Row { lead, hash, who } => {
                let Some(entry) = self.entry(lead) else { return Change::Added };
                let mut replaced = 0;
                for (n, (before, now)) in entry.known_by.into_iter().zip(ways(spec, who)).enumerate() {
                    replaced |= u8::from(before != 0 && before != now) << n;
                }
                entry.fate = Fate::Kept { replaced };
                if entry.hash == *hash { Change::Same } else { Change::Changed }
            }
            Line::Gone { lead, reason } => {
                let Some(entry) = self.entry(lead) else { return Change::Same };
                entry.fate = Fate::Gone(*reason);
                Change::Changed
            }
            Line::Withdrew { .. } => Change::Same,
        }
    }

    /// Tells what became of a row of the ledger before.
    pub(crate) fn fate(&mut self, lead: &str) -> Fate {
        self.entry(lead).map_or(Fate::Unseen, |entry| entry.fate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: Value) -> Spec {
        Spec::from_json(&json).unwrap()
    }

    fn row(email: &str, label: &str) -> Vec<Value> {
        vec![json!(email), json!(label)]
    }

    #[test]
    fn a_line_reads_back() {
        let spec = spec(json!({"format": "csv", "purpose": "marketing", "columns": ["email", "label"]}));
        let lines = [
            Line::of(&spec, "a", &row("a@b.example", "A1")),
            Line::Gone { lead: "b".to_owned(), reason: Reason::ConsentWithdrawn },
            Line::Withdrew { keys: vec![1, u64::MAX] },
        ];
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| line.write(&mut bytes));
        let read: Vec<Line> =
            bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).filter_map(Line::read).collect();
        assert_eq!(read, lines);
        assert!(!String::from_utf8(bytes).unwrap().contains("A1"), "only what says who it is is kept");
        assert_eq!(Line::read(b"[\"a\",\"bored\"]"), None);
    }

    #[test]
    fn an_index_tells_what_is_new_what_changed_and_what_somebody_is_no_longer_known_by() {
        let spec = spec(json!({"format": "csv", "purpose": "marketing", "columns": ["email", "label"]}));
        let line = |lead: &str, email: &str, label: &str| Line::of(&spec, lead, &row(email, label));
        let mut index = Index::default();
        index.extend(
            &spec,
            &[line("c", "c@", "A1"), line("a", "a@", "A1"), line("b", "b@", "A1"), line("d", "d@", "A1")],
        );
        index.sort();
        assert_eq!(index.take(&spec, &line("a", "a@", "A1")), Change::Same);
        assert_eq!(index.take(&spec, &line("b", "b@", "B1")), Change::Changed);
        assert_eq!(index.take(&spec, &line("c", "x@", "A1")), Change::Changed);
        assert_eq!(index.take(&spec, &line("e", "e@", "A1")), Change::Added);
        let gone = |lead: &str| Line::Gone { lead: lead.to_owned(), reason: Reason::LeftSegment };
        assert_eq!(index.take(&spec, &gone("d")), Change::Changed);
        assert_eq!(index.take(&spec, &gone("f")), Change::Same);
        let fates = ["a", "b", "c", "d", "e"].map(|lead| index.fate(lead));
        let kept = |replaced| Fate::Kept { replaced };
        assert_eq!(fates, [kept(0), kept(0), kept(1), Fate::Gone(Reason::LeftSegment), Fate::Unseen]);
    }

    #[test]
    fn an_audience_takes_back_only_the_way_that_changed() {
        let spec = spec(json!({"preset": "google_customer_match"}));
        let row = |email: &str, phone: Option<&str>, zip: &str| {
            vec![json!(email), json!(phone), json!("f"), json!("l"), json!("AT"), json!(zip)]
        };
        let mut index = Index::default();
        index.extend(&spec, &[Line::of(&spec, "a", &row("e", Some("p"), "1010"))]);
        index.sort();
        let mut replaced = |row: Vec<Value>| {
            index.take(&spec, &Line::of(&spec, "a", &row));
            index.fate("a")
        };
        assert_eq!(replaced(row("e", Some("p"), "1010")), Fate::Kept { replaced: 0b000 });
        assert_eq!(replaced(row("x", Some("p"), "1010")), Fate::Kept { replaced: 0b001 });
        assert_eq!(replaced(row("e", None, "1010")), Fate::Kept { replaced: 0b010 });
        assert_eq!(replaced(row("x", Some("p"), "8010")), Fate::Kept { replaced: 0b101 });
    }

    #[test]
    fn an_entry_is_as_small_as_the_head_of_this_file_says() {
        assert_eq!(size_of::<Entry>(), 56);
    }
}
