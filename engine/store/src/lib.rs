//! Everything on disk: the tape, importers of other formats, exports.
