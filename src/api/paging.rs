//! Keyset paging: a page ends with a cursor that holds the sort key of its last row, so that a deep page costs what
//! the first one costs and rows that come or go meanwhile shift nothing.

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Problem;

/// The most rows a page may have.
pub const LIMIT_MAX: usize = 500;

const LIMIT_DEFAULT: usize = 100;

/// `?limit=&cursor=` of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows wanted, 1 to 500; 100 where it is not said.
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The number of rows wanted, within bounds.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// The sort key after which the page starts; none for the first page.
    ///
    /// # Errors
    /// A 400 problem for a cursor that this list has not made.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(Cursor::decode).transpose()
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows fetched with `LIMIT limit + 1`: the extra row tells that there is more.
    pub fn of<K: Serialize>(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| Cursor::encode(&key(row)));
        Self { items: rows, next_cursor }
    }

    /// A list that is always whole.
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// The same page with each row turned into another shape.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

/// The text form of a sort key: hexadecimal JSON, opaque to the caller.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// Writes a sort key.
    pub fn encode<K: Serialize>(key: &K) -> String {
        let json = serde_json::to_vec(key).unwrap_or_default();
        json.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a sort key back.
    ///
    /// # Errors
    /// A 400 problem for text that [`Cursor::encode`] has not made for this type.
    pub fn decode<K: DeserializeOwned>(text: &str) -> Result<K, Problem> {
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|s| u8::from_str_radix(s, 16).ok()))
            .collect();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST, "bad-cursor", "The cursor does not belong to this list.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_more_follows() {
        let page = Page::of(vec![1, 2, 3], 2, |n| *n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(Cursor::decode::<i32>(&page.next_cursor.unwrap()).unwrap(), 2);
        assert!(Page::of(vec![1, 2], 2, |n| *n).next_cursor.is_none());
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let text = Cursor::encode(&("name", 3));
        assert!(Cursor::decode::<(i64, i64)>(&text).is_err());
        for bad in ["", "z", "7", "zz", "é"] {
            assert!(Cursor::decode::<i64>(bad).is_err(), "{bad}");
        }
    }
}
