//! Simulated venue, backtest driver, seeded market and performance metrics.
