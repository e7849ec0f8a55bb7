//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

/// A page that is being written, family by family.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// What a family counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Only grows, until the process starts again.
    Counter,
    Gauge,
    /// Quantiles, a sum and a count.
    Summary,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// Names and values that tell the samples of a family apart.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

impl Page {
    /// Begins a family; its samples follow. The name is without the prefix `tercel_`.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let _ = writeln!(self.text, "# HELP tercel_{name} {}", escaped(help, false));
        let _ = writeln!(self.text, "# TYPE tercel_{name} {}", kind.as_str());
        Family { page: self, name }
    }

    /// Writes a family of one sample.
    pub(super) fn single(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &str,
        value: impl Display,
    ) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// Returns the page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A family whose samples are being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    /// Writes a sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.suffixed("", labels, value);
    }

    /// Writes a sample of a decimal; what is none becomes `NaN`, since one bad line would cost the
    /// whole page.
    pub(super) fn decimal(&mut self, labels: Labels<'_>, value: &str) {
        self.sample(labels, if value.parse::<f64>().is_ok() { value } else { "NaN" });
    }

    /// Writes a sample whose name ends in more than the family's.
    pub(super) fn suffixed(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let text = &mut self.page.text;
        let _ = write!(text, "tercel_{}{suffix}", self.name);
        for (n, (name, value)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let _ = write!(text, "{before}{name}=\"{}\"", escaped(value, true));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{end} {value}");
    }
}

fn escaped(text: &str, is_quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_lines_and_labels_is_escaped() {
        let mut page = Page::default();
        let mut family = page.family("a_total", Kind::Counter, "Says \"a\\b\"\nand more.");
        family.sample(&[("name", "x\"} 1\ny\\"), ("other", "")], 3);
        assert_eq!(
            page.finish(),
            "# HELP tercel_a_total Says \"a\\\\b\"\\nand more.\n# TYPE tercel_a_total counter\n\
             tercel_a_total{name=\"x\\\"} 1\\ny\\\\\",other=\"\"} 3\n"
        );
    }
}
