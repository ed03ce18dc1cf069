//! Long strings of model requests, stored once.
//!
//! A five-shot context stands in every choice of every question. In what is stored of a request, a string of at
//! least [`MIN_BYTES`] is replaced by `{"$text": "<SHA-256 in hexadecimal>"}` and kept in the table `texts`.
//! A key that is itself `$text`, or `$$text` and so on, gets one more `$`, so every JSON value comes back as it was.

use std::collections::HashMap;

use llm_bench_core::{Error, Json, Result, Row};
use sha2::{Digest, Sha256};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::database_error;

/// Shorter strings cost less where they are than their reference would.
const MIN_BYTES: usize = 96;

const KEY: &str = "$text";

/// Texts by the hexadecimal digest that references bear.
#[derive(Debug, Default)]
pub(crate) struct Texts(HashMap<String, String>);

impl Texts {
    /// Takes the long strings out of a value.
    pub(crate) fn take_from(&mut self, value: Json) -> Json {
        match value {
            Json::String(text) if text.len() >= MIN_BYTES => {
                let digest = hex::encode(Sha256::digest(&text));
                self.0.entry(digest.clone()).or_insert(text);
                Json::Object(Row::from_iter([(KEY.to_owned(), Json::String(digest))]))
            }
            Json::Array(items) => items.into_iter().map(|item| self.take_from(item)).collect(),
            Json::Object(fields) => {
                fields.into_iter().map(|(key, field)| (escape(key), self.take_from(field))).collect()
            }
            other => other,
        }
    }

    /// Puts the long strings back.
    pub(crate) fn put_into(&self, value: Json) -> Result<Json> {
        if let Some(digest) = reference(&value) {
            let text = self.0.get(digest).ok_or_else(|| {
                Error::internal("storage-unreadable", format!("the text {digest} is missing in the database"))
            })?;
            return Ok(Json::String(text.clone()));
        }
        match value {
            Json::Array(items) => items.into_iter().map(|item| self.put_into(item)).collect(),
            Json::Object(fields) => fields
                .into_iter()
                .map(|(key, field)| Ok((unescape(key), self.put_into(field)?)))
                .collect::<Result<Row>>()
                .map(Json::Object),
            other => Ok(other),
        }
    }

    /// Keeps those that are new; their bytes together.
    pub(crate) async fn store(&self, transaction: &mut Transaction<'_, Sqlite>) -> Result<u64> {
        const INSERT: &str =
            "INSERT INTO texts (digest, text) VALUES (unhex(?), ?) ON CONFLICT (digest) DO NOTHING";
        let mut bytes = 0;
        for (digest, text) in &self.0 {
            let done = sqlx::query(INSERT)
                .bind(digest)
                .bind(text)
                .execute(&mut **transaction)
                .await
                .map_err(database_error)?;
            if done.rows_affected() > 0 {
                bytes += text.len() as u64;
            }
        }
        Ok(bytes)
    }

    /// Loads the texts that some values refer to.
    pub(crate) async fn load<'a>(
        values: impl IntoIterator<Item = &'a Json>,
        readers: &SqlitePool,
    ) -> Result<Self> {
        const SELECT: &str = "SELECT lower(hex(digest)), text FROM texts
            WHERE digest IN (SELECT unhex(value) FROM json_each(?))";
        let mut digests = Vec::new();
        for value in values {
            collect_references(value, &mut digests);
        }
        if digests.is_empty() {
            return Ok(Self::default());
        }
        let wanted = Json::from(digests).to_string();
        let texts: Vec<(String, String)> =
            sqlx::query_as(SELECT).bind(wanted).fetch_all(readers).await.map_err(database_error)?;
        Ok(Self(texts.into_iter().collect()))
    }
}

fn collect_references<'a>(value: &'a Json, digests: &mut Vec<&'a str>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| collect_references(item, digests)),
        Json::Object(fields) => match reference(value) {
            Some(digest) => digests.push(digest),
            None => fields.values().for_each(|field| collect_references(field, digests)),
        },
        _ => {}
    }
}

/// A stored value bears the bare key in references alone.
fn reference(value: &Json) -> Option<&str> {
    value.as_object()?.get(KEY)?.as_str()
}

fn escape(key: String) -> String {
    if key.trim_start_matches('$') == "text" && key.starts_with('$') { format!("${key}") } else { key }
}

fn unescape(key: String) -> String {
    match key.strip_prefix('$') {
        Some(rest) if rest.starts_with('$') && rest.trim_start_matches('$') == "text" => rest.to_owned(),
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = String> {
        prop_oneof!["\\${0,4}text", "[a-c$]{0,3}", any::<String>()]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-zé\0]{90,100}", Just("x".repeat(5_000)), "[0-9a-f]{64}"]
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            text().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::vec((key(), inner), 0..6)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn longest_string(value: &Json) -> usize {
        match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(longest_string).max().unwrap_or(0),
            Json::Object(fields) => fields.values().map(longest_string).max().unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_and_no_long_string_stays(value in json()) {
            let mut texts = Texts::default();
            let stored = texts.take_from(value.clone());
            prop_assert!(longest_string(&stored) < MIN_BYTES);

            let mut wanted = Vec::new();
            collect_references(&stored, &mut wanted);
            prop_assert!(wanted.iter().all(|digest| texts.0.contains_key(*digest)));
            prop_assert_eq!(texts.put_into(stored).unwrap(), value);
        }
    }

    #[test]
    fn a_text_that_recurs_is_taken_once() {
        let context = "question and answer ".repeat(40);
        let mut texts = Texts::default();
        texts.take_from(serde_json::json!([{"context": context}, {"context": context}, "short"]));
        assert_eq!(texts.0.len(), 1);
    }

    #[test]
    fn a_reference_to_a_missing_text_is_an_error() {
        let stored = serde_json::json!({KEY: "00"});
        assert_eq!(Texts::default().put_into(stored).unwrap_err().code, "storage-unreadable");
    }
}
