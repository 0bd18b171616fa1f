//! What happened to a lead, in sentences that people read: the one place in which facts and effects become words.
//!
//! A sentence leaves out the lead itself, whom all of them are about: "Viewed the pricing page". What somebody in sales did
//! begins with who: "Anna Example took the lead". Every kind of fact and of effect has its arm here, without a wildcard, so
//! that a new kind does not compile until somebody has said what it is called.
//!
//! What a sentence quotes was written by others. It is a text, and no page: whoever shows it makes it harmless there.

use crate::activity::{Activity, content_of};
use crate::attribute::AttributeValue;
use crate::change::{Capture, Effect, Entry, Fact, MarketingFeedback};
use crate::consent::{ConsentFact, ConsentStatus, Purpose};
use crate::identity::Slug;
use crate::machine::rule_of;
use crate::nurture::Exit;
use crate::playbook::Playbook;
use crate::routing::Rule;
use crate::sales::{DeliveryId, Move};
use crate::time::{Day, Timestamp};
use std::collections::BTreeMap;

/// The longest piece of somebody's words within a sentence, in characters.
const LONGEST_QUOTE: usize = 300;

/// What things are called, so that sentences need not speak of ids. What has no name is called by its id.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Knows the titles of signals, reasons, personas, segments and forms.
    pub playbook: &'a Playbook,
    /// The titles of content.
    pub content: &'a BTreeMap<Slug, String>,
    /// The names of people.
    pub people: &'a BTreeMap<Slug, String>,
}

impl Names<'_> {
    fn person<'a>(&'a self, id: &'a Slug) -> &'a str {
        self.people.get(id).map_or(id.as_str(), String::as_str)
    }

    fn content<'a>(&'a self, id: &'a Slug) -> &'a str {
        self.content.get(id).map_or(id.as_str(), String::as_str)
    }

    fn persona<'a>(&'a self, id: &'a Slug) -> &'a str {
        self.playbook.persona(id.as_str()).map_or(id.as_str(), |persona| &persona.name)
    }

    fn segment<'a>(&'a self, id: &'a Slug) -> &'a str {
        self.playbook.segment(id.as_str()).map_or(id.as_str(), |segment| &segment.title)
    }

    fn program<'a>(&'a self, id: &'a Slug) -> &'a str {
        self.playbook.program(id.as_str()).map_or(id.as_str(), |program| &program.title)
    }

    fn territory<'a>(&'a self, id: &'a Slug) -> &'a str {
        let known = self.playbook.territories.iter().find(|territory| territory.id == *id);
        known.map_or(id.as_str(), |territory| &territory.title)
    }

    /// Gives the title of a reason that sales gave.
    fn reason<'a>(&'a self, what: &'a Move) -> Option<&'a str> {
        let given = what.reason()?;
        let known = self.playbook.reasons.get(&what.step()).into_iter().flatten();
        Some(known.clone().find(|reason| reason.id.as_str() == given).map_or(given, |reason| &reason.title))
    }
}

/// Says what a fact is.
#[must_use]
pub fn of_fact(fact: &Fact, names: &Names<'_>) -> String {
    match fact {
        Fact::Captured(capture) => captured(capture, names),
        Fact::Activity(activity) => did(activity, "", names),
        Fact::Sales { what, by, note } => with_note(moved(what, by.as_ref(), names), note.as_deref()),
        Fact::FollowUp { channel, result, by, note } => {
            let result = result.as_deref().map(|result| format!(": {}", said(result))).unwrap_or_default();
            let text = format!("{} followed up by {}{result}", who(by.as_ref(), names), said(channel));
            with_note(text, note.as_deref())
        }
        Fact::MarketingFeedback { said, by, note } => {
            with_note(heard(said, by.as_ref(), names), note.as_deref())
        }
        Fact::Consent(consent) => consented(consent),
        Fact::Withdrawn { note, .. } => {
            with_note("An earlier entry was taken back".to_owned(), note.as_deref())
        }
        Fact::NurturePaused { until: Some(until), by, note } => {
            let text = format!("{} asked for no mails until {}", who(by.as_ref(), names), moment(*until));
            with_note(text, note.as_deref())
        }
        Fact::NurturePaused { until: None, by, note } => {
            with_note(format!("{} let mails go on", who(by.as_ref(), names)), note.as_deref())
        }
        Fact::Reviewed => "Time passed, or another playbook came".to_owned(),
    }
}

/// Says what a fact changed.
#[must_use]
pub fn of_effect(effect: &Effect, names: &Names<'_>) -> String {
    match effect {
        Effect::Created => "Became known to us".to_owned(),
        Effect::IdentityAdded { kind } => {
            format!(
                "Is now known by {} too",
                match kind.as_str() {
                    "email" => "another e-mail address",
                    "phone" => "another phone number",
                    "external" => "an id in another system",
                    "anonymous" => "another browser",
                    other => other,
                }
            )
        }
        Effect::PossibleDuplicate { lead } => format!("May be the same person as lead {lead}"),
        Effect::AttributeChanged { name, old, new } => {
            let from = old.as_ref().map(|old| format!(", before: {}", short(&old.to_string())));
            let (name, new) = (capital(&said(name.as_str())), short(&new.to_string()));
            format!("{name} is {new}{}", from.unwrap_or_default())
        }
        Effect::AttributeProposed { name, value } => {
            format!("{} may be {}", capital(&said(name.as_str())), short(&value.to_string()))
        }
        Effect::ConsentChanged { purpose, status } => {
            format!("Consent to {} is {}", purpose_words(*purpose), status.as_str())
        }
        Effect::ScoreChanged { old, new } => match old {
            Some(old) => format!("Score went from {} to {}", points(old), points(new)),
            None => format!("Score is {}", points(new)),
        },
        Effect::StageChanged { from, to, .. } => {
            format!("Moved from {} to {}", said(from.as_str()), said(to.as_str()))
        }
        Effect::HandedOff { to, territory, promise_due_at } => {
            let of = territory.as_ref().map(|id| format!(" for {}", names.territory(id)));
            format!(
                "Was handed to {}{}, who promised an answer by {}",
                names.person(to),
                of.unwrap_or_default(),
                moment(*promise_due_at)
            )
        }
        Effect::Routed(routed) => {
            let why = match routed.rule {
                Rule::Qualifier => "who qualifies its territory",
                Rule::Deputy => "who answers for somebody who is not there",
                Rule::Manager => "who leads somebody who is not there",
                Rule::DefaultQualifier => "who qualifies what nobody else does",
                Rule::Turn => "whose turn it was",
                Rule::Company => "who has a lead of the same company",
                Rule::Named => "who was named",
            };
            let passed: Vec<String> = (routed.passed.iter())
                .map(|one| format!("{} ({})", names.person(&one.person), said(one.because.as_str())))
                .collect();
            let over =
                if passed.is_empty() { String::new() } else { format!(", past {}", passed.join(", ")) };
            format!("Went to {}, {why}{over}", names.person(&routed.to))
        }
        Effect::PromiseDueSoon { owner, due_at } => {
            format!("{} was reminded of the answer promised by {}", names.person(owner), moment(*due_at))
        }
        Effect::PromiseBroken { owner, to: Some((to, due_at)) } => format!(
            "{} let the promised answer pass, and {} has it now, who is to answer by {}",
            names.person(owner),
            names.person(to),
            moment(*due_at)
        ),
        Effect::PromiseBroken { owner, to: None } => {
            format!("{} let the promised answer pass", names.person(owner))
        }
        Effect::Held { owner } => format!("Is ready, and waits until {} has room", names.person(owner)),
        Effect::PersonaChanged { to: Some(to), .. } => format!("Mirrors {}", names.persona(to)),
        Effect::PersonaChanged { to: None, .. } => "Mirrors no persona any more".to_owned(),
        Effect::PhaseChanged { to: Some(to), .. } => format!("Is in the phase {}", to),
        Effect::PhaseChanged { to: None, .. } => "Is in no phase any more".to_owned(),
        Effect::SegmentEntered { segment, .. } => format!("Came into the segment {}", names.segment(segment)),
        Effect::SegmentLeft { segment, .. } => format!("Left the segment {}", names.segment(segment)),
        Effect::ProgramEntered { program, held_out, over, given_back, .. } => {
            let over: Vec<&str> = over.iter().map(|other| names.program(other)).collect();
            let over = if over.is_empty() {
                String::new()
            } else {
                format!(", which comes before {}", over.join(", "))
            };
            let back = given_back.as_deref().map(|reason| format!("; sales gave it back: {}", said(reason)));
            let how = if *held_out { "Is held out of the program" } else { "Came into the program" };
            format!("{how} {}{over}{}", names.program(program), back.unwrap_or_default())
        }
        Effect::ProgramLeft { program, exit, .. } => {
            let why = match exit {
                Exit::Goal => "its goal is reached",
                Exit::Stage => "it went on in the funnel",
                Exit::Permission => "it may not be written to",
                Exit::Condition => "what ends the program came true",
                Exit::Audience => "it is no longer in the audience",
                Exit::Another => "another program comes first",
                Exit::Exhausted => "nothing was left to send",
                Exit::Silent => "it reacted to nothing",
                Exit::Retired => "the playbook no longer has it",
            };
            format!("Left the program {}: {why}", names.program(program))
        }
        Effect::ContentExhausted { program } => {
            format!("Nothing is left to send in the program {}", names.program(program))
        }
        Effect::Impossible { step, stage } => {
            format!(
                "“{}” makes no sense for a lead in {}, and was passed over",
                said(step.as_str()),
                said(stage.as_str())
            )
        }
        Effect::PlaybookChanged { from, to } => {
            format!("Is judged by version {to} of the playbook, before by {from}")
        }
    }
}

/// Tells whether an effect belongs into a story; the others are numbers and bookkeeping.
const fn matters(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Created
            | Effect::StageChanged { .. }
            | Effect::HandedOff { .. }
            | Effect::Routed(_)
            | Effect::PromiseDueSoon { .. }
            | Effect::PromiseBroken { .. }
            | Effect::Held { .. }
            | Effect::Impossible { .. }
            | Effect::ConsentChanged { .. }
            | Effect::ProgramEntered { .. }
            | Effect::ProgramLeft { .. }
            | Effect::ContentExhausted { .. }
    )
}

/// A line of a lead's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// On which day.
    pub on: Day,
    /// How often.
    pub times: usize,
    /// What happened, with how often and when.
    pub says: String,
    /// What it changed, where that matters.
    pub then: Vec<String>,
    /// The ids of the entries of the timeline that it tells of.
    pub entries: Vec<String>,
    /// Whether it was taken back later.
    pub withdrawn: bool,
}

/// Tells what happened, in the order of the entries; what happened alike on one day is one line. Of what time alone did,
/// only what matters is told.
#[must_use]
pub fn story(entries: &[Entry], withdrawn: &[DeliveryId], names: &Names<'_>) -> Vec<Told> {
    let mut told: Vec<(String, Told)> = Vec::new();
    for entry in entries {
        let mut then: Vec<String> =
            entry.effects.iter().filter(|e| matters(e)).map(|effect| of_effect(effect, names)).collect();
        if matches!(entry.fact, Fact::Reviewed) && then.is_empty() {
            continue;
        }
        let what = of_fact(&entry.fact, names);
        let taken_back = DeliveryId::parse(&entry.id).is_some_and(|id| withdrawn.contains(&id));
        let on = entry.at.day();
        let own = matches!(entry.fact, Fact::Activity(_) | Fact::Captured(_));
        let alike = told
            .iter_mut()
            .find(|(known, line)| own && line.on == on && *known == what && line.withdrawn == taken_back);
        match alike {
            Some((_, line)) => {
                line.times += 1;
                then.retain(|says| !line.then.contains(says));
                line.then.append(&mut then);
                line.entries.push(entry.id.clone());
            }
            None => {
                let line = Told {
                    on,
                    times: 1,
                    says: String::new(),
                    then,
                    entries: vec![entry.id.clone()],
                    withdrawn: taken_back,
                };
                told.push((what, line));
            }
        }
    }
    let says = |(what, line): (String, Told)| {
        let often = match line.times {
            1 => String::new(),
            2 => " twice".to_owned(),
            n => format!(" {n} times"),
        };
        let back = if line.withdrawn { " (taken back later)" } else { "" };
        Told { says: format!("{what}{often} on {}{back}", date(line.on)), ..line }
    };
    told.into_iter().map(says).collect()
}

/// Writes a day as people say it, such as 3 March 2026.
#[must_use]
pub fn date(day: Day) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let text = day.to_string();
    let mut parts = text.rsplit('-');
    let (Some(date), Some(month), Some(year)) = (parts.next(), parts.next(), parts.next()) else {
        return text;
    };
    let month = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match month {
        Some(month) => format!("{} {month} {year}", date.trim_start_matches('0')),
        None => text,
    }
}

/// Writes a moment as people say it, in UTC.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let time: String = text.split('T').nth(1).unwrap_or_default().chars().take(5).collect();
    format!("{time} UTC on {}", date(at.day()))
}

/// Says a word of the API as people do.
#[must_use]
pub fn said(word: &str) -> String {
    short(&word.replace('_', " "))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Keeps a text in its line, and cuts it off where it is long.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_QUOTE {
        return line;
    }
    line.chars().take(LONGEST_QUOTE).chain(['…']).collect()
}

fn quoted(text: &str) -> String {
    format!("“{}”", short(text))
}

fn with_note(text: String, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{text}. {}", quoted(note)),
        None => text,
    }
}

fn points(score: &crate::score::Score) -> String {
    format!("{} (fit {}, engagement {})", score.label, score.fit, score.engagement)
}

fn purpose_words(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Marketing => "marketing by mail",
        Purpose::Tracking => "tracking",
        Purpose::AdAudience => "advertisers' audiences",
        Purpose::Phone => "calls",
    }
}

fn who(by: Option<&Slug>, names: &Names<'_>) -> String {
    by.map_or_else(|| "Sales".to_owned(), |by| names.person(by).to_owned())
}

fn text_of<'a>(activity: &'a Activity, name: &str) -> Option<&'a str> {
    match activity.properties.get(name) {
        Some(AttributeValue::Text(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

/// Gives what an activity is about: a title, else the piece of content, the campaign or the form.
fn about(activity: &Activity, names: &Names<'_>) -> Option<String> {
    let content = content_of(activity).map(|id| names.content(&id).to_owned());
    let named = ["title", "subject", "name", "webinar", "form", "campaign"];
    content
        .or_else(|| named.iter().find_map(|name| text_of(activity, name)).map(short))
        .map(|text| quoted(&text))
}

/// Gives the page that an activity names: "the pricing page", or its path where that has more parts than one.
fn page(activity: &Activity) -> String {
    let path = text_of(activity, "path").or_else(|| text_of(activity, "url"));
    let Some(path) = path else { return "a page".to_owned() };
    let bare = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match bare {
        "" => "the home page".to_owned(),
        one if one.chars().all(plain) && one.len() <= 40 => {
            format!("the {} page", one.replace(['-', '_'], " "))
        }
        _ => format!("the page {}", short(path)),
    }
}

/// Says what somebody did, with where they came from and what they wrote.
fn did(activity: &Activity, from: &str, names: &Names<'_>) -> String {
    let wrote = ["message", "question", "comment"].iter().find_map(|name| text_of(activity, name));
    let machine = rule_of(activity).map(|rule| format!(", by a machine ({})", rule.as_str()));
    with_note(doing(activity, names) + from + &machine.unwrap_or_default(), wrote)
}

fn doing(activity: &Activity, names: &Names<'_>) -> String {
    let with = |verb: &str, otherwise: &str| match about(activity, names) {
        Some(about) => format!("{verb} {about}"),
        None => format!("{verb} {otherwise}"),
    };
    let mail = |what: &str| match about(activity, names) {
        Some(about) => format!("{what} the mail {about}"),
        None => format!("{what} a mail"),
    };
    match activity.kind.as_str() {
        "page_viewed" => format!("Viewed {}", page(activity)),
        "content_downloaded" => with("Downloaded", "a document"),
        "form_submitted" => with("Filled in the form", "of a page"),
        "contact_requested" => "Asked to be contacted".to_owned(),
        "webinar_registered" => with("Registered for the webinar", "of ours"),
        "webinar_attended" => with("Attended the webinar", "of ours"),
        "email_sent" if text_of(activity, "purpose") == Some("opt_in") => {
            "Was asked by mail to confirm what it agreed to".to_owned()
        }
        "email_sent" => mail(match text_of(activity, "outcome") {
            Some("unknown") => "May have been sent, nobody knows,",
            _ => "Was sent",
        }),
        "email_delivered" => mail("Received"),
        "email_opened" => mail("Opened"),
        "email_clicked" => match about(activity, names) {
            Some(about) => format!("Clicked a link in the mail {about}"),
            None => "Clicked a link in a mail".to_owned(),
        },
        "email_bounced" => "A mail to them came back".to_owned(),
        "email_complained" => "Called a mail of ours spam".to_owned(),
        "unsubscribed" => "Unsubscribed".to_owned(),
        kind => {
            // A kind of the company's own is called what the playbook calls the signal that listens for it.
            let signal = names.playbook.signals_of(activity).next().map(|signal| signal.title.clone());
            let what = signal.unwrap_or_else(|| capital(&said(kind)));
            about(activity, names).map_or_else(|| what.clone(), |about| format!("{what}: {about}"))
        }
    }
}

fn captured(capture: &Capture, names: &Names<'_>) -> String {
    let from = capture.touch.as_ref().and_then(|touch| {
        let campaign = touch.campaign.as_deref().map(|campaign| format!("the campaign {}", quoted(campaign)));
        campaign.or_else(|| touch.channel.as_deref().map(said))
    });
    let from = from.map(|from| format!(", coming from {from}")).unwrap_or_default();
    match &capture.activity {
        Some(activity) => did(activity, &from, names),
        None if capture.customer => "Was entered as a customer".to_owned(),
        None if capture.responded => format!("Was entered as a lead{from}"),
        None => format!("Was entered as a contact{from}"),
    }
}

fn consented(consent: &ConsentFact) -> String {
    let purpose = purpose_words(consent.purpose);
    match consent.status {
        ConsentStatus::Pending => format!("Asked for {purpose}, not confirmed yet"),
        ConsentStatus::Confirmed => format!("Agreed to {purpose}"),
        ConsentStatus::Withdrawn => format!("Withdrew the consent to {purpose}"),
    }
}

fn heard(said: &MarketingFeedback, by: Option<&Slug>, names: &Names<'_>) -> String {
    let campaign = said.campaign.as_deref().map(|campaign| format!("the campaign {}", quoted(campaign)));
    let content = said.content.as_deref().map(|content| {
        let title = Slug::parse(content).ok().map(|id| names.content(&id).to_owned());
        quoted(title.as_deref().unwrap_or(content))
    });
    let about: Vec<String> = campaign.into_iter().chain(content).collect();
    let about = if about.is_empty() { "our marketing".to_owned() } else { about.join(" and ") };
    let like = match said.sentiment.as_deref() {
        Some("positive") => "something good",
        Some("negative") => "something bad",
        _ => "something",
    };
    let quote = said.quote.as_deref().map(|quote| format!(": {}", quoted(quote))).unwrap_or_default();
    format!("{} heard {like} about {about}{quote}", who(by, names))
}

fn moved(what: &Move, by: Option<&Slug>, names: &Names<'_>) -> String {
    let who = who(by, names);
    let because = names.reason(what).map(|reason| format!(": {}", short(reason))).unwrap_or_default();
    let deal = what.deal().map(|deal| format!("the deal {}", quoted(deal.id())));
    let worth = |amount: &Option<crate::money::Money>| {
        amount.as_ref().map(|money| format!(" worth {money} {}", money.currency)).unwrap_or_default()
    };
    match what {
        Move::MarketingQualified { owner, .. } => format!("Was handed to {}", names.person(owner)),
        Move::Accepted => format!("{who} took the lead"),
        Move::FollowedUp => format!("{who} followed up"),
        Move::PromiseDueSoon => "An answer that was promised was due soon".to_owned(),
        Move::PromiseBroken { .. } => "The promise of an answer was broken".to_owned(),
        Move::Rejected { .. } => format!("{who} gave the lead back{because}"),
        Move::NotReady { not_before, .. } => {
            let until = not_before.map(|at| format!(", not before {}", date(at.day()))).unwrap_or_default();
            format!("{who} found them not ready yet{because}{until}")
        }
        Move::Qualified => format!("{who} found them a real prospect"),
        Move::Assigned { to, .. } if by == Some(to) => format!("{who} took the lead over"),
        Move::Assigned { to, .. } => format!("{who} passed the lead on to {}", names.person(to)),
        Move::Opportunity { amount, .. } => {
            format!("{who} opened {}{}", deal.unwrap_or_default(), worth(amount))
        }
        Move::Won { amount, .. } => format!("{who} won {}{}", deal.unwrap_or_default(), worth(amount)),
        Move::Lost { .. } => {
            format!("{who} lost {}{because}", deal.unwrap_or_else(|| "the lead".to_owned()))
        }
        Move::Disqualified { .. } => format!("{who} found that they will never buy{because}"),
        Move::Churned => format!("{who} reported that they left us"),
    }
}
