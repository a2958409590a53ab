//! `orchestration`: for neurons that were granted it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use wasmtime::component::Resource;

use super::{Guest, parse_object};
use crate::{
    neuron::{
        contract::orchestration as wit,
        environment::{HostCall, Orchestration, PathwayCall, PathwayHandle},
    },
    signal::{Object, TraceId},
};

type Refused<T> = Result<T, wit::OrchestrationError>;

impl Guest {
    /// The orchestrator and the input of a task for it.
    fn request(&self, input: &str) -> Refused<(Arc<dyn Orchestration>, Object)> {
        let input = parse_object("input", input, self.json_bytes).map_err(invalid)?;
        Ok((self.environment.orchestration(), input))
    }

    /// Counts and tells of a call on a pathway.
    fn enter_pathway(
        &mut self,
        pathway: &Resource<PathwayHandle>,
        call: PathwayCall,
    ) -> wasmtime::Result<()> {
        self.enter()?;
        let task = self.table.get(pathway)?.task_id();
        self.admit(HostCall::Pathway { task, call })
    }
}

fn invalid(text: String) -> wit::OrchestrationError {
    wit::OrchestrationError::Invalid(text)
}

impl wit::Host for Guest {
    async fn dispatch(
        &mut self,
        target: wit::Target,
        input: String,
        options: wit::DispatchOptions,
    ) -> wasmtime::Result<Refused<Resource<PathwayHandle>>> {
        self.begin(HostCall::Dispatch {
            target: &target,
            input: &input,
            options: &options,
        })?;
        let started = self
            .request(&input)
            .and_then(|(host, input)| host.dispatch(target, input, options));
        Ok(match started {
            Ok(pathway) => Ok(self.table.push(pathway)?),
            Err(error) => Err(error),
        })
    }

    async fn dispatch_and_wait(
        &mut self,
        target: wit::Target,
        input: String,
        options: wit::DispatchOptions,
    ) -> wasmtime::Result<Refused<wit::ResultOf>> {
        self.begin(HostCall::DispatchAndWait {
            target: &target,
            input: &input,
            options: &options,
        })?;
        Ok(match self.request(&input) {
            Ok((host, input)) => host.dispatch_and_wait(target, input, options).await,
            Err(error) => Err(error),
        })
    }

    async fn run_with_retry(
        &mut self,
        target: wit::Target,
        input: String,
        strategy: wit::RetryStrategy,
    ) -> wasmtime::Result<Refused<wit::ResultOf>> {
        self.begin(HostCall::RunWithRetry {
            target: &target,
            input: &input,
            strategy: &strategy,
        })?;
        Ok(match self.request(&input) {
            Ok((host, input)) => host.run_with_retry(target, input, strategy).await,
            Err(error) => Err(error),
        })
    }

    async fn stop_trace(
        &mut self,
        trace: String,
        options: wit::StopOptions,
    ) -> wasmtime::Result<Refused<Vec<wit::Stopped>>> {
        self.begin(HostCall::StopTrace {
            trace: &trace,
            options: &options,
        })?;
        let trace = trace
            .parse::<TraceId>()
            .map_err(|error| invalid(format!("trace-id: {error}")));
        Ok(match trace {
            Ok(trace) => {
                let host = self.environment.orchestration();
                host.stop_trace(trace, options).await
            }
            Err(error) => Err(error),
        })
    }
}

impl wit::HostPathway for Guest {
    async fn trace_id(&mut self, pathway: Resource<PathwayHandle>) -> wasmtime::Result<String> {
        self.enter_pathway(&pathway, PathwayCall::TraceId)?;
        Ok(self.table.get(&pathway)?.trace_id().to_string())
    }

    async fn task_id(&mut self, pathway: Resource<PathwayHandle>) -> wasmtime::Result<String> {
        self.enter_pathway(&pathway, PathwayCall::TaskId)?;
        Ok(self.table.get(&pathway)?.task_id().to_string())
    }

    async fn next(
        &mut self,
        pathway: Resource<PathwayHandle>,
    ) -> wasmtime::Result<Option<wit::Signal>> {
        self.enter_pathway(&pathway, PathwayCall::Next)?;
        let signal = self.table.get_mut(&pathway)?.next().await;
        Ok(signal.map(|signal| wit::Signal {
            id: signal.id.to_string(),
            signal_type: signal.signal_type().as_str().to_owned(),
            payload: Value::Object(signal.payload.to_object()).to_string(),
        }))
    }

    async fn wait(
        &mut self,
        pathway: Resource<PathwayHandle>,
        timeout_ms: u64,
    ) -> wasmtime::Result<Refused<wit::Outcome>> {
        self.enter_pathway(&pathway, PathwayCall::Wait(timeout_ms))?;
        let timeout = Duration::from_millis(timeout_ms);
        Ok(self.table.get_mut(&pathway)?.wait(timeout).await)
    }

    async fn close(&mut self, pathway: Resource<PathwayHandle>) -> wasmtime::Result<()> {
        self.enter_pathway(&pathway, PathwayCall::Close)?;
        self.table.get_mut(&pathway)?.close();
        Ok(())
    }

    async fn drop(&mut self, pathway: Resource<PathwayHandle>) -> wasmtime::Result<()> {
        self.table.delete(pathway)?;
        Ok(())
    }
}
