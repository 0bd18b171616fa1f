//! What is promised of lists of leads.

use super::{Ports, every_page};
use crate::builders::{NOON, a_lead, delivered, email, external, slug, time};
use adapters::dynamodb::keys;
use adapters::ports::InboxLine;
use domain::change::{Change, Fact};
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::sales::Move;
use domain::time::{HOUR_MS, SECOND_MS, Timestamp};
use futures::future::join_all;
use std::collections::BTreeSet;

/// A sweep reads every lead, and none twice, however many workers share it.
pub async fn the_parts_of_a_scan_are_all_leads_once(ports: &Ports) {
    let changes: Vec<Change> =
        (0..45).map(|n| a_lead().known_by(external("crm", &n.to_string())).change()).collect();
    let stored = join_all(changes.iter().map(|change| ports.store(change))).await;
    let all: BTreeSet<LeadId> = stored.into_iter().map(|lead| lead.id).collect();
    for of in [1, 4] {
        let mut seen = Vec::new();
        for segment in 0..of {
            let part = every_page(async |cursor: Option<String>| {
                ports.lists.scan(segment, of, cursor.as_deref()).await
            })
            .await;
            seen.extend(part.into_iter().map(|lead| lead.id));
        }
        assert_eq!(seen.len(), 45, "none twice in {of} parts");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);
    }
}

/// Stores a lead that is due at a time, in a shard of its own choosing.
async fn due_lead(ports: &Ports, shard: u8, due_at: Option<Timestamp>) -> Lead {
    let new = loop {
        let new = a_lead().ready();
        if keys::due_shard(&new.lead().id) == shard {
            break new;
        }
    };
    let mut change = new.change();
    change.lead.due_at = due_at;
    ports.store(&change).await
}

/// The tick finds what is due, earliest first, and no more than it asks for.
pub async fn leads_are_due_from_their_second_on_in_the_order_of_their_time(ports: &Ports) {
    let at = time(NOON);
    let later = due_lead(ports, 3, Some(at.plus(HOUR_MS + 700))).await.id;
    let sooner = due_lead(ports, 3, Some(at)).await.id;
    due_lead(ports, 4, Some(at)).await;
    due_lead(ports, 3, None).await;
    let due = async |until: Timestamp, most| ports.lists.due(3, until, most).await.unwrap();
    assert_eq!(due(at.plus(-SECOND_MS), 10).await, vec![]);
    assert_eq!(due(at, 10).await, vec![sooner.clone()]);
    assert_eq!(due(at.plus(HOUR_MS), 10).await, vec![sooner.clone(), later], "to the second");
    assert_eq!(due(at.plus(HOUR_MS), 1).await, vec![sooner]);
}

/// A commit moves its lead in the list.
pub async fn a_lead_that_is_no_longer_due_is_not_listed(ports: &Ports) {
    let lead = due_lead(ports, 5, Some(time(NOON))).await;
    let fact = Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
    let mut change = crate::builders::change(&lead, &[delivered("call", time(NOON), fact)], time(NOON));
    change.lead.due_at = None;
    ports.store(&change).await;
    assert_eq!(ports.lists.due(5, time(NOON), 10).await.unwrap(), vec![]);
    assert_eq!(ports.read(&lead.id).await.due_at, None);
}

/// A lead whose review fails waits, and the wait overwrites nothing that happened meanwhile.
pub async fn putting_off_moves_only_what_is_still_due_and_makes_no_lead(ports: &Ports) {
    let (at, until) = (time(NOON), time(NOON).plus(HOUR_MS));
    let due = due_lead(ports, 6, Some(at)).await;
    let done = due_lead(ports, 6, Some(at.plus(2 * HOUR_MS))).await;
    let never = due_lead(ports, 6, None).await;
    for lead in [&due, &done, &never] {
        ports.lists.put_off(&lead.id, at, until).await.unwrap();
    }
    let nobody = a_lead().lead().id;
    ports.lists.put_off(&nobody, at, until).await.unwrap();
    assert_eq!(ports.read(&due.id).await, Lead { due_at: Some(until), ..due.clone() });
    assert_eq!(ports.read(&done.id).await, done);
    assert_eq!(ports.read(&never.id).await, never);
    assert!(ports.leads.load(&[nobody]).await.unwrap().is_empty());
    assert_eq!(ports.lists.due(6, until, 10).await.unwrap(), vec![due.id]);
}

/// Stores a lead that was handed to `at-1` so many hours after noon.
async fn handed(ports: &Ports, address: &str, hours: i64) -> Lead {
    let lead = ports
        .store(&a_lead().ready().known_by(email(address)).at(time(NOON).plus(hours * HOUR_MS)).change())
        .await;
    assert_eq!(lead.person, Some(slug("at-1")), "the lead is ready");
    lead
}

async fn inbox(ports: &Ports, owner: &str, limit: usize) -> Vec<InboxLine> {
    every_page(async |cursor: Option<String>| {
        let page = ports.lists.inbox(&slug(owner), limit, cursor.as_deref()).await?;
        assert!(page.items.len() <= limit);
        Ok(page)
    })
    .await
}

fn leads(lines: Vec<InboxLine>) -> Vec<LeadId> {
    lines.into_iter().map(|line| line.lead).collect()
}

fn sales(what: Move) -> Fact {
    Fact::Sales { what, by: None, note: None }
}

/// The most urgent promise comes first; a promise that was kept comes last.
pub async fn an_inbox_has_its_persons_leads_in_the_order_of_their_promises(ports: &Ports) {
    let late = handed(ports, "late@b.example", 5).await;
    let kept = handed(ports, "kept@b.example", 0).await;
    let soon = handed(ports, "soon@b.example", 1).await;
    let other = handed(ports, "other@b.example", 2).await;
    let now = time(NOON).plus(6 * HOUR_MS);
    ports.happen(&kept, &[delivered("taken", now, sales(Move::Accepted))], now).await;
    ports
        .happen(
            &other,
            &[delivered("given", now, sales(Move::Assigned { to: slug("de-1"), promise_due_at: None }))],
            now,
        )
        .await;
    let lines = inbox(ports, "at-1", 100).await;
    let promised = |lead: &Lead| lead.promise_due_at.unwrap();
    assert_eq!(lines[0], InboxLine { promise_due_at: promised(&soon), lead: soon.id });
    assert_eq!(lines[1], InboxLine { promise_due_at: promised(&late), lead: late.id });
    assert_eq!(lines[2].lead, kept.id);
    assert!(lines[2].promise_due_at > time("9999-01-01T00:00:00Z"));
    assert_eq!(lines.len(), 3);
    assert_eq!(leads(inbox(ports, "de-1", 100).await), vec![other.id]);
    assert!(inbox(ports, "nobody", 100).await.is_empty());
}

/// Pages of an inbox follow each other without a gap, also among leads of one promise.
pub async fn an_inbox_is_read_in_pages(ports: &Ports) {
    let mut all = BTreeSet::new();
    for n in 0..9 {
        all.insert(handed(ports, &format!("{n}@b.example"), n / 3).await.id);
    }
    for limit in [1, 2, 3, 9, 100] {
        let lines = inbox(ports, "at-1", limit).await;
        assert!(lines.is_sorted_by_key(|line| line.promise_due_at));
        assert_eq!(lines.len(), 9, "in pages of {limit}");
        assert_eq!(leads(lines).into_iter().collect::<BTreeSet<_>>(), all);
    }
}

/// What marketing has again is not in the way of sales.
pub async fn a_lead_that_left_sales_left_the_inbox(ports: &Ports) {
    let lead = handed(ports, "ada@b.example", 0).await;
    let now = time(NOON).plus(HOUR_MS);
    ports.happen(&lead, &[delivered("back", now, sales(Move::Rejected { reason: None }))], now).await;
    assert!(inbox(ports, "at-1", 100).await.is_empty());
}

/// Who waits for a person is not in that person's inbox, and is listed by the score.
pub async fn leads_that_wait_are_in_no_inbox_and_the_best_come_first(ports: &Ports) {
    let mut waiting = Vec::new();
    for (n, fit) in [(0, 40), (1, 80), (2, 60)] {
        let mut change = a_lead().known_by(email(&format!("{n}@b.example"))).change();
        change.lead.score.fit = fit;
        change.lead.ready = true;
        change.lead.held_for = Some(slug("at-1"));
        waiting.push(ports.store(&change).await);
    }
    let [third, first, second] = waiting.as_slice() else { panic!("three leads") };
    assert_eq!(ports.read(&first.id).await.held_for, Some(slug("at-1")));
    let held = async |owner, most| ports.lists.held(&slug(owner), most).await.unwrap();
    assert_eq!(held("at-1", 10).await, vec![first.id.clone(), second.id.clone(), third.id.clone()]);
    assert_eq!(held("at-1", 2).await, vec![first.id.clone(), second.id.clone()]);
    assert!(held("de-1", 10).await.is_empty());
    assert!(inbox(ports, "at-1", 100).await.is_empty(), "nobody sees them before their turn");
    let fact = Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
    let mut change = crate::builders::change(first, &[delivered("call", time(NOON), fact)], time(NOON));
    change.lead.held_for = None;
    ports.store(&change).await;
    assert_eq!(held("at-1", 10).await, vec![second.id.clone(), third.id.clone()]);
}

/// About: the cloud counts a table's items every six hours.
pub async fn about_how_many_leads_there_are_is_known(ports: &Ports) {
    handed(ports, "ada@b.example", 0).await;
    assert!(ports.lists.about().await.unwrap() >= 1);
}
