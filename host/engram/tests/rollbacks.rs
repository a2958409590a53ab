use super::*;

#[tokio::test]
async fn a_rollback_brings_back_the_very_same_entries_in_the_same_order() {
    let bench = memory();
    for name in ["a", "b", "c"] {
        bench
            .write(upsert(name, json!(name)).id(name))
            .await
            .unwrap();
    }
    let before = bench.entries().await;
    let scope = bench.trace();
    bench.pass(1);
    bench.write_on(&scope, upsert("a", json!("changed"))).await;
    bench
        .write_on(&scope, imprint(Op::Merge, json!("again")).key("a"))
        .await;
    bench.write_on(&scope, delete().id("b")).await;
    bench.write_on(&scope, add(json!("b anew")).id("b")).await;
    bench.write_on(&scope, delete().key("c")).await;
    bench.write_on(&scope, add(json!("new"))).await;
    assert_eq!(bench.engram.journaled(&scope.trace), 6);

    let report = bench.engram.rollback(&scope.trace).await;
    assert_eq!((report.compensated, report.kept), (6, Vec::new()));
    let after = bench.entries().await;
    assert!(before.iter().zip(&after).all(|(a, b)| Arc::ptr_eq(a, b)));
    assert_eq!(texts(&after), ["a", "b", "c"]);
    assert_eq!(bench.engram.journaled(&scope.trace), 0);
    assert_eq!(
        bench.engram.rollback(&scope.trace).await,
        Rollback::default()
    );
}

#[tokio::test]
async fn a_rollback_after_a_commit_undoes_nothing() {
    let bench = memory();
    let scope = bench.trace();
    bench.write_on(&scope, add(json!(1))).await;
    bench.engram.commit(&scope.trace).await;
    assert_eq!(
        bench.engram.rollback(&scope.trace).await,
        Rollback::default()
    );
    assert_eq!(bench.engram.len(), 1);
}

#[tokio::test]
async fn a_later_write_of_another_trace_is_kept_and_named() {
    let bench = memory();
    let (first, second) = (bench.trace(), bench.trace());
    bench
        .write(upsert("k", json!("found")).id("x"))
        .await
        .unwrap();
    bench.write_on(&first, upsert("k", json!("first"))).await;
    bench
        .write_on(&first, upsert("k", json!("first again")))
        .await;
    bench.write_on(&second, upsert("k", json!("second"))).await;

    let report = bench.engram.rollback(&first.trace).await;
    assert_eq!(report.compensated, 0);
    let by = second.trace.clone();
    let kept = Kept {
        engram: Arc::from("notes"),
        entry: id("x"),
        merge_key: Some("k".to_owned()),
        reason: KeptReason::OverwrittenBy { trace: Some(by) },
    };
    assert_eq!(report.kept, [kept]);
    let words = format!(
        "entry 'x' of engram 'notes' was overwritten by trace '{}'",
        second.trace
    );
    assert_eq!(report.kept[0].to_string(), words);
    assert_eq!(bench.contents().await, [json!("second")]);

    bench.engram.rollback(&second.trace).await;
    assert_eq!(bench.contents().await, [json!("found")]);
    assert_eq!(bench.entries().await[0].version, 1);
}

#[tokio::test]
async fn a_committed_later_write_is_kept_and_named() {
    let bench = memory();
    let (first, second) = (bench.trace(), bench.trace());
    bench.write_on(&first, add(json!(1)).id("x").key("k")).await;
    bench.write_on(&second, upsert("k", json!(2))).await;
    bench.engram.commit(&second.trace).await;
    let report = bench.engram.rollback(&first.trace).await;
    let by = Some(second.trace.clone());
    assert_eq!(
        report.kept[0].reason,
        KeptReason::OverwrittenBy { trace: by }
    );
    assert_eq!(report.compensated, 0);
    assert_eq!(bench.contents().await, [json!(2)]);
}

#[tokio::test]
async fn a_write_outside_any_trace_is_permanent_and_named_so() {
    let bench = memory();
    let scope = bench.trace();
    bench.write_on(&scope, add(json!(1)).id("x").key("k")).await;
    bench.write(upsert("k", json!(2))).await.unwrap();
    let report = bench.engram.rollback(&scope.trace).await;
    let words = "overwritten by a write outside any trace";
    assert_eq!(report.kept[0].reason.to_string(), words);
    assert_eq!(bench.contents().await, [json!(2)]);
}

#[tokio::test]
async fn an_entry_deleted_for_good_is_kept_away_even_when_its_id_lives_again() {
    let bench = memory();
    let scope = bench.trace();
    bench.write_on(&scope, add(json!(1)).id("x")).await;
    bench.write(delete().id("x")).await.unwrap();
    bench.write(add(json!(2)).id("y")).await.unwrap();
    bench.write(add(json!(3)).id("x")).await.unwrap();
    let report = bench.engram.rollback(&scope.trace).await;
    assert_eq!(report.compensated, 0);
    assert_eq!(report.kept[0].entry, id("x"));
    assert_eq!(bench.contents().await, [json!(2), json!(3)]);
}

#[tokio::test]
async fn a_rollback_restores_vectors() {
    let bench = vector(2);
    let scope = bench.trace();
    bench
        .write(upsert("k", json!(1)).vector(&[1.0, 0.0]))
        .await
        .unwrap();
    bench
        .write_on(&scope, upsert("k", json!(2)).vector(&[0.0, 1.0]))
        .await;
    bench
        .write_on(&scope, add(json!(3)).vector(&[0.0, 1.0]))
        .await;
    bench.engram.rollback(&scope.trace).await;
    let query = Query {
        embedding: Some(vec![2.0, 0.0]),
        ..Query::default()
    };
    let hits = bench.engram.recall(&query).await.unwrap().hits;
    assert_eq!(hits.len(), 1);
    assert!((hits[0].score - 1.0).abs() < 1e-6);
}

/// Polls a future so often, at most.
async fn polled<F: Future + Unpin>(mut future: F, times: usize) -> Option<F::Output> {
    for _ in 0..times {
        let mut polled = None;
        std::future::poll_fn(|context| {
            polled = Some(std::pin::Pin::new(&mut future).poll(context));
            std::task::Poll::Ready(())
        })
        .await;
        if let Some(std::task::Poll::Ready(output)) = polled {
            return Some(output);
        }
    }
    None
}

#[tokio::test]
async fn others_read_and_write_while_a_large_rollback_goes_on() {
    let bench = memory();
    let scope = bench.trace();
    for number in 0..5_000 {
        bench.write_on(&scope, add(json!(number))).await;
    }
    let mut rollback = bench.engram.rollback(&scope.trace);
    assert!(polled(&mut rollback, 1).await.is_none());
    let left = bench.engram.len();
    assert!(left > 0 && left < 5_000, "{left}");
    bench.write(add(json!("other")).id("other")).await.unwrap();
    assert_eq!(rollback.await.compensated, 5_000);
    assert_eq!(bench.contents().await, [json!("other")]);
}

#[tokio::test]
async fn a_dropped_rollback_goes_on_when_called_again() {
    let bench = memory();
    let scope = bench.trace();
    for number in 0..3_000 {
        bench.write_on(&scope, add(json!(number))).await;
    }
    let first = bench.engram.rollback(&scope.trace);
    assert!(polled(first, 2).await.is_none());
    let left = bench.engram.journaled(&scope.trace);
    assert_eq!(bench.engram.len(), left);
    let second = bench.engram.rollback(&scope.trace).await;
    assert_eq!(usize::try_from(second.compensated).unwrap(), left);
    assert!(bench.engram.is_empty());
}

#[tokio::test]
async fn a_commit_of_an_entry_written_many_times_goes_in_slices() {
    let bench = memory();
    let (first, last) = (bench.trace(), bench.trace());
    for number in 0..3_000 {
        bench
            .write_on(&first, upsert("k", json!(number)).id("x"))
            .await;
    }
    bench.write_on(&last, upsert("k", json!("last"))).await;
    let mut commit = bench.engram.commit(&last.trace);
    assert!(polled(&mut commit, 1).await.is_none());
    commit.await;
    let report = bench.engram.rollback(&first.trace).await;
    assert_eq!((report.compensated, report.kept.len()), (0, 1));
    assert_eq!(bench.contents().await, [json!("last")]);
}

#[tokio::test]
async fn a_rollback_after_a_dropped_commit_loses_no_entry() {
    let bench = memory();
    let (first, last) = (bench.trace(), bench.trace());
    bench.write(upsert("k", json!("found"))).await.unwrap();
    for number in 0..3_000 {
        bench.write_on(&first, upsert("k", json!(number))).await;
    }
    bench.write_on(&last, upsert("k", json!("last"))).await;
    bench.write_on(&last, add(json!("undone"))).await;
    let commit = bench.engram.commit(&last.trace);
    assert!(polled(commit, 1).await.is_none());
    let report = bench.engram.rollback(&last.trace).await;
    assert_eq!((report.compensated, report.kept.len()), (1, 0));
    bench.engram.rollback(&first.trace).await;
    assert_eq!(bench.contents().await, [json!("last")]);
}
