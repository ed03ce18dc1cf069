//! Files that are no plugins, each refused with what it is.

use std::fs;
use std::path::Path;

use llm_bench_core::plugin::Sandbox;
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::WasmSandbox;
use tempfile::TempDir;
use wasm_encoder::Component;

use crate::bomb;
use crate::support::{compiler, plugin, sandbox, sandbox_with};
use crate::task::admit;

async fn refusal(sandbox: &WasmSandbox, bytes: &[u8]) -> Error {
    admit(sandbox, bytes).await.unwrap_err()
}

async fn refusal_of_text(wat: &str) -> Error {
    refusal(&sandbox(), &wat::parse_str(wat).unwrap()).await
}

#[tokio::test]
async fn what_is_no_component_is_told_what_it_is() {
    let sandbox = sandbox();
    let module = wat::parse_str("(module)").unwrap();
    let cases: [(&[u8], &str, &str); 7] = [
        (b"", "plugin-not-wasm", "the file is empty"),
        (b"\0asm\x0d", "plugin-truncated", "the file is cut off within its first 8 bytes"),
        (b"hello", "plugin-not-wasm", "the file is no WebAssembly"),
        (b"\x7fELF\x02\x01\x01", "plugin-not-wasm", "the file is no WebAssembly"),
        (
            b"\n (component)",
            "plugin-text",
            "the file is WebAssembly text; translate it with `wasm-tools parse`",
        ),
        (b"\0asm\x07\0\0\0", "plugin-not-wasm", "the file is WebAssembly of an unknown version"),
        (&module, "plugin-core-module", "the file is a core WebAssembly module, not a component"),
    ];
    for (bytes, code, sentence) in cases {
        let error = refusal(&sandbox, bytes).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, code));
        assert!(error.message.starts_with(sentence), "{error}");
    }
}

#[tokio::test]
async fn compiled_code_is_refused_even_if_it_is_our_own() {
    let folder = TempDir::new().unwrap();
    let sandbox = sandbox_with(folder.path(), compiler());
    sandbox.admit(&plugin("perplexity")).await.unwrap();
    let code = fs::read_dir(folder.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    let code = code.into_iter().find(|path| path.extension().is_some_and(|end| end == "cwasm")).unwrap();
    let error = sandbox.admit(&code).await.unwrap_err();
    assert_eq!(&*error.code, "plugin-precompiled");
    assert!(error.message.starts_with("the file is compiled code"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_told_so() {
    let bytes = fs::read(plugin("hostile")).unwrap();
    for end in [9, 1000, bytes.len() - 1] {
        let error = refusal(&sandbox(), &bytes[..end]).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-truncated"), "{end}");
        assert!(error.message.starts_with("the file is cut off, or damaged: it ends within"), "{error}");
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_is_supported() {
    let error = refusal_of_text("(component)").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "plugin-world"));
    assert!(error.message.starts_with("the component exports nothing; a plugin exports "), "{error}");
    let error =
        refusal_of_text(r#"(component (instance $i) (export "wasi:cli/run@0.2.6" (instance $i)))"#).await;
    assert!(error.message.contains("exports `wasi:cli/run@0.2.6`"), "{error}");
}

#[tokio::test]
async fn an_import_that_nobody_provides_is_named() {
    for import in ["wasi:http/types@0.2.0", "wasi:cli/stdin@0.3.0", "llm-bench:plugin/secrets@0.1.0", "other"]
    {
        let error = refusal_of_text(&format!(r#"(component (import "{import}" (instance)))"#)).await;
        assert!(error.message.starts_with(&format!("the component imports `{import}`")), "{error}");
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "plugin-import"));
    }
}

#[tokio::test]
async fn another_version_of_the_contract_is_named_with_the_way_out() {
    let newer = "; update the host, or build the component for that version";
    let older = "; build the component for that version";
    for (kind, name, version, way_out) in [
        ("import", "models", "0.2.0", newer),
        ("export", "plugin", "0.1.1", newer),
        ("export", "plugin", "1.0.0-rc.1", newer),
        ("export", "plugin", "0.0.9", older),
    ] {
        let name = format!("llm-bench:plugin/{name}@{version}");
        let wat = match kind {
            "import" => format!(r#"(component (import "{name}" (instance)))"#),
            _ => format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#),
        };
        let error = refusal_of_text(&wat).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "plugin-contract-version"));
        assert_eq!(
            error.message,
            format!(
                "the component is made for version {version} of the contract `llm-bench:plugin`, and this host supports \
                 0.1.0{way_out}"
            )
        );
    }
}

#[tokio::test]
async fn a_function_too_large_to_compile_is_refused_before_it_is() {
    let mut component = Component::new().finish();
    bomb::add(&mut component, &bomb::large_function(1 << 20));
    let error = refusal(&sandbox(), &component).await;
    assert_eq!(&*error.code, "plugin-too-complex");
    assert!(error.message.ends_with("at most 1048576 are compiled"), "{error}");
}

#[tokio::test]
async fn more_functions_than_anybody_needs_are_refused_before_they_take_memory() {
    let mut component = Component::new().finish();
    bomb::add(&mut component, &bomb::empty_functions(300_000));
    let error = refusal(&sandbox(), &component).await;
    assert_eq!(&*error.code, "plugin-too-complex");
    assert_eq!(error.message, "the component lists more than 250000 types, functions and other things");
}

#[tokio::test]
async fn components_in_components_end_somewhere() {
    let wat = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
    let error = refusal_of_text(&wat).await;
    assert_eq!(&*error.code, "plugin-too-complex");
    assert!(error.message.contains("nests more than 32"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_too_large_or_not_there_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload.wasm");
    fs::File::create(&file).unwrap().set_len((64 << 20) + 1).unwrap();
    let error = sandbox().admit(&file).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::TooLarge, "a component has at most 64 MiB"));
    let error = sandbox().admit(Path::new("/nowhere.wasm")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "there is no file /nowhere.wasm"));
}
