//! ONNX Runtime's shared library. Its makers publish it in a Python wheel, which is a zip archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};

use super::Tools;
use crate::process;

const VERSION: &str = "1.32.0";

/// The library with the notices that must go wherever it goes.
pub(crate) struct OnnxRuntime {
    pub(crate) library: PathBuf,
    pub(crate) notices: [PathBuf; 2],
}

/// The wheel for one platform. The Python version in its name is arbitrary, because no Python code of it is
/// used; it is fixed so that the sum is.
struct Wheel {
    platform: &'static str,
    sha256: &'static str,
    megabytes: u32,
    /// The library's name in the wheel, and the one under which it is installed.
    library: [&'static str; 2],
}

fn wheel_of_this_machine() -> Result<Wheel> {
    const LINUX: [&str; 2] = ["libonnxruntime.so.1.32.0", "libonnxruntime.so"];
    const MACOS: [&str; 2] = ["libonnxruntime.1.32.0.dylib", "libonnxruntime.dylib"];
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Wheel {
            platform: "manylinux_2_28_x86_64",
            sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
            megabytes: 28,
            library: LINUX,
        },
        ("linux", "aarch64") => Wheel {
            platform: "manylinux_2_28_aarch64",
            sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
            megabytes: 23,
            library: LINUX,
        },
        ("macos", "aarch64") => Wheel {
            platform: "macosx_14_0_arm64",
            sha256: "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
            megabytes: 23,
            library: MACOS,
        },
        (system, architecture) => bail!(
            "no ONNX Runtime is pinned for {system} on {architecture}; supported are Linux on x86_64 and \
             aarch64, and macOS on aarch64"
        ),
    })
}

pub(crate) fn provide(tools: &Tools) -> Result<OnnxRuntime> {
    let wheel = wheel_of_this_machine()?;
    let stamp = format!("onnxruntime {VERSION}, wheel sha256 {}\n", wheel.sha256);
    let folder = match tools.installed("onnxruntime", &stamp) {
        Some(folder) => folder,
        None => tools.install("onnxruntime", &stamp, |staging| install(tools, &wheel, staging))?,
    };
    Ok(OnnxRuntime {
        library: folder.join(wheel.library[1]),
        notices: NOTICES.map(|notice| folder.join(notice)),
    })
}

const NOTICES: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

fn install(tools: &Tools, wheel: &Wheel, staging: &Path) -> Result<()> {
    let downloads = tools.folder.join("downloads");
    let archive = downloads.join(format!("onnxruntime-{VERSION}-cp312-cp312-{}.whl", wheel.platform));
    // A wheel that a person put there is used, so that a machine without pip can be served by another.
    if !archive.exists() {
        println!(
            "setup: ONNX Runtime {VERSION} for {}, a download of {} MB",
            wheel.platform, wheel.megabytes
        );
        process::run(&mut pip_download(wheel, &downloads)).map_err(|error| {
            anyhow!(
                "{error:#}. Once that command works, here or on another machine with the same folder, run the \
                 set-up again"
            )
        })?;
    }
    verify(&archive, wheel)?;
    let unpacked = staging.join("unpacked");
    process::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked))?;
    let content = unpacked.join("onnxruntime");
    fs::rename(content.join("capi").join(wheel.library[0]), staging.join(wheel.library[1]))?;
    for notice in NOTICES {
        fs::rename(content.join(notice), staging.join(notice))?;
    }
    super::remove(&unpacked)?;
    fs::remove_file(&archive)?;
    println!("setup: ONNX Runtime {VERSION} is ready");
    Ok(())
}

fn pip_download(wheel: &Wheel, downloads: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"])
        .args(["--python-version=3.12", "--implementation=cp", "--abi=cp312"])
        .arg(format!("--platform={}", wheel.platform))
        .arg("--dest")
        .arg(downloads)
        .arg(format!("onnxruntime=={VERSION}"));
    pip
}

fn verify(archive: &Path, wheel: &Wheel) -> Result<()> {
    let bytes = fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let sum = hex::encode(Sha256::digest(&bytes));
    ensure!(
        sum == wheel.sha256,
        "{} has the SHA-256 {sum}, not the pinned {}: delete it and run the set-up again",
        archive.display(),
        wheel.sha256
    );
    Ok(())
}
