//! The event loop where time passes by itself, driven step by step on one thread.

mod gate;
mod handles;
mod time;
mod world;
