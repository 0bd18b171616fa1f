//! Campaigns, what they cost, and the report that divides won deals among them: through the routers, on the database.
//!
//! The second reckoning starts from what was sent, touch by touch, and knows nothing of how a lead keeps its touches.

use adapters::http::Role;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::Failure;
use tests::World;

const MODELS: [&str; 6] = ["first_touch", "last_touch", "linear", "u_shaped", "w_shaped", "time_decay"];

fn day(n: i64) -> Timestamp {
    Timestamp::parse("2026-01-05T09:00:00Z").unwrap().plus(n * 86_400_000)
}

/// A lead as it is sent: its touches (day, hour, campaign) and its deals (id, opened, won, amount in cents).
#[derive(Clone, Debug, Default)]
struct Sent {
    touches: Vec<(i64, i64, Option<usize>)>,
    deals: Vec<(u64, Option<i64>, i64, Option<i64>)>,
}

const CAMPAIGNS: [(&str, &str); 4] =
    [("spring", "paid_search"), ("webinar", "email"), ("Messe Wien/2026", "event"), ("=winter", "email")];

/// Draws leads from a fixed seed, so that a failure can be looked at again.
fn drawn() -> Vec<Sent> {
    let mut state = 2_026_u64;
    let mut roll = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut leads: Vec<Sent> = (0..40)
        .map(|n| {
            let mut days = BTreeSet::new();
            (0..=roll(5)).for_each(|_| {
                days.insert(roll(90) as i64);
            });
            let campaign = |roll: u64| (roll < 4).then_some(roll as usize);
            let touches: Vec<_> = days.into_iter().map(|day| (day, 0, campaign(roll(5)))).collect();
            let first = touches[0].0;
            // Every third lead buys; each deal is shared by two of them now and then.
            let deals = if n % 3 == 0 {
                let won = first + 5 + roll(100) as i64;
                let opened = (roll(2) == 0).then(|| won - roll(5) as i64);
                vec![(n / 6, opened, won, (roll(4) > 0).then(|| 1 + roll(1_000_000) as i64))]
            } else {
                Vec::new()
            };
            Sent { touches, deals }
        })
        .collect();
    // One who answers all the time: five times on each of twelve days, which its lead folds.
    let busy = (0..60).map(|n| (n / 5 * 3, n % 5, Some((n / 5 % 3) as usize))).collect();
    leads.push(Sent { touches: busy, deals: vec![(99, Some(20), 31, Some(123_457))] });
    leads
}

async fn send(world: &World, leads: &[Sent]) {
    let who = |n: usize| json!({ "system": "x", "id": n.to_string() });
    let (mut captures, mut facts) = (Vec::new(), Vec::new());
    for (n, lead) in leads.iter().enumerate() {
        for (on, hour, campaign) in &lead.touches {
            let source = match campaign.map(|at| CAMPAIGNS[at]) {
                Some((campaign, channel)) => json!({ "campaign": campaign, "channel": channel }),
                // A touch that names neither campaign nor channel.
                None => json!({ "landing_page": "lp" }),
            };
            let at = day(*on).plus(hour * 3_600_000).to_string();
            captures.push(json!({ "external_id": who(n), "occurred_at": at, "source": source }));
        }
        for (id, opened, won, cents) in &lead.deals {
            let fact = |kind: &str, on: i64| {
                let at = day(on).plus(3_600_000).to_string();
                let deal = json!({ "system": "crm", "id": id.to_string() });
                json!({ "lead": { "external_id": who(n) }, "kind": kind, "occurred_at": at, "deal": deal, "by": "at-1" })
            };
            facts.extend(opened.map(|on| fact("opportunity", on)));
            let mut won = fact("won", *won);
            if let Some(cents) = cents {
                let amount = format!("{}.{:02}", cents / 100, cents % 100);
                won["amount"] = json!({ "amount": amount, "currency": "EUR" });
            }
            facts.push(won);
        }
    }
    // Backwards: in whatever order touches arrive, the same are kept.
    captures.reverse();
    for (path, list, items, role) in [
        ("/v1/leads/batch", "leads", captures, Role::Marketing),
        ("/v1/feedback/batch", "feedback", facts, Role::Sales),
    ] {
        for chunk in items.chunks(100) {
            let answer = world.post(role, path, &json!({ "mode": "history", (list): chunk })).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let results = answer.json()["results"].as_array().unwrap().clone();
            assert!(results.iter().all(|result| result["status"] != "rejected"), "{results:?}");
        }
    }
}

/// Divides one among touches as the words of a model say.
fn shares(model: &str, at: &[Timestamp], created: Timestamp, opened: Timestamp, won: Timestamp) -> Vec<f64> {
    let n = at.len();
    let by = |moment: Timestamp| (0..n).rev().find(|i| at[*i] <= moment).unwrap_or(0);
    let shape = |moments: &[usize], part: f64| {
        let others: Vec<usize> = (0..n).filter(|i| !moments.contains(i)).collect();
        let part = if others.is_empty() { 1.0 / moments.len() as f64 } else { part };
        let mut shares = vec![0.0; n];
        moments.iter().for_each(|i| shares[*i] += part);
        let rest = 1.0 - part * moments.len() as f64;
        others.iter().for_each(|i| shares[*i] += rest / others.len() as f64);
        shares
    };
    match model {
        "first_touch" => shape(&[0], 1.0),
        "last_touch" => shape(&[n - 1], 1.0),
        "linear" => vec![1.0 / n as f64; n],
        "u_shaped" => shape(&[0, by(created)], 0.4),
        "w_shaped" => shape(&[0, by(created), by(opened)], 0.3),
        _ => {
            let days = |at: &Timestamp| f64::from(won.day().0 - at.day().0);
            let raw: Vec<f64> = at.iter().map(|at| 0.5_f64.powf(days(at) / 7.0)).collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|one| one / sum).collect()
        }
    }
}

/// What each campaign is credited with: deals, and cents.
fn reckoned(leads: &[Sent], model: &str) -> BTreeMap<Option<&'static str>, (f64, f64)> {
    let mut credit = BTreeMap::new();
    let ids: BTreeSet<u64> = leads.iter().flat_map(|lead| lead.deals.iter().map(|deal| deal.0)).collect();
    for id in ids {
        let of: Vec<_> = leads
            .iter()
            .filter_map(|lead| Some((lead, lead.deals.iter().find(|deal| deal.0 == id)?)))
            .collect();
        let hour = |on: i64| day(on).plus(3_600_000);
        let won = of.iter().map(|(_, deal)| hour(deal.2)).min().unwrap();
        let opened = of.iter().filter_map(|(_, deal)| deal.1).map(hour).min().unwrap_or(won);
        let created = of.iter().map(|(lead, _)| day(lead.touches[0].0)).min().unwrap();
        let latest = of.iter().filter(|(_, deal)| deal.3.is_some()).max_by_key(|(_, deal)| deal.2);
        let cents = latest.and_then(|(_, deal)| deal.3).unwrap_or(0);
        let mut touches: Vec<_> = of
            .iter()
            .flat_map(|(lead, _)| lead.touches.iter())
            .map(|(on, hour, campaign)| (day(*on).plus(hour * 3_600_000), campaign.map(|at| CAMPAIGNS[at].0)))
            .filter(|(at, _)| *at <= won)
            .collect();
        touches.sort();
        let at: Vec<Timestamp> = touches.iter().map(|(at, _)| *at).collect();
        for ((_, campaign), share) in touches.iter().zip(shares(model, &at, created, opened, won)) {
            let (deals, money) = credit.entry(*campaign).or_insert((0.0, 0.0));
            *deals += share;
            *money += share * cents as f64;
        }
    }
    credit
}

/// Reads an amount of money in cents.
fn cents(sums: &Value) -> i64 {
    let amount = sums[0]["amount"].as_str().unwrap_or("0");
    amount.replace('.', "").parse().unwrap()
}

fn millionths(deals: &Value) -> i64 {
    (deals.as_f64().unwrap() * 1e6).round() as i64
}

#[tokio::test]
async fn the_report_on_the_database_credits_what_a_second_reckoning_of_what_was_sent_does() {
    let world = World::on_dynamo().await;
    let leads = drawn();
    send(&world, &leads).await;
    let report = world.get(Role::Sales, "/v1/reports/campaigns?group_by=campaign").await;
    let rows = report["rows"].as_array().unwrap();
    let deals: BTreeSet<u64> = leads.iter().flat_map(|lead| lead.deals.iter().map(|deal| deal.0)).collect();
    assert!(deals.len() >= 6, "enough deals to tell");
    let revenue: i64 = rows.iter().map(|row| cents(&row["revenue"])).sum();
    assert!(revenue > 0);
    for model in MODELS {
        let of = |row: &Value| row["models"][model].clone();
        let credited: i64 = rows.iter().map(|row| millionths(&of(row)["deals"])).sum();
        assert_eq!(credited, deals.len() as i64 * 1_000_000, "{model}: whole deals");
        let money: i64 = rows.iter().map(|row| cents(&of(row)["revenue"])).sum();
        assert_eq!(money, revenue, "{model}: to the cent");
        let reckoned = reckoned(&leads, model);
        for row in rows {
            let (expected, expected_cents) =
                reckoned.get(&row["campaign"].as_str()).copied().unwrap_or_default();
            let (found, found_cents) = (millionths(&of(row)["deals"]), cents(&of(row)["revenue"]));
            let name = &row["campaign"];
            let most = deals.len() as f64;
            assert!((found as f64 - expected * 1e6).abs() <= most, "{model} {name}: {found} for {expected}");
            let off = (found_cents as f64 - expected_cents).abs();
            assert!(off <= most, "{model} {name}: {found_cents} for {expected_cents}");
        }
    }
    // The models tell different stories, or nothing was compared.
    let stories: BTreeSet<String> = MODELS
        .iter()
        .map(|model| {
            rows.iter().map(|row| row["models"][model]["deals"].to_string()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(stories.len(), MODELS.len());
}

/// Gives all leads behind a figure, page by page.
async fn behind(world: &World, query: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/reports/campaigns/leads?{query}&limit={limit}{cursor}");
        let page = world.get(Role::Marketing, &path).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        all.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encoded(next)),
            None => return all,
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[tokio::test]
async fn every_figure_opens_to_as_many_leads_as_it_counts_each_once() {
    let world = World::on_dynamo().await;
    let leads = drawn();
    send(&world, &leads).await;
    for (group, basis) in [("campaign", "cohort"), ("channel", "period")] {
        let asked = format!("group_by={group}&basis={basis}&from=2026-01-10&to=2026-03-20");
        let report = world.get(Role::Sales, &format!("/v1/reports/campaigns?{asked}")).await;
        for row in report["rows"].as_array().unwrap() {
            let name = encoded(row[group].as_str().unwrap_or_default());
            for figure in ["leads", "won", "lost", "open"] {
                let found = behind(&world, &format!("{asked}&row={name}&figure={figure}"), 7).await;
                let ids: BTreeSet<&str> =
                    found.iter().map(|lead| lead["lead_id"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), found.len(), "each once");
                assert_eq!(json!(found.len()), row[figure], "{group} {} {figure}", row[group]);
            }
            let credited = behind(&world, &format!("{asked}&row={name}&figure=credited"), 100).await;
            let any = MODELS.iter().any(|model| row["models"][model]["deals"] != json!(0.0));
            assert_eq!(!credited.is_empty(), any, "{group} {}", row[group]);
            assert!(credited.iter().all(|lead| !lead["won_deals"].as_array().unwrap().is_empty()));
        }
    }
    let everybody = behind(&world, "group_by=channel", 200).await;
    assert_eq!(everybody.len(), leads.len());
}

#[tokio::test]
async fn what_is_behind_a_figure_is_asked_for_in_the_words_of_the_report() {
    let world = World::new().await;
    let path = "/v1/reports/campaigns/leads?group_by=colour&figure=rich&cursor=here&from=x";
    let answer = world.call(Role::Marketing, "GET", path).send().await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.pointers(), ["/cursor", "/figure", "/from", "/group_by"].map(String::from));
}

async fn declare(world: &World, id: &str, body: &Value) -> Value {
    world
        .call(Role::Marketing, "PUT", &format!("/v1/campaigns/{}", encoded(id)))
        .json(body)
        .expect(200)
        .await
        .json()
}

fn cost(month: &str, amount: &str) -> Value {
    json!({ "month": month, "cost": { "amount": amount, "currency": "EUR" } })
}

#[tokio::test]
async fn costs_stand_beside_what_they_brought_and_count_by_the_days_that_are_asked_about() {
    let world = World::on_dynamo().await;
    send(&world, &drawn()).await;
    let costs = json!([cost("2026-01", "310.00"), cost("2026-02", "280.00"), cost("2027-01", "999.00")]);
    declare(&world, "spring", &json!({ "channel": "paid_search", "costs": costs })).await;
    declare(&world, "Messe Wien/2026", &json!({ "costs": [cost("2026-02", "28.00")] })).await;
    declare(&world, "nobody came", &json!({ "channel": "print", "costs": [cost("2026-02", "56.00")] })).await;
    let rows = async |query: &str| -> Map<String, Value> {
        let report = world.get(Role::Sales, &format!("/v1/reports/campaigns?tz=Europe/Vienna{query}")).await;
        let group = report["group_by"].as_str().unwrap().to_owned();
        let rows = report["rows"].as_array().unwrap().iter();
        rows.map(|row| (row[&group].as_str().unwrap_or("unnamed").to_owned(), row.clone())).collect()
    };
    let euros = |text: &str| json!([{ "amount": text, "currency": "EUR" }]);

    let all = rows("&group_by=campaign").await;
    let spring = &all["spring"];
    assert_eq!(spring["cost"], euros("590.00"), "next year is not spent yet");
    for (name, count) in [("cost_per_lead", "leads"), ("cost_per_won", "won")] {
        let count = spring[count].as_i64().unwrap();
        assert_eq!(cents(&spring[name]), (59_000 + count / 2) / count, "{name}");
    }
    let nobody = &all["nobody came"];
    assert_eq!(
        (&nobody["leads"], &nobody["cost"], &nobody["cost_per_lead"]),
        (&json!(0), &euros("56.00"), &json!([]))
    );
    assert_eq!((&all["webinar"]["cost"], &all["webinar"]["cost_per_lead"]), (&json!([]), &json!([])));

    let half = rows("&group_by=campaign&from=2026-02-15&to=2026-03-01").await;
    assert_eq!(half["Messe Wien/2026"]["cost"], euros("14.00"));
    assert_eq!(half["spring"]["cost"], euros("140.00"));

    let channels = rows("").await;
    assert_eq!(
        (&channels["paid_search"]["cost"], &channels["print"]["cost"]),
        (&euros("590.00"), &euros("56.00"))
    );
    assert_eq!(channels["unnamed"]["cost"], euros("28.00"), "its record names no channel");
    assert!(rows("&group_by=landing_page").await.values().all(|row| row["cost"] == json!([])));

    let csv = world
        .call(Role::Sales, "GET", "/v1/reports/campaigns?group_by=campaign")
        .header("accept", "text/csv");
    let csv = csv.expect(200).await.text();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    let lines: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    let column =
        |name: &str| head.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}: {csv}"));
    for line in &lines {
        let name = line.get(0).unwrap().trim_start_matches('\'');
        let row = &all[if name.is_empty() { "unnamed" } else { name }];
        let said = |name: &str| line.get(column(name)).unwrap().to_owned();
        for model in MODELS {
            assert_eq!(said(&format!("{model}_deals")), row["models"][model]["deals"].to_string());
            let money = row["models"][model]["revenue"][0]["amount"].as_str().unwrap_or_default();
            assert_eq!(said(&format!("{model}_revenue_eur")), money);
        }
        assert_eq!(said("cost_eur"), row["cost"][0]["amount"].as_str().unwrap_or_default());
        assert_eq!(said("cost_per_lead_eur"), row["cost_per_lead"][0]["amount"].as_str().unwrap_or_default());
    }
    assert_eq!(lines.len(), all.len());
}

#[tokio::test]
async fn a_list_of_campaigns_adds_months_and_the_same_list_again_changes_nothing() {
    let world = World::new().await;
    let list = json!({ "campaigns": [
        { "id": "spring", "name": "Spring", "costs": [cost("2026-02", "10")] },
        { "id": "spring", "channel": "email", "costs": [cost("2026-03", "20")] },
        { "id": "", "costs": [cost("2026-13", "-1")] },
        "autumn",
    ]});
    let statuses = async || -> Vec<Value> {
        let answer = world.post(Role::Marketing, "/v1/campaigns", &list).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect()
    };
    assert_eq!(statuses().await, ["created", "updated", "rejected", "rejected"]);
    let spring = world.get(Role::Sales, "/v1/campaigns/spring").await;
    let costs = json!([cost("2026-02", "10.00"), cost("2026-03", "20.00")]);
    assert_eq!(
        spring,
        json!({ "id": "spring", "name": "Spring", "channel": "email", "costs": costs, "statuses": [] })
    );
    assert_eq!(statuses().await, ["unchanged", "unchanged", "rejected", "rejected"]);
    assert_eq!(world.get(Role::Sales, "/v1/campaigns").await["items"], json!([spring]));
    // Written whole, what is not said is no longer known.
    let whole = declare(&world, "spring", &json!({ "costs": [] })).await;
    assert_eq!(whole, json!({ "id": "spring", "name": null, "channel": null, "costs": [], "statuses": [] }));
    let faults =
        world.post(Role::Marketing, "/v1/campaigns", &json!({ "campaigns": [], "mode": "live" })).await;
    assert_eq!((faults.status, faults.pointers()), (422, vec!["/campaigns".to_owned(), "/mode".to_owned()]));
}

#[tokio::test]
async fn a_cost_that_is_written_while_another_one_is_is_not_lost() {
    let world = World::new().await;
    declare(&world, "spring", &json!({ "costs": [cost("2026-02", "10")] })).await;
    let list = json!({ "campaigns": [{ "id": "spring", "costs": [cost("2026-03", "20")] }] });
    let status = async || {
        let answer = world.post(Role::Marketing, "/v1/campaigns", &list).await;
        answer.json()["results"][0]["status"].as_str().unwrap().to_owned()
    };
    world.failures.take_calls();
    world.failures.on_write(1, Failure::Conflict);
    assert_eq!(status().await, "updated");
    let puts = world.failures.take_calls().iter().filter(|call| call.contains("put")).count();
    assert_eq!(puts, 2, "written again on top of what was there by then");
    // An answer that got lost: the same list once more finds that it was written.
    let list = json!({ "campaigns": [{ "id": "spring", "costs": [cost("2026-04", "30")] }] });
    world.failures.on_write(1, Failure::TimedOutAfterWrite);
    let lost = world.post(Role::Marketing, "/v1/campaigns", &list).await.json();
    assert_eq!(
        (&lost["results"][0]["status"], &lost["results"][0]["problem"]["status"]),
        (&json!("rejected"), &json!(503))
    );
    let again = world.post(Role::Marketing, "/v1/campaigns", &list).await.json();
    assert_eq!(again["results"][0]["status"], "unchanged");
    let spring = world.get(Role::Sales, "/v1/campaigns/spring").await;
    assert_eq!(spring["costs"].as_array().map(Vec::len), Some(3));
}

/// A webinar's statuses in their order; who registered or attended responded.
async fn declare_webinar(world: &World) {
    let status = |name: &str, responded: bool| json!({ "status": name, "responded": responded });
    let statuses = [("sent", false), ("no_show", false), ("registered", true), ("attended", true)];
    let statuses = statuses.map(|(name, responded)| status(name, responded));
    declare(world, "webinar", &json!({ "channel": "email", "statuses": statuses })).await;
}

fn told(who: &str, at: &str, status: &str) -> Value {
    json!({
        "lead": { "email": format!("{who}@company.example") }, "kind": "campaign_member", "occurred_at": at,
        "id": format!("{who} {status}"), "properties": { "campaign": "webinar", "status": status },
    })
}

#[tokio::test]
async fn members_of_a_campaign_have_the_furthest_status_that_was_told_of_them() {
    let world = World::on_dynamo().await;
    declare_webinar(&world).await;
    let mut activities = vec![
        told("ada", "2026-02-01T09:00:00Z", "sent"),
        told("ada", "2026-02-03T09:00:00Z", "registered"),
        told("ada", "2026-03-05T18:00:00Z", "attended"),
        told("ben", "2026-02-01T09:00:00Z", "sent"),
        told("cyd", "2026-02-01T09:00:00Z", "sent"),
        told("cyd", "2026-02-04T09:00:00Z", "registered"),
        // Told last, and still not backwards.
        told("cyd", "2026-03-05T19:00:00Z", "no_show"),
        told("dan", "2026-03-02T09:00:00Z", "registered"),
    ];
    // Whatever the sender says of it, sent is no response.
    activities[3]["properties"]["responded"] = json!(true);
    activities.reverse();
    let body = json!({ "mode": "history", "activities": activities });
    let send = async || -> Vec<Value> {
        let answer = world.post(Role::Capture, "/v1/activities", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect()
    };
    assert!(send().await.iter().all(|status| status == "created" || status == "updated"));
    assert!(send().await.iter().all(|status| status == "unchanged"));

    let row = async |query: &str| -> Value {
        let path = format!("/v1/reports/campaigns?group_by=campaign&tz=UTC{query}");
        let report = world.get(Role::Marketing, &path).await;
        let rows = report["rows"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["campaign"] == "webinar").unwrap_or_default()
    };
    let counts = |row: &Value| -> (u64, u64, Vec<(String, u64)>) {
        let statuses = row["statuses"].as_array().unwrap().iter();
        let statuses =
            statuses.map(|s| (s["status"].as_str().unwrap().to_owned(), s["leads"].as_u64().unwrap()));
        (row["members"].as_u64().unwrap(), row["responded"].as_u64().unwrap(), statuses.collect())
    };
    let statuses = |n: [u64; 4]| {
        ["sent", "no_show", "registered", "attended"]
            .into_iter()
            .map(str::to_owned)
            .zip(n)
            .collect::<Vec<_>>()
    };
    let all = row("").await;
    assert_eq!(counts(&all), (4, 3, statuses([1, 0, 2, 1])));
    assert_eq!(all["leads"], 3, "who was only sent something is a contact");
    // Became members in February, with what they are now; came to their status in February.
    let february = "&from=2026-02-01&to=2026-03-01";
    assert_eq!(counts(&row(february).await), (3, 2, statuses([1, 0, 1, 1])));
    assert_eq!(counts(&row(&format!("{february}&basis=period")).await), (2, 1, statuses([1, 0, 1, 0])));

    let behind = async |query: &str| -> usize {
        let path = format!("/v1/reports/campaigns/leads?group_by=campaign&row=webinar&figure=members{query}");
        world.get(Role::Marketing, &path).await["items"].as_array().unwrap().len()
    };
    assert_eq!(
        (behind("").await, behind("&status=registered").await, behind("&status=no_show").await),
        (4, 2, 0)
    );
    assert_eq!(behind("&tz=UTC&from=2026-02-01&to=2026-03-01&basis=period&status=registered").await, 1);
    let path = "/v1/reports/campaigns/leads?figure=members";
    let faults = world.call(Role::Marketing, "GET", path).send().await;
    assert_eq!(faults.pointers(), ["/group_by", "/row"]);
    let path = "/v1/reports/campaigns/leads?figure=won&status=sent";
    assert_eq!(world.call(Role::Marketing, "GET", path).send().await.pointers(), ["/status"]);

    let csv = world
        .call(Role::Sales, "GET", "/v1/reports/campaigns?group_by=campaign")
        .header("accept", "text/csv");
    let csv = csv.expect(200).await.text();
    assert!(
        csv.lines().next().is_some_and(|head| head.ends_with(",qualified,accepted,members,responded")),
        "{csv}"
    );
    assert!(csv.lines().any(|line| line.starts_with("webinar,3,") && line.ends_with(",0,0,4,3")), "{csv}");
}

#[tokio::test]
async fn a_status_that_nobody_declared_is_refused_alone_and_a_page_tells_of_none() {
    let world = World::new().await;
    declare_webinar(&world).await;
    let mut wrong = told("ada", "2026-02-01T09:00:00Z", "dreamt");
    let answer = world.post(Role::Capture, "/v1/activities", &wrong).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/properties/status".to_owned()]));
    assert!(answer.text().contains("sent, no_show, registered, attended"), "{}", answer.text());
    wrong["properties"]["campaign"] = json!("spring");
    let body = json!({ "activities": [wrong, told("ben", "2026-02-01T09:00:00Z", "sent")] });
    let results = world.post(Role::Capture, "/v1/activities", &body).await.json();
    assert_eq!(results["results"][0]["problem"]["errors"][0]["pointer"], "/properties/campaign", "{results}");
    assert_eq!(results["results"][1]["status"], "created");
    let members = async || {
        let path = "/v1/reports/campaigns/leads?group_by=campaign&row=webinar&figure=members";
        world.get(Role::Marketing, path).await["items"].clone()
    };
    assert_eq!(members().await.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&members().await[0]["status"], &members().await[0]["responded_at"]),
        (&json!("sent"), &Value::Null)
    );
}

#[tokio::test]
async fn qualified_and_accepted_count_who_came_so_far_or_further() {
    let world = World::on_dynamo().await;
    send(&world, &drawn()).await;
    let report = world.get(Role::Sales, "/v1/reports/campaigns?group_by=campaign").await;
    for row in report["rows"].as_array().unwrap() {
        // Every won lead passed both, and these leads know no other way.
        assert_eq!((&row["qualified"], &row["accepted"]), (&row["won"], &row["won"]), "{row}");
        let name = row["campaign"].as_str().unwrap_or_default();
        let query = format!("group_by=campaign&figure=accepted&row={}", encoded(name));
        assert_eq!(behind(&world, &query, 7).await.len() as u64, row["accepted"].as_u64().unwrap());
    }
}
