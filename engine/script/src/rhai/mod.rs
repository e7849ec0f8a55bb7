//! Strategies in Rhai: one engine for one script.
//!
//! - Every limit of the language is set: operations and call levels of a call, depth of expressions,
//!   sizes of strings, arrays and maps. Those errors cannot be caught by a script.
//! - Left out are `eval`, modules, printing, sleeping, and the functions of strings that do much
//!   work in one operation (`replace`, `split`, `pad`).
//! - The top level runs once, when the script is loaded. Functions of Rhai do not see its variables:
//!   what a script keeps between calls stands in its top-level variable `state`, a map, which every
//!   hook gets as `this`.

mod convert;
mod fault;
mod functions;

use std::rc::Rc;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage, Package,
};
use rhai::{
    AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, OptimizationLevel, Scope,
};
use tercel_core::{FaultKind, StrategyFault};

use crate::hook::{Hook, HookCall, Hooks, Numbers};
use crate::host::SharedHost;
use crate::lines::ScriptLine;
use crate::runtime::{Builder, ScriptRuntime};
use crate::script::Parts;

/// The top-level variable that hooks get as `this`.
const STATE: &str = "state";
/// Longest string, and most items of arrays and maps together.
const LONGEST_STRING: usize = 4_096;
const MOST_ITEMS: usize = 10_000;
/// Deepest nesting of calls: a level of Rhai takes kilobytes of the machine's own stack.
const DEEPEST_CALL: usize = 48;

/// A Rhai engine with a script in it.
pub(crate) struct Rhai {
    engine: Engine,
    ast: AST,
    scope: Scope<'static>,
    state: Dynamic,
    hooks: Hooks,
    /// Lines that the hooks begin in.
    begins: [Option<u32>; Hook::ALL.len()],
    file: String,
    host: SharedHost,
}

/// A Rhai engine in the making.
pub(crate) struct RhaiBuilder {
    parts: Parts,
    engine: Option<Engine>,
    ast: AST,
    state: Dynamic,
    next: Step,
}

/// What is to be done next.
enum Step {
    Machine,
    Functions(usize),
    Compile,
    Run,
    Hooks,
}

impl RhaiBuilder {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, engine: None, ast: AST::empty(), state: Dynamic::UNIT, next: Step::Machine }
    }
}

impl Builder for RhaiBuilder {
    fn step(&mut self) -> Result<Option<Box<dyn ScriptRuntime>>, StrategyFault> {
        let (file, host) = (&self.parts.source.file, &self.parts.host);
        let engine = self.engine.get_or_insert_with(|| machine(host));
        self.next = match self.next {
            Step::Machine => Step::Functions(0),
            Step::Functions(n) => match functions::install(engine, host, n) {
                true => Step::Functions(n + 1),
                false => Step::Compile,
            },
            Step::Compile => {
                let ast = engine.compile(&self.parts.source.text);
                self.ast = ast.map_err(|error| fault::of_parse(&error, file))?;
                Step::Run
            }
            Step::Run => {
                let mut scope = Scope::new();
                let result = engine.run_ast_with_scope(&mut scope, &self.ast);
                if let Some(fault) = host.borrow().broken() {
                    return Err(fault.clone());
                }
                result.map_err(|error| fault::of(&error, file))?;
                let state = scope.get_value::<Dynamic>(STATE);
                self.state = state.unwrap_or_else(|| rhai::Map::new().into());
                Step::Hooks
            }
            Step::Hooks => {
                let hooks = defined(&self.ast, file, host.borrow().n_bound())?;
                let engine = self.engine.take().expect("made in the first step");
                return Ok(Some(Box::new(Rhai {
                    engine,
                    ast: self.ast.clone_functions_only(),
                    scope: Scope::new(),
                    state: std::mem::take(&mut self.state),
                    hooks,
                    begins: Hook::ALL.map(|hook| begin(&self.parts.source.text, hook)),
                    file: file.clone(),
                    host: Rc::clone(host),
                })));
            }
        };
        Ok(None)
    }
}

impl Rhai {
    fn run(&mut self, hook: Hook, arguments: impl FuncArgs) -> Result<(), Box<EvalAltResult>> {
        let options = CallFnOptions::new().eval_ast(false).bind_this_ptr(&mut self.state);
        let (scope, ast) = (&mut self.scope, &self.ast);
        // What a hook gives back means nothing.
        let _: Dynamic =
            self.engine.call_fn_with_options(options, scope, ast, hook.name(), arguments)?;
        Ok(())
    }
}

impl ScriptRuntime for Rhai {
    fn hooks(&self) -> Hooks {
        self.hooks
    }

    fn call(&mut self, call: &HookCall<'_>) -> Result<(), StrategyFault> {
        let hook = call.hook();
        if !self.hooks.contains(hook) {
            return Ok(());
        }
        let result = match *call {
            HookCall::Init | HookCall::Stop => self.run(hook, ()),
            HookCall::Book(numbers) | HookCall::Trade(numbers) | HookCall::Bar(numbers) => {
                self.run(hook, numbers)
            }
            HookCall::Order { id, status, reason } => {
                self.run(hook, (id, status.to_owned(), reason.to_owned()))
            }
            HookCall::Fill { id, side, price, qty, fee, role } => {
                self.run(hook, (id, side, price, qty, fee, role.to_owned()))
            }
            HookCall::Timer { name } => self.run(hook, (name.to_owned(),)),
            HookCall::Signal { name, text } => self.run(hook, (name.to_owned(), text.to_owned())),
            HookCall::Reload { old_state } => self.run(hook, (convert::value_of(old_state),)),
        };
        result.map_err(|error| {
            let fault = fault::of(&error, &self.file);
            self.host.borrow_mut().place_break(fault.file.clone(), fault.line);
            fault
        })
    }

    fn line_of(&self, hook: Hook) -> Option<ScriptLine> {
        self.begins[hook as usize].map(|line| ScriptLine { file: self.file.clone(), line })
    }
}

/// Returns the line in which a hook begins: the syntax tree does not tell, but functions are defined
/// at the top level only.
fn begin(text: &str, hook: Hook) -> Option<u32> {
    let defines = |line: &str| {
        let name = line.trim_start().strip_prefix("fn ").map(str::trim_start);
        name.and_then(|rest| rest.strip_prefix(hook.name()))
            .is_some_and(|rest| rest.trim_start().starts_with('('))
    };
    let place = text.lines().position(defines)?;
    u32::try_from(place + 1).ok()
}

type Library = (CorePackage, LogicPackage, BasicMathPackage, BasicArrayPackage, BasicMapPackage);

thread_local! {
    /// What scripts find of the language's library: one for all engines of a thread. None of them
    /// changes it, and it takes as long to build as all the rest of an engine.
    static LIBRARY: Library = Library::default();
}

/// Returns an engine without anything harmful.
fn machine(host: &SharedHost) -> Engine {
    let limits = host.borrow().limits.clone();
    let mut engine = Engine::new_raw();
    LIBRARY.with(|(core, logic, math, array, map)| {
        core.register_into_engine(&mut engine);
        logic.register_into_engine(&mut engine);
        math.register_into_engine(&mut engine);
        array.register_into_engine(&mut engine);
        map.register_into_engine(&mut engine);
    });
    engine.set_optimization_level(OptimizationLevel::Simple);
    engine.set_module_resolver(DummyModuleResolver::new());
    for symbol in ["eval", "import", "export", "print", "debug"] {
        engine.disable_symbol(symbol);
    }
    engine.on_print(|_| ()).on_debug(|_, _, _| ());
    let depth = usize::try_from(limits.depth).unwrap_or(DEEPEST_CALL);
    engine
        .set_max_operations(u64::from(limits.fuel))
        .set_max_call_levels(depth.min(DEEPEST_CALL))
        .set_max_expr_depths(64, 32)
        .set_max_string_size(LONGEST_STRING)
        .set_max_array_size(MOST_ITEMS)
        .set_max_map_size(MOST_ITEMS)
        .set_max_functions(256)
        .set_max_variables(256)
        .set_max_modules(0);
    let stop = limits_stop(host);
    engine
        .on_progress(move |_| stop.is_stopped().then(|| Dynamic::from("stopped by the watchdog")));
    engine
}

fn limits_stop(host: &SharedHost) -> crate::limits::StopSwitch {
    host.borrow().stop.clone()
}

impl FuncArgs for &Numbers {
    /// Numbers that are not there yet are `()`.
    fn parse<ARGS: Extend<Dynamic>>(self, args: &mut ARGS) {
        let (plain, maybe) = self.parts();
        args.extend(plain.iter().map(|number| Dynamic::from(number.get())));
        args.extend(maybe.iter().map(|number| match number.get() {
            number if number.is_nan() => Dynamic::UNIT,
            number => number.into(),
        }));
    }
}

/// Returns the hooks that the script defines, each with the arguments that it is given.
fn defined(ast: &AST, file: &str, n_bound: usize) -> Result<Hooks, StrategyFault> {
    let mut hooks = Vec::new();
    for function in ast.iter_functions() {
        let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.name() == function.name) else {
            continue;
        };
        let mut expected: Vec<_> = arguments(hook).iter().map(|name| (*name).to_owned()).collect();
        if hook == Hook::Bar {
            // What is bound has no name of its own.
            expected.extend((1..=n_bound).map(|n| format!("bound{n}")));
        }
        if function.params.len() != expected.len() {
            let message = format!(
                "{} takes {} arguments: fn {}({})",
                hook.name(),
                expected.len(),
                hook.name(),
                expected.join(", ")
            );
            let file = file.to_owned();
            return Err(StrategyFault { kind: FaultKind::Error, message, file, line: 1 });
        }
        hooks.push(hook);
    }
    Ok(hooks.into_iter().collect())
}

const fn arguments(hook: Hook) -> &'static [&'static str] {
    match hook {
        Hook::Init | Hook::Stop => &[],
        Hook::Book => &["bid", "bid_qty", "ask", "ask_qty"],
        Hook::Trade => &["price", "qty", "side", "time"],
        Hook::Bar => &["open", "high", "low", "close", "volume", "time"],
        Hook::Order => &["id", "status", "reason"],
        Hook::Fill => &["id", "side", "price", "qty", "fee", "role"],
        Hook::Timer => &["name"],
        Hook::Signal => &["name", "text"],
        Hook::Reload => &["old_state"],
    }
}
