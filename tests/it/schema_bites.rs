//! The test of the test: [`schema`](crate::schema) finds what is wrong with a frame.

use crate::schema::Checker;

const BOOT: &str = r#"[2,"b","BootNotification",{"chargePointVendor":"A","chargePointModel":"B"}]"#;

fn profile(limit: &str) -> String {
    format!(
        r#"[2,"p","SetChargingProfile",{{"connectorId":1,"csChargingProfiles":{{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{{"chargingRateUnit":"A","chargingSchedulePeriod":[{{"startPeriod":0,"limit":{limit}}}]}}}}}}]"#
    )
}

/// What is wrong with the last of `frames` on a connection on which the peer said `received`.
fn verdict(received: &[&str], frames: &[&str]) -> Result<(), String> {
    let mut checker = Checker::new();
    for text in received {
        checker.received(text);
    }
    frames
        .iter()
        .map(|text| checker.judge(text))
        .last()
        .unwrap()
}

#[test]
fn frames_that_may_be_sent_pass() {
    let boot =
        r#"[3,"b",{"status":"Accepted","currentTime":"2026-01-15T10:00:00Z","interval":300}]"#;
    assert_eq!(verdict(&[], &[BOOT]), Ok(()));
    assert_eq!(verdict(&[BOOT], &[boot]), Ok(()));
    assert_eq!(
        verdict(&[], &[boot]),
        Ok(()),
        "without its CALL only the frame is judged"
    );
    assert_eq!(
        verdict(&[], &[r#"[4,"b","FormationViolation","",{}]"#]),
        Ok(())
    );
    let odd_id = r#"[2,17,"Heartbeat",null]"#;
    let echoed = r#"[3,17,{"currentTime":"2026-01-15T10:00:00Z"}]"#;
    assert_eq!(
        verdict(&[odd_id], &[echoed]),
        Ok(()),
        "a peer's odd id comes back as it was"
    );
    for limit in ["0", "16", "10.7", "21.4", "0.3", "1.1", "16.0", "1e1"] {
        assert_eq!(verdict(&[], &[&profile(limit)]), Ok(()), "{limit}");
    }
}

#[test]
fn frames_that_break_the_framing_do_not_pass() {
    for text in [
        "",
        "{}",
        "[]",
        r#"[2,"a","Heartbeat"]"#,
        r#"[2,"a","Heartbeat",null]"#,
        r#"[2,"a","Heartbeat",{},{}]"#,
        r#"[2,"","Heartbeat",{}]"#,
        r#"[2,17,"Heartbeat",{}]"#,
        r#"[2,"1234567890123456789012345678901234567","Heartbeat",{}]"#,
        r#"["2","a","Heartbeat",{}]"#,
        r#"[3,"a"]"#,
        r#"[3,"a",[]]"#,
        r#"[3,"a",{"data":null}]"#,
        r#"[4,"a","FormatViolation","",{}]"#,
        r#"[4,"a","GenericError","",null]"#,
        r#"[4,"a","GenericError",""]"#,
        r#"[5,"a",{}]"#,
    ] {
        assert!(verdict(&[], &[text]).is_err(), "{text}");
    }
    for limit in ["10.66", "0.05", "16.000001", "null"] {
        assert!(verdict(&[], &[&profile(limit)]).is_err(), "{limit}");
    }
}

#[test]
fn a_connection_answers_each_call_once_and_uses_each_id_once() {
    let heartbeat = r#"[2,"h","Heartbeat",{}]"#;
    let answer = r#"[3,"h",{"currentTime":"2026-01-15T10:00:00Z"}]"#;
    assert!(verdict(&[BOOT], &[answer]).is_err(), "an answer to no CALL");
    assert!(
        verdict(&[heartbeat], &[answer, answer]).is_err(),
        "a second answer"
    );
    let error = r#"[4,"h","NotSupported","",{}]"#;
    assert!(
        verdict(&[heartbeat], &[error, answer]).is_err(),
        "an answer after an error"
    );
    let repeated = [heartbeat, heartbeat];
    assert_eq!(verdict(&repeated, &[answer, answer]), Ok(()));
    assert!(verdict(&repeated, &[answer, answer, answer]).is_err());
    assert!(
        verdict(&[], &[heartbeat, heartbeat]).is_err(),
        "an id used twice"
    );
}

#[test]
fn payloads_that_break_the_official_schemas_do_not_pass() {
    if std::env::var_os("OCPP_SCHEMAS").is_none() {
        return;
    }
    let start = r#"[2,"s","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"2026-01-15T10:00:00Z"}]"#;
    for answer in [
        r#"[3,"s",{}]"#,
        r#"[3,"s",{"transactionId":1.5,"idTagInfo":{"status":"Accepted"}}]"#,
        r#"[3,"s",{"transactionId":1,"idTagInfo":{"status":"accepted"}}]"#,
        r#"[3,"s",{"transactionId":1,"idTagInfo":{"status":"Accepted"},"extra":1}]"#,
        r#"[3,"s",{"transactionId":1,"idTagInfo":{"status":"Accepted","expiryDate":"soon"}}]"#,
    ] {
        assert!(verdict(&[start], &[answer]).is_err(), "{answer}");
    }
    for call in [
        r#"[2,"a","MakeCoffee",{}]"#,
        r#"[2,"a","Reset",{"type":"Medium"}]"#,
        r#"[2,"a","RemoteStartTransaction",{"idTag":"123456789012345678901"}]"#,
    ] {
        assert!(verdict(&[], &[call]).is_err(), "{call}");
    }
}
