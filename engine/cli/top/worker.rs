//! The thread that asks the server.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Switch;
use crate::control_api::{Request, Status};
use crate::control_client::Client;

/// How often the status is asked for.
const EVERY: Duration = Duration::from_millis(500);

/// What the server said.
#[derive(Debug)]
pub(super) enum News {
    Status(Result<Box<Status>, String>),
    Done(Switch, Result<(), String>),
}

/// The screen's side of the thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    switches: Sender<Switch>,
    news: Receiver<News>,
}

impl Worker {
    pub(super) fn start(socket: &Path) -> io::Result<Self> {
        let mut client = Client::new(socket);
        let (switches, wanted) = channel::<Switch>();
        let (tell, news) = channel();
        thread::Builder::new().name("server".to_owned()).spawn(move || {
            // Every switch is followed by a status, so that its effect is seen at once.
            while tell.send(News::Status(status(&mut client))).is_ok() {
                match wanted.recv_timeout(EVERY) {
                    Ok(switch) => {
                        let done = client.call(&switch.request());
                        let done = done.map(|_| ()).map_err(|error| format!("{error:#}"));
                        if tell.send(News::Done(switch, done)).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { switches, news })
    }

    /// Asks for a switch; what comes of it is news.
    pub(super) fn ask(&self, switch: Switch) {
        // The thread ends after this side only.
        let _ = self.switches.send(switch);
    }

    /// Returns what came since the last look, one by one.
    pub(super) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

fn status(client: &mut Client) -> Result<Box<Status>, String> {
    let value = client.call(&Request::Status).map_err(|error| format!("{error:#}"))?;
    serde_json::from_value(value).map(Box::new).map_err(|error| format!("status: {error}"))
}
