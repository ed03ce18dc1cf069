//! Where the program's own files and the user's data lie.

use std::path::{Path, PathBuf};

use llm_bench_core::{Error, Result};

/// The folder that holds `lib/` and `share/llm-bench/`: the parent of the executable's folder.
///
/// It is `/opt/llm-bench` for `/opt/llm-bench/bin/llm-bench`, so that a distribution can be moved, and `target`
/// for `target/debug/llm-bench`, where the development set-up assembles the same layout.
#[derive(Debug, Clone)]
pub struct Installation {
    root: PathBuf,
}

impl Installation {
    /// # Errors
    /// When the operating system does not tell where the executable lies.
    pub fn locate() -> Result<Self> {
        let executable = std::env::current_exe().and_then(|path| path.canonicalize()).map_err(|error| {
            Error::internal("no-executable-path", format!("cannot tell where this program lies: {error}"))
        })?;
        let root = executable.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned();
        Ok(Self { root })
    }

    /// ONNX Runtime: `$LLM_BENCH_ONNXRUNTIME`, else the library that ships with the program.
    pub fn onnxruntime(&self) -> PathBuf {
        match std::env::var_os("LLM_BENCH_ONNXRUNTIME") {
            Some(path) => PathBuf::from(path),
            None => self.root.join("lib").join(format!("libonnxruntime.{}", std::env::consts::DLL_EXTENSION)),
        }
    }

    pub fn plugins(&self) -> PathBuf {
        self.share("plugins")
    }

    pub fn models(&self) -> PathBuf {
        self.share("models")
    }

    pub fn datasets(&self) -> PathBuf {
        self.share("datasets")
    }

    pub fn presets(&self) -> PathBuf {
        self.share("presets")
    }

    /// What plugins in Rust depend on, with the contract in its folder `wit`.
    pub fn plugin_sdk(&self) -> PathBuf {
        self.share("plugin-sdk")
    }

    /// The project that `llm-bench plugin new` writes for a language.
    pub fn template(&self, language: &str) -> PathBuf {
        self.share("templates").join(language)
    }

    /// The plugin that `llm-bench demo` uploads to show what the sandbox stops.
    pub fn hostile_plugin(&self) -> PathBuf {
        self.share("demo").join("hostile.wasm")
    }

    /// The plugin that `llm-bench demo` uploads to show what a verification finds.
    pub fn cheating_plugin(&self) -> PathBuf {
        self.share("demo").join("cheater.wasm")
    }

    fn share(&self, folder: &str) -> PathBuf {
        self.root.join("share").join("llm-bench").join(folder)
    }
}

/// The user's folder: database, plugins, models and datasets of their own.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// Opens `path`, or `$XDG_DATA_HOME/llm-bench`, or `~/.local/share/llm-bench`; makes what is missing of it,
    /// readable by its owner alone.
    ///
    /// # Errors
    /// `data-folder` names the folder and the reason.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let root = match path {
            Some(path) => path.to_owned(),
            None => default_folder()?,
        };
        for folder in [root.clone(), root.join("models"), root.join("datasets"), root.join("uploads")] {
            create_private(&folder).map_err(|error| {
                Error::unavailable(
                    "data-folder",
                    format!(
                        "cannot use the data folder {}: {error}; choose another with --data-dir",
                        root.display()
                    ),
                )
            })?;
        }
        // Absolute, since paths below it are stored and used by other processes.
        let root = root.canonicalize().map_err(|error| {
            Error::unavailable(
                "data-folder",
                format!("cannot use the data folder {}: {error}", root.display()),
            )
        })?;
        Ok(Self { root })
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    pub fn database(&self) -> PathBuf {
        self.root.join("llm-bench.db")
    }

    pub fn sandbox(&self) -> PathBuf {
        self.root.join("plugins")
    }

    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub fn datasets(&self) -> PathBuf {
        self.root.join("datasets")
    }

    /// Uploads on their way in.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }
}

fn default_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("share")))
        .map(|base| base.join("llm-bench"))
        .ok_or_else(|| {
            Error::invalid(
                "data-folder",
                "neither XDG_DATA_HOME nor HOME is set; choose a folder with --data-dir",
            )
        })
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
