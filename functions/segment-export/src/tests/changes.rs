//! What changed since the last export.

use super::*;
use domain::identity::Identity;
use domain::suppression::Reason;

fn since_last(format: &str) -> Value {
    json!({"format": format, "purpose": "marketing", "since": "last", "columns": ["email", "lead_id", "attributes.note"]})
}

/// A lead in the segment, with consent for everything that these tests export.
fn somebody(n: usize, note: &str) -> Lead {
    let mut lead = lead(n).with("note", AttributeValue::Text(note.to_owned())).ready().lead();
    for purpose in [Purpose::Marketing, Purpose::AdAudience] {
        consent_to(&mut lead, purpose, ConsentStatus::Confirmed);
    }
    lead
}

fn withdrawn(lead: &Lead, purpose: Purpose) -> Lead {
    let mut lead = lead.clone();
    consent_to(&mut lead, purpose, ConsentStatus::Withdrawn);
    lead
}

fn left(lead: &Lead) -> Lead {
    let mut lead = lead.clone();
    lead.attributes.insert(name("country"), value(AttributeValue::Text("US".to_owned())));
    lead
}

fn noting(lead: &Lead, note: &str) -> Lead {
    let mut lead = lead.clone();
    lead.attributes.insert(name("note"), value(AttributeValue::Text(note.to_owned())));
    lead
}

fn known_by(lead: &Lead, identities: Vec<Identity>) -> Lead {
    Lead { identities, ..lead.clone() }
}

impl World {
    /// Makes an export, and gives the answer once it is done; a second after the one before.
    async fn made(&self, body: Value) -> Value {
        self.later(1_000);
        let id = self.export(body).await;
        self.work().await;
        let answer = self.look(&id).await;
        assert_eq!(answer["status"], "done", "{answer}");
        sound(self, &answer);
        answer
    }

    /// Gives the rows of a file of an export, in order.
    fn rows(&self, answer: &Value, file: usize) -> Vec<Vec<String>> {
        let link = answer["files"][file]["link"].as_str().unwrap();
        let key = link.trim_start_matches("https://files.example/").trim_end_matches("?signed");
        let bytes = self.files.inner.file(key).unwrap().bytes;
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let mut rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        rows.sort();
        rows
    }
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[tokio::test]
async fn the_first_export_of_changes_has_everybody_and_the_next_one_what_changed_and_why() {
    let world = World::new().await;
    let leads: Vec<Lead> = (0..7).map(|n| somebody(n, "old")).collect();
    leads[..6].iter().for_each(|lead| world.store.put(lead.clone()));
    let first = world.made(since_last("csv")).await;
    assert_eq!((&first["changes_since"], &first["rows"]), (&Value::Null, &json!(6)));
    assert!(world.rows(&first, 0).iter().all(|row| row[0] == "added" && row[1].is_empty()));

    world.store.put(noting(&leads[1], "new"));
    world.store.put(left(&leads[2]));
    world.store.put(withdrawn(&leads[3], Purpose::Marketing));
    world.store.forget(&leads[4].id);
    // Left the segment and withdrew: what was withdrawn is what counts.
    world.store.put(left(&withdrawn(&leads[5], Purpose::Marketing)));
    world.store.put(leads[6].clone());
    let second = world.made(since_last("csv")).await;
    assert_eq!(second["target"], first["target"]);
    assert_eq!(second["changes_since"]["export_id"], first["export_id"]);
    let (email, id) = (|n: usize| format!("lead{n}@company.example"), |n: usize| leads[n].id.as_str());
    let removed = |n: usize, reason: &str| row(&["removed", reason, &email(n), id(n), ""]);
    let mut expected = vec![
        row(&["added", "", &email(6), id(6), "old"]),
        row(&["changed", "", &email(1), id(1), "new"]),
        removed(2, "left_segment"),
        removed(3, "consent_withdrawn"),
        removed(4, "erased"),
        removed(5, "consent_withdrawn"),
    ];
    expected.sort();
    assert_eq!(world.rows(&second, 0), expected);
    assert_eq!(second["changes"], json!({"added": 1, "changed": 1, "removed": 4, "replaced": 0}));
    assert_eq!(second["left_out"]["consent_withdrawn"], 1, "of those in the segment");
    assert_eq!(second["files"][0]["manifest"]["columns"][0], "change");

    let third = world.made(since_last("csv")).await;
    assert_eq!((&third["rows"], &third["changes_since"]["export_id"]), (&json!(0), &second["export_id"]));
    // Who comes back is added again.
    world.store.put(leads[2].clone());
    assert_eq!(
        world.rows(&world.made(since_last("csv")).await, 0),
        [row(&["added", "", &email(2), id(2), "old"])]
    );
}

#[tokio::test]
async fn who_may_not_be_written_to_is_taken_back_from_lists_and_audiences_whatever_they_agreed_to() {
    let world = World::new().await;
    let leads: Vec<Lead> = (0..3).map(|n| somebody(n, "old")).collect();
    leads.iter().for_each(|lead| world.store.put(lead.clone()));
    let audience = json!({"preset": "meta_custom_audiences", "since": "last"});
    for body in [since_last("csv"), audience.clone()] {
        assert_eq!(world.made(body).await["rows"], 3);
    }
    let listed = |lead: &Lead, reason: Reason| Lead { suppressed: Some(reason), ..lead.clone() };
    world.store.put(listed(&leads[0], Reason::Bounced));
    world.store.put(listed(&leads[1], Reason::Legal));
    let list = world.made(since_last("csv")).await;
    let removed = |n: usize| {
        row(&["removed", "suppressed", &format!("lead{n}@company.example"), leads[n].id.as_str(), ""])
    };
    assert_eq!(world.rows(&list, 0), [removed(0), removed(1)]);
    assert_eq!(list["left_out"]["suppressed"], 2);
    let audience = world.made(audience).await;
    assert_eq!((world.rows(&audience, 0).len(), world.rows(&audience, 1).len()), (0, 2));
    // Whom nobody may write to may be called, if they agreed to that.
    let mut called = listed(&leads[2], Reason::Bounced);
    consent_to(&mut called, Purpose::Phone, ConsentStatus::Confirmed);
    world.store.put(called);
    let calls = json!({"format": "csv", "purpose": "phone", "columns": ["lead_id", "phone"]});
    assert_eq!(world.made(calls).await["rows"], 1);
}

#[tokio::test]
async fn an_export_of_everybody_moves_the_mark_too_and_another_target_has_its_own() {
    let world = World::new().await;
    world.store.put(somebody(1, "old"));
    let mut body = since_last("csv");
    body["since"] = json!("nothing");
    let whole = world.made(body).await;
    assert_eq!((&whole["changes"], &whole["changes_since"]), (&Value::Null, &Value::Null));
    let changes = world.made(since_last("csv")).await;
    assert_eq!((&changes["rows"], &changes["target"]), (&json!(0), &whole["target"]));
    assert_eq!(changes["changes_since"]["export_id"], whole["export_id"]);
    let lines = world.made(since_last("jsonl")).await;
    assert_eq!(
        (&lines["rows"], &lines["changes_since"]),
        (&json!(1), &Value::Null),
        "JSON Lines are another target"
    );
    assert_ne!(lines["target"], whole["target"]);
    let ledgers: Vec<String> =
        world.files.inner.keys().into_iter().filter(|key| key.starts_with("ledgers/")).collect();
    assert_eq!(ledgers.len(), 2, "one for each target: {ledgers:?}");
}

#[tokio::test]
async fn json_lines_say_in_fields_what_a_row_is() {
    let world = World::new().await;
    let one = somebody(1, "=1+1");
    world.store.put(one.clone());
    world.made(since_last("jsonl")).await;
    world.store.forget(&one.id);
    let answer = world.made(since_last("jsonl")).await;
    let id = answer["export_id"].as_str().unwrap();
    let bytes = world.file(&format!("{id}-changes"), "jsonl").bytes;
    let line: Value = serde_json::from_slice(&bytes).unwrap();
    let expected = json!({
        "change": "removed", "reason": "erased", "email": "lead1@company.example", "lead_id": one.id.as_str(),
        "attributes.note": null,
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn where_the_lead_s_id_is_no_column_another_address_takes_the_old_one_back() {
    let world = World::new().await;
    let one = somebody(1, "old");
    world.store.put(one.clone());
    let mut body = since_last("csv");
    body["columns"] = json!(["email", "attributes.note"]);
    world.made(body.clone()).await;
    world.store.put(known_by(&one, vec![email("new@company.example")]));
    let answer = world.made(body).await;
    let expected = [
        row(&["changed", "", "new@company.example", "old"]),
        row(&["removed", "replaced", "lead1@company.example", ""]),
    ];
    assert_eq!(world.rows(&answer, 0), expected);
    assert_eq!(answer["changes"], json!({"added": 0, "changed": 1, "removed": 0, "replaced": 1}));
}

fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[tokio::test]
async fn a_preset_is_what_its_destination_takes_and_leaves_out_whom_it_could_not_match() {
    let world = World::new().await;
    let ada = a_lead().known_by(email("Ada.Love+x@gmail.com")).known_by(phone("+43 664 1234567")).ready();
    let ada = ada.with("full_name", AttributeValue::Text("Ada O'Lovelace".to_owned()));
    let mut ada = ada.with("zip", AttributeValue::Text(" 1010 ".to_owned())).lead();
    let mut nameless = known_by(
        &somebody(2, ""),
        vec![Identity::External(domain::identity::ExternalId::new("crm", "1").unwrap())],
    );
    let mut pending = somebody(3, "");
    for lead in [&mut ada, &mut nameless] {
        consent_to(lead, Purpose::AdAudience, ConsentStatus::Confirmed);
    }
    pending.consents = Default::default();
    consent_to(&mut pending, Purpose::AdAudience, ConsentStatus::Pending);
    // Consent to be written to is none to be matched.
    consent_to(&mut pending, Purpose::Marketing, ConsentStatus::Confirmed);
    [&ada, &nameless, &pending].into_iter().for_each(|lead| world.store.put(lead.clone()));

    let google = world.made(json!({"preset": "google_customer_match"})).await;
    let left_out = json!({"no_consent": 0, "consent_pending": 1, "consent_withdrawn": 0, "suppressed": 0, "nothing_to_match_by": 1, "withdrew_elsewhere": 0});
    assert_eq!(
        (&google["rows"], &google["left_out"], &google["purpose"]),
        (&json!(1), &left_out, &json!("ad_audience"))
    );
    let columns = &google["files"][0]["manifest"]["columns"];
    assert_eq!(columns, &json!(["Email", "Phone", "First Name", "Last Name", "Country", "Zip"]));
    let expected = [
        hash("adalove@gmail.com"),
        hash("+436641234567"),
        hash("ada"),
        hash("o'lovelace"),
        "AT".to_owned(),
        "1010".to_owned(),
    ];
    assert_eq!(world.rows(&google, 0), [expected]);

    let meta = world.made(json!({"preset": "meta_custom_audiences", "purpose": "ad_audience"})).await;
    let columns = &meta["files"][0]["manifest"]["columns"];
    assert_eq!(columns, &json!(["email", "phone", "fn", "ln", "country", "zip"]));
    let expected = ["ada.love+x@gmail.com", "436641234567", "ada", "olovelace", "at", "1010"].map(hash);
    assert_eq!(world.rows(&meta, 0), [expected]);
}

#[tokio::test]
async fn an_audience_s_changes_are_a_file_to_add_and_a_file_to_remove() {
    let world = World::new().await;
    let leads: Vec<Lead> = (0..6).map(|n| somebody(n, "")).collect();
    leads[..5].iter().for_each(|lead| world.store.put(lead.clone()));
    let body = json!({"preset": "meta_custom_audiences", "since": "last"});
    let first = world.made(body.clone()).await;
    assert_eq!((world.rows(&first, 0).len(), world.rows(&first, 1).len()), (5, 0));

    let other = vec![email("other@company.example")];
    world.store.put(known_by(&leads[1], other));
    let more = vec![email("lead2@company.example"), phone("+436641234567")];
    world.store.put(known_by(&leads[2], more));
    world.store.put(withdrawn(&leads[3], Purpose::AdAudience));
    world.store.forget(&leads[4].id);
    world.store.put(leads[5].clone());
    let second = world.made(body.clone()).await;
    let holds = |n: usize| second["files"][n]["manifest"]["holds"].clone();
    assert_eq!((holds(0), holds(1)), (json!("add"), json!("remove")));
    let of = |n: usize| hash(&format!("lead{n}@company.example"));
    let emails = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[0].clone()).collect::<BTreeSet<_>>();
    let added = emails(world.rows(&second, 0));
    assert_eq!(added, BTreeSet::from([hash("other@company.example"), of(2), of(5)]));
    let removed = world.rows(&second, 1);
    assert_eq!(emails(removed.clone()), BTreeSet::from([of(1), of(3), of(4)]));
    let replaced = removed.iter().find(|row| row[0] == of(1)).unwrap();
    assert!(replaced[1..].iter().all(String::is_empty), "only what no longer holds: {replaced:?}");
    assert_eq!(second["changes"], json!({"added": 1, "changed": 2, "removed": 2, "replaced": 1}));
    assert_eq!(second["left_out"]["consent_withdrawn"], 1);
    assert_eq!(world.made(body).await["rows"], 0);
}

#[tokio::test]
async fn an_export_that_failed_does_not_move_the_mark() {
    let world = World::new().await;
    world.store.put(somebody(1, "old"));
    let first = world.made(since_last("csv")).await;
    world.store.put(somebody(2, "old"));
    let failed = world.export(since_last("csv")).await;
    for _ in 0..=MOST_ATTEMPTS {
        world.failures.outage();
        assert!(run_job(&world.app, &failed).await.is_err());
        world.failures.heal();
        world.later(LEASE_MS);
    }
    // Nobody got anywhere, ten times.
    for _ in 0..=MOST_ATTEMPTS {
        *world.files.fails.lock().unwrap() = Some((world.files.calls() + 1, false));
        let _fails = run_job(&world.app, &failed).await;
        world.later(LEASE_MS);
    }
    *world.files.fails.lock().unwrap() = None;
    run_job(&world.app, &failed).await.unwrap();
    let answer = world.look(&failed).await;
    assert_eq!(
        (&answer["status"], &answer["files"], &answer["link"]),
        (&json!("failed"), &json!([]), &Value::Null)
    );
    assert_eq!(world.files.inner.file(&format!("exports/{failed}-changes.csv")), None);
    let next = world.made(since_last("csv")).await;
    assert_eq!((&next["rows"], &next["changes_since"]["export_id"]), (&json!(1), &first["export_id"]));
}

#[tokio::test]
async fn of_two_exports_of_changes_at_once_the_later_one_begins_anew_from_the_earlier() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    let mut body = wide("csv");
    body["since"] = json!("last");
    let base = world.made(body.clone()).await;
    *many.says.lock().unwrap() = "later";
    world.app.work_for = Duration::ZERO;
    let (one, other) = (world.export(body.clone()).await, world.export(body).await);
    run_job(&world.app, &other).await.unwrap();
    world.app.work_for = WORK_FOR;
    run_job(&world.app, &one).await.unwrap();
    let first = world.look(&one).await;
    assert_eq!((&first["changes_since"]["export_id"], &first["rows"]), (&base["export_id"], &base["rows"]));
    assert!(run_job(&world.app, &other).await.is_err(), "its beginning is of no use any more");
    assert_eq!(world.files.inner.file(&format!("exports/{other}-changes.csv")), None);
    run_job(&world.app, &other).await.unwrap();
    let second = world.look(&other).await;
    assert_eq!((&second["changes_since"]["export_id"], &second["rows"]), (&first["export_id"], &json!(0)));
    sound(&world, &second);
}

#[tokio::test]
async fn an_export_of_changes_goes_through_many_hands() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    world.app.work_for = Duration::ZERO;
    let body = json!({"format": "csv", "purpose": "marketing", "since": "last", "columns": ["lead_id", "attributes.says"]});
    let made = async |world: &World| {
        world.later(1_000);
        let id = world.export(body.clone()).await;
        let mut workers = 0;
        while world.app.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done {
            world.work().await;
            workers += 1;
            assert!(workers < 40, "it comes to an end");
        }
        let answer = world.look(&id).await;
        sound(world, &answer);
        (answer, workers)
    };
    let (base, workers) = made(&world).await;
    assert!(workers > 3, "{workers}");
    assert_eq!(base["rows"], many.expected().len());
    assert_eq!(made(&world).await.0["rows"], 0, "nobody is new to one who took over");
    (*many.says.lock().unwrap(), *many.without.lock().unwrap()) = ("later", Some(7));
    let (answer, hands) = made(&world).await;
    assert!(hands > workers, "the removals went through several hands too: {hands}");
    let gone: BTreeSet<String> = (0..LEADS)
        .step_by(7)
        .map(|n| many.one(n).id.as_str().to_owned())
        .filter(|id| many.expected().contains(id))
        .collect();
    let (mut changed, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for row in world.rows(&answer, 0) {
        let (set, rest) = match row[0].as_str() {
            "changed" => (&mut changed, ["", "later"]),
            _ => (&mut removed, ["erased", ""]),
        };
        assert_eq!([row[1].as_str(), row[3].as_str()], rest);
        assert!(set.insert(row[2].clone()), "nobody twice");
    }
    assert_eq!((&removed, changed), (&gone, many.expected().difference(&gone).cloned().collect()));
}

/// Leads of whom every seventh is gone, and every eleventh says something else, since the first export.
async fn changed_since(happens: impl FnOnce(&World)) -> World {
    let mut world = World::new().await;
    world.app.work_for = Duration::from_millis(1);
    let leads: Vec<Lead> = (0..60).map(|n| somebody(n, &"x".repeat(200))).collect();
    leads.iter().for_each(|lead| world.store.put(lead.clone()));
    let base = world.export(since_last("csv")).await;
    while world.app.jobs.get(&base).await.unwrap().unwrap().status != JobStatus::Done {
        world.work().await;
        world.look(&base).await;
    }
    for (n, lead) in leads.iter().enumerate() {
        if n.is_multiple_of(7) {
            world.store.forget(&lead.id);
        } else if n.is_multiple_of(11) {
            world.store.put(noting(lead, "new"));
        }
    }
    let files = world.files.calls();
    let id = world.export(since_last("csv")).await;
    let key = format!("exports/{id}-changes.csv");
    let expected: Vec<Vec<String>> = {
        let mut rows: Vec<Vec<String>> = leads
            .iter()
            .enumerate()
            .filter_map(|(n, lead)| {
                let email = format!("lead{n}@company.example");
                let (gone, new) = (n.is_multiple_of(7), n.is_multiple_of(11));
                if gone {
                    Some(row(&["removed", "erased", &email, lead.id.as_str(), ""]))
                } else {
                    new.then(|| row(&["changed", "", &email, lead.id.as_str(), "new"]))
                }
            })
            .collect();
        rows.sort();
        rows
    };
    world.failures.take_calls();
    *world.files.calls.lock().unwrap() = 0;
    assert!(files > 0);
    happens(&world);
    let (mut workers, mut seen) = (0, None);
    loop {
        workers += 1;
        assert!(workers < 40, "it comes to an end");
        world.work().await;
        // Under its final name there is nothing, or all of it.
        if let Some(file) = world.files.inner.file(&key) {
            seen.get_or_insert_with(|| file.clone());
            let rows = csv::Reader::from_reader(file.bytes.as_slice()).records().count();
            assert_eq!(rows, expected.len());
        }
        if world.app.jobs.get(&id).await.is_ok_and(|job| job.is_some_and(|job| job.status == JobStatus::Done))
        {
            break;
        }
        world.failures.heal();
        world.later(LEASE_MS);
        let answer = world.look(&id).await;
        assert_eq!(answer["files"], json!([]), "no link before it is done");
    }
    world.failures.heal();
    let answer = world.look(&id).await;
    assert_eq!(world.rows(&answer, 0), expected);
    assert_eq!(answer["changes_since"]["export_id"], json!(base));
    sound(&world, &answer);
    // The mark moved, and just once: nothing changed since.
    *world.files.fails.lock().unwrap() = None;
    world.app.work_for = WORK_FOR;
    let next = world.made(since_last("csv")).await;
    assert_eq!((&next["rows"], &next["changes_since"]["export_id"]), (&json!(0), &json!(id)));
    world
}

#[tokio::test]
async fn whatever_call_of_a_worker_fails_no_change_is_lost_or_told_twice() {
    let calls = changed_since(|_| {}).await.failures.take_calls();
    let writes = calls.iter().filter(|call| **call == "put").count();
    assert!(calls.len() > 12 && writes > 4, "{calls:?}");
    for n in 1..calls.len() {
        changed_since(|world| world.failures.on_call(n, Failure::Throttled)).await;
    }
    for n in 1..=writes {
        for failure in [Failure::TimedOutAfterWrite, Failure::Conflict] {
            changed_since(|world| world.failures.on_write(n, failure)).await;
        }
    }
}

#[tokio::test]
async fn whatever_call_to_the_files_fails_no_change_is_lost_or_told_twice() {
    let calls = changed_since(|_| {}).await.files.calls();
    assert!(calls > 12, "{calls}");
    for n in 1..calls {
        for after in [false, true] {
            changed_since(|world| *world.files.fails.lock().unwrap() = Some((n, after))).await;
        }
    }
}

#[tokio::test]
async fn a_ledger_that_is_gone_fails_the_export_loudly_rather_than_forgetting_removals() {
    let world = World::new().await;
    world.store.put(somebody(1, "old"));
    world.made(since_last("csv")).await;
    let ledger = world.files.inner.keys().into_iter().find(|key| key.starts_with("ledgers/")).unwrap();
    world.files.inner.remove(&ledger).await.unwrap();
    world.later(1_000);
    let id = world.export(since_last("csv")).await;
    for _ in 0..=MOST_ATTEMPTS {
        assert!(world.app.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done);
        let _fails = run_job(&world.app, &id).await;
    }
    assert_eq!(world.look(&id).await["status"], "failed");
    // An export of everybody sets it right.
    let mut body = since_last("csv");
    body["since"] = json!("nothing");
    world.made(body).await;
    assert_eq!(world.made(since_last("csv")).await["rows"], 0);
}

#[tokio::test]
async fn a_mark_of_long_ago_counts_no_more() {
    let world = World::new().await;
    world.store.put(somebody(1, "old"));
    world.made(since_last("csv")).await;
    world.later(81 * DAY_MS);
    let mut again = somebody(1, "old");
    again.id = LeadId::from_bytes([7; 16]);
    world.store.put(lead(1).ready().at(world.clock.now()).lead());
    world
        .store
        .put(Lead { consents: again.consents.clone(), ..lead(9).ready().at(world.clock.now()).lead() });
    let answer = world.made(since_last("csv")).await;
    assert_eq!((&answer["changes_since"], &answer["changes"]["removed"]), (&Value::Null, &json!(0)));
}
