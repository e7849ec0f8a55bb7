//! Luau and Rhai strategy hosts behind one trait.
