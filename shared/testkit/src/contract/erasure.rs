//! What is promised of leads that are forgotten.

use super::Ports;
use crate::builders::{NOON, a_lead, change, delivered, email, external, page_view, phone, time, visitor};
use adapters::ports::{CatalogKind, Commit, Put};
use domain::change::Fact;
use domain::erasure::event;
use domain::identity::Identity;
use domain::lead::Lead;
use domain::time::MINUTE_MS;
use futures::future::join_all;
use serde_json::json;

/// Stores a lead with everything that it can be known by.
async fn known(ports: &Ports) -> Lead {
    let identities = [
        external("crm", "42"),
        email("ada@b.example"),
        phone("+431234567"),
        Identity::Anonymous(visitor("v-12345678")),
    ];
    let lead = identities.into_iter().fold(a_lead().ready(), |lead, identity| lead.known_by(identity));
    ports.store(&lead.change()).await
}

/// Who is erased is found by nothing, and what they were known by is anybody's.
pub async fn a_lead_is_erased_with_all_that_it_is_known_by_and_an_event_tells_so(ports: &Ports) {
    let lead = known(ports).await;
    let other = ports.store(&a_lead().known_by(email("eve@b.example")).change()).await;
    let job = Put::new(CatalogKind::Job, "erase-1", json!({ "of": "it" }));
    let at = time(NOON);
    assert!(ports.leads.erase(&lead, &event(&lead, at), std::slice::from_ref(&job)).await.unwrap());
    assert!(ports.leads.load(std::slice::from_ref(&lead.id)).await.unwrap().is_empty());
    assert!(ports.leads.owners(&lead.identities).await.unwrap().is_empty());
    assert_eq!(ports.catalog.get(CatalogKind::Job, "erase-1").await.unwrap(), Some(job.record));
    let told: Vec<_> = ports.outbox.sent().await.into_iter().filter(|sent| sent.kind == "erased").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].lead, told[0].version), (&lead.id, lead.version + 1));
    assert_eq!(ports.read(&other.id).await, other, "nobody else is touched");
    let again = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    assert_eq!(ports.leads.owners(&lead.identities).await.unwrap(), vec![(email("ada@b.example"), again.id)]);
}

/// What was read before it changed, or is gone, is erased by nobody; and what goes with it is stored with it or not at all.
pub async fn a_lead_is_erased_as_it_was_read_or_not_at_all(ports: &Ports) {
    let old = known(ports).await;
    let fact = Fact::Activity(crate::builders::activity("page_viewed", &[]));
    let lead = ports.happen(&old, &[delivered("view", time(NOON), fact)], time(NOON)).await;
    let sent = ports.outbox.sent().await;
    let job = |id: &str| Put::new(CatalogKind::Job, id, json!({}));
    let erase = async |lead: &Lead, also: &[Put]| {
        ports.leads.erase(lead, &event(lead, time(NOON)), also).await.unwrap()
    };
    assert!(!erase(&old, &[job("one")]).await, "it changed meanwhile");
    assert_eq!(ports.catalog.get(CatalogKind::Job, "one").await.unwrap(), None);
    assert!(ports.catalog.put(&[job("two")]).await.unwrap());
    assert!(!erase(&lead, &[job("three"), job("two")]).await, "a record is not as expected");
    assert_eq!(ports.catalog.get(CatalogKind::Job, "three").await.unwrap(), None);
    assert_eq!(ports.read(&lead.id).await, lead);
    assert_eq!(ports.leads.owners(&lead.identities).await.unwrap().len(), lead.identities.len());
    assert_eq!(ports.outbox.sent().await, sent);
    assert!(erase(&lead, &[]).await);
    assert!(!erase(&lead, &[job("four")]).await, "it is gone");
    assert_eq!(ports.catalog.get(CatalogKind::Job, "four").await.unwrap(), None);
}

/// Whoever read a lead before it was erased brings nothing of it back.
pub async fn what_was_decided_before_an_erasure_is_not_stored_after_it(ports: &Ports) {
    let lead = known(ports).await;
    let fact = Fact::Activity(crate::builders::activity("page_viewed", &[]));
    let late = change(&lead, &[delivered("view", time(NOON), fact)], time(NOON));
    assert!(ports.leads.erase(&lead, &event(&lead, time(NOON)), &[]).await.unwrap());
    while ports.remains.forget_entries(&lead.id).await.unwrap() {}
    assert_eq!(ports.leads.commit(&late).await.unwrap(), Commit::Conflict);
    ports.lists.put_off(&lead.id, time("2099-01-01T00:00:00Z"), time("2099-01-02T00:00:00Z")).await.unwrap();
    assert!(ports.leads.load(std::slice::from_ref(&lead.id)).await.unwrap().is_empty());
    assert!(ports.history(&lead.id).await.is_empty());
}

/// Of an erasure and twenty who change the lead at once, nothing is half done.
pub async fn an_erasure_and_twenty_changes_at_once_leave_a_whole_lead_or_none(ports: &Ports) {
    let lead = known(ports).await;
    let changes: Vec<_> = (0..20)
        .map(|n| {
            let fact = Fact::Activity(crate::builders::activity("page_viewed", &[]));
            change(&lead, &[delivered(&format!("view {n}"), time(NOON), fact)], time(NOON))
        })
        .collect();
    let told = event(&lead, time(NOON));
    let erased = ports.leads.erase(&lead, &told, &[]);
    let (results, erased) =
        futures::future::join(join_all(changes.iter().map(|change| ports.leads.commit(change))), erased)
            .await;
    let erased = erased.unwrap();
    let done = results.iter().filter(|result| *result.as_ref().unwrap() == Commit::Done).count();
    assert_eq!(done + usize::from(erased), 1, "{results:?}");
    let left = ports.leads.load(std::slice::from_ref(&lead.id)).await.unwrap();
    let owners = ports.leads.owners(&lead.identities).await.unwrap();
    assert_eq!((left.len(), owners.len()), if erased { (0, 0) } else { (1, lead.identities.len()) });
}

/// What happened to a lead goes, and what happened to others stays.
pub async fn what_is_left_of_a_lead_is_deleted_and_nothing_of_anybody_else(ports: &Ports) {
    let (lead, other) =
        (known(ports).await, ports.store(&a_lead().ready().known_by(email("eve@b.example")).change()).await);
    let views = |lead: &Lead, n: i64| {
        let fact = |n: i64| {
            let fact = Fact::Activity(crate::builders::activity("page_viewed", &[]));
            delivered(&format!("view {n}"), time(NOON).plus(n * MINUTE_MS), fact)
        };
        change(lead, &(0..n).map(fact).collect::<Vec<_>>(), time("2026-11-22T14:00:00Z"))
    };
    let mut lead = lead;
    for round in 0..4 {
        let mut next = views(&lead, 30);
        for entry in &mut next.entries {
            entry.id.push_str(&format!("-{round}"));
        }
        next.lead.recent.clear();
        lead = ports.store(&next).await;
    }
    let other = ports.store(&views(&other, 5)).await;
    let (own, foreign) = (visitor("v-12345678"), visitor("v-87654321"));
    for who in [&own, &foreign] {
        let seen: Vec<_> =
            (0..7).map(|n| page_view(&n.to_string(), time(NOON).plus(n * MINUTE_MS), "/p")).collect();
        ports.visitors.remember(who, &seen).await.unwrap();
    }
    let before = (ports.history(&other.id).await, ports.visitors.recall(&foreign, 40).await.unwrap());
    assert_eq!(ports.history(&lead.id).await.len(), 121);
    assert!(ports.leads.erase(&lead, &event(&lead, time(NOON)), &[]).await.unwrap());
    for _ in 0..2 {
        while ports.remains.forget_entries(&lead.id).await.unwrap() {}
        while ports.visitors.forget_visitor(&own).await.unwrap() {}
        while ports.remains.forget_events(&lead.id).await.unwrap() {}
        assert!(ports.history(&lead.id).await.is_empty());
        assert!(ports.visitors.recall(&own, 40).await.unwrap().is_empty());
    }
    let sent = ports.outbox.sent().await;
    let kinds: Vec<&str> =
        sent.iter().filter(|event| event.lead == lead.id).map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["erased"]);
    assert!(sent.iter().any(|event| event.lead == other.id));
    let after = (ports.history(&other.id).await, ports.visitors.recall(&foreign, 40).await.unwrap());
    assert_eq!(after, before);
}

/// A browser that a lead had forgotten leads to it still, until it is looked for among all.
pub async fn identities_that_lead_to_nobody_are_found_among_all(ports: &Ports) {
    for n in 0..25 {
        ports.store(&a_lead().known_by(email(&format!("{n}@b.example"))).change()).await;
    }
    let mut lead = known(ports).await;
    let forgotten = lead.identities.pop().unwrap();
    assert!(ports.leads.erase(&lead, &event(&lead, time(NOON)), &[]).await.unwrap());
    let owners = async || ports.leads.owners(std::slice::from_ref(&forgotten)).await.unwrap();
    assert_eq!(owners().await, vec![(forgotten.clone(), lead.id.clone())]);
    let mut cursor = None;
    loop {
        cursor = ports.remains.forget_identities(&lead.id, cursor.as_deref()).await.unwrap();
        if cursor.is_none() {
            break;
        }
    }
    assert!(owners().await.is_empty());
    let others: Vec<Identity> = (0..25).map(|n| email(&format!("{n}@b.example"))).collect();
    assert_eq!(ports.leads.owners(&others).await.unwrap().len(), 25);
}

/// A lead that came back with a backup may be written to have an address that is somebody else's by now.
pub async fn a_lead_is_erased_with_what_is_its_own_where_its_address_has_a_new_owner(ports: &Ports) {
    let owner = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    let back = a_lead().ready().known_by(external("crm", "42")).known_by(email("ada@b.example"));
    let mut back = back.known_by(phone("+431234567")).change();
    // Its number leads to it, its address to its new owner, and its id in the CRM to nobody.
    back.claims = vec![phone("+431234567")];
    let lead = ports.store(&back).await;
    assert_eq!(lead.identities.len(), 3);
    assert!(ports.leads.erase(&lead, &event(&lead, time(NOON)), &[]).await.unwrap());
    assert!(ports.leads.load(std::slice::from_ref(&lead.id)).await.unwrap().is_empty());
    let owners = ports.leads.owners(&lead.identities).await.unwrap();
    assert_eq!(owners, vec![(email("ada@b.example"), owner.id.clone())]);
    assert_eq!(ports.read(&owner.id).await, owner);
}
