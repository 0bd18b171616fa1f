//! What personas stand on, in the catalog: a record for each piece of evidence, under its persona.
//!
//! The id of a record is the persona's, `#`, and the id that the evidence makes of what it says, so that a repeat meets
//! its own record. Withdrawn evidence is deleted, not marked: a quote may be somebody's.
//!
//! # Keywords
//!
//! [`keywords`] lists what people search for, for whoever weighs topics by demand. The same keyword under two personas
//! stands there twice, and the searches are the same ones: `domain::content::matrix::demand` counts it once.

use crate::ports::{Catalog, CatalogKind, Page, Put, Record, StoreError};
use domain::attribute::AttributeName;
use domain::evidence::{About, Compared, Competition, Detail, Evidence, Finding, Keyword, Kind, With};
use domain::identity::Slug;
use domain::time::{Day, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How many records a page of a whole list has.
const PAGE: usize = 500;

/// A piece of evidence on record.
#[derive(Clone, Debug, PartialEq)]
pub struct OnRecord {
    /// The evidence.
    pub evidence: Evidence,
    /// Who entered it, as it is now.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What became of evidence that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is new.
    Created,
    /// It was on record, and says or weighs something else now.
    Updated,
    /// It was on record like this, or better.
    Unchanged,
}

impl Recorded {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

fn under(persona: &Slug) -> String {
    // No persona's id has this mark, so that none starts like another's.
    format!("{persona}#")
}

fn key(persona: &Slug, id: &str) -> String {
    under(persona) + id
}

/// Writes evidence as JSON: what the API shows of it, and what is kept.
#[must_use]
pub fn to_json(one: &OnRecord) -> Value {
    let evidence = &one.evidence;
    let mut json = json!({
        "evidence_id": evidence.id(),
        "persona": evidence.persona.as_str(),
        "kind": evidence.kind().as_str(),
        "text": evidence.text,
        "source": evidence.source,
        "date": evidence.day.to_string(),
        "weight": evidence.weight,
        "supports": ids_json(&evidence.supports),
        "contradicts": ids_json(&evidence.contradicts),
        "entered_by": one.by,
        "entered_at": one.at.to_string(),
    });
    if let Some(map) = json.as_object_mut() {
        map.extend(detail_json(&evidence.detail));
    }
    json
}

fn ids_json(ids: &BTreeSet<Slug>) -> Value {
    ids.iter().map(|id| Value::from(id.as_str())).collect()
}

/// Writes what evidence has by its kind.
#[must_use]
pub fn detail_json(detail: &Detail) -> Map<String, Value> {
    let json = match detail {
        Detail::InterviewProspect(with) => json!({ "with": with.as_str() }),
        Detail::InterviewSales | Detail::InterviewCustomerService => json!({}),
        Detail::KeywordResearch(keyword) => json!({
            "keyword": keyword.keyword,
            "monthly_searches": keyword.monthly_searches,
            "competition": keyword.competition.map(Competition::as_str),
            "topic": keyword.topic.as_ref().map(Slug::as_str),
        }),
        Detail::SocialListening { network, url } => json!({ "network": network, "url": url }),
        Detail::DatabaseMining(finding) => {
            let about = |wanted: fn(&About) -> Option<&str>| finding.about.as_ref().and_then(wanted);
            json!({
                "attribute": about(|about| match about { About::Attribute(n) => Some(n.as_str()), About::Signal(_) => None }),
                "signal": about(|about| match about { About::Signal(id) => Some(id.as_str()), About::Attribute(_) => None }),
                "value": finding.value,
                "lift": finding.lift,
                "support": finding.support,
                "interval": finding.interval.map(|(low, high)| json!({ "low": low, "high": high })),
                "compared": finding.own.map(Compared::as_str),
            })
        }
    };
    match json {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn from_json(json: &Value) -> Option<OnRecord> {
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let owned = |name: &str| text(name).map(str::to_owned);
    let slug = |name: &str| text(name).and_then(|text| Slug::parse(text).ok());
    let ids = |name: &str| -> Option<BTreeSet<Slug>> {
        json.get(name)?.as_array()?.iter().map(|id| Slug::parse(id.as_str()?).ok()).collect()
    };
    let word = text("kind")?;
    let kind = Kind::WORDS.iter().find(|(known, _)| *known == word)?.1;
    let detail = match kind {
        Kind::InterviewProspect => {
            let with = text("with")?;
            Detail::InterviewProspect(With::WORDS.iter().find(|(known, _)| *known == with)?.1)
        }
        Kind::InterviewSales => Detail::InterviewSales,
        Kind::InterviewCustomerService => Detail::InterviewCustomerService,
        Kind::KeywordResearch => {
            let competition = text("competition");
            Detail::KeywordResearch(Keyword {
                keyword: owned("keyword")?,
                monthly_searches: json.get("monthly_searches").and_then(Value::as_u64),
                competition: Competition::WORDS
                    .iter()
                    .find(|(word, _)| Some(*word) == competition)
                    .map(|(_, degree)| *degree),
                topic: slug("topic"),
            })
        }
        Kind::SocialListening => Detail::SocialListening { network: owned("network")?, url: owned("url") },
        Kind::DatabaseMining => {
            let attribute = text("attribute").and_then(|name| AttributeName::parse(name).ok());
            let compared = text("compared");
            let bound = |name: &str| json.pointer(&format!("/interval/{name}")).and_then(Value::as_f64);
            Detail::DatabaseMining(Finding {
                about: attribute.map(About::Attribute).or(slug("signal").map(About::Signal)),
                value: owned("value"),
                lift: json.get("lift").and_then(Value::as_f64),
                support: json.get("support").and_then(Value::as_u64),
                interval: bound("low").zip(bound("high")),
                own: Compared::WORDS.iter().find(|(word, _)| Some(*word) == compared).map(|(_, own)| *own),
            })
        }
    };
    let evidence = Evidence {
        persona: slug("persona")?,
        detail,
        text: owned("text")?,
        source: owned("source"),
        day: text("date").and_then(Day::parse)?,
        weight: json.get("weight").and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok())?,
        supports: ids("supports")?,
        contradicts: ids("contradicts")?,
    };
    Some(OnRecord { evidence, by: owned("entered_by")?, at: text("entered_at").and_then(Timestamp::parse)? })
}

fn read(record: &Record) -> Result<OnRecord, StoreError> {
    from_json(&record.body).ok_or_else(|| StoreError::Damaged(format!("evidence {}", record.id)))
}

/// Puts evidence on record; the same evidence is one record, however often it comes.
///
/// # Errors
///
/// [`StoreError`].
pub async fn record(catalog: &dyn Catalog, one: &OnRecord) -> Result<Recorded, StoreError> {
    let id = key(&one.evidence.persona, &one.evidence.id());
    loop {
        let (put, recorded) = match catalog.get(CatalogKind::Evidence, &id).await? {
            None => (Put::new(CatalogKind::Evidence, id.clone(), to_json(one)), Recorded::Created),
            Some(known) if one.evidence.replaces(&read(&known)?.evidence) => {
                (Put::over(&known, to_json(one)), Recorded::Updated)
            }
            Some(_) => return Ok(Recorded::Unchanged),
        };
        if catalog.put(&[put]).await? {
            return Ok(recorded);
        }
    }
}

/// Reads a page of a persona's evidence, in the order of its ids.
///
/// # Errors
///
/// [`StoreError`].
pub async fn page(
    catalog: &dyn Catalog,
    persona: &Slug,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<OnRecord>, StoreError> {
    let page = catalog.list_under(CatalogKind::Evidence, &under(persona), limit, cursor).await?;
    let items: Result<Vec<OnRecord>, StoreError> = page.items.iter().map(read).collect();
    Ok(Page { items: items?, next: page.next })
}

/// Reads all of a persona's evidence.
///
/// # Errors
///
/// [`StoreError`].
pub async fn all(catalog: &dyn Catalog, persona: &Slug) -> Result<Vec<Evidence>, StoreError> {
    everything(catalog, &under(persona)).await
}

async fn everything(catalog: &dyn Catalog, under: &str) -> Result<Vec<Evidence>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list_under(CatalogKind::Evidence, under, PAGE, cursor.as_deref()).await?;
        for record in &page.items {
            all.push(read(record)?.evidence);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Takes evidence off the record, for good; `false` where there was none.
///
/// # Errors
///
/// [`StoreError`].
pub async fn withdraw(catalog: &dyn Catalog, persona: &Slug, id: &str) -> Result<bool, StoreError> {
    catalog.delete(CatalogKind::Evidence, &key(persona, id)).await
}

/// Lists what people search for, of every persona; see the module's head.
///
/// # Errors
///
/// [`StoreError`].
pub async fn keywords(catalog: &dyn Catalog) -> Result<Vec<Keyword>, StoreError> {
    let all = everything(catalog, "").await?.into_iter();
    Ok(all
        .filter_map(|evidence| match evidence.detail {
            Detail::KeywordResearch(keyword) => Some(keyword),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_as_it_was_written() {
        let slug = |text: &str| Slug::parse(text).unwrap();
        let keyword = Keyword {
            keyword: "plant software".to_owned(),
            monthly_searches: Some(5_000),
            competition: Some(Competition::Medium),
            topic: Some(slug("pricing")),
        };
        let finding = Finding {
            about: Some(About::Signal(slug("pricing_viewed"))),
            value: Some("seen at least 2 times".to_owned()),
            lift: Some(1.5),
            support: Some(120),
            interval: Some((0.25, 0.5)),
            own: Some(Compared::WonWithLost),
        };
        let by_hand = Finding {
            about: Some(About::Attribute(AttributeName::parse("country").unwrap())),
            value: None,
            lift: None,
            support: None,
            interval: None,
            own: None,
        };
        for detail in [
            Detail::InterviewProspect(With::Customer),
            Detail::InterviewSales,
            Detail::InterviewCustomerService,
            Detail::DatabaseMining(finding),
            Detail::DatabaseMining(by_hand),
            Detail::KeywordResearch(keyword),
            Detail::SocialListening { network: "reddit".to_owned(), url: None },
        ] {
            let evidence = Evidence {
                persona: slug("olga"),
                detail,
                text: "\"Never\" <again>".to_owned(),
                source: Some("ü".to_owned()),
                day: Day::parse("2026-03-01").unwrap(),
                weight: 3,
                supports: BTreeSet::from([slug("a"), slug("b")]),
                contradicts: BTreeSet::from([slug("c")]),
            };
            let at = Timestamp::parse("2026-03-02T12:00:00Z").unwrap();
            let one = OnRecord { evidence, by: "mia".to_owned(), at };
            assert_eq!(from_json(&to_json(&one)), Some(one));
        }
    }
}
