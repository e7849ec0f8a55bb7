//! What a file is wrapped in: nothing, gzip, zstd or zip. Told by its first bytes, never its name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StoreError;

/// A wrapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Container {
    /// None.
    Plain,
    /// gzip, one or many members.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A zip archive.
    Zip,
}

impl Container {
    /// Returns its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        }
    }

    /// Tells the wrapping of a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(path, error);
        let mut head = Vec::with_capacity(4);
        File::open(path).map_err(io)?.take(4).read_to_end(&mut head).map_err(io)?;
        Ok(match head[..] {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Self::Zip,
            _ => Self::Plain,
        })
    }
}

/// A file, or one member of a zip archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The file.
    pub path: PathBuf,
    /// Its wrapping.
    pub container: Container,
    /// The member's name in a zip archive.
    pub name: Option<String>,
}

impl Member {
    /// Lists what a path holds: itself, or the members of an archive in their order.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the archive's directory is damaged.
    pub fn list(path: &Path) -> Result<Vec<Self>, StoreError> {
        let container = Container::of(path)?;
        if container != Container::Zip {
            return Ok(vec![Self { path: path.to_owned(), container, name: None }]);
        }
        let archive = open_archive(path)?;
        let names = archive.file_names().map(|name| {
            name.map(std::borrow::Cow::into_owned).map_err(|error| StoreError::Corrupt {
                path: path.to_owned(),
                offset: 0,
                what: format!("zip directory: {error}"),
            })
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let members = names.into_iter().filter(|name| !name.ends_with('/')).map(|name| Self {
            path: path.to_owned(),
            container,
            name: Some(name),
        });
        Ok(members.collect())
    }

    /// Returns what it is called: its file, and its name within an archive.
    #[must_use]
    pub fn display(&self) -> String {
        match &self.name {
            Some(name) => format!("{}[{name}]", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    /// Opens it for reading from its beginning, unwrapped.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn open(&self) -> Result<Unwrapped, StoreError> {
        let io = |error| StoreError::io(&self.path, error);
        let consumed = Arc::new(AtomicU64::new(0));
        let file = || -> Result<_, StoreError> {
            let file = File::open(&self.path).map_err(io)?;
            Ok(Counted { inner: BufReader::with_capacity(BUFFER, file), n: Arc::clone(&consumed) })
        };
        let inner: Box<dyn BufRead + Send> = match self.container {
            Container::Plain => Box::new(file()?),
            Container::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(file()?);
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Container::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(file()?).map_err(io)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Container::Zip => {
                let name = self.name.clone().unwrap_or_default();
                let member = ZipMember::open(&self.path, &name, Arc::clone(&consumed))?;
                Box::new(BufReader::with_capacity(BUFFER, member))
            }
        };
        Ok(Unwrapped { path: self.path.clone(), inner, consumed })
    }
}

const BUFFER: usize = 1 << 16;

/// The bytes inside a container.
pub struct Unwrapped {
    path: PathBuf,
    inner: Box<dyn BufRead + Send>,
    consumed: Arc<AtomicU64>,
}

impl std::fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unwrapped").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Unwrapped {
    /// Returns the file that it comes from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says what a failed read means: a cut file, a damaged one, or a failing disk.
    pub(crate) fn explain(&self, error: std::io::Error) -> StoreError {
        self.explainer()(error)
    }

    /// Returns what explains failed reads while this is borrowed for reading.
    pub(crate) fn explainer(&self) -> impl Fn(std::io::Error) -> StoreError + use<> {
        let (path, consumed) = (self.path.clone(), Arc::clone(&self.consumed));
        move |error| {
            let offset = consumed.load(Ordering::Relaxed);
            let path = path.clone();
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => StoreError::Truncated { path, offset },
                std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::InvalidInput
                | std::io::ErrorKind::Other => {
                    StoreError::Corrupt { path, offset, what: error.to_string() }
                }
                _ => StoreError::Io { path, cause: error },
            }
        }
    }
}

impl Read for Unwrapped {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl BufRead for Unwrapped {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

/// Counts what was taken of the file on disk, to say where it is damaged.
struct Counted<R> {
    inner: R,
    n: Arc<AtomicU64>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.n.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.n.fetch_add(amount as u64, Ordering::Relaxed);
        self.inner.consume(amount);
    }
}

type Archive = zip::ZipArchive<BufReader<File>>;

fn open_archive(path: &Path) -> Result<Archive, StoreError> {
    let io = |error| StoreError::io(path, error);
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    zip::ZipArchive::new(BufReader::new(file)).map_err(|error| match error {
        zip::result::ZipError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            StoreError::io(path, source)
        }
        // The directory is the last thing in an archive: without it, the end is missing.
        _ => StoreError::Truncated { path: path.to_owned(), offset: len },
    })
}

/// One member of an archive, decompressed as it is read, and checked at its end.
///
/// The archive lends its members out, which a value that owns both cannot express; so the member's
/// place is looked up once, and its raw bytes are decompressed here.
struct ZipMember {
    bytes: Packed,
    expected_len: u64,
    expected_crc: u32,
    len: u64,
    crc: crc32fast::Hasher,
}

type Section = Counted<BufReader<std::io::Take<File>>>;

enum Packed {
    Stored(Section),
    Deflated(flate2::bufread::DeflateDecoder<Section>),
}

impl ZipMember {
    fn open(path: &Path, name: &str, consumed: Arc<AtomicU64>) -> Result<Self, StoreError> {
        use std::io::{Seek, SeekFrom};
        let io = |error| StoreError::io(path, error);
        let mut archive = open_archive(path)?;
        let refused =
            |offset, what: String| StoreError::Corrupt { path: path.into(), offset, what };
        let member = archive
            .by_name(name)
            .map_err(|error| refused(0, format!("{name} in the archive: {error}")))?;
        let start = member.data_start();
        let start = start.ok_or_else(|| refused(0, format!("{name} has no data")))?;
        if member.encrypted() {
            return Err(refused(start, format!("{name} is encrypted")));
        }
        let (packed_len, method) = (member.compressed_size(), member.compression());
        let (expected_len, expected_crc) = (member.size(), member.crc32());
        drop(member);
        let mut file = File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        consumed.store(start, Ordering::Relaxed);
        let inner = BufReader::with_capacity(BUFFER, file.take(packed_len));
        let section = Counted { inner, n: consumed };
        let bytes = match method {
            zip::CompressionMethod::Stored => Packed::Stored(section),
            zip::CompressionMethod::Deflated => {
                Packed::Deflated(flate2::bufread::DeflateDecoder::new(section))
            }
            other => {
                let what =
                    format!("{name} is compressed by {other}; only deflate and stored are read");
                return Err(refused(start, what));
            }
        };
        let crc = crc32fast::Hasher::new();
        Ok(Self { bytes, expected_len, expected_crc, len: 0, crc })
    }
}

impl Read for ZipMember {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = match &mut self.bytes {
            Packed::Stored(section) => section.read(buffer)?,
            Packed::Deflated(decoder) => decoder.read(buffer)?,
        };
        self.crc.update(&buffer[..n]);
        self.len += n as u64;
        if n == 0 && !buffer.is_empty() {
            if self.len < self.expected_len {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if self.len != self.expected_len || self.crc.clone().finalize() != self.expected_crc {
                let what = "the member's checksum does not fit";
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
            }
        }
        Ok(n)
    }
}
