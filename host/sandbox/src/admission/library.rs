//! The folder of admitted components and their compiled code.
//!
//! ```text
//! components/<sha256>.wasm                                      what was admitted
//! compiled/<sha256>-<wasmtime's settings and version>.cwasm     what is executed
//! compiled/<sha256>-<…>.cwasm.sha256                            its seal: SHA-256, and how long compiling took
//! ```
//! A component outlives its compiled code: after an upgrade it is compiled anew. Files appear by renaming and are
//! never changed in place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use llm_bench_core::digest::is_digest;
use llm_bench_core::{Error, Result};
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::Mutex;

use super::{Candidate, Compiled, CompilerCommand, blocking, digest, hash, private_folder, unusable};
use crate::engine;

/// Compiled code that is there and whole.
pub(crate) struct ReadyCode {
    pub(crate) code: PathBuf,
    /// How long it took to compile, in milliseconds; none for code that an older host compiled.
    pub(crate) compile_ms: Option<u64>,
}

/// The folder, and how it is filled.
pub(crate) struct Library {
    components: PathBuf,
    compiled: PathBuf,
    /// What else than the component decides the compiled code.
    compatibility: String,
    compiler: CompilerCommand,
    /// One compiler at a time: each may use gigabytes.
    compiling: Mutex<()>,
}

impl Library {
    /// Opens the folder, making it where it is missing, and closes it to other users.
    ///
    /// # Errors
    /// `plugin-folder` when it cannot be made.
    pub(crate) fn open(folder: &Path, compiler: CompilerCommand) -> Result<Self> {
        let library = Self {
            components: folder.join("components"),
            compiled: folder.join("compiled"),
            compatibility: engine::compatibility()?,
            compiler,
            compiling: Mutex::new(()),
        };
        for private in [folder, &library.components, &library.compiled] {
            private_folder(private)?;
        }
        Ok(library)
    }

    /// The compiled code of a candidate, compiled now unless it is there.
    pub(crate) async fn compile(&self, candidate: &Candidate) -> Result<ReadyCode> {
        self.compile_bytes(&candidate.digest, &candidate.bytes).await
    }

    /// Keeps an admitted component.
    pub(crate) async fn keep(&self, digest: &str, bytes: Vec<u8>) -> Result<()> {
        let (folder, component) = (self.components.clone(), self.component(digest));
        blocking(move || {
            if component.exists() {
                return Ok(());
            }
            write(&folder, &component, &bytes).map_err(|error| unusable(&component, error))
        })
        .await
    }

    /// The bytes of an admitted component.
    ///
    /// # Errors
    /// `plugin-not-found` when no component of that digest was admitted.
    pub(crate) async fn read(&self, digest: &str) -> Result<Vec<u8>> {
        let component = self.admitted(digest)?;
        let bytes =
            blocking(move || fs::read(&component).map_err(|error| unusable(&component, error))).await?;
        if self::digest(&bytes) == digest {
            return Ok(bytes);
        }
        Err(Error::internal("plugin-file", format!("the stored component `{digest}` is damaged")))
    }

    /// Removes a component and its compiled code of this and other versions of the host.
    pub(crate) async fn forget(&self, digest: &str) -> Result<()> {
        let Ok(component) = self.admitted(digest) else { return Ok(()) };
        let (compiled, prefix) = (self.compiled.clone(), format!("{digest}-"));
        // No compilation of it is under way meanwhile.
        let _alone = self.compiling.lock().await;
        blocking(move || {
            // The component first: without it, code that is left is not found any more.
            remove(&component)?;
            for entry in fs::read_dir(&compiled).map_err(|error| unusable(&compiled, error))? {
                let entry = entry.map_err(|error| unusable(&compiled, error))?;
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    remove(&entry.path())?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Forgets the compiled code of a component that was refused after all.
    pub(crate) async fn discard(&self, digest: &str) {
        let (component, compiled) = (self.component(digest), self.compiled(digest));
        let removed = blocking(move || {
            if !component.exists() {
                compiled.remove();
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!("{error:?}");
        }
    }

    /// The compiled code of an admitted component; compiled anew where this version of the host has none.
    ///
    /// # Errors
    /// `plugin-not-found` when no component of that digest was admitted.
    pub(crate) async fn find(&self, digest: &str) -> Result<PathBuf> {
        self.admitted(digest)?;
        if let Some(ready) = self.ready(digest).await? {
            return Ok(ready.code);
        }
        let bytes = self.read(digest).await?;
        Ok(self.compile_bytes(digest, &bytes).await?.code)
    }

    /// Where the component of a digest lies.
    pub(crate) fn admitted(&self, digest: &str) -> Result<PathBuf> {
        // A digest that is none must not name a file elsewhere.
        let component = is_digest(digest).then(|| self.component(digest));
        let component = component.filter(|component| component.exists());
        component.ok_or_else(|| {
            Error::not_found("plugin-not-found", format!("no component `{digest}` was admitted"))
        })
    }

    async fn compile_bytes(&self, digest: &str, bytes: &[u8]) -> Result<ReadyCode> {
        if let Some(ready) = self.ready(digest).await? {
            return Ok(ready);
        }
        let _alone = self.compiling.lock().await;
        if let Some(ready) = self.ready(digest).await? {
            return Ok(ready);
        }
        let unusable = |error| super::unusable(&self.compiled, error);
        let bench = TempDir::new_in(&self.compiled).map_err(unusable)?;
        let (input, output) = (bench.path().join("component.wasm"), bench.path().join("code.cwasm"));
        tokio::fs::write(&input, bytes).await.map_err(unusable)?;
        let started = Instant::now();
        self.compiler.compile(&input, &output).await?;
        let compile_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let compiled = self.compiled(digest);
        blocking(move || {
            compiled.install(&output, compile_ms).map_err(|error| super::unusable(&output, error))?;
            drop(bench);
            Ok(ReadyCode { code: compiled.code, compile_ms: Some(compile_ms) })
        })
        .await
    }

    /// The compiled code, if it is there and is what the child wrote.
    async fn ready(&self, digest: &str) -> Result<Option<ReadyCode>> {
        let compiled = self.compiled(digest);
        blocking(move || {
            if !compiled.code.exists() {
                return Ok(None);
            }
            if let Some(ready) = compiled.sealed() {
                return Ok(Some(ready));
            }
            tracing::warn!("compiled code {} is damaged; compiling it again", compiled.code.display());
            compiled.remove();
            Ok(None)
        })
        .await
    }

    fn component(&self, digest: &str) -> PathBuf {
        self.components.join(format!("{digest}.wasm"))
    }

    fn compiled(&self, digest: &str) -> Compiled {
        let name = format!("{digest}-{}.cwasm", self.compatibility);
        Compiled { seal: self.compiled.join(format!("{name}.sha256")), code: self.compiled.join(name) }
    }
}

impl Compiled {
    /// Moves fresh code to its place; the seal is there first.
    fn install(&self, fresh: &Path, compile_ms: u64) -> io::Result<()> {
        let folder = self.code.parent().unwrap_or(Path::new("."));
        let seal = format!("{} {compile_ms}", hash_file(fresh)?);
        write(folder, &self.seal, seal.as_bytes())?;
        fs::rename(fresh, &self.code)
    }

    /// The code, if it is what the child wrote.
    fn sealed(&self) -> Option<ReadyCode> {
        let seal = fs::read_to_string(&self.seal).ok()?;
        let (hash, compile_ms) = seal.split_once(' ').unwrap_or((&seal, ""));
        let is_whole = hash_file(&self.code).is_ok_and(|found| found == hash);
        is_whole.then(|| ReadyCode { code: self.code.clone(), compile_ms: compile_ms.parse().ok() })
    }

    fn remove(&self) {
        for file in [&self.code, &self.seal] {
            if let Err(error) = remove(file) {
                tracing::warn!("{error:?}");
            }
        }
    }
}

/// One that is not there is removed.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::unavailable("plugin-folder", format!("cannot remove {}: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

fn hash_file(path: &Path) -> io::Result<String> {
    hash(File::open(path)?)
}

/// Writes a file that other users cannot read and that appears complete or not at all.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
