//! Components: what one instance of each consists of, nested ones included.
//!
//! What a component instantiates lies before it in the file, so the sums are
//! known when they are needed. The exception is a component or core module that
//! is handed in from outside: no toolchain makes that, and it is refused.

use std::ops::Range;

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentExternalKind, ComponentImport,
    ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, CoreType,
    Instance as CoreInstance, Payload, WasmFeatures,
};

use super::{Spot, StructureError, Tally, count, largest, malformed, within};

/// What an instance of a component or of a core module consists of.
#[derive(Clone, Copy, Default)]
pub(super) struct Instance {
    pub(super) core_instances: u64,
    pub(super) memories: u64,
    pub(super) tables: u64,
    pub(super) definitions: u64,
}

/// A component while it is read.
#[derive(Default)]
pub(super) struct Component {
    instance: Instance,
    components: Space,
    modules: Space,
}

/// What can be instantiated, by index; `None` for what is handed in.
#[derive(Default)]
struct Space(Vec<Option<Instance>>);

impl Space {
    fn get(&self, index: u32) -> Option<Instance> {
        self.0.get(index as usize).copied().flatten()
    }

    /// An instance of the one with that index, which must be the file's own.
    fn own(
        &self,
        index: u32,
        what: &'static str,
        offset: usize,
    ) -> Result<Instance, StructureError> {
        match self.0.get(index as usize) {
            Some(Some(instance)) => Ok(*instance),
            Some(None) => Err(StructureError::Handed { what, offset }),
            None => Err(malformed(format!("there is no {what} {index}"), offset)),
        }
    }
}

impl Component {
    pub(super) fn add_module(&mut self, module: Instance) {
        self.modules.0.push(Some(module));
    }

    pub(super) fn add_component(&mut self, component: Instance) {
        self.components.0.push(Some(component));
    }

    /// What an instance of it consists of.
    pub(super) fn instance(&self) -> Instance {
        self.instance
    }

    /// A section of the component; `outer` are those around it, outermost
    /// first.
    pub(super) fn section(
        &mut self,
        payload: Payload<'_>,
        outer: &[Self],
        tally: &mut Tally<'_>,
    ) -> Result<(), StructureError> {
        match payload {
            Payload::ComponentTypeSection(section) => read_types(section.range(), tally),
            Payload::CoreTypeSection(section) => {
                let offset = section.range().end;
                for ty in section {
                    count!(tally, types, "types", core_types(&ty?), offset)?;
                }
                Ok(())
            }
            Payload::ComponentImportSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, imports, "imports", more, offset)?;
                self.define(more, offset, tally)?;
                for import in section {
                    self.add(import?.ty.kind(), None);
                }
                Ok(())
            }
            Payload::ComponentExportSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, exports, "exports", more, offset)?;
                self.define(more, offset, tally)?;
                for export in section {
                    // What is exported is known by a second index from here on.
                    let export = export?;
                    let known = match export.kind {
                        ComponentExternalKind::Module => self.modules.get(export.index),
                        _ => self.components.get(export.index),
                    };
                    self.add(export.kind, known);
                }
                Ok(())
            }
            Payload::ComponentAliasSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                self.define(more, offset, tally)?;
                for alias in section {
                    self.alias(&alias?, outer);
                }
                Ok(())
            }
            Payload::ComponentCanonicalSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                self.define(more, offset, tally)
            }
            Payload::InstanceSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                self.define(more, offset, tally)?;
                for instance in section.into_iter_with_offsets() {
                    let (offset, instance) = instance?;
                    if let CoreInstance::Instantiate { module_index, .. } = instance {
                        let module = self.modules.own(module_index, "core module", offset)?;
                        self.instantiate(module, offset, tally)?;
                    }
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                self.define(more, offset, tally)?;
                for instance in section.into_iter_with_offsets() {
                    let (offset, instance) = instance?;
                    if let ComponentInstance::Instantiate {
                        component_index: index,
                        ..
                    } = instance
                    {
                        let inner = self.components.own(index, "component", offset)?;
                        self.instantiate(inner, offset, tally)?;
                    }
                }
                Ok(())
            }
            // What is left are a start function, and nested modules and
            // components, which come by their own headers.
            _ => Ok(()),
        }
    }

    fn add(&mut self, kind: ComponentExternalKind, instance: Option<Instance>) {
        match kind {
            ComponentExternalKind::Module => self.modules.0.push(instance),
            ComponentExternalKind::Component => self.components.0.push(instance),
            _ => {}
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Self]) {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => self.add(*kind, None),
            ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::Outer { kind, count, index } => {
                // None outwards is this one.
                let from = match count.checked_sub(1) {
                    None => Some(&*self),
                    Some(count) => outer.iter().rev().nth(count as usize),
                };
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let module = from.and_then(|from| from.modules.get(*index));
                        self.modules.0.push(module);
                    }
                    ComponentOuterAliasKind::Component => {
                        let component = from.and_then(|from| from.components.get(*index));
                        self.components.0.push(component);
                    }
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
                }
            }
        }
    }

    fn define(
        &mut self,
        definitions: u64,
        offset: usize,
        tally: &mut Tally<'_>,
    ) -> Result<(), StructureError> {
        let more = Instance {
            definitions,
            ..Instance::default()
        };
        self.instantiate(more, offset, tally)
    }

    fn instantiate(
        &mut self,
        more: Instance,
        offset: usize,
        tally: &mut Tally<'_>,
    ) -> Result<(), StructureError> {
        let all = &mut self.instance;
        all.core_instances = all.core_instances.saturating_add(more.core_instances);
        all.memories = all.memories.saturating_add(more.memories);
        all.tables = all.tables.saturating_add(more.tables);
        all.definitions = all.definitions.saturating_add(more.definitions);
        let at = Spot::UpTo(offset);
        largest!(
            tally,
            core_instances,
            "core instances",
            all.core_instances,
            at
        )?;
        largest!(tally, memories, "memories", all.memories, at)?;
        largest!(tally, tables, "tables", all.tables, at)?;
        largest!(
            tally,
            definitions,
            "definitions in all instances together",
            all.definitions,
            at
        )
    }
}

/// Types that a core type stands for.
fn core_types(ty: &CoreType<'_>) -> u64 {
    match ty {
        CoreType::Rec(group) => group.types().len() as u64,
        CoreType::Module(declarations) => 1 + declarations.len() as u64,
    }
}

/// Reads a section of component types. The parser's own reader goes as deep as
/// the file says, on the stack; this one counts.
fn read_types(range: Range<usize>, tally: &mut Tally<'_>) -> Result<(), StructureError> {
    let bytes = tally.wasm.get(range.clone()).unwrap_or_default();
    let mut reader = BinaryReader::new_features(bytes, range.start, WasmFeatures::all());
    for _ in 0..reader.read_var_u32()? {
        read_type(&mut reader, 0, tally)?;
    }
    if reader.eof() {
        return Ok(());
    }
    let message = "unexpected data at the end of the section";
    Err(malformed(message, reader.original_position()))
}

/// First bytes of the types that hold others.
const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;

fn read_type(
    reader: &mut BinaryReader<'_>,
    depth: u64,
    tally: &mut Tally<'_>,
) -> Result<(), StructureError> {
    let offset = reader.original_position();
    count!(tally, types, "types", 1, offset)?;
    let first = reader.clone().read_u8()?;
    if !matches!(first, COMPONENT_TYPE | INSTANCE_TYPE) {
        reader.read::<ComponentType<'_>>()?;
        return Ok(());
    }
    let depth = depth + 1;
    largest!(
        tally,
        type_depth,
        "types within each other",
        depth,
        Spot::UpTo(offset)
    )?;
    reader.read_u8()?;
    for _ in 0..reader.read_var_u32()? {
        let offset = reader.original_position();
        match reader.read_u8()? {
            0x00 => {
                let ty = reader.read::<CoreType<'_>>()?;
                count!(tally, types, "types", core_types(&ty), offset)?;
            }
            0x01 => read_type(reader, depth, tally)?,
            0x02 => {
                reader.read::<ComponentAlias<'_>>()?;
            }
            0x03 if first == COMPONENT_TYPE => {
                reader.read::<ComponentImport<'_>>()?;
            }
            0x04 => {
                reader.read::<ComponentExternName<'_>>()?;
                reader.read::<ComponentTypeRef>()?;
            }
            kind => {
                let message = format!("there is no declaration of kind {kind} in a type");
                return Err(malformed(message, offset));
            }
        }
    }
    Ok(())
}
