//! Our orders: what each one is, how reports change it, and the table that finds them.

mod state;
mod table;

pub use state::{Change, Order, OrderState, Pending, Replacement};
pub use table::OrderTable;
pub(crate) use table::{CopiedOrders, OrdersCopy};
