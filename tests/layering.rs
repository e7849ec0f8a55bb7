//! Who may import whom: read from `cargo metadata`, so that it cannot drift from the truth.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What a crate of ours may depend on (dev-dependencies apart): our crates by name, and for the
/// innermost ones every foreign crate too.
struct Rule {
    ours: &'static [&'static str],
    /// `None` where foreign crates are free.
    foreign: Option<&'static [&'static str]>,
}

fn rules() -> BTreeMap<&'static str, Rule> {
    const CORE: &[&str] = &["arrayvec", "rust_decimal", "thiserror"];
    const SIM: &[&str] = &["tercel-core", "tercel-indicators"];
    const EXCHANGE: &[&str] = &["tercel-core", "tercel-sim"];
    const CRASH: &[&str] = &["tercel-core", "tercel-crash"];
    const RUNTIME: &[&str] = &[
        "tercel-adapters",
        "tercel-core",
        "tercel-crash",
        "tercel-script",
        "tercel-sim",
        "tercel-store",
    ];
    const ROOT: &[&str] = &[
        "tercel-adapters",
        "tercel-core",
        "tercel-crash",
        "tercel-exchange",
        "tercel-indicators",
        "tercel-runtime",
        "tercel-script",
        "tercel-sim",
        "tercel-simulate",
        "tercel-store",
    ];
    const SIMULATE: &[&str] = &[
        "tercel-core",
        "tercel-runtime",
        "tercel-script",
        "tercel-sim",
        "tercel-store",
        "tercel-testkit",
    ];
    BTreeMap::from([
        ("tercel-adapters", Rule { ours: CRASH, foreign: None }),
        ("tercel-core", Rule { ours: &[], foreign: Some(CORE) }),
        ("tercel-crash", Rule { ours: &[], foreign: Some(&["rustix"]) }),
        ("tercel-indicators", Rule { ours: &[], foreign: Some(&["ta-lib", "thiserror"]) }),
        ("tercel-sim", Rule { ours: SIM, foreign: Some(CORE) }),
        ("tercel-script", Rule { ours: SIM, foreign: None }),
        ("tercel-store", Rule { ours: CRASH, foreign: None }),
        ("tercel-runtime", Rule { ours: RUNTIME, foreign: None }),
        ("tercel-exchange", Rule { ours: EXCHANGE, foreign: None }),
        ("tercel-simulate", Rule { ours: SIMULATE, foreign: None }),
        ("tercel-testkit", Rule { ours: &["tercel-core"], foreign: None }),
        ("tercel", Rule { ours: ROOT, foreign: None }),
    ])
}

#[test]
fn crates_import_only_what_their_layer_may() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs here");
    let rules = rules();
    let names: BTreeSet<_> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let known: BTreeSet<_> = rules.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, known, "every crate of the workspace has a rule, and every rule a crate");
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let rule = &rules[package.name.as_str()];
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let name = dependency.name.as_str();
            let allowed = if names.contains(name) {
                rule.ours.contains(&name)
            } else {
                rule.foreign.is_none_or(|foreign| foreign.contains(&name))
            };
            if !allowed {
                broken.push(format!("{} must not import {name}", package.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
