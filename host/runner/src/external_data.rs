//! Finds the files beside an ONNX graph that hold its weights.
//!
//! A graph names them in its tensors (`TensorProto.external_data`, key `location`), so the file's protobuf is walked,
//! without a schema and without reading the weights: onnx.proto, field numbers in [`child`].

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use llm_bench_core::{Error, Result};

/// Subgraphs (`If`, `Loop`) nest; real ones a few levels deep.
const MAX_DEPTH: usize = 64;

/// The longest name of a file that is read.
const MAX_LOCATION_BYTES: u64 = 4096;

/// The `location`s that the graph in `path` names, as they stand there.
///
/// # Errors
/// `model-file-broken` when the file is not a whole ONNX model.
pub(crate) fn locations(path: &Path, name: &str) -> Result<BTreeSet<String>> {
    let broken = |what: &str| Error::invalid("model-file-broken", format!("`{name}` {what}"));
    let file = File::open(path).map_err(|error| broken("cannot be read").because(error))?;
    let length = file.metadata().map_err(|error| broken("cannot be read").because(error))?.len();
    let mut walker = Walker { reader: BufReader::new(file), position: 0, found: BTreeSet::new(), graphs: 0 };
    match walker.message(Message::Model, length, 0) {
        Ok(()) if walker.graphs > 0 => Ok(walker.found),
        Ok(()) => Err(broken("is not an ONNX model: it holds no graph")),
        Err(error) => Err(broken("is broken or cut short: it is not a whole ONNX model").because(error)),
    }
}

/// The message types on the way to a tensor's `external_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    Entry,
}

/// What the field of a message holds, where that leads to a tensor.
fn child(message: Message, field: u64) -> Option<Message> {
    use Message::{Attribute, Entry, Function, Graph, Model, Node, SparseTensor, Tensor};
    Some(match (message, field) {
        (Model, 7) | (Attribute, 6 | 11) => Graph,
        (Model, 25) => Function,
        (Graph, 1) | (Function, 7) => Node,
        (Node, 5) => Attribute,
        (Graph, 15) | (Attribute, 22 | 23) => SparseTensor,
        (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Tensor,
        (Tensor, 13) => Entry,
        _ => return None,
    })
}

struct Walker {
    reader: BufReader<File>,
    position: u64,
    found: BTreeSet<String>,
    graphs: usize,
}

impl Walker {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> std::io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(malformed("messages nest too deeply"));
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.position < end {
            let tag = self.varint()?;
            match tag & 7 {
                0 => {
                    self.varint()?;
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint()?;
                    let inner_end = self.position.checked_add(length).filter(|&inner_end| inner_end <= end);
                    let inner_end = inner_end.ok_or_else(|| malformed("a field reaches past its message"))?;
                    let field = tag >> 3;
                    if let Some(child) = child(message, field) {
                        self.graphs += usize::from(message == Message::Model && child == Message::Graph);
                        self.message(child, inner_end, depth + 1)?;
                    } else if message == Message::Entry && field <= 2 && length <= MAX_LOCATION_BYTES {
                        *(if field == 1 { &mut key } else { &mut value }) = self.text(length)?;
                    } else {
                        self.skip(length, end)?;
                    }
                }
                _ => return Err(malformed("an unknown wire type")),
            }
        }
        if self.position != end {
            return Err(malformed("a field reaches past its message"));
        }
        if key == "location" {
            self.found.insert(value);
        }
        Ok(())
    }

    fn varint(&mut self) -> std::io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("a number of more than ten bytes"))
    }

    fn text(&mut self, length: u64) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes)?;
        self.position += length;
        String::from_utf8(bytes).map_err(|_| malformed("a name that is not UTF-8"))
    }

    fn skip(&mut self, length: u64, end: u64) -> std::io::Result<()> {
        let target = self.position.checked_add(length).filter(|&target| target <= end);
        let target = target.ok_or_else(|| malformed("a field reaches past its message"))?;
        self.reader.seek_relative(i64::try_from(length).map_err(|_| malformed("a field is too long"))?)?;
        self.position = target;
        Ok(())
    }
}

fn malformed(what: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::locations;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    fn model(location: &str) -> Vec<u8> {
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let tensor = [vec![0x10, 1], field(8, b"weight"), field(13, &entry)].concat();
        [vec![0x08, 10], field(7, &field(5, &tensor))].concat()
    }

    fn found(bytes: &[u8]) -> llm_bench_core::Result<Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        locations(file.path(), "model.onnx").map(|found| found.into_iter().collect())
    }

    #[test]
    fn the_file_that_a_tensor_names_is_found() {
        assert_eq!(found(&model("model.onnx_data")).unwrap(), ["model.onnx_data"]);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_by_name() {
        let whole = model("weights");
        for length in 0..whole.len() {
            let error = found(&whole[..length]).unwrap_err();
            assert_eq!(error.code, "model-file-broken", "{length}");
            assert!(error.message.contains("`model.onnx`"));
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert_eq!(
            found(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err().code,
            "model-file-broken"
        );
    }
}
