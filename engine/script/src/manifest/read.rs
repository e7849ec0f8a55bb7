//! Reading a declaration from a script's values, with messages that teach.

use super::{BarRequest, Manifest, ParamKind, ParamSpec, TimerSpec};
use crate::hook::Hooks;
use crate::language::Language;
use crate::tree::Tree;
use crate::{names, number};

/// Closed bars kept of each series unless the script says otherwise.
const DEFAULT_HISTORY: usize = 256;
const MAX_HISTORY: f64 = 1_000_000.0;
const MAX_DEPTH: f64 = 10_000.0;
const MAX_ITEMS: usize = 256;
const MAX_DAYS_MS: f64 = 366.0 * 86_400_000.0;

const KEYS: [&str; 8] =
    ["name", "doc", "instruments", "depth", "bars", "history", "timers", "params"];
const PARAM_KEYS: [&str; 7] = ["name", "kind", "default", "min", "max", "choices", "doc"];
const KINDS: [&str; 5] = ["integer", "number", "boolean", "text", "choice"];

impl Manifest {
    /// Reads the argument of `strategy`. The hooks are added by the caller.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong and what would be right.
    pub(crate) fn read(file: &str, language: Language, tree: &Tree) -> Result<Self, String> {
        let mut manifest = Self {
            file: file.to_owned(),
            language,
            name: String::new(),
            doc: String::new(),
            instruments: Vec::new(),
            depth: 0,
            bars: Vec::new(),
            history: DEFAULT_HISTORY,
            timers: Vec::new(),
            params: Vec::new(),
            hooks: Hooks::default(),
        };
        let Tree::Map(entries) = tree else {
            return Err(format!(
                "strategy takes a table such as {{ name = \"my_strategy\" }}, got {}",
                tree.kind()
            ));
        };
        for (key, value) in entries {
            let result = match key.as_str() {
                "name" => text(value).map(|name| manifest.name = name),
                "doc" => text(value).map(|doc| manifest.doc = doc),
                "instruments" => texts(value).map(|list| manifest.instruments = list),
                "depth" => count(value, 0.0, MAX_DEPTH)
                    .map(|depth| manifest.depth = u32::try_from(depth).unwrap_or(u32::MAX)),
                "bars" => bars(value).map(|bars| manifest.bars = bars),
                "history" => {
                    count(value, 1.0, MAX_HISTORY).map(|history| manifest.history = history)
                }
                "timers" => timers(value).map(|timers| manifest.timers = timers),
                "params" => params(value).map(|params| manifest.params = params),
                unknown => Err(names::unknown("key", unknown, KEYS)),
            };
            result.map_err(|message| format!("strategy: {key}: {message}"))?;
        }
        if manifest.name.is_empty() {
            return Err("strategy: name is missing, such as name = \"my_strategy\"".to_owned());
        }
        Ok(manifest)
    }
}

fn text(tree: &Tree) -> Result<String, String> {
    match tree {
        Tree::Text(text) if !text.is_empty() => Ok(text.clone()),
        Tree::Text(_) => Err("must not be empty".to_owned()),
        other => Err(format!("must be text, got {}", other.kind())),
    }
}

/// A list; a single value stands for a list of one.
fn list(tree: &Tree) -> Result<&[Tree], String> {
    let items = match tree {
        // An empty table has no type of its own.
        Tree::Map(entries) if entries.is_empty() => &[],
        Tree::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    if items.len() > MAX_ITEMS {
        return Err(format!("{} items, at most {MAX_ITEMS} are allowed", items.len()));
    }
    Ok(items)
}

fn texts(tree: &Tree) -> Result<Vec<String>, String> {
    let items: Vec<_> = list(tree)?.iter().map(text).collect::<Result<_, _>>()?;
    match items.iter().enumerate().find(|(idx, item)| items[..*idx].contains(item)) {
        Some((_, twice)) => Err(format!("\"{twice}\" is there twice")),
        None => Ok(items),
    }
}

fn count(tree: &Tree, min: f64, max: f64) -> Result<usize, String> {
    let wrong = |got: &dyn std::fmt::Display| {
        format!("must be a whole number from {min} to {max}, got {got}")
    };
    match tree {
        Tree::Number(value) => number::whole(*value)
            .filter(|_| (min..=max).contains(value))
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(|| wrong(value)),
        other => Err(wrong(&other.kind())),
    }
}

fn bars(tree: &Tree) -> Result<Vec<BarRequest>, String> {
    // One table with a length is one request, not a list.
    if let Tree::Map(entries) = tree
        && !entries.is_empty()
    {
        return Ok(vec![bar(tree)?]);
    }
    list(tree)?.iter().map(bar).collect()
}

fn bar(tree: &Tree) -> Result<BarRequest, String> {
    match tree {
        Tree::Text(length) => Ok(BarRequest { length: length.parse()?, instrument: None }),
        Tree::Map(entries) => {
            let (mut length, mut instrument) = (None, None);
            for (key, value) in entries {
                match key.as_str() {
                    "length" => length = Some(text(value)?.parse()?),
                    "instrument" => instrument = Some(text(value)?),
                    unknown => {
                        return Err(names::unknown("key", unknown, ["length", "instrument"]));
                    }
                }
            }
            let length = length.ok_or("length is missing, such as length = \"1m\"")?;
            Ok(BarRequest { length, instrument })
        }
        other => Err(format!("must be a length such as \"1m\", got {}", other.kind())),
    }
}

fn timers(tree: &Tree) -> Result<Vec<TimerSpec>, String> {
    match tree {
        Tree::List(items) if items.is_empty() => Ok(Vec::new()),
        Tree::Map(entries) if entries.len() <= MAX_ITEMS => entries
            .iter()
            .map(|(name, interval)| {
                let every_ms = count(interval, 1.0, MAX_DAYS_MS)
                    .map_err(|message| format!("{name}: milliseconds {message}"))?;
                Ok(TimerSpec { name: name.clone(), every_ms: every_ms as u64 })
            })
            .collect(),
        Tree::Map(entries) => {
            Err(format!("{} timers, at most {MAX_ITEMS} are allowed", entries.len()))
        }
        other => Err(format!(
            "must be names with milliseconds such as {{ requote = 250 }}, got {}",
            other.kind()
        )),
    }
}

fn params(tree: &Tree) -> Result<Vec<ParamSpec>, String> {
    let mut specs: Vec<ParamSpec> = Vec::new();
    for (idx, item) in list(tree)?.iter().enumerate() {
        let spec = param(item).map_err(|message| format!("number {}: {message}", idx + 1))?;
        if specs.iter().any(|other| other.name == spec.name) {
            return Err(format!("\"{}\" is there twice", spec.name));
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn param(tree: &Tree) -> Result<ParamSpec, String> {
    let Tree::Map(entries) = tree else {
        return Err(format!(
            "must be a table such as {{ name = \"fast\", kind = \"integer\", default = 5 }}, got {}",
            tree.kind()
        ));
    };
    if let Some((unknown, _)) = entries.iter().find(|(key, _)| !PARAM_KEYS.contains(&key.as_str()))
    {
        return Err(names::unknown("key", unknown, PARAM_KEYS));
    }
    let get = |key: &str| {
        entries.iter().find(|(known, _)| known == key).map_or(&Tree::Nil, |(_, value)| value)
    };
    let name = text(get("name")).map_err(|message| format!("name {message}"))?;
    let in_param = |message: String| format!("{name}: {message}");
    let doc = match get("doc") {
        Tree::Nil => String::new(),
        doc => text(doc).map_err(|message| in_param(format!("doc {message}")))?,
    };
    let kind = text(get("kind")).map_err(|message| in_param(format!("kind {message}")))?;
    let kind = kind_of(&kind, get).map_err(in_param)?;
    if !kind.accepts(&kind.default_value()) {
        let default = kind.default_value();
        return Err(format!("{name}: default {default} is not {kind}"));
    }
    Ok(ParamSpec { name, kind, doc })
}

fn kind_of<'a>(kind: &str, get: impl Fn(&str) -> &'a Tree) -> Result<ParamKind, String> {
    let bounded = matches!(kind, "integer" | "number");
    for key in ["min", "max"] {
        if !bounded && *get(key) != Tree::Nil {
            return Err(format!("{key} makes no sense for {kind}"));
        }
    }
    if kind != "choice" && *get("choices") != Tree::Nil {
        return Err(format!("choices make no sense for {kind}"));
    }
    let default = get("default");
    let wrong_default =
        |expected: &str| format!("default must be {expected}, got {}", default.kind());
    match kind {
        "integer" => Ok(ParamKind::Integer {
            default: integer("default", default)?.ok_or_else(|| wrong_default("a whole number"))?,
            min: integer("min", get("min"))?,
            max: integer("max", get("max"))?,
        }),
        "number" => Ok(ParamKind::Number {
            default: finite("default", default)?.ok_or_else(|| wrong_default("a number"))?,
            min: finite("min", get("min"))?,
            max: finite("max", get("max"))?,
        }),
        "boolean" => match default {
            Tree::Bool(default) => Ok(ParamKind::Boolean { default: *default }),
            _ => Err(wrong_default("true or false")),
        },
        "text" => match default {
            Tree::Text(default) => Ok(ParamKind::Text { default: default.clone() }),
            _ => Err(wrong_default("text")),
        },
        "choice" => {
            let choices = texts(get("choices")).map_err(|message| format!("choices {message}"))?;
            let default = text(default).map_err(|message| format!("default {message}"))?;
            Ok(ParamKind::Choice { default, choices })
        }
        unknown => Err(names::unknown("kind", unknown, KINDS)),
    }
}

fn finite(what: &str, tree: &Tree) -> Result<Option<f64>, String> {
    match tree {
        Tree::Nil => Ok(None),
        Tree::Number(value) if value.is_finite() => Ok(Some(*value)),
        Tree::Number(value) => Err(format!("{what} must be finite, got {value}")),
        other => Err(format!("{what} must be a number, got {}", other.kind())),
    }
}

fn integer(what: &str, tree: &Tree) -> Result<Option<i64>, String> {
    finite(what, tree)?
        .map(|value| {
            number::whole(value)
                .ok_or_else(|| format!("{what} must be a whole number, got {value}"))
        })
        .transpose()
}
