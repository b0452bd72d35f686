use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

const FLAGS: OfflineFlags = OfflineFlags {
    list: true,
    cache: true,
    authorize_offline: true,
    pre_authorize: false,
    unknown: false,
};

fn now() -> Timestamp {
    "2026-01-15T10:00:00Z".parse().unwrap()
}

fn info(status: &str) -> IdTagInfo {
    serde_json::from_str(&json!({"status": status}).to_string()).unwrap()
}

fn member(parent: &str) -> IdTagInfo {
    IdTagInfo {
        parent_id_tag: Some(parent.into()),
        ..info("Accepted")
    }
}

fn until(end: &str) -> IdTagInfo {
    IdTagInfo {
        expiry_date: Some(end.parse().unwrap()),
        ..info("Accepted")
    }
}

fn tag(tag: &str, status: &str) -> Value {
    json!({"idTag": tag, "idTagInfo": {"status": status}})
}

fn send(list: &mut LocalList, version: i64, kind: &str, tags: &Value) -> String {
    let payload =
        json!({"listVersion": version, "updateType": kind, "localAuthorizationList": tags});
    let payload = RawValue::from_string(payload.to_string()).unwrap();
    let answer: Value = serde_json::from_str(&list.send(&payload, FLAGS).unwrap()).unwrap();
    answer["status"].as_str().unwrap().to_owned()
}

fn version(list: &LocalList) -> String {
    list.version(FLAGS)
}

fn many(count: usize, prefix: &str) -> Value {
    (0..count)
        .map(|i| tag(&format!("{prefix}{i}"), "Accepted"))
        .collect()
}

fn cached(entries: &[(&str, IdTagInfo)]) -> Tags {
    let mut tags = Tags::default();
    for (tag, verdict) in entries {
        tags.learn(now(), &(*tag).into(), verdict, FLAGS);
    }
    tags
}

fn judged(tags: &Tags, tag: &str, flags: OfflineFlags) -> AuthorizationStatus {
    tags.judge_offline(now(), &tag.into(), flags).status
}

#[test]
fn a_full_list_takes_the_place_of_the_old_one() {
    let mut list = LocalList::default();
    assert_eq!(version(&list), r#"{"listVersion":0}"#);
    let two = json!([tag("A", "Accepted"), tag("B", "Blocked")]);
    assert_eq!(send(&mut list, 7, "Full", &two), "Accepted");
    assert_eq!(
        send(&mut list, 3, "full", &json!([tag("C", "Accepted")])),
        "Accepted"
    );
    assert_eq!(
        (version(&list).as_str(), list.tags.len()),
        (r#"{"listVersion":3}"#, 1)
    );
    assert_eq!(send(&mut list, 4, "Full", &json!([])), "Accepted");
    assert_eq!(
        (version(&list).as_str(), list.tags.len()),
        (r#"{"listVersion":4}"#, 0)
    );
    assert_eq!(send(&mut list, 5, "Full", &Value::Null), "Accepted");
}

#[test]
fn case_48_a_change_needs_a_newer_version_and_an_entry_without_verdict_goes() {
    let mut list = LocalList::default();
    let two = json!([tag("A", "Accepted"), tag("B", "Blocked")]);
    send(&mut list, 7, "Full", &two);
    for version in [7, 6, -1] {
        assert_eq!(
            send(&mut list, version, "Differential", &json!([])),
            "VersionMismatch"
        );
    }
    let change = json!([{"idTag": "a"}, {"idTag": "unknown"}, tag("b", "Accepted")]);
    assert_eq!(send(&mut list, 8, "Differential", &change), "Accepted");
    assert_eq!(version(&list), r#"{"listVersion":8}"#);
    let left: Vec<_> = list
        .tags
        .iter()
        .map(|(tag, info)| (tag.as_str(), info.status))
        .collect();
    assert_eq!(left, [("b", AuthorizationStatus::Accepted)]);
}

#[test]
fn what_cannot_be_done_whole_is_not_done() {
    let mut list = LocalList::default();
    send(&mut list, 1, "Full", &json!([tag("A", "Accepted")]));
    let before = list.clone();
    for (version, kind, tags) in [
        (
            2,
            "Full",
            json!([tag("B", "Accepted"), tag("b", "Accepted")]),
        ),
        (
            2,
            "Differential",
            json!([tag("B", "Accepted"), {"idTag": "b"}]),
        ),
        (2, "Full", many(201, "T")),
        (2, "Full", json!([tag("B", "Accepted"), {"idTag": "C"}])),
        (2, "Full", json!([tag("", "Accepted")])),
        (0, "Full", json!([])),
        (-1, "Full", json!([])),
    ] {
        assert_eq!(
            send(&mut list, version, kind, &tags),
            "Failed",
            "{version} {kind}"
        );
        assert_eq!(list, before);
    }
    for bad in [
        json!({"updateType": "Full"}),
        json!({"listVersion": 2, "updateType": "Some"}),
        json!({"listVersion": 2, "updateType": "Full", "localAuthorizationList": {}}),
        json!({"listVersion": 2, "updateType": "Full", "localAuthorizationList": [tag("B", "Fine")]}),
    ] {
        let payload = RawValue::from_string(bad.to_string()).unwrap();
        assert!(list.send(&payload, FLAGS).is_err(), "{bad}");
        assert_eq!(list, before);
    }
}

#[test]
fn a_list_grows_to_its_limit_and_no_further() {
    let mut list = LocalList::default();
    for i in 0..5 {
        let part = many(200, &format!("{i}-"));
        assert_eq!(send(&mut list, i + 1, "Differential", &part), "Accepted");
    }
    assert_eq!(
        send(&mut list, 6, "Differential", &many(1, "one more")),
        "Failed"
    );
    assert_eq!((list.tags.len(), list.version), (1000, 5));
    let swap = json!([{"idTag": "0-0"}, tag("new", "Accepted")]);
    assert_eq!(send(&mut list, 6, "Differential", &swap), "Accepted");
}

#[test]
fn a_list_that_is_switched_off_is_not_supported() {
    let off = OfflineFlags {
        list: false,
        ..FLAGS
    };
    let mut list = LocalList::default();
    let payload = json!({"listVersion": 2, "updateType": "Full"}).to_string();
    let answer = list.send(&RawValue::from_string(payload).unwrap(), off);
    assert_eq!(answer.unwrap(), r#"{"status":"NotSupported"}"#);
    assert_eq!(list.version(off), r#"{"listVersion":-1}"#);
}

#[test]
fn while_the_backend_is_away_a_known_tag_is_judged_as_it_was() {
    use AuthorizationStatus::{Accepted, Blocked, Expired, Invalid};
    let mut tags = cached(&[
        ("good", member("G")),
        ("bad", info("Blocked")),
        ("over", until("2026-01-15T09:59:59Z")),
        ("soon", until("2026-01-15T10:00:01Z")),
    ]);
    for (tag, expected) in [
        ("GOOD", Accepted),
        ("bad", Blocked),
        ("over", Expired),
        ("soon", Accepted),
        ("?", Invalid),
    ] {
        assert_eq!(judged(&tags, tag, FLAGS), expected, "{tag}");
    }
    let full = tags.judge_offline(now(), &"soon".into(), FLAGS);
    assert_eq!(full.expires, Some("2026-01-15T10:00:01Z".parse().unwrap()));
    assert_eq!(
        tags.judge_offline(now(), &"good".into(), FLAGS).parent,
        Some("g".into())
    );

    let open = OfflineFlags {
        unknown: true,
        ..FLAGS
    };
    assert_eq!(
        [judged(&tags, "?", open), judged(&tags, "bad", open)],
        [Accepted, Blocked]
    );
    let strict = OfflineFlags {
        authorize_offline: false,
        ..open
    };
    assert_eq!(
        [judged(&tags, "good", strict), judged(&tags, "bad", strict)],
        [Invalid, Blocked]
    );
    assert_eq!(judged(&tags, "?", strict), Accepted);
    let blind = OfflineFlags {
        cache: false,
        ..FLAGS
    };
    assert_eq!(judged(&tags, "good", blind), Invalid);

    let list = json!([tag("good", "Blocked"), tag("busy", "ConcurrentTx")]);
    send(&mut tags.list, 1, "Full", &list);
    assert_eq!(
        [judged(&tags, "good", FLAGS), judged(&tags, "busy", FLAGS)],
        [Blocked, Accepted]
    );
    let off = OfflineFlags {
        list: false,
        ..FLAGS
    };
    assert_eq!(judged(&tags, "good", off), Accepted);
}

#[test]
fn a_backend_that_is_there_is_spared_a_question_only_if_it_wants_that() {
    let tags = cached(&[("good", info("Accepted")), ("bad", info("Blocked"))]);
    let early = OfflineFlags {
        pre_authorize: true,
        ..FLAGS
    };
    let judge = |tag: &str, flags| tags.judge_early(now(), &tag.into(), flags);
    assert_eq!(judge("good", early), Some(Verdict::ACCEPTED));
    assert_eq!(
        [judge("good", FLAGS), judge("bad", early), judge("?", early)],
        [None, None, None]
    );
}

#[test]
fn a_verdict_is_cached_unless_the_tag_is_in_the_list_or_only_busy() {
    let mut tags = Tags::default();
    let mut learn = |tag: &str, verdict: &IdTagInfo, flags| {
        send(
            &mut tags.list,
            1,
            "Full",
            &json!([self::tag("listed", "Accepted")]),
        );
        tags.learn(now(), &tag.into(), verdict, flags)
    };
    assert_eq!(learn("new", &info("Accepted"), FLAGS), Learned::Cached);
    assert_eq!(learn("NEW", &info("Accepted"), FLAGS), Learned::Nothing);
    assert_eq!(learn("new", &info("ConcurrentTx"), FLAGS), Learned::Nothing);
    assert_eq!(learn("listed", &info("Accepted"), FLAGS), Learned::Nothing);
    assert_eq!(
        learn("listed", &info("ConcurrentTx"), FLAGS),
        Learned::Nothing
    );
    assert_eq!(learn("Listed", &info("Blocked"), FLAGS), Learned::Conflict);
    let off = OfflineFlags {
        cache: false,
        ..FLAGS
    };
    assert_eq!(learn("other", &info("Accepted"), off), Learned::Nothing);
    assert_eq!(learn("new", &info("Invalid"), FLAGS), Learned::Cached);
    assert_eq!(tags.cache.tags.len(), 1);
}

#[test]
fn a_full_cache_gives_up_what_helps_nobody_and_then_the_oldest() {
    let mut tags = Tags::default();
    for i in 0..LARGEST_CACHE {
        let verdict = match i {
            500 => info("Blocked"),
            600 => until("2026-01-15T09:00:00Z"),
            _ => info("Accepted"),
        };
        tags.learn(now(), &format!("T{i}").as_str().into(), &verdict, FLAGS);
    }
    tags.learn(now(), &"T0".into(), &info("Accepted"), FLAGS);
    let mut gone_after = |new: &str, gone: &str| {
        assert!(tags.cache.tags.contains_key(&gone.into()));
        tags.learn(now(), &new.into(), &info("Accepted"), FLAGS);
        assert_eq!(tags.cache.tags.len(), LARGEST_CACHE);
        assert!(!tags.cache.tags.contains_key(&gone.into()), "{gone}");
    };
    gone_after("a", "T500");
    gone_after("b", "T600");
    gone_after("c", "T1");
}

#[test]
fn clearing_a_cache_that_is_switched_off_is_rejected() {
    let mut tags = cached(&[("good", info("Accepted"))]);
    assert_eq!(tags.cache.clear(FLAGS), r#"{"status":"Accepted"}"#);
    assert_eq!(judged(&tags, "good", FLAGS), AuthorizationStatus::Invalid);
    let off = OfflineFlags {
        cache: false,
        ..FLAGS
    };
    assert_eq!(tags.cache.clear(off), r#"{"status":"Rejected"}"#);
}

#[test]
fn tags_with_the_same_parent_are_a_group_whatever_its_case() {
    let tags = cached(&[
        ("a", member("FAMILY")),
        ("b", member("family")),
        ("c", member("other")),
        ("d", info("Accepted")),
        ("e", info("Accepted")),
    ]);
    let same = |a: &str, b: &str| tags.same_group(&a.into(), &b.into(), FLAGS);
    assert!(same("a", "B") && same("?", "?"));
    assert!(!same("a", "c") && !same("d", "e") && !same("a", "family") && !same("?", "!"));
}

#[test]
fn list_and_cache_are_there_again_after_a_restart() {
    let mut tags = cached(&[("a", member("G")), ("b", until("2027-01-01T00:00:00Z"))]);
    send(&mut tags.list, 4, "Full", &json!([tag("ä\"", "Blocked")]));
    let list = serde_json::to_string(&tags.list).unwrap();
    let cache = serde_json::to_string(&tags.cache).unwrap();
    let again = Tags {
        list: serde_json::from_str(&list).unwrap(),
        cache: serde_json::from_str(&cache).unwrap(),
    };
    assert_eq!(again, tags);
}

proptest! {
    #[test]
    fn a_list_is_changed_whole_or_not_at_all(
        version in -2..4_i64,
        full in any::<bool>(),
        changes in proptest::collection::vec(("[a-cA-C]{0,2}", any::<bool>()), 0..6),
    ) {
        let mut list = LocalList::default();
        send(&mut list, 1, "Full", &json!([tag("a", "Accepted"), tag("bb", "Blocked")]));
        let before = list.clone();
        let change = |(name, comes): &(String, bool)| {
            if *comes { tag(name, "Accepted") } else { json!({"idTag": name}) }
        };
        let updates: Value = changes.iter().map(change).collect();
        let kind = if full { "Full" } else { "Differential" };
        if send(&mut list, version, kind, &updates) == "Accepted" {
            prop_assert_eq!(list.version, version);
            for (name, comes) in &changes {
                prop_assert_eq!(list.tags.contains_key(&name.as_str().into()), *comes);
            }
        } else {
            prop_assert_eq!(list, before);
        }
    }

    #[test]
    fn no_payload_panics(text in "\\PC{0,60}") {
        let payload = json!({"listVersion": text, "updateType": text, "localAuthorizationList": text});
        let payload = RawValue::from_string(payload.to_string()).unwrap();
        prop_assert!(LocalList::default().send(&payload, FLAGS).is_err());
    }
}
