//! Models and data that the works share, made once and kept in the cache folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::python::{GENAI, MAKERS, ONNX_IR, Python};
use crate::process;
use crate::setup::Tools;

pub(crate) const SMALL: &str = "llama-1m";
pub(crate) const LARGE: &str = "llama-135m";

/// What `texts.jsonl` holds, and one of its texts.
pub(crate) const TEXTS_TOKENS: u64 = 100_000;
pub(crate) const TEXT_TOKENS: u64 = 4_000;

pub(crate) struct Materials {
    /// `peers` in the cache folder.
    pub(crate) folder: PathBuf,
}

impl Materials {
    /// Makes what is missing, or was made by other scripts or packages than these.
    pub(crate) fn provide(python: &Python) -> Result<Self> {
        let tools = Tools::open()?;
        let materials = Self { folder: tools.folder.join("peers") };
        fs::create_dir_all(&materials.folder)?;
        for model in [SMALL, LARGE] {
            let stamp = stamp(python, &["made_up.py", "make_models.py"])?;
            materials.make(&tools, model, &stamp, |staging| {
                process::run(
                    python.script("make_models.py", &materials.python_home()).arg(model).arg(staging),
                )
            })?;
        }
        let stamp = stamp(python, &["made_up.py", "make_models.py", "make_data.py"])?;
        materials.make(&tools, "data", &stamp, |staging| {
            let mut script = python.script("make_data.py", &materials.python_home());
            process::run(script.arg(staging).args([SMALL, LARGE].map(|model| materials.model(model))))
        })?;
        Ok(materials)
    }

    /// The large model as onnxruntime-genai's builder makes it of the same weights. It stays when that package changes: a
    /// later one may run it whose builder does not work with that transformers.
    pub(crate) fn provide_genai(&self, python: &Python) -> Result<PathBuf> {
        python.need(&[GENAI])?;
        let tools = Tools::open()?;
        let stamp = stamp(python, &["made_up.py", "make_models.py"])?;
        self.make(&tools, "genai-135m", &stamp, |staging| {
            python.need(&[ONNX_IR])?;
            let mut builder = python.command(&self.python_home());
            builder
                .args(["-m", "onnxruntime_genai.models.builder", "-p", "fp32", "-e", "cpu", "-i"])
                .arg(self.model(LARGE))
                .arg("-o")
                .arg(staging)
                .arg("-c")
                .arg(self.folder.join("genai-cache"));
            process::run(&mut builder).with_context(|| {
                format!(
                    "the model builder of {GENAI} {} does not work with transformers {}; requirements.txt has \
                     versions that fit each other",
                    python.versions[GENAI], python.versions["transformers"]
                )
            })
        })
    }

    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where Python's libraries leave their caches, so that the user's own stay as they are.
    pub(crate) fn python_home(&self) -> PathBuf {
        self.folder.join("hugging-face")
    }

    fn make(
        &self,
        tools: &Tools,
        name: &str,
        stamp: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = format!("peers/{name}");
        if let Some(folder) = tools.installed(&place, stamp) {
            return Ok(folder);
        }
        println!("peers: making {}", self.folder.join(name).display());
        tools.install(&place, stamp, fill)
    }
}

/// Tells results of these scripts and packages from those of others.
fn stamp(python: &Python, scripts: &[&str]) -> Result<String> {
    let mut digest = Sha256::new();
    for script in scripts {
        let path = python.scripts.join(script);
        digest.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let packages: Vec<_> = MAKERS.iter().map(|&name| format!("{name} {}", python.versions[name])).collect();
    let digest = hex::encode(digest.finalize());
    Ok(format!("{}, sha256 {digest}, with {}\n", scripts.join(" and "), packages.join(", ")))
}
