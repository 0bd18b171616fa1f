//! Members of campaigns: what is told of them has to be declared.
//!
//! A status means what the campaign's record says: how far it is, and whether who has it responded. The rules of the domain
//! know no records, so that the door looks it up: what nobody declared is refused, and whether it is a response
//! becomes a property of the activity, where it stays as it was when it was told, whatever the sender says.

use crate::request::{Item, Items};
use adapters::campaigns;
use adapters::http::Problem;
use adapters::ports::Catalog;
use domain::activity::{Activity, MEMBER};
use domain::attribute::AttributeValue;
use domain::campaign::Campaign;
use domain::change::Fact;
use domain::fault::Faults;
use std::collections::HashMap;

/// Holds the statuses of members against what their campaigns declare.
///
/// # Errors
///
/// The faults of the one; those of one of many are its own.
pub(crate) async fn declared(catalog: &dyn Catalog, items: Items) -> Result<Items, Problem> {
    // A request is mostly about one campaign.
    let mut known = HashMap::new();
    match items {
        Items::One(mut item) => {
            look_up(catalog, &mut known, &item).await?;
            hold(&known, &mut item)?;
            Ok(Items::One(item))
        }
        Items::Many(mut items) => {
            for read in &mut items {
                let Ok(item) = read else { continue };
                look_up(catalog, &mut known, item).await?;
                if let Err(problem) = hold(&known, item) {
                    *read = Err(problem);
                }
            }
            Ok(Items::Many(items))
        }
    }
}

fn text<'a>(activity: &'a Activity, name: &str) -> &'a str {
    match activity.properties.get(name) {
        Some(AttributeValue::Text(text)) => text.trim(),
        _ => "",
    }
}

async fn look_up(
    catalog: &dyn Catalog,
    known: &mut HashMap<String, Option<Campaign>>,
    item: &Item,
) -> Result<(), Problem> {
    let Fact::Activity(activity) = &item.fact.fact else { return Ok(()) };
    let id = text(activity, "campaign");
    if activity.kind == MEMBER && !known.contains_key(id) {
        let campaign = match campaigns::id(id) {
            Ok(id) => campaigns::one(catalog, &id).await?,
            Err(_) => None,
        };
        known.insert(id.to_owned(), campaign);
    }
    Ok(())
}

fn hold(known: &HashMap<String, Option<Campaign>>, item: &mut Item) -> Result<(), Problem> {
    let Fact::Activity(activity) = &mut item.fact.fact else { return Ok(()) };
    if activity.kind != MEMBER {
        return Ok(());
    }
    let (id, name) = (text(activity, "campaign").to_owned(), text(activity, "status").to_owned());
    let faults = Faults::new();
    let campaign = known.get(&id).and_then(Option::as_ref).filter(|campaign| !campaign.statuses.is_empty());
    let status = campaign.and_then(|campaign| campaign.status(&name));
    match (campaign, status) {
        (None, _) => faults.add(
            "/properties/campaign",
            "declares no statuses of members; PUT /v1/campaigns/{campaign_id} declares them",
        ),
        (Some(campaign), None) => {
            let names: Vec<&str> = campaign.statuses.iter().map(|status| status.name.as_str()).collect();
            faults.add(
                "/properties/status",
                format!("is none of the campaign's; expected one of: {}", names.join(", ")),
            );
        }
        _ => {}
    }
    let status = faults.into_result(status).map_err(Problem::invalid)?;
    for (name, value) in [
        ("campaign", AttributeValue::Text(id)),
        ("status", AttributeValue::Text(name)),
        ("responded", AttributeValue::Flag(status.responded)),
    ] {
        activity.properties.insert(name.to_owned(), value);
    }
    Ok(())
}
