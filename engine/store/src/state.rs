//! A whole engine's state as bytes, so that a run goes on after a restart.
//!
//! The bytes carry a version and a checksum. They are what [`crate::journal::Record::Snapshot`]
//! holds; how they come to lie on a disk, and that nobody has changed them on purpose, is the journal's
//! concern.

use tercel_core::{ImageError, State};

use crate::journal::codec::{self, Malformed};

const MAGIC: [u8; 4] = *b"TCST";
/// Raised whenever a table of the encoding changes.
const VERSION: u8 = 4;
/// Magic, version and checksum.
const HEAD_LEN: usize = 9;

/// Why bytes are not a state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StateError {
    /// They begin as something else.
    #[error("these bytes are not a state: they do not begin with `TCST`")]
    Foreign,
    /// They are of another version.
    #[error("the state has version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u8,
    },
    /// They are not what was written.
    #[error("the state is damaged: its checksum is {found:08x}, but should be {expected:08x}")]
    Damaged {
        /// Checksum of the bytes.
        found: u32,
        /// What they say that it is.
        expected: u32,
    },
    /// They are no encoding of a state.
    #[error("the state is malformed: {0}")]
    Malformed(Malformed),
    /// They encode what cannot be a state.
    #[error("the state contradicts itself: {0}")]
    Image(ImageError),
}

impl From<Malformed> for StateError {
    fn from(cause: Malformed) -> Self {
        Self::Malformed(cause)
    }
}

impl From<ImageError> for StateError {
    fn from(cause: ImageError) -> Self {
        Self::Image(cause)
    }
}

/// Returns the bytes of a state. Equal states give equal bytes.
///
/// O(everything): about a hundred bytes an order that the table still knows, 2 to 18 a level.
#[must_use]
pub fn encode(state: &State) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 << 10);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&[0; 4]);
    codec::encode_state(&state.image(), &mut out);
    let checksum = crc32fast::hash(&out[HEAD_LEN..]);
    out[HEAD_LEN - 4..HEAD_LEN].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// Returns the state that [`encode`] gave these bytes for: equal in its hash and in all it does.
///
/// Takes memory in proportion to the bytes, whatever they claim, and 32 KB for each side of a book.
///
/// # Errors
///
/// If the bytes are not what [`encode`] wrote. Never panics.
pub fn decode(bytes: &[u8]) -> Result<State, StateError> {
    let Some(rest) = bytes.strip_prefix(&MAGIC) else { return Err(StateError::Foreign) };
    let Some((&found, rest)) = rest.split_first() else { return Err(StateError::Foreign) };
    if found != VERSION {
        return Err(StateError::Version { found });
    }
    let Some((expected, body)) = rest.split_first_chunk() else { return Err(StateError::Foreign) };
    let (found, expected) = (crc32fast::hash(body), u32::from_le_bytes(*expected));
    if found != expected {
        return Err(StateError::Damaged { found, expected });
    }
    Ok(State::from_image(codec::decode_state(body)?)?)
}
