//! A screen that shows a running server and has its switches.
//!
//! [`App`] is what there is to show and what keys change; [`draw`] makes a picture of it; the server
//! is asked by a thread of its own, so that keys are never waited with.

mod draw;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::control_api::{Request, ScopeName, Status};
use crate::exit::{Answer, Blame, Outcome};

use self::worker::{News, Worker};

/// What there is to show.
#[derive(Debug)]
struct App {
    /// The server's socket, for messages.
    server: String,
    /// The last status and when it came.
    status: Option<(Status, Instant)>,
    /// Why the last question had no answer.
    trouble: Option<String>,
    /// What came of the last switch.
    said: Option<String>,
    /// What is asked before it is done.
    asked: Option<Switch>,
    /// Which instrument's book is shown.
    instrument_idx: usize,
}

/// What can be done to the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Switch {
    Pause,
    Resume,
    Flatten,
    Kill,
}

impl Switch {
    fn request(self) -> Request {
        let scope = ScopeName::engine();
        match self {
            Self::Pause => Request::Pause(scope),
            Self::Resume => Request::Resume(scope),
            Self::Flatten => Request::Flatten(scope),
            Self::Kill => Request::Kill(scope),
        }
    }

    /// Returns what it does, as a question.
    const fn question(self) -> &'static str {
        match self {
            Self::Pause => "Pause: only orders that shrink positions?",
            Self::Resume => "Resume: trade within limits again?",
            Self::Flatten => "Flatten: cancel all orders and close all positions at market?",
            Self::Kill => "Kill: cancel all orders and refuse new ones?",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Pause => "pause: done",
            Self::Resume => "resume: done",
            Self::Flatten => "flatten: done",
            Self::Kill => "kill: done",
        }
    }

    /// Whether it is asked before it is done: whether it cannot be taken back.
    const fn is_grave(self) -> bool {
        matches!(self, Self::Flatten | Self::Kill)
    }
}

/// What a key leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Nothing,
    Do(Switch),
    Quit,
}

impl App {
    fn new(server: &Path) -> Self {
        Self {
            server: server.display().to_string(),
            status: None,
            trouble: None,
            said: None,
            asked: None,
            instrument_idx: 0,
        }
    }

    fn press(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        self.said = None;
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Action::Quit;
        }
        if let Some(switch) = self.asked.take() {
            // Anything but a plain yes is a no.
            let is_yes = key.code == KeyCode::Char('y') && !is_control;
            return if is_yes { Action::Do(switch) } else { Action::Nothing };
        }
        if is_control {
            return Action::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => Action::Quit,
            KeyCode::Char('p') => self.switch(Switch::Pause),
            KeyCode::Char('r') => self.switch(Switch::Resume),
            KeyCode::Char('f') => self.switch(Switch::Flatten),
            KeyCode::Char('k') => self.switch(Switch::Kill),
            KeyCode::Tab => {
                let n = self.status.as_ref().map_or(0, |(status, _)| status.instruments.len());
                self.instrument_idx = (self.instrument_idx + 1) % n.max(1);
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    const fn switch(&mut self, switch: Switch) -> Action {
        if switch.is_grave() {
            self.asked = Some(switch);
            return Action::Nothing;
        }
        Action::Do(switch)
    }

    fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Status(Ok(status)) => {
                self.status = Some((*status, now));
                self.trouble = None;
            }
            News::Status(Err(trouble)) => self.trouble = Some(trouble),
            News::Done(switch, Ok(())) => self.said = Some(switch.done().to_owned()),
            News::Done(_, Err(refusal)) => self.said = Some(format!("not done: {refusal}")),
        }
    }
}

/// How long a key may wait to be seen.
const TICK: Duration = Duration::from_millis(100);

/// Shows the server until the user leaves.
pub(crate) fn run(socket: &Path) -> Outcome {
    run_until(socket, None)
}

/// As [`run`], but ends by itself at a moment.
pub(crate) fn run_until(socket: &Path, until: Option<Instant>) -> Outcome {
    let worker = Worker::start(socket).or_machine()?;
    let mut terminal = ratatui::try_init().context("take over the terminal").or_machine()?;
    let result = show(&mut terminal, &mut App::new(socket), &worker, until);
    ratatui::restore();
    result.or_machine()?;
    Ok(Answer::Good)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    worker: &Worker,
    until: Option<Instant>,
) -> anyhow::Result<()> {
    while until.is_none_or(|until| Instant::now() < until) {
        while let Some(news) = worker.news() {
            app.hear(news, Instant::now());
        }
        terminal.draw(|frame| draw::draw(frame, app, Instant::now())).context("draw")?;
        if !event::poll(TICK).context("wait for a key")? {
            continue;
        }
        let Event::Key(key) = event::read().context("read a key")? else { continue };
        match app.press(key) {
            Action::Nothing => {}
            Action::Do(switch) => worker.ask(switch),
            Action::Quit => return Ok(()),
        }
    }
    Ok(())
}
