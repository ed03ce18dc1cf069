//! Publishing the contract: components that are built against it are kept, with what they gave, and must give it for
//! ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::mirror::Content;
use crate::plugins::{self, Plugin};
use crate::setup::wasm_target::Provider;
use crate::workspace::Workspace;
use crate::{layout, process, setup};

const CONTRACT: &str = "wit/plugin.wit";
/// Where the fixtures lie: a folder a version, in it a folder a plugin.
const FIXTURES: &str = "tests/fixtures/contract";
/// Rows and answers of plugins that bring none along.
const INPUTS: &str = "xtask/contract";
/// Plugins of this repository that are published: of every world, and with every call between them.
const RUST: [&str; 10] = [
    "answer-match",
    "dialogue",
    "every-call",
    "generate-until",
    "lexical",
    "log-likelihood",
    "multiple-choice",
    "perplexity",
    "retrieval",
    "vocabulary",
];

/// Of every try. The suite that holds hosts against the fixtures has the same.
const SEED: &str = "1234";
/// A folder beside rows and answers, for a plugin that reads files.
const DATA_FILES: &str = "data-files";

/// What differs from one run to the next, or is the host's own.
const UNSTABLE: [&str; 17] = [
    "bytes",
    "cached",
    "calls",
    "ci95",
    "compile_ms",
    "created_at",
    "duration_ms",
    "fuel",
    "grants",
    "host_calls",
    "is_default",
    "log",
    "notes",
    "origin",
    "peak_memory_bytes",
    "status_reason",
    "stderr",
];

/// A component with what it is tried on.
struct Exhibit {
    name: String,
    component: PathBuf,
    /// Holds `rows.jsonl`, `answers.jsonl` and, where the example config is not what is wanted, `config.json`.
    inputs: PathBuf,
}

/// Builds the components, and writes each with its rows, answers and results below the version of the contract.
pub(crate) fn publish(workspace: &Workspace, provider: Option<Provider>, overwrite: bool) -> Result<()> {
    let version = version(&fs::read_to_string(workspace.root.join(CONTRACT))?)?;
    let folder = workspace.root.join(FIXTURES).join(&version);
    if folder.exists() && !overwrite {
        bail!(
            "contract {version} was published: {} is there. What is published never changes; before it is announced, \
             `--overwrite` does it again",
            folder.display()
        );
    }
    let ready = setup::for_tests(workspace, provider)?;
    layout::develop(workspace, &ready)?;
    // As `cargo xtask test` builds it, so that nothing is compiled twice.
    process::run(
        process::cargo().args(["build", "--workspace", "--bins", "--tests"]).current_dir(&workspace.root),
    )?;

    let staging = workspace.target.join("contract");
    setup::remove(&staging)?;
    fs::create_dir_all(&staging)?;
    let program = Program { file: workspace.target.join("debug/llm-bench"), data: staging.join("data") };
    let mut total = 0;
    let built = plugins::build(workspace, &ready.wasm_toolchain)?;
    let mut exhibits = in_rust(workspace, built);
    ensure!(exhibits.len() == RUST.len(), "plugins/ lacks one of {}", RUST.join(", "));
    exhibits.extend(in_other_languages(workspace, provider, &staging, &program)?);
    for exhibit in exhibits {
        let fixture = staging.join(&version).join(&exhibit.name);
        write(&exhibit, &fixture, &program)?;
        let bytes = fs::metadata(fixture.join("component.wasm.zst"))?.len();
        total += bytes;
        println!("contract: {} {} KiB", exhibit.name, bytes.div_ceil(1024));
    }
    fs::copy(workspace.root.join(CONTRACT), staging.join(&version).join("plugin.wit"))?;
    setup::remove(&folder)?;
    copy_folder(&staging.join(&version), &folder)?;
    println!("contract: {} holds {} KiB of components", folder.display(), total.div_ceil(1024));
    Ok(())
}

/// The version in `package llm-bench:plugin@0.1.0;`.
fn version(contract: &str) -> Result<String> {
    let package = contract.lines().find_map(|line| line.strip_prefix("package llm-bench:plugin@"));
    let version = package.and_then(|rest| rest.strip_suffix(';'));
    Ok(version.context("wit/plugin.wit names no package `llm-bench:plugin@VERSION;`")?.to_owned())
}

fn in_rust(workspace: &Workspace, built: Vec<Plugin>) -> Vec<Exhibit> {
    let published = built.into_iter().filter(|plugin| RUST.contains(&plugin.name.as_str()));
    let exhibit = |Plugin { name, component }| {
        let own = workspace.root.join(INPUTS).join(&name);
        let inputs = if own.is_dir() { own } else { workspace.root.join("plugins").join(&name) };
        Exhibit { name, component, inputs }
    };
    published.map(exhibit).collect()
}

fn in_other_languages(
    workspace: &Workspace,
    provider: Option<Provider>,
    staging: &Path,
    program: &Program,
) -> Result<[Exhibit; 2]> {
    let dialogue = workspace.root.join("plugins/dialogue");
    let in_python = "dialogue-in-python";
    let mut copy = Content::default();
    copy.folder(in_python, &dialogue.join("python"))?;
    copy.write(staging)?;
    let component = built(workspace, provider, &staging.join(in_python))?;
    let in_python = Exhibit { name: in_python.into(), component, inputs: dialogue };

    let in_javascript = "sums-in-javascript";
    let project = staging.join(in_javascript);
    program
        .run(&["plugin", "new", in_javascript, "--lang", "javascript", "--folder", text(&project)?], &[0])?;
    let component = built(workspace, provider, &project)?;
    Ok([in_python, Exhibit { name: in_javascript.into(), component, inputs: project }])
}

fn built(workspace: &Workspace, provider: Option<Provider>, project: &Path) -> Result<PathBuf> {
    let plugins = plugins::build_project(workspace, provider, project)?;
    let plugin = plugins.into_iter().next().context("a project is one plugin")?;
    Ok(plugin.component)
}

/// Tries a component, and writes it with what it was given and what it gave.
fn write(exhibit: &Exhibit, fixture: &Path, program: &Program) -> Result<()> {
    fs::create_dir_all(fixture)?;
    let component = text(&exhibit.component)?;
    let mut descriptor = program.run(&["plugin", "check", component, "--format", "json"], &[0])?;
    let config = exhibit.inputs.join("config.json");
    let config = if config.is_file() {
        serde_json::from_str(&fs::read_to_string(config)?)?
    } else {
        descriptor["example_config"].clone()
    };
    forget_unstable(&mut descriptor);
    write_json(&fixture.join("descriptor.json"), &descriptor)?;
    write_json(&fixture.join("config.json"), &config)?;
    for input in ["rows.jsonl", "answers.jsonl"] {
        let source = exhibit.inputs.join(input);
        fs::copy(&source, fixture.join(input))
            .with_context(|| format!("cannot copy {}", source.display()))?;
    }

    let given = exhibit.inputs.join(DATA_FILES);
    if given.is_dir() {
        copy_folder(&given, &fixture.join(DATA_FILES))?;
    }

    let place = |name: &str| Ok::<_, anyhow::Error>(text(&fixture.join(name))?.to_owned());
    let (rows, answers) = (place("rows.jsonl")?, place("answers.jsonl")?);
    let config = format!("@{}", place("config.json")?);
    let mut arguments = vec!["plugin", "run", component, "--data", &rows, "--answers", &answers];
    arguments.extend(["--config", &config, "--seed", SEED]);
    let given = place(DATA_FILES)?;
    if Path::new(&given).is_dir() {
        arguments.extend(["--data-files", &given]);
    }
    // 1 is a sample that failed: how it does is kept, too.
    let mut result = program.run(&[&arguments[..], &["--format", "json"]].concat(), &[0, 1])?;
    let samples = result["samples"].as_array().context("a try has samples")?;
    let completed = samples.iter().filter(|sample| sample["status"] == "completed").count();
    ensure!(completed > 0, "no sample of {} is completed: {result:#}", exhibit.name);
    println!("contract: {} completed {completed} of {} samples", exhibit.name, samples.len());
    forget_unstable(&mut result);
    write_json(&fixture.join("result.json"), &result)?;

    let mut zstd = Command::new("zstd");
    zstd.args(["-19", "--quiet", "--force", "-o"]).arg(fixture.join("component.wasm.zst"));
    process::run(zstd.arg(component)).context("components are kept compressed by the program `zstd`")
}

/// The real program, with a data folder of its own.
struct Program {
    file: PathBuf,
    data: PathBuf,
}

impl Program {
    /// What it prints, which is JSON or nothing; its exit code has to be one of those expected.
    fn run(&self, arguments: &[&str], expected: &[i32]) -> Result<Value> {
        let mut command = Command::new(&self.file);
        command.args(arguments).env("LLM_BENCH_DATA_DIR", &self.data).stderr(Stdio::inherit());
        let line = process::line(&command);
        let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
        ensure!(
            output.status.code().is_some_and(|code| expected.contains(&code)),
            "`{line}` failed ({})",
            output.status
        );
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}

fn forget_unstable(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(forget_unstable),
        Value::Object(fields) => {
            fields.retain(|name, _| !UNSTABLE.contains(&name.as_str()));
            fields.values_mut().for_each(forget_unstable);
        }
        _ => {}
    }
}

fn write_json(file: &Path, value: &Value) -> Result<()> {
    fs::write(file, format!("{value:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

/// Makes a folder hold what another does. Also on another file system.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let name = to.file_name().context("the copy has a name")?;
    let mut content = Content::default();
    content.folder(name, from)?;
    content.write(to.parent().context("the copy lies in a folder")?)?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_contract_names_its_version() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/plugin.wit");
        let version = version(&fs::read_to_string(wit).unwrap()).unwrap();
        assert_eq!(version.split('.').count(), 3, "{version}");
        assert!(super::version("package other:plugin@1.0.0;").is_err());
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_kept() {
        let mut value = json!({ "name": "a", "samples": [{ "fuel": 7, "answer": "x", "duration_ms": 1.5 }] });
        forget_unstable(&mut value);
        assert_eq!(value, json!({ "name": "a", "samples": [{ "answer": "x" }] }));
    }
}
