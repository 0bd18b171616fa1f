//! Time, fresh ids and chance, as arguments of everything that needs them.

use domain::identity::LeadId;
use domain::time::Timestamp;
use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

/// Gives the time.
pub trait Clock: Send + Sync + Debug {
    /// Gives the present moment.
    fn now(&self) -> Timestamp;
}

/// Gives the machine's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Gives a time that somebody set, for tests and simulations.
#[derive(Debug)]
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    /// Starts at a moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Goes to a moment.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Makes 32 random bytes, for what must not be guessed.
#[must_use]
pub fn fresh_secret() -> [u8; 32] {
    let mut random = [0; 32];
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    random.iter_mut().zip(a.as_bytes().iter().chain(b.as_bytes())).for_each(|(to, from)| *to = *from);
    random
}

/// Waits before something is tried again: 10 ms at first, half a second at most.
pub async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis((10 << attempt.min(6)).min(500))).await;
}

/// Throws a die of many sides, for waits that must not all end at once.
#[must_use]
pub fn chance() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// Makes a lead id that nobody used before; as bytes they sort by when they were made, which their text does not.
#[must_use]
pub fn new_lead_id() -> LeadId {
    LeadId::from_bytes(uuid::Uuid::now_v7().into_bytes())
}
