//! Memory: what makes an access wait.

use super::{Finding, Machine};

pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    vec![huge_pages(machine), swap(machine)]
}

fn huge_pages(machine: &Machine) -> Finding {
    let topic = "huge pages";
    let text = machine.text("/sys/kernel/mm/transparent_hugepage/enabled");
    let chosen = text.as_deref().and_then(|text| Some(text.split_once('[')?.1.split_once(']')?.0));
    match chosen {
        None => Finding::unknown(topic),
        Some("always") => Finding::warn(
            topic,
            "always: the kernel gathers pages behind the program's back, which stalls it",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Some(other) => Finding::ok(topic, other),
    }
}

fn swap(machine: &Machine) -> Finding {
    let Some(text) = machine.text("/proc/swaps") else { return Finding::unknown("swap") };
    let sizes_kb = text.lines().skip(1).filter_map(|line| {
        line.split_whitespace().nth(2).and_then(|size| size.parse::<u64>().ok())
    });
    match sizes_kb.fold(0_u64, u64::saturating_add) {
        0 => Finding::ok("swap", "none"),
        kb => Finding::warn(
            "swap",
            format!("{} MB", kb / 1_024),
            "a page that was swapped out costs milliseconds: swapoff -a, or MemorySwapMax=0 in the \
             unit",
        ),
    }
}
