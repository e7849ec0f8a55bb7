//! Builders, generators and fault injection for tests.
