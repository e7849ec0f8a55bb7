//! Files that a script requires: beside the script, read once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tercel_core::FaultKind;

use crate::error::HostError;

/// The modules of one script, by name.
///
/// While the script is checked they are read from its folder; from then on they are what they were,
/// so that the script which trades is the one that was checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modules {
    /// The script's folder while files may be read.
    folder: Option<PathBuf>,
    texts: BTreeMap<String, String>,
    bytes_left: usize,
}

impl Modules {
    /// Returns the modules of a script in `folder`, of which `bytes` more may be read.
    pub(crate) const fn reading(folder: Option<PathBuf>, bytes: usize) -> Self {
        Self { folder, texts: BTreeMap::new(), bytes_left: bytes }
    }

    /// Returns modules of which the texts are known already.
    pub(crate) const fn known(texts: BTreeMap<String, String>) -> Self {
        Self { folder: None, texts, bytes_left: 0 }
    }

    /// Stops reading files: what is known is all there is.
    pub(crate) fn seal(&mut self) {
        self.folder = None;
    }

    /// Returns the modules by name.
    pub(crate) const fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    /// Returns a module's name as it is known by and its text.
    ///
    /// Names are relative to the script's folder, without the ending: `util`, `./lib/bands`.
    pub(crate) fn load(
        &mut self,
        name: &str,
        extension: &str,
    ) -> Result<(String, String), HostError> {
        let plain = name.strip_prefix("./").unwrap_or(name);
        let is_plain = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if !plain.split('/').all(is_plain) {
            return Err(HostError::wrong(format!(
                "require: \"{name}\" is not a name of letters, digits, _ and - such as \"util\" or \
                 \"lib/util\""
            )));
        }
        if let Some(text) = self.texts.get(plain) {
            return Ok((plain.to_owned(), text.clone()));
        }
        let Some(folder) = &self.folder else {
            return Err(HostError::wrong(format!(
                "require: \"{plain}\" was not required when the script was checked"
            )));
        };
        let text = read_inside(folder, &format!("{plain}.{extension}"))?;
        self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or_else(|| {
            HostError::limit(
                FaultKind::Memory,
                format!("require: \"{plain}\" exceeds the size allowed for sources"),
            )
        })?;
        self.texts.insert(plain.to_owned(), text.clone());
        Ok((plain.to_owned(), text))
    }
}

/// Reads a file that really lies in the folder, links resolved.
fn read_inside(folder: &Path, file: &str) -> Result<String, HostError> {
    let fail = |cause: std::io::Error| {
        HostError::wrong(format!("require: cannot read {file} beside the script: {cause}"))
    };
    let root = folder.canonicalize().map_err(fail)?;
    let path = folder.join(file).canonicalize().map_err(fail)?;
    if !path.starts_with(&root) {
        return Err(HostError::wrong(format!("require: {file} leads out of the script's folder")));
    }
    std::fs::read_to_string(&path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_beside_the_script_are_read() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.luau"), "return 1").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lib")).unwrap();
        std::fs::write(folder.path().join("lib/util.luau"), "return 2").unwrap();
        let mut modules = Modules::reading(Some(folder.path().to_owned()), 1_000);
        assert_eq!(modules.load("lib/util", "luau").unwrap().1, "return 2");
        for name in ["", "..", "../secret", "/etc/passwd", "a//b", "lib/../lib/util", "a.b", "a\\b"]
        {
            let error = modules.load(name, "luau").unwrap_err();
            assert!(error.message.contains("is not a name"), "{name}: {error}");
        }
        #[cfg(unix)]
        {
            let link = folder.path().join("link.luau");
            std::os::unix::fs::symlink(outside.path().join("secret.luau"), link).unwrap();
            let error = modules.load("link", "luau").unwrap_err();
            assert!(error.message.contains("leads out of"), "{error}");
        }
    }

    #[test]
    fn a_sealed_set_reads_nothing_new() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.luau"), "return 1").unwrap();
        std::fs::write(folder.path().join("b.luau"), "return 2").unwrap();
        let mut modules = Modules::reading(Some(folder.path().to_owned()), 1_000);
        modules.load("a", "luau").unwrap();
        modules.seal();
        std::fs::write(folder.path().join("a.luau"), "return 3").unwrap();
        assert_eq!(modules.load("./a", "luau").unwrap().1, "return 1");
        assert!(modules.load("b", "luau").unwrap_err().message.contains("was not required"));
    }
}
