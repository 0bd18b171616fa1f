//! The persona card: what is said of a persona, and honestly on what.
//!
//! A statement stands where what speaks for it weighs more than what speaks against it. That it is called a guess in the
//! playbook does not matter then, and neither does it help that it claims evidence where none is on record: the card says
//! what there is. Evidence about no statement of the persona, or about one that the playbook no longer has, is shown
//! beside them, so that somebody finds its place.

use super::{Aspect, Basis, Persona, Statement};
use crate::evidence::{Detail, Evidence, Kind};
use crate::identity::Slug;
use crate::time::Day;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a statement turns out to rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// More speaks for it than against it.
    Stands,
    /// As much speaks for it as against it.
    Disputed,
    /// More speaks against it than for it.
    Contradicted,
    /// It says that it rests on evidence, and none is on record.
    ClaimsEvidence,
    /// It is called a guess, and it is one.
    Guess,
}

impl Verdict {
    /// Every verdict with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("stands", Self::Stands),
        ("disputed", Self::Disputed),
        ("contradicted", Self::Contradicted),
        ("claims_evidence", Self::ClaimsEvidence),
        ("guess", Self::Guess),
    ];

    /// Judges by the weights of what speaks for and against a statement.
    #[must_use]
    pub fn of(basis: Basis, supports: u64, contradicts: u64) -> Self {
        match (supports, contradicts, basis) {
            (0, 0, Basis::Evidence) => Self::ClaimsEvidence,
            (0, 0, Basis::Speculation) => Self::Guess,
            (supports, contradicts, _) if supports > contradicts => Self::Stands,
            (supports, contradicts, _) if supports == contradicts => Self::Disputed,
            _ => Self::Contradicted,
        }
    }

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, verdict)| *verdict == self).map_or("", |(word, _)| word)
    }

    /// Says it to people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Stands => "stands on evidence",
            Self::Disputed => "disputed: as much speaks for it as against it",
            Self::Contradicted => "contradicted",
            Self::ClaimsEvidence => "claims evidence, has none",
            Self::Guess => "a guess",
        }
    }
}

/// The evidence on one side of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side<'a> {
    /// How much it weighs together.
    pub weight: u64,
    /// All of it, the best first.
    pub evidence: Vec<&'a Evidence>,
}

impl<'a> Side<'a> {
    fn of(evidence: impl Iterator<Item = &'a Evidence>) -> Self {
        let mut evidence: Vec<&Evidence> = evidence.collect();
        evidence.sort_by_cached_key(|one| rank(one));
        Self { weight: evidence.iter().map(|one| u64::from(one.weight)).sum(), evidence }
    }
}

/// The best first: what weighs most; of that what is searched for most; then the latest.
fn rank(one: &Evidence) -> (Reverse<u8>, Reverse<u64>, Reverse<Day>, String) {
    let searches = match &one.detail {
        Detail::KeywordResearch(keyword) => keyword.monthly_searches.unwrap_or(0),
        _ => 0,
    };
    (Reverse(one.weight), Reverse(searches), Reverse(one.day), one.id())
}

/// A statement with what speaks for and against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged<'a> {
    /// The statement.
    pub statement: &'a Statement,
    /// What it rests on.
    pub verdict: Verdict,
    /// What speaks for it.
    pub supports: Side<'a>,
    /// What speaks against it.
    pub contradicts: Side<'a>,
}

/// All evidence of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct OfKind<'a> {
    /// The kind.
    pub kind: Kind,
    /// How many pieces there are.
    pub count: u64,
    /// Those that are about no statement of the persona.
    pub beside: Side<'a>,
}

/// A persona with what it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Card<'a> {
    /// The statements, in the order of their aspects and of the playbook.
    pub statements: Vec<Judged<'a>>,
    /// Every kind of evidence, also those of which there is none.
    pub kinds: Vec<OfKind<'a>>,
}

impl<'a> Card<'a> {
    /// Confronts a persona with its evidence.
    #[must_use]
    pub fn of(persona: &'a Persona, evidence: &'a [Evidence]) -> Self {
        let judge = |statement: &'a Statement| {
            let about = |ids: fn(&Evidence) -> &BTreeSet<Slug>| {
                Side::of(evidence.iter().filter(|one| ids(one).contains(&statement.id)))
            };
            let (supports, contradicts) = (about(|one| &one.supports), about(|one| &one.contradicts));
            let verdict = Verdict::of(statement.basis, supports.weight, contradicts.weight);
            Judged { statement, verdict, supports, contradicts }
        };
        let known = |id: &Slug| persona.statement(id.as_str()).is_some();
        let of_kind = |kind: Kind| {
            let own = || evidence.iter().filter(move |one| one.kind() == kind);
            let beside = own().filter(|one| !one.supports.iter().chain(&one.contradicts).any(known));
            OfKind { kind, count: own().count() as u64, beside: Side::of(beside) }
        };
        Self {
            statements: persona.statements.iter().map(judge).collect(),
            kinds: Kind::WORDS.iter().map(|(_, kind)| of_kind(*kind)).collect(),
        }
    }

    /// Gives the statements about something.
    pub fn about(&self, aspect: Aspect) -> impl Iterator<Item = &Judged<'a>> {
        self.statements.iter().filter(move |judged| judged.statement.aspect == aspect)
    }

    /// Gives the statements that do not stand.
    pub fn unsupported(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.statements.iter().filter(|judged| judged.verdict != Verdict::Stands)
    }

    /// Gives the kinds of evidence of which there is none.
    pub fn missing(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().filter(|of_kind| of_kind.count == 0).map(|of_kind| of_kind.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Condition;

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn persona() -> Persona {
        let statement =
            |id: &str, basis| Statement { id: slug(id), aspect: Aspect::Goal, text: id.to_owned(), basis };
        Persona {
            id: slug("olga"),
            name: "Olga".to_owned(),
            portrait: None,
            statements: vec![statement("claimed", Basis::Evidence), statement("guessed", Basis::Speculation)],
            channels: BTreeSet::new(),
            when: Condition::All(Vec::new()),
            priority: 1,
        }
    }

    fn said(text: &str, weight: u8, day: &str, supports: &[&str], contradicts: &[&str]) -> Evidence {
        Evidence {
            persona: slug("olga"),
            detail: Detail::InterviewSales,
            text: text.to_owned(),
            source: None,
            day: Day::parse(day).unwrap(),
            weight,
            supports: supports.iter().map(|id| slug(id)).collect(),
            contradicts: contradicts.iter().map(|id| slug(id)).collect(),
        }
    }

    #[test]
    fn a_statement_rests_on_what_is_on_record_whatever_it_claims() {
        let verdicts: Vec<Verdict> = [
            (Basis::Evidence, 0, 0),
            (Basis::Speculation, 0, 0),
            (Basis::Speculation, 1, 0),
            (Basis::Evidence, 3, 2),
            (Basis::Evidence, 2, 2),
            (Basis::Evidence, 1, 2),
            (Basis::Speculation, 0, 1),
        ]
        .into_iter()
        .map(|(basis, supports, contradicts)| Verdict::of(basis, supports, contradicts))
        .collect();
        use Verdict::*;
        assert_eq!(verdicts, [ClaimsEvidence, Guess, Stands, Stands, Disputed, Contradicted, Contradicted]);
    }

    #[test]
    fn the_best_evidence_comes_first_and_what_is_about_nothing_stands_beside() {
        let persona = persona();
        let evidence = [
            said("old", 2, "2026-01-01", &["guessed"], &[]),
            said("new", 2, "2026-02-01", &["guessed"], &["claimed"]),
            said("heavy", 5, "2025-01-01", &["guessed"], &[]),
            said("about nothing", 1, "2026-01-01", &[], &[]),
            said("about what is gone", 1, "2026-01-02", &["gone"], &[]),
        ];
        let card = Card::of(&persona, &evidence);
        let texts = |side: &Side<'_>| side.evidence.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        let [claimed, guessed] = card.statements.as_slice() else { panic!("two statements") };
        assert_eq!((claimed.verdict, guessed.verdict), (Verdict::Contradicted, Verdict::Stands));
        assert_eq!(texts(&guessed.supports), ["heavy", "new", "old"]);
        assert_eq!((guessed.supports.weight, claimed.contradicts.weight), (9, 2));
        let sales = card.kinds.iter().find(|of_kind| of_kind.kind == Kind::InterviewSales).unwrap();
        assert_eq!(
            (sales.count, texts(&sales.beside).as_slice()),
            (5, ["about what is gone".to_owned(), "about nothing".to_owned()].as_slice())
        );
        assert_eq!(card.missing().count(), 5);
        assert_eq!(card.unsupported().count(), 1);
    }
}
