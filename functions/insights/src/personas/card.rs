//! What a card and the report over all personas show, in the words of the API.

use domain::evidence::{Detail, Evidence, Kind, With};
use domain::identity::Slug;
use domain::persona::card::{Card, Judged, OfKind, Side, Verdict};
use domain::persona::figures::{Figures, Group};
use domain::persona::{Aspect, Basis, Persona};
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use learning::measure::{Rate, rounded};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many pieces of evidence are shown of each side.
const SHOWN: usize = 10;

/// From where to where a rate lies with 95 % confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// From.
    pub low: f64,
    /// To.
    pub high: f64,
}

/// The figures of those who have something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupShown {
    /// Leads and contacts.
    pub all: u64,
    /// Those who responded.
    pub leads: u64,
    /// Their share of all leads and contacts.
    pub share_of_base: Option<f64>,
    /// Their share of all leads.
    pub share_of_leads: Option<f64>,
    /// How many have which label.
    pub labels: BTreeMap<String, u64>,
    /// How many are in which phase.
    pub phases: BTreeMap<String, u64>,
    /// Leads with a won deal.
    pub won: u64,
    /// Leads that were lost or disqualified.
    pub lost: u64,
    /// Leads that are neither.
    pub open: u64,
    /// The won of the won and lost.
    pub win_rate: Option<f64>,
    /// Between which that lies.
    pub win_rate_interval: Option<Bounds>,
}

/// The figures of a persona.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonaFigures {
    /// Its id.
    pub persona_id: String,
    /// Its name.
    pub name: String,
    /// How many meet its condition, those included who mirror another one first.
    pub meet: u64,
    /// Those who mirror it.
    #[serde(flatten)]
    pub group: GroupShown,
}

/// Who meets the conditions of two personas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// The two, the first by priority first.
    pub personas: [String; 2],
    /// How many.
    pub all: u64,
}

/// The figures of all personas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// When they were counted.
    pub as_of: String,
    /// With which playbook.
    pub playbook_version: u32,
    /// Everybody.
    pub base: GroupShown,
    /// The personas by priority.
    pub rows: Vec<PersonaFigures>,
    /// Who mirrors none.
    pub none: GroupShown,
    /// How many meet the conditions of several.
    pub several: u64,
    /// Of which, the most first.
    pub overlaps: Vec<Overlap>,
}

fn share(part: u64, whole: u64) -> Option<f64> {
    Rate { hits: part, of: whole }.share().map(rounded)
}

impl GroupShown {
    fn of(group: &Group, base: &Group) -> Self {
        let ended = Rate { hits: group.won, of: group.won + group.lost };
        let interval = ended.interval();
        Self {
            all: group.all,
            leads: group.leads,
            share_of_base: share(group.all, base.all),
            share_of_leads: share(group.leads, base.leads),
            labels: group.labels.iter().map(|(label, n)| (label.to_string(), *n)).collect(),
            phases: group
                .phases
                .iter()
                .map(|(phase, n)| (phase.map_or("none", Phase::as_str).to_owned(), *n))
                .collect(),
            won: group.won,
            lost: group.lost,
            open: group.leads - group.won - group.lost,
            win_rate: ended.share().map(rounded),
            win_rate_interval: interval.map(|i| Bounds { low: rounded(i.low), high: rounded(i.high) }),
        }
    }
}

impl Overview {
    /// Shows what was counted.
    #[must_use]
    pub fn of(figures: &Figures, playbook: &Playbook, version: u32, now: Timestamp) -> Self {
        let nobody = Group::default();
        let row = |persona: &Persona| PersonaFigures {
            persona_id: persona.id.to_string(),
            name: persona.name.clone(),
            meet: figures.meet.get(&persona.id).copied().unwrap_or(0),
            group: GroupShown::of(figures.personas.get(&persona.id).unwrap_or(&nobody), &figures.base),
        };
        let mut overlaps: Vec<Overlap> = figures
            .overlaps
            .iter()
            .map(|((one, other), n)| Overlap { personas: [one.to_string(), other.to_string()], all: *n })
            .collect();
        overlaps.sort_by_key(|overlap| std::cmp::Reverse(overlap.all));
        Self {
            as_of: now.to_string(),
            playbook_version: version,
            base: GroupShown::of(&figures.base, &figures.base),
            rows: playbook.personas.iter().map(row).collect(),
            none: GroupShown::of(&figures.none, &figures.base),
            several: figures.several,
            overlaps,
        }
    }
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Piece {
    /// Its id.
    pub evidence_id: String,
    /// Its kind.
    pub kind: &'static str,
    /// The quote or finding.
    pub text: String,
    /// Where it comes from.
    pub source: Option<String>,
    /// Of which day.
    pub date: String,
    /// How much it counts.
    pub weight: u8,
    /// What it has by its kind.
    #[serde(flatten)]
    pub detail: Map<String, Value>,
    /// Who said it or what shows it, for people.
    #[serde(skip)]
    pub said_by: String,
    /// Whether these are somebody's words.
    #[serde(skip)]
    pub is_quote: bool,
}

/// Evidence on one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideShown {
    /// How many pieces.
    pub count: usize,
    /// How much they weigh together.
    pub weight: u64,
    /// The best ones.
    pub evidence: Vec<Piece>,
}

/// A statement with what it turns out to rest on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementShown {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
    /// What the playbook says it rests on.
    pub basis: &'static str,
    /// What it does rest on.
    pub verdict: &'static str,
    /// That for people.
    pub says: &'static str,
    /// What speaks for it.
    pub supports: SideShown,
    /// What speaks against it.
    pub contradicts: SideShown,
}

/// The statements about something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AspectShown {
    /// About what.
    pub aspect: &'static str,
    /// The statements, in the order of the playbook.
    pub statements: Vec<StatementShown>,
}

/// A statement that does not stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsupported {
    /// Its id.
    pub id: String,
    /// About what.
    pub aspect: &'static str,
    /// What it says.
    pub text: String,
    /// What it rests on.
    pub verdict: &'static str,
    /// That for people.
    pub says: &'static str,
}

/// Evidence of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindShown {
    /// The kind.
    pub kind: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// How many pieces.
    pub count: u64,
    /// Those about no statement of the persona.
    pub beside: SideShown,
}

/// A persona card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardShown {
    /// The persona.
    pub persona_id: String,
    /// Its name.
    pub name: String,
    /// A day in their life.
    pub portrait: Option<String>,
    /// The channels that they prefer.
    pub channels: Vec<String>,
    /// When the leads were counted.
    pub as_of: String,
    /// With which playbook.
    pub playbook_version: u32,
    /// Who mirrors it.
    pub figures: Option<PersonaFigures>,
    /// The other personas whose conditions its leads meet, with how many do.
    pub overlaps: Vec<Overlap>,
    /// The statements, by what they are about.
    pub aspects: Vec<AspectShown>,
    /// The statements that do not stand.
    pub unsupported: Vec<Unsupported>,
    /// The evidence by its kind.
    pub evidence: Vec<KindShown>,
    /// The kinds of which there is none.
    pub missing_kinds: Vec<&'static str>,
}

impl CardShown {
    /// Shows a card.
    #[must_use]
    pub fn of(persona: &Persona, card: &Card<'_>, overview: Overview) -> Self {
        let id = persona.id.as_str();
        let mut overlaps = overview.overlaps;
        overlaps.retain(|overlap| overlap.personas.iter().any(|one| one == id));
        Self {
            persona_id: id.to_owned(),
            name: persona.name.clone(),
            portrait: persona.portrait.clone(),
            channels: persona.channels.iter().map(Slug::to_string).collect(),
            as_of: overview.as_of,
            playbook_version: overview.playbook_version,
            figures: overview.rows.into_iter().find(|row| row.persona_id == id),
            overlaps,
            aspects: Aspect::WORDS.iter().map(|(word, aspect)| about(card, word, *aspect)).collect(),
            unsupported: card.unsupported().map(unsupported).collect(),
            evidence: card.kinds.iter().map(of_kind).collect(),
            missing_kinds: card.missing().map(Kind::as_str).collect(),
        }
    }
}

fn about(card: &Card<'_>, word: &'static str, aspect: Aspect) -> AspectShown {
    AspectShown { aspect: word, statements: card.about(aspect).map(statement).collect() }
}

fn statement(judged: &Judged<'_>) -> StatementShown {
    let basis = judged.statement.basis;
    StatementShown {
        id: judged.statement.id.to_string(),
        text: judged.statement.text.clone(),
        basis: basis.as_str(),
        verdict: judged.verdict.as_str(),
        says: match (judged.verdict, basis) {
            (Verdict::Stands, Basis::Speculation) => {
                "stands on evidence; the playbook still calls it a guess"
            }
            (verdict, _) => verdict.says(),
        },
        supports: side(&judged.supports),
        contradicts: side(&judged.contradicts),
    }
}

fn unsupported(judged: &Judged<'_>) -> Unsupported {
    Unsupported {
        id: judged.statement.id.to_string(),
        aspect: judged.statement.aspect.as_str(),
        text: judged.statement.text.clone(),
        verdict: judged.verdict.as_str(),
        says: judged.verdict.says(),
    }
}

fn of_kind(of_kind: &OfKind<'_>) -> KindShown {
    let OfKind { kind, count, beside } = of_kind;
    KindShown { kind: kind.as_str(), title: kind.title(), count: *count, beside: side(beside) }
}

fn side(side: &Side<'_>) -> SideShown {
    SideShown {
        count: side.evidence.len(),
        weight: side.weight,
        evidence: side.evidence.iter().take(SHOWN).map(|one| piece(one)).collect(),
    }
}

fn piece(one: &Evidence) -> Piece {
    Piece {
        evidence_id: one.id(),
        kind: one.kind().as_str(),
        text: one.text.clone(),
        source: one.source.clone(),
        date: one.day.to_string(),
        weight: one.weight,
        detail: adapters::evidence::detail_json(&one.detail),
        said_by: said_by(&one.detail),
        is_quote: !matches!(one.kind(), Kind::DatabaseMining | Kind::KeywordResearch),
    }
}

fn said_by(detail: &Detail) -> String {
    match detail {
        Detail::InterviewProspect(With::Prospect) => "a prospect".to_owned(),
        Detail::InterviewProspect(With::Customer) => "a customer".to_owned(),
        Detail::InterviewSales => "sales".to_owned(),
        Detail::InterviewCustomerService => "customer service".to_owned(),
        Detail::DatabaseMining(_) => "the database".to_owned(),
        Detail::KeywordResearch(_) => "keyword research".to_owned(),
        Detail::SocialListening { network, .. } => network.clone(),
    }
}

/// Gives the report as a table, the head first.
#[must_use]
pub fn table(report: &Overview) -> Vec<Vec<String>> {
    let phases = Phase::WORDS.iter().map(|(word, _)| *word).chain(["none"]);
    let head =
        ["persona", "name", "meet", "all", "leads", "share_of_base", "share_of_leads", "won", "lost", "open"];
    let head = head.into_iter().chain(["win_rate", "win_rate_low", "win_rate_high"]).map(str::to_owned);
    let mut table =
        vec![head.chain(phases.clone().map(|word| format!("phase_{word}"))).collect::<Vec<String>>()];
    let rows = report
        .rows
        .iter()
        .map(|row| (row.persona_id.as_str(), row.name.as_str(), Some(row.meet), &row.group));
    // No persona is called nothing.
    for (id, name, meet, group) in rows.chain([("", "", None, &report.none)]) {
        let number = |n: Option<f64>| n.map(|n| n.to_string()).unwrap_or_default();
        let bound = |of: fn(&Bounds) -> f64| number(group.win_rate_interval.as_ref().map(of));
        let mut cells = vec![id.to_owned(), harmless_cell(name).into_owned()];
        cells.push(meet.map(|n| n.to_string()).unwrap_or_default());
        cells.extend([group.all, group.leads].map(|n| n.to_string()));
        cells.extend([number(group.share_of_base), number(group.share_of_leads)]);
        cells.extend([group.won, group.lost, group.open].map(|n| n.to_string()));
        cells.extend([number(group.win_rate), bound(|b| b.low), bound(|b| b.high)]);
        cells.extend(phases.clone().map(|word| group.phases.get(word).copied().unwrap_or(0).to_string()));
        table.push(cells);
    }
    table
}
