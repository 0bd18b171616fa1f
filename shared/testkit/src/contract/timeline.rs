//! What is promised of timelines and of visitors.

use super::{Ports, every_page};
use crate::builders::{NOON, a_lead, activity, delivered, email, page_view, time, visitor};
use adapters::ports::{Direction, StoreError};
use domain::change::{Entry, Fact, Incoming};
use domain::lead::Lead;
use domain::time::MINUTE_MS;

/// Stores a lead with `views` page views, the later ones delivered first.
async fn lead_with_views(ports: &Ports, address: &str, views: i64) -> Lead {
    let lead = ports.store(&a_lead().known_by(email(address)).change()).await;
    let view = |n: i64| {
        let at = time(NOON).plus(n * MINUTE_MS + n % 2);
        delivered(
            &format!("{address} {n}"),
            at,
            Fact::Activity(activity("page_viewed", &[("path", "/pricing")])),
        )
    };
    let facts: Vec<Incoming> = (1..=views).rev().map(view).collect();
    ports.happen(&lead, &facts, time(NOON).plus(60 * MINUTE_MS)).await
}

fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.id.as_str()).collect()
}

/// Entries come by the time of the facts, whatever the order of their arrival.
pub async fn a_timeline_reads_in_order_in_pages_in_both_directions(ports: &Ports) {
    let lead = lead_with_views(ports, "ada@b.example", 11).await;
    let read = async |direction: Direction, limit: usize| {
        every_page(async |cursor: Option<String>| {
            let page = ports.timeline.entries(&lead.id, direction, limit, cursor.as_deref()).await?;
            assert!(page.items.len() <= limit);
            Ok(page)
        })
        .await
    };
    let forward = read(Direction::Forward, 5).await;
    assert_eq!(forward.len(), 12);
    assert!(forward.is_sorted_by(|a, b| a.at < b.at));
    for limit in [1, 4, 12, 500] {
        let mut backward = read(Direction::Backward, limit).await;
        backward.reverse();
        assert_eq!(ids(&backward), ids(&forward), "in pages of {limit}");
    }
}

/// A timeline is one lead's.
pub async fn a_timeline_shows_no_other_leads_entries(ports: &Ports) {
    let ada = lead_with_views(ports, "ada@b.example", 2).await;
    let eve = lead_with_views(ports, "eve@b.example", 3).await;
    assert_eq!(ports.history(&ada.id).await.len(), 3);
    assert_eq!(ports.history(&eve.id).await.len(), 4);
}

/// A cursor is opaque, and one that was not given for the list is refused rather than read as something else.
pub async fn a_cursor_of_another_list_is_refused(ports: &Ports) {
    let ada = lead_with_views(ports, "ada@b.example", 3).await;
    let eve = lead_with_views(ports, "eve@b.example", 3).await;
    let page = ports.timeline.entries(&ada.id, Direction::Backward, 2, None).await.unwrap();
    let foreign = page.next.unwrap();
    for (lead, cursor) in [(&ada, "no cursor"), (&ada, ""), (&eve, foreign.as_str())] {
        let answer = ports.timeline.entries(&lead.id, Direction::Backward, 2, Some(cursor)).await;
        assert!(matches!(answer, Err(StoreError::Refused(_))), "{cursor:?}: {answer:?}");
    }
}

/// The latest activity joins a lead, in the order in which it happened.
pub async fn what_a_visitor_did_is_recalled_oldest_first_and_the_latest_if_there_is_too_much(ports: &Ports) {
    let id = visitor("v-0123456789");
    assert!(ports.visitors.recall(&id, 40).await.unwrap().is_empty());
    let views: Vec<Entry> = (0..7)
        .map(|n| page_view(&n.to_string(), time(NOON).plus(n * MINUTE_MS), &format!("/p/{n}")))
        .collect();
    let (first, second) = views.split_at(3);
    ports.visitors.remember(&id, second).await.unwrap();
    ports.visitors.remember(&id, first).await.unwrap();
    ports.visitors.remember(&id, &[]).await.unwrap();
    assert_eq!(ports.visitors.recall(&id, 40).await.unwrap(), views);
    assert_eq!(ports.visitors.recall(&id, 4).await.unwrap(), views[3..]);
    assert!(ports.visitors.recall(&visitor("v-9876543210"), 40).await.unwrap().is_empty());
}

/// A page that sends its report again changes nothing.
pub async fn a_visitors_delivery_that_comes_twice_is_remembered_once(ports: &Ports) {
    let id = visitor("v-0123456789");
    let view = page_view("one", time(NOON), "/pricing");
    for _ in 0..3 {
        ports.visitors.remember(&id, std::slice::from_ref(&view)).await.unwrap();
    }
    assert_eq!(ports.visitors.recall(&id, 40).await.unwrap(), vec![view]);
}

/// Until somebody says who they are, a visitor is no lead.
pub async fn a_visitors_activity_is_no_leads_activity(ports: &Ports) {
    let lead = lead_with_views(ports, "ada@b.example", 1).await;
    let view = page_view("one", time(NOON), "/pricing");
    ports.visitors.remember(&visitor("v-0123456789"), &[view]).await.unwrap();
    assert_eq!(ports.history(&lead.id).await.len(), 2);
    let scanned =
        every_page(async |cursor: Option<String>| ports.lists.scan(0, 1, cursor.as_deref()).await).await;
    assert_eq!(scanned, vec![lead]);
}
