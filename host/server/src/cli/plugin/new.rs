//! `llm-bench plugin new`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result};

use crate::bundled::{Bundled, entries};
use crate::cli::ExitCode;
use crate::cli::output;
use crate::installation::Installation;

/// Marks a file of a template in which words are replaced, and is not part of its name.
const TEMPLATE: &str = "template";

#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// The plugin's name: lower case letters, digits and `-`, a letter first.
    name: String,
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// Where the project goes; it must not hold anything yet [default: ./NAME].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Language {
    #[default]
    Rust,
    Python,
    #[value(name = "javascript")]
    JavaScript,
}

impl Language {
    fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }
}

pub(super) fn new(arguments: &NewArguments) -> Result<ExitCode> {
    let installation = Installation::locate()?;
    let NewArguments { name, lang, folder } = arguments;
    check_name(name, &Bundled::find(&installation)?)?;
    let folder = folder.clone().unwrap_or_else(|| PathBuf::from(name));
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::invalid(
            "folder-not-empty",
            format!("the folder {} holds something already; choose another with --folder", folder.display()),
        ));
    }
    let template = installation.template(lang.folder());
    let sdk = installation.plugin_sdk();
    if !template.is_dir() || !sdk.is_dir() {
        let missing = if template.is_dir() { sdk } else { template };
        return Err(Error::unavailable(
            "installation-incomplete",
            format!("the installation lacks {}", missing.display()),
        ));
    }
    let words = [
        ("{{ name }}", name.clone()),
        ("{{ file }}", name.replace('-', "_")),
        ("{{ sdk }}", quoted(&sdk.to_string_lossy())),
    ];
    write_folder(&template, &folder, &words)?;
    if *lang != Language::Rust {
        // Bindings are generated from the contract; Rust has it in the SDK.
        write_folder(&sdk.join("wit"), &folder.join("wit"), &[])?;
    }
    output::print(&format!("{} is a project now; its README.md has the next steps\n", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// `invalid-name` for what no plugin or crate may be called, `plugin-name-reserved`.
fn check_name(name: &str, bundled: &Bundled) -> Result<()> {
    Name::new(name)?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) {
        let message =
            format!("`{name}` is no plugin's name: use lower case letters, digits and `-`, a letter first");
        return Err(Error::invalid("invalid-name", message));
    }
    if bundled.plugin_names().iter().any(|reserved| reserved == name) {
        let message = format!("`{name}` is the name of a built-in plugin; give yours another name");
        return Err(Error::invalid("plugin-name-reserved", message));
    }
    Ok(())
}

/// Copies a folder, with words replaced in the files that are marked so.
fn write_folder(from: &Path, to: &Path, words: &[(&str, String)]) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| cannot_write(to, &error))?;
    for source in entries(from)? {
        let name = source.file_name().unwrap_or_default();
        if source.is_dir() {
            write_folder(&source, &to.join(name), words)?;
            continue;
        }
        let is_template = source.extension().is_some_and(|extension| extension == TEMPLATE);
        let target = match source.file_stem().filter(|_| is_template) {
            // What is hidden is no part of an installation.
            Some(stem) if stem == "gitignore" => to.join(".gitignore"),
            Some(stem) => to.join(stem),
            None => to.join(name),
        };
        let text = fs::read_to_string(&source).map_err(|error| {
            Error::unavailable(
                "installation-incomplete",
                format!("cannot read {}: {error}", source.display()),
            )
        })?;
        let words = words.iter().filter(|_| is_template);
        let text = words.fold(text, |text, (word, value)| text.replace(word, value));
        fs::write(&target, text).map_err(|error| cannot_write(&target, &error))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable("cannot-write", format!("cannot write {}: {error}", path.display()))
}

/// The inside of a string in TOML or JSON.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
