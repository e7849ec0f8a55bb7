use std::time::Duration;

use super::*;

/// A machine made of files, and a folder for its data.
fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let machine = Machine::at(folder.path());
    (folder, machine)
}

fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
    let (folder, machine) = machine(files);
    machine.examine(&folder.path().join("data"))
}

#[track_caller]
fn check(files: &[(&str, &str)], topic: &str, verdict: Verdict, found: &str) {
    let all = findings(files);
    let finding = all.iter().find(|finding| finding.topic == topic).unwrap();
    assert_eq!(finding.verdict, verdict, "{finding:?}");
    assert!(finding.found.contains(found), "{finding:?}");
    let needs_remedy = matches!(verdict, Verdict::Warn | Verdict::Bad);
    assert_eq!(finding.remedy.is_some(), needs_remedy, "{finding:?}");
}

#[test]
fn a_machine_without_files_is_unknown() {
    for finding in findings(&[]) {
        let is_read_from_files =
            !matches!(finding.topic, "free space" | "disk sync" | "cpu quota" | "time");
        if is_read_from_files {
            assert_eq!(finding.verdict, Verdict::Unknown, "{finding:?}");
        }
    }
}

#[test]
fn a_machine_full_of_nonsense_is_survived() {
    let nonsense = "\u{0}-,,9-1 [ ]\n-\n99999999999999999999-4\n";
    let paths = [
        "sys/devices/system/cpu/online",
        "sys/devices/system/cpu/isolated",
        "sys/devices/system/cpu/nohz_full",
        "sys/devices/system/cpu/smt/active",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
        "sys/fs/cgroup/cpu.max",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "proc/swaps",
        "proc/cpuinfo",
        "proc/self/status",
        "proc/self/limits",
        "proc/self/mountinfo",
    ];
    let files: Vec<_> = paths.iter().map(|path| (*path, nonsense)).collect();
    assert_eq!(findings(&files).len(), findings(&[]).len());
}

#[test]
fn cores_are_counted_as_far_as_they_are_allowed() {
    let online = ("sys/devices/system/cpu/online", "0-7\n");
    check(&[online], "cores", Verdict::Ok, "8 (0-7)");
    let two = ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t2,5\nMems_allowed:\t1\n");
    check(&[online, two], "cores", Verdict::Warn, "2 of 8 allowed (2,5)");
    check(&[("sys/devices/system/cpu/online", "0\n")], "cores", Verdict::Bad, "1 (0)");
}

#[test]
fn isolation_takes_both_lists() {
    let isolated = "sys/devices/system/cpu/isolated";
    let tickless = "sys/devices/system/cpu/nohz_full";
    check(&[(isolated, "\n")], "isolated", Verdict::Warn, "no core is kept");
    check(&[(isolated, "2-3\n"), (tickless, " (null)\n")], "isolated", Verdict::Warn, "tick");
    check(&[(isolated, "2-3\n"), (tickless, "2-3\n")], "isolated", Verdict::Ok, "2-3");
}

#[test]
fn cores_and_their_clock_are_judged() {
    let cpu = |name: &str| format!("sys/devices/system/cpu/{name}");
    check(&[(&cpu("smt/active"), "1")], "smt", Verdict::Warn, "on");
    check(&[(&cpu("smt/active"), "0")], "smt", Verdict::Ok, "off");
    let governor = cpu("cpu0/cpufreq/scaling_governor");
    check(&[(&governor, "powersave\n")], "governor", Verdict::Warn, "powersave");
    check(&[(&governor, "performance\n")], "governor", Verdict::Ok, "performance");
    check(
        &[
            (&cpu("cpu0/cpufreq/scaling_cur_freq"), "2400000\n"),
            (&cpu("cpu0/cpufreq/cpuinfo_max_freq"), "5100000\n"),
            (&cpu("intel_pstate/no_turbo"), "0\n"),
        ],
        "frequency",
        Verdict::Ok,
        "2400 of 5100 MHz, turbo on",
    );
    let clock = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    check(&[(clock, "tsc\n")], "clock", Verdict::Ok, "tsc");
    check(&[(clock, "hpet\n")], "clock", Verdict::Bad, "hpet");
    check(&[("sys/fs/cgroup/cpu.max", "150000 100000\n")], "cpu quota", Verdict::Bad, "150000 µs");
    check(&[("sys/fs/cgroup/cpu.max", "max 100000\n")], "cpu quota", Verdict::Ok, "none");
}

#[test]
fn memory_and_limits_are_judged() {
    let thp = "sys/kernel/mm/transparent_hugepage/enabled";
    check(&[(thp, "[always] madvise never\n")], "huge pages", Verdict::Warn, "always");
    check(&[(thp, "always [madvise] never\n")], "huge pages", Verdict::Ok, "madvise");
    let swaps = "Filename Type Size Used Priority\n/dev/a partition 2097148 0 -2\n";
    check(&[("proc/swaps", swaps)], "swap", Verdict::Warn, "2047 MB");
    check(&[("proc/swaps", "Filename Type Size Used Priority\n")], "swap", Verdict::Ok, "none");
    let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   256   4096   files\n\
                  Max locked memory   unlimited   unlimited   bytes\n";
    check(&[("proc/self/limits", limits)], "open files", Verdict::Warn, "256");
    check(&[("proc/self/limits", limits)], "locked memory", Verdict::Ok, "unlimited");
}

#[test]
fn time_and_machine_are_judged() {
    check(&[], "time", Verdict::Warn, "nobody");
    check(&[("run/systemd/timesync/synchronized", "")], "time", Verdict::Ok, "timesyncd");
    for (offset, verdict) in
        [("0.000012", Verdict::Ok), ("-0.012", Verdict::Warn), ("0.2", Verdict::Bad)]
    {
        let tracking =
            format!("A29FC801,162.159.200.1,4,1763.1,{offset},0.1,0.1,1,0,1,0.1,0.1,65.0,Normal\n");
        assert_eq!(system::of_chrony(&tracking).unwrap().verdict, verdict);
    }
    assert_eq!(system::of_chrony("506 Cannot talk to daemon\n"), None);
    check(&[("proc/cpuinfo", "flags : fpu hypervisor\n")], "machine", Verdict::Warn, "virtual");
    let boxed = [("proc/cpuinfo", "flags : fpu\n"), (".dockerenv", "")];
    check(&boxed, "machine", Verdict::Ok, "in a container");
}

#[test]
fn a_disk_is_measured_and_judged() {
    let mounts = |kind: &str| {
        format!(
            "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / {} rw - {kind} x rw\n",
            std::env::temp_dir().display()
        )
    };
    for (kind, verdict) in [
        ("tmpfs", Verdict::Bad),
        ("nfs4", Verdict::Bad),
        ("overlay", Verdict::Warn),
        ("xfs", Verdict::Ok),
    ] {
        check(&[("proc/self/mountinfo", &mounts(kind))], "file system", verdict, kind);
    }
    let (folder, machine) = machine(&[]);
    let sync = disk::examine(&machine, &folder.path().join("not/yet")).pop().unwrap();
    assert!(sync.found.contains("ms half of the time"), "{sync:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    for (micros, verdict) in
        [(2, Verdict::Warn), (200, Verdict::Ok), (5_000, Verdict::Warn), (50_000, Verdict::Bad)]
    {
        assert_eq!(disk::judge(&[Duration::from_micros(micros); 3]).verdict, verdict);
    }
    let nowhere = disk::examine(&machine, Path::new("/proc/none")).pop().unwrap();
    assert_eq!(nowhere.verdict, Verdict::Bad, "{nowhere:?}");
}
