//! Orders of events in which things went wrong once.

use std::time::Duration;

use super::status::OcppServerStatus;
use super::*;
use crate::charge_point::ChargePointPlan;
use crate::charge_point::plan::Metering;
use crate::clock::{Mono, Now, Random};
use crate::gateway::{BootPlan, GatewayPlan, MemberPlan};
use crate::ids::{ConnectorId, EntryId, LinkId};
use crate::journal::{EntryKind, EntryState, Outline, Progress, Recovered};
use crate::load::LoadPlan;
use crate::ocpp::composite::Wiring;
use crate::units::{MilliAmps, MilliVolts};

/// No EVSE, and strangers may connect.
fn site() -> Site {
    site_with(Vec::new(), &Recovered::default())
}

fn site_with(gateways: Vec<GatewayPlan>, recovered: &Recovered) -> Site {
    site_of(Vec::new(), gateways, recovered)
}

pub(super) fn site_of(
    charge_points: Vec<ChargePointPlan>,
    gateways: Vec<GatewayPlan>,
    recovered: &Recovered,
) -> Site {
    let load = LoadPlan::default();
    let plan = Plan {
        gateways,
        load,
        stations: Vec::new(),
        charge_points,
        meters: Vec::new(),
        measured_by: std::collections::BTreeMap::new(),
        authorization: AuthorizationPlan::default(),
        limit_signals: std::collections::BTreeMap::new(),
    };
    Site::new(now(), plan, recovered, Random::new(1))
}

/// A Modbus wallbox.
pub(super) fn charge_point(address: &str, unit: u8) -> ChargePointPlan {
    ChargePointPlan {
        evse: "yard".into(),
        address: address.into(),
        unit,
        phases: 3,
        min: MilliAmps(6000),
        max: MilliAmps(16_000),
        failsafe: MilliAmps(6000),
        voltage: MilliVolts(230_000),
        fixed_id_tag: None,
        open: false,
        meter: Metering::Own,
        observe: false,
        backend: true,
        rotation: None,
    }
}

/// Its backend.
pub(super) fn backend(client_id: &str, address: &str, unit: u32) -> GatewayPlan {
    let member = MemberPlan {
        evse: "yard".into(),
        address: address.into(),
        connector: ConnectorId(unit),
        is_ocpp: false,
        backend_connector: None,
        min: MilliAmps(6000),
        wiring: Wiring {
            phases: 3,
            voltage: MilliVolts(230_000),
            max: MilliAmps(16_000),
            switches_phases: false,
        },
        rotation: None,
        offline_unknown_tags: false,
    };
    gateway_plan(client_id, vec![member])
}

fn gateway_plan(client_id: &str, members: Vec<MemberPlan>) -> GatewayPlan {
    GatewayPlan {
        url: "wss://backend.example/".to_owned(),
        client_id: client_id.to_owned(),
        members,
        whole: None,
        shares_wallbox: false,
        leads: true,
        serial_suffix: None,
        security_profile: 2,
        has_ca: false,
        password: None,
        boot: BootPlan::default(),
        synthesize_stop: false,
        allow_firmware: false,
        upload_log: false,
        queue_data_transfer: Vec::new(),
        max_queue: 10,
        observe: false,
    }
}

pub(super) fn now() -> Now {
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

#[test]
fn what_a_backend_refused_for_good_is_an_error_of_the_status() {
    let plan = gateway_plan("CP", Vec::new());
    let mut journal = Recovered::default();
    let errors = |journal: &Recovered| {
        let site = site_with(vec![plan.clone()], journal);
        let server = OcppServerStatus {
            port: 0,
            tls: "off".to_owned(),
            connections: 0,
        };
        site.status(now(), server).errors
    };
    for id in 1..=2 {
        let dead = Outline {
            identity: plan.identity(),
            address: "CB".into(),
            connector: ConnectorId(1),
            transaction: None,
            kind: EntryKind::DataTransfer,
            progress: Progress {
                id: EntryId(id),
                state: EntryState::Dead,
                attempts: 3,
                backend_id: None,
            },
        };
        assert_eq!(errors(&journal).len(), usize::from(id > 1));
        journal.entries.insert(EntryId(id), dead);
    }
    assert_eq!(
        errors(&journal),
        [
            "the backend wss://backend.example/ refused 2 messages of CP for good: they are kept in the journal"
        ]
    );
}
