use std::os::unix::net::UnixListener;

use expect_test::{ExpectFile, expect_file};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::control_api::{NoticeStatus, sample};

/// Draws an app and returns the screen as text.
fn screen(app: &App, now: Instant, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, app, now)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| {
            let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
            format!("{}\n", line.trim_end())
        })
        .collect()
}

fn showing(status: Status) -> (App, Instant) {
    let mut app = App::new(Path::new("data/control.sock"));
    let now = Instant::now();
    app.hear(News::Status(Ok(Box::new(status))), now);
    (app, now)
}

fn key(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

#[test]
fn a_busy_server_on_a_small_and_a_large_screen() {
    let (app, now) = showing(sample::busy());
    let check = |width, height, golden: ExpectFile| {
        golden.assert_eq(&screen(&app, now, width, height));
    };
    check(80, 24, expect_file!["golden/80x24.txt"]);
    check(120, 40, expect_file!["golden/120x40.txt"]);
    check(160, 50, expect_file!["golden/160x50.txt"]);
}

#[test]
fn accounts_are_named_where_there_are_several() {
    let (app, now) = showing(sample::two_accounts());
    let screen = screen(&app, now, 120, 40);
    let has = |text: &str| assert!(screen.contains(text), "{text}\n{screen}");
    has("main 100231.48 +231.48  hedge 5000 -12.5");
    has("cross/hedge");
    has("maker/main");
}

#[test]
fn engines_are_numbered_where_there_are_several() {
    let mut status = sample::two_engines();
    status.links.push(sample::account_link());
    let (app, now) = showing(status);
    let screen = screen(&app, now, 120, 40);
    let has = |text: &str| assert!(screen.contains(text), "{text}\n{screen}");
    has("account main connection f");
    has("runs 7-8 paper");
    has("market1  311/65536");
    has("seeded2  up");
}

/// On a screen of 120 columns prices lost their first digits, `9987.1` for 59987.1, because more columns
/// were drawn than there was room for.
#[test]
fn numbers_keep_their_first_digits_at_any_width() {
    let mut status = sample::busy();
    status.orders[0].price = Some("59987.10".to_owned());
    status.strategies[0].pnl = "-58.0692251".to_owned();
    let (app, now) = showing(status);
    for width in 80..200 {
        let screen = screen(&app, now, width, 40);
        let row = screen.lines().find(|line| line.contains("7-4417")).unwrap();
        assert!(row.contains(" 59987.10 "), "{width}: {row}");
        // The part of it that a narrow screen shows.
        let begin = if width < 90 { "-58" } else { "-58.0" };
        assert!(screen.contains(begin), "{width}: {screen}");
    }
}

#[test]
fn every_size_is_drawn() {
    let (mut app, now) = showing(sample::busy());
    app.asked = Some(Switch::Kill);
    let empty = showing(Status::default()).0;
    for (width, height) in [(1, 1), (10, 3), (31, 8), (80, 5), (300, 90)] {
        screen(&app, now, width, height);
        screen(&empty, now, width, height);
    }
}

#[test]
fn grave_switches_are_asked_for_and_others_are_not() {
    let (mut app, now) = showing(sample::busy());
    assert_eq!(app.press(key('p')), Action::Do(Switch::Pause));
    assert_eq!(app.press(key('r')), Action::Do(Switch::Resume));
    assert_eq!(app.press(key('k')), Action::Nothing);
    assert!(screen(&app, now, 80, 24).contains("Kill: cancel all orders and refuse new ones?"));
    assert_eq!(app.press(key('y')), Action::Do(Switch::Kill));
    assert_eq!(app.press(key('y')), Action::Nothing, "asked once for each");
    app.press(key('f'));
    assert_eq!(app.press(key('q')), Action::Nothing, "anything else is a no");
    assert_eq!(app.press(key('q')), Action::Quit);
    app.press(key('k'));
    assert_eq!(app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Action::Quit);
}

#[test]
fn a_number_too_long_loses_its_last_digits_and_says_so() {
    let mut status = sample::busy();
    status.strategies[0].pnl = "-123456.789012".to_owned();
    status.hooks[0].p99_ns = 105_020;
    let (app, now) = showing(status);
    let screen = screen(&app, now, 80, 24);
    assert!(screen.contains(" -123456.7… ") && screen.contains(" 105.02 µs "), "{screen}");
}

#[test]
fn a_journal_that_fails_is_said_on_top() {
    let mut status = sample::busy();
    status.journal.failure = Some("no space left on device".to_owned());
    let (app, now) = showing(status);
    let screen = screen(&app, now, 80, 24);
    assert!(screen.lines().next().unwrap().contains("NOT RECORDED"), "{screen}");
}

#[test]
fn a_refusal_is_read_whole_and_gone_with_the_next_key() {
    let (mut app, now) = showing(sample::busy());
    let refusal = "the feed is stale; flatten would trade blindly";
    app.hear(News::Done(Switch::Flatten, Err(refusal.to_owned())), now);
    assert!(screen(&app, now, 80, 24).ends_with(&format!(" not done: {refusal}\n")));
    assert!(screen(&app, now, 160, 24).contains(" q  quit  not done: the feed"));
    app.press(key('x'));
    assert!(!screen(&app, now, 80, 24).contains(refusal));
}

#[test]
fn a_silent_server_is_seen_at_once() {
    let mut app = App::new(Path::new("data/control.sock"));
    let now = Instant::now();
    assert!(screen(&app, now, 80, 24).contains("asking data/control.sock"));
    app.hear(News::Status(Err("no server answers at data/control.sock".to_owned())), now);
    assert!(screen(&app, now, 80, 24).contains("no server answers at data/control.sock"));
    let (app, now) = showing(sample::busy());
    assert!(!screen(&app, now, 80, 24).contains("NO ANSWER"));
    let later = now + Duration::from_secs(9);
    assert!(screen(&app, later, 80, 24).contains("NO ANSWER for 9 s"));
}

#[test]
fn text_of_scripts_does_not_reach_the_terminal_as_commands() {
    let mut status = sample::busy();
    let text = "\u{1b}[2Jgone\r\nand \u{7}more".to_owned();
    status.notices = vec![NoticeStatus { at_ns: 0, level: "info".to_owned(), text }];
    let (app, now) = showing(status);
    let screen = screen(&app, now, 80, 24);
    assert!(screen.contains("gone"), "{screen}");
    assert!(!screen.contains(['\u{1b}', '\r', '\u{7}']), "{screen:?}");
}

#[test]
fn the_worker_asks_and_switches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        let (stream, _) = listener.accept().unwrap();
        let mut killed = 0;
        for line in BufReader::new(&stream).lines() {
            let Ok(request) = serde_json::from_str::<Request>(&line.unwrap()) else { break };
            let is_kill = matches!(request, Request::Kill(_));
            killed += u32::from(is_kill);
            let answer = if is_kill { "null".to_owned() } else { format!("{{\"run\":{killed}}}") };
            writeln!(&stream, "{{\"ok\":true,\"result\":{answer}}}").unwrap();
        }
        killed
    });
    let mut app = App::new(&path);
    let worker = Worker::start(&path).unwrap();
    worker.ask(Switch::Kill);
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.status.as_ref().is_none_or(|(status, _)| status.run == 0) {
        assert!(Instant::now() < deadline, "{app:?}");
        if let Some(news) = worker.news() {
            app.hear(news, Instant::now());
        }
    }
    assert_eq!(app.said.as_deref(), Some("kill: done"));
    drop(worker);
    assert_eq!(server.join().unwrap(), 1);
}
