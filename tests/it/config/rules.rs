//! The rules between the parts of a configuration, one test for each.

use chargewarden::modbus::meters::Value;

use super::{SITE, good, warnings, wrong};

/// A second EVSE with these lines.
pub(super) fn evse(lines: &str) -> String {
    format!(
        "{SITE}[[evse]]\nname = \"right\"\ndevice = \"ocpp1.6\"\naddress = \"CB-2\"\n\
         max-current = 16\n{lines}\n"
    )
}

/// An EVSE behind a Power Brain, with these lines.
fn power_brain(name: &str, lines: &str) -> String {
    format!("[[evse]]\nname = \"{name}\"\ndevice = \"power-brain\"\nmax-current = 16\n{lines}\n")
}

pub(super) fn circuit(lines: &str) -> String {
    format!("[[circuit]]\n{lines}\n")
}

fn meter(lines: &str) -> String {
    format!("{SITE}[[meter]]\nname = \"grid\"\naddress = \"192.0.2.50:502\"\n{lines}\n")
}

fn gateway(name: &str, lines: &str) -> String {
    format!(
        "[[evse]]\nname = \"{name}\"\ndevice = \"ocpp1.6\"\naddress = \"{name}\"\nmax-current = 16\n\
         [evse.gateway]\nurl = \"ws://backend.example/x\"\nclient-id = \"B\"\n{lines}\n"
    )
}

#[test]
fn names_are_unique_among_circuits_among_meters_and_among_evses() {
    let text = format!(
        "{SITE}{SITE}{}{}",
        meter("device = \"sdm72\"").replace(SITE, ""),
        meter("device = \"sdm72\"").replace(SITE, "")
    )
    .replacen("CB-1", "CB-2", 1);
    let wrong = wrong(&text);
    for name in [
        "[[circuit]] named \"house\"",
        "[[evse]] named \"left\"",
        "[[meter]] named \"grid\"",
    ] {
        let what = format!("there is another {name}");
        assert_eq!(
            wrong.iter().filter(|it| it.ends_with(&what)).count(),
            1,
            "{wrong:?}"
        );
    }
}

#[test]
fn there_is_a_circuit_and_exactly_one_has_no_parent() {
    let [none] = &wrong("")[..] else { panic!() };
    assert_eq!(none, "1: there is no [[circuit]]");
    let two = format!("{SITE}{}", circuit("name = \"garage\"\nmax-current = 32"));
    assert_eq!(
        wrong(&two),
        ["9: garage has no parent, but house is the root already"]
    );
}

#[test]
fn circuits_form_no_ring_and_each_ring_is_reported_once() {
    let ring = |a: &str, b: &str| {
        circuit(&format!(
            "name = \"{a}\"\nparent = \"{b}\"\nmax-current = 9"
        ))
    };
    let text = [
        SITE,
        &ring("a", "b"),
        &ring("b", "a"),
        &ring("below", "a"),
        &ring("self", "self"),
    ];
    assert_eq!(
        wrong(&text.concat()),
        [
            "11: the parents of a lead back to a",
            "23: the parents of self lead back to self"
        ]
    );
}

#[test]
fn parents_come_before_their_children_in_the_plan_whatever_the_order_of_the_file() {
    let text = [
        circuit("name = \"c\"\nparent = \"b\"\nmax-current = 9"),
        circuit("name = \"b\"\nparent = \"house\"\nmax-current = 9"),
        SITE.to_owned(),
        circuit("name = \"a\"\nparent = \"house\"\nmax-current = 9"),
    ];
    let config = good(&text.concat());
    let names: Vec<&str> = config
        .plan
        .load
        .circuits
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["house", "b", "c", "a"]);
}

#[test]
fn parents_circuits_meters_and_evses_that_are_referred_to_exist() {
    let text = format!(
        "{}[[circuit]]\nname = \"garage\"\nparent = \"hous\"\nmax-current = 9\nmeter = \"gird\"\n\
         [authorization]\n[[authorization.id-tag]]\ntag = \"A\"\nevses = [\"left\", \"middle\"]\n",
        evse("circuit = \"cellar\"\nmeter = \"sub\"")
    );
    assert_eq!(
        wrong(&text),
        [
            "14: there is no [[circuit]] named \"cellar\"",
            "15: there is no [[meter]] named \"sub\"",
            "18: there is no [[circuit]] named \"hous\"",
            "20: there is no [[meter]] named \"gird\"",
            "24: there is no [[evse]] named \"middle\"",
        ]
    );
}

#[test]
fn a_reference_to_a_section_whose_own_name_is_broken_is_not_reported_too() {
    let text = SITE.replace("name = \"house\"", "name = 5");
    let text = format!("{text}circuit = \"house\"\n");
    assert_eq!(
        wrong(&text),
        ["2: name must be text in quotes, not a whole number"]
    );
}

#[test]
fn address_and_id_are_used_once() {
    let same = evse("").replace("CB-2", "CB-1");
    assert_eq!(
        wrong(&same),
        ["12: address and id are those of the EVSE in line 4"]
    );
    let next = evse("id = 2").replace("CB-2", "CB-1");
    assert_eq!(good(&next).plan.stations.len(), 1);

    let brain = |id| {
        power_brain(
            &format!("p{id}"),
            &format!("address = \"box:4701\"\nid = {id}"),
        )
    };
    let text = [SITE, &brain(1), &brain(2), &brain(2).replace("p2", "p3")].concat();
    assert_eq!(
        wrong(&text),
        ["26: address and id are those of the EVSE in line 15"]
    );
}

#[test]
fn all_devices_on_a_serial_line_are_set_alike() {
    let brain = |id, line| {
        let lines = format!("address = \"/dev/ttyUSB0,{line}\"\nid = {id}");
        power_brain(&format!("p{id}"), &lines)
    };
    let alike = [SITE, &brain(1, "9600,8,n,1"), &brain(2, "9600,8,n,1")].concat();
    good(&alike);
    let text = [SITE, &brain(1, "9600,8,n,1"), &brain(2, "19200,8,n,1")].concat();
    assert_eq!(
        wrong(&text),
        ["19: /dev/ttyUSB0 has other settings in line 13"]
    );
}

#[test]
fn chargebox_ids_that_differ_only_in_case_clash_whatever_their_connectors() {
    let text = evse("id = 2").replace("CB-2", "cb-1");
    assert_eq!(
        wrong(&text),
        [
            "12: this ChargeBox ID differs only in upper and lower case from that of the EVSE in line 4"
        ]
    );
}

#[test]
fn what_limits_a_whole_wallbox_limits_none_of_several_connectors() {
    let with = |profiles: [&str; 2]| {
        let connector = |id: u32, profile: &str| {
            format!(
                "[[evse]]\nname = \"{id}\"\ndevice = \"ocpp1.6\"\naddress = \"CB-2\"\nid = {id}\n\
                 max-current = 16\n[evse.ocpp]\nprofile = \"{profile}\"\n"
            )
        };
        format!(
            "{SITE}{}{}",
            connector(1, profiles[0]),
            connector(2, profiles[1])
        )
    };
    good(&with(["tx-default", "tx"]));
    assert_eq!(
        wrong(&with(["charge-point-max", "tx-default"])),
        ["16: charge-point-max would limit the EVSE in line 17 too"]
    );
    assert_eq!(
        wrong(&with(["tx", "charge-point-max"])),
        ["24: charge-point-max would limit the EVSE in line 9 too"]
    );
    let alone = "[evse.ocpp]\nprofile = \"charge-point-max\"";
    good(&evse(alone));
}

#[test]
fn a_wallbox_has_one_password_for_all_its_connectors() {
    let text = format!(
        "{SITE}[evse.ocpp]\npassword = \"a\"\n{}",
        evse("id = 2\n[evse.ocpp]\npassword = \"b\"")
            .replace(SITE, "")
            .replace("CB-2", "CB-1")
    );
    assert_eq!(
        wrong(&text),
        ["11: the password differs from that of the EVSE in line 4"]
    );
    let config = good(&text.replace("\"b\"", "\"a\""));
    assert_eq!(config.server.passwords.len(), 1);
}

#[test]
fn addresses_fit_the_device() {
    assert_eq!(
        wrong(&SITE.replace("CB-1", "ws://pi:19520/CB-1")),
        ["7: a ChargeBox ID is no URL"]
    );
    for address in ["box", "box:0", "box:70000", "/dev/ttyUSB0"] {
        let text = format!(
            "{SITE}{}",
            power_brain("p", &format!("address = \"{address}\""))
        );
        assert_eq!(
            wrong(&text),
            [format!(
                "13: \"{address}\" is no address of a Modbus device"
            )]
        );
    }
}

#[test]
fn custom_meters_need_registers_and_only_they_have_some() {
    let register =
        "[meter.registers]\ncurrent-l1 = { address = 6, table = \"input\", type = \"f32\" }";
    assert_eq!(
        wrong(&meter("device = \"custom\"")),
        ["12: a custom meter needs [meter.registers]"]
    );
    assert_eq!(
        wrong(&meter(&format!("device = \"sdm630\"\n{register}"))),
        ["13: the registers of \"sdm630\" are known"]
    );
    assert_eq!(
        wrong(&meter(&format!(
            "device = \"custom\"\n{}",
            register.replace("l1", "l2")
        ))),
        ["13: a meter without current-l1 guards nothing"]
    );
    assert_eq!(
        wrong(&meter(&format!(
            "device = \"custom\"\n{}",
            register.replace("address = 6, ", "scale = 0, ")
        ))),
        ["14: current-l1 has no address", "14: scale must not be 0"]
    );
    let config = good(&meter(&format!("device = \"custom\"\n{register}")));
    assert_eq!(config.meters[0].registers[&Value::CurrentL1].address, 6);
    assert_eq!(
        wrong(&meter("device = \"sdm72\"").replace("grid", "none")),
        ["10: a meter cannot be named \"none\""]
    );
}

#[test]
fn backends_are_reached_by_websocket_urls_without_user_and_password() {
    for (url, expected) in [
        (
            "https://backend.example",
            "url must begin with ws:// or wss://",
        ),
        ("backend.example", "url must begin with ws:// or wss://"),
        ("wss://", "url is no WebSocket address"),
        ("wss://backend.example:0/x", "url is no WebSocket address"),
        ("wss://backend.example:65536", "url is no WebSocket address"),
        ("wss://back end.example", "url is no WebSocket address"),
        ("wss://backend.example/a b", "url is no WebSocket address"),
        (
            "wss://user:geheim@backend.example",
            "url must not hold a user or a password",
        ),
    ] {
        let text = format!("{SITE}{}", gateway("right", "")).replace("ws://backend.example/x", url);
        assert_eq!(wrong(&text), [format!("15: {expected}")], "{url}");
    }
    for url in [
        "ws://10.0.0.1:8080",
        "WSS://[::1]/a?b=c",
        "wss://b.example/ä/",
    ] {
        good(&format!("{SITE}{}", gateway("right", "")).replace("ws://backend.example/x", url));
    }
}

#[test]
fn evses_of_one_backend_identity_agree_and_do_not_repeat_the_connector() {
    let two = |a: &str, b: &str| format!("{SITE}{}{}", gateway("a", a), gateway("b", b));
    good(&two(
        "connector = 1\npassword = \"x\"",
        "connector = 2\npassword = \"x\"",
    ));
    for (line, key) in [
        ("password = \"x\"", "password"),
        ("append-id = false", "append-id"),
        ("verify-hostname = false", "verify-hostname"),
        ("ca = \"system\"", "ca"),
    ] {
        assert_eq!(
            wrong(&two("", line)),
            [format!(
                "23: {key} differs from that of the same url and client-id in line 14"
            )]
        );
    }
    assert_eq!(
        wrong(&two("connector = 3", "connector = 3")),
        ["23: the connector is that of the same url and client-id in line 14"]
    );
    good(&two("connector = 3", "connector = 3").replacen(
        "client-id = \"B\"",
        "client-id = \"C\"",
        1,
    ));
}

#[test]
fn a_backend_whose_certificate_nobody_checks_is_worth_a_warning() {
    let text = format!("{SITE}{}", gateway("right", "")).replace("ws://", "wss://");
    assert_eq!(
        warnings(&text),
        ["any server certificate is accepted as the backend's"]
    );
    let text = format!("{SITE}{}", gateway("right", "ca = \"system\"")).replace("ws://", "wss://");
    assert_eq!(warnings(&text), [""; 0]);
}

#[test]
fn a_power_brain_has_no_ocpp_section() {
    let text = format!(
        "{SITE}{}",
        power_brain("p", "address = \"box:4701\"\n[evse.ocpp]")
    );
    assert_eq!(wrong(&text), ["14: a Power Brain does not speak OCPP"]);
}

#[test]
fn a_key_below_the_wrong_header_is_told_where_it_belongs() {
    let problems = super::read(&evse("[evse.ocpp]\nweight = 2")).unwrap_err();
    let remedy = &problems.0[0].remedy;
    assert_eq!(
        remedy,
        "it is a key of [[evse]]: write it above [evse.ocpp]"
    );
}

#[test]
fn single_and_double_brackets_are_not_mixed_up() {
    let text = SITE.replace("[[circuit]]", "[circuit]");
    assert!(
        wrong(&text)
            .contains(&"1: there may be several circuit sections, this is a section".to_owned())
    );
    assert_eq!(
        wrong(&format!("{SITE}[[manager]]\n")),
        ["9: manager must be a section, not a list"]
    );
}
