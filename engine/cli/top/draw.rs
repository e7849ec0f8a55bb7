//! A picture of a server's status, for any size of terminal.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use super::App;
use super::tables::{draw_right, fitting};
use crate::control_api::{BalanceStatus, InstrumentStatus, LevelStatus, Status, TradingStateName};
use crate::report::count;

/// A status older than this is said to be old, in milliseconds.
const OLD_MS: u128 = 3_000;
/// Width of the column with the book.
const BOOK_WIDTH: u16 = 28;

pub(super) const DIM: Style = Style::new().fg(Color::DarkGray);
pub(super) const GOOD: Style = Style::new().fg(Color::Green);
pub(super) const WARN: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, now: Instant) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(header(app, now, head.width), head);
    match &app.status {
        Some((status, _)) => draw_body(frame, app, status, body),
        None => {
            let text = app.trouble.clone().unwrap_or_else(|| format!("asking {}", app.server));
            let paragraph = Paragraph::new(text).wrap(Wrap { trim: true });
            frame.render_widget(paragraph.block(Block::new().borders(Borders::TOP)), body);
        }
    }
    frame.render_widget(footer(app, foot.width), foot);
    if let Some(switch) = app.asked {
        draw_question(frame, switch.question());
    }
}

fn header(app: &App, now: Instant, width: u16) -> Line<'_> {
    let mut spans = vec![Span::styled(" tercel ", Style::new().add_modifier(Modifier::REVERSED))];
    let Some((status, came_at)) = &app.status else {
        return Line::from(spans);
    };
    let last = status.engines.last().map_or(status.run, |engine| engine.run);
    let runs = if last == status.run {
        format!("run {}", status.run)
    } else {
        format!("runs {}-{last}", status.run)
    };
    spans.push(Span::raw(format!(" {runs} {} ", status.mode)));
    spans.push(state(status.state));
    let age = now.saturating_duration_since(*came_at);
    if app.trouble.is_some() || age.as_millis() > OLD_MS {
        let text = format!("  NO ANSWER for {} s", age.as_secs());
        spans.push(Span::styled(text, BAD.add_modifier(Modifier::BOLD)));
    }
    if status.journal.failure.is_some() {
        spans.push(Span::styled("  NOT RECORDED", BAD.add_modifier(Modifier::BOLD)));
    }
    spans.push(Span::raw(format!("  up {}", up(status.uptime_s))));
    for account in &status.accounts {
        let whose = if status.accounts.len() > 1 { account.name.as_str() } else { "equity" };
        spans.push(Span::styled(format!("  {whose} "), DIM));
        spans.push(Span::raw(account.equity.clone()));
        spans.push(Span::raw(" "));
        spans.push(signed(&account.pnl));
    }
    // Last, because it is what a narrow screen can do without.
    if width > 100 {
        spans.push(Span::styled("  seq ", DIM));
        spans.push(Span::raw(count(status.seq)));
    }
    Line::from(spans)
}

fn footer(app: &App, width: u16) -> Line<'_> {
    let mut spans = Vec::new();
    for (key, what) in [
        ("p", "pause"),
        ("r", "resume"),
        ("f", "flatten"),
        ("k", "kill"),
        ("tab", "book"),
        ("q", "quit"),
    ] {
        spans.push(Span::styled(format!(" {key} "), Style::new().add_modifier(Modifier::REVERSED)));
        spans.push(Span::raw(format!(" {what} ")));
    }
    if let Some(said) = app.said.as_ref().or(app.trouble.as_ref()) {
        let is_done = app.said.as_deref().is_some_and(|said| said.ends_with(": done"));
        let said = Span::styled(format!(" {said}"), if is_done { GOOD } else { BAD });
        let keys_width: usize = spans.iter().map(Span::width).sum();
        // Until the next key, what was said matters more than which keys there are.
        if keys_width + said.width() > usize::from(width) {
            return Line::from(said);
        }
        spans.push(said);
    }
    Line::from(spans)
}

fn draw_body(frame: &mut Frame<'_>, app: &App, status: &Status, area: Rect) {
    let [left, _, right] = Layout::horizontal([
        Constraint::Length(BOOK_WIDTH),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(area);
    draw_left(frame, app, status, left);
    draw_right(frame, status, right);
}

fn draw_left(frame: &mut Frame<'_>, app: &App, status: &Status, area: Rect) {
    let balances = balances(status);
    let health = health(status);
    let (n_money, n_machine) = (rows(balances.len(), 4), rows(health.len(), 8));
    // A title, ten levels a side, the last trade: there is no more to show.
    let n_book = area.height.saturating_sub(n_money + n_machine).min(22);
    let [book, money, machine] = Layout::vertical([
        Constraint::Length(n_book),
        Constraint::Length(n_money),
        Constraint::Length(n_machine),
    ])
    .areas(area);
    if let Some(instrument) =
        status.instruments.get(app.instrument_idx % status.instruments.len().max(1))
    {
        draw_book(frame, instrument, book);
    }
    frame.render_widget(Paragraph::new(balances).block(titled("balances")), money);
    frame.render_widget(Paragraph::new(health).block(titled("machine")), machine);
}

/// Asks above, bids below, the last trade between them, as many levels as there is room for.
fn draw_book(frame: &mut Frame<'_>, instrument: &InstrumentStatus, area: Rect) {
    let name = Span::raw(format!(" {} ", instrument.symbol));
    let live =
        if instrument.is_live { Span::styled("live ", GOOD) } else { Span::styled("STALE ", BAD) };
    let block = Block::new().borders(Borders::TOP).title(Line::from(vec![name, live]));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let n = usize::from(inner.height.saturating_sub(1) / 2);
    let n_asks = n.min(instrument.asks.len());
    let mut lines: Vec<_> =
        instrument.asks[..n_asks].iter().rev().map(|level| level_line(level, BAD)).collect();
    lines.push(match &instrument.last_trade {
        Some(trade) => {
            let style = if trade.side == "sell" { BAD } else { GOOD };
            let text = format!("{:>10} {:>11} last", trade.price, trade.quantity);
            Line::styled(text, style.add_modifier(Modifier::BOLD))
        }
        None => Line::styled("no trade yet", DIM),
    });
    lines.extend(instrument.bids.iter().take(n).map(|level| level_line(level, GOOD)));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn level_line(level: &LevelStatus, style: Style) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{:>10}", level.price), style),
        Span::raw(format!(" {:>11}", level.quantity)),
    ])
}

fn balances(status: &Status) -> Vec<Line<'_>> {
    let has_several = status.accounts.len() > 1;
    let mut lines = Vec::new();
    for account in &status.accounts {
        if has_several {
            lines.push(Line::raw(account.name.as_str()));
        }
        lines.extend(account.balances.iter().map(balance));
    }
    lines
}

fn balance(held: &BalanceStatus) -> Line<'_> {
    let locked = match held.locked.as_str() {
        "0" => String::new(),
        locked => format!(" -{}", fitting(locked, 6)),
    };
    Line::from(vec![
        Span::styled(format!("{:<6}", held.asset), DIM),
        Span::raw(format!("{:>14}", fitting(&held.total, 14))),
        Span::styled(locked, DIM),
    ])
}

/// Rings, journal, tape, links: in red where something is lost.
fn health(status: &Status) -> Vec<Line<'_>> {
    let line = |name: &str, text: String, is_bad: bool| {
        let style = if is_bad { BAD } else { Style::new() };
        Line::from(vec![Span::styled(format!("{name:<8} "), DIM), Span::styled(text, style)])
    };
    let journal = &status.journal;
    let behind = journal.n_records.saturating_sub(journal.n_durable);
    let mut lines = vec![match &journal.failure {
        Some(failure) => line("journal", failure.clone(), true),
        None => line("journal", format!("{} behind", count(behind)), false),
    }];
    let lost = status.tape.n_dropped;
    lines.push(line("tape", format!("{} lost", count(lost)), lost > 0));
    for ring in &status.rings {
        let text = format!("{}/{} {} lost", ring.depth_max, ring.capacity, count(ring.n_dropped));
        lines.push(line(&numbered(&ring.name, ring.engine), text, ring.n_dropped > 0));
    }
    for link in &status.links {
        let text = match &link.failure {
            Some(failure) => failure.clone(),
            None if link.is_up => "up".to_owned(),
            None => "down".to_owned(),
        };
        lines.push(line(&numbered(&link.name, link.engine), text, !link.is_up));
    }
    lines
}

/// Names what belongs to an engine, where there are several.
fn numbered(name: &str, engine: Option<u32>) -> String {
    engine.map_or_else(|| name.to_owned(), |number| format!("{name}{number}"))
}

fn draw_question(frame: &mut Frame<'_>, question: &str) {
    let area = frame.area();
    let width = 66.min(area.width);
    let height = 5.min(area.height);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let text = vec![
        Line::raw(question),
        Line::raw(""),
        Line::styled("y yes    any other key no", Style::new().add_modifier(Modifier::BOLD)),
    ];
    let block = Block::new().borders(Borders::ALL).border_style(BAD);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(text).alignment(Alignment::Center).block(block), place);
}

/// Returns the rule above a section.
pub(super) fn titled(title: impl Into<Line<'static>>) -> Block<'static> {
    let mut title = title.into();
    title.spans.insert(0, Span::raw(" "));
    title.push_span(" ");
    Block::new().borders(Borders::TOP).border_style(DIM).title(title)
}

/// Rows that a list takes with its title, if it has at most so many lines.
pub(super) fn rows(n: usize, most: u16) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX).clamp(1, most) + 1
}

pub(super) fn state(state: TradingStateName) -> Span<'static> {
    match state {
        TradingStateName::Active => Span::styled("active", GOOD),
        TradingStateName::Reducing => Span::styled("REDUCING", WARN.add_modifier(Modifier::BOLD)),
        TradingStateName::Halted => Span::styled("HALTED", BAD.add_modifier(Modifier::BOLD)),
    }
}

/// Returns an amount with its sign and in its colour.
pub(super) fn signed(amount: &str) -> Span<'static> {
    let is_zero = amount.chars().all(|c| matches!(c, '0' | '.' | '-'));
    match amount.strip_prefix('-') {
        _ if is_zero => Span::raw(amount.to_owned()),
        Some(_) => Span::styled(amount.to_owned(), BAD),
        None => Span::styled(format!("+{amount}"), GOOD),
    }
}

fn up(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days == 0 { time } else { format!("{days}d {time}") }
}
