//! Plays histories, one for each seed, and says which failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Failed histories after which no more are played.
const MAX_FAILED: usize = 20;

/// What went wrong in a history, and everything that happened in it, if that was noted.
pub type Failure = (String, Vec<String>);

/// Plays a world, and takes the log out of it. What went wrong, if anything.
pub fn failure<W>(
    mut world: W,
    play: impl FnOnce(&mut W),
    log: impl FnOnce(&mut W) -> Option<Vec<String>>,
) -> Option<Failure> {
    let outcome = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    let log = log(&mut world).unwrap_or_default();
    let panic = outcome.err()?;
    // What is under way in it would fail again when it is dropped.
    std::mem::forget(world);
    let message =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    Some((message.unwrap_or_default(), log))
}

/// Plays those that once failed, and as many others as there should be: `seeds`, unless the environment says otherwise.
pub fn every_history(
    what: &str,
    regressions: &[u64],
    seeds: u64,
    play: impl Fn(u64, Instant, bool) -> Option<Failure>,
) {
    let first = number("IDIOTEQUE_SIMULATION_FIRST").unwrap_or(0);
    let seeds = number("IDIOTEQUE_SIMULATION_SEEDS").unwrap_or(seeds);
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut played = 0;
    for seed in regressions.iter().copied().chain(first..first.saturating_add(seeds)) {
        played += 1;
        if let Some((message, _)) = play(seed, start, false) {
            failed.push((seed, message));
            if failed.len() == MAX_FAILED {
                break;
            }
        }
    }
    println!("{played} histories of {what} in {:?}", start.elapsed());
    let Some((seed, _)) = failed.first() else { return };
    let (_, log) = play(*seed, start, true).unwrap_or_default();
    println!("seed {seed}:\n{}\n", log.join("\n"));
    for (seed, message) in &failed {
        println!("seed {seed}: {message}");
    }
    panic!("{} of {played} histories of {what} failed, the first is that of seed {seed}", failed.len());
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
