//! The figures of a funnel: as a job and the catalog keep them, and as they are shown.
//!
//! What is kept are the numbers that were counted, as short as they can be written, since a job is one item of 400 KB and a
//! trend reads many of them. Shares, intervals and names of fields are added where they are shown.

use crate::response::{interval, rate};
use domain::funnel::{Count, Durations, Funnel, Group, Line};
use domain::report::{Basis, PATH};
use domain::segment::harmless_cell;
use domain::stage::Stage;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many, the median, and the 90th percentile; in hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hours(u64, Option<u16>, Option<u16>);

impl Hours {
    fn of(durations: &Durations) -> Self {
        Self(durations.count(), durations.quantile(50), durations.quantile(90))
    }

    fn shown(self) -> Value {
        json!({ "median": self.1, "p90": self.2, "of": self.0 })
    }
}

/// What was counted of a stage: reached, entered, open, left, advanced; how long it took, and since the first contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfStage([u64; 5], Hours, Hours);

impl OfStage {
    fn of(count: &Count) -> Self {
        let Count { reached, entered, open, left, advanced, took, since_first } = count;
        Self([*reached, *entered, *open, *left, *advanced], Hours::of(took), Hours::of(since_first))
    }
}

/// What was counted of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    /// Leads, won, lost, open.
    n: [u64; 4],
    /// By stage.
    s: BTreeMap<String, OfStage>,
}

impl Counted {
    fn of(line: &Line) -> Self {
        let stages = line.stages.iter();
        Self {
            n: [line.leads, line.won, line.lost, line.open],
            s: stages.map(|(stage, count)| (stage.as_str().to_owned(), OfStage::of(count))).collect(),
        }
    }
}

/// A row with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    #[serde(flatten)]
    counted: Counted,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    others: bool,
}

/// All figures of a funnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    as_of: String,
    total: Counted,
    rows: Vec<Named>,
}

impl Figures {
    /// Takes the figures of what was counted; of all rows but the `most` with most leads together.
    #[must_use]
    pub fn of(funnel: Funnel, most: usize, as_of: Timestamp) -> Self {
        let (total, lines) = funnel.finish(most);
        let named = |(group, line): (Group, Line)| {
            let (name, others) = match group {
                Group::Of(name) => (name, false),
                Group::Others => (None, true),
            };
            Named { counted: Counted::of(&line), name, others }
        };
        Self {
            as_of: as_of.to_string(),
            total: Counted::of(&total),
            rows: lines.into_iter().map(named).collect(),
        }
    }

    /// Writes them down.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads what was written down.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// Leaves the row of a name.
    pub fn only(&mut self, name: Option<&str>) {
        self.rows.retain(|row| !row.others && row.name.as_deref() == name);
    }

    /// Shows them: when they were counted, the total, and the rows.
    #[must_use]
    pub fn shown(&self, group_by: &str, basis: Basis) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut shown = Map::new();
            shown.insert(group_by.to_owned(), json!(row.name));
            if row.others {
                shown.insert("others".to_owned(), true.into());
            }
            shown.extend(line(&row.counted, basis));
            Value::Object(shown)
        });
        json!({ "as_of": self.as_of, "total": line(&self.total, basis), "rows": rows.collect::<Vec<_>>() })
    }
}

/// Gives figures that were shown as a table, a line for each row and stage, with the head first.
#[must_use]
pub fn table(shown: &Value, group_by: &str, basis: Basis) -> Vec<Vec<String>> {
    let columns = columns(basis);
    let head = std::iter::once(group_by).chain(columns.iter().map(|(name, _)| *name));
    let mut table = vec![head.map(str::to_owned).collect::<Vec<String>>()];
    let list = |of: &Value, name: &str| of.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for row in list(shown, "rows") {
        let others = row.get("others").is_some();
        let name = row.get(group_by).and_then(Value::as_str).unwrap_or(if others { "(others)" } else { "" });
        for stage in list(&row, "stages") {
            let cell = |(_, at): &(&str, &str)| {
                // What is of the whole row stands in each of its lines.
                match stage.pointer(at).or_else(|| row.pointer(at)) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(value) => value.to_string(),
                }
            };
            let name = harmless_cell(name).into_owned();
            table.push(std::iter::once(name).chain(columns.iter().map(cell)).collect());
        }
    }
    table
}

/// Gives the columns of the table: their names, and where their values stand in a stage, or else in its row.
const fn columns(basis: Basis) -> &'static [(&'static str, &'static str)] {
    match basis {
        Basis::Cohort => &[
            ("stage", "/stage"),
            ("reached", "/reached"),
            ("entered", "/entered"),
            ("open", "/open"),
            ("conversion", "/conversion/rate"),
            ("conversion_low", "/conversion/low"),
            ("conversion_high", "/conversion/high"),
            ("conversion_of", "/conversion/of"),
            ("median_hours_from_previous", "/hours_from_previous/median"),
            ("p90_hours_from_previous", "/hours_from_previous/p90"),
            ("median_hours_since_first_contact", "/hours_since_first_contact/median"),
            ("p90_hours_since_first_contact", "/hours_since_first_contact/p90"),
            ("leads", "/leads"),
            ("won", "/won"),
            ("lost", "/lost"),
            ("still_open", "/still_open"),
        ],
        Basis::Period => &[
            ("stage", "/stage"),
            ("entered", "/entered"),
            ("left", "/left"),
            ("advanced", "/advanced"),
            ("conversion", "/conversion/rate"),
            ("conversion_low", "/conversion/low"),
            ("conversion_high", "/conversion/high"),
            ("median_hours_in_stage", "/hours_in_stage/median"),
            ("p90_hours_in_stage", "/hours_in_stage/p90"),
            ("median_hours_since_first_contact", "/hours_since_first_contact/median"),
            ("p90_hours_since_first_contact", "/hours_since_first_contact/p90"),
            ("leads", "/leads"),
            ("won", "/won"),
            ("lost", "/lost"),
        ],
    }
}

/// Gives a share with its interval; none of nothing.
fn conversion(part: u64, of: u64) -> Value {
    let Some(rate) = rate(part, of) else { return Value::Null };
    let mut shown = interval(part, of);
    if let Some(map) = shown.as_object_mut() {
        map.insert("rate".to_owned(), json!(rate));
        map.insert("of".to_owned(), of.into());
    }
    shown
}

fn line(counted: &Counted, basis: Basis) -> Map<String, Value> {
    let [leads, won, lost, open] = counted.n;
    let of = |stage: Stage| counted.s.get(stage.as_str()).copied().unwrap_or_default();
    let mut stages = Vec::new();
    // The path first, then what leads off it.
    for stage in PATH.into_iter().chain([Stage::Nurturing, Stage::Disqualified]) {
        let OfStage([reached, entered, open, left, advanced], took, since_first) = of(stage);
        let at = PATH.iter().position(|known| *known == stage);
        let mut shown = match basis {
            Basis::Cohort => {
                let before = at.and_then(|at| at.checked_sub(1)).and_then(|before| PATH.get(before));
                let conversion = before.map_or(Value::Null, |before| {
                    let OfStage([before, ..], ..) = of(*before);
                    conversion(reached, before)
                });
                json!({
                    "stage": stage.as_str(), "reached": reached, "entered": entered, "open": open,
                    "conversion": conversion, "hours_from_previous": took.shown(),
                })
            }
            Basis::Period => json!({
                "stage": stage.as_str(), "entered": entered, "left": left, "advanced": advanced,
                "conversion": conversion(advanced, left), "hours_in_stage": took.shown(),
            }),
        };
        if let Some(map) = shown.as_object_mut() {
            map.insert("hours_since_first_contact".to_owned(), since_first.shown());
        }
        stages.push(shown);
    }
    let mut shown = Map::new();
    for (name, n) in [("leads", leads), ("won", won), ("lost", lost), ("open", open)] {
        shown.insert(name.to_owned(), n.into());
    }
    if basis == Basis::Cohort {
        shown.insert("still_open".to_owned(), (open > 0).into());
    }
    shown.insert("stages".to_owned(), stages.into());
    shown
}
