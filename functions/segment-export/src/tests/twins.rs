//! A worker that was thought dead and is not.

use super::*;

#[tokio::test]
async fn a_worker_that_wakes_up_after_another_one_finished_changes_nothing() {
    let calls = holds(|_| {}).await.files.calls();
    for n in 1..=calls {
        let many = Arc::new(Many::new(LEADS));
        let world = World::over(Arc::clone(&many)).await;
        let id = world.export(wide("csv")).await;
        assert_eq!(world.starter.take().len(), 1);
        *world.files.hangs.at.lock().unwrap() = Some(n);
        let (app, late_id) = (world.app.clone(), id.clone());
        let late = tokio::spawn(async move { run_job(&app, &late_id).await });
        world.files.hangs.reached.notified().await;
        // What it reads from now on is another truth, and its lease is over.
        *many.says.lock().unwrap() = "later";
        world.later(LEASE_MS);
        run_job(&world.app, &id).await.unwrap();
        let answer = world.look(&id).await;
        // One that hangs after everything was done has nothing left to do for another one.
        assert_eq!(answer["status"], "done", "call {n}");
        sound(&world, &answer);
        let file = world.file(&id, "csv");
        world.files.hangs.let_go.notify_one();
        let _may_fail = late.await.unwrap();
        assert_eq!(world.file(&id, "csv"), file, "call {n}");
        assert_eq!(world.look(&id).await, answer, "call {n}");
        sound(&world, &answer);
    }
}

#[tokio::test]
async fn a_part_that_comes_late_lets_the_export_begin_anew() {
    let mut tried = 0;
    let calls = holds(|_| {}).await.files.calls();
    for n in 1..=calls {
        let many = Arc::new(Many::new(LEADS));
        let mut world = World::over(Arc::clone(&many)).await;
        let id = world.export(wide("csv")).await;
        assert_eq!(world.starter.take().len(), 1);
        *world.files.hangs.at.lock().unwrap() = Some(n);
        let (app, late_id) = (world.app.clone(), id.clone());
        let late = tokio::spawn(async move { run_job(&app, &late_id).await });
        world.files.hangs.reached.notified().await;
        *many.says.lock().unwrap() = "later";
        world.later(LEASE_MS);
        // The others come as far as the first part, and then the late one's call is made after all.
        world.app.work_for = Duration::ZERO;
        for _ in 0..MOST_ATTEMPTS {
            let job = world.app.jobs.get(&id).await.unwrap().unwrap();
            let parts = &job.state["outputs"][0]["upload"]["parts"];
            if job.status == JobStatus::Done || parts.as_array().is_some_and(|parts| !parts.is_empty()) {
                break;
            }
            let _may_fail = run_job(&world.app, &id).await;
        }
        world.files.hangs.let_go.notify_one();
        let _may_fail = late.await.unwrap();
        world.app.work_for = WORK_FOR;
        for _ in 0..MOST_ATTEMPTS {
            if world.app.jobs.get(&id).await.unwrap().unwrap().status == JobStatus::Done {
                break;
            }
            tried += usize::from(run_job(&world.app, &id).await.is_err());
            world.later(LEASE_MS);
        }
        let answer = world.look(&id).await;
        assert_eq!(answer["status"], "done", "call {n}");
        sound(&world, &answer);
        let rows = ids(&world.file(&id, "csv"));
        assert_eq!((rows.len(), rows.into_iter().collect()), (many.expected().len(), many.expected()));
    }
    assert!(tried > 0, "a late part was refused at least once");
}
