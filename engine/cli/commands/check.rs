//! `tercel check`: whether a script is sound, and what it declares.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_script::{Hook, Limits, Manifest, ParamKind, Script, ScriptError};

use crate::commands::{print, print_json};
use crate::exit::{Answer, Failure, Outcome};
use crate::script_file::language_of;

/// Check a script: compile it, run its top level, show what it declares.
///
/// Exit code 1 if the script has errors.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel check scripts/lua/ema_cross.luau")]
pub(crate) struct Args {
    /// The script.
    script: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    match Script::load(&args.script, &Limits::of(language_of(&args.script)?)) {
        Ok(script) => {
            let manifest = script.manifest();
            if args.json {
                print_json(&manifest_json(manifest))?;
            } else {
                print(&manifest_text(manifest))?;
            }
            Ok(Answer::Good)
        }
        Err(error @ ScriptError::Read { .. }) => Err(Failure::Input(error.into())),
        Err(error) => {
            let line = match &error {
                ScriptError::Fault(fault) => Some(fault.line),
                _ => None,
            };
            if args.json {
                print_json(&json!({ "ok": false, "error": error.to_string(), "line": line }))?;
            } else {
                eprintln!("error: {error}");
            }
            Ok(Answer::Negative)
        }
    }
}

fn hooks(manifest: &Manifest) -> Vec<&'static str> {
    Hook::ALL
        .iter()
        .filter(|hook| manifest.hooks.contains(**hook))
        .map(|hook| hook.name())
        .collect()
}

fn manifest_json(manifest: &Manifest) -> Value {
    let parameters: Vec<_> = manifest
        .params
        .iter()
        .map(|spec| {
            let mut value = param_json(&spec.kind);
            value["name"] = json!(spec.name);
            value["doc"] = json!(spec.doc);
            value
        })
        .collect();
    json!({
        "ok": true,
        "name": manifest.name,
        "doc": manifest.doc,
        "language": manifest.language.to_string(),
        "instruments": manifest.instruments,
        "depth": manifest.depth,
        "bars": manifest.bars.iter().map(|b| b.length.to_string()).collect::<Vec<_>>(),
        "timers": manifest.timers.iter().map(|t| json!({ "name": t.name, "every_ms": t.every_ms })).collect::<Vec<_>>(),
        "hooks": hooks(manifest),
        "params": parameters,
    })
}

fn param_json(kind: &ParamKind) -> Value {
    match kind {
        ParamKind::Integer { default, min, max } => {
            json!({ "kind": "integer", "default": default, "min": min, "max": max })
        }
        ParamKind::Number { default, min, max } => {
            json!({ "kind": "number", "default": default, "min": min, "max": max })
        }
        ParamKind::Boolean { default } => json!({ "kind": "boolean", "default": default }),
        ParamKind::Text { default } => json!({ "kind": "text", "default": default }),
        ParamKind::Choice { default, choices } => {
            json!({ "kind": "choice", "default": default, "choices": choices })
        }
    }
}

fn manifest_text(manifest: &Manifest) -> String {
    let mut text = format!("{} ({}): sound\n", manifest.name, manifest.language);
    if !manifest.doc.is_empty() {
        text += &format!("  {}\n", manifest.doc);
    }
    let listed =
        |items: Vec<String>| if items.is_empty() { "any".to_owned() } else { items.join(", ") };
    text += &format!("instruments  {}\n", listed(manifest.instruments.clone()));
    text += &format!("hooks        {}\n", hooks(manifest).join(", "));
    if !manifest.bars.is_empty() {
        let bars = manifest.bars.iter().map(|b| b.length.to_string()).collect();
        text += &format!("bars         {}\n", listed(bars));
    }
    for timer in &manifest.timers {
        text += &format!("timer        {} every {} ms\n", timer.name, timer.every_ms);
    }
    for spec in &manifest.params {
        text += &format!(
            "parameter    {} = {}  ({})  {}\n",
            spec.name,
            default_text(&spec.kind),
            spec.kind,
            spec.doc
        );
    }
    text
}

fn default_text(kind: &ParamKind) -> String {
    match kind {
        ParamKind::Integer { default, .. } => default.to_string(),
        ParamKind::Number { default, .. } => default.to_string(),
        ParamKind::Boolean { default } => default.to_string(),
        ParamKind::Text { default } | ParamKind::Choice { default, .. } => format!("{default:?}"),
    }
}
