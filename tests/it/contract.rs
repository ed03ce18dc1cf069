//! What was built against a published contract works for ever: components in `tests/fixtures/contract`, a folder a
//! version, are held against what they gave when they were published. `cargo xtask publish-contract` writes them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{copy_folder, run, stderr_of};

const PROMISE: &str = "\
A component that was built against a published contract no longer is what it was. Hosts promise to run it for ever \
(docs/plugins.md, Versions): mend the host, not the fixtures.";

/// Of every try, as `cargo xtask publish-contract` made it.
const SEED: &str = "1234";

/// A published component, and what it gave.
struct Published(PathBuf);

fn published() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contract")
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

impl Published {
    /// `0.1.0/retrieval`.
    fn name(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|name| name.to_str().unwrap()).collect();
        names[names.len() - 2..].join("/")
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.join(file)).unwrap()).unwrap()
    }

    /// What is not as it was published, a sentence each.
    fn problems(&self) -> Vec<String> {
        let (name, data) = (self.name(), tempfile::tempdir().unwrap());
        let component = data.path().join("component.wasm");
        fs::write(&component, self.component()).unwrap();
        let component = component.to_str().unwrap();
        let checked = run(data.path(), &["plugin", "check", component, "--format", "json"]);
        if !checked.status.success() {
            return vec![format!("{name}: this host does not load it any more: {}", stderr_of(&checked))];
        }
        let mut problems = Vec::new();
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        compare(&format!("{name}/descriptor"), &self.json("descriptor.json"), &checked, &mut problems);

        // Those with the name of a built-in plugin cannot be uploaded.
        if checked["notes"].as_array().unwrap().is_empty() {
            let added = run(data.path(), &["plugins", "add", component]);
            if !added.status.success() {
                problems.push(format!("{name}: this host does not take it any more: {}", stderr_of(&added)));
            }
        }

        let file = |name: &str| self.0.join(name).to_str().unwrap().to_owned();
        let (rows, answers, config) =
            (file("rows.jsonl"), file("answers.jsonl"), format!("@{}", file("config.json")));
        let mut tried = vec!["plugin", "run", component, "--data", &rows, "--answers", &answers];
        tried.extend(["--config", &config, "--seed", SEED]);
        let given = file("data-files");
        if Path::new(&given).is_dir() {
            tried.extend(["--data-files", &given]);
        }
        let tried = run(data.path(), &[&tried[..], &["--format", "json"]].concat());
        match serde_json::from_slice(&tried.stdout) {
            Ok(result) => {
                compare(&format!("{name}/result"), &self.json("result.json"), &result, &mut problems);
            }
            Err(_) => problems.push(format!("{name}: it does not run any more: {}", stderr_of(&tried))),
        }
        problems
    }

    fn component(&self) -> Vec<u8> {
        let compressed = fs::File::open(self.0.join("component.wasm.zst")).unwrap();
        let mut component = Vec::new();
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(compressed).unwrap();
        decoder.read_to_end(&mut component).unwrap();
        component
    }
}

/// Whether all that stands in `expected` stands in `found`, which may say more.
fn compare(place: &str, expected: &Value, found: &Value, problems: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                let place = format!("{place}/{name}");
                compare(&place, value, found.get(name).unwrap_or(&Value::Null), problems);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{place}/{index}"), expected, found, problems);
            }
        }
        _ if is_equal(expected, found) => {}
        _ => problems.push(format!("{place}: {found}, not {expected}")),
    }
}

/// Numbers but for the last digits: `exp` of the host's C library is not everywhere the same.
fn is_equal(expected: &Value, found: &Value) -> bool {
    match (expected.as_f64(), found.as_f64()) {
        (Some(expected), Some(found)) => (expected - found).abs() <= expected.abs() * 1e-12,
        _ => expected == found,
    }
}

#[test]
fn every_published_component_loads_and_gives_what_it_always_gave() {
    let versions = folders(&published());
    assert!(versions.iter().any(|version| version.ends_with("0.1.0")), "{versions:?}");
    let mut problems = Vec::new();
    for version in versions {
        let components = folders(&version);
        assert!(!components.is_empty(), "{} is empty", version.display());
        problems.extend(components.into_iter().flat_map(|component| Published(component).problems()));
    }
    assert!(problems.is_empty(), "{PROMISE}\n{}", problems.join("\n"));
}

#[test]
fn a_version_of_the_contract_that_was_published_is_what_it_was() {
    // But for its words: they may be made clearer.
    let code = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        lines.map(ToOwned::to_owned).collect()
    };
    let current = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/plugin.wit");
    let current = code(&fs::read_to_string(current).unwrap());
    for version in folders(&published()) {
        let published = code(&fs::read_to_string(version.join("plugin.wit")).unwrap());
        let name = version.file_name().unwrap().to_str().unwrap();
        assert_eq!(published[0], format!("package llm-bench:plugin@{name};"));
        if published[0] == current[0] {
            assert_eq!(current, published, "{name} was published: a contract that changes has a new version");
        }
    }
}

#[test]
fn a_host_that_breaks_what_was_published_is_told_what_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let copy = folder.path().join(name).join("retrieval");
        copy_folder(&published().join("0.1.0/retrieval"), &copy);
        Published(copy)
    };
    // It is for a host of another contract.
    let other = copy("other");
    let mut bytes = other.component();
    let (from, to) = (b"llm-bench:plugin/types@0.1.0", b"llm-bench:plugin/types@9.1.0");
    let places: Vec<_> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "it names its contract");
    for place in places {
        bytes[place..place + from.len()].copy_from_slice(to);
    }
    let compressed =
        ruzstd::encoding::compress_to_vec(&bytes[..], ruzstd::encoding::CompressionLevel::Fastest);
    fs::write(other.0.join("component.wasm.zst"), compressed).unwrap();
    let problems = other.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("other/retrieval: this host does not load it any more: "),
        "{problems:?}"
    );
    assert!(problems[0].contains("9.1.0"), "{problems:?}");

    // The host counts, describes and fails otherwise.
    let changed = copy("changed");
    assert_eq!(changed.problems(), Vec::<String>::new());
    for (file, pointer, value) in [
        ("descriptor.json", "/example_config/cutoffs/0", Value::from(2)),
        ("result.json", "/samples/1/metrics/0/value", Value::from(0.25)),
        ("result.json", "/metrics/1/count", Value::from(4)),
        ("result.json", "/samples/2/status", Value::from("failed")),
    ] {
        let mut json = changed.json(file);
        *json.pointer_mut(pointer).unwrap() = value;
        fs::write(changed.0.join(file), json.to_string()).unwrap();
    }
    let places: Vec<_> =
        changed.problems().iter().map(|problem| problem.split(':').next().unwrap().to_owned()).collect();
    let expected = [
        "changed/retrieval/descriptor/example_config/cutoffs/0",
        "changed/retrieval/result/samples/1/metrics/0/value",
        "changed/retrieval/result/samples/2/status",
        "changed/retrieval/result/metrics/1/count",
    ];
    assert_eq!(places, expected);
}
