//! Whether a component's functions have the types of the contract, told in the contract's own words.
//!
//! The engine finds out as well, when it looks a function up, and says so in its own.

mod text;

use std::collections::HashMap;
use std::sync::LazyLock;

use llm_bench_core::{Error, Result};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncType,
    ComponentInstanceType, ComponentItem, ComponentType, ComponentTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{Parser, PrimitiveValType, ValidPayload, Validator, WasmFeatures};

use super::inspection::{contract, unsound};
use crate::convert::lift::shown;

/// World `host` of the contract: every interface that a component may import or export.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/contract.wasm"));
    Contract::read(bytes).expect("the contract that this program was built with is sound")
});

/// Longest name that is shown.
const NAME_CHARS: usize = 100;

struct Contract {
    types: Types,
    world: ComponentTypeId,
    names: HashMap<ComponentDefinedTypeId, String>,
}

/// Types of one component, and what the named ones are called.
#[derive(Clone, Copy)]
struct Side<'types> {
    types: TypesRef<'types>,
    names: &'types HashMap<ComponentDefinedTypeId, String>,
    /// The interface that is looked at.
    instance: &'types ComponentInstanceType,
}

/// Compares all that a component imports and exports of the contract.
///
/// # Errors
/// `invalid-plugin` where its types are unsound; `plugin-signature` with the function, what the contract expects, and
/// what was found.
pub(super) fn check(component: &[u8], imports: &[String], exports: &[String]) -> Result<()> {
    let types = validate(component)?;
    let types = types.as_ref();
    for name in imports.iter().filter(|name| contract(name).is_some()) {
        check_import(name, types.component_item_for_import(name), types)?;
    }
    for name in exports.iter().filter(|name| contract(name).is_some()) {
        check_export(name, types.component_item_for_export(name), types)?;
    }
    Ok(())
}

/// A component may import fewer functions than there are.
fn check_import(name: &str, found: Option<&ComponentItem>, types: TypesRef) -> Result<()> {
    let Some(expected) = CONTRACT.interface(CONTRACT.world().imports.get(name)) else { return Ok(()) };
    let found = side(name, "imports", found, types)?;
    for (function, item) in &found.instance.exports {
        let ComponentEntityType::Func(id) = item.ty else { continue };
        let Some(wanted) = expected.function(function) else {
            let (function, known) = (shown(function, NAME_CHARS), expected.functions());
            return Err(refused(format!(
                "the component imports `{function}` of `{name}`, which has no such function; it has {known}"
            )));
        };
        compare(name, "imports", function, (expected, wanted), (found, &types[id]))?;
    }
    Ok(())
}

/// A component may export more functions than the contract asks for.
fn check_export(name: &str, found: Option<&ComponentItem>, types: TypesRef) -> Result<()> {
    let Some(expected) = CONTRACT.interface(CONTRACT.world().exports.get(name)) else { return Ok(()) };
    let found = side(name, "exports", found, types)?;
    for (function, item) in &expected.instance.exports {
        let ComponentEntityType::Func(id) = item.ty else { continue };
        let wanted = &expected.types[id];
        let Some(given) = found.function(function) else {
            return Err(refused(format!(
                "the component exports `{name}` without its function `{function}`; expected `{}`",
                text::signature(expected, wanted)
            )));
        };
        compare(name, "exports", function, (expected, wanted), (found, given))?;
    }
    Ok(())
}

fn side<'types>(
    name: &str,
    verb: &str,
    item: Option<&ComponentItem>,
    types: TypesRef<'types>,
) -> Result<Side<'types>> {
    static NAMELESS: LazyLock<HashMap<ComponentDefinedTypeId, String>> = LazyLock::new(HashMap::new);
    let instance = match item.map(|item| item.ty) {
        Some(ComponentEntityType::Instance(id)) => types.get(id),
        _ => None,
    };
    let instance = instance.ok_or_else(|| {
        refused(format!(
            "the component {verb} `{name}` as something else than the interface that it is in the contract"
        ))
    })?;
    Ok(Side { types, names: &NAMELESS, instance })
}

fn compare(
    interface: &str,
    verb: &str,
    function: &str,
    (expected, wanted): (Side, &ComponentFuncType),
    (found, given): (Side, &ComponentFuncType),
) -> Result<()> {
    let types = |function: &ComponentFuncType| -> Vec<ComponentValType> {
        function.params.iter().map(|(_, ty)| *ty).chain(function.result).collect()
    };
    let (left, right) = (types(wanted), types(given));
    let is_same = wanted.async_ == given.async_
        && wanted.params.len() == given.params.len()
        && left.len() == right.len()
        && left.iter().zip(&right).all(|(wanted, given)| is_same((expected, *wanted), (found, *given)));
    if is_same {
        return Ok(());
    }
    let (wanted, given) = text::signatures((expected, wanted), (found, given));
    Err(refused(format!(
        "the component {verb} `{function}` of `{interface}` with another signature: expected `{wanted}`, found `{given}`"
    )))
}

/// Whether two types are structurally the same. Goes no deeper than the first, which is the contract's.
fn is_same((a, expected): (Side, ComponentValType), (b, found): (Side, ComponentValType)) -> bool {
    use ComponentDefinedType as D;
    let same = |x: ComponentValType, y: ComponentValType| is_same((a, x), (b, y));
    let both = |x: Option<ComponentValType>, y: Option<ComponentValType>| match (x, y) {
        (None, None) => true,
        (Some(x), Some(y)) => same(x, y),
        _ => false,
    };
    match (a.shape(expected), b.shape(found)) {
        (Shape::Primitive(x), Shape::Primitive(y)) => x == y,
        (Shape::Defined(x), Shape::Defined(y)) => match (x, y) {
            (D::Record(x), D::Record(y)) => {
                x.fields.len() == y.fields.len()
                    && x.fields.iter().zip(&y.fields).all(|((n, x), (m, y))| n == m && same(*x, *y))
            }
            (D::Variant(x), D::Variant(y)) => {
                x.cases.len() == y.cases.len()
                    && x.cases.iter().zip(&y.cases).all(|((n, x), (m, y))| n == m && both(x.ty, y.ty))
            }
            (D::Tuple(x), D::Tuple(y)) => {
                x.types.len() == y.types.len() && x.types.iter().zip(&y.types).all(|(x, y)| same(*x, *y))
            }
            (D::List { element: x, .. }, D::List { element: y, .. })
            | (D::Option { ty: x, .. }, D::Option { ty: y, .. }) => same(*x, *y),
            (D::Result { ok, err, .. }, D::Result { ok: other_ok, err: other_err, .. }) => {
                both(*ok, *other_ok) && both(*err, *other_err)
            }
            (D::Enum(x), D::Enum(y)) | (D::Flags(x), D::Flags(y)) => x.iter().eq(y.iter()),
            (D::Own(x), D::Own(y)) | (D::Borrow(x), D::Borrow(y)) => {
                a.resource(x.resource()) == b.resource(y.resource())
            }
            _ => false,
        },
        _ => false,
    }
}

enum Shape<'types> {
    Primitive(PrimitiveValType),
    Defined(&'types ComponentDefinedType),
    Unknown,
}

impl<'types> Side<'types> {
    fn shape(self, ty: ComponentValType) -> Shape<'types> {
        match ty {
            ComponentValType::Primitive(primitive) => Shape::Primitive(primitive),
            ComponentValType::Type(id) => match self.types.get(id) {
                Some(ComponentDefinedType::Primitive(primitive)) => Shape::Primitive(*primitive),
                Some(defined) => Shape::Defined(defined),
                // Both come from one validator.
                None => Shape::Unknown,
            },
        }
    }

    fn function(self, name: &str) -> Option<&'types ComponentFuncType> {
        match self.instance.exports.get(name)?.ty {
            ComponentEntityType::Func(id) => self.types.get(id),
            _ => None,
        }
    }

    fn functions(self) -> String {
        let functions =
            self.instance.exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
        functions.map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// The name of a resource of the interface.
    fn resource(self, id: ResourceId) -> Option<&'types str> {
        self.instance.exports.iter().find_map(|(name, item)| match item.ty {
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(there), .. }
                if there.resource() == id =>
            {
                Some(name.as_str())
            }
            _ => None,
        })
    }
}

impl Contract {
    /// The package's binary form holds a component for each world, in which the world's type is.
    fn read(bytes: &[u8]) -> Result<Self> {
        let defect = || Error::internal("contract-defect", "the contract's world `host` cannot be found");
        let types = validate(bytes)?;
        let component = |item: Option<&ComponentItem>| match item.map(|item| item.ty) {
            Some(
                ComponentEntityType::Type { referenced: ComponentAnyTypeId::Component(id), .. }
                | ComponentEntityType::Component(id),
            ) => Ok(id),
            _ => Err(defect()),
        };
        let outer = component(types.as_ref().component_item_for_export("host"))?;
        let world = component(types[outer].exports.values().next())?;
        let mut contract = Self { types, world, names: HashMap::new() };
        contract.names = contract.find_names();
        Ok(contract)
    }

    fn find_names(&self) -> HashMap<ComponentDefinedTypeId, String> {
        let world = self.world();
        let interfaces = world.imports.values().chain(world.exports.values());
        let instances = interfaces.filter_map(|item| match item.ty {
            ComponentEntityType::Instance(id) => Some(&self.types[id]),
            _ => None,
        });
        let named =
            instances.flat_map(|instance| &instance.exports).filter_map(|(name, item)| match item.ty {
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. } => {
                    Some((origin(self.types.as_ref(), id), name.clone()))
                }
                _ => None,
            });
        named.collect()
    }

    fn world(&self) -> &ComponentType {
        &self.types[self.world]
    }

    fn interface(&self, item: Option<&ComponentItem>) -> Option<Side<'_>> {
        match item?.ty {
            ComponentEntityType::Instance(id) => {
                Some(Side { types: self.types.as_ref(), names: &self.names, instance: &self.types[id] })
            }
            _ => None,
        }
    }
}

/// The type that a name was given to first.
fn origin(types: TypesRef, mut id: ComponentDefinedTypeId) -> ComponentDefinedTypeId {
    while let Some(aliased) = types.peel_alias(id) {
        id = aliased;
    }
    id
}

/// The types of a component. The code of its functions is left to the compiler.
fn validate(component: &[u8]) -> Result<Types> {
    // The engine has no garbage collection either; with it, a type could be a list of a million.
    let mut validator = Validator::new_with_features(WasmFeatures::default().difference(WasmFeatures::GC));
    let mut outermost = None;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.and_then(|payload| validator.payload(&payload));
        if let ValidPayload::End(types) = payload.map_err(|error| unsound(&error))? {
            outermost = Some(types);
        }
    }
    outermost.ok_or_else(|| Error::invalid("invalid-plugin", "the component does not end"))
}

fn refused(message: String) -> Error {
    Error::unsupported("plugin-signature", message)
}
