//! How fast mails go: below what the account may send.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How many mails a second go where nobody says otherwise.
pub const USUAL: u32 = 10;

/// Spaces mails evenly, whoever sends them: each waits for the next free moment.
#[derive(Debug)]
pub struct Rate {
    apart: Duration,
    next: Mutex<Instant>,
}

impl Rate {
    /// Makes it for so many mails a second; as fast as they come where that is none.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let apart = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { apart, next: Mutex::new(Instant::now()) }
    }

    /// Waits until the next mail may go.
    pub async fn wait(&self) {
        if self.apart.is_zero() {
            return;
        }
        let at = {
            let mut next = self.next.lock().await;
            let at = (*next).max(Instant::now());
            *next = at + self.apart;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mails_are_spaced_however_many_want_to_go_at_once_and_what_was_not_used_is_not_saved_up() {
        let (rate, start) = (Rate::new(50), Instant::now());
        futures::future::join_all((0..5).map(|_| rate.wait())).await;
        assert!(
            start.elapsed() >= Duration::from_millis(80),
            "the fifth goes four times 20 ms after the first"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        let later = Instant::now();
        futures::future::join_all((0..3).map(|_| rate.wait())).await;
        assert!(later.elapsed() >= Duration::from_millis(40));
        Rate::new(0).wait().await;
    }
}
