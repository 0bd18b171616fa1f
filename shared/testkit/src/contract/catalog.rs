//! What is promised of the catalog.

use super::{Ports, every_page};
use crate::builders::{NOON, time};
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use futures::future::join_all;
use serde_json::{Value, json};

fn job(id: &str, body: Value) -> Put {
    Put::new(CatalogKind::Job, id, body)
}

async fn get(ports: &Ports, id: &str) -> Option<Record> {
    ports.catalog.get(CatalogKind::Job, id).await.unwrap()
}

/// Nobody overwrites what they have not read.
pub async fn a_record_is_written_once_and_then_only_on_top_of_its_version(ports: &Ports) {
    let body = json!({"a": [1, 2.5, null, true, "ü \"#"], "b": {}});
    let mut first = job("j-1", body);
    first.record.expires_at = Some(time(NOON));
    assert_eq!(get(ports, "j-1").await, None);
    assert!(ports.catalog.put(&[first.clone()]).await.unwrap());
    let read = get(ports, "j-1").await.unwrap();
    assert_eq!(read, first.record);
    assert!(!ports.catalog.put(&[job("j-1", json!("late"))]).await.unwrap(), "it is there already");
    let over = Put::over(&read, json!("second"));
    assert!(ports.catalog.put(std::slice::from_ref(&over)).await.unwrap());
    assert_eq!(get(ports, "j-1").await.unwrap(), over.record);
    assert!(
        !ports.catalog.put(&[Put::over(&read, json!("stale"))]).await.unwrap(),
        "it changed since it was read"
    );
    assert!(
        !ports.catalog.put(&[Put::over(&job("j-2", json!(0)).record, json!(1))]).await.unwrap(),
        "it is not there"
    );
    assert_eq!(get(ports, "j-1").await.unwrap().body, json!("second"));
    assert_eq!(get(ports, "j-2").await, None);
}

/// A record that its writer owns is written whatever is there.
pub async fn a_forced_record_is_written_whatever_is_there(ports: &Ports) {
    for body in [json!(1), json!(2)] {
        let put = Put { force: true, ..job("j-1", body.clone()) };
        assert!(ports.catalog.put(&[put]).await.unwrap());
        assert_eq!(get(ports, "j-1").await.unwrap().body, body);
    }
}

/// Records that belong together are never half there.
pub async fn records_are_written_all_or_none(ports: &Ports) {
    assert!(ports.catalog.put(&[job("j-1", json!(1))]).await.unwrap());
    let playbook = Put::new(CatalogKind::Playbook, "00000001", json!({}));
    assert!(!ports.catalog.put(&[playbook.clone(), job("j-1", json!(2))]).await.unwrap());
    assert_eq!(ports.catalog.get(CatalogKind::Playbook, "00000001").await.unwrap(), None);
    assert!(ports.catalog.put(&[playbook, job("j-2", json!(2))]).await.unwrap());
    assert!(ports.catalog.get(CatalogKind::Playbook, "00000001").await.unwrap().is_some());
    assert_eq!(get(ports, "j-2").await.unwrap().body, json!(2));
}

/// Races for a record have one winner, who knows it.
pub async fn of_twenty_that_write_one_record_at_once_one_does(ports: &Ports) {
    let puts: Vec<[Put; 1]> = (0..20).map(|n| [job("j-1", json!(n))]).collect();
    let results = join_all(puts.iter().map(|put| ports.catalog.put(put))).await;
    let done: Vec<usize> = (0..20).filter(|at| *results[*at].as_ref().unwrap()).collect();
    assert_eq!(done.len(), 1, "{results:?}");
    assert_eq!(get(ports, "j-1").await.unwrap().body, json!(done[0]));
}

/// A list has one kind, in the order of the ids.
pub async fn records_are_listed_by_id_in_pages_of_their_kind_only(ports: &Ports) {
    for n in [3, 1, 7, 5, 2, 6, 4] {
        assert!(ports.catalog.put(&[job(&format!("j-{n}"), json!(n))]).await.unwrap());
    }
    assert!(ports.catalog.put(&[Put::new(CatalogKind::Person, "j-0", json!({}))]).await.unwrap());
    for limit in [1, 3, 7, 100] {
        let all = every_page(async |cursor: Option<String>| {
            let page = ports.catalog.list(CatalogKind::Job, limit, cursor.as_deref()).await?;
            assert!(page.items.len() <= limit);
            Ok(page)
        })
        .await;
        let bodies: Vec<Value> = all.into_iter().map(|record| record.body).collect();
        assert_eq!(json!(bodies), json!([1, 2, 3, 4, 5, 6, 7]), "in pages of {limit}");
    }
    assert!(ports.catalog.list(CatalogKind::Token, 10, None).await.unwrap().items.is_empty());
}

/// A list can be of those only whose ids start alike.
pub async fn records_whose_ids_start_alike_are_listed_alone(ports: &Ports) {
    for id in ["a", "a#1", "a#2", "a#3", "ab#1", "b#1"] {
        assert!(ports.catalog.put(&[job(id, json!(id))]).await.unwrap());
    }
    for limit in [1, 2, 3, 100] {
        let all = every_page(async |cursor: Option<String>| {
            ports.catalog.list_under(CatalogKind::Job, "a#", limit, cursor.as_deref()).await
        })
        .await;
        let ids: Vec<String> = all.into_iter().map(|record| record.id).collect();
        assert_eq!(ids, ["a#1", "a#2", "a#3"], "in pages of {limit}");
    }
    let page = ports.catalog.list_under(CatalogKind::Job, "a#", 1, None).await.unwrap();
    let other = ports.catalog.list_under(CatalogKind::Job, "b#", 1, page.next.as_deref()).await;
    assert!(matches!(other, Err(StoreError::Refused(_))), "that cursor is of another list: {other:?}");
}

/// What was deleted may be made anew.
pub async fn a_deleted_record_is_gone_and_its_id_is_free(ports: &Ports) {
    assert!(!ports.catalog.delete(CatalogKind::Job, "j-1").await.unwrap(), "there was none");
    assert!(ports.catalog.put(&[job("j-1", json!(1))]).await.unwrap());
    assert!(!ports.catalog.delete(CatalogKind::Person, "j-1").await.unwrap(), "that is another kind");
    assert!(ports.catalog.delete(CatalogKind::Job, "j-1").await.unwrap());
    assert_eq!(get(ports, "j-1").await, None);
    assert!(ports.catalog.put(&[job("j-1", json!(2))]).await.unwrap());
}
