//! Everything at once.

use std::time::Duration;

use chargewarden::clock::Random;

use super::lab::*;

const BACKENDS: [&str; 3] = [
    "ws://one.example",
    "ws://two.example",
    "wss://three.example",
];

/// 17 wallboxes with one connector and 3 with two, behind three backends: alone, whole, split, and
/// several as one.
fn street(seed: u64) -> WorldPlan {
    let mut plan = WorldPlan::new(seed).fuse("street", 200);
    for number in 0..20 {
        if number % 5 == 0 {
            plan = plan.fuse(&format!("house {number}"), 50);
        }
        let connectors = if number % 7 == 3 { 2 } else { 1 };
        let wallbox = match number % 3 {
            0 => signing(&name(number)),
            1 => WallboxPlan::new(&name(number)),
            _ => signing(&name(number)).quirk(Quirk::ResumesTransactions),
        };
        plan = plan.wallbox(
            WallboxPlan {
                connectors,
                ..wallbox
            }
            .says("TransactionMessageAttempts", "1000"),
        );
    }
    plan = plan.backend(BACKENDS[0], BackendPlan::default());
    for number in 0..3 {
        plan = trusting(plan.gateway(&[&name(number)], &format!("CP-{number}")));
    }
    // A dual wallbox as a whole, one that two backends share.
    plan = trusting(plan.gateway(&["W03-1", "W03-2"], "CP-3"));
    plan = trusting(plan.gateway(&["W10-1"], "CP-10-1"));
    plan = plan.backend(BACKENDS[1], BackendPlan::default());
    plan = trusting(plan.gateway(&["W10-2"], "CP-10-2"));
    plan = trusting(plan.gateway(&["W04", "W05", "W06"], "CP-4"));
    for number in 7..10 {
        plan = trusting(plan.gateway(&[&name(number)], &format!("CP-{number}")));
    }
    plan = plan.backend(BACKENDS[2], BackendPlan::default());
    for number in 11..17 {
        plan = trusting(plan.gateway(&[&name(number)], &format!("CP-{number}")));
    }
    plan = trusting(plan.gateway(&["W18", "W19", "W17-2"], "CP-17"));
    trusting(plan.gateway(&["W17-1"], "CP-17-1"))
}

fn name(number: usize) -> String {
    format!("W{number:02}")
}

fn pick<T>(random: &mut Random, all: &[T]) -> T
where
    T: Clone,
{
    let below = u64::try_from(all.len()).unwrap();
    all[usize::try_from(random.below(below)).unwrap()].clone()
}

fn blow(world: &mut World, random: &mut Random) {
    let wallboxes: Vec<String> = world.wallboxes().map(ToString::to_string).collect();
    let clients: Vec<String> = world.client_ids().map(ToString::to_string).collect();
    let (wallbox, client) = (pick(random, &wallboxes), pick(random, &clients));
    let yes = random.below(2) == 0;
    match random.below(16) {
        0..=4 => drive(world, random, &wallbox),
        5 => world.lose_link(&wallbox),
        6 => world.set_reachable(&wallbox, yes),
        7 => world.reboot(&wallbox, seconds(random.below(60))),
        8 => world.lose_backend_link(&client),
        9 => world.set_backend_reachable(&client, yes),
        10 => world.set_backend_mute(&client, yes),
        11 => {
            let url = pick(random, &BACKENDS);
            let quirk = pick(random, BackendQuirk::ALL);
            let quirk = Some(quirk).filter(|it| yes && *it != BackendQuirk::InvalidStarts);
            world.at_backend(url, "has another habit", |backend, now| {
                backend.plan_mut().quirks = quirk.into_iter().collect();
                backend.handle_timeout(now);
            });
        }
        12 => {
            if let Some(line) = world.backend_line(&client) {
                line.delay = Duration::from_millis(random.below(900));
            }
        }
        13 => world.crash(),
        14 => world.disk().delay = Duration::from_millis(random.below(500)),
        _ => {
            for client in clients {
                world.set_backend_reachable(&client, yes);
            }
        }
    }
}

fn drive(world: &mut World, random: &mut Random, wallbox: &str) {
    let connectors = world.wallbox(wallbox).unwrap().plan().connectors;
    let connector = if connectors == 2 && random.below(2) == 0 {
        C2
    } else {
        C1
    };
    let tag = format!("TAG-{wallbox}-{connector}");
    let act = random.below(3);
    world.at(
        wallbox,
        "somebody comes or goes",
        |wallbox, now| match act {
            0 | 1 => {
                wallbox.plug(now, connector, Car::default());
                wallbox.present_tag(now, connector, &tag.as_str().into());
            }
            _ => wallbox.unplug(now, connector),
        },
    );
}

fn calm(world: &mut World) {
    world.disk().delay = Duration::from_millis(5);
    for url in BACKENDS {
        world.at_backend(url, "behaves", |backend, _| {
            backend.plan_mut().quirks.clear();
        });
    }
    let clients: Vec<String> = world.client_ids().map(ToString::to_string).collect();
    for client in clients {
        world.set_backend_mute(&client, false);
        world.set_backend_reachable(&client, true);
        world.backend_line(&client).unwrap().delay = Duration::from_millis(20);
    }
    let wallboxes: Vec<String> = world.wallboxes().map(ToString::to_string).collect();
    for wallbox in wallboxes {
        world.set_reachable(&wallbox, true);
        for connector in [C1, C2] {
            world.at(&wallbox, "everybody leaves", |wallbox, now| {
                wallbox.unplug(now, connector);
            });
        }
    }
}

#[test]
fn the_fuse_holds_and_the_bill_is_right_after_every_storm() {
    let mut sessions = 0;
    for seed in 0..3 {
        let mut world = street(seed).start();
        world.run_for(seconds(60)).unwrap();
        let mut random = Random::new(seed);
        for _ in 0..100 {
            blow(&mut world, &mut random);
            world
                .run_for(Duration::from_millis(random.below(15_000)))
                .unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        }
        calm(&mut world);
        world
            .settle_bills()
            .unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        sessions += BACKENDS
            .iter()
            .flat_map(|url| {
                let ledger = world.backend(url).unwrap().ledger();
                world.client_ids().map(|it| ledger.starts(it.as_str()))
            })
            .sum::<usize>();
    }
    assert!(sessions > 20, "{sessions}");
}
