//! Where in a script its wishes come from.
//!
//! Nobody asks that while a script trades: the functions that make intents are defined without it,
//! and there is nothing to switch off. When a run is executed again, [`Script::instantiate_noted`]
//! builds the strategy with functions that also note the line that called them.
//!
//! [`Script::instantiate_noted`]: crate::Script::instantiate_noted

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use tercel_core::{Intent, Intents, Strategy, StrategyEvent, StrategyFault, StrategyId, View};

use crate::hook::Hook;
use crate::strategy::ScriptStrategy;

/// A line of a script or of what it requires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptLine {
    /// The file's name.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
}

impl fmt::Display for ScriptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An intent and the line that made it.
#[derive(Clone, PartialEq, Debug)]
pub struct NotedIntent {
    /// The intent.
    pub intent: Intent,
    /// The line that called the function of the host; none for what no line made: timers of the
    /// declaration, points of bound indicators.
    pub line: Option<ScriptLine>,
}

/// A call of a script.
#[derive(Clone, PartialEq, Debug)]
pub struct NotedCall {
    /// Whose script it is.
    pub strategy: StrategyId,
    /// What was called; none where the script has no such hook and only its declaration had a say.
    pub hook: Option<Hook>,
    /// Where that begins, if the language tells.
    pub begins: Option<ScriptLine>,
    /// What it wished, in order; dropped by the engine if the call failed.
    pub intents: Vec<NotedIntent>,
}

/// Calls of scripts that one thread executes, in order, until somebody takes them.
#[derive(Clone, Debug, Default)]
pub struct LineNotes(Rc<RefCell<Vec<NotedCall>>>);

impl LineNotes {
    /// Returns an empty list, to be shared with the strategies that write it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the calls since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<NotedCall> {
        self.0.take()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// A script's strategy whose calls are noted.
#[derive(Debug)]
pub struct NotedStrategy {
    strategy: ScriptStrategy,
    notes: LineNotes,
}

impl NotedStrategy {
    pub(crate) const fn new(strategy: ScriptStrategy, notes: LineNotes) -> Self {
        Self { strategy, notes }
    }
}

impl Strategy for NotedStrategy {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let hook = self.strategy.called_for(event);
        let result = self.strategy.on_event(event, view, intents);
        let lines = self.strategy.take_lines();
        if hook.is_none() && intents.is_empty() {
            return result;
        }
        let line_of =
            |n: usize| lines.iter().find(|(noted, _)| *noted == n).map(|(_, line)| line.clone());
        let intents = intents.as_slice().iter().enumerate();
        self.notes.0.borrow_mut().push(NotedCall {
            strategy: view.strategy(),
            hook,
            begins: hook.and_then(|hook| self.strategy.line_of(hook)),
            intents: intents
                .map(|(n, intent)| NotedIntent { intent: intent.clone(), line: line_of(n) })
                .collect(),
        });
        result
    }
}
