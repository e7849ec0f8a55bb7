//! The system around: limits, time, and whether it is a machine at all.

use std::process::Command;

use super::{Finding, Machine};

pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    let limits = machine.text("/proc/self/limits");
    vec![
        open_files(limits.as_deref()),
        locked_memory(limits.as_deref()),
        time(machine),
        virtualization(machine),
    ]
}

/// Returns the soft limit of a line such as `Max open files   1024   4096   files`; `None` inside
/// is unlimited.
fn soft_limit(limits: Option<&str>, name: &str) -> Option<Option<u64>> {
    let line = limits?.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn open_files(limits: Option<&str>) -> Finding {
    let topic = "open files";
    match soft_limit(limits, "Max open files") {
        None => Finding::unknown(topic),
        Some(Some(n)) if n < 1_024 => Finding::warn(
            topic,
            format!("{n} at most"),
            "journal, tapes, sockets and logs share them: ulimit -n 65536, or LimitNOFILE in the unit",
        ),
        Some(Some(n)) => Finding::ok(topic, format!("{n} at most")),
        Some(None) => Finding::ok(topic, "unlimited"),
    }
}

fn locked_memory(limits: Option<&str>) -> Finding {
    let topic = "locked memory";
    match soft_limit(limits, "Max locked memory") {
        None => Finding::unknown(topic),
        Some(None) => Finding::ok(topic, "unlimited"),
        Some(Some(bytes)) => Finding::ok(topic, format!("{} KB at most", bytes / 1_024)),
    }
}

fn time(machine: &Machine) -> Finding {
    let remedy = "an engine that judges stale data and a venue that checks times want a clock within \
                  milliseconds: run chrony or systemd-timesyncd";
    if let Some(tracking) = machine.is_this_one().then(ask_chrony).flatten()
        && let Some(finding) = of_chrony(&tracking)
    {
        return finding;
    }
    if machine.exists("/run/systemd/timesync/synchronized") {
        return Finding::ok(
            "time",
            "synchronized by systemd-timesyncd (timedatectl timesync-status)",
        );
    }
    for (file, name) in [
        ("/run/chrony/chronyd.pid", "chrony"),
        ("/run/chronyd.pid", "chrony"),
        ("/run/ntpd.pid", "ntpd"),
        ("/run/ptp4l", "ptp4l"),
    ] {
        if machine.exists(file) {
            return Finding::ok("time", format!("kept by {name}, which does not say how well"));
        }
    }
    Finding::warn("time", "nobody seems to keep it", remedy)
}

/// Asks the local chrony daemon, if there is one.
fn ask_chrony() -> Option<String> {
    let output = Command::new("chronyc").args(["-n", "-c", "tracking"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `chronyc -c tracking`: the fifth field is the offset in seconds, the last the state.
pub(super) fn of_chrony(tracking: &str) -> Option<Finding> {
    let fields: Vec<_> = tracking.trim().split(',').collect();
    let offset_ms = fields.get(4)?.parse::<f64>().ok()?.abs() * 1_000.0;
    let found = format!("{offset_ms:.3} ms off, by chrony");
    Some(if *fields.last()? == "Not synchronised" {
        Finding::warn("time", "chrony is not synchronized", "chronyc sources tells why")
    } else if offset_ms > 50.0 {
        Finding::bad("time", found, "wait until it is steered in, or: chronyc makestep")
    } else if offset_ms > 5.0 {
        Finding::warn("time", found, "a nearer time server helps: chronyc sources -v")
    } else {
        Finding::ok("time", found)
    })
}

fn virtualization(machine: &Machine) -> Finding {
    let topic = "machine";
    let Some(cpuinfo) = machine.text("/proc/cpuinfo") else { return Finding::unknown(topic) };
    let product = machine.text("/sys/class/dmi/id/product_name");
    let product = product.map_or_else(String::new, |name| format!(" ({name})"));
    let is_container = machine.exists("/.dockerenv")
        || machine.exists("/run/.containerenv")
        || machine.text("/proc/1/environ").is_some_and(|text| text.contains("container="));
    let is_virtual = cpuinfo.split_whitespace().any(|word| word == "hypervisor")
        || machine.exists("/sys/hypervisor/type");
    let within = if is_container { ", in a container" } else { "" };
    if is_virtual {
        return Finding::warn(
            topic,
            format!("virtual{product}{within}"),
            "the host may take a core away for milliseconds, unseen from here; steal in `top` tells \
             how much; whole, dedicated cores avoid it",
        );
    }
    Finding::ok(topic, format!("no virtual machine{product}{within}"))
}
