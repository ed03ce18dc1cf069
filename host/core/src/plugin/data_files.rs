//! Files that an administrator gives a plugin beside its component.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::benchmark::PluginPin;
use crate::plugin::{Plugin, PluginReference};
use crate::{Error, Result};

/// Longest name of a data file, in bytes: every form of tar has room for so many.
const NAME_BYTES: usize = 100;
/// Data files that a plugin may have.
const FILES: usize = 256;

/// The files that a plugin reads, and their content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFiles {
    /// SHA-256, in hexadecimal, of what `sha256sum` prints for the files in the order of their names: a line for each
    /// with its own SHA-256, two spaces, and its name.
    pub digest: String,
    /// The bytes of each file.
    pub files: BTreeMap<String, u64>,
}

impl Plugin {
    /// This version with its content, as a benchmark keeps it.
    pub fn pin(&self) -> PluginPin {
        PluginPin {
            name: self.name.to_string(),
            version: self.version.clone(),
            digest: self.digest.clone(),
            data_files: self.grants.data_files.as_ref().map(|files| files.digest.clone()),
        }
    }

    /// Whether a benchmark may use it now.
    ///
    /// # Errors
    /// `plugin-disabled` and the like; `data-files-missing` where it was not given the files that it reads.
    pub fn ensure_usable(&self) -> Result<()> {
        self.standing.ensure_usable(self.reference())?;
        if self.descriptor.data_files.is_empty() || self.grants.data_files.is_some() {
            return Ok(());
        }
        Err(Error::conflict("data-files-missing", missing(&self.reference(), &self.descriptor.data_files)))
    }
}

fn missing(plugin: &PluginReference, names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    let names = names[..names.len().min(SHOWN)].join(", ");
    format!(
        "plugin `{plugin}` reads data files ({names}{more}), which it was not given; an administrator gives them as a \
         .tar: llm-bench plugins grant {plugin} --data-files FILE.tar"
    )
}

/// Checks the names of data files that a plugin declares; says what is wrong in the end of a sentence about it.
pub fn check_data_file_names(names: &[String]) -> Result<(), String> {
    if names.len() > FILES {
        return Err(format!("it reads {} data files; at most {FILES} are allowed", names.len()));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        if !is_name(name) {
            let shown: String = name.chars().take(NAME_BYTES).collect();
            return Err(format!(
                "its data file `{}` is not named by parts of letters, digits, `.`, `_` and `-`, none of which begins \
                 with `.`, between single `/`, in at most {NAME_BYTES} bytes",
                shown.escape_debug()
            ));
        }
        if !seen.insert(name.as_str()) {
            return Err(format!("it names its data file `{name}` twice"));
        }
    }
    let is_folder = |name: &&&str| seen.iter().any(|other| is_within(other, name));
    match seen.iter().find(is_folder) {
        Some(name) => Err(format!("its data file `{name}` is the folder of another one")),
        None => Ok(()),
    }
}

fn is_within(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    name.len() <= NAME_BYTES && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str]) -> Result<(), String> {
        check_data_file_names(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_plain_relative_paths() {
        check(&[]).unwrap();
        check(&["words.txt", "tables/a-b_C.9.csv", "tables/b"]).unwrap();
        for wrong in
            ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "ü", "a b"]
        {
            let reason = check(&["good", wrong]).unwrap_err();
            assert!(reason.contains(&format!("`{}`", wrong.escape_debug())), "{reason}");
        }
        check(&[&"x".repeat(NAME_BYTES)]).unwrap();
        assert!(check(&[&"x".repeat(NAME_BYTES + 1)]).is_err());
    }

    #[test]
    fn a_name_stands_once_and_is_no_folder() {
        assert!(check(&["a", "b", "a"]).unwrap_err().contains("`a` twice"));
        assert!(check(&["a/b", "a"]).unwrap_err().contains("`a` is the folder"));
        check(&["a/b", "a.b", "ab"]).unwrap();
        let many: Vec<String> = (0..=FILES).map(|index| index.to_string()).collect();
        assert!(check_data_file_names(&many).unwrap_err().contains("at most 256"));
        check_data_file_names(&many[1..]).unwrap();
    }
}
