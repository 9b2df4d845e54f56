//! Typed identifiers: time-ordered UUIDs (version 7, RFC 9562) that can't be mistaken for each other.
//!
//! Stored as 16-byte blobs, shown as hyphenated text. Knows no feature: each room defines its own types with
//! [`typed_id!`](crate::typed_id).

use uuid::Uuid;

/// Returns a fresh time-ordered UUID.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes ids")]
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

/// Defines an identifier type: `typed_id!(/// Doc. MediaId)`.
///
/// The type is `Copy`, ordered by creation time, parses from and prints as hyphenated text, and is bound to and
/// read from SQLite as a 16-byte blob.
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Makes a new, time-ordered id.
            #[allow(clippy::new_without_default, reason = "an id is never a default")]
            pub fn new() -> Self {
                Self($crate::id::fresh())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::Borrowed(rusqlite::types::ValueRef::Blob(self.0.as_bytes())))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                let bytes = value.as_blob()?;
                uuid::Uuid::from_slice(bytes)
                    .map(Self)
                    .map_err(|e| rusqlite::types::FromSqlError::Other(Box::new(e)))
            }
        }
    };
}
