//! How large and how deep a component is, found by reading it once.
//!
//! A compiler's time and memory grow faster than what it compiles: a few
//! hundred bytes of nested components, or ten thousand locals in one function,
//! cost it gigabytes. This pass is linear in the file, keeps next to nothing,
//! and refuses what no toolchain makes before a compiler sees it. Whether the
//! component is valid is for the compiler to find out, which is limited too:
//! validation is not linear.

mod component;
mod module;

use std::fmt;

use wasmparser::{Encoding, Parser, Payload, WasmFeatures};

use self::{component::Component, module::Module};

/// How large a component is, or may be at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of all custom sections.
    pub custom_bytes: u64,
    /// Core modules.
    pub modules: u64,
    /// Components from the outermost to the innermost one.
    pub component_depth: u64,
    /// Types of components and instances from the outermost to the innermost
    /// one.
    pub type_depth: u64,
    /// Types, those within types of components and instances included.
    pub types: u64,
    /// Imports of all core modules and components.
    pub imports: u64,
    /// Exports of all core modules and components.
    pub exports: u64,
    /// Globals that core modules define.
    pub globals: u64,
    /// Element segments.
    pub element_segments: u64,
    /// Data segments.
    pub data_segments: u64,
    /// Functions that core modules define.
    pub functions: u64,
    /// Bytes of the longest function.
    pub function_bytes: u64,
    /// Local variables of the function with the most, without parameters.
    pub locals: u64,
    /// Blocks within blocks in the function that nests them deepest.
    pub block_depth: u64,
    /// Targets of the longest `br_table`.
    pub branch_targets: u64,
    /// Core instances that one instance of the component consists of.
    pub core_instances: u64,
    /// Memories that those define.
    pub memories: u64,
    /// Tables that those define.
    pub tables: u64,
    /// Definitions (imports, exports, aliases, instances, canonical functions)
    /// of all components that one instance consists of, counted each time that
    /// one is instantiated.
    pub definitions: u64,
}

impl Extent {
    /// What a host takes at most: at least twice what the largest components
    /// known have, which hold the interpreters of Python and JavaScript, but for
    /// what a slot of the engine's pool has room for.
    pub const MOST: Self = Self {
        bytes: 64 << 20,
        custom_bytes: 32 << 20,
        modules: 200,
        component_depth: 16,
        type_depth: 16,
        types: 100_000,
        imports: 100_000,
        exports: 100_000,
        globals: 100_000,
        element_segments: 10_000,
        data_segments: 100_000,
        functions: 200_000,
        function_bytes: 1 << 20,
        locals: 5_000,
        block_depth: 5_000,
        branch_targets: 20_000,
        core_instances: 50,
        memories: 4,
        tables: 16,
        definitions: 100_000,
    };

    /// Reads a component and stops at the first thing of which there is more
    /// than `most`.
    ///
    /// # Errors
    /// When it is no readable component, or goes beyond a bound.
    pub fn of(wasm: &[u8], most: &Self) -> Result<Self, StructureError> {
        let mut tally = Tally {
            wasm,
            found: Self::default(),
            most,
        };
        let bytes = wasm.len() as u64;
        largest!(tally, bytes, "bytes", bytes, Spot::File)?;
        let mut survey = Survey {
            tally,
            components: Vec::new(),
            module: None,
        };
        let mut parser = Parser::new(0);
        // Which features are allowed is the engine's to say.
        parser.set_features(WasmFeatures::all());
        for payload in parser.parse_all(wasm) {
            survey.payload(payload?)?;
        }
        Ok(survey.tally.found)
    }
}

/// Why a component's structure is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StructureError {
    /// It cannot be read to its end.
    #[error("the component cannot be read: {message} (at offset {offset:#x})")]
    Malformed {
        /// What is wrong there.
        message: String,
        /// Bytes from the start of the file.
        offset: usize,
    },
    /// There is more of something than a host takes.
    #[error("{place} has {found} {what}; at most {most} are taken")]
    TooMuch {
        /// Where it was counted.
        place: Spot,
        /// What was counted.
        what: &'static str,
        /// How much there is, or was when counting stopped.
        found: u64,
        /// The bound.
        most: u64,
    },
    /// How much there is of it depends on what it is given.
    #[error(
        "the component instantiates a {what} that is an import or an export, not one of its own \
         (at offset {offset:#x}); how much that makes cannot be told"
    )]
    Handed {
        /// A component or a core module.
        what: &'static str,
        /// Bytes from the start of the file.
        offset: usize,
    },
}

impl From<wasmparser::Error> for StructureError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed {
            message: error.message().to_owned(),
            offset: error.offset(),
        }
    }
}

/// Where in a component something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spot {
    /// The whole file.
    File,
    /// The component, read from its start to this offset.
    UpTo(usize),
    /// A function of a core module.
    Function {
        /// Its index within the module, imported functions counted too.
        index: u64,
        /// Number of the core module, in the order of the file.
        module: u64,
        /// Offset of its body.
        offset: usize,
    },
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::UpTo(offset) => write!(f, "the component, read up to offset {offset:#x},"),
            Self::Function {
                index,
                module,
                offset,
            } => write!(
                f,
                "function {index} of core module {module} (at offset {offset:#x})"
            ),
        }
    }
}

/// Counts up to a bound.
fn within(place: Spot, what: &'static str, found: u64, most: u64) -> Result<(), StructureError> {
    if found <= most {
        return Ok(());
    }
    Err(StructureError::TooMuch {
        place,
        what,
        found,
        most,
    })
}

/// What was found so far, against what is taken.
struct Tally<'a> {
    wasm: &'a [u8],
    found: Extent,
    most: &'a Extent,
}

/// Adds to a figure of the whole file, and checks it.
macro_rules! count {
    ($tally:ident, $figure:ident, $what:literal, $more:expr, $offset:expr) => {{
        $tally.found.$figure = $tally.found.$figure.saturating_add($more);
        within(
            Spot::UpTo($offset),
            $what,
            $tally.found.$figure,
            $tally.most.$figure,
        )
    }};
}

/// Raises the figure of the largest one, and checks it.
macro_rules! largest {
    ($tally:ident, $figure:ident, $what:literal, $one:expr, $place:expr) => {{
        let one = $one;
        $tally.found.$figure = $tally.found.$figure.max(one);
        within($place, $what, one, $tally.most.$figure)
    }};
}

use {count, largest};

/// A component while it is read.
struct Survey<'a> {
    tally: Tally<'a>,
    /// Components that have begun and not ended, outermost first.
    components: Vec<Component>,
    /// The core module of the innermost one that is being read.
    module: Option<Module>,
}

impl Survey<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), StructureError> {
        let tally = &mut self.tally;
        match payload {
            Payload::Version {
                encoding: Encoding::Component,
                range,
                ..
            } => {
                self.components.push(Component::default());
                let (depth, at) = (self.components.len() as u64, Spot::UpTo(range.end));
                largest!(
                    tally,
                    component_depth,
                    "components within each other",
                    depth,
                    at
                )
            }
            Payload::Version { range, .. } => {
                self.module = Some(Module::new(tally.found.modules));
                count!(tally, modules, "core modules", 1, range.end)
            }
            Payload::End(_) => {
                self.end();
                Ok(())
            }
            Payload::CustomSection(section) => {
                let range = section.range();
                let more = range.len() as u64;
                count!(
                    tally,
                    custom_bytes,
                    "bytes of custom sections",
                    more,
                    range.end
                )
            }
            Payload::UnknownSection { id, range, .. } => Err(malformed(
                format!("there is no section of kind {id}"),
                range.start,
            )),
            other => match (&mut self.module, self.components.split_last_mut()) {
                (Some(module), _) => module.section(other, tally),
                (None, Some((component, outer))) => component.section(other, outer, tally),
                (None, None) => Ok(()),
            },
        }
    }

    /// What has ended is something that the component around it can
    /// instantiate.
    fn end(&mut self) {
        if let Some(module) = self.module.take() {
            if let Some(component) = self.components.last_mut() {
                component.add_module(module.instance());
            }
        } else if let Some(inner) = self.components.pop()
            && let Some(component) = self.components.last_mut()
        {
            component.add_component(inner.instance());
        }
    }
}

fn malformed(message: impl Into<String>, offset: usize) -> StructureError {
    StructureError::Malformed {
        message: message.into(),
        offset,
    }
}

#[cfg(test)]
mod tests;
