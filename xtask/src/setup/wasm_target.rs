//! A Rust compiler with the `wasm32-wasip2` standard library, for building plugins.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;

use super::{Tools, debian};
use crate::process;

pub(crate) const TARGET: &str = "wasm32-wasip2";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// The toolchain that builds the server, with the target added by rustup.
    Rustup,
    /// Rust 1.85 from Debian's packages, unpacked to the cache.
    Debian,
}

/// What compiles plugins.
pub(crate) enum WasmToolchain {
    /// The toolchain that builds the server.
    Active,
    /// Debian's compiler, called by the active toolchain's Cargo and linked by its linker.
    Debian { rustc: PathBuf, linkers: PathBuf },
}

impl WasmToolchain {
    /// A Cargo command that compiles with this toolchain.
    ///
    /// The flags and wrappers that are meant for the server's own build don't apply: `-C target-cpu=native`
    /// means nothing here, and the same plugin should come out whoever builds it.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        for variable in
            ["RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"]
        {
            cargo.env_remove(variable);
        }
        if let Self::Debian { rustc, linkers } = self {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(linkers.join("gcc-ld")).chain(std::env::split_paths(&path));
            cargo
                .env("RUSTC", rustc)
                .env("CARGO_TARGET_WASM32_WASIP2_LINKER", linkers.join(LINKER))
                .env_remove("RUSTC_WRAPPER");
            if let Ok(path) = std::env::join_paths(folders) {
                // The linker looks for `wasm-ld` on the path.
                cargo.env("PATH", path);
            }
        }
        cargo
    }
}

impl fmt::Display for WasmToolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => formatter.write_str("the toolchain in use"),
            Self::Debian { rustc, .. } => write!(formatter, "{}", rustc.display()),
        }
    }
}

pub(crate) fn provide(tools: &Tools, provider: Option<Provider>) -> Result<WasmToolchain> {
    match provider {
        Some(Provider::Rustup) => rustup(),
        Some(Provider::Debian) => from_debian(tools),
        None if active_toolchain_has_target()? => Ok(WasmToolchain::Active),
        // Where rustup failed once, it isn't asked at every build.
        None if debian::is_installed(tools) => from_debian(tools),
        None => rustup().or_else(|rustup| {
            println!("setup: {rustup:#}; Debian's packages are the other way");
            from_debian(tools).map_err(|debian| {
                anyhow!(
                    "plugins can't be compiled: {debian:#}. Where rustup reaches its server, this is all \
                     that is needed:\n    rustup target add {TARGET}"
                )
            })
        }),
    }
}

fn rustup() -> Result<WasmToolchain> {
    if !active_toolchain_has_target()? {
        println!("setup: the {TARGET} standard library, a download of about 25 MB");
        process::run(Command::new("rustup").args(["target", "add", TARGET]))
            .context("rustup provides no WebAssembly target")?;
        if !active_toolchain_has_target()? {
            bail!("rustup added {TARGET} to a toolchain other than the one in use");
        }
    }
    Ok(WasmToolchain::Active)
}

fn from_debian(tools: &Tools) -> Result<WasmToolchain> {
    let linkers = sysroot()?.join("lib/rustlib").join(host()?).join("bin");
    if !linkers.join(LINKER).exists() || !linkers.join("gcc-ld/wasm-ld").exists() {
        bail!("the toolchain in use has no {LINKER}, which those that rustup installs have");
    }
    Ok(WasmToolchain::Debian { rustc: debian::provide(tools)?, linkers })
}

/// The linker of the target, which is part of the Rust toolchain: it runs `wasm-ld` and makes a component of
/// what that gives. Debian's packages lack it.
const LINKER: &str = "wasm-component-ld";

fn active_toolchain_has_target() -> Result<bool> {
    let libraries =
        process::output(rustc().args(["--print=target-libdir", "--target", TARGET]))?.trim().to_owned();
    Ok(has_standard_library(Path::new(&libraries)))
}

/// Whether a folder of target libraries is filled: the compiler names it whether or not it is.
pub(super) fn has_standard_library(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn sysroot() -> Result<PathBuf> {
    Ok(process::output(rustc().arg("--print=sysroot"))?.trim().into())
}

fn host() -> Result<String> {
    let version = process::output(rustc().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

fn rustc() -> Command {
    Command::new("rustc")
}
