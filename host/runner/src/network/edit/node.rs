//! An operation of a graph.

use std::borrow::Cow;

use super::protobuf::{Field, fields, message, numbers, text, text_field};

/// The domain of ONNX Runtime's own operators.
pub(super) const LIBRARY: &str = "com.microsoft";

/// An operation (`NodeProto`).
#[derive(Clone)]
pub(super) struct Node<'model> {
    pub(super) inputs: Vec<Cow<'model, str>>,
    pub(super) outputs: Vec<Cow<'model, str>>,
    pub(super) operator: &'model str,
    pub(super) domain: &'model str,
    /// The fields that are neither inputs nor outputs.
    others: Vec<Cow<'model, [u8]>>,
}

impl<'model> Node<'model> {
    pub(super) fn read(content: &'model [u8]) -> Option<Self> {
        let mut node =
            Self { inputs: Vec::new(), outputs: Vec::new(), operator: "", domain: "", others: Vec::new() };
        for field in fields(content) {
            let Field { number, whole, content: range, .. } = field?;
            let read = |range: Option<_>| std::str::from_utf8(&content[range?]).ok();
            match number {
                1 => node.inputs.push(read(range)?.into()),
                2 => node.outputs.push(read(range)?.into()),
                _ => {
                    match number {
                        4 => node.operator = read(range)?,
                        7 => node.domain = read(range)?,
                        _ => {}
                    }
                    node.others.push((&content[whole]).into());
                }
            }
        }
        Some(node)
    }

    /// An operation of the standard; attributes as `AttributeProto`.
    pub(super) fn new(
        operator: &'static str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Vec<u8>],
    ) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned().into()).collect();
        let mut others: Vec<Cow<'_, [u8]>> = vec![text(4, operator).into()];
        others.extend(attributes.iter().map(|attribute| message(5, attribute).into()));
        Self { inputs: owned(inputs), outputs: owned(outputs), operator, domain: "", others }
    }

    /// As [`Self::new`], an operation of the library's own.
    pub(super) fn of_library(
        operator: &'static str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Vec<u8>],
    ) -> Self {
        let mut node = Self::new(operator, inputs, outputs, attributes);
        node.domain = LIBRARY;
        node.others.push(text(7, LIBRARY).into());
        node
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.inputs.iter().flat_map(|input| text(1, input)));
        bytes.extend(self.outputs.iter().flat_map(|output| text(2, output)));
        self.others.iter().for_each(|other| bytes.extend_from_slice(other));
        bytes
    }

    /// Whether this is an operation of the standard.
    pub(super) fn is(&self, operator: &str) -> bool {
        matches!(self.domain, "" | "ai.onnx") && self.operator == operator
    }

    /// The inputs of an operation of two.
    pub(super) fn two(&self) -> Option<[&str; 2]> {
        match &self.inputs[..] {
            [one, other] => Some([one, other]),
            _ => None,
        }
    }

    /// The contents of an attribute (`AttributeProto`).
    pub(super) fn attribute(&self, name: &str) -> Option<&[u8]> {
        self.attributes().find(|attribute| text_field(attribute, 1) == Some(name))
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = &[u8]> {
        self.others.iter().filter_map(|other| {
            let Field { number: 5, content: Some(content), .. } = fields(other).next()?? else { return None };
            Some(&other[content])
        })
    }

    /// The whole numbers of an attribute.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let attribute = self.attribute(name)?;
        let mut values = numbers(attribute, 8)?;
        values.extend(numbers(attribute, 3)?);
        Some(values.into_iter().map(u64::cast_signed).collect())
    }

    /// Whether this transposes so.
    pub(super) fn transposes(&self, order: &[i64]) -> bool {
        self.is("Transpose") && self.integers("perm").as_deref() == Some(order)
    }

    pub(super) fn has_subgraph(&self) -> bool {
        self.attributes()
            .any(|attribute| fields(attribute).flatten().any(|field| matches!(field.number, 6 | 11)))
    }
}
