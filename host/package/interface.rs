//! What a component imports and exports, by name, and which version of the
//! contract that is. Names are read as they stand in the file: nothing is
//! validated or compiled, so that a hostile file can be looked at.

use std::{collections::BTreeSet, fmt};

use wasmparser::{BinaryReader, ComponentExportSectionReader, ComponentImportSectionReader};

/// The package that holds the contract.
pub const CONTRACT: &str = "soma:neuron";

/// The contract version that this host offers.
pub const CONTRACT_VERSION: ContractVersion = ContractVersion(0, 1, 0);

/// A version of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContractVersion(pub u64, pub u64, pub u64);

impl ContractVersion {
    /// Whether a component that was built for the version `needed` runs on
    /// this one: built for 0.1.n it runs on every 0.1.m with m ≥ n.
    pub fn runs(self, needed: &str) -> bool {
        let Self(major, minor, patch) = self;
        let mut parts = needed.split('.').map(|part| part.parse::<u64>().ok());
        parts.next() == Some(Some(major))
            && parts.next() == Some(Some(minor))
            && parts.next().flatten().is_some_and(|needed| needed <= patch)
            && parts.next().is_none()
    }
}

impl fmt::Display for ContractVersion {
    /// `0.1.0`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A name such as `soma:neuron/engram@0.1.0`, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceName<'a> {
    /// `soma:neuron`
    pub package: &'a str,
    /// `engram`
    pub interface: &'a str,
    /// `0.1.0`
    pub version: &'a str,
}

impl<'a> InterfaceName<'a> {
    /// `None` for a name without these parts, which no contract can mean.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = name.split_once('@')?;
        let (package, interface) = path.split_once('/')?;
        Some(Self {
            package,
            interface,
            version,
        })
    }

    /// As [`InterfaceName::parse`], for names of the contract only.
    pub fn of_contract(name: &'a str) -> Option<Self> {
        Self::parse(name).filter(|name| name.package == CONTRACT)
    }
}

/// Imports and exports of a component, as it names them, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What it needs.
    pub imports: Vec<String>,
    /// What it offers; toolchains add some of their own.
    pub exports: Vec<String>,
}

/// Ids of the sections of a component (component model, binary format).
const IMPORTS: u8 = 10;
const EXPORTS: u8 = 11;

impl Names {
    /// Most imports, and most exports: each is held and told of. What is beyond
    /// is not read, and refuses the component.
    const MOST: usize = 1_000;

    /// Whether there are more than may be.
    pub(super) fn are_too_many(&self) -> bool {
        self.imports.len() > Self::MOST || self.exports.len() > Self::MOST
    }

    /// Reads what a top-level section adds, if it is one of imports or exports.
    pub(super) fn read(
        &mut self,
        section: u8,
        body: &[u8],
        offset: usize,
    ) -> Result<(), wasmparser::BinaryReaderError> {
        let reader = BinaryReader::new(body, offset);
        match section {
            IMPORTS => {
                for import in ComponentImportSectionReader::new(reader)? {
                    if self.imports.len() > Self::MOST {
                        break;
                    }
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            EXPORTS => {
                for export in ComponentExportSectionReader::new(reader)? {
                    if self.exports.len() > Self::MOST {
                        break;
                    }
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The versions of the contract that it was built for: one, unless it was
    /// put together from parts.
    pub fn contract_versions(&self) -> BTreeSet<&str> {
        let names = self.imports.iter().chain(&self.exports);
        let names = names.filter_map(|name| InterfaceName::of_contract(name));
        names.map(|name| name.version).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_runs_on_its_own_and_later_patches_of_the_contract() {
        let host = ContractVersion(0, 1, 2);
        for needed in ["0.1.0", "0.1.2"] {
            assert!(host.runs(needed), "{needed}");
        }
        for needed in ["0.1.3", "0.2.0", "1.1.0", "0.1", "0.1.0.0", "0.1.x", ""] {
            assert!(!host.runs(needed), "{needed}");
        }
    }

    #[test]
    fn a_name_is_read_in_its_parts() {
        let name = InterfaceName::parse("wasi:cli/environment@0.2.0");
        let expected = InterfaceName {
            package: "wasi:cli",
            interface: "environment",
            version: "0.2.0",
        };
        assert_eq!(name, Some(expected));
        assert_eq!(InterfaceName::parse("soma:neuron/engram"), None);
        assert_eq!(InterfaceName::parse("print@0.1.0"), None);
    }
}
