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
    for draft in [
        json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
        json!({"items": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}),
    ] {
        assert_eq!(
            refused(&draft),
            "uses `$schema` of another draft than 2020-12, which is not taken"
        );
    }
    Schema::new(&json!({"$schema": "https://json-schema.org/draft/2020-12/schema"})).unwrap();
}

#[test]
fn a_schema_that_looks_at_what_its_parts_have_looked_at_is_refused() {
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        for part in [json!(false), json!({"type": "null"})] {
            assert_eq!(
                refused(&json!({"properties": {"a": {"anyOf": [true], keyword: part}}})),
                format!("uses `{keyword}`, which is not taken")
            );
        }
    }
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
        |inner| json!({"allOf": [inner], "anyOf": [true, inner]}),
        |inner| json!({"anyOf": [false, inner], "minProperties": 0}),
        |inner| json!({"oneOf": [inner, false, false]}),
        |inner| json!({"if": inner, "then": true, "else": false}),
        |inner| json!({"if": false, "else": inner, "contains": true}),
        |inner| json!({"dependentSchemas": {"a": inner}}),
        |inner| json!({"not": {"not": inner}}),
        |inner| json!({"anyOf": [false, {"oneOf": [false, inner]}], "not": {"not": {}}}),
    ];
    let leaf = json!({"properties": {"a": {"type": "string"}}, "prefixItems": [true, false]});
    for wrap in wraps {
        let mut schema = leaf.clone();
        loop {
            let deeper = wrap(schema.clone());
            if Schema::new(&deeper).is_err() {
                break;
            }
            schema = deeper;
        }
        // Taken, refused at the innermost level, and not looked at.
        for value in [
            json!({"a": "a", "b": 2}),
            json!({"a": 1, "b": 2}),
            json!({"b": 2}),
            json!([1]),
            json!([1, 2, 3]),
        ] {
            misfits(&schema, &value);
        }
    }
}

#[test]
fn a_look_at_a_large_value_is_refused_before_it_takes_long() {
    let said = |schema: Value, value: &Value| misfits(&schema, value).join("; ");
    let many = json!(vec![0; 500_000]);
    let parts: Vec<_> = (0..1_000).map(|n| json!({"maximum": n})).collect();
    let text = json!("ab".repeat(500_000));
    let digits: Value = serde_json::from_str(&"7".repeat(9_999)).unwrap();
    for (schema, value) in [
        (json!({"items": {"allOf": parts}}), &many),
        (
            json!({"allOf": vec![json!({"uniqueItems": true}); 100]}),
            &many,
        ),
        // In either case nothing is better than to try all ways at each place.
        (json!({"pattern": "(a|b)*a(a|b){500}b$"}), &text),
        (
            json!({"patternProperties": {"(a|b)*a(a|b){500}c": true}}),
            &json!({"ab".repeat(99_999): 1}),
        ),
        (
            json!({"items": {"multipleOf": digits}}),
            &json!(vec![digits.clone(); 10]),
        ),
    ] {
        assert_eq!(
            said(schema, value),
            "it is too large to be checked in 4000000 steps"
        );
    }
    // What is ordinary is taken as large as it comes.
    let vectors = json!({"items": {"items": {"type": "number", "minimum": -1, "maximum": 1}}});
    assert_eq!(said(vectors, &json!(vec![vec![0.25; 1_536]; 200])), "");
    let named = json!({"properties": {"name": {"pattern": "^[a-z-]{1,64}$"}, "text": {"maxLength": 9_000_000}}});
    assert_eq!(
        said(
            named,
            &json!({"name": "a-b", "text": "x".repeat(8_000_000)})
        ),
        ""
    );
}

#[test]
fn of_a_large_value_it_is_told_that_it_does_not_fit_and_not_where() {
    let too_many = "it is too large to be told where";
    let many = json!(vec![0; 500_000]);
    let deep = json!({"k".repeat(1_000_000): vec![0; 100]});
    let branches = vec![json!({"items": {"type": "null"}}); 8];
    for (schema, value) in [
        (json!({"items": {"type": "null"}}), &many),
        (json!({"anyOf": [{"items": {"type": "null"}}]}), &many),
        (json!({"allOf": branches}), &json!(vec![0; 100_000])),
        // Each misfit carries its path, or a part of the schema.
        (
            json!({"additionalProperties": {"items": {"type": "null"}}}),
            &deep,
        ),
        (
            json!({"items": {"const": "x".repeat(500_000)}}),
            &json!(vec![0; 100]),
        ),
    ] {
        assert_eq!(misfits(&schema, value), [too_many]);
    }
    let told = misfits(&json!({"items": {"type": "null"}}), &json!(vec![0; 1_000]));
    assert_eq!(told.len(), 5);
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
