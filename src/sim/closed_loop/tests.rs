use super::*;
use crate::evse::{Limit, Reason};
use crate::load::Controller;
use crate::units::Phase;

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn ours(scene: &Scene) -> Controller {
    Controller::new(now(Mono::START), scene.plan.clone(), &BTreeMap::new())
}

/// The most that is above the limits by what `of` says of each device, the house included.
fn excess<M: Manager>(site: &ClosedLoop<M>, of: impl Fn(&Device) -> MilliAmps) -> MilliAmps {
    let offered = site.sums(of)[0];
    let house = site.house().current();
    let above = |phase| offered[phase] + house[phase].max(MilliAmps::ZERO) - site.limits()[0];
    Phase::ALL.map(above).into_iter().max().unwrap()
}

#[test]
fn a_house_that_cooks_is_above_the_fuse_for_no_longer_than_devices_need() {
    let scene = Scene::ten_on_63_amps(1);
    let controller = ours(&scene);
    let mut site = ClosedLoop::new(scene, controller);
    let (mut house, mut known_at) = (site.house().current(), at(0));
    site.run_until(at(600), |site| {
        if site.house().current() != house {
            house = site.house().current();
            // By then the meter was read, and the reading has arrived.
            known_at = site.now() + Duration::from_secs(2);
        }
        if site.now() >= known_at {
            let excess = excess(site, Device::told);
            assert!(excess <= MilliAmps::ZERO, "{excess} A at {:?}", site.now());
        }
    });
    let longest = site.tally().longest();
    assert!(longest > Duration::ZERO, "it was put to no test");
    assert!(longest <= Duration::from_secs(9), "{longest:?}");
    assert!(site.energy() > WattHours(5000), "{}", site.energy());
}

#[test]
fn who_knows_everything_is_above_the_fuse_for_as_long_as_devices_need() {
    let scene = Scene::ten_on_63_amps(1);
    let perfect = Perfect::new(scene.plan.clone());
    let mut site = ClosedLoop::new(scene, perfect);
    site.run_until(at(600), |site| {
        let excess = excess(site, Device::told);
        assert!(excess <= MilliAmps::ZERO, "{excess} A at {:?}", site.now());
    });
    let longest = site.tally().longest();
    assert!(longest > Duration::from_secs(1), "{longest:?}");
    assert!(longest <= Duration::from_secs(7), "{longest:?}");
    assert!(site.energy() > WattHours(5000), "{}", site.energy());
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let scene = Scene::ten_on_63_amps(seed);
        let controller = ours(&scene);
        let mut site = ClosedLoop::new(scene, controller);
        site.run_until(at(120), |_| {});
        (
            site.energy(),
            site.tally().writes().to_vec(),
            site.carried(),
        )
    };
    assert_eq!(history(5), history(5));
    assert_ne!(history(5), history(6));
}

#[test]
fn an_ocpp_wallbox_is_asked_for_values_until_its_car_follows_the_newest_limit() {
    let scene = Scene::ten_on_63_amps(1);
    let device = |index: usize| {
        let place = scene.places[index].clone();
        Device::new(&scene.plan.evses[index], place, &scene.plan, 1)
    };
    let offer = |number, amps| Offer {
        number: OfferNumber(number),
        limit: Limit::Current(MilliAmps::from_amps(amps)),
        single_phase: false,
        reason: Reason::OwnMaximum,
    };
    let charge = |device: &mut Device, seconds, offer: &Offer| {
        device.tell(at(seconds), offer);
        let (pilot, _) = device.take(at(seconds), offer.limit);
        device.follow(at(seconds), pilot);
        device.measure(at(seconds + 9));
    };
    let (mut ocpp, mut modbus) = (device(0), device(1));
    for device in [&mut ocpp, &mut modbus] {
        device.arrive(at(0));
        charge(device, 0, &offer(1, 16));
        device.tell(at(20), &offer(2, 6));
        device.take(at(20), offer(2, 6).limit);
    }
    assert!(ocpp.ask(at(21), OfferNumber(2)).is_some());
    assert_eq!(
        ocpp.ask(at(21), OfferNumber(1)),
        None,
        "there is a newer one"
    );
    assert_eq!(
        modbus.ask(at(21), OfferNumber(2)),
        None,
        "it is read all the time"
    );
    charge(&mut ocpp, 22, &offer(3, 6));
    assert_eq!(ocpp.ask(at(31), OfferNumber(3)), None, "it follows");
}
