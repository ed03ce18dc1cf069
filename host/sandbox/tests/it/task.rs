//! A task made by hand, of which any part may be wrong; see `task.wat`.

use std::fmt::Write;
use std::fs;

use llm_bench_core::Error;
use llm_bench_core::plugin::{Admission, Sandbox};
use llm_bench_sandbox::WasmSandbox;
use tempfile::TempDir;

/// What stands in the braces of `task.wat`.
pub(crate) struct Task<'a> {
    pub(crate) describe: &'a str,
    /// Gives the address of a result, whose list of metrics is empty.
    pub(crate) metrics: &'a str,
    /// From address 1024 on.
    pub(crate) data: &'a str,
    pub(crate) pages: u32,
    pub(crate) extra: &'a str,
    pub(crate) scorer: &'a str,
    pub(crate) imports: &'a str,
    pub(crate) with: &'a str,
}

impl Default for Task<'_> {
    fn default() -> Self {
        Self {
            describe: "unreachable",
            metrics: "(i32.const 512)",
            data: "",
            pages: 1,
            extra: "",
            scorer: r#"(export "score" (func $score))"#,
            imports: "",
            with: "",
        }
    }
}

impl Task<'_> {
    pub(crate) fn wat(&self) -> String {
        include_str!("task.wat")
            .replace("{describe}", self.describe)
            .replace("{metrics}", self.metrics)
            .replace("{data}", self.data)
            .replace("{pages}", &self.pages.to_string())
            .replace("{extra}", self.extra)
            .replace("{scorer}", self.scorer)
            .replace("{imports}", self.imports)
            .replace("{with}", self.with)
    }

    pub(crate) async fn admit(&self, sandbox: &WasmSandbox) -> Result<Admission, Error> {
        admit(sandbox, &wat::parse_str(self.wat()).unwrap()).await
    }
}

pub(crate) async fn admit(sandbox: &WasmSandbox, bytes: &[u8]) -> Result<Admission, Error> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("upload.wasm");
    fs::write(&file, bytes).unwrap();
    sandbox.admit(&file).await
}

/// What a task says of itself.
pub(crate) struct Words<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) example: &'a str,
}

impl Default for Words<'_> {
    fn default() -> Self {
        Self { name: "name", version: "1.0.0", schema: "{}", example: "{}" }
    }
}

impl Words<'_> {
    /// What `describe` does, and the data that it points to: the name first. A backslash begins an escape of the text
    /// format, which stands for one byte.
    pub(crate) fn describe(&self) -> (String, String) {
        let (mut code, mut data, mut address) = (String::new(), String::new(), 1024);
        let fields = [self.name, self.version, "measures", self.schema, self.example];
        for (index, text) in fields.into_iter().enumerate() {
            let length = text.len() - 2 * text.matches('\\').count();
            let at = index * 8;
            writeln!(code, "(i32.store (i32.const {at}) (i32.const {address}))").unwrap();
            writeln!(code, "(i32.store (i32.const {}) (i32.const {length}))", at + 4).unwrap();
            data.push_str(&text.replace('"', "\\22"));
            address += length;
        }
        // The lists of parts and data files are empty.
        code.push_str("(i32.const 0)");
        (code, data)
    }
}
