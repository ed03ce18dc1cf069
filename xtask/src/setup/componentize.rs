//! What makes components of Python and JavaScript: plugins may be written in them, and the tests build such.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Tools;
use crate::process;
use crate::workspace::Workspace;

/// Of Python, fetched through pip.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
/// Of JavaScript, fetched through npm.
const COMPONENTIZE_QJS: &str = "componentize-qjs@0.4.5";

/// What the components of a project in Python take along, as pip's requirements; a project without any has no such file.
pub(crate) const PACKAGES: &str = "packages.txt";

/// Fetches both, and what the example in Python takes along, so that no test has to.
pub(crate) fn provide(workspace: &Workspace, tools: &Tools) -> Result<()> {
    python(tools)?;
    python_packages(tools, &workspace.root.join("plugins/dialogue/python").join(PACKAGES))?;
    javascript(tools)?;
    Ok(())
}

/// `componentize-py`, to be given its arguments.
pub(crate) fn python(tools: &Tools) -> Result<Command> {
    let folder = match tools.installed("componentize-py", COMPONENTIZE_PY) {
        Some(folder) => folder,
        None => tools.install("componentize-py", COMPONENTIZE_PY, |staging| {
            println!("setup: {COMPONENTIZE_PY}, a download of about 20 MB");
            process::run(pip_install(staging).arg(COMPONENTIZE_PY))
        })?,
    };
    // Scripts that pip writes name the folder they were installed to, which was another.
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", folder)
        .args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
    Ok(python)
}

/// The folder of what a list of requirements names, which is complete: what they depend on is not fetched.
pub(crate) fn python_packages(tools: &Tools, list: &Path) -> Result<PathBuf> {
    let requirements = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let name = format!("python-packages-{}", &hex::encode(Sha256::digest(&requirements))[..12]);
    if let Some(folder) = tools.installed(&name, &requirements) {
        return Ok(folder);
    }
    tools.install(&name, &requirements, |staging| {
        println!("setup: {}", requirements.split_whitespace().collect::<Vec<_>>().join(", "));
        process::run(pip_install(staging).args(["--no-deps", "--no-compile", "--requirement"]).arg(list))?;
        remove_machine_code(staging)
    })
}

fn pip_install(folder: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--disable-pip-version-check"]);
    pip.arg("--target").arg(folder);
    pip
}

/// What is compiled for this machine is of no use in a component, which would be another on every kind of machine.
fn remove_machine_code(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_machine_code(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "so" || extension == "pyd") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// `componentize-qjs`, to be given its arguments.
pub(crate) fn javascript(tools: &Tools) -> Result<Command> {
    let folder = match tools.installed("componentize-qjs", COMPONENTIZE_QJS) {
        Some(folder) => folder,
        None => tools.install("componentize-qjs", COMPONENTIZE_QJS, |staging| {
            println!("setup: {COMPONENTIZE_QJS}, a download of about 10 MB");
            install_from_npm(staging)
        })?,
    };
    Ok(Command::new(folder.join("node_modules/.bin/componentize-qjs")))
}

fn install_from_npm(folder: &Path) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder)
        .arg(COMPONENTIZE_QJS);
    process::run(&mut npm).context("plugins in JavaScript need Node.js with npm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_and_examples_name_the_versions_that_are_tested() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/assets/templates");
        let read = |name: &str| std::fs::read_to_string(templates.join(name)).unwrap();
        assert_eq!(read("python/requirements.txt").trim(), COMPONENTIZE_PY);
        assert_eq!(read("../../../plugins/dialogue/python/requirements.txt").trim(), COMPONENTIZE_PY);
        let (name, version) = COMPONENTIZE_QJS.split_once('@').unwrap();
        let dependency = format!("\"{name}\": \"{version}\"");
        assert!(read("javascript/package.json.template").contains(&dependency));
    }
}
