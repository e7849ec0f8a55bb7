//! The indicators: one function for each row of the catalog, and the functions that feed them.

use std::borrow::Cow;

use tercel_indicators::{CATALOG, IndicatorSpec, Input};

use super::item::{Group, Item, Kind, Param, Type};

const INDICATOR: Param = Param::new("indicator", Type::Indicator);

const fn function(name: &'static str, params: &'static [Param], doc: &'static str) -> Item {
    Item {
        name,
        kind: Kind::Function,
        group: Group::Indicators,
        params: Cow::Borrowed(params),
        returns: Type::MaybeNumber,
        doc: Cow::Borrowed(doc),
    }
}

const FEEDING: &[Item] = &[
    function(
        "update",
        &[INDICATOR, Param::new("value", Type::Number)],
        "Feeds an indicator with a number and returns its first output, nothing while it warms up.",
    ),
    function(
        "update_bar",
        &[
            INDICATOR,
            Param::new("open", Type::Number),
            Param::new("high", Type::Number),
            Param::new("low", Type::Number),
            Param::new("close", Type::Number),
            Param::new("volume", Type::Number),
            Param::optional("time", Type::Number),
        ],
        "Feeds an indicator with a bar and returns its first output, nothing while it warms up. The \
         time is the event's unless given.",
    ),
    Item {
        name: "bind",
        kind: Kind::Function,
        group: Group::Indicators,
        params: Cow::Borrowed(&[
            INDICATOR,
            Param::optional("label", Type::Text),
            Param::optional("series", Type::Number),
        ]),
        returns: Type::Indicator,
        doc: Cow::Borrowed(
            "Feeds an indicator with every bar of a series (the first one unless given) before \
             on_bar is called, which gets its first output as a further argument after time, in \
             the order of binding, nothing while it warms up. With a label it is plotted as well. \
             Called at the top of the script, for at most eight indicators. Returns the indicator. \
             Several times faster than update and plot.",
        ),
    },
    function(
        "output",
        &[INDICATOR, Param::new("name", Type::Text)],
        "Returns one of an indicator's outputs as of its last update, nothing while it warms up.",
    ),
];

/// Returns the rows of the group.
pub(super) fn items() -> Vec<Item> {
    FEEDING.iter().cloned().chain(CATALOG.iter().map(item)).collect()
}

fn item(spec: &'static IndicatorSpec) -> Item {
    let params =
        spec.parameters.iter().map(|parameter| Param::optional(parameter.name, Type::Number));
    let feed = match spec.input {
        Input::Price => "update",
        Input::Bar => "update_bar",
    };
    let mut doc = format!("{} Fed by {feed}.", spec.doc);
    if !spec.parameters.is_empty() {
        let defaults: Vec<_> =
            spec.parameters.iter().map(|p| format!("{} {}", p.name, p.default)).collect();
        doc.push_str(&format!(" Defaults: {}.", defaults.join(", ")));
    }
    if spec.outputs.len() > 1 {
        doc.push_str(&format!(" Outputs: {}.", spec.outputs.join(", ")));
    }
    doc.push_str(&format!(" Values: {}.", spec.source.as_str()));
    Item {
        name: spec.name,
        kind: Kind::Indicator,
        group: Group::Indicators,
        params: params.collect(),
        returns: Type::Indicator,
        doc: Cow::Owned(doc),
    }
}
