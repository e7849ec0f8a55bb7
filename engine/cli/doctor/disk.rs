//! The disk of the data folder: what it is, how much is free, how long a sync takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Finding, Machine};

pub(super) fn examine(machine: &Machine, data: &Path) -> Vec<Finding> {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    // The folder may not exist yet: then the disk that it would be on.
    let Some(folder) = absolute.ancestors().find(|folder| folder.is_dir()) else {
        return vec![Finding::unknown("data folder")];
    };
    vec![kind(machine, folder), space(folder), sync(folder)]
}

fn kind(machine: &Machine, folder: &Path) -> Finding {
    let topic = "file system";
    let mounts = machine.text("/proc/self/mountinfo").unwrap_or_default();
    match file_system(&mounts, folder) {
        None => Finding::unknown(topic),
        Some(name @ ("tmpfs" | "ramfs")) => Finding::bad(
            topic,
            format!("{name} at {}", folder.display()),
            "this is memory: journal and tapes are gone with the power; set run.data to a disk",
        ),
        Some(name) if name.starts_with("nfs") || name == "cifs" || name.starts_with("fuse") => {
            Finding::bad(
                topic,
                format!("{name} at {}", folder.display()),
                "a sync over a network takes long, and locks may not hold; set run.data to a local \
                 disk",
            )
        }
        Some("overlay") => Finding::warn(
            topic,
            format!("overlay at {}", folder.display()),
            "this is a container's own layer, gone with the container; mount a volume",
        ),
        Some(name) => Finding::ok(topic, name),
    }
}

/// Returns the type of the innermost file system that a folder lies in.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let (place, rest) = line.split_once(" - ")?;
        let point = PathBuf::from(place.split(' ').nth(4)?.replace("\\040", " "));
        folder.starts_with(&point).then_some((point, rest.split(' ').next()?))
    };
    // Of two mounts at one place the later hides the earlier, and `max_by_key` takes the last.
    let inner = mounts.lines().filter_map(mount).max_by_key(|(point, _)| point.as_os_str().len());
    inner.map(|(_, kind)| kind)
}

fn space(folder: &Path) -> Finding {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Finding::unknown("free space") };
    let free_gb = disk.f_bavail.saturating_mul(disk.f_frsize) >> 30;
    let found = format!("{free_gb} GB at {}", folder.display());
    let remedy = "trading stops when nothing can be recorded; make room, or lower tape.keep_gb";
    match free_gb {
        0 => Finding::bad("free space", found, remedy),
        1..10 => Finding::warn("free space", found, remedy),
        _ => Finding::ok("free space", found),
    }
}

fn sync(folder: &Path) -> Finding {
    let topic = "disk sync";
    match measure(folder) {
        Ok(times) => judge(&times),
        Err(error) => Finding::bad(
            topic,
            format!("{} cannot be written: {error}", folder.display()),
            "a server needs a folder of its own that it may write to",
        ),
    }
}

/// Judges sorted times of syncs.
pub(super) fn judge(times: &[Duration]) -> Finding {
    let topic = "disk sync";
    let (Some(max), Some(p50)) = (times.last(), times.get(times.len() / 2)) else {
        return Finding::unknown(topic);
    };
    let ms = |time: &Duration| time.as_secs_f64() * 1_000.0;
    let found =
        format!("{:.2} ms half of the time, {:.1} ms at most of {}", ms(p50), ms(max), times.len());
    if *p50 < Duration::from_micros(15) {
        return Finding::warn(
            topic,
            found,
            "no disk is that fast: something answers before the data is safe, and a power cut may \
             cost the journal's end",
        );
    }
    match p50.as_micros() {
        0..2_000 => Finding::ok(topic, found),
        2_000..20_000 => Finding::warn(
            topic,
            found,
            "with journal.mode \"durable\" every order waits this long; a disk with power-loss \
             protection takes a tenth",
        ),
        _ => Finding::bad(
            topic,
            found,
            "the journal will lag; put run.data on a solid-state disk of its own",
        ),
    }
}

/// A file that is gone when nobody looks any more.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Appends and syncs blocks as the journal does, for two seconds at most; returns sorted times.
fn measure(folder: &Path) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!(".tercel-doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut scratch = Scratch { path, file };
    let block = [0x5a; 4_096];
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 200 && begun.elapsed() < Duration::from_secs(2) {
        let from = Instant::now();
        scratch.file.write_all(&block)?;
        scratch.file.sync_data()?;
        times.push(from.elapsed());
    }
    times.sort();
    Ok(times)
}
