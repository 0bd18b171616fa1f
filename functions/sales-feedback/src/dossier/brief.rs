//! What follows from what is known of a lead, in the words of the API.

use super::{Known, MOST_EVIDENCE};
use adapters::wire;
use domain::activity::content_of;
use domain::change::{Entry, Fact};
use domain::consent::{ConsentStatus, Purpose};
use domain::content::Content;
use domain::identity::Slug;
use domain::lead::{HadBy, Lead};
use domain::next_step::{NextStep, next_step};
use domain::persona::Aspect;
use domain::persona::card::Card;
use domain::persona::talk::{Point, points};
use domain::replay::{facts_of, labels};
use domain::sales::{DealState, DeliveryId};
use domain::score::{Score, explain, score};
use domain::sentence::{self, Names};
use domain::similar::{Similar, Trait};
use domain::time::Day;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many of their own words are among the talking points.
const MOST_QUOTES: usize = 3;
/// Over how many days the trend is told.
const TREND_DAYS: [i32; 2] = [7, 30];

/// Who it is, in a line each.
#[derive(Clone, Debug, Serialize)]
pub struct Who {
    /// What they are called, as far as that is known.
    pub name: Option<String>,
    /// What they do.
    pub job_title: Option<String>,
    /// Their company.
    pub company: Option<String>,
    /// Their country.
    pub country: Option<String>,
    /// The addresses and numbers by which they are reached.
    pub reach: Vec<String>,
}

/// A score of an earlier day.
#[derive(Clone, Debug, Serialize)]
pub struct TrendPoint {
    /// How many days ago.
    pub days_ago: i32,
    /// The score at that day's end; none where the lead was not known.
    pub score: Option<Value>,
    /// How many points more there are now.
    pub change: Option<i32>,
}

/// Where the score comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Trend {
    /// `rising`, `falling` or `steady`, over the last week.
    pub direction: &'static str,
    /// Earlier days.
    pub points: Vec<TrendPoint>,
}

/// A line of the story.
#[derive(Clone, Debug, Serialize)]
pub struct StoryLine {
    /// On which day.
    pub on: String,
    /// How often.
    pub times: usize,
    /// What happened.
    pub says: String,
    /// What it changed, where that matters.
    pub then: Vec<String>,
    /// Whether it was taken back later.
    pub withdrawn: bool,
    /// The entries of the timeline that it tells of.
    pub entries: Vec<String>,
}

/// A statement about a persona, with what it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The statement.
    pub text: String,
    /// What it rests on.
    pub verdict: &'static str,
    /// That for people.
    pub says: &'static str,
}

/// The persona that a lead mirrors.
#[derive(Clone, Debug, Serialize)]
pub struct PersonaBrief {
    /// Its id.
    pub persona_id: String,
    /// Its name.
    pub name: String,
    /// A day in their life.
    pub portrait: Option<String>,
    /// The channels that they prefer.
    pub channels: Vec<String>,
    /// What worries them.
    pub concerns: Vec<Said>,
    /// How many pieces of evidence were weighed, and whether those were all.
    pub evidence: usize,
    /// Whether there is more evidence than was weighed.
    pub more_evidence: bool,
}

/// Something to say, or to be ready for.
#[derive(Clone, Debug, Serialize)]
pub struct TalkingPoint {
    /// What to do with it.
    pub how: &'static str,
    /// What it is.
    pub text: String,
    /// Why.
    pub because: String,
}

/// A piece of content that a lead had.
#[derive(Clone, Debug, Serialize)]
pub struct ContentHad {
    /// Its id.
    pub content_id: String,
    /// The day on which it last had it.
    pub on: String,
    /// What it is called, where the catalog knows it.
    pub title: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// How that is known.
    pub had_by: &'static str,
    /// What the lead did with it and said of it, latest first.
    pub reaction: Vec<String>,
}

/// A campaign that touched a lead.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignTouched {
    /// The campaign.
    pub campaign: Option<String>,
    /// What it is called, where somebody declared it.
    pub name: Option<String>,
    /// The channel of its first touch.
    pub channel: Option<String>,
    /// How often the lead responded to it.
    pub touches: u32,
    /// When first.
    pub first_at: String,
    /// When last.
    pub last_at: String,
    /// What was said of it, latest first.
    pub said: Vec<String>,
}

/// What sales reported.
#[derive(Clone, Debug, Serialize)]
pub struct FeedbackTold {
    /// The entry of the timeline.
    pub entry: String,
    /// When.
    pub at: String,
    /// Which kind.
    pub kind: String,
    /// What.
    pub says: String,
    /// Whether it was taken back later.
    pub withdrawn: bool,
}

/// What two leads share.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    /// What it is.
    #[serde(rename = "trait")]
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// A won lead that is like this one.
#[derive(Clone, Debug, Serialize)]
pub struct SimilarWon {
    /// Which.
    pub lead_id: String,
    /// Its company.
    pub company: Option<String>,
    /// Since when it is won.
    pub won_at: String,
    /// What it brought.
    pub amounts: Vec<Value>,
    /// What both are.
    pub shared: Vec<Shared>,
    /// That as a sentence.
    pub says: String,
}

/// What to do next.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// What.
    pub action: &'static str,
    /// That as a sentence.
    pub says: String,
    /// Why.
    pub because: String,
    /// By when, or not before when.
    pub at: Option<String>,
    /// What to mind whatever is done.
    pub mind: Vec<&'static str>,
}

/// What is said of a lead beside what is stored of it.
#[derive(Clone, Debug, Serialize)]
pub struct Brief {
    /// Who it is.
    pub who: Who,
    /// What to do next.
    pub next_step: Next,
    /// Where the score comes from; none where too much happened to count it here.
    pub trend: Option<Trend>,
    /// The persona that it mirrors.
    pub persona_card: Option<PersonaBrief>,
    /// What to talk about.
    pub talking_points: Vec<TalkingPoint>,
    /// Everything that it did and that happened, latest first.
    pub story: Vec<StoryLine>,
    /// Whether that is all.
    pub story_complete: bool,
    /// The content that it had.
    pub content: Vec<ContentHad>,
    /// The campaigns that touched it, the latest first.
    pub campaigns: Vec<CampaignTouched>,
    /// What sales reported, latest first.
    pub feedback: Vec<FeedbackTold>,
    /// Won leads that are like it.
    pub similar_won: Vec<SimilarWon>,
    /// The score in a line.
    #[serde(skip)]
    pub score: String,
    /// Why, the rules that give or take most first.
    #[serde(skip)]
    pub score_because: Vec<String>,
    /// Where it stands, in a line.
    #[serde(skip)]
    pub standing: String,
    /// What it agreed to, in a line.
    #[serde(skip)]
    pub consent: String,
    /// As of when.
    #[serde(skip)]
    pub as_of: String,
}

impl Brief {
    /// Says what follows from what is known.
    pub(crate) fn of(known: &Known) -> Self {
        let titles = known.contents.iter().map(|(id, content)| (id.clone(), content.title.clone())).collect();
        let names = Names { playbook: &known.playbook, content: &titles, people: &known.people };
        let Known { lead, playbook, entries, now, .. } = known;
        let card = lead.persona.as_ref().and_then(|id| playbook.persona(id.as_str()));
        let judged = card.map(|persona| (persona, Card::of(persona, &known.evidence)));
        let explanation = explain(playbook, &lead.view(now.day()));
        let mut lines: Vec<_> = explanation.lines.iter().filter(|line| line.points != 0).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.points.abs()));
        Self {
            who: who(lead),
            next_step: next(&next_step(lead, &playbook.promises, *now)),
            trend: trend(known),
            persona_card: judged.as_ref().map(|(persona, card)| PersonaBrief {
                persona_id: persona.id.to_string(),
                name: persona.name.clone(),
                portrait: persona.portrait.clone(),
                channels: persona.channels.iter().map(Slug::to_string).collect(),
                concerns: card.about(Aspect::Concern).map(said).collect(),
                evidence: known.evidence.len().min(MOST_EVIDENCE),
                more_evidence: !known.all_evidence,
            }),
            talking_points: talk(known, &names, judged.as_ref().map(|(_, card)| card)),
            story: story(entries, lead, &names),
            story_complete: known.whole,
            content: content(known, &names),
            campaigns: campaigns(known, &names),
            feedback: feedback(known, &names),
            similar_won: known
                .similar
                .iter()
                .map(|(similar, lead)| similar_won(similar, lead, &names))
                .collect(),
            score: format!(
                "{} (fit {}, engagement {})",
                explanation.score.label, explanation.score.fit, explanation.score.engagement
            ),
            score_because: lines
                .iter()
                .take(6)
                .map(|line| format!("{:+} {}", line.points, line.because))
                .collect(),
            standing: standing(lead, &names),
            consent: consent(lead),
            as_of: sentence::moment(*now),
        }
    }
}

fn attribute(lead: &Lead, name: &str) -> Option<String> {
    let found = lead.attributes.iter().find(|(known, _)| known.as_str() == name);
    found.map(|(_, attribute)| attribute.value.to_string()).filter(|text| !text.trim().is_empty())
}

fn name(lead: &Lead) -> Option<String> {
    attribute(lead, "full_name").or_else(|| attribute(lead, "name")).or_else(|| {
        let parts: Vec<String> =
            ["first_name", "last_name"].iter().filter_map(|name| attribute(lead, name)).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    })
}

fn who(lead: &Lead) -> Who {
    let phone = lead.phone().map(|phone| phone.as_str().to_owned());
    Who {
        name: name(lead),
        job_title: attribute(lead, "job_title"),
        company: lead.company.name.clone().or(lead.company.domain.clone()),
        country: attribute(lead, domain::attribute::COUNTRY),
        reach: lead.email().map(|email| email.as_str().to_owned()).into_iter().chain(phone).collect(),
    }
}

fn next(step: &NextStep) -> Next {
    Next {
        action: step.action.as_str(),
        says: step.says.clone(),
        because: step.because.clone(),
        at: step.at.map(|at| at.to_string()),
        mind: step.mind.clone(),
    }
}

/// Counts the score of earlier days from the facts, under the lead's playbook.
fn trend(known: &Known) -> Option<Trend> {
    if !known.whole {
        return None;
    }
    let today = known.now.day();
    let facts = facts_of(known.entries.iter().rev().cloned());
    let days = TREND_DAYS.iter().copied().max().unwrap_or(0);
    let all: Vec<(Day, Score)> = labels(&known.lead.id, &facts, &known.playbook, today.plus(-days), today);
    let now = score(&known.playbook, &known.lead.view(today));
    let sum = |score: &Score| i32::from(score.fit) + i32::from(score.engagement);
    let points: Vec<TrendPoint> = TREND_DAYS
        .iter()
        .map(|days_ago| {
            let then =
                all.iter().rev().find(|(day, _)| *day <= today.plus(-days_ago)).map(|(_, score)| score);
            TrendPoint {
                days_ago: *days_ago,
                score: then.map(wire::score_json),
                change: then.map(|then| sum(&now) - sum(then)),
            }
        })
        .collect();
    let week = points.first().and_then(|point| point.change);
    let direction = match week {
        Some(0) => "steady",
        Some(..0) => "falling",
        // Whoever was not known a week ago came since.
        _ => "rising",
    };
    Some(Trend { direction, points })
}

fn story(entries: &[Entry], lead: &Lead, names: &Names<'_>) -> Vec<StoryLine> {
    let told = sentence::story(entries, &lead.withdrawn, names).into_iter();
    told.map(|line| StoryLine {
        on: line.on.to_string(),
        times: line.times,
        says: line.says,
        then: line.then,
        withdrawn: line.withdrawn,
        entries: line.entries,
    })
    .collect()
}

fn said(judged: &domain::persona::card::Judged<'_>) -> Said {
    Said {
        text: judged.statement.text.clone(),
        verdict: judged.verdict.as_str(),
        says: judged.verdict.says(),
    }
}

fn is_withdrawn(entry: &Entry, lead: &Lead) -> bool {
    DeliveryId::parse(&entry.id).is_some_and(|id| lead.withdrawn.contains(&id))
}

/// Gives what to talk about: what they said themselves, then what their persona cares about.
fn talk(known: &Known, names: &Names<'_>, card: Option<&Card<'_>>) -> Vec<TalkingPoint> {
    let own = known.entries.iter().filter(|entry| !is_withdrawn(entry, &known.lead)).filter_map(|entry| {
        let Fact::MarketingFeedback { said, .. } = &entry.fact else { return None };
        said.quote.as_ref()?;
        Some(TalkingPoint {
            how: "Come back to what they said",
            text: sentence::of_fact(&entry.fact, names),
            because: format!("on {}", sentence::date(entry.at.day())),
        })
    });
    let point = |point: &Point<'_>| {
        let rests = point.judged.verdict.says();
        let because = match point.quote {
            Some(quote) => format!("{rests}: “{}”", sentence::said(quote)),
            None => rests.to_owned(),
        };
        TalkingPoint { how: point.how, text: point.judged.statement.text.clone(), because }
    };
    let persona = card.map(|card| points(card).iter().map(point).collect::<Vec<_>>()).unwrap_or_default();
    own.take(MOST_QUOTES).chain(persona).collect()
}

fn had_by(by: HadBy) -> &'static str {
    match by {
        HadBy::Own => "they opened, read or downloaded it",
        HadBy::Mail => "a mail with it was sent",
        HadBy::Form => "a form told of it",
        HadBy::MailAndForm => "a mail with it was sent, and a form told of it",
    }
}

fn content(known: &Known, names: &Names<'_>) -> Vec<ContentHad> {
    let one = |id: &Slug| {
        let about: Vec<Entry> = known
            .entries
            .iter()
            .filter(|entry| match &entry.fact {
                Fact::Activity(activity) => content_of(activity).as_ref() == Some(id),
                Fact::Captured(capture) => {
                    capture.activity.as_ref().and_then(content_of).as_ref() == Some(id)
                }
                Fact::MarketingFeedback { said, .. } => said.content.as_deref() == Some(id.as_str()),
                _ => false,
            })
            .filter(|entry| !is_withdrawn(entry, &known.lead))
            .cloned()
            .collect();
        sentence::story(&about, &[], names).into_iter().map(|line| line.says).collect()
    };
    let mut all: Vec<_> = known.lead.content.iter().collect();
    all.sort_by_key(|(id, had)| (std::cmp::Reverse(had.on), (*id).clone()));
    all.into_iter()
        .map(|(id, had)| {
            let content: Option<&Content> = known.contents.get(id);
            ContentHad {
                content_id: id.to_string(),
                on: had.on.to_string(),
                title: content.map(|content| content.title.clone()),
                url: content.map(|content| content.url.clone()),
                had_by: had_by(had.by),
                reaction: one(id),
            }
        })
        .collect()
}

fn campaigns(known: &Known, names: &Names<'_>) -> Vec<CampaignTouched> {
    let mut all: BTreeMap<Option<String>, CampaignTouched> = BTreeMap::new();
    for (touch, times) in known.lead.touches.all() {
        let at = touch.at.to_string();
        let entry = all.entry(touch.campaign.clone()).or_insert_with(|| CampaignTouched {
            campaign: touch.campaign.clone(),
            name: touch.campaign.as_ref().and_then(|id| known.campaigns.get(id).cloned()),
            channel: touch.channel.clone(),
            touches: 0,
            first_at: at.clone(),
            last_at: at.clone(),
            said: Vec::new(),
        });
        entry.touches = entry.touches.saturating_add(times);
        entry.last_at = at;
    }
    for entry in known.entries.iter().filter(|entry| !is_withdrawn(entry, &known.lead)) {
        if let Fact::MarketingFeedback { said, .. } = &entry.fact
            && said.campaign.is_some()
            && let Some(campaign) = all.get_mut(&said.campaign)
        {
            campaign.said.push(sentence::of_fact(&entry.fact, names));
        }
    }
    let mut all: Vec<CampaignTouched> = all.into_values().collect();
    all.sort_by(|one, other| other.last_at.cmp(&one.last_at));
    all
}

fn feedback(known: &Known, names: &Names<'_>) -> Vec<FeedbackTold> {
    let reported = known.entries.iter().filter(|entry| {
        matches!(entry.fact, Fact::Sales { .. } | Fact::FollowUp { .. } | Fact::MarketingFeedback { .. })
    });
    reported
        .map(|entry| FeedbackTold {
            entry: entry.id.clone(),
            at: entry.at.to_string(),
            kind: entry.fact.kind().to_owned(),
            says: sentence::of_fact(&entry.fact, names),
            withdrawn: is_withdrawn(entry, &known.lead),
        })
        .collect()
}

fn similar_won(similar: &Similar, lead: &Lead, names: &Names<'_>) -> SimilarWon {
    let standing = lead.standing();
    let won = standing.deals.iter().filter(|deal| deal.state == DealState::Won);
    let company = lead.company.name.clone().or(lead.company.domain.clone());
    let shown = |name: &Trait, value: &str| match name {
        Trait::Persona => {
            names.playbook.persona(value).map_or(value.to_owned(), |persona| persona.name.clone())
        }
        _ => value.to_owned(),
    };
    let alike: Vec<String> = similar
        .shared
        .iter()
        .map(|(name, value)| format!("{} {}", sentence::said(name.as_str()), shown(name, value)))
        .collect();
    let says = format!(
        "{} was won on {} and shares {}",
        company.as_deref().unwrap_or("A lead"),
        sentence::date(similar.won.at.day()),
        alike.join(", ")
    );
    SimilarWon {
        lead_id: similar.won.lead.to_string(),
        company,
        won_at: similar.won.at.to_string(),
        amounts: won.filter_map(|deal| deal.amount.as_ref().map(wire::money_json)).collect(),
        shared: similar.shared.iter().map(|(n, v)| Shared { name: n.as_str(), value: v.clone() }).collect(),
        says,
    }
}

fn standing(lead: &Lead, names: &Names<'_>) -> String {
    let stage = sentence::said(lead.stage.as_str());
    let since = sentence::date(lead.stage_since.day());
    let owner =
        lead.person.as_ref().map(|person| names.people.get(person).map_or(person.as_str(), String::as_str));
    let owner =
        owner.map_or_else(|| format!("with {}", lead.team().as_str()), |owner| format!("with {owner}"));
    let cycle = if lead.cycle > 1 { format!(", cycle {}", lead.cycle) } else { String::new() };
    format!("{stage} since {since}, {owner}{cycle}")
}

fn consent(lead: &Lead) -> String {
    let one = |(word, purpose): &(&'static str, Purpose)| {
        let status = lead.consents.status(*purpose).map_or("not asked", ConsentStatus::as_str);
        format!("{}: {status}", sentence::said(word))
    };
    let mut all: Vec<String> = Purpose::WORDS.iter().map(one).collect();
    all.extend(lead.suppressed.map(|reason| format!("nobody may write to the address: {}", reason.as_str())));
    all.join(", ")
}
