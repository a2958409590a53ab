//! Reading the file as far as it can be read: a mistake in one part of it hides
//! none in another, and its consequences are told of as no mistakes of their own.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::file::{File, Tenant};
use crate::package::{Digest, Document, Problem, Problems, heading, is_name, read_public_key};

/// A file, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Read {
    /// Its sound parts: in place of another one is the default, or nothing.
    pub(super) file: File,
    /// The trusted keys that can be read.
    pub(super) keys: Vec<VerifyingKey>,
    pub(super) doubts: Doubts,
    pub(super) wrong: Vec<Problem>,
}

/// What the file was meant to say and does not: what would come of that is told
/// of as no mistake.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// The policy.
    pub(super) policy: bool,
    /// Some trusted key.
    pub(super) keys: bool,
    /// The host's own table.
    pub(super) host: bool,
    /// Which tenants there are.
    pub(super) tenants: bool,
    /// The quotas of these tenants.
    pub(super) quotas: BTreeSet<String>,
}

/// What a table holds under `key`, if both are tables.
fn entries<'a>(table: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let inner = table.get(key).and_then(Value::as_object);
    let entries = inner.into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value))
}

impl Read {
    pub(super) fn of(document: &Document) -> Self {
        let mut reader = Reader {
            document,
            doubts: Doubts::default(),
            wrong: Vec::new(),
        };
        let mut file = match document.typed() {
            Ok(file) => file,
            Err(Problems(problems)) => {
                reader.wrong = problems;
                reader.parts()
            }
        };
        let keys = reader.keys();
        reader.tenants(&mut file);
        Self {
            file,
            keys,
            doubts: reader.doubts,
            wrong: reader.wrong,
        }
    }
}

struct Reader<'a> {
    document: &'a Document,
    doubts: Doubts,
    wrong: Vec<Problem>,
}

impl Reader<'_> {
    /// Each part of a file that is not sound as a whole.
    fn parts(&mut self) -> File {
        let whole = self.document.value();
        let policy = self.part::<_, File>(whole, &["policy"]);
        let host = self.part::<_, File>(whole, &["host"]);
        self.doubts.policy = policy.is_none();
        self.doubts.host = host.is_none();
        self.doubts.tenants = !has_keys_of::<File>(whole);
        let mut tenants = BTreeMap::new();
        for (name, table) in entries(whole, "tenants") {
            let quotas = self.part::<_, Tenant>(table, &["tenants", name, "quotas"]);
            if quotas.is_none() {
                self.doubts.quotas.insert(name.to_owned());
            }
            let tenant = Tenant {
                quotas: quotas.unwrap_or_default(),
                engrams: self.all(table, ["tenants", name, "engrams"]),
                neurons: self.all(table, ["tenants", name, "neurons"]),
            };
            tenants.insert(name.to_owned(), tenant);
        }
        File {
            policy: policy.unwrap_or_default(),
            host: host.unwrap_or_default(),
            tenants,
        }
    }

    /// Those with these keys that are sound, by name; `table` is the one around
    /// them all.
    fn all<T: DeserializeOwned + JsonSchema>(
        &mut self,
        table: &Value,
        keys: [&str; 3],
    ) -> BTreeMap<String, T> {
        let [first, tenant, list] = keys;
        let mut sound = BTreeMap::new();
        for (name, _) in entries(table, list) {
            if let Some(one) = self.sound(&[first, tenant, list, name]) {
                sound.insert(name.to_owned(), one);
            }
        }
        sound
    }

    /// A part of the table `around`, which is an `A`; the default where it is
    /// left out, none where it is not sound or may be there by another name.
    fn part<T: DeserializeOwned + JsonSchema + Default, A: DeserializeOwned>(
        &mut self,
        around: &Value,
        keys: &[&str],
    ) -> Option<T> {
        match around.get(keys.last()?) {
            Some(_) => self.sound(keys),
            None => has_keys_of::<A>(around).then(T::default),
        }
    }

    fn sound<T: DeserializeOwned + JsonSchema>(&mut self, keys: &[&str]) -> Option<T> {
        let part = self.document.part(keys);
        part.map_err(|told| self.tell(told)).ok()
    }

    /// Most of it was told already, of the file as a whole.
    fn tell(&mut self, Problems(problems): Problems) {
        for problem in problems {
            if self.wrong.len() <= Problems::MOST && !self.wrong.contains(&problem) {
                self.wrong.push(problem);
            }
        }
    }

    fn keys(&mut self) -> Vec<VerifyingKey> {
        let paths = self.document.value().pointer("/policy/trusted-keys");
        let paths = paths.and_then(Value::as_array).into_iter().flatten();
        let mut keys = Vec::new();
        for (index, path) in paths.enumerate() {
            // What is no text was told.
            let Some(path) = path.as_str() else { continue };
            match read_public_key(&self.document.folder().join(path)) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    self.doubts.keys = true;
                    let place = ["policy", "trusted-keys", &index.to_string()];
                    self.wrong.push(self.document.problem(&place, error));
                }
            }
        }
        keys
    }

    /// What no schema can say of the tenants, whatever else is wrong with them.
    fn tenants(&mut self, file: &mut File) {
        let document = self.document;
        for (tenant, table) in entries(document.value(), "tenants") {
            self.name(&["tenants", tenant], tenant);
            for (id, _) in entries(table, "engrams") {
                self.name(&["tenants", tenant, "engrams", id], id);
            }
            for (id, neuron) in entries(table, "neurons") {
                let keys = ["tenants", tenant, "neurons", id];
                self.name(&keys, id);
                self.binds(tenant, table, id, neuron);
                if !self.has_digest(&keys, neuron)
                    && let Some(tenant) = file.tenants.get_mut(tenant)
                {
                    tenant.neurons.remove(id);
                }
            }
        }
        for (tenant, table) in &mut file.tenants {
            table.engrams.retain(|id, engram| {
                let keys = ["tenants", tenant, "engrams", id];
                let told = engram.problem();
                let told = told.map(|message| document.key_problem(&keys, message));
                let is_sound = told.is_none();
                self.wrong.extend(told);
                is_sound
            });
        }
    }

    fn name(&mut self, keys: &[&str], name: &str) {
        if !is_name(name) {
            let message = format!(
                "{name:?} cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"
            );
            self.wrong.push(self.document.key_problem(keys, message));
        }
    }

    /// Whether a neuron's digest, if it has one, can be one.
    fn has_digest(&mut self, neuron: &[&str; 4], table: &Value) -> bool {
        let digest = table.get("digest").and_then(Value::as_str);
        let Some(Err(error)) = digest.map(str::parse::<Digest>) else {
            return true;
        };
        let keys = [&neuron[..], &["digest"]].concat();
        self.wrong.push(self.document.problem(&keys, error));
        false
    }

    fn binds(&mut self, tenant: &str, table: &Value, id: &str, neuron: &Value) {
        for (name, bind) in entries(neuron, "bind") {
            let Some(engram) = bind.get("engram").and_then(Value::as_str) else {
                continue;
            };
            let is_there = table.get("engrams").and_then(|all| all.get(engram));
            // Where a key is wrong, that may be the one of the engrams.
            if is_there.is_some() || !has_keys_of::<Tenant>(table) {
                continue;
            }
            let keys = ["tenants", tenant, "neurons", id, "bind", name, "engram"];
            let message = format!("tenant `{tenant}` has no engram `{engram}`");
            let missing = heading(&["tenants", tenant, "engrams", engram]);
            let help = format!("add:\n[{missing}]\nkind = \"memory\"");
            let problem = self.document.problem(&keys, message);
            self.wrong.push(problem.help(help));
        }
    }
}

/// Whether a table has only keys that a `T` has, and its tables there, whatever
/// these hold.
fn has_keys_of<T: DeserializeOwned>(table: &Value) -> bool {
    let keys = table.as_object().into_iter().flatten();
    let emptied = keys.map(|(key, value)| {
        let is_table = value.is_object();
        (
            key.clone(),
            if is_table { json!({}) } else { value.clone() },
        )
    });
    table.is_object() && T::deserialize(Value::Object(emptied.collect())).is_ok()
}
