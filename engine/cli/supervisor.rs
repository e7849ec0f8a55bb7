//! What systemd is told: that the server is ready, that it lives, that it stops.
//!
//! Without systemd (no `NOTIFY_SOCKET`) nothing is told and nothing fails.

use std::io;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The server's side of its supervision, held by its main thread.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// How long systemd waits for a sign of life, if it does.
    watchdog: Option<Duration>,
    last_sign: Option<Instant>,
}

impl Supervisor {
    /// Reads from the environment what is wanted.
    pub(crate) fn new() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), last_sign: None }
    }

    /// Returns how often to ask the engine whether it answers: four times within what systemd waits
    /// for, and each second without it.
    pub(crate) fn interval(&self) -> Duration {
        self.watchdog.map_or(Duration::from_secs(1), |wait| wait / 4)
    }

    /// Says that starting goes on and takes `longest` more. To be said when there is progress.
    pub(crate) fn starting(&self, what: &str, longest: Duration) {
        let micros = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status(what)]);
    }

    /// Says that the server has recovered and runs.
    pub(crate) fn ready(&self, what: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(what)]);
    }

    /// Says that the engine has just answered. To be called then and only then: an engine that
    /// hangs is ended and recovered.
    pub(crate) fn alive(&mut self, now: Instant) {
        let Some(watchdog) = self.watchdog else { return };
        // More often than needed, so that one lost sign costs nothing; not more, for its cost.
        let is_due = self.last_sign.is_none_or(|last| now.duration_since(last) >= watchdog / 5);
        if is_due {
            self.last_sign = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Says in a line how things are, for `systemctl status`.
    pub(crate) fn status(&self, what: &str) {
        tell(&[NotifyState::Status(what)]);
    }

    /// Says that the server stops.
    pub(crate) fn stopping(&self, why: &str) {
        tell(&[NotifyState::Stopping, NotifyState::Status(why)]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // A line of status must not end early and begin another message.
    let lines: Vec<_> = states
        .iter()
        .map(|state| match state {
            NotifyState::Status(text) => format!("STATUS={}", text.replace('\n', " ")),
            other => other.to_string(),
        })
        .collect();
    let states: Vec<_> = lines.iter().map(|line| NotifyState::Custom(line)).collect();
    if let Err(error) = sd_notify::notify(&states) {
        complain(&error);
    }
}

fn complain(error: &io::Error) {
    tracing::warn!(%error, "systemd could not be told; it may end this server as hanging");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    /// Set in the process that plays the server.
    const IS_SERVER: &str = "TERCEL_TEST_IS_SERVER";

    /// The environment is a process's own, so the server is one: this same test, told by a variable.
    #[test]
    fn systemd_is_told_ready_alive_and_stopping() {
        if std::env::var_os(IS_SERVER).is_some() {
            return play_server();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut server = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "supervisor::tests::systemd_is_told_ready_alive_and_stopping"])
            .env(IS_SERVER, "1")
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "10000000")
            .spawn()
            .unwrap();
        let heard: Vec<_> = (0..6)
            .map(|_| {
                let mut message = [0; 512];
                let n = systemd.recv(&mut message).unwrap();
                String::from_utf8_lossy(&message[..n]).trim_end().to_owned()
            })
            .collect();
        assert_eq!(
            heard,
            [
                "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=recovering: 5000 entries",
                "READY=1\nSTATUS=run 7",
                "WATCHDOG=1",
                "WATCHDOG=1",
                "STATUS=halted",
                "STOPPING=1\nSTATUS=asked to READY=1",
            ]
        );
        assert!(server.wait().unwrap().success());
    }

    fn play_server() {
        let mut supervisor = Supervisor::new();
        assert_eq!(supervisor.interval(), Duration::from_millis(2_500));
        supervisor.starting("recovering: 5000 entries", Duration::from_secs(30));
        supervisor.ready("run 7");
        let begin = Instant::now();
        for ms in [0, 500, 1_999, 2_000, 3_000] {
            supervisor.alive(begin + Duration::from_millis(ms));
        }
        supervisor.status("halted");
        supervisor.stopping("asked to\nREADY=1");
    }

    #[test]
    fn without_systemd_nothing_is_told() {
        let mut supervisor = Supervisor { watchdog: None, last_sign: None };
        assert_eq!(supervisor.interval(), Duration::from_secs(1));
        supervisor.alive(Instant::now());
        assert!(supervisor.last_sign.is_none());
    }
}
