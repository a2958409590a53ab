#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::signal::Ulid;

const GOLDEN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/golden_envelopes.ndjson"
));

/// An envelope around a STOP, with one field replaced, added or (by `None`) left out.
fn with(field: &str, value: Option<&str>) -> String {
    let mut fields = vec![
        ("v", r#""1""#),
        ("id", r#""evt_01M7ZSCZ849H8MZ2H6ECX8XE5P""#),
        ("trace_id", r#""trc_01M7ZSB360TNCJB260J2VQW0BE""#),
        ("parent_id", "null"),
        ("type", r#""STOP""#),
        ("directed", "null"),
        ("ts", r#""2026-11-21T19:30:14.916841Z""#),
        ("payload", r#"{"rollback":true}"#),
        ("meta", "{}"),
    ];
    fields.retain(|(name, _)| *name != field);
    fields.extend(value.map(|value| (field, value)));
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn accepted(field: &str, value: Option<&str>) -> Signal {
    let text = with(field, value);
    decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, expected: Expect) {
    let error = decode(bytes.as_ref()).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn all_golden_envelopes_decode_and_encode_byte_for_byte() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in GOLDEN.lines() {
        let signal = decode(line.as_bytes()).unwrap();
        kinds.insert(signal.signal_type());
        assert_eq!(encode(&signal), line);
        assert!(signal.payload.extra().is_empty(), "{line}");
        let object = Payload::from_object(signal.signal_type(), signal.payload.to_object());
        assert_eq!(object.as_ref(), Ok(&signal.payload));
    }
    assert_eq!((GOLDEN.lines().count(), kinds.len()), (33, 31));
}

#[test]
fn versions_of_one_are_accepted_and_written_as_1() {
    for version in [
        None,
        Some(r#""1""#),
        Some(r#""1.7""#),
        Some(r#""1.""#),
        Some(r#""1.x.y""#),
    ] {
        assert!(encode(&accepted("v", version)).starts_with(r#"{"v":"1","#));
    }
}

#[test]
fn any_text_after_the_prefix_is_an_id_and_kept() {
    for id in ["evt_", "evt_abc!", "evt_\\u0022"] {
        let text = encode(&accepted("id", Some(&format!("\"{id}\""))));
        assert_eq!(
            decode(text.as_bytes()).unwrap(),
            accepted("id", Some(&format!("\"{id}\"")))
        );
    }
    assert_eq!(
        accepted("parent_id", Some(r#""evt_1""#))
            .parent_id
            .unwrap()
            .to_string(),
        "evt_1"
    );
    assert_eq!(accepted("parent_id", None).parent_id, None);
}

#[test]
fn directed_may_have_any_subset_of_its_keys() {
    assert_eq!(accepted("directed", None).directed, None);
    assert_eq!(
        accepted("directed", Some("{}")).directed,
        Some(Directed::default())
    );
    let directed = accepted("directed", Some(r#"{"capabilities":["a"],"id":"n","x":1}"#))
        .directed
        .unwrap();
    assert_eq!(
        directed,
        Directed {
            capabilities: vec!["a".into()],
            ..Directed::to("n")
        }
    );
}

#[test]
fn unknown_keys_are_dropped_and_of_two_equal_keys_the_last_counts() {
    let plain = accepted("meta", None);
    assert_eq!(accepted("neuron", Some("null")), plain);
    let twice = with("meta", None).replacen('{', r#"{"type":7,"meta":{"a":1},"meta":{"b":1},"#, 1);
    let twice = decode(twice.as_bytes()).unwrap();
    assert_eq!(
        (
            twice.signal_type(),
            twice.meta.keys().map(String::as_str).collect::<Vec<_>>()
        ),
        (SignalType::Stop, vec!["b"])
    );
}

#[test]
fn times_of_every_accepted_form_are_written_in_utc() {
    for (text, micros) in [
        (r#""1970-01-01T01:00:01+01:00""#, 1_000_000),
        (r#""1970-01-01T00:00:01""#, 1_000_000),
        (r#""1970-01-02""#, 86_400_000_000),
        ("1", 1_000_000),
        ("1.5", 1_500_000),
        ("20000000001", 20_000_000_001_000),
    ] {
        assert_eq!(accepted("ts", Some(text)).ts.micros(), micros, "{text}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let payload = r#"{"rollback":true,"n":[123456789012345678901234567890,1.50,0.1,-0,1E5]}"#;
    let text = encode(&accepted("payload", Some(payload)));
    assert!(
        text.contains("[123456789012345678901234567890,1.50,0.1,-0,"),
        "{text}"
    );
}

struct Fixed;

impl MissingFields for Fixed {
    fn signal_id(&mut self) -> SignalId {
        SignalId::from_ulid(Ulid::from_parts(1, 1))
    }

    fn trace_id(&mut self) -> TraceId {
        TraceId::from_ulid(Ulid::from_parts(2, 2))
    }

    fn ts(&mut self) -> Timestamp {
        Timestamp::from_micros(3)
    }
}

#[test]
fn missing_fields_come_from_the_caller() {
    let signal = decode_with(br#"{"type":"DISCOVER"}"#, &mut Fixed).unwrap();
    assert_eq!(
        (signal.id, signal.trace_id, signal.ts),
        (Fixed.signal_id(), Fixed.trace_id(), Fixed.ts())
    );
    assert_eq!(
        (signal.parent_id, signal.directed, signal.meta.len()),
        (None, None, 0)
    );
}

#[test]
fn bytes_that_are_no_json_object_are_refused_with_the_reason() {
    refuses("", expect!["the frame is empty"]);
    refuses(" \n", expect!["the frame is empty"]);
    refuses(
        "\u{feff}{}",
        expect!["the frame starts with a byte order mark"],
    );
    refuses(
        b"{\"v\":\"\xff\"}",
        expect!["the frame is not UTF-8 at byte 6"],
    );
    refuses("[]", expect!["a signal must be an object, found a list"]);
    refuses("null", expect!["a signal must be an object, found null"]);
    refuses(
        "hello",
        expect!["not JSON: expected value at line 1 column 1"],
    );
    refuses(
        "{\"v\":",
        expect!["not JSON: EOF while parsing a value at line 1 column 5"],
    );
    refuses(
        format!("{} {{}}", with("v", None)),
        expect!["not JSON: trailing characters at line 1 column 205"],
    );
    refuses(
        with("meta", Some(r#"{"x":"\ud800"}"#)),
        expect!["not JSON: unexpected end of hex escape at line 1 column 221"],
    );
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_name() {
    for (literal, name) in [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "Infinity"),
    ] {
        for value in [
            format!("{{\"x\":{literal}}}"),
            format!("{{\"x\":[1,\n {literal}]}}"),
        ] {
            let error = decode(with("meta", Some(&value)).as_bytes()).unwrap_err();
            assert!(
                matches!(error, DecodeError::NotFinite { literal, .. } if literal == name),
                "{value}: {error}"
            );
        }
    }
    refuses(
        "{\"x\":\n  NaN}",
        expect!["`NaN` at line 2 column 3 is not a JSON number"],
    );
    refuses(
        "{\"x\": -Infinity}",
        expect!["`Infinity` at line 1 column 8 is not a JSON number"],
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let value = format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        decode(with("meta", Some(&value)).as_bytes())
    };
    // The envelope and `meta` are two levels.
    assert!(nested(125).is_ok());
    assert!(matches!(nested(126), Err(DecodeError::TooDeep { .. })));
    assert!(matches!(nested(100_000), Err(DecodeError::TooDeep { .. })));
    let unknown = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refuses(
        with("unknown", Some(&unknown)),
        expect!["nested deeper than 127 levels at line 1 column 348"],
    );
}

#[test]
fn refused_fields_are_named_with_what_was_found() {
    refuses(
        with("v", Some("1")),
        expect!["`v` must be a string, found a number"],
    );
    refuses(
        with("v", Some("\"2\"")),
        expect![[r#"`v` must be "1" or start with "1.", found "2""#]],
    );
    refuses(
        with("v", Some("\"\"")),
        expect![[r#"`v` must be "1" or start with "1.", found """#]],
    );
    refuses(
        with("v", Some("\"1x\"")),
        expect![[r#"`v` must be "1" or start with "1.", found "1x""#]],
    );
    refuses(
        with("id", Some("\"trc_1\"")),
        expect![[r#"`id` must be a string that starts with `evt_`, found "trc_1""#]],
    );
    refuses(
        with("id", Some("null")),
        expect!["`id` must be a string, found null"],
    );
    refuses(with("id", None), expect!["`id` is missing"]);
    refuses(
        with("trace_id", Some("7")),
        expect!["`trace_id` must be a string, found a number"],
    );
    refuses(with("trace_id", None), expect!["`trace_id` is missing"]);
    refuses(
        with("parent_id", Some("\"\"")),
        expect![[r#"`parent_id` must be a string that starts with `evt_`, found """#]],
    );
    refuses(
        with("parent_id", Some("\"trc_1\"")),
        expect![[r#"`parent_id` must be a string that starts with `evt_`, found "trc_1""#]],
    );
    refuses(with("type", None), expect!["`type` is missing"]);
    refuses(
        with("type", Some("null")),
        expect!["`type` must be a string, found null"],
    );
    refuses(
        with("type", Some("\"THOUGHT_DELTA\"")),
        expect![[r#"`type` must be one of the 31 signal types, found "THOUGHT_DELTA""#]],
    );
    refuses(
        with("type", Some("\"stop\"")),
        expect![[r#"`type` must be one of the 31 signal types, found "stop""#]],
    );
    refuses(
        with("directed", Some("\"n\"")),
        expect!["`directed` must be an object or null, found a string"],
    );
    refuses(
        with("directed", Some(r#"{"id":7}"#)),
        expect!["`directed.id` must be a string or null, found a number"],
    );
    refuses(
        with("directed", Some(r#"{"type":[]}"#)),
        expect!["`directed.type` must be a string or null, found a list"],
    );
    refuses(
        with("directed", Some(r#"{"capabilities":null}"#)),
        expect!["`directed.capabilities` must be a list of strings, found null"],
    );
    refuses(
        with("directed", Some(r#"{"capabilities":["a",1]}"#)),
        expect!["`directed.capabilities[]` must be a string, found a number"],
    );
    refuses(with("ts", None), expect!["`ts` is missing"]);
    refuses(
        with("ts", Some("\"yesterday\"")),
        expect![[
            r#"`ts` must be an RFC 3339 time or an epoch number within the years 1 to 9999, found "yesterday""#
        ]],
    );
    refuses(
        with("ts", Some("1e300")),
        expect![
            "`ts` must be an RFC 3339 time or an epoch number within the years 1 to 9999, found 1e+300"
        ],
    );
    refuses(
        with("ts", Some("null")),
        expect!["`ts` must be a string or a number, found null"],
    );
    refuses(
        with("payload", Some("null")),
        expect!["`payload` must be an object, found null"],
    );
    refuses(
        with("payload", Some("[]")),
        expect!["`payload` must be an object, found a list"],
    );
    refuses(
        with("payload", None),
        expect!["STOP payload lacks `rollback` (true or false)"],
    );
    refuses(
        with("meta", Some("null")),
        expect!["`meta` must be an object, found null"],
    );
    refuses(
        with("meta", Some("[]")),
        expect!["`meta` must be an object, found a list"],
    );
}

#[test]
fn a_quoted_text_of_a_peer_is_short_and_on_one_line() {
    let long = format!("\"x\\n{}\"", "ü".repeat(1000));
    let message = decode(with("id", Some(&long)).as_bytes())
        .unwrap_err()
        .to_string();
    assert!(message.len() < 160 && !message.contains('\n'), "{message}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode_with(&bytes, &mut Fixed);
    }

    #[test]
    fn mutated_envelopes_never_panic_and_what_decodes_survives_a_round_trip(
        line in 0..33_usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = GOLDEN.lines().nth(line).unwrap().as_bytes().to_vec();
        for (place, byte, edit) in edits {
            let place = place.index(bytes.len());
            match edit {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
        }
        if let Ok(signal) = decode_with(&bytes, &mut Fixed) {
            prop_assert_eq!(decode(encode(&signal).as_bytes()), Ok(signal));
        }
    }

    #[test]
    fn any_json_in_meta_and_payload_survives_a_round_trip(meta in object(), extra in object(), micros: i64) {
        let mut signal = accepted("meta", None);
        signal.meta = meta;
        signal.ts = Timestamp::from_micros(micros);
        let mut discover = crate::signal::Discover::new();
        discover.extra = extra.into_iter().filter(|(key, _)| key != "neuron" && key != "capabilities").collect();
        signal.payload = discover.into();
        prop_assert_eq!(decode(encode(&signal).as_bytes()), Ok(signal));
    }
}

fn object() -> impl Strategy<Value = Object> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |n| n.is_finite())
            .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    proptest::collection::vec((".{0,4}", tree), 0..4)
        .prop_map(|entries| entries.into_iter().collect())
}
