//! Replaces the value of a member of a JSON object and nothing else: every other byte stays, with
//! its spaces, escapes and number formats. Signed meter values depend on that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// `json`, an object, with the values of some of its members replaced. A member that is not there
/// stays away; of one that is there twice, the last counts, as for every reader of JSON.
///
/// `None` if `json` is no object.
pub fn splice(json: &str, members: &[(&str, &str)]) -> Option<String> {
    let found: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let mut changes: Vec<(Range<usize>, &str)> = members
        .iter()
        .filter_map(|(name, value)| Some((span(json, found.get(*name)?.get())?, *value)))
        .collect();
    changes.sort_by_key(|(span, _)| span.start);
    let mut spliced = String::with_capacity(json.len() + 16);
    let mut kept = 0;
    for (span, value) in changes {
        spliced.push_str(json.get(kept..span.start)?);
        spliced.push_str(value);
        kept = span.end;
    }
    spliced.push_str(json.get(kept..)?);
    Some(spliced)
}

/// `json`, an object, without a member. Unchanged if it is not there; `None` if `json` is no object.
pub fn without(json: &str, name: &str) -> Option<String> {
    let found: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let Some(value) = found.get(name) else {
        return Some(json.to_owned());
    };
    let value = span(json, value.get())?;
    let (before, after) = (json.get(..value.start)?, json.get(value.end..)?);
    // Back over the colon and the name, which cannot contain a quote that is not escaped.
    let before = before.trim_end().strip_suffix(':')?.trim_end();
    let before = before.get(..start_of_string(before)?)?;
    // One of the two commas around it goes, too.
    if let Some(after) = after.trim_start().strip_prefix(',') {
        return Some(format!("{before}{}", after.trim_start()));
    }
    let trimmed = before.trim_end();
    let before = trimmed.strip_suffix(',').unwrap_or(before);
    Some(format!("{before}{after}"))
}

/// Whether readers of JSON agree on what an object says: no member of it is there twice, in
/// whatever spelling. What is no object says nothing twice.
pub fn is_unambiguous(json: &str) -> bool {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
            let mut seen = BTreeSet::new();
            let mut unambiguous = true;
            while let Some(name) = members.next_key::<String>()? {
                members.next_value::<IgnoredAny>()?;
                unambiguous &= seen.insert(name.to_ascii_lowercase());
            }
            Ok(unambiguous)
        }
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_map(Members)
        .unwrap_or(true)
}

/// `json`, an object, with one more member, the first. `None` if `json` is no object.
pub fn insert(json: &str, name: &str, value: &str) -> Option<String> {
    let after = json.trim_start().strip_prefix('{')?;
    let comma = if after.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    Some(format!("{{\"{name}\":{value}{comma}{after}"))
}

/// Where `part`, a slice of `whole`, lies in it.
fn span(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Where the JSON string begins that `text` ends with.
fn start_of_string(text: &str) -> Option<usize> {
    let inside = text.strip_suffix('"')?;
    let quotes = inside.rmatch_indices('"').map(|(at, _)| at);
    let is_escaped = |at: &usize| {
        let before = inside.get(..*at).unwrap_or_default();
        (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
    };
    quotes.into_iter().find(|at| !is_escaped(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn two_members_of_one_name_are_seen_in_every_spelling() {
        for (json, good) in [
            (r#"{"a":1,"b":{"a":2}}"#, true),
            (r#"{"a":1,"b":2,"a":3}"#, false),
            (r#"{"idTag":1,"IDTAG":2}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            ("[1]", true),
            ("{}", true),
        ] {
            assert_eq!(is_unambiguous(json), good, "{json}");
        }
    }

    #[test]
    fn a_member_is_put_in_front() {
        let put = |json| insert(json, "connectorId", "2");
        assert_eq!(put(r#" {"a": 1}"#).unwrap(), r#"{"connectorId":2,"a": 1}"#);
        assert_eq!(put("{ }").unwrap(), r#"{"connectorId":2 }"#);
        assert_eq!(put("[]"), None);
    }

    #[test]
    fn only_the_value_of_the_member_changes() {
        let json = r#"{ "transactionId" : 17 ,"v":16.0,"a":{"transactionId":5},"s":"\u00df\/" }"#;
        assert_eq!(
            splice(json, &[("transactionId", "-1")]).unwrap(),
            r#"{ "transactionId" : -1 ,"v":16.0,"a":{"transactionId":5},"s":"\u00df\/" }"#
        );
    }

    #[test]
    fn several_members_change_at_once_and_absent_ones_stay_away() {
        let json = r#"{"connectorId":2,"idTag":"A","meterStart":0}"#;
        let members = [("idTag", "\"B\""), ("connectorId", "1"), ("reason", "1")];
        assert_eq!(
            splice(json, &members).unwrap(),
            r#"{"connectorId":1,"idTag":"B","meterStart":0}"#
        );
    }

    #[test]
    fn a_member_in_the_shape_of_text_inside_a_string_is_none() {
        let json = r#"{"data":"\"connectorId\":2","connectorId":3}"#;
        assert_eq!(
            splice(json, &[("connectorId", "1")]).unwrap(),
            r#"{"data":"\"connectorId\":2","connectorId":1}"#
        );
    }

    #[test]
    fn an_escaped_name_is_the_same_name() {
        let json = r#"{"connector\u0049d":2}"#;
        assert_eq!(
            splice(json, &[("connectorId", "1")]).unwrap(),
            r#"{"connector\u0049d":1}"#
        );
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for json in ["", "[]", "null", "{", r#"{"a":}"#, "\"x\""] {
            assert_eq!(splice(json, &[("a", "1")]), None, "{json}");
            assert_eq!(without(json, "a"), None, "{json}");
        }
    }

    #[test]
    fn a_member_goes_with_one_of_its_commas() {
        let json = r#"{"a": 1, "b\"": [2], "c": "3" }"#;
        assert_eq!(without(json, "a").unwrap(), r#"{"b\"": [2], "c": "3" }"#);
        assert_eq!(without(json, "b\"").unwrap(), r#"{"a": 1, "c": "3" }"#);
        assert_eq!(without(json, "c").unwrap(), r#"{"a": 1, "b\"": [2] }"#);
        assert_eq!(without(json, "d").unwrap(), json);
        assert_eq!(without(r#"{"a":1}"#, "a").unwrap(), "{}");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d\"\\\\é]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d\"\\\\é]{0,3}", json(), 0..6)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_reader_sees_the_new_value_and_otherwise_the_old_object(
            mut object in object(), at in any::<prop::sample::Index>(), new in json(), pretty: bool
        ) {
            prop_assume!(!object.is_empty());
            let name = object.keys().nth(at.index(object.len())).unwrap().clone();
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                serde_json::to_string(&object).unwrap()
            };
            let new_text = new.to_string();
            let spliced = splice(&text, &[(&name, &new_text)]).unwrap();
            object.insert(name.clone(), new);
            prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&spliced).unwrap(), object.clone());
            object.remove(&name);
            let rest = without(&text, &name).unwrap();
            prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&rest).unwrap(), object);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", name in "\\PC*") {
            let _ = splice(&text, &[(&name, "1")]);
            let _ = without(&text, &name);
        }
    }
}
