//! What the playbook's document says of nurturing: what holds for all mails to leads, and the programs.

use super::FeedbackReason;
use super::conditions::Names;
use super::promises::reason;
use super::read::{items, title};
use super::territories::PRIORITY;
use crate::calendar::Week;
use crate::condition::Level;
use crate::identity::{Email, Slug};
use crate::nurture::enrol::place;
use crate::nurture::{MOST_A_WEEK, Nurturing, Pieces, Program, Sunset, Track, WhenExhausted, Whose};
use crate::reader::{Node, Object};
use crate::stage::Step;
use crate::time::Day;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The hours of a playbook that says nothing of them.
pub(super) fn usual_hours() -> serde_json::Value {
    let day = "09:00-17:00";
    json!({"monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day})
}

/// How many mails a week a lead gets at most, where nothing is said.
pub(super) const MOST_PER_WEEK: u16 = 2;
/// How many days lie between two mails of a program that says nothing of it.
pub(super) const GAP_DAYS: u16 = 7;
/// How many days a program that says nothing of it waits with the first mail.
pub(super) const FIRST_AFTER_DAYS: u16 = 1;
/// How many days after the last try a lead rests, where nothing is said.
pub(super) const WAIT_DAYS: u16 = 14;
/// The longest postal address, in characters.
const POSTAL: usize = 300;
/// The longest address of a site, in characters.
const SITE: usize = 200;
/// The most days on which no mail goes.
const MOST_HOLIDAYS: usize = 500;
/// The most pieces of a fixed order.
const MOST_PIECES: usize = 200;

fn days(object: &Object<'_>, key: &'static str, least: i64, usual: u16) -> Option<u16> {
    match object.optional(key) {
        Some(node) => node.integer(least, 3_650).and_then(|n| u16::try_from(n).ok()),
        None => Some(usual),
    }
}

fn hours(object: &Object<'_>) -> Option<Option<Week>> {
    object.optional("hours").map_or(Some(None), |node| Week::read(&node).map(Some))
}

/// Reads what holds for all programs, which need it.
pub(super) fn nurturing(object: &Object<'_>) -> Option<Nurturing> {
    let usual = Nurturing {
        postal_address: None,
        reply_to: None,
        site: None,
        hours: Week::of(&usual_hours()).unwrap_or_default(),
        holidays: BTreeSet::new(),
        most_per_week: MOST_PER_WEEK,
        opens: Track::WithConsent,
        clicks: Track::Always,
        sunset: None,
    };
    let node = match object.has("programs") {
        true => Some(object.required("nurture")?),
        false => object.optional("nurture"),
    };
    let Some(node) = node else { return Some(usual) };
    let nurture = node.object()?;
    let postal = nurture.required("postal_address").and_then(|node| node.text(POSTAL).map(str::to_owned));
    let reply_to = nurture
        .optional("reply_to")
        .map(|node| node.parsed(Email::parse).map(|email| email.as_str().to_owned()));
    let site = nurture.optional("site").map(|node| node.parsed(site));
    let hours = hours(&nurture);
    let listed = nurture.optional("holidays");
    let holidays = listed.as_ref().and_then(Node::list).unwrap_or_default();
    if let Some(node) = listed.filter(|_| holidays.len() > MOST_HOLIDAYS) {
        node.fault(format!("has {} days; expected at most {MOST_HOLIDAYS}", holidays.len()));
    }
    let day =
        |text: &str| Day::parse(text).ok_or("is no day of the calendar; expected one such as 2026-12-25");
    let holidays = holidays.iter().filter_map(|node| node.parsed(day)).collect();
    let most = match nurture.optional("most_per_week") {
        Some(node) => {
            let most = i64::try_from(MOST_A_WEEK).unwrap_or(i64::MAX);
            node.integer(1, most).and_then(|n| u16::try_from(n).ok())
        }
        None => Some(MOST_PER_WEEK),
    };
    let track = |key: &'static str, usual: Track| {
        nurture.optional(key).map_or(Some(usual), |node| node.one_of(Track::WORDS))
    };
    let (opens, clicks) = (track("track_opens", usual.opens), track("track_clicks", usual.clicks));
    let sunset = nurture.optional("sunset").map(|node| sunset(&node));
    nurture.finish();
    Some(Nurturing {
        postal_address: Some(postal?),
        reply_to: reply_to.map_or(Some(None), |email| email.map(Some))?,
        site: site.map_or(Some(None), |site| site.map(Some))?,
        hours: hours?.unwrap_or(usual.hours),
        holidays,
        most_per_week: most?,
        opens: opens?,
        clicks: clicks?,
        sunset: sunset.map_or(Some(None), |sunset| sunset.map(Some))?,
    })
}

/// Reads the address of a site, without a slash at its end.
fn site(text: &str) -> Result<String, &'static str> {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"\\^`{|}@?#".contains(c));
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    if clean && host.is_some_and(|host| !host.is_empty()) && text.chars().count() <= SITE {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("is no address of a site; expected one such as https://www.company.example")
    }
}

fn sunset(node: &Node<'_>) -> Option<Sunset> {
    let object = node.object()?;
    let after = object.required("after_mails").and_then(|node| node.integer(1, 1_000));
    let template = object.optional("template").map(|node| node.parsed(Slug::parse));
    let wait_days = days(&object, "wait_days", 1, WAIT_DAYS);
    object.finish();
    Some(Sunset {
        after_mails: u16::try_from(after?).ok()?,
        template: template.map_or(Some(None), |id| id.map(Some))?,
        wait_days: wait_days?,
    })
}

/// Reads the programs, the first by place first.
pub(super) fn programs(
    object: &Object<'_>,
    names: &Names<'_>,
    reasons: &BTreeMap<Step, Vec<FeedbackReason>>,
) -> Vec<Program> {
    let mut programs = Vec::new();
    items(object, "programs", &mut BTreeSet::new(), |item, id| {
        programs.extend(program(item, id, names, reasons));
    });
    programs.sort_by(|a, b| place(a).cmp(&place(b)));
    programs
}

fn program(
    item: &Object<'_>,
    id: Slug,
    names: &Names<'_>,
    reasons: &BTreeMap<Step, Vec<FeedbackReason>>,
) -> Option<Program> {
    let title = title(item, &id);
    let small = |key: &'static str, most: i64, usual: u16| match item.optional(key) {
        Some(node) => node.integer(0, most).and_then(|n| u16::try_from(n).ok()),
        None => Some(usual),
    };
    let priority = small("priority", 10_000, PRIORITY);
    let whose = item.optional("for").map_or(Some(Whose::Marketing), |node| node.one_of(Whose::WORDS));
    let condition = |node: &Node<'_>| names.condition(node, Level::Segments);
    let audience = item.required("audience").and_then(|node| condition(&node));
    let given_back = item.optional("given_back_for").map(|node| {
        if node.value().as_array().is_some_and(Vec::is_empty) {
            node.fault("is an empty list; expected at least one reason");
        }
        node.list_or_one().iter().filter_map(|node| reason(node, reasons)).collect()
    });
    let (goal, exit) = (item.optional("goal"), item.optional("exit"));
    let (goal, exit) = (goal.map(|node| condition(&node)), exit.map(|node| condition(&node)));
    let pieces = item.optional("content").map_or(Some(Pieces::BestNext), |node| pieces(&node));
    let template = item.optional("template").map(|node| node.parsed(Slug::parse));
    let first_after_days = days(item, "first_after_days", 0, FIRST_AFTER_DAYS);
    let gap_days = days(item, "gap_days", 1, GAP_DAYS);
    let hours = hours(item);
    let again = item.optional("again_after_days").map(|node| node.integer(1, 3_650));
    let exhausted = item.optional("exhausted");
    let exhausted = exhausted.map_or(Some(WhenExhausted::Tell), |node| node.one_of(WhenExhausted::WORDS));
    let holdout = small("holdout_percent", 90, 0);
    Some(Program {
        id,
        title,
        priority: priority?,
        whose: whose?,
        audience: audience?,
        given_back_for: given_back.unwrap_or_default(),
        goal: goal.map_or(Some(None), |goal| goal.map(Some))?,
        exit: exit.map_or(Some(None), |exit| exit.map(Some))?,
        pieces: pieces?,
        template: template.map_or(Some(None), |id| id.map(Some))?,
        first_after_days: first_after_days?,
        gap_days: gap_days?,
        hours: hours?,
        again_after_days: again.map_or(Some(None), |n| n.map(|n| u16::try_from(n).ok()))?,
        exhausted: exhausted?,
        holdout_percent: u8::try_from(holdout?).ok()?,
    })
}

fn pieces(node: &Node<'_>) -> Option<Pieces> {
    if node.value() == "best_next" {
        return Some(Pieces::BestNext);
    }
    if node.value().is_string() {
        node.fault("is not known; expected best_next or a list of ids of content");
        return None;
    }
    let list = node.list()?;
    if !(1..=MOST_PIECES).contains(&list.len()) {
        node.fault(format!("has {} pieces; expected 1 to {MOST_PIECES}", list.len()));
    }
    let mut pieces: Vec<Slug> = Vec::new();
    for node in list {
        let Some(id) = node.parsed(Slug::parse) else { continue };
        if pieces.contains(&id) {
            node.fault(format!("\"{id}\" is used twice; a lead gets a piece once"));
        }
        pieces.push(id);
    }
    Some(Pieces::InOrder(pieces))
}
