//! The data files that a call may read: the host's own, or its parent's where the host is a child process.

use std::sync::Arc;

use crate::bindings::llm_bench::plugin::types::{Error, ErrorCode};
use crate::convert::lift::shown;
use crate::data_files::OpenFiles;
use crate::process::ParentHost;

/// Chars of a name that a guest is told.
const SHOWN: usize = 100;

/// Gives a guest what it is told, which is the same wherever it runs.
#[derive(Clone)]
pub(crate) enum Files {
    /// The plugin has none, or the call must not depend on any.
    None,
    Here(Arc<OpenFiles>),
    Parent(Arc<ParentHost>),
}

impl Files {
    pub(crate) async fn size(&self, name: &str) -> Result<u64, Error> {
        match self {
            Self::None => Err(absent(name)),
            Self::Here(files) => files.size(name).ok_or_else(|| absent(name)),
            Self::Parent(parent) => parent.file_size(name).await,
        }
    }

    pub(crate) async fn read(&self, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        match self {
            Self::None => Err(absent(name)),
            Self::Here(files) => {
                let bytes = files.read(name, offset, length).ok_or_else(|| absent(name))?;
                bytes.map_err(|error| {
                    tracing::error!(name, %error, "a data file cannot be read");
                    let message = format!("the data file `{name}` cannot be read: {error}");
                    Error { code: ErrorCode::Other, message, detail: None }
                })
            }
            Self::Parent(parent) => parent.read_file(name, offset, length).await,
        }
    }

    /// Bytes that [`Self::read`] gives, where that is known here.
    pub(crate) fn available(&self, name: &str, offset: u64, length: u32) -> u64 {
        match self {
            Self::Here(files) => files.available(name, offset, length),
            Self::None | Self::Parent(_) => 0,
        }
    }
}

fn absent(name: &str) -> Error {
    let message = format!(
        "there is no data file `{}` here: a plugin reads those that its descriptor names, in `solve`, `score` and its \
         aggregator",
        shown(name, SHOWN)
    );
    Error { code: ErrorCode::Denied, message, detail: None }
}
