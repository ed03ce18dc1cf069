use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, escape_formatter};
use minijinja_contrib::pycompat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Pattern, is_space, strip};
use crate::{Error, Result};

/// A Jinja template over a row: a prompt that a benchmark's config can change. In a config it is a string.
///
/// Nothing is escaped and nothing is trimmed. Printing what the row does not have is an error that names it, asking
/// for it (`{% if context %}`) is not. Python's string methods work, as does the filter `regex_replace`; `true` and
/// `none` print as Python prints them.
///
/// ```
/// use llm_bench_plugin_sdk::{Row, Template};
///
/// let prompt = Template::parse("{% if context %}{{ context }}\n{% endif %}Question: {{ question }}\nAnswer:")?;
/// let row: Row = serde_json::from_str(r#"{"question": "2 + 2?"}"#).unwrap();
/// assert_eq!(prompt.render(&row)?, "Question: 2 + 2?\nAnswer:");
///
/// let error = Template::parse("{{ querstion }}")?.render(&row).unwrap_err();
/// assert!(error.message.contains("`querstion`"), "{error}");
/// # Ok::<(), llm_bench_plugin_sdk::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(description = "A Jinja template over the row.")]
pub struct Template {
    source: Arc<str>,
}

/// All compiled templates, each by its own text. An environment has a hundred filters and tests of its own: making one
/// takes longer than most templates take to compile and to fill.
static COMPILED: LazyLock<Mutex<Arc<Environment<'static>>>> =
    LazyLock::new(|| Mutex::new(Arc::new(environment())));

/// They are whole after a panic too: a template is there or it is not.
fn compiled() -> MutexGuard<'static, Arc<Environment<'static>>> {
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An environment without templates.
fn environment() -> Environment<'static> {
    let syntax =
        SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the delimiters are Jinja's");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_debug(true);
    environment.set_formatter(|output, state, value| match value.kind() {
        ValueKind::Bool if value.is_true() => Ok(output.write_str("True")?),
        ValueKind::Bool => Ok(output.write_str("False")?),
        ValueKind::None => Ok(output.write_str("None")?),
        _ => escape_formatter(output, state, value),
    });
    environment.set_unknown_method_callback(python_method);
    environment.add_filter("regex_replace", regex_replace);
    environment
}

impl Template {
    /// Compiles a template, and keeps it as long as the plugin's instance lives.
    ///
    /// # Errors
    /// `invalid-config`, with the line, where it is no template.
    pub fn parse(source: &str) -> Result<Self> {
        let mut compiled = compiled();
        if compiled.get_template(source).is_err() {
            // Who fills a template at this moment goes on with the environment that there was.
            Arc::make_mut(&mut compiled).add_template_owned(source.to_owned(), source.to_owned()).map_err(
                |error| Error::invalid_config(format!("template: {error:#}", error = Brief(&error))),
            )?;
        }
        Ok(Self { source: source.into() })
    }

    /// Fills the template with a row: an object whose entries are the template's variables.
    ///
    /// # Errors
    /// `invalid-sample`, naming what the row lacks.
    #[expect(clippy::missing_panics_doc, reason = "the template was added when it was parsed")]
    pub fn render(&self, row: &impl Serialize) -> Result<String> {
        let variables = Value::from(Serde(row));
        let compiled = Arc::clone(&compiled());
        let template = compiled.get_template(&self.source).expect("parse adds the template");
        template.render(&variables).map_err(|error| {
            let columns = variables.try_iter().map_or_else(
                |_| String::new(),
                |columns| columns.map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", "),
            );
            let has = if error.kind() == ErrorKind::UndefinedError {
                format!("; the row has {columns}")
            } else {
                String::new()
            };
            Error::invalid_sample(format!("template: {}{has}", Brief(&error)))
        })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// An error without the name of the template, which nobody chose.
struct Brief<'a>(&'a minijinja::Error);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(formatter, "{}", error.kind())?;
        if let Some(detail) = error.detail() {
            write!(formatter, ": {detail}")?;
        }
        match error.line() {
            Some(line) => write!(formatter, " (line {line})"),
            None => Ok(()),
        }
    }
}

fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, minijinja::Error> {
    // The white space of Python, see `strip`.
    match (value.as_str(), method, arguments) {
        (Some(text), "strip", []) => Ok(Value::from(strip(text))),
        (Some(text), "lstrip", []) => Ok(Value::from(text.trim_start_matches(is_space))),
        (Some(text), "rstrip", []) => Ok(Value::from(text.trim_end_matches(is_space))),
        (Some(text), "split", []) => {
            Ok(text.split(is_space).filter(|word| !word.is_empty()).map(Value::from).collect())
        }
        (Some(text), "capitalize", []) => Ok(Value::from(capitalize(text))),
        (None, "index", [wanted]) if value.kind() == ValueKind::Seq => index(value, wanted),
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

/// The first letter large, all others small. Of letters whose title case is a letter of its own only those of Latin
/// are known.
fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    let Some(first) = rest.next() else { return String::new() };
    let mut capitalized = match first {
        '\u{1c4}'..='\u{1c6}' => "\u{1c5}".to_owned(),
        '\u{1c7}'..='\u{1c9}' => "\u{1c8}".to_owned(),
        '\u{1ca}'..='\u{1cc}' => "\u{1cb}".to_owned(),
        '\u{1f1}'..='\u{1f3}' => "\u{1f2}".to_owned(),
        // ß becomes Ss.
        first => {
            let mut upper = first.to_uppercase();
            upper.next().into_iter().chain(upper.flat_map(char::to_lowercase)).collect()
        }
    };
    capitalized.push_str(&rest.as_str().to_lowercase());
    capitalized
}

/// Python's `list.index`, which pycompat lacks.
fn index(list: &Value, wanted: &Value) -> Result<Value, minijinja::Error> {
    list.try_iter()?.position(|entry| entry == *wanted).map(Value::from).ok_or_else(|| {
        minijinja::Error::new(ErrorKind::InvalidOperation, format!("{wanted} is not in the list {list}"))
    })
}

/// Python's `re.sub`, by the name that evaluation templates know.
fn regex_replace(text: &str, pattern: &str, replacement: &str) -> Result<String, minijinja::Error> {
    let pattern = Pattern::parse(pattern)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.message))?;
    Ok(pattern.replace_all(text, replacement))
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(source: String) -> Result<Self> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source.as_ref().into()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Template").field(&self.source).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str) -> Result<String> {
        let row = json!({"q": " 2 < 3? ", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "ok": true, "no": null});
        Template::parse(source)?.render(&row)
    }

    #[test]
    fn nothing_is_escaped_or_trimmed() {
        assert_eq!(render("{{ q }}\n").unwrap(), " 2 < 3? \n");
    }

    #[test]
    fn python_methods_and_values_work() {
        assert_eq!(render("{{ q.strip() }} {{ ok }} {{ no }}").unwrap(), "2 < 3? True None");
        assert_eq!(
            render("{{ choices.text[1] }}{{ q | regex_replace('\\\\d', 'n') }}").unwrap(),
            "b n < n? "
        );
        assert_eq!(
            render("{{ 'a [x] b' | regex_replace('\\\\[(.*?)\\\\]', '<\\\\1>') }}").unwrap(),
            "a <x> b"
        );
        assert_eq!(render("{% for key in choices %}{{ key }},{% endfor %}").unwrap(), "text,label,");
    }

    #[test]
    fn texts_are_taken_apart_as_python_does() {
        let render = |source: &str| {
            let row = json!({"s": "aB_cD _e", "list": ["x", "y"], "ss": "ßA", "w": "a\u{1f}b  c"});
            Template::parse(source)?.render(&row)
        };
        assert_eq!(
            render("{{ s.capitalize() }} {{ ss.capitalize() }} {{ ''.capitalize() }}").unwrap(),
            "Ab_cd _e Ssa "
        );
        assert_eq!(render("{{ s.split('_')[0] }}|{{ s.split('_', 1)[1] }}").unwrap(), "aB|cD _e");
        assert_eq!(render("{{ s[:s.find('_')] }}|{{ s[s.find('_') + 1:] }}").unwrap(), "aB|cD _e");
        assert_eq!(render("{{ s.split(' ')[:-1] | join(' ') }}|{{ s.split(' ')[-1] }}").unwrap(), "aB_cD|_e");
        assert_eq!(render("{{ list.index('y') }}{{ w.split() | join(',') }}").unwrap(), "1a,b,c");
        assert!(render("{{ list.index('z') }}").unwrap_err().message.contains("z is not in the list"));
        assert!(render("{{ s.split('#', 1)[1].strip() }}").is_err());
    }

    #[test]
    fn what_the_row_lacks_is_named() {
        let error = render("{{ q }} {{ context }}").unwrap_err();
        assert_eq!(
            error.message,
            "template: undefined value: `context` is undefined (line 1); the row has `q`, `choices`, `ok`, `no`"
        );
        assert!(render("{{ choices.txt }}").unwrap_err().message.contains("choices.txt"));
        assert_eq!(render("{% if context %}{{ context }}{% endif %}").unwrap(), "");
    }

    #[test]
    fn a_template_that_does_not_parse_is_a_config_error_with_its_line() {
        let error = render("a\n{% if q %}").unwrap_err();
        assert_eq!(error.code, crate::ErrorCode::InvalidConfig);
        assert!(error.message.contains("line 2"), "{error}");
    }

    #[test]
    fn in_json_a_template_is_its_text() {
        let template: Template = serde_json::from_value(json!("{{ q }}")).unwrap();
        assert_eq!(serde_json::to_value(&template).unwrap(), json!("{{ q }}"));
        let schema = schemars::schema_for!(Template).to_value();
        assert_eq!(schema["type"], "string");
        assert_eq!(schema["description"], "A Jinja template over the row.");
    }
}
