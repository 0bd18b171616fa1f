//! Whatever fails, an export loses and doubles no row.

use super::*;

#[tokio::test]
async fn whatever_call_of_a_worker_fails_no_row_is_lost_or_doubled() {
    let undisturbed = holds(|world| drop(world.failures.take_calls())).await;
    let calls = undisturbed.failures.take_calls();
    let writes = calls.iter().filter(|call| **call == "put").count();
    assert!(undisturbed.files.calls() >= 8, "several parts");
    let files = undisturbed.files.inner.keys();
    let whole = |key: &&String| key.ends_with(".csv") || key.ends_with(".manifest.json");
    assert_eq!(files.iter().filter(|key| key.starts_with("exports/")).filter(|key| !whole(key)).count(), 0);
    for n in 1..calls.len() {
        holds(|world| world.failures.on_call(n, Failure::Throttled)).await;
    }
    for n in 1..=writes {
        for failure in [Failure::TimedOutAfterWrite, Failure::Conflict] {
            holds(|world| world.failures.on_write(n, failure)).await;
        }
    }
}

#[tokio::test]
async fn whatever_call_to_the_files_fails_no_row_is_lost_or_doubled() {
    let calls = holds(|_| {}).await.files.calls();
    for n in 1..=calls {
        for after in [false, true] {
            holds(|world| *world.files.fails.lock().unwrap() = Some((n, after))).await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_cleared_away_is_begun_anew() {
    for code in ["NoSuchUpload", "InvalidPart"] {
        holds(|world| *world.files.lost.lock().unwrap() = Some(code)).await;
    }
}

#[tokio::test]
async fn an_upload_of_days_ago_is_begun_anew() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    world.app.work_for = Duration::ZERO;
    let id = world.export(wide("csv")).await;
    world.work().await;
    let upload = |job: &adapters::jobs::Job| job.state["outputs"][0]["upload"]["id"].clone();
    let first = upload(&world.app.jobs.get(&id).await.unwrap().unwrap());
    world.later(DAY_MS);
    world.work().await;
    assert_ne!(upload(&world.app.jobs.get(&id).await.unwrap().unwrap()), first);
    world.app.work_for = WORK_FOR;
    world.work().await;
    assert_eq!(ids(&world.file(&id, "csv")).len(), many.expected().len());
}

#[tokio::test]
async fn a_worker_whose_time_is_over_hands_on_what_it_has_and_costs_no_attempt() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    world.app.work_for = Duration::ZERO;
    let id = world.export(wide("csv")).await;
    let mut workers = 0;
    loop {
        workers += 1;
        world.work().await;
        let job = world.app.jobs.get(&id).await.unwrap().unwrap();
        assert!(job.attempts <= 1 && workers < MOST_ATTEMPTS);
        if job.status == JobStatus::Done {
            break;
        }
    }
    assert!(workers > 1);
    assert_eq!(ids(&world.file(&id, "csv")).into_iter().collect::<BTreeSet<_>>(), many.expected());
}

#[tokio::test]
async fn two_workers_of_one_export_make_one_file() {
    let many = Arc::new(Many::new(LEADS));
    let world = World::over(Arc::clone(&many)).await;
    let id = world.export(wide("csv")).await;
    let (one, other) = tokio::join!(run_job(&world.app, &id), run_job(&world.app, &id));
    one.and(other).unwrap();
    let rows = ids(&world.file(&id, "csv"));
    assert_eq!((rows.len(), rows.into_iter().collect()), (many.expected().len(), many.expected()));
}
