//! Flows: what a node costs beside what it does. In brackets what Dagonizer 0.9
//! takes for the same where it was measured (reference: dagonizer, section 6), in
//! another run on a machine of this kind, with nothing sandboxed; beside the
//! sandboxed nodes a flow of one node in a warm worker of Dagonizer 2, the
//! nearest that it has to a sandbox.

use serde_json::{Value, json};
use soma_retry::RetryPolicy;

use super::{Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant};
use crate::{
    clock::Stopwatch,
    flow::{
        Call, Checkpoint, Contract, Dag, Failure, Flow, Nodes, Output, RunOptions,
        document::{FanIn, FanOut, Single},
    },
    neuron::Baseline,
    orchestration::{Neuron, TenantHandle},
    signal::Object,
};

const ROUNDS: u32 = 20;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(256)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let echo = Neuron::new("echo", bench.plugin(&host, "echo")?);
    tenant.register(echo.limits(roomy_limits()));
    let raw = Baseline::new(&bench.wasm("echo")?, 256).map_err(broken)?;
    let run = Runs {
        rounds: bench.rounds(ROUNDS),
        tenant,
    };
    let figures = host.run(async move {
        Ok::<_, Failed>(
            vec![
                run.native_chain().await?,
                run.native_loop().await?,
                run.sandboxed_chain(&raw).await?,
                run.retry().await?,
            ]
            .into_iter()
            .chain(run.fan_outs().await?)
            .chain(run.checkpoint().await?)
            .collect::<Vec<_>>(),
        )
    })?;
    for measure in &figures {
        report.line(measure);
    }
    Ok(())
}

fn broken(error: impl std::fmt::Display) -> Failed {
    Failed::new(Exit::Host, error)
}

/// A native node that does nothing.
fn nothing(_: Call<'_>) -> Result<Output, Failure> {
    Ok(Output::default())
}

/// So many placements of a node, one after the other.
fn chain(node: &str, count: u32, retry: Option<&RetryPolicy>) -> Dag {
    let mut dag = Dag::builder("chain", "1");
    for at in 0..count {
        let mut single = Single::new(format!("n{at}"), node);
        if let Some(policy) = retry {
            single = single.retry(policy.clone());
        }
        dag = dag.place(if at + 1 < count {
            single.route("success", format!("n{}", at + 1))
        } else {
            single.end("success")
        });
    }
    dag.build()
}

struct Runs {
    rounds: u32,
    tenant: TenantHandle,
}

impl Runs {
    fn options() -> RunOptions {
        RunOptions {
            max_steps: u64::MAX,
            max_items: usize::MAX,
            max_state_bytes: usize::MAX,
            ..RunOptions::default()
        }
    }

    /// Runs a flow so many times: the time of each divided by `share`.
    async fn times(
        &self,
        dag: Dag,
        nodes: &Nodes,
        state: &Object,
        share: u32,
    ) -> Result<Figures, Failed> {
        let flow = Flow::new(&[dag], nodes).map_err(broken)?;
        let mut figures = Figures::default();
        for _ in 0..self.rounds {
            let state = state.clone();
            let watch = Stopwatch::start();
            let run = flow.run(&self.tenant, state, Self::options()).await;
            figures.push(watch.elapsed() / share);
            if let Some(cause) = run.error {
                return Err(broken(cause));
            }
        }
        Ok(figures)
    }

    async fn native_chain(&self) -> Result<Measure, Failed> {
        let nodes = Nodes::new().function("nothing", Contract::open(), nothing);
        let dag = chain("nothing", 1_000, None);
        let figures = self.times(dag, &nodes, &Object::new(), 1_000).await?;
        Ok(Measure::times(
            "1000 native nodes, per node (1.2)",
            &figures,
        ))
    }

    async fn retry(&self) -> Result<Measure, Failed> {
        let nodes = Nodes::new().function("nothing", Contract::open(), nothing);
        let dag = chain("nothing", 1_000, Some(&RetryPolicy::default()));
        let figures = self.times(dag, &nodes, &Object::new(), 1_000).await?;
        let name = "the same under a retry policy (+0.10)";
        Ok(Measure::times(name, &figures))
    }

    async fn native_loop(&self) -> Result<Measure, Failed> {
        const PASSES: u32 = 100_000;
        let nodes = Nodes::new().function(
            "count",
            Contract::routes(["again", "enough"]),
            |call: Call<'_>| {
                let n = call.state.get("n").and_then(Value::as_u64).unwrap_or(0) + 1;
                let route = if n < u64::from(PASSES) {
                    "again"
                } else {
                    "enough"
                };
                Ok(Output::on(route).set("n", n))
            },
        );
        let count = Single::new("count", "count").route("again", "count");
        let dag = Dag::builder("loop", "1").place(count.end("enough")).build();
        let figures = self.times(dag, &nodes, &Object::new(), PASSES).await?;
        let name = "a loop of 100 000 passes, per pass (1.8-2.8)";
        Ok(Measure::times(name, &figures))
    }

    async fn sandboxed_chain(&self, raw: &Baseline) -> Result<Measure, Failed> {
        let nodes = Nodes::new().or_any_neuron();
        let dag = chain("echo", 1_000, None);
        let state = Object::from_iter([("question".to_owned(), "why?".into())]);
        let figures = self.times(dag, &nodes, &state, 1_000).await?;
        let mut theirs = Figures::default();
        for _ in 0..self.rounds {
            let watch = Stopwatch::start();
            for _ in 0..1_000 {
                raw.call(r#"{"question":"why?"}"#).await.map_err(broken)?;
            }
            theirs.push(watch.elapsed() / 1_000);
        }
        let name = "1000 sandboxed nodes, per node (1300-2400)";
        Ok(Measure::times(name, &figures).beside(&theirs))
    }

    async fn fan_outs(&self) -> Result<Vec<Measure>, Failed> {
        let nodes = Nodes::new().function("nothing", Contract::open(), |call: Call<'_>| {
            let item = call.state.get("currentItem").cloned().unwrap_or_default();
            Ok(Output::default().set("currentItem", item))
        });
        let mut measures = Vec::new();
        for (items, concurrency, peer) in [
            (10_000, 1, "1.8-2.7"),
            (10_000, 64, "1.0-1.8"),
            (20_000, 64, "1.9"),
            (40_000, 64, "2.6"),
        ] {
            let fan = FanOut::new("each", "nothing", "items", FanIn::append("out"))
                .concurrency(concurrency)
                .end("all-success")
                .end("partial")
                .end("all-error")
                .end("empty");
            let dag = Dag::builder("fan", "1").place(fan).build();
            let list: Vec<_> = (0..items).collect();
            let state = Object::from_iter([("items".to_owned(), json!(list))]);
            let figures = self.times(dag, &nodes, &state, items).await?;
            let name = format!("fan-out of {items} at {concurrency}, per item ({peer})");
            measures.push(Measure::times(name, &figures));
        }
        Ok(measures)
    }

    /// A run that is paused with a state of 1.5 MB, to text; and from text to a
    /// run that can go on.
    async fn checkpoint(&self) -> Result<Vec<Measure>, Failed> {
        let nodes = Nodes::new().function("nothing", Contract::open(), nothing);
        let flow = Flow::new(&[chain("nothing", 2, None)], &nodes).map_err(broken)?;
        let entry = json!({"title": "x".repeat(100), "tags": ["a", "b"], "score": 0.5});
        let state: Object = (0..10_000)
            .map(|at| (format!("book {at}"), entry.clone()))
            .collect();
        let (mut written, mut read) = (Figures::default(), Figures::default());
        let mut bytes = 0;
        for _ in 0..self.rounds {
            let execution = flow.start(&self.tenant, state.clone(), Self::options());
            execution.control().pause();
            let watch = Stopwatch::start();
            let paused = execution.finish().await;
            let checkpoint = paused
                .checkpoint
                .ok_or_else(|| broken("it did not pause"))?;
            let text = checkpoint.to_string();
            written.push(watch.elapsed());
            bytes = text.len();
            let watch = Stopwatch::start();
            let checkpoint = Checkpoint::parse(&text).map_err(broken)?;
            let resumed = flow
                .resume(&self.tenant, checkpoint, [], Self::options())
                .map_err(broken)?;
            read.push(watch.elapsed());
            drop(resumed);
        }
        let name = |what| format!("checkpoint of {bytes} bytes, {what}");
        Ok(vec![
            Measure::times(name("made and written (6000-13000)"), &written),
            Measure::times(name("read and resumed (6000-8000)"), &read),
        ])
    }
}
