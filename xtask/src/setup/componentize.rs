//! What makes components of Python and JavaScript: plugins may be written in them, and the tests build such.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Tools;
use crate::process;

/// Of Python, fetched through pip.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
/// Of JavaScript, fetched through npm.
const COMPONENTIZE_QJS: &str = "componentize-qjs@0.4.5";

/// Fetches both, so that no test has to.
pub(crate) fn provide(tools: &Tools) -> Result<()> {
    python(tools)?;
    javascript(tools)?;
    Ok(())
}

/// `componentize-py`, to be given its arguments.
pub(crate) fn python(tools: &Tools) -> Result<Command> {
    let folder = match tools.installed("componentize-py", COMPONENTIZE_PY) {
        Some(folder) => folder,
        None => tools.install("componentize-py", COMPONENTIZE_PY, |staging| {
            println!("setup: {COMPONENTIZE_PY}, a download of about 20 MB");
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--only-binary=:all:",
                "--disable-pip-version-check",
            ]);
            process::run(pip.arg("--target").arg(staging).arg(COMPONENTIZE_PY))
        })?,
    };
    // Scripts that pip writes name the folder they were installed to, which was another.
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", folder)
        .args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
    Ok(python)
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
    fn the_templates_name_the_versions_that_are_tested() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/assets/templates");
        let read = |name: &str| std::fs::read_to_string(templates.join(name)).unwrap();
        assert_eq!(read("python/requirements.txt").trim(), COMPONENTIZE_PY);
        let (name, version) = COMPONENTIZE_QJS.split_once('@').unwrap();
        let dependency = format!("\"{name}\": \"{version}\"");
        assert!(read("javascript/package.json.template").contains(&dependency));
    }
}
