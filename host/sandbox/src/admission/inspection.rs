//! What can be said of a component without compiling it.

use llm_bench_core::plugin::Exports;
use llm_bench_core::{Error, Result};
use wasmparser::{BinaryReader, BinaryReaderError, Encoding, Parser, Payload};
use wasmtime::Engine;

use super::signature;
use crate::convert::lift::shown;

const PACKAGE: &str = "llm-bench:plugin";
pub(crate) const VERSION: &str = "0.1.0";

/// Interfaces of the contract that the host provides.
const PROVIDED: [&str; 4] = ["types", "models", "data-files", "logging"];

/// Interfaces of WASI 0.2 that are linked, most of them only to refuse.
const WASI: [&str; 27] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// Largest function: compiling time and memory grow faster than a function's size. An interpreter's main loop has
/// some hundred KiB.
const FUNCTION_BYTES: usize = 1 << 20;
/// Components in components in components; real ones nest twice.
const NESTING: usize = 32;
/// Imports and exports of the component itself.
const NAMES: usize = 1000;
/// Types, functions and whatever else sections list, in all modules and components together: each takes some hundred
/// bytes of memory to look at. An interpreter's component has some ten thousand.
const ENTRIES: u64 = 250_000;

/// What a component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspection {
    pub(crate) exports: Exports,
    /// In the component's order.
    pub(crate) imports: Vec<String>,
}

/// Looks at a file: whether it is a component that this host can serve. Nothing of it is compiled or executed.
///
/// # Errors
/// Each says what was found and what is supported:
/// - no component: `plugin-not-wasm`, `plugin-text`, `plugin-precompiled`, `plugin-core-module`;
/// - a broken one: `plugin-truncated`, `invalid-plugin`, `plugin-too-complex`;
/// - one of another world: `plugin-world`, `plugin-import`, `plugin-contract-version`, `plugin-signature`.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspection> {
    expect_component(bytes)?;
    expect_whole(bytes)?;
    let names = names(bytes)?;
    for import in &names.imports {
        check_import(import)?;
    }
    let exports = check_exports(&names.exports)?;
    signature::check(bytes, &names.imports, &names.exports)?;
    Ok(Inspection { exports, imports: names.imports })
}

/// Tells what else a file may be.
fn expect_component(bytes: &[u8]) -> Result<()> {
    let (code, found) = if bytes.is_empty() {
        ("plugin-not-wasm", "the file is empty")
    } else if Engine::detect_precompiled(bytes).is_some() {
        (
            "plugin-precompiled",
            "the file is compiled code; only the host compiles, so upload the component that it was made of",
        )
    } else if bytes.starts_with(b"\0asm") {
        match bytes.get(4..8) {
            None => ("plugin-truncated", "the file is cut off within its first 8 bytes"),
            Some([_, _, 1, 0]) => return Ok(()),
            Some([1, 0, 0, 0]) => (
                "plugin-core-module",
                "the file is a core WebAssembly module, not a component; build it for wasm32-wasip2, or wrap it with \
                 `wasm-tools component new`",
            ),
            Some(_) => ("plugin-not-wasm", "the file is WebAssembly of an unknown version"),
        }
    } else if bytes.trim_ascii_start().starts_with(b"(") || bytes.starts_with(b";;") {
        ("plugin-text", "the file is WebAssembly text; translate it with `wasm-tools parse`")
    } else {
        ("plugin-not-wasm", "the file is no WebAssembly")
    };
    let message =
        format!("{found} (a plugin is a WebAssembly component that exports `{PACKAGE}/plugin@{VERSION}`)");
    Err(Error::invalid(code, message))
}

/// Goes through the outermost sections, each of which says its length.
///
/// A file that was cut off between two of them cannot be told from a component that exports less.
fn expect_whole(bytes: &[u8]) -> Result<()> {
    let mut reader = BinaryReader::new(bytes, 0);
    let mut section = || -> Result<(), BinaryReaderError> {
        reader.read_bytes(8)?;
        while !reader.eof() {
            reader.read_u8()?;
            let length = reader.read_var_u32()?;
            reader.read_bytes(length as usize)?;
        }
        Ok(())
    };
    section().map_err(|_| {
        let message = format!(
            "the file is cut off, or damaged: it ends within the section whose content begins at byte {}",
            reader.original_position()
        );
        Error::invalid("plugin-truncated", message)
    })
}

#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The outermost component's imports and exports. Walks through everything on the way, so that a file that is cut
/// off or absurd is refused here.
fn names(bytes: &[u8]) -> Result<Names> {
    let mut names = Names::default();
    let mut depth = 0_usize;
    let mut entries = 0_u64;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| unsound(&error))?;
        entries += u64::from(entries_of(&payload));
        if entries > ENTRIES {
            return Err(too_complex(format!(
                "the component lists more than {ENTRIES} types, functions and other things"
            )));
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err(invalid("the file is no component"));
                }
                depth += 1;
                if depth > NESTING {
                    return Err(too_complex(format!("the component nests more than {NESTING} components")));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION_BYTES => {
                return Err(too_complex(format!(
                    "a function of the component has {} bytes; at most {FUNCTION_BYTES} are compiled",
                    body.range().len()
                )));
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    names.imports.push(import.map_err(|error| unsound(&error))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    names.exports.push(export.map_err(|error| unsound(&error))?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if names.imports.len().max(names.exports.len()) > NAMES {
            return Err(too_complex(format!("the component imports or exports more than {NAMES} things")));
        }
    }
    Ok(names)
}

/// How much a section lists.
fn entries_of(payload: &Payload) -> u32 {
    match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::FunctionSection(section) => section.count(),
        Payload::TableSection(section) => section.count(),
        Payload::MemorySection(section) => section.count(),
        Payload::TagSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    }
}

fn check_import(import: &str) -> Result<()> {
    if let Some((interface, version)) = contract(import) {
        if version != VERSION {
            return Err(other_version(version));
        }
        if PROVIDED.contains(&interface) {
            return Ok(());
        }
    }
    let wasi = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('@'));
    if wasi.is_some_and(|(interface, version)| version.starts_with("0.2.") && WASI.contains(&interface)) {
        return Ok(());
    }
    let message = format!(
        "the component imports `{}`, which this host does not provide; it provides `{PACKAGE}/models@{VERSION}`, \
         `{PACKAGE}/data-files@{VERSION}`, `{PACKAGE}/logging@{VERSION}` and WASI 0.2 (cli, clocks, filesystem, io, \
         random, sockets)",
        shown(import, 200)
    );
    Err(Error::unsupported("plugin-import", message))
}

fn check_exports(exports: &[String]) -> Result<Exports> {
    let interfaces: Vec<_> = exports.iter().filter_map(|export| contract(export)).collect();
    if let Some((_, version)) = interfaces.iter().find(|(_, version)| *version != VERSION) {
        return Err(other_version(version));
    }
    let has = |name| interfaces.iter().any(|(interface, _)| *interface == name);
    if has("plugin") && (has("solver") || has("scorer")) {
        return Ok(Exports { solver: has("solver"), scorer: has("scorer"), aggregator: has("aggregator") });
    }
    let found: Vec<_> = exports.iter().take(8).map(|export| format!("`{}`", shown(export, 100))).collect();
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    let message = format!(
        "the component exports {found}; a plugin exports `{PACKAGE}/plugin@{VERSION}` and `{PACKAGE}/solver@{VERSION}` \
         or `{PACKAGE}/scorer@{VERSION}` or both"
    );
    Err(Error::unsupported("plugin-world", message))
}

/// The interface and version of a name that belongs to the contract.
pub(super) fn contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')
}

fn other_version(version: &str) -> Error {
    let numbers = |version: &str| -> Option<Vec<u64>> {
        let numbers = version.split(['-', '+']).next()?;
        numbers.split('.').map(|number| number.parse().ok()).collect()
    };
    let way_out = if numbers(version) > numbers(VERSION) {
        "; update the host, or build the component for that version"
    } else {
        "; build the component for that version"
    };
    let message = format!(
        "the component is made for version {} of the contract `{PACKAGE}`, and this host supports {VERSION}{way_out}",
        shown(version, 40)
    );
    Error::unsupported("plugin-contract-version", message)
}

pub(super) fn unsound(error: &BinaryReaderError) -> Error {
    // wasmparser's sentences hold names of the component, and end with the place: "… (at offset 0x1f)".
    let (reason, place) = (shown(error.message(), 500), error.offset());
    invalid(format!("the component is broken: {reason} (at offset {place:#x})"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("invalid-plugin", message)
}

fn too_complex(message: impl Into<String>) -> Error {
    Error::invalid("plugin-too-complex", message)
}
