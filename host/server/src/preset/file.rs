//! The schema of a preset's file. An unknown key is refused by name.
//!
//! ```toml
//! description = "what it measures"
//! plugin = "multiple-choice"          # name or name@version
//! dataset = "capitals"                # a registered dataset, or the one of the Hub whose rows the user brings:
//! # dataset = { hub = "allenai/ai2_arc", config = "ARC-Easy" }
//! split = "test"                      # what is evaluated
//! few_shot = 5                        # or { count = 5, split = "dev", sampling = "random", exclude_evaluated = true }
//! chat = true                         # ask by the model's chat template
//! system = "Answer briefly."          # instructions before everything
//!
//! [columns]                           # columns that the config knows by another name
//! question = "query"
//!
//! [config]                            # the plugin's settings: `llm-bench plugins show NAME`
//! prompt = "Question: {{ question }}\nAnswer:"
//! ```
//!
//! A **group** puts the results of other presets together: means weighted by size, with a pooled standard error.
//!
//! ```toml
//! [group]
//! members = ["arc_easy", "arc_challenge"]
//! metrics = ["acc"]                   # every mean that all have, unless named
//! ```
//!
//! A group may make its members from the file that it stands in, one for each subject. `{{ subject }}` is filled in
//! every value of the file before anything else (in no key), and `{{ subject | words }}` with spaces for its
//! underscores. Parts of the list that have names are groups by these names.
//!
//! ```toml
//! plugin = "multiple-choice"
//! dataset = { hub = "cais/mmlu", config = "{{ subject }}" }
//!
//! [group]
//! member = "mmlu_{{ subject }}"
//!
//! [group.subjects]
//! mmlu_stem = ["abstract_algebra", "anatomy"]
//! mmlu_other = ["virology"]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use llm_bench_core::name::Name;
use llm_bench_core::{Json, Row};
use serde::Deserialize;

use super::{DatasetReference, FewShotChoices, GroupPreset, Preset, TaskPreset};

const SUBJECT: &str = "{{ subject }}";
const SUBJECT_IN_WORDS: &str = "{{ subject | words }}";

/// A preset's file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    description: String,
    plugin: Option<String>,
    dataset: Option<WrittenDataset>,
    split: Option<String>,
    few_shot: Option<WrittenFewShot>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    chat: Option<bool>,
    system: Option<String>,
    #[serde(default)]
    config: Row,
    group: Option<WrittenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    members: Option<Vec<String>>,
    member: Option<String>,
    subjects: Option<Subjects>,
    metrics: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of subjects, or a table of such lists by the names of their groups"
)]
enum Subjects {
    List(Vec<String>),
    Parts(BTreeMap<String, Vec<String>>),
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Json")]
struct WrittenDataset(DatasetReference);

#[derive(Debug, Deserialize)]
#[serde(try_from = "Json")]
struct WrittenFewShot(FewShotChoices);

/// The preset of a file, and those that it makes.
///
/// # Errors
/// What is wrong, with its place in the text where that is known.
pub(super) fn parse(name: &str, text: &str) -> Result<(Preset, Vec<Preset>), String> {
    let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
    let Some(group) = written.group else {
        return Ok((written.into_task(name.to_owned())?, Vec::new()));
    };
    let file: Row = toml::from_str(text).map_err(|error| error.to_string())?;
    if let Some(members) = group.members {
        if group.member.is_some() || group.subjects.is_some() {
            return Err("a group has either `members`, or `member` and `subjects`".to_owned());
        }
        if let Some(key) = file.keys().find(|key| !["description", "group"].contains(&key.as_str())) {
            return Err(format!("a group of `members` has no `{key}` of its own: its members have theirs"));
        }
        let group = named_group(name, &written.description, members, group.metrics.as_ref())?;
        return Ok((group, Vec::new()));
    }
    let (Some(member), Some(subjects)) = (group.member, group.subjects) else {
        return Err("a group needs `members`, or `member` and `subjects`".to_owned());
    };
    if !member.contains(SUBJECT) {
        return Err(format!("`group.member` is the same for every subject: write {SUBJECT} in it"));
    }
    let parts = match subjects {
        Subjects::List(list) => vec![(None, list)],
        Subjects::Parts(parts) => parts.into_iter().map(|(part, list)| (Some(part), list)).collect(),
    };
    let (mut groups, mut tasks) = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    for (part, subjects) in parts {
        let members: Vec<String> = subjects.iter().map(|subject| fill(&member, subject)).collect();
        for (subject, name) in subjects.iter().zip(&members) {
            tasks.push(Written::about(subject, file.clone())?.into_task(name.clone())?);
        }
        if let Some(part) = part {
            let description = format!("{}: {}", written.description, part);
            groups.push(named_group(&part, &description, members.clone(), group.metrics.as_ref())?);
        }
        all.extend(members);
    }
    let whole = named_group(name, &written.description, all, group.metrics.as_ref())?;
    Ok((whole, groups.into_iter().chain(tasks).collect()))
}

fn named_group(
    name: &str,
    description: &str,
    members: Vec<String>,
    metrics: Option<&Vec<String>>,
) -> Result<Preset, String> {
    Name::new(name).map_err(|error| error.message)?;
    if members.is_empty() {
        return Err(format!("the group `{name}` has no members"));
    }
    let mut seen = BTreeSet::new();
    for member in &members {
        Name::new(member).map_err(|error| error.message)?;
        if member == name || !seen.insert(member) {
            return Err(format!("`{member}` stands twice in the group `{name}`"));
        }
    }
    Ok(Preset::Group(GroupPreset {
        name: name.to_owned(),
        description: description.to_owned(),
        members,
        metrics: metrics.cloned(),
    }))
}

impl Written {
    /// The file of one subject: filled before it is read, so that nothing of it is forgotten.
    fn about(subject: &str, file: Row) -> Result<Self, String> {
        let mut file = Json::Object(file);
        fill_all(&mut file, subject);
        serde_json::from_value(file).map_err(|error| format!("of the subject `{subject}`: {error}"))
    }

    fn into_task(self, name: String) -> Result<Preset, String> {
        let plugin = self.plugin.ok_or("there is no `plugin`; name one, such as \"multiple-choice\"")?;
        for (setting, is_given) in [("chat", self.chat.is_some()), ("system", self.system.is_some())] {
            if is_given && self.config.contains_key(setting) {
                return Err(format!("`{setting}` is given twice: once of the preset, once in its config"));
            }
        }
        Ok(Preset::Task(Box::new(TaskPreset {
            name,
            description: self.description,
            plugin,
            config: self.config,
            dataset: self.dataset.map(|dataset| dataset.0),
            split: self.split,
            few_shot: self.few_shot.map(|few_shot| few_shot.0).unwrap_or_default(),
            columns: self.columns,
            chat: self.chat,
            system: self.system,
        })))
    }
}

fn fill(text: &str, subject: &str) -> String {
    text.replace(SUBJECT_IN_WORDS, &subject.replace('_', " ")).replace(SUBJECT, subject)
}

fn fill_all(value: &mut Json, subject: &str) {
    match value {
        Json::String(text) => *text = fill(text, subject),
        Json::Array(list) => list.iter_mut().for_each(|entry| fill_all(entry, subject)),
        Json::Object(object) => object.values_mut().for_each(|entry| fill_all(entry, subject)),
        _ => {}
    }
}

impl TryFrom<Json> for WrittenDataset {
    type Error = String;

    fn try_from(value: Json) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Hub {
            hub: String,
            config: Option<String>,
        }
        match value {
            Json::String(name) => Ok(Self(DatasetReference::Registered(name))),
            table => {
                let Hub { hub, config } =
                    serde_json::from_value(table).map_err(|error| format!("`dataset`: {error}"))?;
                Ok(Self(DatasetReference::Hub { repository: hub, config }))
            }
        }
    }
}

impl TryFrom<Json> for WrittenFewShot {
    type Error = String;

    fn try_from(value: Json) -> Result<Self, String> {
        let table = if value.is_number() { serde_json::json!({ "count": value }) } else { value };
        serde_json::from_value(table).map(Self).map_err(|error| format!("`few_shot`: {error}"))
    }
}

#[cfg(test)]
mod tests;
