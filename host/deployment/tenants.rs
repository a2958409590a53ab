//! Bringing a host's tenants to what a deployment says.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Changes, Running,
    file::{Engram, EngramKind, File},
    neuron::Ready,
};
use crate::{
    Host,
    engram::{MemoryEngram, VectorEngram},
    orchestration::TenantHandle,
    package::{Document, Problem, Problems},
};

/// What a running host cannot be brought to.
pub(super) fn check_change(
    document: &Document,
    file: &File,
    running: &Running,
    wrong: &mut Vec<Problem>,
) {
    const RESTART: &str = "this cannot change while it runs; start anew to change it";
    if let Some((host, offline)) = &running.host {
        if *host != file.host {
            wrong.push(document.key_problem(&["host"], RESTART));
        }
        if *offline != file.policy.offline {
            wrong.push(document.problem(&["policy", "offline"], RESTART));
        }
    }
    for tenant in running.quotas.keys() {
        if !file.tenants.contains_key(tenant) {
            let message = format!("tenant `{tenant}` is gone, but it runs; start anew without it");
            wrong.push(document.key_problem(&["tenants"], message));
        }
    }
    for (tenant, table) in &file.tenants {
        let quotas = running.quotas.get(tenant);
        if quotas.is_some_and(|quotas| *quotas != table.quotas) {
            wrong.push(document.key_problem(&["tenants", tenant, "quotas"], RESTART));
        }
        for (name, engram) in &table.engrams {
            let known = running.engrams.get(&(tenant.clone(), name.clone()));
            if known.is_some_and(|known| known != engram) {
                let keys = ["tenants", tenant, "engrams", name];
                wrong.push(document.key_problem(&keys, RESTART));
            }
        }
    }
}

/// Registers what is new or changed, takes away what is gone.
pub(super) fn change(
    document: &Document,
    file: &File,
    host: &Host,
    ready: Vec<Arc<Ready>>,
    running: &mut Running,
) -> Result<Changes, Problems> {
    let mut tenants = BTreeMap::new();
    for (name, table) in &file.tenants {
        let tenant = match host.tenant(name) {
            Some(tenant) => tenant,
            None => host
                .add_tenant(name, table.quotas.quotas())
                .map_err(|error| Problems(vec![document.problem(&["tenants", name], error)]))?,
        };
        running.quotas.insert(name.clone(), table.quotas.clone());
        for (id, engram) in &table.engrams {
            if tenant.tenant().engram(id).is_none() {
                engram.create(id, &tenant);
            }
            running
                .engrams
                .insert((name.clone(), id.clone()), engram.clone());
        }
        tenants.insert(name.as_str(), tenant);
    }
    let mut changes = Changes::default();
    let mut now = BTreeMap::new();
    for one in ready {
        changes.warnings.extend(one.warnings.clone());
        let key = (one.tenant.clone(), one.id.clone());
        let known = running.neurons.get(&key);
        let shown = format!("{}/{}", one.tenant, one.id);
        if !known.is_some_and(|known| known.is_same(&one))
            && let Some(tenant) = tenants.get(one.tenant.as_str())
        {
            tenant.register(one.neuron(|engram| tenant.tenant().engram(engram)));
            match known {
                None => changes.added.push(shown),
                Some(_) => changes.replaced.push(shown),
            }
        }
        now.insert(key, one);
    }
    for (tenant, id) in running.neurons.keys() {
        if !now.contains_key(&(tenant.clone(), id.clone()))
            && let Some(handle) = tenants.get(tenant.as_str())
        {
            handle.deregister(id);
            changes.removed.push(format!("{tenant}/{id}"));
        }
    }
    running.neurons = now;
    running.host = Some((file.host.clone(), file.policy.offline));
    Ok(changes)
}

impl Engram {
    fn create(&self, id: &str, tenant: &TenantHandle) {
        let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
        let ledger = Arc::clone(tenant.tenant()) as _;
        match (self.kind, self.dimension) {
            (EngramKind::Vector, Some(dimension)) => {
                let engram = VectorEngram::new(id, dimension as usize, clock, ids, ledger);
                tenant.add_engram(engram);
            }
            _ => {
                tenant.add_engram(MemoryEngram::new(id, clock, ids, ledger));
            }
        }
    }
}
