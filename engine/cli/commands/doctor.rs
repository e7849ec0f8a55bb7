//! `tercel doctor`: whether a machine is fit for a server.

use clap::Args as ClapArgs;
use serde_json::json;

use crate::commands::{print, print_json};
use crate::data_folder::DataFolder;
use crate::doctor::{Finding, Machine, Verdict};
use crate::exit::{Answer, Outcome};

/// Examine this machine: what stands in the way of steady latency and of data that survives.
///
/// Changes nothing; writes and removes a small file to time the disk of the data folder, which need not
/// exist yet. Exit code 1 if something is bad.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  tercel doctor --data /var/lib/tercel")]
pub(crate) struct Args {
    #[command(flatten)]
    folder: DataFolder,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let findings = Machine::at("/").examine(args.folder.path());
    let is_fit = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    if args.json {
        print_json(&json!({ "ok": is_fit, "findings": findings }))?;
    } else {
        print(&text(&findings))?;
    }
    Ok(if is_fit { Answer::Good } else { Answer::Negative })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let verdict = finding.verdict.as_str();
        text += &format!("{verdict:<8} {:<14} {}\n", finding.topic, finding.found);
        if let Some(remedy) = finding.remedy {
            for line in folded(remedy, 74) {
                text += &format!("{:24}{line}\n", "");
            }
        }
    }
    text
}

/// Breaks a text into lines of at most so many characters, between words.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
