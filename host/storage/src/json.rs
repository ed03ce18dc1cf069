//! JSON that gives back every float it was given.
//!
//! Plain JSON has no NaN and no infinities: `serde_json` writes null for them, and cannot read that back into a
//! float. Sums of log-likelihoods are −∞ now and then. Here such a float is written as the string `"NaN"`,
//! `"Infinity"` or `"-Infinity"`, and such a string is read as a float wherever a float is asked for.

mod decode;
mod encode;

use llm_bench_core::{Error, Json, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A serializer, a deserializer, or a value on its way through one, that knows all floats.
struct Exact<T>(T);

const NAN: &str = "NaN";
const INFINITY: &str = "Infinity";
const NEGATIVE_INFINITY: &str = "-Infinity";

pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Json> {
    value.serialize(Exact(serde_json::value::Serializer))
}

pub(crate) fn from_value<T: DeserializeOwned>(value: Json) -> serde_json::Result<T> {
    T::deserialize(Exact(value))
}

pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(&to_value(value)?)
}

/// # Errors
/// Besides broken text, text that is nested more than 127 levels deep.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    from_value(serde_json::from_str(text)?)
}

/// Refuses what could be written but not read again: JSON from a guest may be nested as deep as the reader allows,
/// and what it is stored within adds to that.
///
/// # Errors
/// `not-storable` names the thing.
pub(crate) fn ensure_readable<T: Serialize + DeserializeOwned>(what: &str, value: &T) -> Result<()> {
    to_text(value).and_then(|text| from_text::<T>(&text)).map(drop).map_err(|error| {
        Error::invalid("not-storable", format!("{what} cannot be stored: {error}")).because(error)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Shape {
        Unit,
        Newtype(f64),
        Tuple(f64, f32),
        Struct { float: f64, word: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", content = "content")]
    enum Tagged {
        Floats(Vec<f64>),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        shapes: Vec<Shape>,
        tagged: Tagged,
        maybe: Option<f64>,
        pair: [f64; 2],
        small: f32,
        map: BTreeMap<String, Option<f32>>,
        any: Json,
        count: u64,
    }

    /// Bits, because NaN equals nothing; all NaNs are one.
    fn bits(float: f64) -> u64 {
        if float.is_nan() { f64::NAN.to_bits() } else { float.to_bits() }
    }

    proptest! {
        #[test]
        fn every_double_comes_back(raw in any::<u64>()) {
            let float = f64::from_bits(raw);
            let back: f64 = from_text(&to_text(&float).unwrap()).unwrap();
            prop_assert_eq!(bits(back), bits(float));
        }

        #[test]
        fn every_single_comes_back(raw in any::<u32>()) {
            let float = f32::from_bits(raw);
            let back: f32 = from_text(&to_text(&float).unwrap()).unwrap();
            prop_assert_eq!(bits(back.into()), bits(float.into()));
        }
    }

    #[test]
    fn a_single_is_written_as_short_as_it_can_be() {
        assert_eq!(to_text(&0.1_f32).unwrap(), "0.1");
    }

    #[test]
    fn a_single_whose_shortest_decimal_rounds_twice_comes_back() {
        let float = f32::from_bits(0x15ae_43fd);
        assert_eq!(from_text::<f32>(&to_text(&float).unwrap()).unwrap(), float);
    }

    #[test]
    fn floats_come_back_from_inside_every_shape() {
        let everything = Everything {
            shapes: vec![
                Shape::Unit,
                Shape::Newtype(f64::NEG_INFINITY),
                Shape::Tuple(f64::INFINITY, f32::NEG_INFINITY),
                Shape::Struct { float: f64::INFINITY, word: "-Infinity".into() },
            ],
            tagged: Tagged::Floats(vec![f64::NEG_INFINITY, 5e-324, -0.0]),
            maybe: Some(f64::INFINITY),
            pair: [f64::NEG_INFINITY, f64::MAX],
            small: f32::MIN_POSITIVE,
            map: BTreeMap::from([("a".into(), None), ("b".into(), Some(f32::INFINITY))]),
            any: serde_json::json!({"NaN": ["Infinity", null, 1.5, u64::MAX]}),
            count: u64::MAX,
        };
        let back: Everything = from_text(&to_text(&everything).unwrap()).unwrap();
        assert_eq!(back, everything);
    }

    #[test]
    fn other_strings_are_not_floats() {
        assert!(from_text::<f64>("\"1.5\"").is_err());
        assert!(from_text::<f64>("null").is_err());
    }
}
