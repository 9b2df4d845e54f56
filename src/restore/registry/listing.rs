//! The list of models as a TOML file: one `[[model]]` for each, with the members that the API has. No I/O.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::config::{line_at, nearest};
use crate::engine::Step;
use crate::engine::remote::Model;

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 256 << 10;

/// How many models a file has at most.
const MODELS_MAX: usize = 500;

/// A model as a file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The model, whose values have the right types and are not checked further.
    pub model: Model,
    /// Whether it may be used.
    pub enabled: bool,
    /// The line that it begins at.
    pub line: usize,
    /// The lines of its members.
    lines: Vec<(String, usize)>,
}

impl Listed {
    /// The line of a member; the model's own where the member is missing.
    pub(super) fn line_of(&self, field: &str) -> usize {
        self.lines.iter().find(|(name, _)| name == field).map_or(self.line, |(_, line)| *line)
    }
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// Which member of which model: `model[2].steps`.
    pub field: String,
    /// A sentence about it.
    pub detail: String,
}

/// What a member takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Steps,
    Flag,
    Count,
    Number,
    Table,
}

impl Kind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text in quotes",
            Self::Texts => "a list of texts",
            Self::Steps => "a list of steps",
            Self::Flag => "true or false",
            Self::Count => "a whole number from 0 to 4294967295",
            Self::Number => "a number",
            Self::Table => "a table, such as { prompt = \"…\" }",
        }
    }
}

/// Every member, whether it must be there, and what it takes.
const MEMBERS: [(&str, bool, Kind); 17] = [
    ("id", true, Kind::Text),
    ("name", true, Kind::Text),
    ("engine", true, Kind::Text),
    ("target", true, Kind::Text),
    ("steps", true, Kind::Steps),
    ("recreates", true, Kind::Flag),
    ("description", false, Kind::Text),
    ("tags", false, Kind::Texts),
    ("parameters", false, Kind::Table),
    ("image_input", false, Kind::Text),
    ("provider", false, Kind::Text),
    ("api_name", false, Kind::Text),
    ("max_side", false, Kind::Count),
    ("price_usd", false, Kind::Number),
    ("price_usd_per_second", false, Kind::Number),
    ("deadline_minutes", false, Kind::Count),
    ("enabled", false, Kind::Flag),
];

/// Reads a file.
///
/// # Errors
/// Everything that is wrong, in the order of the file; for a file that is no TOML only the first thing.
pub fn parse(text: &str) -> Result<Vec<Listed>, Vec<Mistake>> {
    if text.len() > FILE_BYTES_MAX {
        let detail = "The list is longer than 256 kB.".to_owned();
        return Err(vec![Mistake { line: 1, field: "file".to_owned(), detail }]);
    }
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        vec![Mistake {
            line,
            field: "file".to_owned(),
            detail: format!("This is not TOML: {}.", error.message()),
        }]
    })?;
    let mut reader = Reader { text, mistakes: Vec::new() };
    let mut listed = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line_at(text, name.span().start);
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("model", DeValue::Array(models)) if models.len() <= MODELS_MAX => {
                for (index, model) in models.iter().enumerate() {
                    let line = line_at(text, model.span().start);
                    match model.get_ref() {
                        DeValue::Table(model) => listed.extend(reader.model(index, line, model)),
                        _ => reader.wrong(
                            line,
                            format!("model[{index}]"),
                            "A model is a table: begin it with [[model]].",
                        ),
                    }
                }
            }
            ("model", DeValue::Array(_)) => {
                reader.wrong(line, "model".to_owned(), format!("A list has at most {MODELS_MAX} models."));
            }
            ("model", _) => {
                reader.wrong(line, "model".to_owned(), "Each model begins with [[model]], in two brackets.")
            }
            (other, _) => reader.wrong(
                line,
                shown(other),
                "There is no such section: a list of models has only [[model]].",
            ),
        }
    }
    for (index, one) in listed.iter().enumerate() {
        if listed[..index].iter().any(|other: &Listed| other.model.id == one.model.id) {
            let (line, id) = (one.line_of("id"), &one.model.id);
            reader.wrong(
                line,
                format!("model[{index}].id"),
                format!("The id {id} is given twice in this list."),
            );
        }
    }
    if reader.mistakes.is_empty() { Ok(listed) } else { Err(reader.mistakes) }
}

struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, line: usize, field: String, detail: impl Into<String>) {
        self.mistakes.push(Mistake { line, field, detail: detail.into() });
    }

    fn model(&mut self, index: usize, line: usize, table: &DeTable<'_>) -> Option<Listed> {
        let before = self.mistakes.len();
        let (mut members, mut lines) = (Map::new(), Vec::new());
        for (name, value) in table {
            let (key, place) = (name.get_ref().as_ref(), line_at(self.text, name.span().start));
            let field = format!("model[{index}].{}", shown(key));
            match MEMBERS.iter().find(|(member, ..)| *member == key) {
                None => self.wrong(place, field, unknown(key)),
                Some((_, _, kind)) => match read(*kind, value.get_ref()) {
                    Ok(value) => {
                        members.insert(key.to_owned(), value);
                        lines.push((key.to_owned(), place));
                    }
                    Err(detail) => self.wrong(place, field, detail),
                },
            }
        }
        for (member, required, _) in MEMBERS {
            if required && table.get(member).is_none() {
                let detail = match member {
                    "recreates" => {
                        "Say whether it draws pictures anew: recreates = true or false.".to_owned()
                    }
                    other => format!("The member {other} is missing."),
                };
                self.wrong(line, format!("model[{index}].{member}"), detail);
            }
        }
        if self.mistakes.len() > before {
            return None;
        }
        let enabled = members.remove("enabled").and_then(|value| value.as_bool()).unwrap_or(true);
        match serde_json::from_value(members.into()) {
            Ok(model) => Some(Listed { model, enabled, line, lines }),
            Err(error) => {
                self.wrong(line, format!("model[{index}]"), format!("This is not a model: {error}."));
                None
            }
        }
    }
}

fn unknown(key: &str) -> String {
    match nearest(key, MEMBERS.iter().map(|(member, ..)| *member)) {
        Some(member) => format!("A model has no member {}: did you mean {member}?", shown(key)),
        None => format!("A model has no member {}.", shown(key)),
    }
}

/// A name from a file as it may stand in a sentence.
fn shown(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

fn read(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let expected = || format!("This takes {}.", kind.expected());
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Ok(text.as_ref().into()),
        (Kind::Flag, DeValue::Boolean(flag)) => Ok((*flag).into()),
        (Kind::Count, DeValue::Integer(_)) => {
            let number = plain(value)?.as_u64().and_then(|number| u32::try_from(number).ok());
            number.map(Value::from).ok_or_else(expected)
        }
        (Kind::Number, DeValue::Integer(_) | DeValue::Float(_)) | (Kind::Table, DeValue::Table(_)) => {
            plain(value)
        }
        (Kind::Texts, DeValue::Array(items)) if items.iter().all(|item| item.get_ref().is_str()) => {
            plain(value)
        }
        (Kind::Steps, DeValue::Array(items)) => {
            for item in items {
                let name = item.get_ref().as_str().ok_or_else(expected)?;
                if name.parse::<Step>().is_err() {
                    let known = Step::ALL.map(Step::as_str).join(", ");
                    return Err(format!("There is no step {}: there are {known}.", shown(name)));
                }
            }
            plain(value)
        }
        _ => Err(expected()),
    }
}

/// A value of TOML as one of JSON.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.map_err(|_| format!("The number {} is too large.", shown(number.as_str())))?.into()
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Value::Number(read.ok_or_else(|| {
                format!("{} is no number that a model can be told.", shown(number.as_str()))
            })?)
        }
        DeValue::Datetime(_) => return Err("Models know no dates: write it as text in quotes.".to_owned()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let pairs =
                table.iter().map(|(name, value)| Ok((name.get_ref().to_string(), plain(value.get_ref())?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
    })
}

/// Writes models and whether they are enabled as a file that [`parse`] reads.
pub(super) fn write<'a>(models: impl Iterator<Item = (&'a Model, bool)>) -> String {
    let mut text =
        "# Models of Safelight: `safelight model import` and the admin pages read this.\n".to_owned();
    for (model, enabled) in models {
        let mut members = match serde_json::to_value(model) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        if !enabled {
            members.insert("enabled".to_owned(), false.into());
        }
        // Tables come last in TOML.
        if let Some(parameters) = members.remove("parameters").filter(|value| *value != json!({})) {
            members.insert("parameters".to_owned(), parameters);
        }
        let whole = json!({ "model": [without_null(members.into())] });
        match toml::Table::try_from(&whole).ok().and_then(|table| toml::to_string(&table).ok()) {
            Some(written) => {
                text.push('\n');
                text.push_str(&written);
            }
            None => text.push_str(&format!("\n# {} has a parameter that TOML has no form for.\n", model.id)),
        }
    }
    text
}

/// TOML knows no null; what is null is not there.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_null(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(without_null).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<(usize, String, String)> {
        let found = parse(text).unwrap_err();
        found.into_iter().map(|mistake| (mistake.line, mistake.field, mistake.detail)).collect()
    }

    #[test]
    fn a_list_comes_back_as_it_was_written() {
        let mut model = Model::unlisted("replicate", "acme/mend");
        model.id = "mine".into();
        model.price_usd = Some(0.01);
        model.parameters = [
            ("prompt".to_owned(), json!("mend \"it\"\nwell")),
            ("nested".to_owned(), json!({ "a": [1, 2.5, true], "b": { "c": "d" } })),
            ("nothing".to_owned(), Value::Null),
        ]
        .into_iter()
        .collect();
        let plain = Model { id: "other".into(), ..Model::unlisted("space", "a/b") };
        let text = write([(&model, false), (&plain, true)].into_iter());
        let read = parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        model.parameters.remove("nothing");
        assert_eq!((&read[0].model, read[0].enabled), (&model, false));
        assert_eq!((&read[1].model, read[1].enabled), (&plain, true));
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "[[model]]\nid = \"a\"\nnaem = \"A\"\nengine = 3\ntarget = \"x/y\"\nsteps = [\"fade\", \"sharpen\"]\n\
                    max_side = -1\nparameters = { when = 2026-11-21 }\n\n[[model]]\nid = \"a\"\n[other]\n";
        let found = mistakes(text);
        let short: Vec<(usize, &str)> =
            found.iter().map(|(line, field, _)| (*line, field.as_str())).collect();
        for expected in [
            (3, "model[0].naem"),
            (4, "model[0].engine"),
            (6, "model[0].steps"),
            (7, "model[0].max_side"),
            (8, "model[0].parameters"),
            (1, "model[0].name"),
            (1, "model[0].recreates"),
            (10, "model[1].steps"),
            (12, "other"),
        ] {
            assert!(short.contains(&expected), "{expected:?} {found:?}");
        }
        assert!(found[0].2.contains("did you mean name?"), "{found:?}");
        let twice =
            "[[model]]\nid='a'\nname='A'\nengine='e'\ntarget='t'\nsteps=[]\nrecreates=true\n".repeat(2);
        assert_eq!(mistakes(&twice)[0].0, 9);
        for (text, line) in
            [("x =", 1), ("\n[[model]\n", 2), ("model = 3", 1), ("[model]\nid = 'x'", 1), ("model = [3]", 1)]
        {
            assert_eq!(mistakes(text)[0].0, line, "{text}");
        }
        assert_eq!(parse(&"#".repeat(FILE_BYTES_MAX + 1)).unwrap_err().len(), 1);
        assert!(parse(&format!("x = {}", "[".repeat(10_000))).is_err());
    }
}
