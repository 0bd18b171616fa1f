//! What every store must do, whatever it is made of.
//!
//! Each function is one promise and panics where it is broken. [`store_contract!`](crate::store_contract) makes a test
//! of each, for a store that an expression gives anew every time:
//!
//! ```ignore
//! testkit::store_contract!(Ports::in_memory());
//! ```
//!
//! **What it cannot show.** No store here is ever behind, throttled or in conflict without a reason; the wrappers in
//! [`failing`](crate::failing) and [`MemoryLeadStore::freeze_indexes`](crate::MemoryLeadStore::freeze_indexes) inject
//! that. Pages are asked for by number; that DynamoDB also ends a page at a megabyte is not tried.

mod catalog;
mod erasure;
mod leads;
mod lists;
mod timeline;

pub use catalog::*;
pub use erasure::*;
pub use leads::*;
pub use lists::*;
pub use timeline::*;

use crate::memory::{MemoryCatalog, MemoryLeadStore, Outbox};
use crate::{Dynamo, builders};
use adapters::ports::{
    Catalog, Commit, Direction, LeadLists, LeadStore, Page, Remains, StoreError, Timeline, Visitors,
};
use domain::change::{Change, Entry, Incoming};
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::time::Timestamp;
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// Every port of one store.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// Timelines.
    pub timeline: Arc<dyn Timeline>,
    /// Visitors.
    pub visitors: Arc<dyn Visitors>,
    /// What is left of leads.
    pub remains: Arc<dyn Remains>,
    /// Lists.
    pub lists: Arc<dyn LeadLists>,
    /// The catalog.
    pub catalog: Arc<dyn Catalog>,
    /// What waits to be sent.
    pub outbox: Arc<dyn Outbox>,
    /// What must live as long as the ports.
    _alive: Option<Arc<dyn Any + Send + Sync>>,
}

impl Ports {
    /// Takes the ports of a store.
    #[must_use]
    pub fn of<S>(store: Arc<S>, catalog: Arc<dyn Catalog>, outbox: Arc<dyn Outbox>) -> Self
    where
        S: LeadStore + Timeline + Visitors + LeadLists + Remains + 'static,
    {
        Self {
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            timeline: Arc::clone(&store) as Arc<dyn Timeline>,
            visitors: Arc::clone(&store) as Arc<dyn Visitors>,
            remains: Arc::clone(&store) as Arc<dyn Remains>,
            lists: store,
            catalog,
            outbox,
            _alive: None,
        }
    }

    /// Gives empty ports in memory.
    #[expect(clippy::unused_async, reason = "the macro awaits whatever makes the ports")]
    pub async fn in_memory() -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        let store = Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog)));
        Self::of(Arc::clone(&store), catalog, store)
    }

    /// Gives empty ports on DynamoDB.
    pub async fn on_dynamo() -> Self {
        let dynamo = Arc::new(Dynamo::start().await);
        let (store, catalog) = (Arc::new(dynamo.leads()), Arc::new(dynamo.catalog()));
        let alive: Arc<dyn Any + Send + Sync> = Arc::clone(&dynamo) as _;
        Self { _alive: Some(alive), ..Self::of(store, catalog, dynamo) }
    }

    /// Stores a change and gives the lead as it is then.
    ///
    /// # Panics
    ///
    /// Where it is not stored.
    pub async fn store(&self, change: &Change) -> Lead {
        assert_eq!(self.leads.commit(change).await.unwrap(), Commit::Done);
        change.lead.clone()
    }

    /// Lets facts happen to a lead and gives the lead as it is then.
    ///
    /// # Panics
    ///
    /// Where they are not stored.
    pub async fn happen(&self, lead: &Lead, facts: &[Incoming], now: Timestamp) -> Lead {
        self.store(&builders::change(lead, facts, now)).await
    }

    /// Reads a lead that must be there.
    ///
    /// # Panics
    ///
    /// Where it is not.
    pub async fn read(&self, id: &LeadId) -> Lead {
        self.leads.load(std::slice::from_ref(id)).await.unwrap().pop().expect("the lead is there")
    }

    /// Reads a whole timeline, oldest first.
    ///
    /// # Panics
    ///
    /// Where the store fails.
    pub async fn history(&self, lead: &LeadId) -> Vec<Entry> {
        every_page(async |cursor: Option<String>| {
            self.timeline.entries(lead, Direction::Forward, 100, cursor.as_deref()).await
        })
        .await
    }
}

/// Follows a list to its end.
///
/// # Panics
///
/// Where the store fails, or the list has no end.
pub async fn every_page<T>(page: impl AsyncFn(Option<String>) -> Result<Page<T>, StoreError>) -> Vec<T> {
    let (mut items, mut cursor) = (Vec::new(), None);
    for _ in 0..1_000 {
        let next = page(cursor).await.unwrap();
        items.extend(next.items);
        cursor = next.next;
        if cursor.is_none() {
            return items;
        }
    }
    panic!("the list has no end");
}

/// Makes a test of every promise; `$ports` gives a future of empty [`Ports`].
#[macro_export]
macro_rules! store_contract {
    ($ports:expr) => {
        $crate::store_contract! { @each $ports;
            a_stored_lead_reads_back_equal_and_is_found_by_each_identity
            a_lead_with_every_kind_of_fact_reads_back_equal_and_so_do_its_entries
            what_is_not_there_is_left_out
            a_hundred_and_ten_leads_are_read_at_once
            a_commit_on_an_older_version_is_a_conflict_and_stores_nothing
            a_commit_that_creates_a_lead_which_exists_is_a_conflict
            a_commit_on_a_lead_that_is_not_there_is_a_conflict
            an_identity_that_somebody_owns_is_a_conflict_and_nothing_is_stored
            an_entry_that_is_there_is_a_repeat_and_nothing_is_stored
            a_repeat_on_an_older_version_is_a_conflict
            of_twenty_that_claim_one_address_at_once_one_gets_it
            of_twenty_that_change_one_version_at_once_one_does
            a_lead_is_stored_together_with_records_or_not_at_all
            of_twenty_leads_that_take_one_turn_at_once_one_does
            events_are_stored_with_the_version_that_caused_them
            a_lead_is_erased_with_all_that_it_is_known_by_and_an_event_tells_so
            a_lead_is_erased_as_it_was_read_or_not_at_all
            what_was_decided_before_an_erasure_is_not_stored_after_it
            an_erasure_and_twenty_changes_at_once_leave_a_whole_lead_or_none
            what_is_left_of_a_lead_is_deleted_and_nothing_of_anybody_else
            identities_that_lead_to_nobody_are_found_among_all
            a_lead_is_erased_with_what_is_its_own_where_its_address_has_a_new_owner
            a_timeline_reads_in_order_in_pages_in_both_directions
            a_timeline_shows_no_other_leads_entries
            a_cursor_of_another_list_is_refused
            what_a_visitor_did_is_recalled_oldest_first_and_the_latest_if_there_is_too_much
            a_visitors_delivery_that_comes_twice_is_remembered_once
            a_visitors_activity_is_no_leads_activity
            the_parts_of_a_scan_are_all_leads_once
            leads_are_due_from_their_second_on_in_the_order_of_their_time
            a_lead_that_is_no_longer_due_is_not_listed
            putting_off_moves_only_what_is_still_due_and_makes_no_lead
            an_inbox_has_its_persons_leads_in_the_order_of_their_promises
            an_inbox_is_read_in_pages
            a_lead_that_left_sales_left_the_inbox
            leads_that_wait_are_in_no_inbox_and_the_best_come_first
            about_how_many_leads_there_are_is_known
            a_record_is_written_once_and_then_only_on_top_of_its_version
            a_forced_record_is_written_whatever_is_there
            records_are_written_all_or_none
            of_twenty_that_write_one_record_at_once_one_does
            records_are_listed_by_id_in_pages_of_their_kind_only
            records_whose_ids_start_alike_are_listed_alone
            a_deleted_record_is_gone_and_its_id_is_free
        }
    };
    (@each $ports:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::contract::$promise(&$ports.await).await;
            }
        )*
    };
}
