//! Scenario 6: what a hostile tenant does to its neighbour, which is little.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    figures::Latencies,
    report::Report,
    stage::{Stage, cannot, memory},
    writing,
};
use crate::{
    cli::Failed,
    neuron::Limits,
    orchestration::{Access, Dispatch, DispatchError, Neuron, Pathway, StopOptions, TenantHandle},
    signal::Payload,
    tenant::Quotas,
};

/// Drafts that the quiet tenant checks, once alone and once in company.
const CHECKS: usize = 500;
/// Pause before each, so that they spread over several waves of attacks.
const PAUSE: Duration = Duration::from_millis(2);

/// A way to misbehave, and the code of the ERROR that must end it.
struct Attack {
    neuron: &'static str,
    input: fn() -> Value,
    code: &'static str,
}

impl Attack {
    const fn new(neuron: &'static str, code: &'static str) -> Self {
        let input = || json!({});
        Self {
            neuron,
            input,
            code,
        }
    }
}

const SPIN: Attack = Attack::new("spin", "NEURON_OUT_OF_FUEL");

const ATTACKS: [Attack; 10] = [
    Attack::new("bad_json_output", "NEURON_INVALID_REPLY"),
    Attack::new("emit_flood", "NEURON_HOST_CALLS"),
    Attack {
        neuron: "grow_memory",
        input: || json!({"then": "trap"}),
        code: "NEURON_OUT_OF_MEMORY",
    },
    Attack::new("host_call_flood", "NEURON_HOST_CALLS"),
    Attack::new("imprint_flood", "ENGRAM_QUOTA"),
    Attack::new("panics", "NEURON_PANIC"),
    Attack::new("recurse", "NEURON_STACK_OVERFLOW"),
    Attack::new("return_huge", "NEURON_OUT_OF_MEMORY"),
    Attack::new("sleep_forever", "NEURON_DEADLINE"),
    SPIN,
];

/// Tasks beyond those of the attacks that a wave throws at the host.
const FLOOD: usize = 64;

/// How long the demo waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the hostile tenant may take.
fn narrow() -> Quotas {
    Quotas {
        concurrent_tasks: 8,
        queued_tasks: 32,
        memory_bytes: 256 << 20,
        store_bytes: 1 << 20,
        journal_bytes: 1 << 20,
        ..Quotas::default()
    }
}

/// What each of its tasks may take.
fn limits(neuron: &str) -> Limits {
    Limits {
        fuel: 200_000_000,
        memory_bytes: 16 << 20,
        // Only the sleeper is to meet its deadline.
        wall: if neuron == "sleep_forever" {
            Duration::from_millis(100)
        } else {
            PATIENCE
        },
        host_calls: 2_000,
        ..Limits::default()
    }
}

fn hostile(stage: &Stage) -> Result<TenantHandle, Failed> {
    let tenant = stage.tenant("hostile", narrow())?;
    let memory = memory(&tenant, "memory");
    for attack in &ATTACKS {
        let plugin = stage.plugin(&format!("hostile/{}", attack.neuron))?;
        let neuron = Neuron::new(attack.neuron, plugin)
            .bind("memory", Arc::clone(&memory), Access::ReadWrite)
            .limits(limits(attack.neuron));
        tenant.register(neuron);
    }
    Ok(tenant)
}

pub(super) fn side_by_side(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let quiet = stage.tenant("quiet", Quotas::default())?;
    writing::cast(stage, &quiet)?;
    writing::ingest(stage, &quiet)?;
    let draft = stage
        .host
        .run(draft(quiet.clone(), stage.question.clone()))?;
    let hostile = hostile(stage)?;
    report
        .say("the quiet tenant has drafts checked: first alone, then while the hostile one sends");
    report.say("wave after wave of tasks that spin, sleep, flood, grow, crash or answer nonsense");

    let alone = stage.host.run(check(quiet.clone(), draft.clone()))?;
    let done = Arc::new(AtomicBool::new(false));
    let (beside, ends) = thread::scope(|scope| {
        let attack = scope.spawn(|| stage.host.run(attack(hostile.clone(), Arc::clone(&done))));
        let beside = stage.host.run(check(quiet.clone(), draft));
        done.store(true, Ordering::Relaxed);
        (beside, attack.join())
    });
    let beside = beside?;
    let ends = ends.map_err(|_| cannot("the hostile tenant's side panicked"))?;

    for (name, told, latencies) in [
        ("quiet_alone", "alone", &alone),
        ("quiet_beside_hostile", "beside the hostile one", &beside),
    ] {
        let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
        report.say(format_args!(
            "quiet tenant {told}: {} drafts checked, p50 {p50}, p99 {p99}",
            latencies.count()
        ));
        let figures = json!({
            "checked": latencies.count(),
            "p50_ms": p50.value(),
            "p99_ms": p99.value(),
        });
        report.fact(name, figures);
        let what = format!("the number of drafts checked {told}");
        report.expect(&what, CHECKS, latencies.count());
    }
    if [&alone, &beside].map(Latencies::count) == [CHECKS, CHECKS] {
        report.say("-> the quiet tenant got every answer");
    }
    tell_ends(report, &ends);
    let held = hostile.tenant().memory_held() + hostile.tenant().journal_held();
    report.say(format_args!(
        "afterwards the hostile tenant holds {held} bytes of memory and journals"
    ));
    report.fact("hostile_held_bytes", held);
    report.expect("what the hostile tenant holds afterwards", 0, held);
    Ok(())
}

/// How hostile tasks ended.
#[derive(Default)]
struct Ends {
    /// By neuron and code.
    codes: BTreeMap<(&'static str, String), u64>,
    /// Dispatches that found no room, not even to wait.
    refused: u64,
}

fn tell_ends(report: &mut Report, ends: &Ends) {
    let total: u64 = ends.codes.values().sum();
    report.say(format_args!(
        "hostile tenant: {total} tasks ended, each in its own way"
    ));
    for ((neuron, code), count) in &ends.codes {
        report.say(format_args!("  {neuron:<16} {count:>5} x {code}"));
    }
    report.say(format_args!(
        "hostile tenant: {} more were refused, overloaded (at most {} run and {} wait)",
        ends.refused,
        narrow().concurrent_tasks,
        narrow().queued_tasks
    ));
    let listed = ends
        .codes
        .iter()
        .map(|((neuron, code), count)| json!({"neuron": neuron, "code": code, "count": count}));
    report.fact("hostile_ends", listed.collect::<Vec<_>>());
    report.fact("hostile_refused", ends.refused);
    for attack in &ATTACKS {
        let codes: Vec<_> = ends
            .codes
            .keys()
            .filter(|(neuron, _)| *neuron == attack.neuron)
            .map(|(_, code)| code.as_str())
            .collect();
        let what = format!("the ends of `{}`", attack.neuron);
        report.expect(&what, vec![attack.code], codes);
    }
    report.expect("tasks being refused", true, ends.refused > 0);
}

/// A careful draft, as the state that a validator takes.
async fn draft(tenant: TenantHandle, question: String) -> Result<Value, Failed> {
    let dispatch = Dispatch::to_neuron("composer").input(json!({"question": question}));
    let answer = tenant.dispatch_and_wait(dispatch, PATIENCE).await;
    let answer = answer.map_err(cannot)?;
    let output = answer.output().cloned();
    output
        .map(Value::Object)
        .ok_or_else(|| cannot(format!("no draft: {:?}", answer.signal.payload)))
}

/// Checks the draft against its sources, again and again; how long each took.
async fn check(tenant: TenantHandle, draft: Value) -> Result<Latencies, Failed> {
    let mut times = Vec::with_capacity(CHECKS);
    for _ in 0..CHECKS {
        tenant.clock().sleep(PAUSE).await;
        let dispatch = Dispatch::to_neuron("validator").input(draft.clone());
        let watch = tenant.clock().stopwatch();
        let answer = tenant.dispatch_and_wait(dispatch, PATIENCE).await;
        let took = watch.elapsed();
        if answer.map_err(cannot)?.is_output() {
            times.push(took);
        }
    }
    Ok(Latencies::new(times))
}

/// Wave after wave of hostile tasks, until the neighbour is done.
async fn attack(tenant: TenantHandle, done: Arc<AtomicBool>) -> Ends {
    let mut ends = Ends::default();
    loop {
        wave(&tenant, &mut ends).await;
        if done.load(Ordering::Relaxed) {
            return ends;
        }
    }
}

/// Every attack once, and a flood of spinning tasks on top.
async fn wave(tenant: &TenantHandle, ends: &mut Ends) {
    let flood = std::iter::repeat_n(&SPIN, FLOOD);
    let mut running = Vec::new();
    for attack in ATTACKS.iter().chain(flood) {
        let dispatch = Dispatch::to_neuron(attack.neuron).input((attack.input)());
        match tenant.dispatch(dispatch) {
            Ok(pathway) => running.push((attack.neuron, pathway)),
            Err(DispatchError::Overloaded(_)) => ends.refused += 1,
            Err(other) => ends.note(attack.neuron, &other.to_string()),
        }
    }
    for (neuron, pathway) in running {
        let code = end_of(tenant, pathway).await;
        ends.note(neuron, &code);
    }
}

impl Ends {
    fn note(&mut self, neuron: &'static str, code: &str) {
        let count = self.codes.entry((neuron, code.to_owned())).or_default();
        *count += 1;
    }
}

/// The code of a task's ERROR; what it wrote is undone.
async fn end_of(tenant: &TenantHandle, mut pathway: Pathway) -> String {
    let answer = pathway.wait(PATIENCE).await;
    tenant
        .stop_trace(pathway.trace_id(), StopOptions::rollback())
        .await;
    match answer {
        Ok(answer) => match &answer.signal.payload {
            Payload::Error(error) => error.code.clone(),
            other => other.signal_type().as_str().to_owned(),
        },
        Err(error) => error.to_string(),
    }
}
