//! The Python that runs the peers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::machine;
use crate::process;

/// The version of lm-eval that defines the scores.
const LM_EVAL: &str = "0.4.13";

/// Packages without which no work can be done, by the name of their distribution; with [`MAKERS`].
const NEEDED: [&str; 4] = ["accelerate", "datasets", "lm_eval", "onnxruntime"];

/// Packages that make models and data.
pub(crate) const MAKERS: [&str; 5] = ["onnx", "optimum-onnx", "tokenizers", "torch", "transformers"];

/// Packages that one work needs.
pub(crate) const GENAI: &str = "onnxruntime-genai";
pub(crate) const ONNX_IR: &str = "onnx-ir";

const FIND_VERSIONS: &str = "
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
";

pub(crate) struct Python {
    program: PathBuf,
    /// The folder of our scripts.
    pub(crate) scripts: PathBuf,
    /// Distribution → version, of those that are installed.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Python {
    /// # Errors
    /// Names the packages that are missing and the command that installs them.
    pub(crate) fn find(program: PathBuf, scripts: &Path) -> Result<Self> {
        let mut command = Command::new(&program);
        command.args(["-c", FIND_VERSIONS]).args(NEEDED).args(MAKERS).args([GENAI, ONNX_IR]);
        let versions = process::output(&mut command).with_context(|| {
            format!("cannot ask {} for its packages; name a Python with --python", program.display())
        })?;
        let python =
            Self { program, scripts: scripts.to_owned(), versions: serde_json::from_str(&versions)? };
        python.need(&[&NEEDED[..], &MAKERS].concat())?;
        ensure!(
            python.versions["lm_eval"] == LM_EVAL,
            "{} has lm_eval {}, but the scores are those of {LM_EVAL}: `{}`",
            python.program.display(),
            python.versions["lm_eval"],
            python.install_command()
        );
        Ok(python)
    }

    /// # Errors
    /// Names those that are missing and the command that installs them.
    pub(crate) fn need(&self, packages: &[&str]) -> Result<()> {
        let missing: Vec<_> =
            packages.iter().copied().filter(|name| !self.versions.contains_key(*name)).collect();
        ensure!(
            missing.is_empty(),
            "{} lacks {}: `{}`, or name another Python with --python or LLM_BENCH_PEERS_PYTHON",
            self.program.display(),
            missing.join(", "),
            self.install_command()
        );
        Ok(())
    }

    fn install_command(&self) -> String {
        let requirements = self.scripts.join("requirements.txt");
        format!("{} -m pip install -r {}", self.program.display(), requirements.display())
    }

    /// A command of this Python, offline, with as many threads as this machine has cores. `home` is where libraries
    /// may leave their caches.
    pub(crate) fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", home)
            .env("OMP_NUM_THREADS", machine::cores().to_string());
        command
    }

    /// A command that runs one of our scripts.
    pub(crate) fn script(&self, name: &str, home: &Path) -> Command {
        let mut command = self.command(home);
        command.arg(self.scripts.join(name));
        command
    }
}
