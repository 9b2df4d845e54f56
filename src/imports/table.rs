//! Tables as text, with a first line that names the columns: CSV (RFC 4180) with commas or semicolons, or what
//! `mysql --batch` prints, with tabs.

/// A table, its columns' names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a text. Lines without anything are passed over.
    ///
    /// # Errors
    /// A sentence, when there is no first line, or a quotation mark is never closed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let head = text.lines().find(|line| !line.trim().is_empty()).ok_or("it is empty")?;
        let mut rows = if head.contains('\t') {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(|line| line.split('\t').map(unescaped).collect()).collect()
        } else {
            let separator = if head.contains(';') && !head.contains(',') { ';' } else { ',' };
            records(text, separator)?
        };
        let columns = rows.remove(0).iter().map(|name: &String| name.trim().to_lowercase()).collect();
        Ok(Self { columns, rows })
    }

    /// The first of these columns that there is.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.iter().position(|column| column == name))
    }

    /// The rows, each with the number that it has among them, from 1 on. A row may be shorter than the first line.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[String])> {
        self.rows.iter().enumerate().map(|(at, row)| (at + 1, row.as_slice()))
    }
}

/// What stands in a column of a row; none for nothing, for blanks, and for SQL's NULL.
pub fn cell(row: &[String], column: Option<usize>) -> Option<&str> {
    let text = row.get(column?)?.trim();
    (!text.is_empty() && text != "NULL").then_some(text)
}

/// `mysql --batch` writes tabs, line ends and backslashes with a backslash before them.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('0') => {}
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}

fn records(text: &str, separator: char) -> Result<Vec<Vec<String>>, &'static str> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c if c == separator && !quoted => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        return Err("a quotation mark in it is never closed");
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|field| !field.trim().is_empty()));
    if rows.is_empty() { Err("it is empty") } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_with_tabs_commas_and_semicolons() {
        let read = |text: &str| {
            let table = Table::parse(text).unwrap();
            let (email, name) = (table.column(&["e-mail", "email"]), table.column(&["name"]));
            let rows = table.rows();
            rows.map(|(_, row)| (cell(row, email).map(str::to_owned), cell(row, name).map(str::to_owned)))
                .collect::<Vec<_>>()
        };
        let two = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
        assert_eq!(
            read("email\tname\na@b\tAda\\tL\nc@d\tNULL\n"),
            [two("a@b", "Ada\tL"), (Some("c@d".into()), None)]
        );
        assert_eq!(
            read("\u{feff}Name,Email\r\n\"Lovelace, Ada \"\"A\"\"\",a@b\r\n\r\n"),
            [two("a@b", "Lovelace, Ada \"A\"")]
        );
        assert_eq!(read("name;email\nAda;a@b\n;"), [two("a@b", "Ada")]);
        assert_eq!(read("name,email\n\"two\nlines\",a@b"), [two("a@b", "two\nlines")]);
        assert_eq!(read("name,email\nAda"), [(None, Some("Ada".into()))], "a short row is no accident");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for bad in ["", "\n \n", "name,email\n\"open", "\u{feff}"] {
            assert!(Table::parse(bad).is_err(), "{bad:?}");
        }
    }
}
