//! The tables that a run is exported to: their columns, and what each says.

/// What a column holds. Any cell may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ColumnType {
    /// Nanoseconds since 1970 UTC.
    Time,
    /// A signed whole number of 64 bits.
    Whole,
    /// An unsigned number that names something; a text in JSON, whose numbers cannot hold it.
    Id,
    /// An exact decimal; in Parquet with 18 places.
    Amount,
    Flag,
    Text,
}

impl ColumnType {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Whole => "whole number",
            Self::Id => "id",
            Self::Amount => "decimal",
            Self::Flag => "true or false",
            Self::Text => "text",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) ty: ColumnType,
    pub(super) says: &'static str,
}

/// A table; each is a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Orders,
    Fills,
    Positions,
    Equity,
    Notices,
}

const fn column(name: &'static str, ty: ColumnType, says: &'static str) -> Column {
    Column { name, ty, says }
}

const TIME: Column = column("time_ns", ColumnType::Time, "the engine's time of it");
const SEQ: Column = column("seq", ColumnType::Id, "number of the engine's event");
const STRATEGY: Column = column("strategy", ColumnType::Text, "name or number of the strategy");
const ACCOUNT: Column = column("account", ColumnType::Text, "name or number of the account");
const INSTRUMENT: Column = column("instrument", ColumnType::Text, "symbol or number");
const ORDER: Column = column("order_id", ColumnType::Text, "our id, as the venue was given it");
const SIDE: Column = column("side", ColumnType::Text, "buy or sell");

impl Table {
    pub(super) const ALL: [Self; 5] =
        [Self::Orders, Self::Fills, Self::Positions, Self::Equity, Self::Notices];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Fills => "fills",
            Self::Positions => "positions",
            Self::Equity => "equity",
            Self::Notices => "notices",
        }
    }

    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Orders => {
                "One row an order that was sent, as it last stood: those that ended in the order in \
                 which they did, then those that still worked."
            }
            Self::Fills => "One row a fill that counted; repeated reports of it are left out.",
            Self::Positions => "One row a fill: what the strategy then held of the instrument.",
            Self::Equity => {
                "One row a snapshot and account: all that it was worth at the prices of that moment."
            }
            Self::Notices => "One row a notice: logs, plots, refusals, faults, switches.",
        }
    }

    pub(super) const fn columns(self) -> &'static [Column] {
        use ColumnType::{Amount, Flag, Id, Text, Time, Whole};
        match self {
            Self::Orders => {
                const {
                    &[
                        column("sent_ns", Time, "when it was sent"),
                        column("ended_ns", Time, "when it ended; empty if it worked to the end"),
                        ORDER,
                        STRATEGY,
                        ACCOUNT,
                        INSTRUMENT,
                        SIDE,
                        column("kind", Text, "market, limit, stop or stop_limit"),
                        column("price", Amount, "limit price, after replaces"),
                        column("trigger", Amount, "price that wakes it"),
                        column("quantity", Amount, "in all, after replaces"),
                        column("tif", Text, "gtc, ioc, fok or gtd"),
                        column("post_only", Flag, "whether it had to rest"),
                        column("reduce_only", Flag, "whether it could only shrink the position"),
                        column("state", Text, "as it last stood"),
                        column("reason", Text, "why the venue refused it"),
                        column("filled", Amount, "quantity filled"),
                        column("average_price", Amount, "of its fills, rounded down to a tick"),
                        column("venue_order_id", Id, "the venue's number of it"),
                        column("price_ticks", Whole, "limit price in ticks"),
                        column("quantity_lots", Whole, "quantity in lots"),
                        column("filled_lots", Whole, "quantity filled in lots"),
                    ]
                }
            }
            Self::Fills => {
                const {
                    &[
                        TIME,
                        column("venue_ns", Time, "when the venue says that it happened"),
                        SEQ,
                        ORDER,
                        STRATEGY,
                        ACCOUNT,
                        INSTRUMENT,
                        SIDE,
                        column("price", Amount, "its price"),
                        column("quantity", Amount, "its quantity"),
                        column("role", Text, "maker or taker"),
                        column("fee", Amount, "paid; negative is a rebate"),
                        column("fee_asset", Text, "name or number of the asset of the fee"),
                        column("trade_id", Id, "the venue's number of it"),
                        column("price_ticks", Whole, "its price in ticks"),
                        column("quantity_lots", Whole, "its quantity in lots"),
                    ]
                }
            }
            Self::Positions => {
                const {
                    &[
                        TIME,
                        SEQ,
                        STRATEGY,
                        ACCOUNT,
                        INSTRUMENT,
                        column("quantity", Amount, "signed: positive is long"),
                        column(
                            "average_price",
                            Amount,
                            "of what is held; not of inverse contracts",
                        ),
                        column("realised", Amount, "profit of what was closed, before fees"),
                        column("quantity_lots", Whole, "signed quantity in lots"),
                        column("n_fills", Id, "fills so far"),
                    ]
                }
            }
            Self::Equity => {
                const {
                    &[
                        column(
                            "time_ns",
                            Time,
                            "of the last entry before the snapshot was written",
                        ),
                        column("seq", Id, "the last event that the snapshot includes"),
                        ACCOUNT,
                        column("equity", Amount, "in quote; quotes are added up as equals"),
                        column("net_realised", Amount, "profit taken since the start, less fees"),
                    ]
                }
            }
            Self::Notices => {
                const {
                    &[
                        TIME,
                        SEQ,
                        column("kind", Text, "what kind of notice"),
                        STRATEGY,
                        ORDER,
                        INSTRUMENT,
                        column("value", Text, "what was drawn or marked, as a decimal float"),
                        column("text", Text, "the notice in words"),
                    ]
                }
            }
        }
    }
}

/// Returns the description of all tables.
pub(super) fn describe() -> String {
    let mut text = "# Tables of an exported run\n\nTimes are nanoseconds since 1970 UTC. Decimals are \
                    exact. A cell is empty where there is nothing to say: decimals are, where neither \
                    a snapshot nor the tape tells the instrument's steps.\n"
        .to_owned();
    for table in Table::ALL {
        text += &format!(
            "\n## {}\n\n{}\n\n| column | type | what |\n|---|---|---|\n",
            table.name(),
            table.says()
        );
        for Column { name, ty, says } in table.columns() {
            text += &format!("| `{name}` | {} | {says} |\n", ty.as_str());
        }
    }
    text
}
