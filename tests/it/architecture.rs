//! Keeps the floors of the house: a room uses only rooms that come before it.
//!
//! Three rules, checked on the text of `src/`: `crate::room` points down, HTTP appears only where it is served, and
//! SQL appears only in a slice's store. Tests inside modules are held to the first rule too.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// All rooms, the lowest floor first. `main` and `lib` stand outside.
const FLOORS: [&str; 29] = [
    "id",
    "clock",
    "metrics",
    "config",
    "logs",
    "keys",
    "db",
    "jobs",
    "settings",
    "outbound",
    "telemetry",
    "storage",
    "cache",
    "imaging",
    "engine",
    "mail",
    "tls",
    "app",
    "api",
    "audit",
    "accounts",
    "library",
    "uploads",
    "imports",
    "restore",
    "notify",
    "admin",
    "web",
    "server",
];
/// The room above all others.
const ATTIC: &str = "cli";

/// Where axum may be named, beside every `routes.rs`: the shared HTTP tools, the extractors of who is asking, and
/// the top floor.
const HTTP_ROOMS: [&str; 3] = ["api", "web", "server"];
const HTTP_FILES: [&str; 3] = ["session.rs", "sessions.rs", "extract.rs"];
/// Rooms that are a database themselves; elsewhere SQL lives in a `store.rs` or in a slice of a single file.
const SQL_ROOMS: [&str; 2] = ["db", "jobs"];
/// Files outside the slices that own a table of their own.
const SQL_FILES: [&str; 1] = ["api/events.rs"];

fn floor(room: &str) -> Option<usize> {
    if room == ATTIC { Some(FLOORS.len()) } else { FLOORS.iter().position(|name| *name == room) }
}

#[test]
fn every_room_uses_only_rooms_below_it() {
    assert_clean(&faults_of_tree(paths_that_climb));
}

#[test]
fn http_is_spoken_only_where_it_is_served() {
    assert_clean(&faults_of_tree(http_out_of_place));
}

#[test]
fn sql_is_written_only_in_stores() {
    assert_clean(&faults_of_tree(sql_out_of_place));
}

#[test]
fn every_room_has_its_place_in_the_list() {
    let rooms: Vec<String> =
        sources().iter().filter_map(|(path, _)| room_of(path).map(str::to_owned)).collect();
    assert!(!rooms.is_empty(), "src/ holds no rooms");
    let strangers: Vec<_> = rooms.iter().filter(|room| floor(room).is_none()).collect();
    assert!(
        strangers.is_empty(),
        "rooms without a floor, add them to FLOORS where they belong: {strangers:?}"
    );
}

/// What can change while the program runs is in `App::settings`; `App::config` is what it started with.
#[test]
fn nobody_reads_at_the_start_what_can_change_later() {
    let live: Vec<&str> = safelight::config::SETTINGS
        .iter()
        .filter(|setting| setting.is_live())
        .map(|setting| setting.section().split('.').next().unwrap_or_default())
        .collect();
    assert!(live.contains(&"limits"), "{live:?}");
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let code = read(&text).code;
        for (number, line) in code.lines().enumerate() {
            let sections = line.split("app.config.").skip(1);
            for section in
                sections.filter(|rest| live.iter().any(|name| rest.starts_with(&format!("{name}."))))
            {
                let what = format!("app.settings.current() has {section:?} as it is now");
                faults.push(fault(&file, number + 1, &what));
            }
        }
    }
    assert_clean(&faults);
}

#[test]
fn every_dependency_has_its_reason_in_the_design() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("there is a manifest");
    let design = fs::read_to_string(root.join("DESIGN.md")).expect("there is a DESIGN.md");
    let used = dependencies(&manifest);
    assert!(used.contains(&"rusqlite"), "the manifest was not understood: {used:?}");
    let silent: Vec<_> = used.iter().filter(|name| !design.contains(&format!("`{name}`"))).collect();
    assert!(silent.is_empty(), "write into DESIGN.md's table what these are for: {silent:?}");
    let rows =
        design.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let gone: Vec<_> = rows
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| !used.contains(name))
        .collect();
    assert!(gone.is_empty(), "DESIGN.md explains what Cargo.toml does not use: {gone:?}");
}

/// The names of a manifest's dependencies, whatever the table they stand in.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.trim_end().trim_end_matches(']').ends_with("dependencies");
        } else if inside && let Some((name, _)) = line.split_once('=') {
            found.push(name.trim());
        }
    }
    found
}

// The checker is tested on made-up rooms, so that it can't go blind unnoticed.

/// Two types of one name would be one schema in the API's document, and nobody says which.
#[test]
fn every_schema_of_the_api_has_a_name_of_its_own() {
    let mut faults = Vec::new();
    let mut homes = std::collections::HashMap::new();
    for (file, text) in sources() {
        let (mut is_schema, mut name) = (false, None);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            is_schema |= line.starts_with("#[derive(") && line.contains("ToSchema");
            if let Some((_, given)) = line.split_once("schema(as = ") {
                name = given.split([')', ',']).next().map(str::to_owned);
            }
            let words = line.trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let Some(own) = words.strip_prefix("struct ").or_else(|| words.strip_prefix("enum ")) else {
                continue;
            };
            let own = own.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
            let name = name.take().unwrap_or(own);
            if std::mem::take(&mut is_schema)
                && let Some(other) = homes.insert(name.clone(), file.clone())
            {
                faults.push(fault(
                    &file,
                    number + 1,
                    &format!("the schema {name} is also in {}", other.display()),
                ));
            }
        }
    }
    assert_clean(&faults);
}

#[test]
fn a_climbing_path_is_found_in_every_spelling() {
    for (spelling, text) in [
        ("plain use", "use crate::library::Media;"),
        ("inline path", "fn f() { let _ = crate::library::add(); }"),
        ("group", "use crate::{clock::Clock, library::{self, Media}};"),
        ("nested group", "use crate::{\n    db::{Db, store},\n    restore::model::{Request},\n};"),
        ("renamed group member", "use crate::{id, library as shelf};"),
        ("visibility", "pub(crate) use crate::admin::page;"),
        ("spaces", "use crate :: library :: Media ;"),
        ("behind a comment", "use crate::/* up */library::Media;"),
        ("own crate by name", "use safelight::library::Media;"),
        ("super at the top of a room", "use super::library::Media;"),
        ("super in a group", "use super::{clock, library::Media};"),
        ("inner module", "mod tests { use super::super::library::Media; }"),
        ("raw name", "use crate::r#library::Media;"),
        ("second line", "\n\nuse crate::{\n    clock,\n    library,\n};"),
    ] {
        let found = paths_that_climb(Path::new("storage.rs"), text);
        assert_eq!(found.len(), 1, "{spelling}: {found:?}");
    }
}

#[test]
fn a_path_to_the_same_or_a_lower_room_is_fine() {
    for text in [
        "use crate::{clock::Clock, db::Db, id::{self, JobId}};",
        "use crate::storage::memory;",
        "// use crate::library::Media;",
        "/* use crate::library; /* nested */ use crate::admin; */",
        "/// See [`crate::library::Media`].\nfn f() {}",
        "const NAME: &str = \"crate::library::Media\";",
        "const RAW: &str = r#\"use \"crate::library\"\"#;",
        "fn f<'a>(x: &'a str) -> char { '\"' } // crate::library",
        "crate::typed_id!(/// One blob.\nBlobId);",
        "pub(crate) fn f() {}",
        "use super::layout;",
        "use crate::storage::{library, admin};",
        "mod tests { use super::library; }",
    ] {
        let found = paths_that_climb(Path::new("storage/local.rs"), text);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

#[test]
fn http_and_sql_out_of_place_are_found() {
    let http = "use axum::Json;";
    assert_eq!(http_out_of_place(Path::new("library/mod.rs"), http).len(), 1);
    assert_eq!(
        http_out_of_place(Path::new("storage.rs"), "fn f() -> axum::response::Response { todo() }").len(),
        1
    );
    assert!(http_out_of_place(Path::new("library/routes.rs"), http).is_empty());
    assert!(http_out_of_place(Path::new("accounts/session.rs"), http).is_empty());
    assert!(http_out_of_place(Path::new("api/problem.rs"), http).is_empty());
    assert!(http_out_of_place(Path::new("library/mod.rs"), "// axum::Json\nuse relaxum::Json;").is_empty());

    let sql = "fn f() { tx.execute(\"UPDATE media SET name = ?1\", [name]); }";
    assert_eq!(sql_out_of_place(Path::new("library/mod.rs"), sql).len(), 1);
    assert_eq!(
        sql_out_of_place(Path::new("library/routes.rs"), "const Q: &str = r\"\n  SELECT id FROM media\";")
            .len(),
        1
    );
    assert_eq!(
        sql_out_of_place(Path::new("library/mod.rs"), "x(\"WITH t AS (SELECT 1) SELECT 2\")").len(),
        1
    );
    assert!(sql_out_of_place(Path::new("library/store.rs"), sql).is_empty());
    assert!(sql_out_of_place(Path::new("library/store/media.rs"), sql).is_empty());
    assert!(sql_out_of_place(Path::new("db/migrate.rs"), sql).is_empty());
    assert!(
        sql_out_of_place(Path::new("notify.rs"), sql).is_empty(),
        "a slice of one file holds its own SQL"
    );
    assert_eq!(sql_out_of_place(Path::new("server.rs"), sql).len(), 1);
    assert!(
        sql_out_of_place(Path::new("library/mod.rs"), "x(\"Select a photo to update it from the set\")")
            .is_empty()
    );
    let tested = format!("#[cfg(test)]\nmod tests {{ {sql} }}");
    assert!(sql_out_of_place(Path::new("library/mod.rs"), &tested).is_empty());
    assert_eq!(sql_out_of_place(Path::new("library/mod.rs"), &format!("{sql}\n{tested}")).len(), 1);
    assert!(sql_out_of_place(Path::new("server/health.rs"), "x(\"SELECT 1\")").is_empty());
    assert!(sql_out_of_place(Path::new("library/mod.rs"), "// UPDATE media SET x = 1").is_empty());
}

// ---- the rules ----

fn paths_that_climb(file: &Path, text: &str) -> Vec<String> {
    let Some(here) = room_of(file) else { return Vec::new() };
    let own = floor(here).unwrap_or(usize::MAX);
    let code = read(text).code;
    mentions(&code, depth_of(file))
        .into_iter()
        .filter_map(|(line, room)| {
            let there = floor(&room)?;
            (there > own).then(|| {
                fault(file, line, &format!("`{here}` must not know `{room}`, which stands above it"))
            })
        })
        .collect()
}

fn http_out_of_place(file: &Path, text: &str) -> Vec<String> {
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let room = room_of(file);
    let in_routes = name == "routes.rs" || file.components().any(|c| c.as_os_str() == "routes");
    if in_routes || HTTP_FILES.contains(&name) || room.is_none_or(|room| HTTP_ROOMS.contains(&room)) {
        return Vec::new();
    }
    let code = read(text).code;
    let tokens = tokens(&code);
    tokens
        .windows(2)
        .filter(|pair| pair[0].1 == Token::Word("axum") && pair[1].1 == Token::Into)
        .map(|pair| fault(file, pair[0].0, "HTTP belongs into routes.rs, api, web or server"))
        .collect()
}

fn sql_out_of_place(file: &Path, text: &str) -> Vec<String> {
    let Some(room) = room_of(file) else { return Vec::new() };
    let in_store = file.components().any(|c| c.as_os_str() == "store" || c.as_os_str() == "store.rs");
    let slice = floor(room) >= floor("audit") && floor(room) <= floor("admin");
    let single_file = slice && file.components().count() == 1;
    let owner = SQL_FILES.iter().any(|owner| file == Path::new(owner));
    if in_store || single_file || owner || SQL_ROOMS.contains(&room) {
        return Vec::new();
    }
    let text = read(text);
    // Unit tests, which close a file, may ask the database what they like.
    let tests = tests_begin(&text.code);
    text.strings
        .iter()
        .filter(|(line, string)| *line < tests && is_sql(string))
        .map(|(line, _)| fault(file, *line, "SQL belongs into the slice's store.rs"))
        .collect()
}

/// The line on which the unit tests of a file begin.
fn tests_begin(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let marked = |i: usize| {
        lines[i] == "#[cfg(test)]"
            && lines[i + 1..].iter().find(|l| !l.starts_with('#')).is_some_and(|l| l.starts_with("mod "))
    };
    (0..lines.len()).find(|i| marked(*i)).map_or(usize::MAX, |i| i + 1)
}

/// SQL here is written with its words in capitals, which keeps sentences out.
fn is_sql(string: &str) -> bool {
    let words: Vec<&str> = string
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    let has = |word: &str| words.contains(&word);
    match words.first().copied() {
        // `SELECT 1` names no table: anybody may knock.
        Some("SELECT") => has("FROM"),
        Some("INSERT" | "REPLACE") => has("INTO"),
        Some("UPDATE") => has("SET"),
        Some("DELETE") => has("FROM"),
        Some("WITH") => has("SELECT"),
        _ => false,
    }
}

// ---- reading the sources ----

fn assert_clean(faults: &[String]) {
    let mut list = String::new();
    for fault in faults {
        let _ = writeln!(list, "  {fault}");
    }
    assert!(faults.is_empty(), "{} out of place:\n{list}", faults.len());
}

fn fault(file: &Path, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", file.display())
}

fn faults_of_tree(rule: fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(|(path, text)| rule(path, text)).collect()
}

/// All Rust files under `src/`, with paths relative to it.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src/ is readable") {
            let path = entry.expect("src/ is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path.strip_prefix(&root).expect("walked from there").to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The room of a file, or `None` for `main.rs` and `lib.rs`.
fn room_of(file: &Path) -> Option<&str> {
    let first = file.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "main" && room != "lib").then_some(room)
}

/// How many modules deep a file is: 1 for `storage.rs` and `storage/mod.rs`, 2 for `storage/local.rs`.
fn depth_of(file: &Path) -> usize {
    let parts = file.components().count();
    if file.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// A source split into code (comments and strings blanked out, lines kept) and its string literals.
struct Text {
    code: String,
    strings: Vec<(usize, String)>,
}

fn read(text: &str) -> Text {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 1);
    let peek = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let blank = |code: &mut String, line: &mut usize, c: char| {
        *line += usize::from(c == '\n');
        code.push(if c == '\n' { '\n' } else { ' ' });
    };
    while at < chars.len() {
        let c = chars[at];
        let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        if c == '/' && peek(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                blank(&mut code, &mut line, chars[at]);
                at += 1;
            }
        } else if c == '/' && peek(at + 1) == '*' {
            let mut depth = 0;
            loop {
                let (a, b) = (peek(at), peek(at + 1));
                let step = if (a == '/' && b == '*') || (a == '*' && b == '/') { 2 } else { 1 };
                if step == 2 {
                    depth += if a == '/' { 1 } else { -1 };
                }
                for &c in &chars[at..(at + step).min(chars.len())] {
                    blank(&mut code, &mut line, c);
                }
                at += step;
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some((quote, hashes)) = (!after_word).then(|| raw_start(&chars, at)).flatten() {
            let from = quote + 1;
            let mut end = from;
            while end < chars.len() && !(chars[end] == '"' && (1..=hashes).all(|h| peek(end + h) == '#')) {
                end += 1;
            }
            strings.push((line, chars[from..end.min(chars.len())].iter().collect()));
            let stop = (end + hashes + 1).min(chars.len());
            for &c in &chars[at..stop] {
                blank(&mut code, &mut line, c);
            }
            at = stop;
        } else if c == '"' {
            let (start_line, from) = (line, at + 1);
            let mut end = from;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            strings.push((start_line, chars[from..end.min(chars.len())].iter().collect()));
            let stop = (end + 1).min(chars.len());
            for &c in &chars[at..stop] {
                blank(&mut code, &mut line, c);
            }
            at = stop;
        } else if c == '\'' && (peek(at + 1) == '\\' || peek(at + 2) == '\'') {
            // A character literal, not a lifetime.
            let mut end = at + if peek(at + 1) == '\\' { 3 } else { 2 };
            while end < chars.len() && chars[end] != '\'' {
                end += 1;
            }
            let stop = (end + 1).min(chars.len());
            for &c in &chars[at..stop] {
                blank(&mut code, &mut line, c);
            }
            at = stop;
        } else {
            line += usize::from(c == '\n');
            code.push(c);
            at += 1;
        }
    }
    Text { code, strings }
}

/// Where the quote of a raw string that starts at `at` is, and how many hashes it has.
fn raw_start(chars: &[char], at: usize) -> Option<(usize, usize)> {
    let mut i = at;
    if matches!(chars[i], 'b' | 'c') {
        i += 1;
    }
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    (chars.get(i + hashes) == Some(&'"')).then_some((i + hashes, hashes))
}

#[derive(Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Into,
    Sign(char),
}

/// The tokens of blanked code with their lines, as far as paths and braces need them.
fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(c) = rest.chars().next() {
        let word = rest.strip_prefix("r#").unwrap_or(rest);
        let length = word.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word.len());
        if length > 0 && !word.starts_with(|c: char| c.is_ascii_digit()) {
            found.push((line, Token::Word(&word[..length])));
            rest = &word[length..];
        } else if let Some(after) = rest.strip_prefix("::") {
            found.push((line, Token::Into));
            rest = after;
        } else {
            line += usize::from(c == '\n');
            if !c.is_whitespace() {
                found.push((line, Token::Sign(c)));
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// Every top-level name that the code reaches through `crate::`, `safelight::` or as many `super::` as it takes.
fn mentions(code: &str, file_depth: usize) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let token = |i: usize| tokens.get(i).map(|(_, token)| *token);
    let mut found = Vec::new();
    // The brace levels at which inline modules opened: each is one more `super` away from the root.
    let (mut level, mut modules) = (0, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].1 {
            Token::Sign('{') => {
                if i >= 2 && token(i - 2) == Some(Token::Word("mod")) {
                    modules.push(level);
                }
                level += 1;
            }
            Token::Sign('}') => {
                level -= 1;
                if modules.last() == Some(&level) {
                    modules.pop();
                }
            }
            Token::Word("crate" | "safelight") if token(i + 1) == Some(Token::Into) => {
                heads(&tokens, i + 2, &mut found)
            }
            Token::Word("super") => {
                let mut ups = 1;
                while token(i + 1) == Some(Token::Into) && token(i + 2) == Some(Token::Word("super")) {
                    (ups, i) = (ups + 1, i + 2);
                }
                if ups >= file_depth + modules.len() && token(i + 1) == Some(Token::Into) {
                    heads(&tokens, i + 2, &mut found);
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The first names of the path that starts at token `at`: one, or several in a group.
fn heads(tokens: &[(usize, Token<'_>)], at: usize, found: &mut Vec<(usize, String)>) {
    let mut depth = 0;
    let mut expecting = true;
    for (line, token) in &tokens[at.min(tokens.len())..] {
        match token {
            Token::Word(word) if expecting => {
                found.push((*line, (*word).to_owned()));
                expecting = false;
                if depth == 0 {
                    return;
                }
            }
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(',') => expecting = depth == 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}
