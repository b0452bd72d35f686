//! Every combination of what wallboxes take and obey.

mod ignoring;
mod refusing;

use chargewarden::sim::{Quirk, World};

use super::lab::status_of;

/// Every combination of one quirk, or some, or none, of each axis.
fn combinations(axes: &[&[&'static [Quirk]]]) -> Vec<Vec<Quirk>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let longer = |one: &Vec<Quirk>| {
            let one = one.clone();
            axis.iter().map(move |more| [&one, *more].concat())
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// `A` allows what it was offered, less at most so many amperes that it rounds down.
fn is_limited(world: &World, rounds: f64) -> bool {
    let offered = status_of(world, "A").offered_a.unwrap_or(f64::NAN);
    let allowed = world.allowed("A").as_amps();
    (0.0..=rounds).contains(&(offered - allowed))
}
