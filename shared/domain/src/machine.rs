//! Opens and clicks that nobody did: security scanners follow the links of a mail, privacy proxies load its pictures.
//!
//! Each is told by a rule with a name ([`Rule`]), and the activity keeps the name in its property `machine` ([`MACHINE`]):
//! nothing is thrown away. Whether it counts is the playbook's to say (`machines.withhold`, [`Withhold`]): a withheld activity
//! gives no points, is no response, hands nobody over and is no reaction, and its hits are counted apart ([`Machines`]), so
//! that the explanation of a score can say which points were withheld, and by which rule. Taking a rule out of the playbook
//! gives them back: signals of mails then mean something else, have other keys, and are counted anew from the timeline as any
//! changed signal is.
//!
//! # Many links
//!
//! One rule cannot be told from a single request: two *different* links of one mail within [`WITHIN_MS`]. Its first click
//! looks like anybody's. So a lead remembers the latest clicks on its mails for a minute, and the click that gives the
//! machine away *names* those before it that it takes along (property [`ALSO`]). A fact thus says all that was found out with
//! it, and nothing has to be found out again:
//!
//! * the lead takes those hits back when the fact arrives;
//! * whoever counts from the timeline ([`crate::change::Recount`]) or plays facts again (`mark`) first reads what the facts
//!   name. So a ledger always equals the one counted anew, whatever the order in which facts arrived;
//! * of two clicks, the one that arrives later finds the other; so, within that minute, the same clicks are judged whatever
//!   their order.
//!
//! Points that were given can be taken back, a hand-over cannot. So what cannot be undone **waits** ([`Click::waits`]): a
//! click that may yet turn out to be a machine's gives its points at once, but makes nobody a lead, hands nobody over, is no
//! reaction and leaves the lead in its program until [`SETTLES_MS`] have passed and no other click came; then the lead's next
//! fact, or the review that is due for it, sees to all of that (`settle`).
//!
//! # What is believed of agents
//!
//! Short lists, of names that are published and that no person's program has. An open through Gmail's image proxy
//! (`GoogleImageProxy`) is a person's: it is loaded when the mail is looked at. Apple's and Gmail's prefetching is not: it
//! happens whether anybody looks or not, and names itself in a way that no mail program does.

use crate::activity::Activity;
use crate::attribute::AttributeValue;
use crate::change::nurture::MAIL;
use crate::change::{Fact, Incoming};
use crate::lead::Lead;
use crate::ledger::{Ledger, SignalKey};
use crate::playbook::{LeadWhen, Playbook, Signal};
use crate::sales::DeliveryId;
use crate::time::{MINUTE_MS, SECOND_MS, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The property of an activity that names the rule by which it is a machine's.
pub const MACHINE: &str = "machine";
/// The property of a click that names the clicks before it that were the same machine's: their deliveries.
pub const ALSO: &str = "machine_also";

/// Within how much time two different links of a mail are followed by a machine, in milliseconds.
pub const WITHIN_MS: i64 = 2 * SECOND_MS;
/// How soon after a mail was written nobody has read it yet, in milliseconds.
pub const TOO_SOON_MS: i64 = 10 * SECOND_MS;
/// After which time a click is a person's if no other came, in milliseconds: longer than a write is tried.
pub const SETTLES_MS: i64 = 20 * SECOND_MS;
/// For how long a lead remembers clicks, in milliseconds.
const KEPT_MS: i64 = MINUTE_MS;
/// The most clicks that a lead remembers; the latest ones.
const MOST_CLICKS: usize = 16;

/// By which an open or a click is a machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It asked for the headers only.
    Head,
    /// It says itself that it fetches ahead.
    Prefetch,
    /// It has the name of a scanner or a robot, or none.
    KnownAgent,
    /// A proxy loads the pictures of each mail, whether it is looked at or not.
    PrivacyProxy,
    /// The mail was only just written.
    TooSoon,
    /// Several different links of one mail were followed at once.
    ManyLinks,
}

impl Rule {
    /// Every rule with its word; the first that holds names an activity.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("head", Self::Head),
        ("prefetch", Self::Prefetch),
        ("known_agent", Self::KnownAgent),
        ("privacy_proxy", Self::PrivacyProxy),
        ("too_soon", Self::TooSoon),
        ("many_links", Self::ManyLinks),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, rule)| *rule == self).map_or("", |(word, _)| word)
    }
}

/// Which rules withhold what they find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withhold(pub BTreeSet<Rule>);

impl Default for Withhold {
    /// All of them.
    fn default() -> Self {
        Self(Rule::WORDS.iter().map(|(_, rule)| *rule).collect())
    }
}

/// Kinds that a machine may do.
const KINDS: &[&str] = &["email_clicked", "email_opened"];

/// Tells whether what a signal of such kinds means depends on which rules withhold.
#[must_use]
pub fn is_about(kinds: &[String]) -> bool {
    kinds.iter().any(|kind| KINDS.contains(&kind.as_str()))
}

/// Gives the rule by which an activity is a machine's.
#[must_use]
pub fn rule_of(activity: &Activity) -> Option<Rule> {
    let Some(AttributeValue::Text(word)) = activity.properties.get(MACHINE) else { return None };
    let known = Rule::WORDS.iter().find(|(known, _)| known == word);
    known.map(|(_, rule)| *rule).filter(|_| KINDS.contains(&activity.kind.as_str()))
}

/// Gives the key under which the withheld hits of a signal are counted, for each rule apart.
#[must_use]
pub fn withheld_key(signal: SignalKey, rule: Rule) -> SignalKey {
    let hash = Sha256::digest(format!("{} {}", signal.0, rule.as_str()).as_bytes());
    let mut bytes = hash.iter().copied();
    let mut next = || u32::from(bytes.next().unwrap_or_default());
    SignalKey(next() << 16 | next() << 8 | next())
}

// ---- What a request tells ----

/// Agents of scanners and robots, in lower case: the mail filters that sign their requests, and the names that programs
/// without a person have by themselves. Whose filter hides behind a browser's name is found by the other rules.
const AGENTS: &[&str] = &[
    // Mail security, as seen in published lists of senders' logs.
    "barracuda",
    "ciscosecureemail",
    "fortimail",
    "forcepoint",
    "ironport",
    "mailscanner",
    "messagelabs",
    "mimecast",
    "proofpoint",
    "safelinks",
    "safe links",
    "sophos",
    "symantec",
    "trendmicro",
    "urldefense",
    // Previews and robots name themselves with an address or as a bot.
    "bingpreview",
    "bot-linkexpanding",
    "bot/",
    "crawler",
    "facebookexternalhit",
    "spider",
    "whatsapp/",
    // Libraries and browsers without a screen.
    "apache-httpclient",
    "curl/",
    "go-http-client",
    "headlesschrome",
    "java/",
    "libwww-perl",
    "phantomjs",
    "python-requests",
    "python-urllib",
    "wget/",
];

/// How Apple's Mail Privacy Protection names itself: as nothing but this.
const APPLE_PROXY: &str = "Mozilla/5.0";
/// How the name ends by which Gmail fetches pictures before a mail is shown; its image proxy has another one.
const GMAIL_PREFETCH: &str = "Edge/12.246 Mozilla/5.0";

/// What a request for a pixel or a link tells of who made it.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// Whether it asked for the headers only.
    pub head: bool,
    /// Whether it is for the pixel.
    pub opens: bool,
    /// Its `User-Agent`.
    pub agent: Option<&'a str>,
    /// Its `Sec-Purpose`, `Purpose`, `X-Purpose` and `X-Moz`.
    pub purposes: Vec<&'a str>,
    /// How long ago the mail was written, in milliseconds.
    pub age_ms: i64,
}

impl Request<'_> {
    /// Gives the rule by which it is a machine's, as far as one request tells.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        let agent = self.agent.unwrap_or_default().trim();
        let lower = agent.to_ascii_lowercase();
        let ahead = |purpose: &&str| {
            let purpose = purpose.to_ascii_lowercase();
            ["prefetch", "prerender", "preview"].iter().any(|word| purpose.contains(word))
        };
        if self.head {
            Some(Rule::Head)
        } else if self.purposes.iter().any(ahead) {
            Some(Rule::Prefetch)
        } else if lower.is_empty() || AGENTS.iter().any(|known| lower.contains(known)) {
            Some(Rule::KnownAgent)
        } else if self.opens && (agent == APPLE_PROXY || agent.ends_with(GMAIL_PREFETCH)) {
            Some(Rule::PrivacyProxy)
        } else if self.age_ms < TOO_SOON_MS {
            Some(Rule::TooSoon)
        } else {
            None
        }
    }
}

// ---- What several clicks tell ----

/// A click on a link of a mail, as a lead remembers it for a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Click {
    /// When.
    pub at: Timestamp,
    /// Which delivery told of it.
    pub id: DeliveryId,
    /// The number of the mail.
    pub message: u32,
    /// Stands for the link.
    pub link: u32,
    /// Whether it is known to be a machine's.
    pub machine: bool,
    /// Whether what cannot be undone waits until it is settled.
    pub waits: bool,
    /// The signals that it was counted for.
    pub counted: Vec<SignalKey>,
}

/// What a lead knows of machines that read its mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machines {
    /// How often, and on which days, signals were shown by machines, under [`withheld_key`].
    pub withheld: Ledger,
    /// The clicks of the last minute, in the order of their times.
    pub clicks: Vec<Click>,
}

/// Gives the mail and the link of a click that one of our links told of.
fn clicked(activity: &Activity, by: &str) -> Option<(u32, u32)> {
    if activity.kind != "email_clicked" || by != MAIL {
        return None;
    }
    let Some(AttributeValue::Number(message)) = activity.properties.get("message") else { return None };
    let Some(AttributeValue::Text(url)) = activity.properties.get("url") else { return None };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of another form is another mail"
    )]
    let message = *message as u32;
    let [a, b, c, d, ..] = DeliveryId::new("link", url).0;
    Some((message, u32::from_be_bytes([a, b, c, d])))
}

/// Says of a click whether, with those before it, it is a machine's.
#[must_use]
pub(crate) fn judged(activity: Activity, lead: &Lead, incoming: &Incoming) -> Activity {
    let Some((message, link)) = clicked(&activity, &incoming.by).filter(|_| !incoming.history) else {
        return activity;
    };
    let others = lead.machines.clicks.iter().filter(|other| {
        other.message == message
            && other.link != link
            && other.at.since(incoming.occurred_at).abs() <= WITHIN_MS
    });
    let mut also = also(&activity, &incoming.by);
    let mut found = false;
    for other in others {
        found = true;
        if !other.machine {
            also.insert(other.id);
        }
    }
    if !found {
        return activity;
    }
    let mut judged = activity;
    if rule_of(&judged).is_none() {
        judged.properties.insert(MACHINE.to_owned(), text(Rule::ManyLinks.as_str()));
    }
    if !also.is_empty() {
        let ids: Vec<String> = also.iter().map(ToString::to_string).collect();
        judged.properties.insert(ALSO.to_owned(), text(&ids.join(" ")));
    }
    judged
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

/// Gives the deliveries of the clicks that a click names as the same machine's. Only what our own links tell is believed.
pub(crate) fn also(activity: &Activity, by: &str) -> BTreeSet<DeliveryId> {
    match activity.properties.get(ALSO) {
        Some(AttributeValue::Text(ids)) if by == MAIL => {
            ids.split(' ').filter_map(DeliveryId::parse).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Marks an activity as one of those that a later click named.
pub(crate) fn take_along(activity: &mut Activity) {
    if rule_of(activity).is_none() {
        activity.properties.insert(MACHINE.to_owned(), text(Rule::ManyLinks.as_str()));
    }
}

/// Marks all clicks that other facts name, so that each says by itself what was found out about it.
pub(crate) fn mark(facts: &mut [Incoming]) {
    let mut named = BTreeSet::new();
    for incoming in facts.iter() {
        if let Fact::Activity(activity) = &incoming.fact {
            named.append(&mut also(activity, &incoming.by));
        }
    }
    for incoming in facts.iter_mut().filter(|incoming| named.contains(&incoming.delivery)) {
        if let Fact::Activity(activity) = &mut incoming.fact {
            take_along(activity);
        }
    }
}

/// Tells whether what an activity brings about and nobody could undo has to wait: a click that may yet turn out to be a
/// machine's.
pub(crate) fn must_wait(
    activity: &Activity,
    incoming: &Incoming,
    playbook: &Playbook,
    now: Timestamp,
) -> bool {
    clicked(activity, &incoming.by).is_some()
        && rule_of(activity).is_none()
        && playbook.machines.0.contains(&Rule::ManyLinks)
        && !incoming.history
        && now.since(incoming.occurred_at) < SETTLES_MS
}

/// Takes back the hits of the clicks that a click names, and remembers the click itself.
pub(crate) fn remember(
    lead: &mut Lead,
    activity: &Activity,
    incoming: &Incoming,
    playbook: &Playbook,
    waits: bool,
) {
    let Some((message, link)) = clicked(activity, &incoming.by) else { return };
    let named = also(activity, &incoming.by);
    let Lead { machines, ledger, ledger_since, counts_from, .. } = lead;
    for click in machines.clicks.iter_mut().filter(|click| named.contains(&click.id) && !click.machine) {
        (click.machine, click.waits) = (true, false);
        if !playbook.machines.0.contains(&Rule::ManyLinks) {
            continue;
        }
        for key in click.counted.drain(..) {
            if ledger.take_back(key, click.at.day()) {
                machines.withheld.add(withheld_key(key, Rule::ManyLinks), click.at.day(), 1);
            }
            if counts_from.is_some_and(|from| click.at > from) {
                ledger_since.take_back(key, click.at.day());
            }
        }
    }
    if incoming.history {
        return;
    }
    let machine = rule_of(activity).is_some();
    let counted = match playbook.withheld(activity) {
        Some(_) => Vec::new(),
        None => playbook.signals_of(activity).map(|signal| signal.key).collect(),
    };
    let (at, id) = (incoming.occurred_at, incoming.delivery);
    let place = machines.clicks.partition_point(|known| (known.at, known.id) < (at, id));
    machines.clicks.insert(place, Click { at, id, message, link, machine, waits, counted });
    let spare = machines.clicks.len().saturating_sub(MOST_CLICKS);
    machines.clicks.drain(..spare);
}

/// Tells whether anything waits until a click is settled.
#[must_use]
pub(crate) fn waits(lead: &Lead) -> bool {
    lead.machines.clicks.iter().any(|click| click.waits)
}

/// Tells whether what a delivery told of waits.
#[must_use]
pub(crate) fn waits_for(lead: &Lead, id: DeliveryId) -> bool {
    lead.machines.clicks.iter().any(|click| click.waits && click.id == id)
}

/// Gives the moment at which what waits can be settled.
#[must_use]
pub(crate) fn settles_at(lead: &Lead) -> Option<Timestamp> {
    let last = lead.machines.clicks.iter().filter(|click| click.waits).map(|click| click.at).max()?;
    // The index knows whole seconds.
    Some(Timestamp::from_secs(last.plus(SETTLES_MS + SECOND_MS - 1).secs()))
}

/// Lets clicks be a person's that are old enough, and tells whether any was. They are let go of together, once the last of
/// them is.
pub(crate) fn settle(lead: &mut Lead, playbook: &Playbook, now: Timestamp) -> bool {
    let clicks = &mut lead.machines.clicks;
    let young = clicks.iter().any(|click| click.waits && now.since(click.at) < SETTLES_MS);
    let mut settled = false;
    if !young {
        for click in clicks.iter_mut().filter(|click| click.waits) {
            click.waits = false;
            settled = true;
            lead.nurture.reacted(click.at);
            if matches!(playbook.lead_when, LeadWhen::AnyResponse) {
                lead.responded_at = Some(lead.responded_at.map_or(click.at, |at| at.min(click.at)));
            }
        }
    }
    clicks.retain(|click| click.waits || now.since(click.at) < KEPT_MS);
    settled
}

/// Keeps only what a playbook counts; another one may know other signals.
pub(crate) fn retain(lead: &mut Lead, playbook: &Playbook) {
    let Machines { withheld, clicks } = &mut lead.machines;
    if !withheld.is_empty() {
        let keys: BTreeSet<SignalKey> = withheld_keys(playbook).map(|(.., key)| key).collect();
        withheld.retain(|key| keys.contains(&key));
    }
    for click in clicks {
        click.counted.retain(|key| playbook.signals.iter().any(|signal| signal.key == *key));
    }
}

/// Gives each signal that machines may show with each rule that withholds, and the key of its hits.
pub(crate) fn withheld_keys(playbook: &Playbook) -> impl Iterator<Item = (&Signal, Rule, SignalKey)> {
    let signals = playbook.signals.iter().filter(|signal| is_about(&signal.kinds));
    signals.flat_map(|signal| {
        playbook.machines.0.iter().map(move |rule| (signal, *rule, withheld_key(signal.key, *rule)))
    })
}

// ---- How it is stored ----

impl Machines {
    /// Writes the compact stored form; nothing where there is nothing to say.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let withheld = self.withheld.encode();
        if withheld.is_empty() && self.clicks.is_empty() {
            return Vec::new();
        }
        let mut out = vec![u8::try_from(self.clicks.len()).unwrap_or(u8::MAX)];
        for click in self.clicks.iter().take(usize::from(u8::MAX)) {
            out.extend(click.at.millis().to_be_bytes());
            out.extend(click.id.0);
            out.extend(click.message.to_be_bytes());
            out.extend(click.link.to_be_bytes());
            out.push(u8::from(click.machine) | u8::from(click.waits) << 1);
            let counted = click.counted.iter().take(usize::from(u8::MAX));
            out.push(u8::try_from(counted.len()).unwrap_or(u8::MAX));
            out.extend(counted.flat_map(|key| key.0.to_be_bytes()));
        }
        out.extend(withheld);
        out
    }

    /// Reads the stored form; `None` where the bytes are not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let Some((count, mut rest)) = bytes.split_first() else { return Some(Self::default()) };
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (chunk, after) = rest.split_first_chunk()?;
            *rest = after;
            Some(*chunk)
        }
        let mut clicks = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            let at = Timestamp::from_millis(i64::from_be_bytes(take(&mut rest)?));
            let id = DeliveryId(take(&mut rest)?);
            let (message, link) =
                (u32::from_be_bytes(take(&mut rest)?), u32::from_be_bytes(take(&mut rest)?));
            let [flags, count] = take(&mut rest)?;
            let mut counted = Vec::with_capacity(usize::from(count));
            for _ in 0..count {
                counted.push(SignalKey(u32::from_be_bytes(take(&mut rest)?)));
            }
            let (machine, waits) = (flags & 1 == 1, flags & 2 == 2);
            clicks.push(Click { at, id, message, link, machine, waits, counted });
        }
        Some(Self { withheld: Ledger::decode(rest)?, clicks })
    }
}
