//! Leads that an audience's destination cannot tell apart.

use super::*;
use domain::audience::{Destination, MATCHED_BY, Person};
use domain::identity::Identity;

/// Numbers that look random and are always the same (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// What a destination matches by, as one text each.
fn keys(row: &[String]) -> BTreeSet<String> {
    let whole = |places: &&&[usize]| places.iter().all(|at| !row[*at].is_empty());
    let places = MATCHED_BY.iter().filter(whole);
    places.map(|places| places.iter().map(|at| row[*at].as_str()).collect::<Vec<_>>().join(" ")).collect()
}

/// What a destination knows: keys, and nothing of people.
#[derive(Debug, Default)]
struct Audience(BTreeSet<String>);

impl Audience {
    /// Takes an export of changes as the documents say: what is removed first.
    fn take(&mut self, world: &World, answer: &Value) {
        for row in rows(world, answer, 1) {
            for key in keys(&row) {
                assert!(self.0.remove(&key), "what is taken back was there, and is taken back once");
            }
        }
        let mut told = BTreeSet::new();
        for row in rows(world, answer, 0) {
            let before = told.len();
            told.extend(keys(&row));
            assert!(told.len() > before, "each row tells something");
        }
        self.0.extend(told);
    }
}

fn rows(world: &World, answer: &Value, file: usize) -> Vec<Vec<String>> {
    let link = answer["files"][file]["link"].as_str().unwrap();
    let key = link.trim_start_matches("https://files.example/").trim_end_matches("?signed");
    let bytes = world.files.inner.file(key).unwrap().bytes;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Makes an export by as many workers as it takes, a second after the one before.
async fn made(world: &World, body: Value) -> Value {
    world.later(1_000);
    let id = world.export(body).await;
    for _ in 0..60 {
        world.work().await;
        if world.app.jobs.get(&id).await.is_ok_and(|job| job.is_some_and(|job| job.status == JobStatus::Done))
        {
            let answer = world.look(&id).await;
            sound(world, &answer);
            return answer;
        }
        world.failures.heal();
        world.later(LEASE_MS);
        world.look(&id).await;
    }
    panic!("it comes to an end");
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

fn may(lead: &Lead, status: ConsentStatus) -> Lead {
    let mut lead = lead.clone();
    consent_to(&mut lead, Purpose::AdAudience, status);
    lead
}

fn known(by: &[Identity]) -> Lead {
    let lead = by.iter().cloned().fold(a_lead(), testkit::builders::LeadBuilder::known_by);
    may(&lead.ready().lead(), ConsentStatus::Confirmed)
}

fn called(lead: &Lead, first: &str, last: &str) -> Lead {
    let mut lead = lead.clone();
    for (key, says) in [("first_name", first), ("last_name", last), ("zip", "1010")] {
        lead.attributes.insert(name(key), value(text(says)));
    }
    lead
}

fn elsewhere(lead: &Lead) -> Lead {
    let mut lead = lead.clone();
    lead.attributes.insert(name("country"), value(text("US")));
    lead
}

/// Who may be in the audience by what, told from the leads alone and in another way than an export does.
fn expected(leads: &[Lead], destination: Destination) -> BTreeSet<String> {
    let of = |person: &Person| keys(&destination.row(person).map(Option::unwrap_or_default));
    let status = |lead: &Lead| lead.consents.status(Purpose::AdAudience);
    let mut withdrawn = BTreeSet::new();
    for lead in leads.iter().filter(|lead| status(lead) == Some(ConsentStatus::Withdrawn)) {
        withdrawn.extend(of(&Person::of(lead)));
        for identity in &lead.identities {
            let mut alone = Person::default();
            match identity {
                Identity::Email(email) => alone.email = Some(email.as_str().to_owned()),
                Identity::Phone(phone) => alone.phone = Some(phone.as_str().to_owned()),
                _ => {}
            }
            withdrawn.extend(of(&alone));
        }
    }
    let in_segment = |lead: &Lead| lead.attributes.get(&name("country")).unwrap().value == text("AT");
    let may = leads.iter().filter(|lead| in_segment(lead) && status(lead) == Some(ConsentStatus::Confirmed));
    may.map(|lead| of(&Person::of(lead))).filter(|keys| keys.is_disjoint(&withdrawn)).flatten().collect()
}

const EMAILS: [&str; 7] = [
    "ada.lovelace@gmail.com",
    "adalovelace@gmail.com",
    "a.dalovelace+x@gmail.com",
    "anna@company.example",
    "anna.huber@company.example",
    "bert@company.example",
    "bert@gmail.com",
];

/// A lead of one of so many addresses, of which seven are written in ways that may be the same, and of a few numbers and names.
fn anybody(dice: &mut Dice, addresses: usize) -> Lead {
    let address = |dice: &mut Dice| {
        let n = dice.below(addresses);
        EMAILS.get(n).map_or_else(|| email(&format!("lead{n}@gmail.com")), |known| email(known))
    };
    let mut identities = vec![address(dice)];
    if dice.below(3) == 0 {
        identities.push(address(dice));
    }
    if dice.below(addresses / 3) == 0 {
        identities.push(phone(dice.of(&["+436641234567", "+436641234568", "+436641234569"])));
    }
    let mut lead = known(&identities);
    if dice.below(addresses / 2) == 0 {
        lead = called(&lead, dice.of(&["Anna", "anna "]), dice.of(&["Huber", "Maier"]));
    }
    lead
}

fn changed(dice: &mut Dice, addresses: usize, lead: &Lead) -> Lead {
    let another = anybody(dice, addresses);
    match dice.below(9) {
        0 => may(lead, ConsentStatus::Withdrawn),
        1 => may(lead, ConsentStatus::Pending),
        2 => elsewhere(lead),
        3 => Lead { identities: another.identities, ..lead.clone() },
        4 => called(lead, "Anna", "Huber"),
        _ => Lead { attributes: another.attributes, ..may(lead, ConsentStatus::Confirmed) },
    }
}

/// Lets an audience be kept up to date while leads change; holds it against a full export at the end.
async fn kept(seed: u64, leads: usize, destination: Destination) {
    let (mut world, mut dice) = (World::new().await, Dice(seed));
    let (mut there, mut audience) = (Vec::<Lead>::new(), Audience::default());
    let (preset, addresses) = (destination.as_str(), leads.max(EMAILS.len()));
    for _ in 0..6 {
        for _ in 0..leads {
            if there.len() < leads / 2 || dice.below(6) == 0 {
                there.push(anybody(&mut dice, addresses));
            }
            let at = dice.below(there.len());
            if dice.below(8) == 0 {
                world.store.forget(&there.swap_remove(at).id);
            } else if dice.below(2) == 0 {
                there[at] = changed(&mut dice, addresses, &there[at]);
            }
        }
        there.iter().for_each(|lead| world.store.put(lead.clone()));
        // One worker, or many that come no further than a page.
        world.app.work_for = if dice.below(2) == 0 { WORK_FOR } else { Duration::ZERO };
        let answer = made(&world, json!({"preset": preset, "since": "last"})).await;
        audience.take(&world, &answer);
        assert_eq!(audience.0, expected(&there, destination), "seed {seed}");
    }
    let whole = made(&world, json!({"preset": preset})).await;
    let whole: BTreeSet<String> = rows(&world, &whole, 0).iter().flat_map(|row| keys(row)).collect();
    assert_eq!(whole, audience.0, "seed {seed}");
}

#[tokio::test]
async fn whatever_leads_share_an_audience_kept_up_to_date_is_that_of_a_full_export() {
    let (mut google, mut meta) = (0, 0);
    for seed in 0..30 {
        let (count, destination) = match seed % 2 {
            0 => (&mut google, Destination::GoogleCustomerMatch),
            _ => (&mut meta, Destination::MetaCustomAudiences),
        };
        *count += 1;
        // Every third time too many for one page of each part of the table.
        kept(seed, if seed % 3 == 0 { 120 } else { 8 }, destination).await;
    }
    assert_eq!((google, meta), (15, 15));
}

#[tokio::test]
async fn who_is_still_there_by_the_same_hash_is_not_thrown_out_with_another_one() {
    let world = World::new().await;
    let dotted = known(&[email("ada.lovelace@gmail.com")]);
    let plain = known(&[email("adalovelace@gmail.com")]);
    [&dotted, &plain].into_iter().for_each(|lead| world.store.put(lead.clone()));
    let body = json!({"preset": "google_customer_match", "since": "last"});
    let counted = |answer: &Value| {
        let changes = &answer["changes"];
        let of = |file: usize| rows(&world, answer, file).len();
        (of(0), of(1), changes["added"].clone(), changes["removed"].clone())
    };
    assert_eq!(counted(&made(&world, body.clone()).await), (1, 0, json!(2), json!(0)), "two people, one row");
    world.store.put(elsewhere(&dotted));
    assert_eq!(counted(&made(&world, body.clone()).await), (0, 0, json!(0), json!(1)));
    // Who withdrew is not kept in by the other spelling, wherever the lead is.
    world.store.put(may(&elsewhere(&dotted), ConsentStatus::Withdrawn));
    let answer = made(&world, body.clone()).await;
    assert_eq!(counted(&answer), (0, 1, json!(0), json!(1)));
    assert_eq!(answer["left_out"]["withdrew_elsewhere"], 1);
    assert_eq!(counted(&made(&world, body.clone()).await), (0, 0, json!(0), json!(0)), "once");
    // And comes back as soon as the other one agrees, or is gone.
    world.store.forget(&dotted.id);
    assert_eq!(counted(&made(&world, body).await), (1, 0, json!(1), json!(0)));
}

#[tokio::test]
async fn two_of_one_name_and_postal_code_keep_it_as_long_as_one_of_them_is_there() {
    let world = World::new().await;
    let anna = |address: &str| called(&known(&[email(address)]), "Anna", "Huber");
    let (one, other) = (anna("anna@company.example"), anna("anna.huber@company.example"));
    [&one, &other].into_iter().for_each(|lead| world.store.put(lead.clone()));
    let body = json!({"preset": "meta_custom_audiences", "since": "last"});
    assert_eq!(rows(&world, &made(&world, body.clone()).await, 0).len(), 2);
    world.store.forget(&one.id);
    let removed = rows(&world, &made(&world, body.clone()).await, 1);
    let cells: Vec<bool> = removed[0].iter().map(|cell| !cell.is_empty()).collect();
    assert_eq!((removed.len(), cells), (1, vec![true, false, false, false, false, false]));
    world.store.forget(&other.id);
    let removed = rows(&world, &made(&world, body).await, 1);
    assert_eq!((removed.len(), keys(&removed[0]).len()), (1, 2));
}

/// Keeps an audience of leads that share keys, while something happens to the workers of an export.
async fn disturbed(happens: impl FnOnce(&World)) -> World {
    let mut world = World::new().await;
    world.app.work_for = Duration::from_millis(1);
    let mut dice = Dice(11);
    let mut leads: Vec<Lead> = (0..12).map(|_| anybody(&mut dice, EMAILS.len())).collect();
    leads.iter().for_each(|lead| world.store.put(lead.clone()));
    let body = json!({"preset": "google_customer_match", "since": "last"});
    let mut audience = Audience::default();
    audience.take(&world, &made(&world, body.clone()).await);
    let gone = leads.split_off(9);
    gone.iter().for_each(|lead| world.store.forget(&lead.id));
    leads[0] = may(&leads[0], ConsentStatus::Withdrawn);
    leads[1] = elsewhere(&leads[1]);
    leads.push(anybody(&mut dice, EMAILS.len()));
    leads.iter().for_each(|lead| world.store.put(lead.clone()));
    world.failures.take_calls();
    *world.files.calls.lock().unwrap() = 0;
    happens(&world);
    let answer = made(&world, body).await;
    audience.take(&world, &answer);
    let expected = expected(&leads, Destination::GoogleCustomerMatch);
    assert!(!expected.is_empty() && !rows(&world, &answer, 1).is_empty(), "there is something to be wrong");
    assert_eq!(audience.0, expected);
    world
}

#[tokio::test]
async fn whatever_call_of_a_worker_fails_an_audience_stays_right() {
    let undisturbed = disturbed(|_| {}).await;
    let (calls, files) = (undisturbed.failures.take_calls(), undisturbed.files.calls());
    let writes = calls.iter().filter(|call| **call == "put").count();
    assert!(calls.len() > 12 && files > 12, "{calls:?}, {files}");
    // The first call is that of whoever asks.
    for n in 8..calls.len() {
        disturbed(|world| world.failures.on_call(n, Failure::Throttled)).await;
    }
    for n in 3..=writes {
        disturbed(|world| world.failures.on_write(n, Failure::TimedOutAfterWrite)).await;
    }
    for n in 1..files {
        for after in [false, true] {
            disturbed(|world| *world.files.fails.lock().unwrap() = Some((n, after))).await;
        }
    }
}
