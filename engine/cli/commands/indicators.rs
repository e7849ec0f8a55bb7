//! `tercel indicators`: the table of indicators that scripts can use.

use clap::Args as ClapArgs;
use serde_json::json;
use tercel_indicators::{CATALOG, IndicatorSpec, Input};

use crate::commands::{print, print_json};
use crate::exit::{Answer, Outcome};

/// List the indicators that scripts can use, with parameters, defaults and whom they follow.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel indicators")]
pub(crate) struct Args {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.json {
        let all: Vec<_> = CATALOG
            .iter()
            .map(|spec| {
                let parameters: Vec<_> = spec
                    .parameters
                    .iter()
                    .map(|p| {
                        json!({ "name": p.name, "whole": p.is_whole, "default": p.default, "min": p.min, "max": p.max })
                    })
                    .collect();
                json!({
                    "name": spec.name,
                    "input": input_name(spec),
                    "parameters": parameters,
                    "outputs": spec.outputs,
                    "follows": spec.source.as_str(),
                    "doc": spec.doc,
                })
            })
            .collect();
        print_json(&json!({ "indicators": all }))?;
        return Ok(Answer::Good);
    }
    let mut text = String::new();
    for spec in CATALOG {
        let parameters: Vec<_> =
            spec.parameters.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
        let call = format!("{}({})", spec.name, parameters.join(", "));
        text += &format!(
            "{call:<40} {:<5} {:<12} {}\n",
            input_name(spec),
            spec.source.as_str(),
            spec.doc
        );
        if spec.outputs.len() > 1 {
            text += &format!("{:<40} gives {}\n", "", spec.outputs.join(", "));
        }
    }
    print(&text)?;
    Ok(Answer::Good)
}

const fn input_name(spec: &IndicatorSpec) -> &'static str {
    match spec.input {
        Input::Price => "price",
        Input::Bar => "bar",
    }
}
