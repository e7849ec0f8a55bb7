//! Cores: how many, how undisturbed, how fast, and the clock that they read.

use super::{Finding, Machine};

pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    vec![
        count(machine),
        isolated(machine),
        smt(machine),
        quota(machine),
        governor(machine),
        frequency(machine),
        clock(machine),
    ]
}

const CPU: &str = "/sys/devices/system/cpu";

fn count(machine: &Machine) -> Finding {
    let Some(online) = machine.text(&format!("{CPU}/online")) else {
        return Finding::unknown("cores");
    };
    let n_online = list(&online).len();
    let allowed = machine.text("/proc/self/status").and_then(|status| {
        Some(status.split_once("Cpus_allowed_list:")?.1.lines().next()?.trim().to_owned())
    });
    let n = allowed.as_deref().map_or(n_online, |allowed| list(allowed).len().min(n_online));
    let found = match &allowed {
        Some(allowed) if n < n_online => format!("{n} of {n_online} allowed ({allowed})"),
        _ => format!("{n_online} ({online})"),
    };
    match n {
        0 => Finding::unknown("cores"),
        1 => Finding::bad("cores", found, "the engine, the feed and the journal want two at least"),
        2 | 3 => Finding::warn(
            "cores",
            found,
            "profile \"pinned\" wants two for itself beside those of the system; use \"shared\" here",
        ),
        _ => Finding::ok("cores", found),
    }
}

fn isolated(machine: &Machine) -> Finding {
    let listed = |name: &str| {
        let text = machine.text(&format!("{CPU}/{name}"))?;
        Some(if list(&text).is_empty() { String::new() } else { text })
    };
    let Some(isolated) = listed("isolated") else { return Finding::unknown("isolated") };
    let tickless = listed("nohz_full").unwrap_or_default();
    let remedy = "for profile \"pinned\", boot with, say, isolcpus=2,3 nohz_full=2,3 rcu_nocbs=2,3 and set \
                  engine_core and feed_core to these cores";
    match (isolated.is_empty(), tickless.is_empty()) {
        (true, _) => Finding::warn("isolated", "no core is kept for pinned threads", remedy),
        (false, true) => {
            Finding::warn("isolated", format!("{isolated}, with the timer's tick"), remedy)
        }
        (false, false) => Finding::ok("isolated", format!("{isolated}, without ticks: {tickless}")),
    }
}

fn smt(machine: &Machine) -> Finding {
    match machine.text(&format!("{CPU}/smt/active")).as_deref() {
        Some("0") => Finding::ok("smt", "off"),
        Some("1") => Finding::warn(
            "smt",
            "on: cores share their units with a sibling",
            "pin nothing to the engine core's sibling, or: echo off > /sys/devices/system/cpu/smt/control",
        ),
        _ => Finding::unknown("smt"),
    }
}

fn quota(machine: &Machine) -> Finding {
    let Some(max) = machine.text("/sys/fs/cgroup/cpu.max") else {
        // The root group has no such file, and no quota.
        return Finding::ok("cpu quota", "none");
    };
    match max.split_once(' ') {
        Some(("max", _)) => Finding::ok("cpu quota", "none"),
        Some((quota, period)) => Finding::bad(
            "cpu quota",
            format!("{quota} µs of every {period} µs"),
            "a thread past its quota stands still for the rest of the period; remove the limit \
             (docker --cpus, Kubernetes limits.cpu) and give whole cores instead",
        ),
        None => Finding::unknown("cpu quota"),
    }
}

fn governor(machine: &Machine) -> Finding {
    match machine.text(&format!("{CPU}/cpu0/cpufreq/scaling_governor")) {
        None => Finding::unknown("governor"),
        Some(name) if name == "performance" => Finding::ok("governor", name),
        Some(name) => Finding::warn(
            "governor",
            name,
            "cores that idle slow down, and the next event pays for it: cpupower frequency-set -g \
             performance",
        ),
    }
}

fn frequency(machine: &Machine) -> Finding {
    let khz = |name: &str| machine.text(&format!("{CPU}/cpu0/cpufreq/{name}"))?.parse::<u64>().ok();
    let turbo = match (
        machine.text(&format!("{CPU}/intel_pstate/no_turbo")).as_deref(),
        machine.text(&format!("{CPU}/cpufreq/boost")).as_deref(),
    ) {
        (Some("0"), _) | (None, Some("1")) => Some("turbo on: it varies with load and heat"),
        (Some("1"), _) | (None, Some("0")) => Some("turbo off"),
        _ => None,
    };
    match (khz("scaling_cur_freq"), khz("cpuinfo_max_freq"), turbo) {
        (Some(now), Some(max), turbo) => {
            let turbo = turbo.map_or_else(String::new, |text| format!(", {text}"));
            Finding::ok("frequency", format!("{} of {} MHz{turbo}", now / 1_000, max / 1_000))
        }
        (_, _, Some(turbo)) => Finding::ok("frequency", turbo),
        _ => Finding::unknown("frequency"),
    }
}

fn clock(machine: &Machine) -> Finding {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match machine.text(path).as_deref() {
        None | Some("") => Finding::unknown("clock"),
        Some(name @ ("tsc" | "arch_sys_counter")) => Finding::ok("clock", name),
        Some(name @ ("kvm-clock" | "hyperv_clocksource_tsc_page")) => {
            Finding::ok("clock", format!("{name}: a virtual machine's, read without a system call"))
        }
        Some(name) => Finding::bad(
            "clock",
            name,
            "every look at it is a system call, and the engine looks at each event; boot with \
             clocksource=tsc tsc=reliable if the machine's counter can be trusted",
        ),
    }
}

/// Returns the numbers of a list such as `0-3,8`.
fn list(text: &str) -> Vec<u32> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u32>().ok()?);
            // A machine with more cores does not exist; a damaged file may say so.
            (last < 65_536).then_some(first..=last)
        })
        .flatten()
        .collect()
}
