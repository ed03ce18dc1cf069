//! Components that are sound, small, and a burden to compile.

use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentSection, Function, FunctionSection, InstructionSink, Module,
    ModuleSection, TypeSection, ValType,
};

/// A component around a core module that nothing instantiates.
pub(crate) fn component(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

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
