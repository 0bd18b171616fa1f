//! Claims and the keys of links, on a catalog that fails as a test says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the answer")]

use adapters::claims::{Claim, End, Held, LEASE_MS, end, is_over, let_go, take};
use adapters::clock::SetClock;
use adapters::ports::Catalog;
use adapters::signed_link::{CONFIRM, Keys, Links, READ_AGAIN_MS, Refused};
use domain::time::{DAY_MS, Timestamp};
use std::sync::Arc;
use testkit::{FailingCatalog, Failure, Failures, MemoryCatalog, time};

const NOON: &str = testkit::builders::NOON;

async fn asked(catalog: &dyn Catalog, now: Timestamp, most: u64) -> Claim {
    take(catalog, "mail", now, now.plus(LEASE_MS * 10), most).await.unwrap()
}

fn ours(claim: Claim) -> Held {
    match claim {
        Claim::Ours(held) => held,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_done_is_not_done_again() {
    let (catalog, now) = (MemoryCatalog::new(), time(NOON));
    let held = ours(asked(&catalog, now, 2).await);
    assert!(!is_over(&catalog, "mail").await.unwrap());
    assert!(matches!(asked(&catalog, now, 2).await, Claim::Elsewhere(_)), "somebody is at it");
    end(&catalog, &held, End::Done, now).await.unwrap();
    assert!(is_over(&catalog, "mail").await.unwrap());
    assert!(matches!(asked(&catalog, now.plus(LEASE_MS * 5), 2).await, Claim::Over));
}

#[tokio::test]
async fn one_that_a_dead_worker_left_is_taken_up_as_often_as_allowed_and_then_said_not_to_be_known() {
    let (catalog, now) = (MemoryCatalog::new(), time(NOON));
    assert_eq!(ours(asked(&catalog, now, 2).await).before, 0);
    assert!(matches!(asked(&catalog, now.plus(LEASE_MS - 1), 2).await, Claim::Elsewhere(_)));
    let second = now.plus(LEASE_MS);
    assert_eq!(ours(asked(&catalog, second, 2).await).before, 1);
    assert!(matches!(asked(&catalog, second.plus(LEASE_MS), 2).await, Claim::Unknown));
    assert!(matches!(asked(&catalog, second.plus(LEASE_MS), 2).await, Claim::Over), "said once");
    // Whoever allows one try is never sent anything twice.
    let catalog = MemoryCatalog::new();
    let _dies = ours(asked(&catalog, now, 1).await);
    assert!(matches!(asked(&catalog, second, 1).await, Claim::Unknown));
}

#[tokio::test]
async fn what_is_known_not_to_be_done_is_free_at_once_and_counts_as_no_try() {
    let (catalog, now) = (MemoryCatalog::new(), time(NOON));
    for _ in 0..5 {
        let held = ours(asked(&catalog, now, 1).await);
        assert_eq!(held.before, 0);
        let_go(&catalog, &held, now).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_it() {
    let (catalog, now) = (Arc::new(MemoryCatalog::new()), time(NOON));
    let asking = (0..20).map(|_| {
        let catalog = Arc::clone(&catalog);
        tokio::spawn(async move { matches!(asked(catalog.as_ref(), now, 2).await, Claim::Ours(_)) })
    });
    let mut got = 0;
    for asked in asking.collect::<Vec<_>>() {
        got += usize::from(asked.await.unwrap());
    }
    assert_eq!(got, 1);
}

#[tokio::test]
async fn a_lost_answer_neither_doubles_nor_frees_a_claim() {
    let (failures, now) = (Failures::none(), time(NOON));
    let catalog = FailingCatalog::new(Arc::new(MemoryCatalog::new()), failures.clone());
    failures.on_write(1, Failure::TimedOutAfterWrite);
    assert!(take(&catalog, "mail", now, now.plus(1), 2).await.is_err());
    assert!(matches!(asked(&catalog, now, 2).await, Claim::Elsewhere(_)), "it may have been ours");
    let held = ours(asked(&catalog, now.plus(LEASE_MS), 2).await);
    failures.on_write(1, Failure::TimedOutAfterWrite);
    failures.on_write(2, Failure::Throttled);
    end(&catalog, &held, End::Done, now).await.unwrap();
    assert!(matches!(asked(&catalog, now, 2).await, Claim::Over));
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs(1_795_000_000).plus(day * DAY_MS)
}

fn links(catalog: Arc<dyn Catalog>) -> (Links, Arc<SetClock>) {
    let clock = Arc::new(SetClock::at(at(0)));
    (Links::new(catalog, Arc::clone(&clock) as _), clock)
}

#[tokio::test]
async fn whoever_signs_makes_the_first_key_and_a_new_one_when_it_is_old() {
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new());
    let (signs, clock) = links(Arc::clone(&catalog));
    let (reads, reads_at) = links(Arc::clone(&catalog));
    let first = signs.sign(CONFIRM, b"one", at(400)).await.unwrap();
    assert_eq!(reads.read(CONFIRM, &first).await.unwrap(), Ok(b"one".to_vec()));
    clock.set(at(90));
    let second = signs.sign(CONFIRM, b"two", at(400)).await.unwrap();
    assert_ne!(first.get(..5), second.get(..5), "another key signed it");
    // The reader's view is minutes old: a key that it does not know has it look again.
    reads_at.set(at(90));
    assert_eq!(reads.read(CONFIRM, &second).await.unwrap(), Ok(b"two".to_vec()));
    assert_eq!(reads.read(CONFIRM, &first).await.unwrap(), Ok(b"one".to_vec()));
}

#[tokio::test]
async fn made_up_tokens_do_not_make_it_read_the_keys_each_time() {
    let failures = Failures::none();
    let catalog = FailingCatalog::new(Arc::new(MemoryCatalog::new()), failures.clone());
    let (links, clock) = links(Arc::new(catalog));
    let token = links.sign(CONFIRM, b"x", at(1)).await.unwrap();
    drop(failures.take_calls());
    let made_up = Keys::default().rotated(at(0)).sign(CONFIRM, b"x", at(1)).unwrap();
    for _ in 0..50 {
        assert_eq!(links.read(CONFIRM, &made_up).await.unwrap(), Err(Refused::NotOurs));
        assert_eq!(links.read(CONFIRM, "rubbish").await.unwrap(), Err(Refused::NotOurs));
    }
    assert_eq!(failures.take_calls().len(), 0, "they were read a moment ago");
    clock.set(at(0).plus(READ_AGAIN_MS));
    for _ in 0..50 {
        assert_eq!(links.read(CONFIRM, &made_up).await.unwrap(), Err(Refused::NotOurs));
    }
    assert_eq!(failures.take_calls().len(), 1);
    assert_eq!(links.read(CONFIRM, &token).await.unwrap(), Ok(b"x".to_vec()));
}

#[tokio::test]
async fn two_who_make_the_first_key_at_once_agree_on_one() {
    let failures = Failures::none();
    let inner = Arc::new(MemoryCatalog::new());
    let (faster, _) = links(Arc::clone(&inner) as _);
    let slow: Arc<dyn Catalog> = Arc::new(FailingCatalog::new(Arc::clone(&inner), failures.clone()));
    let (slower, _) = links(slow);
    failures.on_write(1, Failure::Conflict);
    let first = faster.sign(CONFIRM, b"f", at(1)).await.unwrap();
    let second = slower.sign(CONFIRM, b"s", at(1)).await.unwrap();
    for (token, about) in [(first, b"f"), (second, b"s")] {
        assert_eq!(faster.read(CONFIRM, &token).await.unwrap(), Ok(about.to_vec()));
        assert_eq!(slower.read(CONFIRM, &token).await.unwrap(), Ok(about.to_vec()));
    }
}
