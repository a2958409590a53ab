//! One deployment file, one workflow, four languages.

use std::path::Path;

use soma::{
    engram::Query,
    orchestration::{Pathway, StopOptions, TenantHandle},
    signal::TraceId,
};

use super::*;

/// Work for a while.
const SENTENCES: usize = 20_000;

const LANGUAGES: [&str; 4] = ["rust", "python", "javascript", "c"];

/// The example's file, on a host of the test's own.
fn started() -> (Host, TenantHandle) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deployment/soma.toml");
    let deployment = Deployment::read(&file).unwrap();
    let host = builder().build().unwrap();
    let mut running = Running::default();
    let changes = deployment.apply(&host, &registry(&host), &mut running);
    assert_eq!(changes.unwrap().added.len(), 1 + LANGUAGES.len());
    let tenant = host.tenant("demo").unwrap();
    (host, tenant)
}

/// So many sentences, which make as many chunks.
fn task(language: &str, trace: &TraceId, sentences: usize) -> Dispatch {
    let text = "A saga undoes what it did.\n\n".repeat(sentences);
    let input = json!({"document": {"id": language, "text": text}, "chunk_chars": 30});
    Dispatch::to_neuron(language)
        .input(input)
        .on_trace(trace.clone())
}

fn entries(tenant: &TenantHandle) -> usize {
    tenant.tenant().engram("documents").unwrap().len()
}

#[test]
fn a_workflow_of_four_languages_is_undone_as_a_whole_or_kept_as_a_whole() {
    let (host, tenant) = started();
    run(&host, async move {
        for rollback in [true, false] {
            let trace = tenant.open_trace();
            for language in LANGUAGES {
                let task = task(language, trace.id(), 3);
                let answer = tenant.dispatch_and_wait(task, common::LONG).await.unwrap();
                let expected = json!({"document": language, "chunks": 3});
                assert_eq!(Value::from(answer.output().unwrap().clone()), expected);
            }
            assert_eq!(entries(&tenant), 12);
            let stopped = trace
                .stop(StopOptions {
                    rollback,
                    reason: None,
                })
                .await;
            assert_eq!(stopped[0].rolled_back, rollback);
            assert_eq!(entries(&tenant), if rollback { 0 } else { 12 });
        }
    });
}

#[test]
fn stop_in_the_midst_of_all_four_ends_them_and_undoes_what_each_wrote() {
    let (host, tenant) = started();
    run(&host, async move {
        let trace = tenant.open_trace();
        let start = |language| {
            tenant
                .dispatch(task(language, trace.id(), SENTENCES))
                .unwrap()
        };
        let working: Vec<Pathway> = LANGUAGES.map(start).into();
        let memory = tenant.tenant().engram("documents").unwrap();
        // Each has begun; whether one has ended makes no difference.
        for language in LANGUAGES {
            let query = Query {
                tag: Some(language.to_owned()),
                ..Query::default()
            };
            while memory.recall(&query).await.unwrap().hits.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        let stopped = trace.stop(StopOptions::rollback()).await;
        assert!(stopped[0].rolled_back, "{stopped:?}");
        assert!(stopped[0].compensated >= 4, "{stopped:?}");
        assert_eq!(entries(&tenant), 0);
        drop(working);
    });
}
