//! Components that are sound, small, and a burden to compile.

use wasm_encoder::{
    BlockType, CodeSection, ComponentSection, Function, FunctionSection, InstructionSink, Module,
    ModuleSection, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Adds the module to a component.
pub(crate) fn add(component: &mut Vec<u8>, module: &Module) {
    ModuleSection(module).append_to_component(component);
}

/// One function in which as many locals change from block to block: what lives where is hard to tell.
pub(crate) fn branches(blocks: u32) -> Module {
    const LOCALS: u32 = 50;
    module(1, |code| {
        code.loop_(BlockType::Empty);
        for block in 0..blocks {
            let local = |step: u32| 2 + block * step % LOCALS;
            code.block(BlockType::Empty).local_get(local(1)).br_if(0);
            code.local_get(local(7)).local_get(local(13)).i32_add().local_set(local(3)).end();
        }
        code.local_get(0).br_if(0).end();
    })
}

/// One function of blocks in blocks.
pub(crate) fn nested_blocks(depth: u32) -> Module {
    module(1, |code| {
        for _ in 0..depth {
            code.block(BlockType::Empty);
        }
        for _ in 0..depth {
            code.end();
        }
    })
}

pub(crate) fn empty_functions(count: u32) -> Module {
    module(count, |_| {})
}

/// One function with a body of so many bytes.
pub(crate) fn large_function(bytes: u32) -> Module {
    module(1, |code| {
        for _ in 0..bytes {
            code.nop();
        }
    })
}

/// Tables that take no room in the file.
pub(crate) fn tables(count: u32, elements: u64) -> Module {
    let mut tables = TableSection::new();
    for _ in 0..count {
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: elements,
            maximum: None,
            shared: false,
        });
    }
    let mut module = Module::new();
    module.section(&tables);
    module
}

/// Functions of two parameters and fifty further locals, all of one body.
fn module(functions: u32, body: impl Fn(&mut InstructionSink)) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        let mut function = Function::new([(50, ValType::I32)]);
        body(&mut function.instructions());
        function.instructions().end();
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    module
}
