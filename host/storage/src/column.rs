//! How values of the domain stand in columns.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Sqlite, Type, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::json;

/// A UUID, as its 16 bytes.
pub(crate) struct Id(pub(crate) Uuid);

/// A time, in nanoseconds since 1970.
pub(crate) struct Moment(pub(crate) Timestamp);

/// A count, a size, a place in a list. `SQLite`'s integers are signed; what lies beyond becomes the largest.
pub(crate) struct Count(pub(crate) u64);

/// A float that may be NaN, which `SQLite` would turn into NULL: NaN is stored as text.
pub(crate) struct Real(pub(crate) f64);

/// A case of an enum, by its name in JSON.
pub(crate) struct Word<T>(pub(crate) T);

/// Anything else, as JSON that keeps every float.
pub(crate) struct Document<T>(pub(crate) T);

/// Implements the column traits of a type through those of the type that it is stored as.
macro_rules! stored {
    ($name:ident $(<$parameter:ident>)? as $stored:ty, encode: $encode:expr, decode: $decode:expr) => {
        impl$(<$parameter>)? Type<Sqlite> for $name$(<$parameter>)? {
            fn type_info() -> SqliteTypeInfo {
                <$stored as Type<Sqlite>>::type_info()
            }

            fn compatible(info: &SqliteTypeInfo) -> bool {
                <$stored as Type<Sqlite>>::compatible(info)
            }
        }

        impl<'q $(, $parameter: Serialize)?> Encode<'q, Sqlite> for $name$(<$parameter>)? {
            fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                let encode: fn(&Self) -> Result<$stored, BoxDynError> = $encode;
                <$stored as Encode<'q, Sqlite>>::encode(encode(self)?, buffer)
            }
        }

        impl<'r $(, $parameter: DeserializeOwned)?> Decode<'r, Sqlite> for $name$(<$parameter>)? {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let decode: fn($stored) -> Result<Self, BoxDynError> = $decode;
                decode(<$stored as Decode<'r, Sqlite>>::decode(value)?)
            }
        }
    };
}

stored!(Id as Vec<u8>,
    encode: |id| Ok(id.0.as_bytes().to_vec()),
    decode: |bytes| Ok(Self(Uuid::from_slice(&bytes)?)));

stored!(Moment as i64,
    encode: |moment| Ok(i64::try_from(moment.0.as_nanosecond())?),
    decode: |nanoseconds| Ok(Self(Timestamp::from_nanosecond(nanoseconds.into())?)));

stored!(Count as i64,
    encode: |count| Ok(i64::try_from(count.0).unwrap_or(i64::MAX)),
    decode: |count| Ok(Self(u64::try_from(count)?)));

stored!(Word<T> as String,
    encode: |word| match serde_json::to_value(&word.0)? {
        serde_json::Value::String(name) => Ok(name),
        other => Err(format!("`{other}` is not a name").into()),
    },
    decode: |name| Ok(Self(serde_json::from_value(serde_json::Value::String(name))?)));

stored!(Document<T> as String,
    encode: |document| Ok(json::to_text(&document.0)?),
    decode: |text| Ok(Self(json::from_text(&text)?)));

impl Type<Sqlite> for Real {
    fn type_info() -> SqliteTypeInfo {
        <f64 as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true
    }
}

impl<'q> Encode<'q, Sqlite> for Real {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        if self.0.is_nan() {
            return <String as Encode<'q, Sqlite>>::encode("NaN".to_owned(), buffer);
        }
        <f64 as Encode<'q, Sqlite>>::encode(self.0, buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Real {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.type_info().name() == "TEXT" {
            return Ok(Self(f64::NAN));
        }
        Ok(Self(<f64 as Decode<'r, Sqlite>>::decode(value)?))
    }
}
