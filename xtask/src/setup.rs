//! What a build needs and Cargo doesn't fetch, kept in a cache folder that all checkouts share.

pub(crate) mod cargo_deny;
pub(crate) mod componentize;
mod debian;
pub(crate) mod onnxruntime;
pub(crate) mod wasm_target;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use onnxruntime::OnnxRuntime;
use wasm_target::{Provider, WasmToolchain};

use crate::workspace::Workspace;

/// Everything that set-up provides.
pub(crate) struct Ready {
    pub(crate) onnxruntime: OnnxRuntime,
    pub(crate) wasm_toolchain: WasmToolchain,
}

/// Provides what is missing. Says little and takes no time when nothing is.
pub(crate) fn all(provider: Option<Provider>) -> Result<Ready> {
    let tools = Tools::open()?;
    Ok(Ready {
        onnxruntime: onnxruntime::provide(&tools)?,
        wasm_toolchain: wasm_target::provide(&tools, provider)?,
    })
}

/// Provides the WebAssembly target alone, for building plugins without the runtime.
pub(crate) fn wasm_target_only(provider: Option<Provider>) -> Result<WasmToolchain> {
    wasm_target::provide(&Tools::open()?, provider)
}

/// As [`all`], with what only tests need.
pub(crate) fn for_tests(workspace: &Workspace, provider: Option<Provider>) -> Result<Ready> {
    componentize::provide(workspace, &Tools::open()?)?;
    all(provider)
}

/// The cache folder, locked: a second set-up waits until the first is done.
pub(crate) struct Tools {
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl Tools {
    pub(crate) fn open() -> Result<Self> {
        let folder = cache_folder()?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                println!("setup: waiting for another set-up that uses {}", folder.display());
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(Self { folder, _lock: lock })
    }

    /// The folder of an installed tool, if it was installed from what `stamp` describes.
    pub(crate) fn installed(&self, name: &str, stamp: &str) -> Option<PathBuf> {
        let folder = self.folder.join(name);
        let found = fs::read_to_string(folder.join(STAMP)).ok()?;
        (found == stamp).then_some(folder)
    }

    /// Installs a tool: `fill` gets an empty folder, which takes the tool's name once it is complete. So an
    /// interrupted set-up leaves nothing that looks finished.
    pub(crate) fn install(
        &self,
        name: &str,
        stamp: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        let staging = self.folder.join(format!("{name}.partial"));
        remove(&staging)?;
        fs::create_dir_all(&staging)?;
        fill(&staging)?;
        fs::write(staging.join(STAMP), stamp)?;
        remove(&folder)?;
        fs::rename(&staging, &folder)?;
        Ok(folder)
    }
}

/// The file in a tool's folder that says what it was installed from.
const STAMP: &str = "installed-from.txt";

fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if let Some(folder) = variable("LLM_BENCH_TOOLS") {
        folder
    } else if let Some(caches) = variable("XDG_CACHE_HOME") {
        caches.join("llm-bench-build")
    } else if let Some(home) = std::env::home_dir() {
        home.join(".cache/llm-bench-build")
    } else {
        bail!("no cache folder: set LLM_BENCH_TOOLS to one");
    };
    Ok(std::path::absolute(folder)?)
}

pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
