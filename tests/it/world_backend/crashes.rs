//! The site dies at every point of a session.

use chargewarden::ocpp::ChargePointStatus;
use chargewarden::sim::world::Failure;

use super::lab::*;

/// The backend during the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Up,
    Down,
    /// It goes in mid-session and comes back.
    Goes,
}

/// A session whose deliveries are part of it; the site dies before these steps. Returns how many
/// steps it made.
fn script(backend: Backend, dies_before: &[u64]) -> u64 {
    let mut world = correct().start();
    for step in dies_before {
        world.crash_before(*step);
    }
    let outcome = play(&mut world, backend);
    if let Err(failure) = outcome {
        panic!("{backend:?}, dies before {dies_before:?}: {failure}");
    }
    let starts = ledger(&world).starts("CP-A");
    assert_eq!(starts, 1, "{backend:?}, dies before {dies_before:?}");
    world.steps()
}

fn play(world: &mut World, backend: Backend) -> Result<(), Failure> {
    if backend == Backend::Down {
        world.set_backend_reachable("CP-A", false);
    }
    world.run_for(seconds(45))?;
    world.charge("A", Car::default());
    for _ in 0..3 {
        world.run_for(seconds(20))?;
        // The answer to the card may have died, too.
        let status = world.wallbox("A").and_then(|it| it.status(C1));
        if status == Some(ChargePointStatus::Preparing) {
            world.tap("A", "TAG-A");
        }
    }
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

/// Before each step, and once more some steps later.
fn dies_everywhere(backend: Backend) {
    let steps = script(backend, &[]);
    assert!(steps > 80, "{steps}");
    for step in 0..steps {
        script(backend, &[step]);
        for later in [1, 7] {
            script(backend, &[step, step + later]);
        }
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
