//! `tercel venues`: what each venue can do.

use std::fmt::Write as _;

use clap::Args as ClapArgs;
use serde_json::{Map, Value, json};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{Capabilities, Environment, Venue};

use crate::commands::{print, print_json};
use crate::exit::{Answer, Outcome};

/// Show what each venue does itself, what is done in its stead, and what is not to be had.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  tercel venues\n  tercel venues --json")]
pub(crate) struct Args {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let venues = [Product::Spot, Product::UsdMargined]
        .map(|product| Binance::new(product, &Environment::Production));
    let all: Vec<&Capabilities> = venues.iter().map(Venue::capabilities).collect();
    if args.json {
        print_json(&as_json(&all))?;
    } else {
        print(&as_table(&all))?;
    }
    Ok(Answer::Good)
}

fn as_json(all: &[&Capabilities]) -> Value {
    let venues: Vec<Value> = all
        .iter()
        .map(|venue| {
            let rows: Map<String, Value> = venue
                .rows
                .iter()
                .map(|(what, support)| ((*what).to_owned(), json!(support.as_str())))
                .collect();
            json!({ "name": venue.name, "capabilities": rows })
        })
        .collect();
    json!({ "venues": venues })
}

/// One row for what any venue says something about, one column for each venue.
fn as_table(all: &[&Capabilities]) -> String {
    let mut rows: Vec<&str> = Vec::new();
    for (what, _) in all.iter().flat_map(|venue| venue.rows) {
        if !rows.contains(what) {
            rows.push(what);
        }
    }
    let width = rows.iter().map(|what| what.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}", "");
    for venue in all {
        // Writing to a string does not fail.
        let _ = write!(text, "  {:12}", venue.name);
    }
    for what in rows {
        text.truncate(text.trim_end().len());
        let _ = write!(text, "\n{what:width$}");
        for venue in all {
            let found = venue.rows.iter().find(|(own, _)| *own == what);
            let word = found.map_or("-", |(_, support)| support.as_str());
            let _ = write!(text, "  {word:12}");
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use tercel_adapters::Support;

    use super::*;

    #[test]
    fn venues_stand_side_by_side() {
        static ONE: Capabilities = Capabilities { name: "one", rows: &[("book", Support::Native)] };
        static TWO: Capabilities = Capabilities {
            name: "two",
            rows: &[("book", Support::Absent), ("amend price", Support::Emulated)],
        };
        expect_test::expect![[r#"
                         one           two
            book         native        absent
            amend price  -             emulated
        "#]]
        .assert_eq(&as_table(&[&ONE, &TWO]));
        assert_eq!(as_json(&[&ONE])["venues"][0]["capabilities"]["book"], "native");
    }
}
