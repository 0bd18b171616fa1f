//! Campaigns as people declared them: their form on the wire and in the catalog, which is one.
//!
//! The id of a record is the text that touches carry, so it may hold anything that a touch may.

use crate::ports::{Catalog, CatalogKind, StoreError};
use crate::wire;
use domain::activity::parse_kind;
use domain::campaign::{Campaign, MOST_COSTS, MOST_STATUSES, Month, Status};
use domain::money::Money;
use domain::reader::{Node, Object};
use domain::touch::LONGEST_SOURCE;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The longest id of a campaign, in bytes: a sort key of DynamoDB ends at 1,024.
const LONGEST_ID: usize = 1_000;

/// Reads the id of a campaign.
///
/// # Errors
///
/// What an id looks like.
pub fn id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let ok = !text.is_empty()
        && text.len() <= LONGEST_ID
        && text.chars().count() <= LONGEST_SOURCE
        && !text.chars().any(char::is_control);
    if ok {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "is no campaign; expected the text that its touches carry, 1 to {LONGEST_SOURCE} characters"
        ))
    }
}

/// Reads what is said of a campaign: its name, its channel, its costs and its members' statuses. Each month once in each
/// currency, each status once.
#[must_use]
pub fn said(object: &Object<'_>) -> Option<Campaign> {
    let text =
        |key: &'static str| object.optional(key).map(|node| node.text(LONGEST_SOURCE).map(str::to_owned));
    let (name, channel) = (text("name"), text("channel"));
    let mut costs = BTreeMap::new();
    let list = object.optional("costs").map(|node| (node.list(), node));
    let mut whole = true;
    if let Some((list, node)) = list {
        let list = list?;
        if list.len() > MOST_COSTS {
            node.fault(format!("has {} costs; expected at most {MOST_COSTS}", list.len()));
            return None;
        }
        for node in list {
            let Some((month, money)) = cost(&node) else {
                whole = false;
                continue;
            };
            if costs.insert((month, money.currency), money.minor).is_some() {
                node.fault(format!("is a second cost of {month} in {}; add them up", money.currency));
                whole = false;
            }
        }
    }
    let statuses = match object.optional("statuses") {
        Some(node) => statuses(&node),
        None => Some(Vec::new()),
    };
    // Given and not readable is a fault, which stands already.
    let (name, channel) =
        (name.map_or(Some(None), |n| n.map(Some))?, channel.map_or(Some(None), |c| c.map(Some))?);
    let statuses = statuses?;
    whole.then_some(Campaign { name, channel, costs, statuses })
}

fn statuses(node: &Node<'_>) -> Option<Vec<Status>> {
    let list = node.list()?;
    if list.len() > MOST_STATUSES {
        node.fault(format!("has {} statuses; expected at most {MOST_STATUSES}", list.len()));
        return None;
    }
    let (mut statuses, mut whole): (Vec<Status>, bool) = (Vec::new(), true);
    for node in list {
        let Some(status) = status(&node) else {
            whole = false;
            continue;
        };
        if statuses.iter().any(|known| known.name == status.name) {
            node.fault(format!("names \"{}\" again", status.name));
            whole = false;
        }
        statuses.push(status);
    }
    whole.then_some(statuses)
}

fn status(node: &Node<'_>) -> Option<Status> {
    let object = node.object()?;
    let name = object.required("status").and_then(|node| node.parsed(status_name));
    let responded = match object.optional("responded") {
        Some(node) => node.boolean(),
        None => Some(false),
    };
    object.finish();
    Some(Status { name: name?, responded: responded? })
}

fn status_name(text: &str) -> Result<String, &'static str> {
    parse_kind(text).map_err(
        |_| "is no status; expected 1 to 63 of a-z, 0-9 and _, starting with a letter, such as registered",
    )
}

fn cost(node: &Node<'_>) -> Option<(Month, Money)> {
    let object = node.object()?;
    let month = object.required("month").and_then(|node| node.parsed(Month::parse));
    let money = object.required("cost").and_then(|node| {
        let money = wire::money(&node)?;
        if money.minor < 0 {
            node.fault("is less than nothing; a cost is what was paid");
            return None;
        }
        Some(money)
    });
    object.finish();
    Some((month?, money?))
}

/// Gives a campaign as it is written and stored.
#[must_use]
pub fn to_json(campaign: &Campaign) -> Value {
    let costs = campaign.costs.iter().map(|((month, currency), minor)| {
        let money = Money { minor: *minor, currency: *currency };
        json!({ "month": month.to_string(), "cost": wire::money_json(&money) })
    });
    let statuses = campaign.statuses.iter();
    let statuses = statuses.map(|status| json!({ "status": status.name, "responded": status.responded }));
    json!({
        "name": campaign.name, "channel": campaign.channel, "costs": costs.collect::<Vec<_>>(),
        "statuses": statuses.collect::<Vec<_>>(),
    })
}

/// Reads a campaign as it is stored.
#[must_use]
pub fn from_json(body: &Value) -> Option<Campaign> {
    let mut body = body.clone();
    body.as_object_mut()?.retain(|_, value| !value.is_null());
    wire::one(&body, |node| said(&node.object()?)).ok()
}

/// Reads what was declared of a campaign; `None` where nothing was.
///
/// # Errors
///
/// [`StoreError`].
pub async fn one(catalog: &dyn Catalog, id: &str) -> Result<Option<Campaign>, StoreError> {
    let Some(record) = catalog.get(CatalogKind::Campaign, id).await? else { return Ok(None) };
    from_json(&record.body).map(Some).ok_or_else(|| StoreError::Damaged(format!("campaign {id}")))
}

/// Lists every campaign by its id.
///
/// # Errors
///
/// [`StoreError`].
pub async fn all(catalog: &dyn Catalog) -> Result<BTreeMap<String, Campaign>, StoreError> {
    let (mut all, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = catalog.list(CatalogKind::Campaign, 100, cursor.as_deref()).await?;
        for record in page.items {
            let damaged = || StoreError::Damaged(format!("campaign {}", record.id));
            let campaign = from_json(&record.body).ok_or_else(damaged)?;
            all.insert(record.id, campaign);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<Campaign, Vec<String>> {
        let read = wire::one(body, |node| {
            let object = node.object()?;
            let said = said(&object);
            object.finish();
            said
        });
        read.map_err(|problem| problem.faults().iter().map(|fault| fault.pointer.clone()).collect())
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let cost = |month: &str, amount: &str, currency: &str| json!({"month": month, "cost": {"amount": amount, "currency": currency}});
        let body = json!({"name": "Spring", "channel": "email", "costs": [
            cost("2026-02", "10.50", "EUR"), cost("2026-02", "700", "JPY"), cost("2026-03", "0", "EUR")],
            "statuses": [{"status": "sent"}, {"status": "attended", "responded": true}]});
        let campaign = read(&body).unwrap();
        assert_eq!(campaign.costs.len(), 3);
        let statuses: Vec<_> = campaign.statuses.iter().map(|s| (s.name.as_str(), s.responded)).collect();
        assert_eq!(statuses, [("sent", false), ("attended", true)]);
        assert_eq!(from_json(&to_json(&campaign)), Some(campaign));
        assert_eq!(from_json(&to_json(&Campaign::default())), Some(Campaign::default()));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let body = json!({"name": 7, "colour": "red", "costs": [
            {"month": "2026-2", "cost": {"amount": "-1", "currency": "EUR"}},
            {"month": "2026-03", "cost": {"amount": "1.005", "currency": "EUR"}},
            {"month": "2026-04", "cost": {"amount": "1", "currency": "EUR"}},
            {"month": "2026-04", "cost": {"amount": "2", "currency": "EUR"}}]});
        let expected =
            ["/colour", "/costs/0/cost", "/costs/0/month", "/costs/1/cost/amount", "/costs/3", "/name"];
        let mut found = read(&body).unwrap_err();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(read(&json!({"costs": {}})).unwrap_err(), ["/costs"]);
        let statuses = json!({"statuses": [{"status": "Sent"}, {"responded": true}, {"status": "a", "responded": 1},
            {"status": "b", "rank": 1}, {"status": "b"}]});
        let mut found = read(&statuses).unwrap_err();
        found.sort();
        assert_eq!(
            found,
            [
                "/statuses/0/status",
                "/statuses/1/status",
                "/statuses/2/responded",
                "/statuses/3/rank",
                "/statuses/4"
            ]
        );
        assert_eq!(read(&json!({"statuses": vec![json!({"status": "a"}); 13]})).unwrap_err(), ["/statuses"]);
    }

    #[test]
    fn an_id_is_any_text_that_a_touch_may_carry() {
        assert_eq!(id(" Spring Sale/2026 ü ").unwrap(), "Spring Sale/2026 ü");
        for text in ["", "  ", "a\nb", &"x".repeat(301), &"ü€".repeat(250)] {
            assert!(id(text).is_err(), "{text:?}");
        }
    }
}
