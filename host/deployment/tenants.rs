//! Bringing a host's tenants to what a deployment says.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Changes, Deployment, Running,
    file::{Engram, EngramKind, File, Tenant},
    neuron::Ready,
};
use crate::{
    Host, TenantError,
    engram::{MemoryEngram, VectorEngram},
    orchestration::TenantHandle,
    package::{Document, Problem, Problems},
};

impl Deployment {
    /// What a running host cannot be brought to.
    pub(super) fn check_change(&self, running: &Running, wrong: &mut Vec<Problem>) {
        const RESTART: &str = "this cannot change while it runs; start anew to change it";
        let Self {
            document,
            file,
            doubts,
            ..
        } = self;
        if let Some((host, offline)) = &running.host {
            if *host != file.host && !doubts.host {
                wrong.push(document.key_problem(&["host"], RESTART));
            }
            if *offline != file.policy.offline && !doubts.policy {
                wrong.push(document.problem(&["policy", "offline"], RESTART));
            }
        }
        for tenant in running.quotas.keys() {
            if !file.tenants.contains_key(tenant) && !doubts.tenants {
                let message =
                    format!("tenant `{tenant}` is gone, but it runs; start anew without it");
                wrong.push(document.key_problem(&["tenants"], message));
            }
        }
        for (tenant, table) in &file.tenants {
            let quotas = running.quotas.get(tenant);
            let is_other = quotas.is_some_and(|quotas| *quotas != table.quotas);
            if is_other && !doubts.quotas.contains(tenant) {
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
}

/// Registers what is new or changed, takes away what is gone.
///
/// New tenants are made ready aside and then found all at once, which is the
/// last thing that can fail: until then nothing has changed. From there on each
/// tenant's neurons change in one step, so that no task meets a mix of a
/// tenant's old neurons and new ones; one tenant follows the other.
pub(super) fn change(
    document: &Document,
    file: &File,
    host: &Host,
    ready: Vec<Arc<Ready>>,
    running: &mut Running,
) -> Result<Changes, Problems> {
    let mut now = BTreeMap::new();
    let mut changes = Changes::default();
    for one in ready {
        changes.warnings.extend(one.warnings.clone());
        now.insert((one.tenant.clone(), one.id.clone()), one);
    }
    changes.warnings.sort_by_key(|warning| warning.place);
    let mut fresh = Vec::new();
    let mut known = Vec::new();
    for (name, table) in &file.tenants {
        if let Some(tenant) = host.tenant(name) {
            known.push((tenant, table));
            continue;
        }
        let tenant = host.prepare_tenant(name, table.quotas.quotas());
        let tenant = tenant.map_err(|error| refused(document, &error, &fresh))?;
        table.create_engrams(&tenant);
        step(&tenant, &now, &BTreeMap::new(), &mut changes);
        fresh.push(tenant);
    }
    let listed = host.list_tenants(&fresh);
    listed.map_err(|error| refused(document, &error, &fresh))?;
    for (tenant, table) in known {
        table.create_engrams(&tenant);
        step(&tenant, &now, &running.neurons, &mut changes);
    }
    for (name, table) in &file.tenants {
        running.quotas.insert(name.clone(), table.quotas.clone());
        for (id, engram) in &table.engrams {
            let key = (name.clone(), id.clone());
            running.engrams.insert(key, engram.clone());
        }
    }
    for list in [
        &mut changes.added,
        &mut changes.replaced,
        &mut changes.removed,
    ] {
        list.sort();
    }
    running.neurons = now;
    running.host = Some((file.host.clone(), file.policy.offline));
    Ok(changes)
}

/// Why a tenant cannot be added. Those that were made ready are let go of.
fn refused(document: &Document, error: &TenantError, fresh: &[TenantHandle]) -> Problems {
    fresh.iter().for_each(TenantHandle::forget);
    Problems(vec![document.key_problem(&["tenants"], error)])
}

/// Neurons by tenant and id.
type Neurons = BTreeMap<(String, String), Arc<Ready>>;

/// Brings one tenant's neurons from `before` to `now`.
fn step(tenant: &TenantHandle, now: &Neurons, before: &Neurons, changes: &mut Changes) {
    let name = &**tenant.tenant().name();
    let of_this = |neurons: &Neurons| -> Vec<Arc<Ready>> {
        let all = neurons.values().filter(|one| one.tenant == name);
        all.cloned().collect()
    };
    let shown = |one: &Ready| format!("{name}/{}", one.id);
    let mut come = Vec::new();
    for one in of_this(now) {
        match before.get(&(one.tenant.clone(), one.id.clone())) {
            Some(known) if known.is_same(&one) => continue,
            Some(_) => changes.replaced.push(shown(&one)),
            None => changes.added.push(shown(&one)),
        }
        come.push(one.neuron(|engram| tenant.tenant().engram(engram)));
    }
    let mut gone = of_this(before);
    gone.retain(|one| !now.contains_key(&(one.tenant.clone(), one.id.clone())));
    changes.removed.extend(gone.iter().map(|one| shown(one)));
    let go: Vec<_> = gone.iter().map(|one| one.id.as_str()).collect();
    tenant.change(come, &go);
}

impl Tenant {
    /// Adds those that the tenant does not have.
    fn create_engrams(&self, tenant: &TenantHandle) {
        for (id, engram) in &self.engrams {
            if tenant.tenant().engram(id).is_none() {
                engram.create(id, tenant);
            }
        }
    }
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
