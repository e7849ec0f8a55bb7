//! Reading TOML strictly: whatever is wrong is told with file, line, key, value and remedy.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::exit::{Blame, Failure, Outcome, input};

/// The text of a TOML file, and where it was read from.
#[derive(Clone, Debug)]
pub(crate) struct TomlFile {
    path: PathBuf,
    /// What relative paths in it are relative to; empty for the current folder.
    folder: PathBuf,
    text: String,
}

/// Begins the line before a recorded text that says which folder the file lay in.
const FOLDER: &str = "# folder: ";

/// One step on the way to a value: into a table, or into the nth of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

impl TomlFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read {}", path.display()))
            .or_input()?;
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Ok(Self { path: path.to_owned(), folder, text })
    }

    /// Returns a file whose text is already there.
    #[cfg(test)]
    pub(crate) fn of_text(path: &str, text: &str) -> Self {
        let folder = Path::new(path).parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self { path: path.into(), folder, text: text.to_owned() }
    }

    /// Returns a file by what was recorded of it. Without a folder in the record, as those of earlier
    /// versions are, its paths are relative to the current one.
    pub(crate) fn of_record(name: &str, record: &str) -> Self {
        let folder = record.strip_prefix(FOLDER).and_then(|rest| rest.split_once('\n'));
        let (folder, text) = folder.unwrap_or(("", record));
        Self { path: name.into(), folder: folder.into(), text: text.to_owned() }
    }

    /// Returns what is to be recorded of the file, so that its relative paths mean the same wherever the
    /// record is read: its text, and before it the folder as a comment.
    pub(crate) fn record(&self) -> String {
        let folder = std::path::absolute(self.folder.join("."));
        let folder = folder.ok().and_then(|folder| folder.to_str().map(str::to_owned));
        match folder.filter(|folder| !folder.contains(['\n', '\r'])) {
            Some(folder) => format!("{FOLDER}{folder}\n{}", self.text),
            None => self.text.clone(),
        }
    }

    /// Returns the folder that the file lies in; empty for the current one.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Parses the text into a value whose types deny unknown fields.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Outcome<T> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error))
    }

    /// Returns a failure that names the line of a value, or of the innermost table around where it
    /// would be.
    pub(crate) fn wrong(&self, way: &[Step<'_>], message: &str) -> Failure {
        let at = DeTable::parse(&self.text).map_or(0, |table| position(table.get_ref(), way));
        input(format!("{}: {}: {message}", self.line(at), shown(way)))
    }

    /// Returns `file:line`.
    fn line(&self, at: usize) -> String {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.path.display())
    }

    fn explain(&self, error: &toml::de::Error) -> Failure {
        let message = error.message();
        let Some(span) = error.span() else {
            return input(format!("{}: {message}", self.path.display()));
        };
        let line = self.line(span.start);
        let Ok(table) = DeTable::parse(&self.text) else {
            return input(format!("{line}: this is not TOML: {}", message.to_lowercase()));
        };
        let way = way_to(table.get_ref(), span.start);
        let name = shown(&way);
        if let Some(names) = message.strip_prefix("unknown field ") {
            let mut names = quoted(names);
            let given = names.next().unwrap_or_default();
            let section = way.split_last().map_or(&[][..], |(_, around)| around);
            let place = if section.is_empty() {
                String::new()
            } else {
                format!(" in [{}]", shown(section))
            };
            return input(format!(
                "{line}: unknown key `{given}`{place}{}",
                suggestion(given, &names.collect::<Vec<_>>())
            ));
        }
        if let Some(names) = message.strip_prefix("unknown variant ") {
            let mut names = quoted(names);
            let given = names.next().unwrap_or_default();
            let remedy = suggestion(given, &names.collect::<Vec<_>>());
            return input(format!("{line}: {name} cannot be \"{given}\"{remedy}"));
        }
        if let Some(key) = message.strip_prefix("missing field ") {
            let key = quoted(key).next().unwrap_or_default();
            let name = if name.is_empty() { String::new() } else { format!("[{name}] ") };
            return input(format!("{line}: {name}needs the key `{key}`"));
        }
        let value = self.text.get(span).unwrap_or_default().lines().next().unwrap_or_default();
        let is_value = !value.is_empty() && !value.starts_with('[');
        let given = if is_value { format!(" = {value}") } else { String::new() };
        input(format!("{line}: {name}{given}: {}", plain(message)))
    }
}

/// Returns the position of a key, or of the last one on the way to it that is there.
fn position(table: &DeTable<'_>, way: &[Step<'_>]) -> usize {
    let Some((Step::Key(first), rest)) = way.split_first() else { return 0 };
    let Some((key, mut value)) = table.get_key_value(*first) else { return 0 };
    let mut at = key.span().start;
    for step in rest {
        let next = match (step, value.get_ref()) {
            (Step::Key(name), DeValue::Table(table)) => {
                table.get_key_value(*name).map(|(key, value)| (key.span().start, value))
            }
            (Step::Item(n), DeValue::Array(items)) => {
                items.get(*n).map(|item| (item.span().start, item))
            }
            _ => None,
        };
        let Some((next_at, next)) = next else { return at };
        (at, value) = (next_at, next);
    }
    at
}

/// Returns the way to the innermost key or value that a position lies in.
fn way_to<'a>(table: &'a DeTable<'_>, at: usize) -> Vec<Step<'a>> {
    let mut way = Vec::new();
    enter(table, at, &mut way);
    way
}

/// Extends the way into a table; returns whether the position lies in it.
fn enter<'a>(table: &'a DeTable<'_>, at: usize, way: &mut Vec<Step<'a>>) -> bool {
    for (key, value) in table {
        way.push(Step::Key(key.get_ref()));
        if key.span().contains(&at) || enter_value(value, at, way) {
            return true;
        }
        way.pop();
    }
    false
}

fn enter_value<'a>(value: &'a Spanned<DeValue<'_>>, at: usize, way: &mut Vec<Step<'a>>) -> bool {
    let is_inside = match value.get_ref() {
        DeValue::Table(table) => enter(table, at, way),
        DeValue::Array(items) => items.iter().enumerate().any(|(n, item)| {
            way.push(Step::Item(n));
            let is_inside = enter_value(item, at, way);
            if !is_inside {
                way.pop();
            }
            is_inside
        }),
        _ => false,
    };
    is_inside || value.span().contains(&at)
}

/// Returns a way as people write it: `strategy[2].params.fast`, counted from one.
fn shown(way: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in way {
        match step {
            Step::Key(key) if text.is_empty() => text += key,
            Step::Key(key) => text += &format!(".{key}"),
            Step::Item(n) => text += &format!("[{}]", n + 1),
        }
    }
    text
}

/// Returns what stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns what may have been meant, and what else there is.
pub(crate) fn suggestion(given: &str, known: &[&str]) -> String {
    let near = 1 + given.chars().count() / 3;
    let closest = known
        .iter()
        .map(|name| (strsim::osa_distance(given, name), *name))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance);
    let meant = closest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"));
    if known.is_empty() {
        return format!("{meant}; there are none");
    }
    format!("{meant} (known: {})", known.join(", "))
}

/// Says in the language of the file what its reader says in Rust's.
fn plain(message: &str) -> String {
    let message = message
        .replace("floating point", "the number")
        .replace("a boolean", "true or false")
        .replace("a borrowed string", "text")
        .replace("a string", "text")
        .replace("a sequence", "a list");
    match message.rsplit_once("expected ") {
        Some((start, "u32")) => format!("{start}expected a whole number from 0 to {}", u32::MAX),
        Some((start, "u64" | "usize")) => format!("{start}expected a whole number from 0 on"),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rust_decimal::Decimal;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        part: Part,
        each: Vec<Part>,
        free: BTreeMap<String, i64>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Part {
        count: u32,
        #[serde(deserialize_with = "crate::amounts::amount")]
        amount: Decimal,
        #[serde(rename = "is")]
        is_set: bool,
        kind: Kind,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Small,
        Large,
    }

    fn refusal(text: &str) -> String {
        TomlFile::of_text("x.toml", text).parse::<Sample>().unwrap_err().to_string()
    }

    #[test]
    fn a_record_says_where_the_file_lay_and_keeps_its_lines() {
        let file = TomlFile::of_text("conf/x.toml", "[part]\ncuont = 3");
        let again = TomlFile::of_record("run 3", &file.record());
        let here = std::env::current_dir().unwrap();
        assert_eq!(again.folder(), here.join("conf"));
        let error = again.parse::<Sample>().unwrap_err().to_string();
        assert!(error.starts_with("run 3:2: unknown key"), "{error}");
        // As earlier versions have recorded it.
        let old = TomlFile::of_record("run 2", "[part]\ncuont = 3");
        assert_eq!(old.folder(), Path::new(""));
        let error = old.parse::<Sample>().unwrap_err().to_string();
        assert!(error.starts_with("run 2:2: unknown key"), "{error}");
    }

    #[test]
    fn refusals_name_file_line_key_value_and_remedy() {
        for (text, wanted) in [
            (
                "\n[part]\ncuont = 3",
                "x.toml:3: unknown key `cuont` in [part]; did you mean `count`? \
                 (known: count, amount, is, kind)",
            ),
            (
                "prat = 1",
                "x.toml:1: unknown key `prat`; did you mean `part`? (known: part, each, free)",
            ),
            (
                "[[each]]\ncount = 1\n[[each]]\ncuont = 2",
                "x.toml:4: unknown key `cuont` in [each[2]]; did you mean `count`? \
                 (known: count, amount, is, kind)",
            ),
            (
                "[part]\nkind = \"lrge\"",
                "x.toml:2: part.kind cannot be \"lrge\"; did you mean `large`? (known: small, large)",
            ),
            (
                "[part]\ncount = \"a\"",
                "x.toml:2: part.count = \"a\": invalid type: string \"a\", expected a whole number \
                 from 0 to 4294967295",
            ),
            (
                "[part]\ncount = -1",
                "x.toml:2: part.count = -1: invalid value: integer `-1`, expected a whole number \
                 from 0 to 4294967295",
            ),
            (
                "[part]\n\nis = 1",
                "x.toml:3: part.is = 1: invalid type: integer `1`, expected true or false",
            ),
            (
                "[part]\namount = 0.1",
                "x.toml:2: part.amount = 0.1: invalid type: the number `0.1`, expected a decimal \
                 number in quotes, such as \"0.1\"",
            ),
            ("part = 5", "x.toml:1: part = 5: invalid type: integer `5`, expected struct Part"),
        ] {
            assert_eq!(refusal(text), wanted);
        }
        assert!(refusal("[part\n").starts_with("x.toml:1: this is not TOML: "));
    }

    #[test]
    fn values_are_found_by_their_way() {
        let text = "[part]\ncount = 1\n[[each]]\n[[each]]\nis = true\n[free]\na = 1\n";
        let file = TomlFile::of_text("x.toml", text);
        let way = [Step::Key("each"), Step::Item(1), Step::Key("is")];
        assert_eq!(file.wrong(&way, "no").to_string(), "x.toml:5: each[2].is: no");
        let absent = file.wrong(&[Step::Key("free"), Step::Key("b")], "needed").to_string();
        assert_eq!(absent, "x.toml:6: free.b: needed");
    }
}
