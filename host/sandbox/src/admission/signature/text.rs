//! Signatures in the syntax of WIT. What is the same on both sides bears the contract's name; what differs is spelt out.

use wasmparser::component_types::{ComponentDefinedType, ComponentFuncType, ComponentValType};

use super::{Shape, Side, is_same, origin};
use crate::convert::lift::shown;

/// Longest signature that is written; a stranger's type may unfold to megabytes.
const CHARS: usize = 600;
const NAME_CHARS: usize = 60;

/// The contract's own.
pub(super) fn signature(side: Side, function: &ComponentFuncType) -> String {
    let mut text = Text::default();
    text.function(function, |text, index| text.value(side, type_at(function, index)));
    text.end()
}

/// What is expected and what was found.
pub(super) fn signatures(
    (expected, wanted): (Side, &ComponentFuncType),
    (found, given): (Side, &ComponentFuncType),
) -> (String, String) {
    // Where there are more parameters or fewer, who knows which is meant by which.
    let are_alike = wanted.params.len() == given.params.len();
    let pair = |index| match (type_at(wanted, index), type_at(given, index)) {
        (Some(wanted), Some(given)) if are_alike => Pair::of((expected, wanted), (found, given)),
        (wanted, given) => Pair { expected: named(expected, wanted), found: Text::whole(found, given) },
    };
    let write = |function: &ComponentFuncType, side: fn(Pair) -> String| {
        let mut text = Text::default();
        text.function(function, |text, index| text.push(&side(pair(index))));
        text.end()
    };
    (write(wanted, |pair| pair.expected), write(given, |pair| pair.found))
}

/// A parameter, or the result, which has no index.
fn type_at(function: &ComponentFuncType, index: Option<usize>) -> Option<ComponentValType> {
    match index {
        Some(index) => function.params.get(index).map(|(_, ty)| *ty),
        None => function.result,
    }
}

fn named(side: Side, ty: Option<ComponentValType>) -> String {
    let mut text = Text::default();
    text.value(side, ty);
    text.end()
}

/// Two types that stand in the same place.
struct Pair {
    expected: String,
    found: String,
}

impl Pair {
    fn of(a: (Side, ComponentValType), b: (Side, ComponentValType)) -> Self {
        let ((expected, wanted), (found, given)) = (a, b);
        if is_same(a, b) {
            let text = named(expected, Some(wanted));
            return Self { expected: text.clone(), found: text };
        }
        let parts = match (expected.shape(wanted), found.shape(given)) {
            (Shape::Defined(x), Shape::Defined(y)) => Self::of_parts((expected, x), (found, y)),
            _ => None,
        };
        parts.unwrap_or_else(|| Self {
            expected: Text::whole(expected, Some(wanted)),
            found: Text::whole(found, Some(given)),
        })
    }

    /// Two types of one kind, of whose parts some are the same.
    fn of_parts(
        (expected, wanted): (Side, &ComponentDefinedType),
        (found, given): (Side, &ComponentDefinedType),
    ) -> Option<Self> {
        use ComponentDefinedType as D;
        let inner = |x, y| Self::of((expected, x), (found, y));
        let both = |x: Option<ComponentValType>, y: Option<ComponentValType>| match (x, y) {
            (Some(x), Some(y)) => inner(x, y),
            (x, y) => Self { expected: Text::whole(expected, x), found: Text::whole(found, y) },
        };
        match (wanted, given) {
            (D::List { element: x, .. }, D::List { element: y, .. }) => Some(inner(*x, *y).within("list")),
            (D::Option { ty: x, .. }, D::Option { ty: y, .. }) => Some(inner(*x, *y).within("option")),
            (D::Result { ok, err, .. }, D::Result { ok: other_ok, err: other_err, .. }) => {
                let (ok, err) = (both(*ok, *other_ok), both(*err, *other_err));
                let join = |ok: &str, err: &str| format!("{ok}, {err}");
                let joined =
                    Self { expected: join(&ok.expected, &err.expected), found: join(&ok.found, &err.found) };
                Some(joined.within("result"))
            }
            (D::Record(x), D::Record(y)) if x.fields.keys().eq(y.fields.keys()) => {
                let (mut left, mut right) = (vec![], vec![]);
                for ((name, x), y) in x.fields.iter().zip(y.fields.values()) {
                    if !is_same((expected, *x), (found, *y)) {
                        let pair = inner(*x, *y);
                        left.push(format!("{name}: {}", pair.expected));
                        right.push(format!("{name}: {}", pair.found));
                    }
                }
                let dots = if left.len() < x.fields.len() { ", .." } else { "" };
                let record = |fields: &[String]| format!("record {{ {}{dots} }}", fields.join(", "));
                Some(Self { expected: record(&left), found: record(&right) })
            }
            _ => None,
        }
    }

    fn within(self, name: &str) -> Self {
        Self { expected: format!("{name}<{}>", self.expected), found: format!("{name}<{}>", self.found) }
    }
}

/// Text that ends at its bound.
#[derive(Default)]
struct Text {
    text: String,
}

impl Text {
    /// A type in its parts, whatever its name.
    fn whole(side: Side, ty: Option<ComponentValType>) -> String {
        let mut text = Self::default();
        match ty {
            Some(ty) => text.parts(side, ty),
            None => text.push("_"),
        }
        text.end()
    }

    fn is_full(&self) -> bool {
        self.text.len() > 4 * CHARS
    }

    fn push(&mut self, text: &str) {
        if !self.is_full() {
            self.text.push_str(text);
        }
    }

    fn end(self) -> String {
        shown(&self.text, CHARS)
    }

    fn function(&mut self, function: &ComponentFuncType, mut write: impl FnMut(&mut Self, Option<usize>)) {
        self.push(if function.async_ { "async func(" } else { "func(" });
        for (index, (name, _)) in function.params.iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.push(if index == 0 { "" } else { ", " });
            self.push(&shown(name.as_str(), NAME_CHARS));
            self.push(": ");
            write(self, Some(index));
        }
        self.push(")");
        if function.result.is_some() {
            self.push(" -> ");
            write(self, None);
        }
    }

    /// A type by its name, where the contract has one for it.
    fn value(&mut self, side: Side, ty: Option<ComponentValType>) {
        let Some(ty) = ty else { return self.push("_") };
        match ty {
            ComponentValType::Type(id) => match side.names.get(&origin(side.types, id)) {
                Some(name) => self.push(name),
                None => self.parts(side, ty),
            },
            ComponentValType::Primitive(_) => self.parts(side, ty),
        }
    }

    fn parts(&mut self, side: Side, ty: ComponentValType) {
        use ComponentDefinedType as D;
        if self.is_full() {
            return;
        }
        let defined = match side.shape(ty) {
            Shape::Primitive(primitive) => return self.push(&primitive.to_string()),
            Shape::Unknown => return self.push("?"),
            Shape::Defined(defined) => defined,
        };
        let resource = |id| side.resource(id).unwrap_or("resource");
        let name = |name: &wasmparser::names::KebabString| (shown(name, NAME_CHARS), None);
        match defined {
            D::Primitive(primitive) => self.push(&primitive.to_string()),
            D::Record(record) => {
                let fields = record
                    .fields
                    .iter()
                    .map(|(name, ty)| (format!("{}: ", shown(name, NAME_CHARS)), Some(*ty)));
                self.list(side, "record { ", fields, " }");
            }
            D::Variant(variant) => {
                self.push("variant { ");
                for (index, (name, case)) in variant.cases.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    self.push(if index == 0 { "" } else { ", " });
                    self.push(&shown(name, NAME_CHARS));
                    if case.ty.is_some() {
                        self.list(side, "(", [(String::new(), case.ty)], ")");
                    }
                }
                self.push(" }");
            }
            D::Flags(flags) => self.list(side, "flags { ", flags.iter().map(name), " }"),
            D::Enum(cases) => self.list(side, "enum { ", cases.iter().map(name), " }"),
            D::Tuple(tuple) => self.angled(side, "tuple<", tuple.types.iter().map(|ty| Some(*ty))),
            D::List { element, .. } => self.angled(side, "list<", [Some(*element)]),
            D::FixedLengthList { element, length, .. } => {
                self.push("list<");
                self.value(side, Some(*element));
                self.push(&format!(", {length}>"));
            }
            D::Map { key, value, .. } => self.angled(side, "map<", [Some(*key), Some(*value)]),
            D::Option { ty, .. } => self.angled(side, "option<", [Some(*ty)]),
            D::Result { ok: None, err: None, .. } => self.push("result"),
            D::Result { ok, err: None, .. } => self.angled(side, "result<", [*ok]),
            D::Result { ok, err, .. } => self.angled(side, "result<", [*ok, *err]),
            D::Own(id) => self.push(resource(id.resource())),
            D::Borrow(id) => self.push(&format!("borrow<{}>", resource(id.resource()))),
            D::Future { ty, .. } => self.angled(side, "future<", [*ty]),
            D::Stream { ty, .. } => self.angled(side, "stream<", [*ty]),
        }
    }

    fn angled(&mut self, side: Side, begin: &str, types: impl IntoIterator<Item = Option<ComponentValType>>) {
        // `_` stands for no type.
        let parts = types.into_iter().map(|ty| (if ty.is_none() { "_" } else { "" }.to_owned(), ty));
        self.list(side, begin, parts, ">");
    }

    /// Parts that begin with a text and end with a type.
    fn list(
        &mut self,
        side: Side,
        begin: &str,
        parts: impl IntoIterator<Item = (String, Option<ComponentValType>)>,
        end: &str,
    ) {
        self.push(begin);
        for (index, (text, ty)) in parts.into_iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.push(if index == 0 { "" } else { ", " });
            self.push(&text);
            if ty.is_some() {
                self.value(side, ty);
            }
        }
        self.push(end);
    }
}
