//! The trading engine as a pure state machine: no clock, no I/O, no threads.
