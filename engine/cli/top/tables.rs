//! The right side of the screen: tables of what the server trades, and its notices.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Flex, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use tercel_core::Nanos;

use super::draw::{BAD, DIM, GOOD, WARN, rows, signed, state, titled};
use crate::control_api::{NoticeStatus, OrderStatus, Status};
use crate::report::{count, latency, moment};

/// Draws everything on the right.
pub(super) fn draw_right(frame: &mut Frame<'_>, status: &Status, area: Rect) {
    let is_tall = area.height > 30;
    let (few, many) = if is_tall { (8, 16) } else { (3, 4) };
    let [strategies, positions, orders, hooks, notices] = Layout::vertical([
        Constraint::Length(table_rows(status.strategies.len(), few)),
        Constraint::Length(table_rows(status.positions.len(), few)),
        Constraint::Length(table_rows(status.orders.len(), many)),
        Constraint::Length(table_rows(status.hooks.len(), few)),
        Constraint::Min(2),
    ])
    .areas(area);
    let is_wide = area.width > 90;
    draw_strategies(frame, status, is_wide, strategies);
    draw_positions(frame, status, is_wide, positions);
    draw_orders(frame, status, is_wide, orders);
    draw_hooks(frame, status, is_wide, hooks);
    draw_notices(frame, &status.notices, notices);
}

/// The first column: as wide as there is room for on a narrow screen, no wider than names are on a
/// wide one.
const NAME: Constraint = Constraint::Min(8);
/// Its width on a wide screen.
const NAME_WIDE_CELLS: u16 = 20;
const NAME_WIDE: Constraint = Constraint::Length(NAME_WIDE_CELLS);
/// What a column has to have that takes the rest.
const FILL_CELLS: u16 = 20;

/// A column: its heading, its width, whether it is for wide screens only.
type Column = (&'static str, Constraint, bool);

/// Draws a table of the columns that there is room for.
fn draw_table(
    frame: &mut Frame<'_>,
    title: Line<'static>,
    columns: &[Column],
    rows: Vec<Vec<Span<'_>>>,
    is_wide: bool,
    area: Rect,
) {
    if rows.is_empty() {
        frame.render_widget(Paragraph::new(Line::styled("none", DIM)).block(titled(title)), area);
        return;
    }
    let shown = shown(columns, is_wide, area.width);
    let is_shown = |n: usize| shown.contains(&n);
    let is_number = |n: usize| columns[n].0.starts_with('>');
    let cell = |n: usize, mut span: Span<'static>| {
        if let (true, Constraint::Length(width)) = (is_number(n), columns[n].1) {
            span.content = fitting(&span.content, usize::from(width)).into();
        }
        let line = Line::from(span);
        Cell::from(if is_number(n) { line.alignment(Alignment::Right) } else { line })
    };
    let heading =
        shown.iter().map(|n| cell(*n, Span::styled(columns[*n].0.trim_start_matches('>'), DIM)));
    let body = rows.into_iter().map(|row| {
        let cells = row.into_iter().enumerate().filter(|(n, _)| is_shown(*n));
        Row::new(
            cells
                .map(|(n, span)| cell(n, Span::styled(span.content.into_owned(), span.style)))
                .collect::<Vec<_>>(),
        )
    });
    let table = Table::new(
        body,
        shown
            .iter()
            .map(|n| if is_wide && columns[*n].1 == NAME { NAME_WIDE } else { columns[*n].1 }),
    )
    .flex(Flex::Start)
    .header(Row::new(heading.collect::<Vec<_>>()))
    .block(titled(title));
    frame.render_widget(table, area);
}

/// Returns the columns that there is room for: those for wide screens only while they all fit, because a
/// number without room would lose its first digits.
fn shown(columns: &[Column], is_wide: bool, room: u16) -> Vec<usize> {
    let width = |column: &Column| match column.1 {
        NAME if is_wide => NAME_WIDE_CELLS + 1,
        NAME => 8 + 1,
        Constraint::Length(width) => width + 1,
        _ => FILL_CELLS + 1,
    };
    let of_all: u16 = columns.iter().filter(|column| !column.2).map(width).sum();
    let mut left = (room + 1).saturating_sub(of_all);
    (0..columns.len())
        .filter(|n| {
            let needed = width(&columns[*n]);
            let is_shown = !columns[*n].2 || (is_wide && needed <= left);
            if is_shown && columns[*n].2 {
                left -= needed;
            }
            is_shown
        })
        .collect()
}

fn draw_strategies(frame: &mut Frame<'_>, status: &Status, is_wide: bool, area: Rect) {
    let all = &status.strategies;
    let columns = [
        ("name", NAME, false),
        ("script", Constraint::Length(24), true),
        ("hash", Constraint::Length(12), true),
        (">gen", Constraint::Length(3), false),
        ("state", Constraint::Length(8), false),
        (">pnl", Constraint::Length(10), false),
        (">orders", Constraint::Length(7), false),
        (">fills", Constraint::Length(6), true),
        ("fault", Constraint::Fill(1), true),
    ];
    let rows = all
        .iter()
        .map(|strategy| {
            let state = match (&strategy.fault, strategy.is_running) {
                (Some(_), _) => Span::styled("FAULTED", BAD.add_modifier(Modifier::BOLD)),
                (None, false) => Span::styled("stopped", WARN),
                (None, true) => state(strategy.state),
            };
            vec![
                Span::raw(on_account(status, &strategy.name, &strategy.account)),
                Span::raw(&strategy.script),
                Span::styled(&strategy.hash, DIM),
                Span::raw(strategy.generation.to_string()),
                state,
                signed(&strategy.pnl),
                Span::raw(count(strategy.orders_today)),
                Span::raw(count(strategy.fills_today)),
                Span::styled(strategy.fault.as_deref().unwrap_or_default(), BAD),
            ]
        })
        .collect();
    // A narrow screen has no column for why a strategy failed.
    let has_column = shown(&columns, is_wide, area.width).contains(&(columns.len() - 1));
    let failed = all.iter().find_map(|s| Some((&s.name, s.fault.as_ref()?)));
    let title = match failed.filter(|_| !has_column) {
        Some((name, fault)) => Line::styled(format!("{name}: {fault}"), BAD),
        None => Line::raw("strategies"),
    };
    draw_table(frame, title, &columns, rows, is_wide, area);
}

fn draw_positions(frame: &mut Frame<'_>, status: &Status, is_wide: bool, area: Rect) {
    let columns = [
        ("strategy", NAME, false),
        ("symbol", Constraint::Length(8), false),
        (">quantity", Constraint::Length(9), false),
        (">average", Constraint::Length(10), false),
        (">open pnl", Constraint::Length(9), false),
        (">closed pnl", Constraint::Length(12), true),
        (">fills", Constraint::Length(7), true),
    ];
    let rows = status
        .positions
        .iter()
        .map(|held| {
            vec![
                Span::raw(on_account(status, &held.strategy, &held.account)),
                Span::raw(&held.symbol),
                signed(&held.quantity),
                Span::raw(held.average_price.as_deref().unwrap_or("-")),
                signed(&held.unrealised),
                signed(&held.realised),
                Span::raw(count(held.n_fills)),
            ]
        })
        .collect();
    draw_table(frame, Line::raw("positions"), &columns, rows, is_wide, area);
}

fn draw_orders(frame: &mut Frame<'_>, status: &Status, is_wide: bool, area: Rect) {
    let columns = [
        ("id", NAME, false),
        ("strategy", Constraint::Length(20), true),
        ("symbol", Constraint::Length(10), true),
        ("kind", Constraint::Length(8), true),
        ("side", Constraint::Length(4), false),
        (">price", Constraint::Length(9), false),
        (">filled/of", Constraint::Length(11), false),
        ("status", Constraint::Length(if is_wide { 16 } else { 8 }), false),
        (">age", Constraint::Length(6), false),
    ];
    let row = |order: &OrderStatus| {
        vec![
            Span::raw(order.id.clone()),
            Span::raw(on_account(status, &order.strategy, &order.account)),
            Span::raw(order.symbol.clone()),
            Span::raw(order.kind.clone()),
            Span::styled(order.side.clone(), if order.side == "sell" { BAD } else { GOOD }),
            Span::raw(order.price.clone().unwrap_or_else(|| "market".to_owned())),
            Span::raw(format!("{}/{}", plain(&order.filled), plain(&order.quantity))),
            Span::raw(if is_wide { order.status.clone() } else { short(&order.status) }),
            Span::raw(age(order.age_ms)),
        ]
    };
    let room = usize::from(area.height.saturating_sub(2));
    let n_shown = u64::try_from(room.min(status.orders.len())).unwrap_or(u64::MAX);
    let n_open = status.n_open_orders;
    let title = if n_open > n_shown {
        Line::raw(format!("orders ({n_shown} of {})", count(n_open)))
    } else {
        Line::raw("orders")
    };
    draw_table(frame, title, &columns, status.orders.iter().map(row).collect(), is_wide, area);
}

fn draw_hooks(frame: &mut Frame<'_>, status: &Status, is_wide: bool, area: Rect) {
    let columns = [
        ("strategy", NAME, false),
        ("hook", Constraint::Length(8), false),
        (">p50", Constraint::Length(9), false),
        (">p99", Constraint::Length(9), false),
        (">p99.9", Constraint::Length(9), false),
        (">max", Constraint::Length(9), true),
        (">calls", Constraint::Length(12), true),
    ];
    let rows = status
        .hooks
        .iter()
        .map(|hook| {
            vec![
                Span::raw(&hook.strategy),
                Span::raw(&hook.hook),
                Span::raw(latency(hook.p50_ns)),
                Span::raw(latency(hook.p99_ns)),
                Span::raw(latency(hook.p999_ns)),
                Span::raw(latency(hook.max_ns)),
                Span::raw(count(hook.count)),
            ]
        })
        .collect();
    draw_table(frame, Line::raw("latency"), &columns, rows, is_wide, area);
}

/// The last notices that there is room for, newest at the bottom.
fn draw_notices(frame: &mut Frame<'_>, all: &[NoticeStatus], area: Rect) {
    let block = titled("notices");
    let room = usize::from(block.inner(area).height);
    let lines = all[all.len().saturating_sub(room)..].iter().map(|notice| {
        let style = match notice.level.as_str() {
            "error" => BAD,
            "warn" => WARN,
            _ => Style::new(),
        };
        let at = moment(Nanos(notice.at_ns));
        let time = at.split_once(' ').map_or(at.as_str(), |(_, time)| time);
        Line::from(vec![
            Span::styled(format!("{time} "), DIM),
            Span::styled(notice.text.clone(), style),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

/// Returns a strategy's name, with its account where there is more than one.
fn on_account(status: &Status, strategy: &str, account: &str) -> String {
    if status.accounts.len() > 1 { format!("{strategy}/{account}") } else { strategy.to_owned() }
}

/// Rows that a table takes with its title and its heading.
fn table_rows(n: usize, most: u16) -> u16 {
    rows(n, most) + 1
}

/// Returns a number that fits: aligned to the right it would lose its first digits unseen, so it
/// loses its last ones for a mark.
pub(super) fn fitting(number: &str, width: usize) -> String {
    if number.chars().count() <= width {
        return number.to_owned();
    }
    number.chars().take(width - 1).chain(['…']).collect()
}

/// Returns a decimal without zeros at its end.
fn plain(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Returns an order's status in the room that a narrow screen has.
fn short(status: &str) -> String {
    match status.strip_prefix("pending_") {
        Some(awaited) => format!("→{awaited}"),
        None => status.replace("partially_filled", "partial"),
    }
}

fn age(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1_000, ms / 100 % 10),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..36_000_000 => format!("{} m", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
