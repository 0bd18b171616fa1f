//! P2: a sweep of all leads, page by page, as `rescore` does it.
//!
//! `sweep ENDPOINT [BEHIND]`: so many leads are put back to the playbook version before, which is not measured. A sweep
//! then brings them along; all others it only reads. It reads every lead twice, since its end looks for stragglers.

use crate::Failure;
use crate::cpu::{Stopwatch, memory_mib};
use crate::world::{VERSION, World};
use adapters::dynamodb::leads::units;
use adapters::jobs;
use adapters::ports::LeadLists;
use domain::lead::Lead;
use rescore::sweep::{SEGMENTS, whole};
use serde_json::Value;
use std::sync::Arc;

pub(crate) async fn run(endpoint: &str, behind: usize) -> Result<(), Failure> {
    let world = World::at(endpoint);
    put_back(&world, behind).await?;
    let (store, catalog) = (Arc::clone(&world.store), Arc::clone(&world.catalog));
    let app = rescore::App::on_one_machine(store, catalog, Arc::clone(&world.clock));
    let now = world.clock.now();
    let job = jobs::sweep(VERSION, now, now);
    let id = job.record.id.clone();
    world.catalog.put(&[job]).await?;
    units::take();
    let (pid, watch) = (std::process::id(), Stopwatch::start());
    let answer = whole(&app, &id, SEGMENTS).await?;
    let cpu_ms = watch.cpu_ms();
    let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (read, looked_at, changed) = (number("read"), number("looked_at"), number("changed"));
    let written: Vec<String> =
        units::take().iter().map(|(table, units)| format!("{table} {units}")).collect();
    println!(
        "sweep leads={read} behind={behind} changed={changed} failed={} cpu_ms={cpu_ms:.0} wall_ms={:.0} leads_per_cpu_second={:.0} \
         leads_read_per_cpu_second={:.0} peak={:.1}MiB write_units=({})",
        number("failed"),
        watch.wall_ms(),
        read as f64 / cpu_ms * 1e3,
        (read + looked_at) as f64 / cpu_ms * 1e3,
        memory_mib(pid, "VmHWM"),
        written.join(", "),
    );
    Ok(())
}

/// Lets the first leads of the table stand on the version before.
async fn put_back(world: &World, behind: usize) -> Result<(), Failure> {
    let (mut cursor, mut left) = (None::<String>, behind);
    while left > 0 {
        let page = world.store.scan(0, 1, cursor.as_deref()).await?;
        let back = page.items.into_iter().take(left);
        let back: Vec<Lead> = back.map(|lead| Lead { playbook_version: VERSION - 1, ..lead }).collect();
        left -= back.len();
        world.put(&back).await?;
        cursor = page.next;
        if cursor.is_none() && left > 0 {
            return Err("there are fewer leads".into());
        }
    }
    Ok(())
}
