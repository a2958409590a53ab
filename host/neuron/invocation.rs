//! One task in one fresh instance, from store to reply.

use std::{pin::pin, sync::Arc, time::Duration};

use serde_json::Value;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use super::{
    Sandbox,
    contract::types,
    control::{Supervised, Supervision, TaskControl},
    engine::{MAX_MEMORY_BYTES, Metering},
    environment::{Environment, Governor, LogRecord},
    guest::{Guest, Halt, bounded, cut, parse, parse_object},
    limits::{Limiter, Limits, Refusal},
    outcome::{End, Ended, Reply, Usage},
    plugin::Plugin,
};
use crate::{
    clock::Stopwatch,
    signal::{Object, SignalId, TraceId},
};

/// Fuel units after which a guest's count is brought up to date at the latest.
/// A loop without calls keeps its count in a register, where neither the epoch
/// callback nor STOP can see it; about two ticks' worth.
const FUEL_GRAIN: u64 = 10_000_000;

/// The task as the guest gets it.
#[derive(Clone, Copy, Debug)]
pub struct TaskInput<'a> {
    /// Identity of the TASK signal.
    pub id: &'a SignalId,
    /// Trace of the task.
    pub trace_id: &'a TraceId,
    /// The neuron's id on this host.
    pub neuron: &'a str,
    /// Attempt, from 0.
    pub attempt: u32,
    /// The input.
    pub input: &'a Object,
    /// Context entries, oldest first.
    pub context: &'a [Value],
}

/// Everything around a task but its input.
pub struct Surroundings<'a> {
    /// Where the guest's host calls go.
    pub environment: Arc<dyn Environment>,
    /// Whom use is charged to.
    pub governor: Arc<dyn Governor>,
    /// What the task may use.
    pub limits: &'a Limits,
    /// By what STOP reaches it.
    pub control: &'a Arc<TaskControl>,
}

impl Sandbox {
    /// Runs one task to its end, whatever that is. The future may be dropped
    /// at any point; the instance goes with it.
    pub async fn run(
        &self,
        plugin: &Plugin,
        task: TaskInput<'_>,
        surroundings: Surroundings<'_>,
    ) -> Ended {
        let watch = Stopwatch::start();
        let control = Arc::clone(surroundings.control);
        let cpu_before = control.cpu();
        let slot = self.own(plugin).and_then(|()| self.take_slot());
        let mut ended = match slot {
            Ok(_slot) => self.run_in_slot(plugin, task, surroundings).await,
            Err(end) => Ended {
                result: Err(end),
                usage: Usage::default(),
            },
        };
        ended.usage.wall = watch.elapsed();
        ended.usage.cpu = control.cpu().saturating_sub(cpu_before);
        ended
    }

    async fn run_in_slot(
        &self,
        plugin: &Plugin,
        task: TaskInput<'_>,
        surroundings: Surroundings<'_>,
    ) -> Ended {
        let Surroundings {
            environment,
            governor,
            limits,
            control,
        } = surroundings;
        let clock = environment.clock().clone();
        let limiter = Limiter::new(limits, Arc::clone(&governor));
        let guest = Guest::new(plugin, &task, environment, limiter, limits);
        let mut store = match self.store(plugin, guest, limits, control, &governor) {
            Ok(store) => store,
            Err(error) => {
                return Ended {
                    result: Err(End::Instantiate(format!("{error:#}"))),
                    usage: Usage::default(),
                };
            }
        };
        let called = {
            let call = pin!(call(plugin, &mut store, task, limits.wall));
            let supervision = Supervision {
                control,
                clock: &clock,
                governor: &*governor,
                pulse: &self.machine_of(plugin).pulse,
                slow_lane: self.slow_lane(),
                tenant: Arc::as_ptr(&governor).addr(),
                deadline: clock.monotonic().saturating_add(limits.wall),
            };
            Supervised::new(call, supervision).await
        };
        // From here on no instruction of the guest runs: its call is gone.
        charge(&mut store, limits, &*governor);
        let result = match called {
            Ok(Ok(Ok(reply))) => accept(reply, limits.json_bytes),
            Ok(Ok(Err(failure))) => Err(End::Failure {
                code: cut(failure.code, MAX_NAME_BYTES),
                message: cut(failure.message, LogRecord::MAX_BYTES),
                recoverable: failure.recoverable,
            }),
            Ok(Err(error)) => Err(diagnose(&error, store.data_mut(), limits)),
            Err(cut) => Err(cut.into_end(limits.wall)),
        };
        let usage = Usage {
            fuel: store.data().fuel_charged,
            peak_memory_bytes: store.data().limiter.peak_bytes(),
            host_calls: store.data().host_calls,
            ..Usage::default()
        };
        Ended { result, usage }
    }

    /// A fresh store. Deadlines are set before anything is instantiated: start
    /// functions run guest code.
    fn store(
        &self,
        plugin: &Plugin,
        guest: Guest,
        limits: &Limits,
        control: &Arc<TaskControl>,
        governor: &Arc<dyn Governor>,
    ) -> wasmtime::Result<Store<Guest>> {
        let mut store = Store::new(plugin.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(limits.host_call_bytes);
        store.set_max_component_handles(Limits::HANDLES);
        let metered = plugin.metering() == Metering::Fuel;
        if metered {
            store.set_fuel(limits.fuel)?;
            store.fuel_async_yield_interval(Some(FUEL_GRAIN))?;
        }
        store.set_epoch_deadline(1);
        let control = Arc::clone(control);
        let governor = Arc::clone(governor);
        let budget = metered.then_some(limits.fuel);
        store.epoch_deadline_callback(move |mut context| {
            if control.is_stopped() {
                return Ok(UpdateDeadline::Interrupt);
            }
            context.data().check_count()?;
            if let Some(budget) = budget {
                let left = context.get_fuel()?;
                charge_to(context.data_mut(), budget.saturating_sub(left), &*governor);
            }
            if control.slice_is_over() || governor.throttle().is_some() {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Ok(UpdateDeadline::Continue(1))
            }
        });
        Ok(store)
    }
}

fn charge(store: &mut Store<Guest>, limits: &Limits, governor: &dyn Governor) {
    // An engine without fuel has none to report.
    if let Ok(left) = store.get_fuel() {
        charge_to(store.data_mut(), limits.fuel.saturating_sub(left), governor);
    }
}

fn charge_to(guest: &mut Guest, burnt: u64, governor: &dyn Governor) {
    governor.charge_fuel(burnt.saturating_sub(guest.fuel_charged));
    guest.fuel_charged = burnt;
}

async fn call(
    plugin: &Plugin,
    store: &mut Store<Guest>,
    task: TaskInput<'_>,
    wall: Duration,
) -> wasmtime::Result<Result<types::Reply, types::Failure>> {
    let neuron = plugin.pre.instantiate_async(&mut *store).await?;
    store.data_mut().instantiated = true;
    let task = types::Task {
        id: task.id.to_string(),
        trace_id: task.trace_id.to_string(),
        neuron: task.neuron.to_owned(),
        attempt: task.attempt,
        input: serde_json::to_string(task.input)?,
        context: task.context.iter().map(Value::to_string).collect(),
        deadline_ms: u64::try_from(wall.as_millis()).ok(),
    };
    neuron.soma_neuron_handler().call_handle(store, &task).await
}

/// Bytes of a route, and of a failure's code.
const MAX_NAME_BYTES: usize = 256;

fn accept(reply: types::Reply, limit: usize) -> Result<Reply, End> {
    let any =
        |what: &str, text: Option<String>| text.map(|text| parse(what, &text, limit)).transpose();
    let words = |what: &str, text: String| bounded(what, &text, limit).map(|()| text);
    let object = |what: &str, text: Option<String>| {
        text.map(|text| parse_object(what, &text, limit))
            .transpose()
    };
    let accepted = || -> Result<Reply, String> {
        Ok(match reply {
            types::Reply::Output(output) => Reply::Output {
                value: parse("output.value", &output.value, limit)?,
                route: match output.route {
                    Some(route) => {
                        bounded("output.route", &route, MAX_NAME_BYTES)?;
                        Some(route)
                    }
                    None => None,
                },
            },
            types::Reply::Clarification(asked) => Reply::Clarification {
                question: words("clarification.question", asked.question)?,
                context: any("clarification.context", asked.context)?,
            },
            types::Reply::Permission(asked) => Reply::Permission {
                action: words("permission.action", asked.action)?,
                scope: object("permission.scope", asked.scope)?,
                reason: asked
                    .reason
                    .map(|reason| words("permission.reason", reason))
                    .transpose()?,
                context: any("permission.context", asked.context)?,
            },
        })
    };
    accepted().map_err(End::InvalidReply)
}

/// Says why a call ended without a reply.
fn diagnose(error: &wasmtime::Error, guest: &mut Guest, limits: &Limits) -> End {
    if let Some(Halt(end)) = error.downcast_ref::<Halt>() {
        return end.clone();
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return End::Trap(format!("it called exit({code}) instead of replying"));
    }
    if let Some(panic) = guest.panic.take() {
        return End::Panic(panic);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return End::OutOfFuel(limits.fuel),
        Some(Trap::StackOverflow) => return End::StackOverflow,
        // The epoch callback interrupts for STOP and nothing else.
        Some(Trap::Interrupt) => return End::Stopped,
        _ => {}
    }
    let words = format!("{error:#}");
    if words.contains("fuel allocated for hostcalls") {
        return End::TooLarge(limits.host_call_bytes);
    }
    match guest.limiter.refused() {
        Some(Refusal::Task) => return End::OutOfMemory(limits.memory_bytes),
        Some(Refusal::Table) => return End::OutOfTable(limits.table_elements),
        Some(Refusal::Engine) => return End::OutOfMemory(MAX_MEMORY_BYTES),
        Some(Refusal::Tenant) => return End::TenantOutOfMemory,
        None => {}
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => End::Trap(trap.to_string().replacen("wasm trap: ", "", 1)),
        // Without the addresses of the guest's calls, which tell nobody anything.
        None if guest.instantiated => End::Fault(error.root_cause().to_string()),
        None => End::Instantiate(words),
    }
}
