//! Which charge points the backends see: EVSEs with the same URL and client id are one.

use super::evse::{Device, Evse};
use super::gateway::Gateway;
use super::manager::{LoadManagement, Manager};
use crate::gateway::keys::Credential;
use crate::gateway::{BootPlan, GatewayPlan, MemberPlan};
use crate::ids::{ChargeBoxId, ConnectorId};
use crate::ocpp::composite::Wiring;

/// One for each identity, in the order of the file.
pub(super) fn plans(manager: &Manager, evses: &[Evse]) -> Vec<GatewayPlan> {
    let mut plans: Vec<GatewayPlan> = Vec::new();
    for evse in evses {
        let Some(gateway) = &evse.gateway else {
            continue;
        };
        let member = member(manager, evse, gateway);
        let same = |plan: &&mut GatewayPlan| {
            plan.url == gateway.url && plan.client_id == gateway.client_id
        };
        if let Some(plan) = plans.iter_mut().find(same) {
            plan.members.push(member);
            merge(plan, gateway);
        } else {
            plans.push(plan(manager, gateway, member));
        }
    }
    for plan in &mut plans {
        let primary = plan.primary().map(|member| member.address.clone());
        let here =
            |evse: &&Evse| matches!(&evse.device, Device::Ocpp(id) if Some(id) == primary.as_ref());
        plan.place(evses.iter().filter(here).count());
        let with_backend = evses.iter().filter(here).filter(|it| it.gateway.is_some());
        let lowest = with_backend.map(|it| it.id).min();
        let leads = |it: &MemberPlan| it.is_ocpp && Some(it.connector.0) == lowest;
        plan.leads = lowest.is_none() || plan.members.iter().any(leads);
    }
    plans
}

fn plan(manager: &Manager, gateway: &Gateway, member: MemberPlan) -> GatewayPlan {
    let encrypted = gateway.url.to_ascii_lowercase().starts_with("wss:");
    let security_profile = match (encrypted, &gateway.key_pair, &gateway.password) {
        (true, Some(_), _) => 3,
        (true, None, _) => 2,
        (false, _, Some(_)) => 1,
        (false, _, None) => 0,
    };
    GatewayPlan {
        url: gateway.url.clone(),
        client_id: gateway.client_id.clone(),
        members: vec![member],
        whole: None,
        shares_wallbox: false,
        leads: true,
        serial_suffix: None,
        security_profile,
        has_ca: gateway.ca != super::Trust::Anyone,
        password: gateway
            .password
            .as_ref()
            .map(|password| Credential::new(password.expose())),
        boot: BootPlan {
            vendor: gateway.boot.vendor.clone(),
            model: gateway.boot.model.clone(),
            serial: gateway.boot.serial.clone(),
            firmware: gateway.boot.firmware.clone(),
        },
        synthesize_stop: gateway.synthesize_stop,
        allow_firmware: gateway.allow_firmware,
        upload_log: gateway.upload_log,
        queue_data_transfer: gateway.queue_data_transfer.clone(),
        max_queue: usize::try_from(gateway.max_queue).unwrap_or(usize::MAX),
        observe: manager.load_management == LoadManagement::Observe,
    }
}

/// Of EVSEs that share a connection the more careful setting counts.
fn merge(plan: &mut GatewayPlan, gateway: &Gateway) {
    plan.synthesize_stop &= gateway.synthesize_stop;
    plan.allow_firmware &= gateway.allow_firmware;
    plan.upload_log &= gateway.upload_log;
    for vendor in &gateway.queue_data_transfer {
        if !plan.queue_data_transfer.contains(vendor) {
            plan.queue_data_transfer.push(vendor.clone());
        }
    }
    let most = usize::try_from(gateway.max_queue).unwrap_or(usize::MAX);
    plan.max_queue = plan.max_queue.max(most);
}

fn member(manager: &Manager, evse: &Evse, gateway: &Gateway) -> MemberPlan {
    let (address, is_ocpp) = match &evse.device {
        Device::Ocpp(id) => (id.clone(), true),
        Device::PowerBrain(address) => (ChargeBoxId::from(address.to_string().as_str()), false),
    };
    MemberPlan {
        evse: evse.name.clone(),
        address,
        connector: ConnectorId(evse.id),
        is_ocpp,
        backend_connector: gateway.connector.map(ConnectorId),
        min: evse.min_current,
        wiring: Wiring {
            phases: evse.phases,
            voltage: manager.voltage,
            max: evse.max_current,
            // What a Modbus wallbox can do is not known before it is asked.
            switches_phases: false,
        },
        rotation: evse.rotation.order(),
        offline_unknown_tags: gateway.offline_unknown_tags,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::read;
    use crate::gateway::GatewayPlan;
    use crate::units::Phase::{L1, L2, L3};

    fn plans(evses: &[(&str, &str, u32, &str)]) -> Vec<GatewayPlan> {
        use std::fmt::Write as _;

        let mut file = "[[circuit]]\nname = \"house\"\nmax-current = 63\n".to_owned();
        for (name, address, id, client) in evses {
            let _ = write!(
                file,
                "[[evse]]\nname = \"{name}\"\ndevice = \"ocpp1.6\"\naddress = \"{address}\"\nid = {id}\n\
                 max-current = 16\n[evse.gateway]\nurl = \"ws://backend.example/\"\n\
                 client-id = \"{client}\"\n"
            );
        }
        read(Path::new("test.toml"), &file).unwrap().0.plan.gateways
    }

    #[test]
    fn all_connectors_of_one_wallbox_are_that_wallbox() {
        let plans = plans(&[("a", "CB", 1, "X"), ("b", "CB", 2, "X")]);
        assert_eq!(plans.len(), 1);
        assert_eq!(plans[0].whole, Some("CB".into()));
        assert!(!plans[0].shares_wallbox);
    }

    #[test]
    fn a_wallbox_whose_connectors_have_backends_of_their_own_is_two_charge_points() {
        let plans = plans(&[("a", "CB", 1, "X"), ("b", "CB", 2, "Y")]);
        assert_eq!(plans.len(), 2);
        for (plan, suffix) in plans.iter().zip(["-1", "-2"]) {
            assert_eq!(plan.whole, None);
            assert_eq!(plan.serial_suffix.as_deref(), Some(suffix));
            assert!(plan.shares_wallbox);
            assert_eq!(plan.leads, suffix == "-1");
        }
    }

    /// One charge point of an OCPP wallbox and a Power Brain.
    fn mixed(first: &str, then: &str, mode: &str) -> String {
        let evse = |name: &str| {
            let address = if name == "brain" {
                "device = \"power-brain\"\naddress = \"192.0.2.7:4701\""
            } else {
                "device = \"ocpp1.6\"\naddress = \"CB\""
            };
            format!(
                "[[evse]]\nname = \"{name}\"\n{address}\nmax-current = 16\nrotation = \"L2L3L1\"\n\
                 [evse.gateway]\nurl = \"ws://backend.example/\"\nclient-id = \"X\"\n"
            )
        };
        let head = "[[circuit]]\nname = \"house\"\nmax-current = 63\n";
        format!(
            "[manager]\nload-management = \"{mode}\"\n{head}{}{}",
            evse(first),
            evse(then)
        )
    }

    #[test]
    fn an_ocpp_wallbox_speaks_for_a_charge_point_that_has_power_brains_too() {
        let text = mixed("brain", "box", "control");
        let plans = read(Path::new("test.toml"), &text).unwrap().0.plan.gateways;
        let primary = plans[0].primary().unwrap();
        assert_eq!((plans.len(), primary.evse.as_str()), (1, "box"));
        assert!(plans[0].leads);
        assert_eq!(plans[0].members[0].rotation, Some([L2, L3, L1]));
    }

    #[test]
    fn a_log_is_uploaded_where_every_evse_of_the_charge_point_says_so() {
        let text = mixed("brain", "box", "control");
        let uploads = |text: &str| {
            let (config, _) = read(Path::new("test.toml"), text).unwrap();
            config.plan.gateways[0].upload_log
        };
        let yes = "upload-log = true\nclient-id";
        assert!(!uploads(&text));
        assert!(!uploads(&text.replacen("client-id", yes, 1)));
        assert!(uploads(&text.replace("client-id", yes)));
        let no = yes.replace("true", "\"yes\"");
        let wrong = read(Path::new("test.toml"), &text.replacen("client-id", &no, 1));
        let problems = wrong.unwrap_err();
        assert!(problems.0[0].what.contains("upload-log"), "{problems:?}");
    }

    #[test]
    fn in_observe_mode_power_brains_and_ocpp_wallboxes_are_charge_points_of_their_own() {
        let text = mixed("brain", "box", "observe");
        let problems = read(Path::new("test.toml"), &text).unwrap_err();
        assert_eq!(problems.0.len(), 1);
        let what = &problems.0[0].what;
        assert!(what.starts_with("in observe mode"), "{what}");
        let text = text.replacen("\"X\"", "\"Y\"", 1);
        assert!(read(Path::new("test.toml"), &text).is_ok());
    }

    #[test]
    fn every_power_brain_with_a_backend_is_worth_a_warning_of_its_own_ocpp_client() {
        let text = mixed("brain", "box", "control");
        let (_, warnings) = read(Path::new("test.toml"), &text).unwrap();
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        assert!(warning.0.what.contains("bills every session twice"));
        assert_eq!(warning.0.place.as_ref().unwrap().line, 12);
        let alone = text.replace("client-id", "#").replace("url", "#");
        let alone = alone.replace("[evse.gateway]", "");
        let (_, warnings) = read(Path::new("test.toml"), &alone).unwrap();
        assert_eq!(warnings, []);
    }

    #[test]
    fn what_bills_nothing_or_does_nothing_at_a_power_brain_is_worth_a_warning() {
        let warned = |old: &str, new: &str| {
            let text = mixed("brain", "box", "control").replacen(old, new, 1);
            let (_, warnings) = read(Path::new("test.toml"), &text).unwrap();
            let mut said = warnings.iter().map(|it| it.0.what.clone());
            said.find(|it| !it.contains("bills every session twice"))
        };
        assert_eq!(warned("", ""), None);
        for (old, new, expected) in [
            (
                "device = \"power-brain\"",
                "device = \"power-brain\"\nmeter = \"none\"",
                "0 kWh",
            ),
            (
                "client-id",
                "allow-firmware = true\nclient-id",
                "allow-firmware",
            ),
            (
                "client-id",
                "queue-data-transfer = [\"x\"]\nclient-id",
                "queue-data-transfer",
            ),
            (
                "[manager]",
                "[manager]\non-shutdown = \"release\"",
                "nothing of it is billed",
            ),
        ] {
            let said = warned(old, new).unwrap_or_default();
            assert!(said.contains(expected), "{new}: {said:?}");
        }
    }

    #[test]
    fn several_wallboxes_can_be_one_charge_point() {
        let plans = plans(&[("a", "CB-1", 1, "X"), ("b", "CB-2", 1, "X")]);
        assert_eq!((plans.len(), plans[0].members.len()), (1, 2));
        assert_eq!(plans[0].whole, None);
    }
}
