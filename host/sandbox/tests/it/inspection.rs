//! Files that are no plugins, each refused with what it is.

use std::fs;
use std::path::Path;

use llm_bench_core::plugin::Sandbox;
use llm_bench_core::{Error, ErrorKind};
use llm_bench_sandbox::WasmSandbox;
use tempfile::TempDir;

use crate::support::{compiler, plugin, sandbox, sandbox_with};

async fn refusal(sandbox: &WasmSandbox, bytes: &[u8]) -> Error {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload.wasm");
    fs::write(&file, bytes).unwrap();
    sandbox.admit(&file).await.unwrap_err()
}

async fn refusal_of_text(wat: &str) -> Error {
    refusal(&sandbox(), &wat::parse_str(wat).unwrap()).await
}

#[tokio::test]
async fn what_is_no_component_is_told_what_it_is() {
    let sandbox = sandbox();
    let module = wat::parse_str("(module)").unwrap();
    let cases: [(&[u8], &str); 7] = [
        (b"", "the file is empty"),
        (b"\0asm\x0d", "the file is cut off within its first 8 bytes"),
        (b"hello", "the file is no WebAssembly"),
        (b"\x7fELF\x02\x01\x01", "the file is no WebAssembly"),
        (b"\n (component)", "the file is WebAssembly text; translate it with `wasm-tools parse`"),
        (b"\0asm\x07\0\0\0", "the file is WebAssembly of an unknown version"),
        (&module, "the file is a core WebAssembly module, not a component"),
    ];
    for (bytes, sentence) in cases {
        let error = refusal(&sandbox, bytes).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "invalid-plugin"));
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
    assert!(error.message.starts_with("the file is compiled code"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_refused() {
    let (sandbox, bytes) = (sandbox(), fs::read(plugin("hostile")).unwrap());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload.wasm");
    for end in (0..4096).step_by(7).chain((4096..bytes.len()).step_by(9973)) {
        fs::write(&file, &bytes[..end]).unwrap();
        let error = sandbox.admit(&file).await.expect_err(&format!("cut off at {end}"));
        assert!(matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported), "{end}: {error:?}");
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_is_supported() {
    let error = refusal_of_text("(component)").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unsupported, "unsupported-plugin"));
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
        assert_eq!(error.kind, ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn another_version_of_the_contract_is_named() {
    for (kind, name) in [("import", "models"), ("export", "plugin")] {
        let name = format!("llm-bench:plugin/{name}@0.2.0");
        let wat = match kind {
            "import" => format!(r#"(component (import "{name}" (instance)))"#),
            _ => format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#),
        };
        let error = refusal_of_text(&wat).await;
        assert!(error.message.contains("version 0.2.0 of the contract"), "{error}");
        assert!(error.message.ends_with("this host supports 0.1.0"), "{error}");
    }
}

#[tokio::test]
async fn a_function_too_large_to_compile_is_refused_before_it_is() {
    let body = "nop ".repeat((1 << 20) + 1);
    let error = refusal_of_text(&format!("(component (core module (func {body})))")).await;
    assert!(error.message.ends_with("at most 1048576 are compiled"), "{error}");
}

#[tokio::test]
async fn components_in_components_end_somewhere() {
    let wat = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
    let error = refusal_of_text(&wat).await;
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
