//! Webhooks: who outside is told what happened, when it is tried again, and when a receiver is given up.
//!
//! A receiver that does not answer costs nobody else anything: each message waits for itself, longer each time and at
//! random, so that a receiver that comes back is not run over by all that it missed at one moment. After a day a message
//! is set aside, where it can be fetched back. A receiver that failed at every try for three days is switched off: from
//! then on its messages are set aside at once, until a person switches it on again.
//!
//! # Layout
//!
//! * this file – the webhook, its health, the waiting;
//! * [`address`] – where messages may go.

pub mod address;

use crate::change::EventKind;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// For how long a message is tried, in milliseconds.
pub const TRIED_FOR_MS: i64 = DAY_MS;
/// For how long a receiver may fail at every try before it is switched off, in milliseconds.
pub const FAILS_FOR_MS: i64 = 3 * DAY_MS;
/// The longest that a receiver may ask us to wait, in milliseconds.
pub const LONGEST_ASKED_MS: i64 = 6 * HOUR_MS;
/// The bound of the first wait, in milliseconds; each is twice the one before.
const FIRST_WAIT_MS: i64 = 10 * SECOND_MS;
/// The bound that no wait exceeds by itself, in milliseconds.
const LONGEST_WAIT_MS: i64 = 2 * HOUR_MS;
/// How often a receiver's health is written down while it stays as it is, in milliseconds.
const NOTE_EVERY_MS: i64 = 10 * MINUTE_MS;

/// Whether a webhook gets messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    On,
    /// A person paused it: what happens meanwhile it never hears.
    Paused,
    /// It failed for too long: what happens meanwhile is set aside for it.
    SwitchedOff {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// How a receiver does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When it last took a message.
    pub succeeded_at: Option<Timestamp>,
    /// Since when every try failed.
    pub failing_since: Option<Timestamp>,
    /// When it last failed, and how.
    pub last_failure: Option<(Timestamp, String)>,
}

impl Health {
    /// Gives the health after a message was taken; none where that is not worth writing down.
    #[must_use]
    pub fn succeeded(&self, now: Timestamp) -> Option<Self> {
        let known = self.succeeded_at.is_some_and(|at| now.since(at) < NOTE_EVERY_MS);
        if known && self.failing_since.is_none() {
            return None;
        }
        Some(Self { succeeded_at: Some(now), failing_since: None, last_failure: self.last_failure.clone() })
    }

    /// Gives the health after a try failed; none where that is not worth writing down.
    #[must_use]
    pub fn failed(&self, now: Timestamp, how: &str) -> Option<Self> {
        let known = |(at, before): &(Timestamp, String)| before == how && now.since(*at) < NOTE_EVERY_MS;
        if self.failing_since.is_some() && self.last_failure.as_ref().is_some_and(known) {
            return None;
        }
        Some(Self {
            succeeded_at: self.succeeded_at,
            failing_since: self.failing_since.or(Some(now)),
            last_failure: Some((now, how.to_owned())),
        })
    }

    /// Tells whether it failed for so long that nobody should go on trying.
    #[must_use]
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.since(since) >= FAILS_FOR_MS)
    }
}

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where messages go.
    pub url: String,
    /// What it is told where it is a CRM, as [`crate::crm::Crm`] reads it; none where it hears the events.
    pub crm: Option<serde_json::Value>,
    /// The kinds that it wants; all where none is named.
    pub kinds: Vec<EventKind>,
    /// What it is for, in a person's words.
    pub description: Option<String>,
    /// Whether it gets messages.
    pub state: State,
    /// How it does.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

impl Webhook {
    /// Tells whether an event of a kind concerns it. The kind is a word, since a version that knows fewer kinds than the
    /// one that wrote the event must not lose any.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        let named = self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted.as_str() == kind);
        named && self.state != State::Paused
    }

    /// Gives it as it is after a message was taken; none where that is not worth writing down.
    #[must_use]
    pub fn succeeded(&self, now: Timestamp) -> Option<Self> {
        Some(Self { health: self.health.succeeded(now)?, ..self.clone() })
    }

    /// Gives it as it is after a try failed: `gone` where the receiver said that it will never take a message again.
    /// None where that is not worth writing down.
    #[must_use]
    pub fn failed(&self, now: Timestamp, how: &str, gone: bool) -> Option<Self> {
        let noted = self.health.failed(now, how);
        let health = noted.as_ref().unwrap_or(&self.health);
        if self.state == State::On && (gone || health.is_given_up(now)) {
            let reason = if gone {
                "the receiver said that it is gone (410)".to_owned()
            } else {
                format!("every try failed for {} days; the last one: {how}", FAILS_FOR_MS / DAY_MS)
            };
            let state = State::SwitchedOff { at: now, reason };
            return Some(Self { health: health.clone(), state, ..self.clone() });
        }
        Some(Self { health: noted?, ..self.clone() })
    }
}

/// Says how long to wait before a message is tried again, in milliseconds; none where it has been tried for long enough.
///
/// * `tries` – how often it was tried, at least once;
/// * `for_ms` – since when, in milliseconds;
/// * `asked_ms` – how long the receiver asked us to wait;
/// * `chance` – a random number: the wait lies anywhere between a second and the bound ("full jitter").
///
/// The last try is at the end of the day, whatever the waits before added up to.
#[must_use]
pub fn wait_ms(tries: u32, for_ms: i64, asked_ms: Option<i64>, chance: u64) -> Option<i64> {
    let left = TRIED_FOR_MS - for_ms;
    if left <= 0 {
        return None;
    }
    let doublings = tries.saturating_sub(1).min(16);
    let bound = (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS);
    let by_chance = i64::try_from(chance % bound.unsigned_abs()).unwrap_or(0);
    let asked = asked_ms.unwrap_or(0).clamp(0, LONGEST_ASKED_MS);
    Some(by_chance.max(asked).min(left).max(SECOND_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    fn webhook() -> Webhook {
        Webhook {
            id: "webhook-1".to_owned(),
            url: "https://hooks.example/leads".to_owned(),
            crm: None,
            kinds: Vec::new(),
            description: None,
            state: State::On,
            health: Health::default(),
            created_at: at(0),
            created_by: "admin".to_owned(),
        }
    }

    /// Fails every so often until it is switched off, and says when that was.
    fn fail_until_off(mut webhook: Webhook, every_ms: i64) -> Option<i64> {
        let mut now = 0;
        while now <= 10 * DAY_MS {
            if let Some(next) = webhook.failed(at(now), "no answer within 15 s", false) {
                webhook = next;
            }
            if matches!(webhook.state, State::SwitchedOff { .. }) {
                return Some(now);
            }
            now += every_ms;
        }
        None
    }

    #[test]
    fn a_receiver_that_fails_for_three_days_is_switched_off_then_and_not_before() {
        assert_eq!(fail_until_off(webhook(), HOUR_MS), Some(FAILS_FOR_MS));
        assert_eq!(fail_until_off(webhook(), MINUTE_MS), Some(FAILS_FOR_MS));
    }

    #[test]
    fn one_success_in_between_begins_the_days_anew() {
        let mut webhook = webhook();
        for hour in 0..200 {
            let now = at(hour * HOUR_MS);
            let next = match hour % 48 {
                47 => webhook.succeeded(now),
                _ => webhook.failed(now, "answered 500", false),
            };
            webhook = next.unwrap_or(webhook);
            assert_eq!(webhook.state, State::On, "hour {hour}");
        }
    }

    #[test]
    fn a_receiver_that_says_it_is_gone_is_switched_off_at_once() {
        let off = webhook().failed(at(0), "answered 410", true).unwrap();
        assert!(matches!(&off.state, State::SwitchedOff { reason, .. } if reason.contains("410")));
        assert!(off.wants("captured"), "what happens meanwhile is set aside, not lost");
        // One that a person paused stays as they left it.
        let paused = Webhook { state: State::Paused, ..webhook() };
        assert_eq!(paused.failed(at(0), "answered 410", true).unwrap().state, State::Paused);
        assert!(!paused.wants("captured"));
    }

    #[test]
    fn health_is_not_written_at_every_message() {
        let well = webhook().succeeded(at(0)).unwrap();
        assert_eq!(well.succeeded(at(MINUTE_MS)), None);
        assert!(well.succeeded(at(NOTE_EVERY_MS)).is_some());
        let ill = well.failed(at(1), "answered 500", false).unwrap();
        assert_eq!(ill.health.failing_since, Some(at(1)));
        assert_eq!(ill.failed(at(2), "answered 500", false), None);
        assert!(ill.failed(at(3), "answered 503", false).is_some(), "another reason is news");
        assert_eq!(ill.succeeded(at(4)).unwrap().health.failing_since, None);
    }

    #[test]
    fn a_webhook_gets_the_kinds_that_it_names_and_all_where_it_names_none() {
        let one = Webhook { kinds: vec![EventKind::HandedOff], ..webhook() };
        assert!(one.wants("handed_off") && !one.wants("captured"));
        assert!(webhook().wants("captured") && webhook().wants("a_kind_of_next_year"));
    }

    #[test]
    fn waits_grow_are_jittered_over_their_whole_length_and_end_after_a_day() {
        for tries in 1..40 {
            let bound = (FIRST_WAIT_MS << (tries - 1).min(16)).min(LONGEST_WAIT_MS);
            let waits: Vec<i64> = (0..1_000_u64)
                .filter_map(|n| wait_ms(tries, 0, None, n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
                .collect();
            let mean = waits.iter().sum::<i64>() / 1_000;
            assert!(waits.iter().all(|wait| (SECOND_MS..=bound).contains(wait)), "{tries}");
            assert!((bound * 4 / 10..bound * 6 / 10).contains(&mean), "{tries}: {mean} of {bound}");
        }
        assert_eq!(wait_ms(30, TRIED_FOR_MS, None, 7), None);
        assert_eq!(
            wait_ms(30, TRIED_FOR_MS - 5_000, None, u64::MAX),
            Some(5_000),
            "the last try is at the end"
        );
    }

    #[test]
    fn what_the_receiver_asks_for_is_honoured_within_bounds() {
        assert_eq!(wait_ms(1, 0, Some(HOUR_MS), 0), Some(HOUR_MS));
        assert_eq!(wait_ms(1, 0, Some(0), 0), Some(SECOND_MS));
        assert_eq!(wait_ms(1, 0, Some(-5), 0), Some(SECOND_MS));
        assert_eq!(wait_ms(1, 0, Some(i64::MAX), 0), Some(LONGEST_ASKED_MS));
        assert_eq!(
            wait_ms(1, TRIED_FOR_MS - HOUR_MS, Some(i64::MAX), 0),
            Some(HOUR_MS),
            "not beyond the day"
        );
        assert!(wait_ms(5, 0, Some(1), 159_000).unwrap() > 1, "nor does it shorten our own wait");
    }

    #[test]
    fn a_day_of_failures_is_some_dozens_of_tries() {
        let (mut now, mut tries, mut chance) = (0, 1, 1_u64);
        while let Some(wait) = wait_ms(tries, now, None, chance) {
            now += wait;
            tries += 1;
            chance =
                chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
        }
        assert_eq!(now, TRIED_FOR_MS);
        assert!((20..60).contains(&tries), "{tries}");
    }
}
