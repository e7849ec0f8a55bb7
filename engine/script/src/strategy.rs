//! A script as the engine's strategy.

use tercel_core::{
    FaultKind, Intent, Intents, Nanos, Strategy, StrategyEvent, StrategyFault, View,
};

use crate::hook::{Hook, HookCall, Hooks, Numbers};
use crate::host::{Host, SharedHost};
use crate::limits::StopSwitch;
use crate::lines::ScriptLine;
use crate::manifest::TimerSpec;
use crate::runtime::ScriptRuntime;

/// A strategy that a script decides.
pub struct ScriptStrategy {
    runtime: Box<dyn ScriptRuntime>,
    hooks: Hooks,
    host: SharedHost,
    stop: StopSwitch,
    timers: Vec<TimerSpec>,
    reload: bool,
    numbers: Numbers,
}

impl std::fmt::Debug for ScriptStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptStrategy").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

impl ScriptStrategy {
    pub(crate) fn new(
        runtime: Box<dyn ScriptRuntime>,
        host: SharedHost,
        stop: StopSwitch,
        timers: Vec<TimerSpec>,
        reload: bool,
    ) -> Self {
        let (hooks, numbers) = (runtime.hooks(), Numbers::default());
        Self { runtime, hooks, host, stop, timers, reload, numbers }
    }

    /// Returns the switch that ends a running call, for watchdogs on other threads.
    #[must_use]
    pub fn stop_switch(&self) -> StopSwitch {
        self.stop.clone()
    }

    /// Returns the hook that an event calls, if the script defines it.
    pub(crate) fn called_for(&self, event: &StrategyEvent<'_>) -> Option<Hook> {
        let hook = match event {
            StrategyEvent::Start if self.is_reload() => Hook::Reload,
            StrategyEvent::Start => Hook::Init,
            other => Host::hook_of(other)?,
        };
        self.hooks.contains(hook).then_some(hook)
    }

    /// Takes the lines that the last call's intents were made in, by the intents' places.
    pub(crate) fn take_lines(&self) -> Vec<(usize, ScriptLine)> {
        self.host.borrow_mut().take_lines()
    }

    /// Returns where a hook begins.
    pub(crate) fn line_of(&self, hook: Hook) -> Option<ScriptLine> {
        self.runtime.line_of(hook)
    }

    const fn is_reload(&self) -> bool {
        self.reload && self.hooks.contains(Hook::Reload)
    }

    fn start(&mut self, view: &View<'_>, intents: &mut Intents) -> Result<(), StrategyFault> {
        self.host.borrow_mut().learn(view);
        for timer in &self.timers {
            let span_ns = i64::try_from(timer.every_ms).unwrap_or(i64::MAX);
            let span_ns = span_ns.saturating_mul(Nanos::MILLI);
            // One that beats already goes on: after a restart it may be overdue, and then it fires.
            if view.timer(&timer.name).is_some_and(|own| own.every_ns == Some(span_ns)) {
                continue;
            }
            let intent = Intent::SetTimer {
                name: timer.name.as_str().into(),
                at: view.now().plus(span_ns),
                every_ns: Some(span_ns),
            };
            intents.push(intent).map_err(|error| StrategyFault {
                kind: FaultKind::Intents,
                message: format!("declared timers: {error}"),
                file: self.host.borrow().file().to_owned(),
                line: 0,
            })?;
        }
        if self.is_reload() {
            let old_state = Host::memory(view);
            let call = HookCall::Reload { old_state: &old_state };
            return self.run(Hook::Reload, view, intents, |_, _| Some(call));
        }
        self.run(Hook::Init, view, intents, |_, _| Some(HookCall::Init))
    }

    /// Calls a hook, if the script defines it, with what `arguments` makes of the host.
    fn run<'a>(
        &'a mut self,
        hook: Hook,
        view: &View<'_>,
        intents: &mut Intents,
        arguments: impl FnOnce(&mut Host, &'a Numbers) -> Option<HookCall<'a>>,
    ) -> Result<(), StrategyFault> {
        if !self.hooks.contains(hook) {
            return Ok(());
        }
        let call = {
            let mut host = self.host.borrow_mut();
            host.begin(intents);
            arguments(&mut host, &self.numbers)
        };
        // Borrowed, not moved: copying what was just written stalls for longer than it seems.
        let result = match &call {
            Some(call) => Host::lend(view, || self.runtime.call(call)),
            None => Ok(()),
        };
        // A bound that was broken has been broken, even if the script caught the error.
        if let Some(fault) = self.host.borrow_mut().end(intents) {
            return Err(fault);
        }
        result?;
        self.runtime.idle();
        Ok(())
    }
}

impl Strategy for ScriptStrategy {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        if let Some(hook) = Host::hook_of(event) {
            return self
                .run(hook, view, intents, |host, numbers| host.arguments(event, view, numbers));
        }
        match event {
            StrategyEvent::Start => self.start(view, intents),
            StrategyEvent::Params(values) => {
                self.host.borrow_mut().set_params(values);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
