//! The site dies at every point of a session.

use super::lab::*;

/// The backend during the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Up,
    Down,
    /// It goes in mid-session and comes back.
    Goes,
}

/// A session of two minutes, whose deliveries are part of it; the site dies before `step`, if any.
/// Returns the steps after the start and at the end.
fn script(backend: Backend, step: Option<u64>) -> (u64, u64) {
    let mut world = correct().start();
    let first = world.steps();
    if let Some(step) = step {
        world.crash_before(step);
    }
    let outcome = play(&mut world, backend);
    if let Err(failure) = outcome {
        panic!("{backend:?}, dies before step {step:?}: {failure}");
    }
    assert_eq!(ledger(&world).starts("CP-A"), 1, "{backend:?}, {step:?}");
    (first, world.steps())
}

fn play(world: &mut World, backend: Backend) -> Result<(), chargewarden::sim::world::Failure> {
    if backend == Backend::Down {
        world.set_backend_reachable("CP-A", false);
    }
    world.run_for(seconds(45))?;
    world.charge("A", Car::default());
    world.run_for(seconds(50))?;
    if backend == Backend::Goes {
        world.set_backend_reachable("CP-A", false);
    }
    world.run_for(seconds(70))?;
    if backend == Backend::Goes {
        world.set_backend_reachable("CP-A", true);
    }
    world.unplug("A");
    world.run_for(seconds(30))?;
    world.set_backend_reachable("CP-A", true);
    world.settle_bills()
}

fn dies_everywhere(backend: Backend) {
    let (first, last) = script(backend, None);
    assert!(last - first > 100, "{first} to {last}");
    for step in first..last {
        script(backend, Some(step));
    }
}

#[test]
fn the_bill_is_right_wherever_the_site_dies_while_the_backend_is_there() {
    dies_everywhere(Backend::Up);
}

#[test]
fn the_bill_is_right_wherever_the_site_dies_while_the_backend_is_away() {
    dies_everywhere(Backend::Down);
}

#[test]
fn the_bill_is_right_wherever_the_site_dies_while_the_backend_comes_and_goes() {
    dies_everywhere(Backend::Goes);
}
