//! Rust 1.85 with its WebAssembly standard library from Debian 13's packages, for machines that reach
//! package mirrors and nothing else.
//!
//! Nothing is installed: a private apt configuration downloads and verifies the packages, and they are
//! unpacked to the cache together with the C library they were built for, so any older Debian will do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Tools, wasm_target};
use crate::process;

const SUITE: &str = "trixie";

/// The compiler, the standard libraries, and all that the compiler loads.
const PACKAGES: &[&str] = &[
    "rustc",
    "libstd-rust-1.85",
    "libstd-rust-dev",
    "libstd-rust-dev-wasm32",
    "wasi-libc",
    "libllvm19",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "zlib1g",
    "libzstd1",
    "libxml2",
    "liblzma5",
    "libedit2",
    "libtinfo6",
    "libbsd0",
    "libmd0",
    "libffi8",
    "libicu76",
];

const TOOL: &str = "rust-debian";

/// Package versions are not part of it: they change with each point release, and the suite keeps Rust 1.85.
const STAMP: &str = "rustc 1.85 with wasm32-wasip2, from Debian 13 (trixie), layout 1\n";

pub(super) fn is_installed(tools: &Tools) -> bool {
    tools.installed(TOOL, STAMP).is_some()
}

/// The compiler's path: a script, to be used as `RUSTC`.
pub(super) fn provide(tools: &Tools) -> Result<PathBuf> {
    let folder = match tools.installed(TOOL, STAMP) {
        Some(folder) => folder,
        None => {
            tools.install(TOOL, STAMP, install).context("Debian's packages provide no WebAssembly target")?
        }
    };
    Ok(folder.join("rustc"))
}

fn install(staging: &Path) -> Result<()> {
    let machine = Machine::of_this_build()?;
    let apt = Apt::configure(staging, &machine)?;
    apt.run(&["update"], staging)?;
    let mut download = vec!["download"];
    download.extend(PACKAGES);
    println!("setup: Rust 1.85 from Debian's packages, a download of {} MB", apt.megabytes(&download)?);
    apt.run(&download, &apt.archives)?;

    println!("setup: unpacking");
    let root = staging.join("root");
    for archive in fs::read_dir(&apt.archives)? {
        let archive = archive?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&root))?;
        }
    }
    super::remove(&apt.folder)?;
    // Two thirds of the libraries are for targets that no plugin uses.
    for target in ["wasm32-unknown-unknown", "wasm32-wasip1"] {
        super::remove(&root.join("usr/lib/rustlib").join(target))?;
    }
    write_compiler_script(staging, &machine)?;
    let version = process::output(Command::new(staging.join("rustc")).arg("--version"))?;
    let libraries = root.join("usr/lib/rustlib").join(wasm_target::TARGET).join("lib");
    ensure!(wasm_target::has_standard_library(&libraries), "the packages hold no standard library");
    println!("setup: {} for plugins is ready", version.trim());
    Ok(())
}

/// The compiler runs on the C library it was unpacked with, which the machine's own loader would not find.
fn write_compiler_script(staging: &Path, machine: &Machine) -> Result<()> {
    let script = format!(
        "#!/bin/sh\n\
         root=${{0%/*}}/root\n\
         libraries=$root/usr/lib/{}\n\
         exec \"$libraries/{}\" --library-path \"$libraries\" --argv0 rustc \"$root/usr/bin/rustc\" \
         --sysroot \"$root/usr\" \"$@\"\n",
        machine.libraries, machine.loader
    );
    let path = staging.join("rustc");
    fs::write(&path, script)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Debian's names for this machine's architecture.
struct Machine {
    architecture: &'static str,
    libraries: &'static str,
    loader: &'static str,
}

impl Machine {
    fn of_this_build() -> Result<Self> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Ok(Self {
                architecture: "amd64",
                libraries: "x86_64-linux-gnu",
                loader: "ld-linux-x86-64.so.2",
            }),
            ("linux", "aarch64") => Ok(Self {
                architecture: "arm64",
                libraries: "aarch64-linux-gnu",
                loader: "ld-linux-aarch64.so.1",
            }),
            (system, architecture) => bail!("Debian's packages don't run on {system} on {architecture}"),
        }
    }
}

/// An apt of our own: it shares the machine's proxies and mirror, and nothing else.
struct Apt {
    folder: PathBuf,
    configuration: PathBuf,
    archives: PathBuf,
}

impl Apt {
    fn configure(staging: &Path, machine: &Machine) -> Result<Self> {
        let folder = staging.join("apt");
        let archives = folder.join("archives");
        for part in ["archives", "cache/archives/partial", "lists/partial", "sources"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("status"), "")?;
        fs::write(
            folder.join("sources/debian.sources"),
            format!(
                "Types: deb\nURIs: {}\nSuites: {SUITE}\nComponents: main\nArchitectures: {}\n\
                 Targets: Packages\nSigned-By: {}\n",
                mirror()?,
                machine.architecture,
                keyring()?.display()
            ),
        )?;
        let configuration = folder.join("apt.conf");
        let own = folder.display();
        fs::write(
            &configuration,
            format!(
                "Dir::State::lists \"{own}/lists\";\n\
                 Dir::State::status \"{own}/status\";\n\
                 Dir::Cache \"{own}/cache\";\n\
                 Dir::Etc::sourcelist \"/dev/null\";\n\
                 Dir::Etc::sourceparts \"{own}/sources\";\n\
                 Dir::Etc::preferences \"/dev/null\";\n\
                 Dir::Etc::preferencesparts \"/dev/null\";\n\
                 APT::Architecture \"{}\";\n\
                 APT::Sandbox::User \"root\";\n\
                 APT::Update::Error-Mode \"any\";\n\
                 #clear APT::Update::Pre-Invoke;\n\
                 #clear APT::Update::Post-Invoke;\n\
                 #clear APT::Update::Post-Invoke-Success;\n\
                 Acquire::AllowInsecureRepositories \"false\";\n\
                 Acquire::AllowDowngradeToInsecureRepositories \"false\";\n\
                 Acquire::AllowWeakRepositories \"false\";\n\
                 APT::Get::AllowUnauthenticated \"false\";\n",
                machine.architecture
            ),
        )?;
        Ok(Self { folder, configuration, archives })
    }

    fn run(&self, arguments: &[&str], folder: &Path) -> Result<()> {
        process::run(self.command(arguments).current_dir(folder))
    }

    /// The size of what a command would download.
    fn megabytes(&self, download: &[&str]) -> Result<u64> {
        let list =
            process::output(self.command(&["--print-uris"]).args(download).current_dir(&self.archives))?;
        // A line is: 'URI' file size hash.
        let sizes = list.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok());
        Ok(sizes.sum::<u64>() / 1_000_000)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").arg("--config-file").arg(&self.configuration).args(arguments);
        command
    }
}

/// The mirror that the machine's own apt uses for Debian.
fn mirror() -> Result<String> {
    let targets = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))
    .context("this needs a machine with apt")?;
    let mirror = targets.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    mirror.map(str::to_owned).context("this machine's apt knows no Debian mirror")
}

/// Debian's keys, as the machine's own installation holds them.
fn keyring() -> Result<PathBuf> {
    ["gpg", "pgp"]
        .into_iter()
        .map(|kind| Path::new("/usr/share/keyrings/debian-archive-keyring").with_extension(kind))
        .find(|path| path.exists())
        .context("this machine lacks Debian's keys: install the package debian-archive-keyring")
}
