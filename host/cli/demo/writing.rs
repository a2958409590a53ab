//! Scenario 5: compose, validate, retry, as a flow over real documents.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    documents::Document,
    report::Report,
    stage::{Stage, cannot, index},
};
use crate::{
    cli::Failed,
    flow::{Contract, Dag, EventKind, Flow, Lifecycle, Nodes, Run, RunOptions},
    orchestration::{Access, Dispatch, Neuron, Target, TenantHandle},
    signal::Object,
    tenant::Quotas,
};

/// Drafts that the validator lets a writer make.
const MOST_DRAFTS: u64 = 3;

/// Registers ingester, composer and validator over one index.
pub(super) fn cast(stage: &Stage, tenant: &TenantHandle) -> Result<(), Failed> {
    let index = index(tenant);
    for (name, access) in [
        ("ingester", Access::ReadWrite),
        ("composer", Access::Read),
        ("validator", Access::Read),
    ] {
        let neuron = Neuron::new(name, stage.plugin(name)?);
        tenant.register(neuron.bind("index", Arc::clone(&index), access));
    }
    Ok(())
}

/// Ingests documents; the number of chunks that they make.
pub(super) fn ingest(stage: &Stage, tenant: &TenantHandle) -> Result<u64, Failed> {
    let documents: Vec<_> = stage.documents.iter().map(Document::to_json).collect();
    let tenant = tenant.clone();
    stage.host.run(async move {
        let mut chunks = 0;
        for document in documents {
            let dispatch = Dispatch::to_neuron("ingester").input(json!({"document": document}));
            let answer = tenant
                .dispatch_and_wait(dispatch, Duration::from_secs(60))
                .await
                .map_err(cannot)?;
            let Some(output) = answer.output() else {
                return Err(cannot(format!("ingest: {:?}", answer.signal.payload)));
            };
            chunks += output.get("chunks").and_then(Value::as_u64).unwrap_or(0);
        }
        Ok(chunks)
    })
}

/// The reference's loop (dagonizer, section 3.1).
const LOOP: &str = include_str!("../../../examples/flows/compose-retry-loop.json");

/// A writer and a validator that sends drafts back.
fn retry_loop() -> Result<Flow, Failed> {
    let dag: Dag = serde_json::from_str(LOOP).map_err(cannot)?;
    let nodes = Nodes::new()
        .neuron(
            "compose-response",
            Target::neuron("composer"),
            Contract::routes(["drafted"]),
        )
        .neuron(
            "validate-response",
            Target::neuron("validator"),
            Contract::routes(["approved", "retry", "exhausted"]),
        );
    Flow::new(&[dag], &nodes).map_err(cannot)
}

pub(super) fn answers(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let tenant = stage.tenant("documents", Quotas::default())?;
    cast(stage, &tenant)?;
    let chunks = ingest(stage, &tenant)?;
    let documents = stage.documents.len();
    report.say(format_args!(
        "ingested {documents} documents as {chunks} chunks"
    ));
    report.say(format_args!("question: {}", stage.question));
    report.fact("documents", documents);
    report.fact("chunks", chunks);
    report.fact("question", stage.question.as_str());
    report.say(format_args!(
        "a validator approves each draft or sends it back; {MOST_DRAFTS} drafts are made at most"
    ));
    let flow = retry_loop()?;
    for (style, habit, promised, best_effort) in [
        ("improving", "mends what was found", "approved", None),
        ("sloppy", "does not care", "exhausted", Some(true)),
    ] {
        report.say("");
        report.say(format_args!("a writer who {habit} (`{style}`):"));
        let (run, drafts) = write(stage, &tenant, &flow, style);
        for line in &drafts {
            report.say(format_args!("  {line}"));
        }
        let told = tell(report, &run);
        report.fact(style, told);
        let drafts = run
            .state
            .get("attempts")
            .and_then(|made| made.get("compose"));
        let drafts = drafts.and_then(Value::as_u64);
        let last = run.executed.last().and_then(|step| step.route.as_deref());
        let best = run.state.get("best_effort").and_then(Value::as_bool);
        let what = |what: &str| format!("the {style} writer's {what}");
        report.expect(&what("end"), Lifecycle::Completed, run.lifecycle());
        if stage.own_matter {
            continue;
        }
        report.expect(&what("last route"), Some(promised), last);
        report.expect(&what("number of drafts"), Some(MOST_DRAFTS), drafts);
        report.expect(&what("best effort"), best_effort, best);
        if promised == "approved" {
            report.expect(
                &what("citations being there"),
                true,
                !citations(&run.state).is_empty(),
            );
        }
    }
    Ok(())
}

/// The placement that judges a draft.
const VALIDATE: &str = "crl-validate-response";

/// Runs the loop; some lines for each draft.
fn write(stage: &Stage, tenant: &TenantHandle, flow: &Flow, style: &str) -> (Run, Vec<String>) {
    let state = [("question", stage.question.as_str()), ("style", style)];
    let state = state.map(|(key, text)| (key.to_owned(), Value::from(text)));
    let state = Object::from_iter(state);
    let mut written = state.clone();
    let mut execution = flow.start(tenant, state, RunOptions::default());
    stage.host.run(async move {
        let mut drafts = Vec::new();
        while let Some(event) = execution.next().await {
            let EventKind::NodeEnded { step, output } = event.kind else {
                continue;
            };
            written.extend(output);
            if &*step.placement == VALIDATE {
                let route = step.route.as_deref().unwrap_or("no route");
                drafts.extend(draft_lines(step.pass, route, &written));
            }
        }
        (execution.finish().await, drafts)
    })
}

/// One draft: its size, the validator's route and what it found.
fn draft_lines(number: u32, route: &str, state: &Object) -> Vec<String> {
    let chars = draft_text(state).chars().count();
    let cited = citations(state).len();
    let draft = format!("draft {number} ({chars} characters, {cited} citations) -> {route}");
    let critique = state.get("critique").and_then(Value::as_array);
    let findings = critique.into_iter().flatten();
    let findings = findings.filter_map(|finding| finding.get("message").and_then(Value::as_str));
    let findings = findings.map(|message| format!("  - {message}"));
    std::iter::once(draft).chain(findings).collect()
}

fn draft_text(state: &Object) -> &str {
    let text = state.get("draft").and_then(|draft| draft.get("text"));
    text.and_then(Value::as_str).unwrap_or_default()
}

fn citations(state: &Object) -> &[Value] {
    let listed = state.get("draft").and_then(|draft| draft.get("citations"));
    listed.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Says how a run ended and what it wrote; the same for machines.
fn tell(report: &mut Report, run: &Run) -> Value {
    let last = run.executed.last().and_then(|step| step.route.as_deref());
    let drafts = run
        .state
        .get("attempts")
        .and_then(|made| made.get("compose"));
    let drafts = drafts.and_then(Value::as_u64).unwrap_or(0);
    let ended = run.lifecycle();
    match (&run.error, last) {
        (Some(cause), _) => report.say(format_args!("{ended}: {cause}")),
        (None, Some("approved")) => {
            report.say(format_args!(
                "{ended}: approved on draft {drafts}; the answer and its sources:"
            ));
            report.quote(draft_text(&run.state));
            for citation in citations(&run.state) {
                report.say(format_args!("    {}", citation_line(citation)));
            }
        }
        (None, _) => {
            report.say(format_args!(
                "{ended}: exhausted after {drafts} drafts, the last one is the best effort:"
            ));
            report.quote(draft_text(&run.state));
        }
    }
    let routes = run.executed.iter().map(|step| {
        let (placement, route) = (&*step.placement, step.route.as_deref());
        json!({"placement": placement, "route": route, "pass": step.pass})
    });
    json!({
        "lifecycle": ended.as_str(),
        "steps": routes.collect::<Vec<_>>(),
        "drafts": drafts,
        "draft": run.state.get("draft"),
        "best_effort": run.state.get("best_effort").is_some(),
        "error": run.error.as_ref().map(ToString::to_string),
    })
}

fn citation_line(citation: &Value) -> String {
    let text = |key| citation.get(key).and_then(Value::as_str).unwrap_or("?");
    let n = citation.get("n").and_then(Value::as_u64).unwrap_or(0);
    let (title, document, id) = (text("title"), text("document"), text("id"));
    format!("[{n}] {title} ({document}), entry {id}")
}
