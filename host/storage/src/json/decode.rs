//! Reading floats that plain JSON has no word for.

use llm_bench_core::Json;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{Exact, INFINITY, NAN, NEGATIVE_INFINITY};

type Error = serde_json::Error;

impl Exact<Json> {
    fn as_special_float(&self) -> Option<f64> {
        match self.0.as_str()? {
            NAN => Some(f64::NAN),
            INFINITY => Some(f64::INFINITY),
            NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for Exact<Json> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Json::Array(items) => {
                SeqDeserializer::<_, Error>::new(items.into_iter().map(Exact)).deserialize_any(visitor)
            }
            Json::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, Exact(value)));
                MapDeserializer::<_, Error>::new(fields).deserialize_any(visitor)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.as_special_float() {
            Some(float) => visitor.visit_f64(float),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Json::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, Exact(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::<_, Error>::new(fields)))
            }
            scalar => scalar.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Exact<Json> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
