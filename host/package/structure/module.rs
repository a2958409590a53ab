//! Core modules: what they define, and how long and deep their functions are.

use wasmparser::{
    FunctionBody, Operator, OperatorsReader, OperatorsReaderAllocations, Payload, TypeRef,
};

use super::{Spot, StructureError, Tally, component::Instance, count, largest, within};

/// A core module while it is read.
pub(super) struct Module {
    /// Its number in the file.
    number: u64,
    memories: u64,
    tables: u64,
    /// Index of the next function that has a body.
    next_function: u64,
    /// Kept from one function to the next.
    allocations: OperatorsReaderAllocations,
}

impl Module {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            memories: 0,
            tables: 0,
            next_function: 0,
            allocations: OperatorsReaderAllocations::default(),
        }
    }

    /// What an instance of it takes.
    pub(super) fn instance(&self) -> Instance {
        Instance {
            core_instances: 1,
            memories: self.memories,
            tables: self.tables,
            definitions: 0,
        }
    }

    pub(super) fn section(
        &mut self,
        payload: Payload<'_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), StructureError> {
        match payload {
            Payload::TypeSection(section) => {
                let offset = section.range().end;
                for group in section {
                    let more = group?.types().len() as u64;
                    count!(tally, types, "types", more, offset)?;
                }
                Ok(())
            }
            Payload::ImportSection(section) => {
                let offset = section.range().end;
                for import in section.into_imports() {
                    if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import?.ty {
                        self.next_function += 1;
                    }
                    count!(tally, imports, "imports", 1, offset)?;
                }
                Ok(())
            }
            Payload::FunctionSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, functions, "functions", more, offset)
            }
            Payload::TableSection(section) => {
                self.tables += u64::from(section.count());
                Ok(())
            }
            Payload::MemorySection(section) => {
                self.memories += u64::from(section.count());
                Ok(())
            }
            Payload::GlobalSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, globals, "globals", more, offset)
            }
            Payload::ExportSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, exports, "exports", more, offset)
            }
            Payload::ElementSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, element_segments, "element segments", more, offset)
            }
            Payload::DataSection(section) => {
                let (more, offset) = (u64::from(section.count()), section.range().end);
                count!(tally, data_segments, "data segments", more, offset)
            }
            Payload::CodeSectionEntry(body) => self.function(&body, tally),
            // What is left are counts that the parser compares, a start
            // function, and tags, for which the engine has no use.
            _ => Ok(()),
        }
    }

    fn function(
        &mut self,
        body: &FunctionBody<'_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), StructureError> {
        let place = Spot::Function {
            index: self.next_function,
            module: self.number,
            offset: body.range().start,
        };
        self.next_function += 1;
        let bytes = body.range().len() as u64;
        largest!(tally, function_bytes, "bytes of code", bytes, place)?;

        let mut locals = 0_u64;
        let mut reader = body.get_locals_reader()?;
        for _ in 0..reader.get_count() {
            let (more, _) = reader.read()?;
            locals += u64::from(more);
        }
        largest!(tally, locals, "locals", locals, place)?;

        let reader = body.get_binary_reader_for_operators()?;
        let allocations = std::mem::take(&mut self.allocations);
        let mut operators = OperatorsReader::new_with_allocs(reader, allocations);
        let mut depth = 0_u64;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Try { .. }
                | Operator::TryTable { .. } => {
                    depth += 1;
                    largest!(tally, block_depth, "nested blocks", depth, place)?;
                }
                Operator::End | Operator::Delegate { .. } => depth = depth.saturating_sub(1),
                Operator::BrTable { targets } => {
                    let targets = u64::from(targets.len());
                    largest!(
                        tally,
                        branch_targets,
                        "targets of one br_table",
                        targets,
                        place
                    )?;
                }
                _ => {}
            }
        }
        self.allocations = operators.into_allocations();
        Ok(())
    }
}
