//! Schemas that come with a component: a stranger's, checked by the host.

use serde_json::{Value, json};
use soma::package::Schema;

use super::*;

fn refused(schema: &Value) -> String {
    Schema::new(schema).unwrap_err().to_string()
}

fn misfits(schema: &Value, value: &Value) -> Vec<String> {
    let misfits = Schema::new(schema).unwrap().misfits(value);
    misfits.iter().map(ToString::to_string).collect()
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let schema = json!({
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "hits": {"type": "array", "items": {"$ref": "#/$defs/hit"}},
        },
        "required": ["question", "about"],
        "additionalProperties": false,
        "$defs": {"hit": {"type": "integer", "minimum": 0}},
    });
    assert_eq!(
        misfits(&schema, &json!({"question": "a", "about": 1, "hits": []})).len(),
        1
    );
    let told = misfits(
        &schema,
        &json!({"question": 7, "hits": [1, -1, "x"], "x/y": 1}),
    );
    expect![[r#"
        "about" is a required property
        Additional properties are not allowed ('x/y' was unexpected)
        at /hits/1: -1 is less than the minimum of 0
        at /hits/2: "x" is not of type "integer"
        at /question: 7 is not of type "string""#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_misfit_of_a_large_value_is_told_in_few_words_and_five_are_enough() {
    let schema = json!({"items": {"type": "integer"}});
    let told = misfits(&schema, &json!(["a".repeat(100_000)]));
    assert_eq!(told, ["at /0: it is not of type \"integer\""]);
    assert_eq!(misfits(&schema, &json!(vec!["a"; 1_000])).len(), 5);
    let names = json!({"additionalProperties": false});
    let object: serde_json::Map<_, _> = (0..1_000).map(|n| (format!("key{n}"), json!(1))).collect();
    assert!(misfits(&names, &Value::Object(object))[0].len() < 1_000);
}

#[test]
fn a_schema_that_refers_to_a_file_or_an_address_is_refused() {
    for to in [
        "https://example.org/a.json",
        "file:///etc/passwd",
        "other.json",
        "#note",
        "#/$defs/none",
        "#/%24defs",
    ] {
        assert_eq!(
            refused(&json!({"properties": {"a": {"$ref": to}}})),
            format!(
                "refers to {to:?}: only a path inside the schema, such as \"#/$defs/note\", is followed"
            )
        );
    }
    assert_eq!(
        refused(&json!({"items": {"$id": "a"}})),
        "uses `$id` below its top, which is not taken"
    );
    assert_eq!(
        refused(&json!({"$dynamicRef": "#a"})),
        "uses `$dynamicRef`, which is not taken"
    );
}

#[test]
fn a_schema_that_would_never_end_is_refused() {
    expect![[r##"contains itself through "#": write down how deep it may go"##]]
        .assert_eq(&refused(&json!({"$ref": "#"})));
    let mutual = json!({"$ref": "#/$defs/a", "$defs": {
        "a": {"properties": {"b": {"$ref": "#/$defs/b"}}},
        "b": {"properties": {"a": {"$ref": "#/$defs/a"}}},
    }});
    expect![[r##"contains itself through "#/$defs/a": write down how deep it may go"##]]
        .assert_eq(&refused(&mutual));
}

/// Each part refers to the next one twice.
fn doubling(levels: usize) -> Value {
    let mut defs = serde_json::Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        defs.insert(level.to_string(), json!({"allOf": [next, next]}));
    }
    defs.insert(levels.to_string(), json!({"type": "string"}));
    json!({"$ref": "#/$defs/0", "$defs": defs})
}

#[test]
fn a_small_schema_that_stands_for_a_huge_one_is_refused() {
    Schema::new(&doubling(6)).unwrap();
    expect!["is too large: it has more than 5000 values when its references are followed"]
        .assert_eq(&refused(&doubling(15)));
    let mut chain = json!({"type": "string"});
    for _ in 0..60 {
        chain = json!({"not": chain});
    }
    Schema::new(&chain).unwrap();
    for _ in 0..10 {
        chain = json!({"not": chain});
    }
    expect!["is nested deeper than 64 levels when its references are followed"]
        .assert_eq(&refused(&chain));
}

#[test]
fn regular_expressions_take_linear_time_and_little_memory() {
    // A backtracking engine would not come back from this one.
    let schema = json!({"pattern": "^(a+)+$"});
    let text = "a".repeat(50_000) + "b";
    assert_eq!(
        misfits(&schema, &json!(text)),
        ["it does not match \"^(a+)+$\""]
    );
    expect![[
        r#"is no JSON schema (draft 2020-12): at /pattern: "\\w{1000}{1000}" is not a "regex""#
    ]]
    .assert_eq(&refused(&json!({"pattern": "\\w{1000}{1000}"})));
    expect![[r#"is no JSON schema (draft 2020-12): at /pattern: "(?=a)b" is not a "regex""#]]
        .assert_eq(&refused(&json!({"pattern": "(?=a)b"})));
    let many: Vec<_> = (0..65)
        .map(|n| json!({"pattern": format!("{n}")}))
        .collect();
    expect!["has more than 64 regular expressions"].assert_eq(&refused(&json!({"allOf": many})));
}

#[test]
fn schemas_nested_as_deep_as_they_may_be_end_in_time() {
    type Wrap = fn(Value) -> Value;
    let wraps: [Wrap; 8] = [
        |inner| json!({"allOf": [inner], "anyOf": [true], "unevaluatedProperties": false}),
        |inner| json!({"anyOf": [inner], "unevaluatedProperties": false}),
        |inner| json!({"oneOf": [inner, false], "unevaluatedProperties": false}),
        |inner| json!({"if": inner, "then": true, "else": false, "unevaluatedProperties": false}),
        |inner| json!({"dependentSchemas": {"a": inner}, "unevaluatedProperties": {"type": "null"}}),
        |inner| json!({"allOf": [inner], "contains": true, "unevaluatedItems": false}),
        |inner| json!({"anyOf": [inner], "unevaluatedItems": {"type": "null"}}),
        |inner| json!({"anyOf": [false, inner], "not": {"not": {}}}),
    ];
    for wrap in wraps {
        let mut schema =
            json!({"properties": {"a": {"type": "string"}}, "prefixItems": [true, false]});
        loop {
            let deeper = wrap(schema.clone());
            if Schema::new(&deeper).is_err() {
                break;
            }
            schema = deeper;
        }
        misfits(&schema, &json!({"a": "a", "b": 2}));
        misfits(&schema, &json!({"a": 1, "b": 2}));
        misfits(&schema, &json!([1, 2, 3]));
    }
}

#[test]
fn numbers_of_any_size_are_compared_in_time() {
    let schema = json!({"multipleOf": 0.1, "minimum": 1, "maximum": 7});
    for number in ["1e999999999", "-1e-999999999", "1e1000000"] {
        let number: Value = serde_json::from_str(number).unwrap();
        assert!(!misfits(&schema, &number).is_empty(), "{number}");
    }
}

#[test]
fn a_component_with_such_a_schema_is_refused() {
    let schemas = Schemas {
        input: Some(json!({"$ref": "#"})),
        output: None,
    };
    let wasm = embed(&component(), &manifest(), &schemas).unwrap();
    expect![[r##"its embedded manifest is wrong: schema.input: it contains itself through "#": write down how deep it may go"##]]
        .assert_eq(&Package::read(&wasm).unwrap_err().to_string());
}
