//! How files are broken, and what is generated.

use arbitrary::Unstructured;
use wasm_encoder::{
    ConstExpr, DataSection, Encode, ExportKind, ExportSection, FunctionSection, MemorySection, MemoryType,
    Module, RawSection, TypeSection, ValType,
};
use wasmparser::{Parser, Payload};

/// Numbers that are the same in every run: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// Where sections begin and end, at every depth.
pub(crate) fn edges(component: &[u8]) -> Vec<usize> {
    let mut edges = vec![];
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::End(end) => edges.push(end),
            payload => {
                edges
                    .extend(payload.as_section().into_iter().flat_map(|(_, range)| [range.start, range.end]));
            }
        }
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// A core module and a component; none where the generator had no luck.
pub(crate) fn generated(random: &mut Random) -> Option<(Vec<u8>, Vec<u8>)> {
    let bytes: Vec<u8> = (0..512).flat_map(|_| random.next().to_le_bytes()).collect();
    let module =
        wasm_smith::Module::new(wasm_smith::Config::default(), &mut Unstructured::new(&bytes)).ok()?;
    let component =
        wasm_smith::Component::new(wasm_smith::Config::default(), &mut Unstructured::new(&bytes)).ok()?;
    Some((module.to_bytes(), component.to_bytes()))
}

/// A component with one more section.
pub(crate) fn with_section(component: &[u8], id: wasm_encoder::ComponentSectionId, data: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_owned();
    bytes.push(id.into());
    data.encode(&mut bytes);
    bytes
}

/// A module of so many types, all different.
pub(crate) fn types(count: u32) -> Module {
    let mut types = TypeSection::new();
    for number in 0..count {
        let bits = (0..20).map(|bit| if number >> bit & 1 == 0 { ValType::I32 } else { ValType::I64 });
        types.ty().function(bits, []);
    }
    let mut module = Module::new();
    module.section(&types);
    module
}

/// A module with so many names for one function.
pub(crate) fn exports(count: u32) -> Module {
    let mut module = Module::new();
    let (mut types, mut functions, mut exports) =
        (TypeSection::new(), FunctionSection::new(), ExportSection::new());
    types.ty().function([], []);
    functions.function(0);
    for number in 0..count {
        exports.export(&number.to_string(), ExportKind::Func, 0);
    }
    let mut code = wasm_encoder::CodeSection::new();
    let mut function = wasm_encoder::Function::new([]);
    function.instructions().end();
    code.function(&function);
    module.section(&types).section(&functions).section(&exports).section(&code);
    module
}

/// A module that fills its memory from so many places of the file.
pub(crate) fn data(count: i32) -> Module {
    let (mut memories, mut data) = (MemorySection::new(), DataSection::new());
    memories.memory(MemoryType {
        minimum: 60_000,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    for number in 0..count {
        data.active(0, &ConstExpr::i32_const(number.wrapping_mul(40_000)), [1]);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    module
}

/// Components that are absurd in themselves.
pub(crate) fn component_bombs() -> Vec<(&'static str, Vec<u8>)> {
    let parse = |wat: String| wat::parse_str(wat).unwrap();
    let empty = || wasm_encoder::Component::new().finish();
    let nested = (0..2000).fold(empty(), |inner, _| {
        with_section(&empty(), wasm_encoder::ComponentSectionId::Component, &inner)
    });
    let unfolding: Vec<_> = (0..40).map(|n| format!("(type $t{} (tuple $t{n} $t{n}))", n + 1)).collect();
    let imports: Vec<_> = (0..2000).map(|n| format!("(import \"i{n}\" (func))")).collect();
    let lying = RawSection { id: 1, data: &[0xff; 64] };
    let mut claims = b"\0asm\x0d\0\x01\0".to_vec();
    wasm_encoder::Section::append_to(&lying, &mut claims);
    vec![
        ("components in components", nested),
        (
            "a type that unfolds",
            parse(format!("(component (type $t0 (tuple string string)) {})", unfolding.concat())),
        ),
        ("many imports", parse(format!("(component {})", imports.concat()))),
        ("a section of nonsense", claims),
    ]
}
