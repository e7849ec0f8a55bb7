//! Native code, made of one function at a time.
//!
//! The library makes native code of a whole chunk when it loads it. That takes as long as the chunk is
//! long, and an engine that builds a version between two events stands still for as long. Here the top
//! level runs as bytecode, and then native code is made, in steps, of every function that a hook can
//! come to: the hooks themselves, other globals, what they hold of each other, tables of functions,
//! what required modules gave back. What nobody can reach any more is never made native, nor is what
//! a coroutine runs that the top level has begun.
//!
//! A function comes with those that are defined in it. So they are taken from the last line to the
//! first: a method goes before the function that made it, and no step is longer than it must be. One
//! that the machine makes no native code of stays bytecode.
//!
//! Both give the same results. They use the same fuel but for a numeric loop that is left early, of
//! which native code counts one turn more. So what is native is decided by the script alone, not by
//! where its tables lie in memory: where there is too much to look through, it is the hooks and what is
//! defined in them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::c_void;
use std::os::raw::c_int;

use mlua::state::RawLua;
use mlua::{Function, Lua, Value, ffi};

/// Places that are looked at in one step.
const LOOKS: usize = 256;
/// Values that are looked into at most.
const MOST_VALUES: usize = 32_768;
/// Functions of a script that are made native one by one at most: each takes pages of its own, of
/// which a process has not many.
const MOST_FUNCTIONS: usize = 1_024;

/// Returns whether the functions of these texts can be made native one by one.
pub(super) fn suits<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    texts.map(|text| text.matches("function").count()).sum::<usize>() <= MOST_FUNCTIONS
}

/// Native code in the making.
#[derive(Debug, Default)]
pub(super) struct Native {
    /// Tables, functions and threads that are found and not looked into, the next one first.
    found: VecDeque<Value>,
    /// How far the next one is looked into.
    looked: c_int,
    seen: BTreeSet<Address>,
    /// Functions and the lines that they begin in, hooks first while more are being found.
    functions: Vec<(usize, Function)>,
    n_hooks: usize,
}

type Address = *const c_void;

impl Native {
    /// Notes a function that is made native whatever else there is.
    pub(super) fn hook(&mut self, function: Function) {
        self.note(function);
        self.n_hooks = self.functions.len();
    }

    /// Notes a value that functions may be reached from.
    pub(super) fn reach(&mut self, value: Value) {
        let leads_on = matches!(value, Value::Table(_) | Value::Function(_) | Value::Thread(_));
        if leads_on && self.seen.insert(value.to_pointer()) {
            self.found.push_back(value);
        }
    }

    /// Looks further, or makes native code of one function. Returns whether there may be more to do.
    ///
    /// # Errors
    ///
    /// If the machine has no memory left.
    pub(super) fn step(&mut self, lua: &Lua) -> mlua::Result<bool> {
        if self.found.is_empty() {
            let Some((_, function)) = self.functions.pop() else { return Ok(false) };
            compile(lua, &function)?;
            return Ok(true);
        }
        let mut n_left = LOOKS;
        while n_left > 0
            && let Some(value) = self.found.pop_front()
        {
            let look = look(lua, &value, self.looked, n_left)?;
            n_left = n_left.saturating_sub(look.n);
            look.found.into_iter().for_each(|value| self.reach(value));
            self.looked = look.next.unwrap_or(0);
            match value {
                value if look.next.is_some() => self.found.push_front(value),
                Value::Function(function) => self.note(function),
                _ => {}
            }
        }
        if self.seen.len() > MOST_VALUES {
            self.found.clear();
            self.functions.truncate(self.n_hooks);
        }
        if self.found.is_empty() {
            self.functions.sort_by_key(|(line, _)| *line);
        }
        Ok(true)
    }

    fn note(&mut self, function: Function) {
        let info = function.info();
        if info.what != "C" {
            self.functions.push((info.line_defined.unwrap_or(0), function));
        }
    }
}

/// What a look into a value has shown.
#[derive(Default)]
struct Look {
    found: Vec<Value>,
    /// Places that were looked at.
    n: usize,
    /// Where to go on, if not all was seen.
    next: Option<c_int>,
}

impl Look {
    /// Takes what lies on top of the stack.
    ///
    /// # Safety
    ///
    /// Something must lie there.
    #[expect(unsafe_code, reason = "the library would make a value of every number and text")]
    unsafe fn take(&mut self, raw: &RawLua) {
        self.n += 1;
        // SAFETY: the caller has put there what is taken off.
        unsafe {
            match ffi::lua_type(raw.state(), -1) {
                ffi::LUA_TTABLE | ffi::LUA_TFUNCTION | ffi::LUA_TTHREAD => {
                    self.found.push(raw.pop_value());
                }
                _ => ffi::lua_pop(raw.state(), 1),
            }
        }
    }
}

/// Looks into a value from a place on, at so many places at most if it is a table.
#[expect(unsafe_code, reason = "the library does not tell what a function holds")]
fn look(lua: &Lua, value: &Value, from: c_int, most: usize) -> mlua::Result<Look> {
    lua.exec_raw_lua(|raw| {
        let mut look = Look { n: 1, ..Look::default() };
        let state = raw.state();
        // SAFETY: the room is asked for before it is used: for the value, a key with what it leads to,
        // and what the library needs itself. Each function is called on the type that it is for, and
        // what it puts on top is taken off again.
        unsafe {
            if ffi::lua_checkstack(state, ffi::LUA_MINSTACK) == 0 {
                return Err(mlua::Error::StackError);
            }
            raw.push_value(value)?;
            let place = ffi::lua_gettop(state);
            match value {
                Value::Function(_) => {
                    let mut n = 1;
                    while !ffi::lua_getupvalue(state, place, n).is_null() {
                        look.take(raw);
                        n += 1;
                    }
                }
                Value::Table(_) => {
                    if ffi::lua_getmetatable(state, place) != 0 {
                        look.take(raw);
                    }
                    let mut next = from;
                    while next >= 0 && look.n < most {
                        next = ffi::lua_rawiter(state, place, next);
                        if next >= 0 {
                            look.take(raw);
                            look.take(raw);
                        }
                    }
                    look.next = (next >= 0).then_some(next);
                }
                Value::Thread(_) => {
                    let own = ffi::lua_tothread(state, place);
                    if ffi::lua_checkstack(own, 1) == 0 {
                        return Err(mlua::Error::StackError);
                    }
                    for n in 1..=ffi::lua_gettop(own) {
                        ffi::lua_pushvalue(own, n);
                        ffi::lua_xmove(own, state, 1);
                        look.take(raw);
                    }
                }
                _ => {}
            }
            ffi::lua_settop(state, place - 1);
        }
        Ok(look)
    })
}

/// Makes native code of a function and of those that are defined in it, where there is none yet.
#[expect(unsafe_code, reason = "the library does so with whole chunks only")]
fn compile(lua: &Lua, function: &Function) -> mlua::Result<()> {
    lua.exec_raw_lua(|raw| {
        let state = raw.state();
        // SAFETY: the stack has room for a value, and the compiler gets a function of the script, as
        // the library gives it one, and not one of the host. It leaves the stack alone.
        unsafe {
            if ffi::lua_checkstack(state, ffi::LUA_MINSTACK) == 0 {
                return Err(mlua::Error::StackError);
            }
            raw.push_value(&Value::Function(function.clone()))?;
            if ffi::lua_isLfunction(state, -1) != 0 {
                ffi::luau_codegen_compile(state, -1);
            }
            ffi::lua_pop(state, 1);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use crate::hook::HookCall;
    use crate::host::{Host, HostBinding};
    use crate::language::Language;
    use crate::limits::{Limits, StopSwitch};
    use crate::luau::{Bytecode, LuauBuilder, fuel};
    use crate::modules::Modules;
    use crate::runtime::Builder;
    use crate::script::{Parts, Source};

    fn builder(text: &str, module: &str) -> LuauBuilder {
        let source = Source {
            path: "t.luau".into(),
            file: "t.luau".to_owned(),
            language: Language::Luau,
            text: text.to_owned(),
        };
        let limits = Limits::of(Language::Luau);
        let (stop, binding) = (StopSwitch::default(), HostBinding::default());
        let host = Host::new("t.luau", Language::Luau, &limits, stop, binding).shared();
        let modules = Modules::known(BTreeMap::from([("m".to_owned(), module.to_owned())]));
        let bytecode = Rc::new(Bytecode::of(&source, &modules));
        LuauBuilder::new(Parts { source, bytecode, modules: Rc::new(RefCell::new(modules)), host })
    }

    /// Tells whether the function that calls it runs as native code, or one further out: its argument.
    #[expect(unsafe_code, reason = "the machine calls it")]
    unsafe extern "C-unwind" fn is_native(state: *mut ffi::lua_State) -> c_int {
        // SAFETY: the machine leaves room for the answer.
        unsafe {
            let level = ffi::luaL_optinteger(state, 1, 1);
            let is_native = ffi::lua_incustomexecution(state, c_int::try_from(level).unwrap_or(1));
            ffi::lua_pushboolean(state, is_native);
        }
        1
    }

    /// Builds a machine, with `is_native` for the script, and calls `on_init`. Returns what the script
    /// has put into its global `seen`.
    #[expect(unsafe_code, reason = "the library does not ask the machine")]
    fn seen(text: &str, module: &str) -> BTreeMap<String, bool> {
        let mut builder = builder(text, module);
        let lua = builder.machine().clone();
        // SAFETY: it keeps to what the machine asks of a function.
        let is_native = unsafe { lua.create_c_function(is_native) }.unwrap();
        lua.globals().raw_set("is_native", is_native).unwrap();
        let mut runtime = loop {
            if let Some(runtime) = builder.step().unwrap() {
                break runtime;
            }
        };
        runtime.call(&HookCall::Init).unwrap();
        lua.globals().get("seen").unwrap()
    }

    // Functions that take any number of arguments are never put into those that call them.
    #[test]
    fn whatever_a_hook_comes_to_is_native() {
        let seen = seen(
            r#"
            seen = {}
            local function held(...) return is_native() end
            local tools = { nested = { deep = function(...) return is_native() end } }
            local class = {}
            class.__index = class
            function class:method(...) return is_native() end
            local object = setmetatable({}, class)
            local function make()
                return function(...) return is_native() end
            end
            local made = make()
            local asleep = coroutine.create(function(...) return is_native() end)
            local wrapped = coroutine.wrap(function(...) return is_native() end)
            local keys = { [function(...) return is_native() end] = true }
            local module = require("m")
            local numbers = table.create(1000, 1)
            numbers.last = function(...) return is_native() end
            require("m")
            function global(...) return is_native() end
            seen.top_level, seen.held_at_the_top_level = is_native(), held()
            function on_init()
                local function inner(...) return is_native() end
                seen.hook, seen.inner, seen.held = is_native(), inner(), held()
                seen.nested, seen.method, seen.made = tools.nested.deep(), object:method(), made()
                seen.remade = make()()
                seen.asleep = select(2, coroutine.resume(asleep))
                seen.wrapped = wrapped()
                seen.key = next(keys)()
                seen.module = module.own()
                seen.last, seen.global = numbers.last(), global()
                seen.wrapper = select(2, pcall(is_native, 2))
                seen.required_here = require("m").other()
            end
            "#,
            r#"
            local function other(...) return is_native() end
            return { own = function(...) return is_native() end, other = other }
            "#,
        );
        let (top_level, rest): (Vec<_>, Vec<_>) =
            seen.iter().partition(|(name, _)| name.ends_with("top_level"));
        assert!(top_level.iter().all(|(_, is_native)| !**is_native), "{seen:?}");
        assert!(rest.iter().all(|(_, is_native)| **is_native), "{seen:?}");
        assert_eq!((top_level.len(), rest.len()), (2, 15));
    }

    #[test]
    fn what_only_require_still_knows_is_native() {
        let seen = seen(
            r#"
            seen = {}
            require("m")
            function on_init() seen.module = require("m")() end
            "#,
            "return function(...) return is_native() end",
        );
        assert_eq!(seen, BTreeMap::from([("module".to_owned(), true)]));
    }

    #[test]
    fn what_is_required_late_is_native() {
        let seen = seen(
            r#"
            seen = {}
            function on_init() seen.module = require("m")() end
            "#,
            "return function(...) return is_native() end",
        );
        assert_eq!(seen, BTreeMap::from([("module".to_owned(), true)]));
    }

    #[test]
    fn of_too_much_only_the_hooks_are_native() {
        let many_values = "for i = 1, 40000 do many[i] = {} end";
        let many_functions = format!("--[[{}]]", "function ".repeat(MOST_FUNCTIONS));
        for much in [many_values, &many_functions] {
            let text = format!(
                r#"
                many, seen = {{}}, {{}}
                {much}
                local function held(...) return is_native() end
                function on_init()
                    local function inner(...) return is_native() end
                    seen.hook, seen.inner, seen.held = is_native(), inner(), held()
                end
                "#
            );
            let expected = [("held", false), ("hook", true), ("inner", true)];
            assert_eq!(seen(&text, ""), expected.map(|(name, is)| (name.to_owned(), is)).into());
        }
    }

    /// Calls of one body as bytecode and as native code: what it gives back, and the fuel it used.
    fn both(body: &str) -> [(String, u32); 2] {
        let lua = builder("", "").machine().clone();
        fuel::set(100_000);
        let text = format!(
            r#"
            local function sum(...)
                local total = 0
                for _, x in {{ ... }} do total += x end
                return total
            end
            return function(n)
                {body}
                return string.format("%.17g", n)
            end
            "#
        );
        let work: Function = lua.load(text).call(()).unwrap();
        let run = || {
            fuel::set(100_000);
            let result: String = work.call(1.0 / 3.0).unwrap();
            (result, 100_000 - fuel::left())
        };
        let bytecode = run();
        let mut native = Native::default();
        native.reach(Value::Function(work.clone()));
        while native.step(&lua).unwrap() {}
        [bytecode, run()]
    }

    #[test]
    fn native_code_does_what_bytecode_does_for_the_same_fuel() {
        for body in [
            "for i = 1, 50 do n += i // 3 % 5 ^ 2 end",
            "for i = 10, 1, -3 do n -= i end",
            "n += 1000 while n > 3 do n = n / 2 - 0.1 end",
            "repeat n += 0.7 until n > 9",
            "for k, v in ipairs({ 3, 2, 1 }) do n += k * v end",
            "for k, v in pairs({ a = 1, b = 2 }) do n += v end",
            "for k, v in { 1, 2, 3 } do n += v end",
            "for i = 1, 9 do if i % 2 == 0 then continue end n += i end",
            "n += sum(1, n, sum())",
            "local a = setmetatable({}, { __add = function(a, b) return n end }) n += a + a",
            "local a = setmetatable({}, { __index = function(_, k) return k end }) n += a[5]",
            "for i = 1, 99 do n = math.lerp(n, 1 / i, 0.7) end",
            "local v = vector.create for i = 1, 99 do n += vector.lerp(v(n, 0, 0), v(1 / i, 0, 0), 0.3).x end",
            "local a, b = vector.create(n, 8, 9.9), vector.create(0.1, n, 3) n += vector.dot(a, b)",
            "n += vector.magnitude(vector.create(n, 0.1, 0.2))",
            "n = math.sin(n) + math.exp(0.3) + math.sqrt(n) + math.round(n) + math.fmod(n, 0.1)",
            "n += bit32.bxor(12345, 678) + bit32.rrotate(77, 3)",
            "n += #string.format('%.17g %s', n, string.rep('ab', 3))",
            "n += select('#', pcall(error, 'no'))",
            "n += select(2, pcall(sum, 1, 2))",
            "local co = coroutine.wrap(function() coroutine.yield(n) return n end) n += co() + co()",
            "n += #table.concat({ 1, 2, 3 }, '-')",
            "local t = { 3, 1, 2 } table.sort(t, function(a, b) return a < b end) n += t[1]",
            "n += #string.gsub('abc', '%w', function(c) return c .. c end)",
        ] {
            let [bytecode, native] = both(body);
            assert_eq!(bytecode, native, "{body}");
        }
    }
}
