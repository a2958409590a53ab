use super::*;

#[tokio::test]
async fn add_makes_an_entry_of_version_one_with_a_made_id() {
    let bench = memory();
    let receipt = bench
        .write(add(json!("hello")).key("k").tags(&["t"]))
        .await
        .unwrap();
    assert_eq!(&*receipt.engram, "notes");
    assert_eq!((receipt.op, receipt.version), (Op::Add, Some(1)));
    let entry = bench.entries().await.remove(0);
    assert_eq!(Some(&entry.id), receipt.id.as_ref());
    assert!(entry.id.to_string().starts_with("eng_"));
    assert_eq!(entry.content, json!("hello"));
    assert_eq!(entry.merge_key.as_deref(), Some("k"));
    assert_eq!(entry.tags, ["t"]);
    assert_eq!(entry.created_at, Timestamp::from_micros(START));
}

#[tokio::test]
async fn add_refuses_an_id_that_exists() {
    let bench = memory();
    bench.write(add(json!(1)).id("x")).await.unwrap();
    let refusal = bench.refusal(add(json!(2)).id("x")).await;
    assert_eq!(refusal, "invalid: entry id 'x' already exists");
    assert_eq!(bench.contents().await, [json!(1)]);
}

#[tokio::test]
async fn append_makes_a_fresh_id_where_the_given_one_is_taken() {
    let bench = memory();
    let append = |content| imprint(Op::Append, content).id("x");
    assert_eq!(
        bench.write(append(json!(1))).await.unwrap().id,
        Some(id("x"))
    );
    assert_ne!(
        bench.write(append(json!(2))).await.unwrap().id,
        Some(id("x"))
    );
    assert_eq!(bench.contents().await, [json!(1), json!(2)]);
}

#[tokio::test]
async fn upsert_replaces_the_newest_entry_of_its_key_in_place() {
    let bench = memory();
    bench
        .write(add(json!("old")).id("x").key("k").tags(&["a"]))
        .await
        .unwrap();
    bench
        .write(add(json!("newest")).id("y").key("k").tags(&["b"]))
        .await
        .unwrap();
    bench.write(add(json!("other")).id("z")).await.unwrap();
    bench.pass(1);
    let receipt = bench
        .write(upsert("k", json!("new")).id("ignored"))
        .await
        .unwrap();
    assert_eq!((receipt.id, receipt.version), (Some(id("y")), Some(2)));
    let entries = bench.entries().await;
    assert_eq!(texts(&entries), ["x", "y", "z"]);
    assert_eq!(entries[1].content, json!("new"));
    assert!(entries[1].tags.is_empty());
    assert_eq!(entries[1].created_at, Timestamp::from_micros(START));
    assert_eq!(
        entries[1].updated_at,
        Timestamp::from_micros(START + 1_000_000)
    );
}

#[tokio::test]
async fn upsert_adds_where_its_key_is_new_but_never_over_another_id() {
    let bench = memory();
    let receipt = bench.write(upsert("k", json!(1)).id("x")).await.unwrap();
    assert_eq!((receipt.id, receipt.version), (Some(id("x")), Some(1)));
    let refusal = bench.refusal(upsert("other", json!(2)).id("x")).await;
    assert_eq!(refusal, "invalid: entry id 'x' already exists");
}

#[tokio::test]
async fn merge_joins_content_tags_and_meta() {
    let bench = memory();
    let mut first = upsert("k", json!({"a": {"b": 1}, "l": [1]})).tags(&["s", "t"]);
    first.entry.meta.insert("m".to_owned(), json!({"x": 1}));
    bench.write(first).await.unwrap();
    let mut second = imprint(Op::Merge, json!({"a": {"c": 2}, "l": [1, 2]}))
        .key("k")
        .tags(&["t", "u"]);
    second.entry.meta.insert("m".to_owned(), json!({"y": 2}));
    assert_eq!(bench.write(second).await.unwrap().version, Some(2));
    let entry = bench.entries().await.remove(0);
    assert_eq!(entry.content, json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}));
    assert_eq!(entry.tags, ["s", "t", "u"]);
    assert_eq!(entry.meta["m"], json!({"x": 1, "y": 2}));
}

#[tokio::test]
async fn merge_of_a_missing_key_is_refused() {
    let refusal = memory()
        .refusal(imprint(Op::Merge, json!(1)).key("k"))
        .await;
    assert_eq!(refusal, "invalid: no entry for merge_key='k'");
}

#[tokio::test]
async fn upsert_and_merge_require_a_merge_key() {
    let bench = memory();
    let refusal = bench.refusal(imprint(Op::Upsert, json!(1))).await;
    assert_eq!(refusal, "invalid: upsert requires merge_key");
    let refusal = bench.refusal(imprint(Op::Merge, json!(1))).await;
    assert_eq!(refusal, "invalid: merge requires merge_key");
}

#[tokio::test]
async fn delete_removes_by_id_else_the_newest_of_the_key() {
    let bench = memory();
    for name in ["x", "y", "z"] {
        bench
            .write(add(json!(name)).id(name).key("k"))
            .await
            .unwrap();
    }
    let receipt = bench.write(delete().id("x").key("k")).await.unwrap();
    assert_eq!((receipt.id, receipt.version), (Some(id("x")), None));
    let receipt = bench.write(delete().key("k")).await.unwrap();
    assert_eq!(receipt.id, Some(id("z")));
    assert_eq!(bench.contents().await, [json!("y")]);
}

#[tokio::test]
async fn delete_of_nothing_is_no_error_and_removes_nothing_else() {
    let bench = memory();
    bench.write(add(json!(1)).id("x").key("k")).await.unwrap();
    let scope = bench.trace();
    for nothing in [delete(), delete().id("gone").key("k"), delete().key("gone")] {
        assert_eq!(bench.write_on(&scope, nothing).await.id, None);
    }
    assert_eq!(bench.engram.len(), 1);
    assert_eq!(bench.engram.journaled(&scope.trace), 0);
}

#[tokio::test]
async fn a_repeated_idempotency_key_answers_as_the_first_did_and_writes_nothing() {
    let bench = memory();
    let scope = bench.trace();
    let write = upsert("k", json!(1)).once("o");
    let first = bench.write_on(&scope, write.clone()).await;
    bench.write_on(&scope, upsert("k", json!(2))).await;
    assert_eq!(bench.write_on(&scope, write.clone()).await, first);
    assert_eq!(bench.engram.journaled(&scope.trace), 2);
    bench.engram.commit(&scope.trace).await;
    assert_eq!(bench.write(write).await.unwrap(), first);
    assert_eq!(bench.contents().await, [json!(2)]);
}

#[tokio::test]
async fn an_idempotency_key_used_for_something_else_is_refused() {
    let bench = memory();
    bench.write(upsert("k", json!(1)).once("o")).await.unwrap();
    let words = "invalid: idempotency_key 'o' was used with another op or merge_key";
    let other_key = upsert("l", json!(1)).once("o");
    assert_eq!(bench.refusal(other_key).await, words);
    let other_op = add(json!(1)).key("k").once("o");
    assert_eq!(bench.refusal(other_op).await, words);
}

#[tokio::test]
async fn an_idempotency_key_of_a_rolled_back_trace_is_forgotten() {
    let bench = memory();
    let scope = bench.trace();
    bench.write_on(&scope, add(json!(1)).once("o")).await;
    bench.engram.rollback(&scope.trace).await;
    bench.write(add(json!(2)).once("o")).await.unwrap();
    assert_eq!(bench.contents().await, [json!(2)]);
}

#[tokio::test]
async fn only_the_last_committed_idempotency_keys_are_remembered() {
    let bench = memory();
    let write = |number: usize| add(json!(1)).once(&format!("o{number}"));
    for number in 0..=REMEMBERED_KEYS {
        bench.write(write(number)).await.unwrap();
    }
    let before = bench.engram.len();
    bench.write(write(1)).await.unwrap();
    assert_eq!(bench.engram.len(), before);
    bench.write(write(0)).await.unwrap();
    assert_eq!(bench.engram.len(), before + 1);
}

#[tokio::test]
async fn keys_and_ids_of_any_length_are_not_remembered() {
    let bench = memory();
    let refusal = bench.refusal(add(json!(1)).once(&"o".repeat(257))).await;
    assert_eq!(
        refusal,
        "invalid: idempotency_key has 257 bytes, at most 256 are allowed"
    );
    let refusal = bench.refusal(add(json!(1)).id(&"i".repeat(513))).await;
    assert_eq!(
        refusal,
        "invalid: entry id has 513 bytes, at most 512 are allowed"
    );
}

#[tokio::test]
async fn a_closed_fence_refuses_every_write_even_a_repeated_one() {
    let bench = memory();
    let scope = bench.trace();
    let write = add(json!(1)).once("o");
    bench.write_on(&scope, write.clone()).await;
    scope.fence.close();
    scope.fence.close();
    let refusal = bench.engram.imprint(write, Some(&scope)).await;
    assert_eq!(refusal, Err(EngramError::Cancelled));
    assert_eq!(bench.engram.journaled(&scope.trace), 1);
}

#[tokio::test]
async fn a_context_memory_refuses_embeddings() {
    let bench = memory();
    let words = "invalid: this engram holds no embeddings";
    assert_eq!(bench.refusal(add(json!(1)).vector(&[1.0])).await, words);
    let query = Query {
        embedding: Some(vec![1.0]),
        ..Query::default()
    };
    let refusal = bench.engram.recall(&query).await.unwrap_err();
    assert_eq!(refusal.to_string(), words);
}

#[tokio::test]
async fn a_vector_memory_refuses_embeddings_that_cannot_be_ranked() {
    let bench = vector(2);
    let cases: [(&[f32], &str); 5] = [
        (
            &[1.0],
            "embedding has dimension 1, this engram holds dimension 2",
        ),
        (
            &[1.0, 2.0, 3.0],
            "embedding has dimension 3, this engram holds dimension 2",
        ),
        (
            &[1.0, f32::NAN],
            "embedding holds a number that is not finite",
        ),
        (
            &[f32::INFINITY, 1.0],
            "embedding holds a number that is not finite",
        ),
        (&[0.0, -0.0], "embedding is a zero vector"),
    ];
    for (numbers, words) in cases {
        let words = format!("invalid: {words}");
        assert_eq!(bench.refusal(add(json!(1)).vector(numbers)).await, words);
        let query = Query {
            embedding: Some(numbers.to_vec()),
            ..Query::default()
        };
        let refusal = bench.engram.recall(&query).await.unwrap_err();
        assert_eq!(refusal.to_string(), words);
    }
    let words = "invalid: entry has no embedding, this engram holds dimension 2";
    assert_eq!(bench.refusal(add(json!(1))).await, words);
    assert!(bench.engram.is_empty());
}

#[tokio::test]
async fn merge_keeps_the_vector_where_none_is_given() {
    let bench = vector(2);
    bench
        .write(upsert("k", json!({})).vector(&[3.0, 4.0]))
        .await
        .unwrap();
    bench
        .write(imprint(Op::Merge, json!({"a": 1})).key("k"))
        .await
        .unwrap();
    let query = Query {
        embedding: Some(vec![3.0, 4.0]),
        ..Query::default()
    };
    let hits = bench.engram.recall(&query).await.unwrap().hits;
    assert!((hits[0].score - 1.0).abs() < 1e-6);
    assert_eq!(hits[0].entry.embedding.as_deref(), Some(&[3.0, 4.0][..]));
    assert_eq!(hits[0].entry.version, 2);
}
