//! From the contract to the domain. What a guest says of itself and of samples is checked on the way; requests are
//! not, because a model is asked by nobody else's rules.

mod output;
mod request;

use llm_bench_core::plugin::{Aggregation, Descriptor, MetricDeclaration, check_data_file_names};
use llm_bench_core::{Json, name::Name};

use crate::bindings::llm_bench::plugin::types;

pub(crate) use output::{measurements, solution};
pub(crate) use request::{generation_request, level, scoring_request};

/// What is wrong with a guest's output; the end of a sentence that names the plugin.
pub(crate) type Wrong = String;

const DESCRIPTION_BYTES: usize = 4096;
const VERSION_BYTES: usize = 64;
const SCHEMA_BYTES: usize = 256 << 10;
const METRICS: usize = 256;
/// Longest name of a metric or filter.
const NAME_BYTES: usize = 64;
pub(crate) const PARTS: [&str; 3] = ["subject", "judge", "embedder"];

/// What is wrong with what a plugin says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misdescribed {
    ConfigSchema(Wrong),
    ExampleConfig(Wrong),
    Other(Wrong),
}

/// What a plugin says of itself.
pub(crate) fn descriptor(raw: types::Descriptor) -> Result<Descriptor, Misdescribed> {
    check_words(&raw).map_err(Misdescribed::Other)?;
    Ok(Descriptor {
        config_schema: object("config schema", &raw.config_schema).map_err(Misdescribed::ConfigSchema)?,
        example_config: object("example config", &raw.example_config).map_err(Misdescribed::ExampleConfig)?,
        name: raw.name,
        version: raw.version,
        description: raw.description,
        parts: raw.parts,
        data_files: raw.data_files,
    })
}

fn check_words(raw: &types::Descriptor) -> Result<(), Wrong> {
    Name::new(raw.name.as_str()).map_err(|error| error.message)?;
    version(&raw.version)?;
    bounded("description", &raw.description, DESCRIPTION_BYTES)?;
    check_data_file_names(&raw.data_files)?;
    for (index, part) in raw.parts.iter().enumerate() {
        if !PARTS.contains(&part.as_str()) {
            return Err(format!(
                "its part `{}` is none of `subject`, `judge`, `embedder`",
                shown(part, NAME_BYTES)
            ));
        }
        if raw.parts[..index].contains(part) {
            return Err(format!("it names its part `{part}` twice"));
        }
    }
    Ok(())
}

/// Three numbers, and what may follow them.
fn version(version: &str) -> Result<(), Wrong> {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = version.len() <= VERSION_BYTES
        && numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    if is_version {
        return Ok(());
    }
    Err(format!("its version `{}` is no semantic version such as `1.0.0`", shown(version, VERSION_BYTES)))
}

fn object(what: &str, text: &str) -> Result<Json, Wrong> {
    bounded(what, text, SCHEMA_BYTES)?;
    match serde_json::from_str(text) {
        Ok(value @ Json::Object(_)) => Ok(value),
        Ok(_) => Err(format!("its {what} is no JSON object")),
        Err(error) => Err(format!("its {what} is no JSON: {error}")),
    }
}

/// The metrics that a plugin announces for a config.
pub(crate) fn metrics(raw: Vec<types::Metric>) -> Result<Vec<MetricDeclaration>, Wrong> {
    if raw.len() > METRICS {
        return Err(format!("it declares {} metrics; at most {METRICS} are allowed", raw.len()));
    }
    let mut metrics: Vec<MetricDeclaration> = Vec::with_capacity(raw.len());
    for metric in raw {
        let metric = self::metric(metric)?;
        if metrics.iter().any(|other| other.name == metric.name && other.filter == metric.filter) {
            return Err(format!("it declares the metric `{}` twice", metric.name));
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

fn metric(raw: types::Metric) -> Result<MetricDeclaration, Wrong> {
    let starts_well = raw.name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_name = raw.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !(starts_well && is_name && raw.name.len() <= NAME_BYTES) {
        return Err(format!(
            "its metric name `{}` is not made of up to {NAME_BYTES} lower case letters, digits and `_`, the first a \
             letter",
            shown(&raw.name, NAME_BYTES)
        ));
    }
    if let Some(filter) = &raw.filter {
        filter_name(filter)?;
    }
    bounded("metric's description", &raw.description, DESCRIPTION_BYTES)?;
    Ok(MetricDeclaration {
        name: raw.name,
        filter: raw.filter,
        description: raw.description,
        aggregation: match raw.aggregation {
            types::Aggregation::Mean => Aggregation::Mean,
            types::Aggregation::Sum => Aggregation::Sum,
            types::Aggregation::Median => Aggregation::Median,
            types::Aggregation::WeightedMean => Aggregation::WeightedMean,
            types::Aggregation::Perplexity => Aggregation::Perplexity,
            types::Aggregation::WeightedPerplexity => Aggregation::WeightedPerplexity,
            types::Aggregation::BitsPerByte => Aggregation::BitsPerByte,
            types::Aggregation::Corpus => Aggregation::Corpus,
        },
        higher_is_better: raw.higher_is_better,
    })
}

fn filter_name(filter: &str) -> Result<(), Wrong> {
    if filter.is_empty() || filter.chars().any(char::is_control) {
        return Err("the name of a filter is empty or holds control characters".to_owned());
    }
    bounded("filter's name", filter, NAME_BYTES)
}

fn bounded(what: &str, text: &str, most: usize) -> Result<(), Wrong> {
    if text.len() <= most {
        return Ok(());
    }
    Err(format!("its {what} has {} bytes; at most {most} are allowed", text.len()))
}

/// The beginning of a guest's text, for a sentence; of at most so many characters, all of them harmless.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut rest = text.chars();
    let mut shown: String = rest.by_ref().take(most).map(harmless).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The character, unless it is one that could steer a terminal.
pub(crate) fn harmless(c: char) -> char {
    if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> types::Descriptor {
        types::Descriptor {
            name: "a-plugin".into(),
            version: "1.2.3-beta.1".into(),
            description: "measures".into(),
            config_schema: r#"{"type": "object"}"#.into(),
            example_config: "{}".into(),
            parts: vec!["subject".into(), "judge".into()],
            data_files: vec![],
        }
    }

    #[test]
    fn a_good_descriptor_is_kept_as_it_is() {
        let descriptor = descriptor(raw()).unwrap();
        assert_eq!((descriptor.name.as_str(), descriptor.version.as_str()), ("a-plugin", "1.2.3-beta.1"));
        assert_eq!(descriptor.config_schema["type"], "object");
    }

    #[test]
    fn a_bad_descriptor_is_refused_with_the_rule_it_breaks() {
        let refusal = |change: fn(&mut types::Descriptor)| {
            let mut raw = raw();
            change(&mut raw);
            match descriptor(raw).unwrap_err() {
                Misdescribed::ConfigSchema(wrong)
                | Misdescribed::ExampleConfig(wrong)
                | Misdescribed::Other(wrong) => wrong,
            }
        };
        assert!(refusal(|raw| raw.name = "../x".into()).contains("`../x` is not a name"));
        for version in ["", "1", "1.0", "1.0.x", "1.0.0 ", "1..0", "latest"] {
            let raw = types::Descriptor { version: version.into(), ..raw() };
            let Misdescribed::Other(wrong) = descriptor(raw).unwrap_err() else { panic!("{version:?}") };
            assert!(wrong.contains("semantic version"), "{version:?}");
        }
        assert_eq!(refusal(|raw| raw.config_schema = "[]".into()), "its config schema is no JSON object");
        assert!(
            refusal(|raw| raw.example_config = "{".into()).starts_with("its example config is no JSON: EOF")
        );
        assert!(refusal(|raw| raw.parts.push("root".into())).contains("`root` is none of"));
        assert!(refusal(|raw| raw.parts.push("judge".into())).contains("twice"));
        assert!(refusal(|raw| raw.data_files.push("../x".into())).contains("`../x` is not named by"));
        assert!(refusal(|raw| raw.description = "x".repeat(5000)).contains("5000 bytes"));
    }

    #[test]
    fn what_is_shown_of_a_guests_text_is_short_and_steers_nothing() {
        assert_eq!(shown("naïve\ttext\n", 20), "naïve\ttext\n");
        assert_eq!(shown("naïve", 5), "naïve");
        assert_eq!(shown("naïve", 3), "naï…");
        assert_eq!(shown("\u{1b}[2J\u{9b}", 20), "\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn metrics_have_names_that_fit_tables_and_differ() {
        let metric = |name: &str, filter: Option<&str>| types::Metric {
            name: name.into(),
            filter: filter.map(str::to_owned),
            description: String::new(),
            aggregation: types::Aggregation::Mean,
            higher_is_better: true,
        };
        assert_eq!(metrics(vec![metric("acc", None), metric("acc", Some("strict"))]).unwrap().len(), 2);
        assert!(metrics(vec![metric("acc", None), metric("acc", None)]).unwrap_err().contains("twice"));
        for name in ["", "Acc", "1st", "a-b", "ä", &"x".repeat(65)] {
            assert!(metrics(vec![metric(name, None)]).is_err(), "{name:?}");
        }
        assert!(metrics(vec![metric("acc", Some(""))]).is_err());
        assert!(metrics((0..300).map(|n| metric(&format!("m{n}"), None)).collect()).is_err());
    }
}
