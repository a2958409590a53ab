use super::*;

async fn found(bench: &Bench, query: Query) -> Vec<String> {
    let recalled = bench.engram.recall(&query).await.unwrap();
    let ids = recalled.hits.iter().map(|hit| hit.entry.id.to_string());
    ids.collect()
}

fn text(text: &str) -> Query {
    Query {
        text: Some(text.to_owned()),
        ..Query::default()
    }
}

#[tokio::test]
async fn text_is_a_substring_in_any_case_scored_by_its_share() {
    let bench = memory();
    bench
        .write(add(json!("a GRÜN door, long")).id("long"))
        .await
        .unwrap();
    bench.write(add(json!("Grün")).id("exact")).await.unwrap();
    bench
        .write(add(json!({"colour": "grün"})).id("object"))
        .await
        .unwrap();
    bench.write(add(json!("red")).id("red")).await.unwrap();
    let recalled = bench.engram.recall(&text("gRÜn")).await.unwrap();
    let scores: Vec<_> = recalled
        .hits
        .iter()
        .map(|hit| (hit.entry.id.to_string(), hit.score))
        .collect();
    let expected = [("exact", 1.0), ("long", 4.0 / 17.0), ("object", 4.0 / 17.0)];
    assert_eq!(scores, expected.map(|(id, score)| (id.to_owned(), score)));
    assert_eq!(found(&bench, text("")).await.len(), 4);
}

#[tokio::test]
async fn a_text_query_sees_what_a_rollback_brought_back() {
    let bench = memory();
    bench
        .write(upsert("k", json!("before")).id("x"))
        .await
        .unwrap();
    let scope = bench.trace();
    bench.write_on(&scope, upsert("k", json!("after"))).await;
    assert_eq!(found(&bench, text("after")).await, ["x"]);
    bench.engram.rollback(&scope.trace).await;
    assert_eq!(found(&bench, text("before")).await, ["x"]);
    assert!(found(&bench, text("after")).await.is_empty());
}

#[tokio::test]
async fn tags_keys_and_times_must_all_match() {
    let bench = memory();
    bench
        .write(add(json!(1)).id("a").tags(&["s", "t"]).key("k"))
        .await
        .unwrap();
    bench.pass(10);
    bench
        .write(add(json!(2)).id("b").tags(&["t"]).key("k"))
        .await
        .unwrap();
    bench.pass(10);
    bench
        .write(add(json!(3)).id("c").tags(&["s", "t"]))
        .await
        .unwrap();
    let filtered = |tags: &[&str], since: Option<i64>, until: Option<i64>| Query {
        filters: Filters {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            since: since.map(|at| Timestamp::from_micros(START + at * 1_000_000)),
            until: until.map(|at| Timestamp::from_micros(START + at * 1_000_000)),
        },
        ..Query::default()
    };
    assert_eq!(
        found(&bench, filtered(&["t", "s"], None, None)).await,
        ["a", "c"]
    );
    assert_eq!(
        found(&bench, filtered(&[], Some(10), None)).await,
        ["b", "c"]
    );
    assert_eq!(
        found(&bench, filtered(&[], Some(10), Some(20))).await,
        ["b"]
    );
    let tag = Query {
        tag: Some("s".to_owned()),
        merge_key: Some("k".to_owned()),
        ..Query::default()
    };
    assert_eq!(found(&bench, tag).await, ["a"]);
    let key = Query {
        merge_key: Some("none".to_owned()),
        ..Query::default()
    };
    assert!(found(&bench, key).await.is_empty());
}

#[tokio::test]
async fn top_k_limits_and_says_whether_more_matched() {
    let bench = memory();
    for number in 0..51 {
        bench
            .write(add(json!(number)).id(&number.to_string()))
            .await
            .unwrap();
    }
    let recalled = bench.engram.recall(&Query::default()).await.unwrap();
    assert_eq!(
        (recalled.hits.len(), recalled.truncated),
        (MEMORY_TOP_K, true)
    );
    assert_eq!(recalled.hits[0].entry.content, json!(0));
    for (top_k, truncated) in [(0, true), (50, true), (51, false), (usize::MAX, false)] {
        let query = Query {
            top_k: Some(top_k),
            ..Query::default()
        };
        let recalled = bench.engram.recall(&query).await.unwrap();
        assert_eq!(recalled.hits.len(), top_k.min(51));
        assert_eq!(recalled.truncated, truncated);
    }
}

#[tokio::test]
async fn min_confidence_drops_weaker_hits() {
    let bench = memory();
    bench.write(add(json!("ab")).id("half")).await.unwrap();
    bench.write(add(json!("abcd")).id("quarter")).await.unwrap();
    let query = |least| Query {
        min_confidence: Some(least),
        ..text("a")
    };
    assert_eq!(found(&bench, query(0.5)).await, ["half"]);
    assert_eq!(found(&bench, query(0.25)).await, ["half", "quarter"]);
    let refusal = bench.engram.recall(&query(f32::NAN)).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "invalid: min_confidence is not a number"
    );
}

#[tokio::test]
async fn vectors_are_ranked_by_cosine_clamped_at_zero() {
    let bench = vector(2);
    let rows: [(&str, [f32; 2]); 5] = [
        ("away", [-5.0, 0.0]),
        ("slant", [3.0, 4.0]),
        ("along", [1e30, 0.0]),
        ("twin", [2.0, 0.0]),
        ("across", [0.0, 1.0]),
    ];
    for (name, numbers) in rows {
        bench
            .write(add(json!(name)).id(name).vector(&numbers))
            .await
            .unwrap();
    }
    let query = Query {
        embedding: Some(vec![0.5, 0.0]),
        ..Query::default()
    };
    let recalled = bench.engram.recall(&query).await.unwrap();
    let names: Vec<_> = recalled
        .hits
        .iter()
        .map(|hit| hit.entry.id.to_string())
        .collect();
    assert_eq!(names, ["along", "twin", "slant", "away"]);
    let scores = recalled.hits.iter().map(|hit| hit.score);
    for (score, expected) in scores.zip([1.0_f32, 1.0, 0.6, 0.0]) {
        assert!((score - expected).abs() < 1e-6, "{score}");
    }
    assert!(recalled.truncated);
}

#[tokio::test]
async fn a_vector_memory_answers_other_queries_like_a_context_memory() {
    let bench = vector(1);
    bench
        .write(upsert("k", json!("one")).id("x").vector(&[1.0]))
        .await
        .unwrap();
    bench
        .write(upsert("l", json!("two")).id("y").vector(&[1.0]))
        .await
        .unwrap();
    assert_eq!(found(&bench, text("TWO")).await, ["y"]);
    let both = Query {
        embedding: Some(vec![1.0]),
        merge_key: Some("k".to_owned()),
        ..Query::default()
    };
    assert_eq!(found(&bench, both).await, ["x"]);
}

#[tokio::test]
async fn a_scan_sees_no_entry_twice_and_none_that_came_later() {
    let bench = memory();
    for number in 0..5_000 {
        bench
            .write(add(json!("old")).id(&number.to_string()))
            .await
            .unwrap();
    }
    let query = Query {
        top_k: Some(usize::MAX),
        ..text("old")
    };
    let mut recall = bench.engram.recall(&query);
    let mut rounds = 0;
    let recalled = loop {
        let mut ready = None;
        std::future::poll_fn(|context| {
            ready = match recall.as_mut().poll(context) {
                std::task::Poll::Ready(recalled) => Some(recalled),
                std::task::Poll::Pending => None,
            };
            std::task::Poll::Ready(())
        })
        .await;
        if let Some(recalled) = ready {
            break recalled.unwrap();
        }
        bench.write(delete().id(&rounds.to_string())).await.unwrap();
        bench
            .write(add(json!("old")).id(&rounds.to_string()))
            .await
            .unwrap();
        rounds += 1;
    };
    assert!(rounds > 1);
    assert_eq!(recalled.hits.len(), 5_000);
    let ids: std::collections::HashSet<_> = recalled.hits.iter().map(|hit| &hit.entry.id).collect();
    assert_eq!(ids.len(), 5_000);
}

#[test]
fn the_engrams_say_what_they_are() {
    let bench = memory();
    assert_eq!(&**bench.engram.id(), "notes");
    assert_eq!(bench.engram.kind(), "context");
    assert_eq!(
        bench.engram.capabilities(),
        ["substring", "tags", "merge_key"]
    );
    let bench = vector(2);
    assert_eq!(bench.engram.kind(), "semantic");
    assert_eq!(
        bench.engram.capabilities(),
        ["vector", "cosine", "merge_key", "tags"]
    );
}
