//! What is generated from the API table is current, and Luau offers exactly what the table says.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use expect_test::expect_file;
use support::{Rig, check};
use tercel_script::api::{self, Kind};
use tercel_script::{Language, Limits, Script};

#[test]
fn the_reference_is_current() {
    expect_file!["../../../scripts/README.md"].assert_eq(&api::reference());
}

#[test]
fn the_editor_definitions_are_current() {
    expect_file!["../../../scripts/types/tercel.d.luau"].assert_eq(&api::luau_types());
}

#[test]
fn luau_offers_the_table_and_its_own_library_no_more_and_no_less() {
    const LIBRARY: [&str; 30] = [
        "_G",
        "_VERSION",
        "assert",
        "bit32",
        "buffer",
        "coroutine",
        "error",
        "getmetatable",
        "ipairs",
        "math",
        "next",
        "pairs",
        "pcall",
        "rawequal",
        "rawget",
        "rawlen",
        "rawset",
        "require",
        "select",
        "setmetatable",
        "string",
        "table",
        "tonumber",
        "tostring",
        "type",
        "typeof",
        "unpack",
        "utf8",
        "vector",
        "xpcall",
    ];
    let text = "strategy { name = 'names' }
        function on_init()
            local names = {}
            for name in pairs(_G) do table.insert(names, name) end
            log(table.concat(names, ' '))
        end";
    let script = check(Language::Luau, text).expect("the script is sound");
    let log = Rig::new(&[(&script, &[])], &["BTCUSDT"]).log();
    let offered: BTreeSet<&str> = log[0].split(' ').collect();
    let table = api::table();
    let expected: BTreeSet<&str> = table
        .iter()
        .filter(|item| item.kind != Kind::Hook)
        .map(|item| item.name)
        .chain(LIBRARY)
        .collect();
    assert_eq!(offered, expected);
}

#[test]
fn the_scripts_that_come_along_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lua");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let limits = Limits::of(Language::Luau);
        let script = Script::load(&path, &limits).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert_eq!(Some(script.manifest().name.as_str()), stem);
        assert!(script.manifest().params.iter().all(|param| !param.doc.is_empty()));
        n += 1;
    }
    assert!(n >= 2, "{n} scripts");
}
