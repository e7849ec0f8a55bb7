//! From what came out of an engine back to the line of a script that wished it.

use std::fmt;

use tercel_core::{
    ClientOrderId, Effect, Intent, Notice, OrderRequest, PlotId, StrategyFault, StrategyId,
};
use tercel_script::{Hook, NotedCall, NotedIntent, ScriptLine};
use tercel_store::journal::RecordedEffect;

/// Where a script wished something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptPlace {
    /// Whose script.
    pub strategy: StrategyId,
    /// The hook that ran; none for what the declaration wishes.
    pub hook: Option<Hook>,
    /// The line, if one is known.
    pub line: Option<ScriptLine>,
    /// Whether the line is only that in which the hook begins, because no line wished it.
    pub is_begin: bool,
}

impl fmt::Display for ScriptPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hook = self.hook.map_or("the declaration", Hook::name);
        match &self.line {
            Some(line) if self.is_begin => write!(f, "{hook}, which begins at {line}"),
            Some(line) => write!(f, "{line} in {hook}"),
            None => f.write_str(hook),
        }
    }
}

/// Returns where each of an event's effects was wished, in order; none for what the engine did of its
/// own accord. `calls` are all that the event made.
#[must_use]
pub fn script_places(calls: &[NotedCall], effects: &[RecordedEffect]) -> Vec<Option<ScriptPlace>> {
    Finder::new(calls).places(effects.iter().map(Made::of_recorded))
}

/// Returns where the last of these effects was wished.
pub(crate) fn place_of(calls: &[NotedCall], effects: &[Effect]) -> Option<ScriptPlace> {
    Finder::new(calls).places(effects.iter().map(Made::of)).pop().flatten()
}

/// Returns the hook that ran last, for a wish that it did not have.
pub(crate) fn last_hook(calls: &[NotedCall]) -> Option<ScriptPlace> {
    let call = calls.iter().rev().find(|call| call.hook.is_some())?;
    let line = call.begins.clone();
    Some(ScriptPlace { strategy: call.strategy, hook: call.hook, line, is_begin: true })
}

/// What an effect tells of the intent that it came from.
enum Made<'a> {
    New(ClientOrderId),
    Replace(ClientOrderId),
    Cancel(ClientOrderId),
    Refusal(ClientOrderId),
    Memory(StrategyId, &'a str),
    Timer(StrategyId, &'a str),
    NoTimer(StrategyId, &'a str),
    Log(StrategyId, &'a str),
    PlotName(StrategyId, PlotId),
    Point(StrategyId, PlotId),
    Mark(StrategyId, &'a str),
    Fault(StrategyId, &'a StrategyFault),
    Nothing,
}

impl<'a> Made<'a> {
    fn of(effect: &'a Effect) -> Self {
        match effect {
            Effect::Send(request) => Self::of_request(request),
            Effect::Remember { strategy, key, .. } => Self::Memory(*strategy, key),
            Effect::SetTimer { strategy, timer } => Self::Timer(*strategy, &timer.name),
            Effect::CancelTimer { strategy, name } => Self::NoTimer(*strategy, name),
            Effect::Notice(notice) => Self::of_notice(notice),
            Effect::Resync(_) => Self::Nothing,
        }
    }

    fn of_recorded(effect: &'a RecordedEffect) -> Self {
        match effect {
            RecordedEffect::Send(request) => Self::of_request(request),
            RecordedEffect::Remember { strategy, key, .. } => Self::Memory(*strategy, key),
            RecordedEffect::SetTimer { strategy, timer } => Self::Timer(*strategy, &timer.name),
            RecordedEffect::CancelTimer { strategy, name } => Self::NoTimer(*strategy, name),
            RecordedEffect::Notice(notice) => Self::of_notice(notice),
            RecordedEffect::Resync(_) => Self::Nothing,
        }
    }

    const fn of_request(request: &OrderRequest) -> Self {
        match *request {
            OrderRequest::New { id, .. } => Self::New(id),
            OrderRequest::Replace { id, .. } => Self::Replace(id),
            OrderRequest::Cancel { id, .. } => Self::Cancel(id),
        }
    }

    fn of_notice(notice: &'a Notice) -> Self {
        match notice {
            Notice::Log { strategy, text } => Self::Log(*strategy, text),
            Notice::NamePlot { strategy, plot, .. } => Self::PlotName(*strategy, *plot),
            Notice::Draw { strategy, plot, .. } => Self::Point(*strategy, *plot),
            Notice::Mark { strategy, label, .. } => Self::Mark(*strategy, label),
            Notice::RiskReject { order, .. } => Self::Refusal(*order),
            Notice::Fault { strategy, fault } => Self::Fault(*strategy, fault),
            Notice::BookStale { .. }
            | Notice::State { .. }
            | Notice::Funding { .. }
            | Notice::LossMarks { .. }
            | Notice::PositionDiffers { .. }
            | Notice::PositionTaken { .. }
            | Notice::ReportRefused { .. } => Self::Nothing,
        }
    }

    /// Returns whether it can have come from this intent.
    fn is_of(&self, strategy: StrategyId, intent: &Intent) -> bool {
        match (self, intent) {
            (Self::New(made), Intent::Place { id, .. })
            | (Self::Replace(made), Intent::Replace { id, .. })
            | (Self::Cancel(made), Intent::Cancel { id })
            | (
                Self::Refusal(made),
                Intent::Place { id, .. }
                | Intent::Unrepresentable { id, .. }
                | Intent::Replace { id, .. }
                | Intent::Cancel { id },
            ) => made == id,
            (Self::Cancel(_), Intent::CancelAll { .. }) => true,
            (Self::Memory(own, made), Intent::Remember { key: name, .. })
            | (Self::Timer(own, made), Intent::SetTimer { name, .. })
            | (Self::NoTimer(own, made), Intent::CancelTimer { name })
            | (Self::Mark(own, made), Intent::Mark { label: name, .. }) => {
                *own == strategy && **made == **name
            }
            (Self::Log(own, made), Intent::Log { text }) => *own == strategy && made == text,
            (Self::PlotName(own, made), Intent::NamePlot { plot, .. })
            | (Self::Point(own, made), Intent::Draw { plot, .. }) => {
                *own == strategy && made == plot
            }
            _ => false,
        }
    }
}

/// Walks along the intents as the engine did.
struct Finder<'a> {
    intents: Vec<(&'a NotedCall, &'a NotedIntent)>,
    calls: &'a [NotedCall],
    next: usize,
}

impl<'a> Finder<'a> {
    fn new(calls: &'a [NotedCall]) -> Self {
        let of = |call: &'a NotedCall| call.intents.iter().map(move |intent| (call, intent));
        Self { intents: calls.iter().flat_map(of).collect(), calls, next: 0 }
    }

    fn places(mut self, made: impl Iterator<Item = Made<'a>>) -> Vec<Option<ScriptPlace>> {
        made.map(|made| self.place(&made)).collect()
    }

    fn place(&mut self, made: &Made<'_>) -> Option<ScriptPlace> {
        if let Made::Fault(strategy, fault) = made {
            let mut calls = self.calls.iter().rev();
            let hook = calls.find(|call| call.strategy == *strategy).and_then(|call| call.hook);
            let line = ScriptLine { file: fault.file.clone(), line: fault.line };
            let line = Some(line).filter(|line| line.line > 0);
            return Some(ScriptPlace { strategy: *strategy, hook, line, is_begin: false });
        }
        let mut rest = self.intents.iter().enumerate().skip(self.next);
        let (n, (call, noted)) =
            rest.find(|(_, (call, noted))| made.is_of(call.strategy, &noted.intent))?;
        // One wish to cancel all makes many cancels.
        let makes_many = matches!(noted.intent, Intent::CancelAll { .. });
        self.next = if makes_many { n } else { n + 1 };
        let (strategy, line) = (call.strategy, noted.line.clone());
        Some(ScriptPlace { strategy, hook: call.hook, line, is_begin: false })
    }
}
