//! Orders of events in which things went wrong once.

use std::time::Duration;

use super::*;
use crate::clock::{Mono, Now, Random};
use crate::ids::LinkId;
use crate::journal::Recovered;
use crate::load::LoadPlan;

/// No EVSE, and strangers may connect.
fn site() -> Site {
    let load = LoadPlan::default();
    let plan = Plan {
        gateways: Vec::new(),
        load,
        stations: Vec::new(),
        charge_points: Vec::new(),
        meters: Vec::new(),
        measured_by: std::collections::BTreeMap::new(),
        authorization: AuthorizationPlan::default(),
        limit_signals: std::collections::BTreeMap::new(),
    };
    Site::new(now(), plan, &Recovered::default(), Random::new(1))
}

fn now() -> Now {
    Now {
        mono: Mono(Duration::from_secs(1)),
        wall: "2026-06-01T12:00:00Z".parse().unwrap(),
    }
}

fn up(site: &mut Site, link: u64, address: &str) {
    let (link, address, peer) = (LinkId(link), address.into(), "::1".to_owned());
    site.handle(
        now(),
        Input::Up {
            link,
            address,
            peer,
        },
    );
}

fn outputs(site: &mut Site) -> Vec<Output> {
    std::iter::from_fn(|| site.poll_output()).collect()
}

#[test]
fn an_older_link_that_is_told_of_later_is_closed_and_takes_nothing_from_the_newer() {
    let mut site = site();
    up(&mut site, 2, "CB");
    let link = LinkId(2);
    let start = r#"[2,"1","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-06-01T12:00:00Z"}]"#;
    let text = start.to_owned();
    site.handle(now(), Input::Frame { link, text });
    let written = outputs(&mut site)
        .into_iter()
        .filter_map(|output| match output {
            Output::Persist(seq, _) => Some(seq),
            _ => None,
        });
    let last = written.last().unwrap();
    up(&mut site, 1, "CB");
    site.handle(now(), Input::Committed(last));
    let outputs = outputs(&mut site);
    let closed = |output: &Output| {
        matches!(
            output,
            Output::Close {
                link: LinkId(1),
                ..
            }
        )
    };
    let answered = |output: &Output| {
        matches!(
            output,
            Output::Send {
                link: LinkId(2),
                ..
            }
        )
    };
    assert!(outputs.iter().any(closed), "{outputs:?}");
    assert!(outputs.iter().any(answered), "{outputs:?}");
}

#[test]
fn strangers_do_not_fill_the_memory() {
    let mut site = site();
    for n in 0..1000 {
        up(&mut site, n, &format!("CB-{n}"));
        site.handle(now(), Input::Down { link: LinkId(n) });
    }
    assert!(site.stations.len() <= 100, "{}", site.stations.len());
}
