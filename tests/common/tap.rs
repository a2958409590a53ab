//! Everything that a tenant's bus carries, in order.

use std::sync::Arc;

use soma::{
    orchestration::TenantHandle,
    signal::{Signal, SignalType, TraceId},
    synapse::{Delivery, SubscribeOptions, Subscription},
};

/// A listener that loses nothing.
pub struct Tap {
    subscription: Subscription,
    seen: Vec<Arc<Signal>>,
}

impl Tap {
    /// Hears what is published from now on.
    pub fn on(tenant: &TenantHandle) -> Self {
        let options = SubscribeOptions {
            queue_group: None,
            capacity: 10_000_000,
        };
        Self {
            subscription: tenant.observe(options).unwrap(),
            seen: Vec::new(),
        }
    }

    fn take(&mut self, delivery: Delivery) -> Arc<Signal> {
        match delivery {
            Delivery::Signal(signal) => {
                self.seen.push(Arc::clone(&signal));
                signal
            }
            Delivery::Lost(count) => panic!("the tap lost {count} signals"),
        }
    }

    /// All that was published until now.
    pub fn seen(&mut self) -> &[Arc<Signal>] {
        while let Some(delivery) = self.subscription.try_recv() {
            self.take(delivery);
        }
        &self.seen
    }

    /// The types of all that was published on a trace until now.
    pub fn types_on(&mut self, trace: &TraceId) -> Vec<SignalType> {
        let all = self.seen().iter();
        all.filter(|signal| signal.trace_id == *trace)
            .map(|signal| signal.signal_type())
            .collect()
    }

    /// All types in the order in which they were published.
    pub fn types(&mut self) -> Vec<SignalType> {
        self.seen().iter().map(|s| s.signal_type()).collect()
    }

    /// The next signal of this type that was not looked at before.
    pub async fn next(&mut self, kind: SignalType) -> Arc<Signal> {
        loop {
            let delivery = self.subscription.recv().await.unwrap();
            let signal = self.take(delivery);
            if signal.signal_type() == kind {
                return signal;
            }
        }
    }
}
