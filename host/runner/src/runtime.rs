//! The native library: ONNX Runtime, loaded from a path once per process.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use llm_bench_core::{Error, Result};
use ort::environment::Environment;
use ort::logging::LogLevel;

/// ONNX Runtime allows one environment in a process, and ort gives none after the first is dropped: it stays here.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

const WAY_OUT: &str = "run `cargo xtask setup`, or name the library in LLM_BENCH_ONNXRUNTIME";

/// Loads the library, or gives the one that this process has loaded already.
///
/// # Errors
/// `onnxruntime-missing` when there is no such file, `onnxruntime-incompatible` when it is not ONNX Runtime or too
/// old, both `unavailable`.
pub(crate) fn load(library: &Path) -> Result<Environment> {
    if !library.is_file() {
        return Err(Error::unavailable(
            "onnxruntime-missing",
            format!("the ONNX Runtime library `{}` does not exist: {WAY_OUT}", library.display()),
        ));
    }
    let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = loaded.as_ref() {
        return Ok(environment.clone());
    }
    let incompatible = |reason: String| {
        Error::unavailable(
            "onnxruntime-incompatible",
            format!(
                "`{}` is not an ONNX Runtime library that can be used ({reason}): {WAY_OUT}",
                library.display()
            ),
        )
    };
    // ort takes a relative path as relative to the executable.
    let absolute = std::path::absolute(library).map_err(|error| incompatible(error.to_string()))?;
    let environment = ort::init_from(&absolute)
        .map_err(|error| incompatible(reason(&error)))?
        .with_name("llm-bench")
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| incompatible(error.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    Ok(loaded.insert(environment).clone())
}

fn reason(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("version {version_str} is too old, 1.{} or newer is needed", ort::MINOR_VERSION)
        }
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::MissingApi { .. } => "it has no `OrtGetApiBase`".to_owned(),
        ort::LoadDynamicError::InvalidVersionString => "its version cannot be read".to_owned(),
    }
}

/// The library's own warnings are about graphs, not about what a user did: they are for the log of a developer.
fn log(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    let message = message.trim_end();
    match level {
        LogLevel::Fatal | LogLevel::Error => tracing::warn!(category, location, "ONNX Runtime: {message}"),
        _ => tracing::debug!(category, location, "ONNX Runtime: {message}"),
    }
}

/// What the tests of modules run on.
#[cfg(test)]
pub(crate) mod testing {
    use std::path::{Path, PathBuf};

    /// The library that the build was given.
    pub(crate) fn library() -> PathBuf {
        let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        let build = std::env::current_exe().unwrap();
        let library =
            build.ancestors().map(|folder| folder.join("lib").join(&name)).find(|file| file.is_file());
        library.expect("run `cargo xtask layout` first")
    }

    /// The folder of a model made for tests.
    pub(crate) fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }
}
