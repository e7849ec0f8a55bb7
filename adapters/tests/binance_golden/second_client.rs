//! Places, answers and pushes of a second client, and the venue's own client's operations.

use serde_json::Value;
use tercel_adapters::binance::operation::{Operation, Security, spot, usdm};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    AccountSetup, Answer, ClientIds, ClockOffset, Credentials, Environment, Method, OrderEntry,
    Request, Topic, TopicKind, Venue as _, VenueText,
};
use tercel_core::{InstrumentId, InstrumentKind};

use crate::support::{Talk, instrument, json, listing};
use crate::{Asking, NOW, SYMBOLS, by_place, key, told};

/// Strips the comments and the commas at the end that these files have.
fn relaxed(text: &str) -> Option<Value> {
    let mut plain = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut before = ' ';
        let mut kept = String::new();
        for c in line.chars() {
            if c == '"' && before != '\\' {
                in_string = !in_string;
            }
            if c == '/' && before == '/' && !in_string {
                kept.pop();
                break;
            }
            kept.push(c);
            before = c;
        }
        plain.push_str(&kept);
        plain.push('\n');
    }
    let mut out = String::new();
    let mut rest = plain.chars().peekable();
    let mut in_string = false;
    while let Some(c) = rest.next() {
        if c == '"' {
            in_string = !in_string;
        }
        if c == ',' && !in_string {
            let mut ahead = rest.clone();
            let next = ahead.find(|c| !c.is_whitespace());
            if matches!(next, Some(']' | '}')) {
                continue;
            }
        }
        out.push(c);
    }
    serde_json::from_str(&out).ok()
}

fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

fn product_of(path: &std::path::Path) -> Product {
    if path.to_string_lossy().contains("UsdFutures") { Product::UsdMargined } else { Product::Spot }
}

#[test]
fn places_and_answers_are_those_of_a_second_client() {
    let Some(root) = crate::support::shared("exchanges/fixtures/jkorf/binance/Endpoints") else {
        return;
    };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = text.lines();
        let (method, place, is_signed) =
            (lines.next().unwrap().trim(), lines.next().unwrap().trim(), lines.next().unwrap());
        let product = product_of(&path);
        let Some(operation) = by_place(product, method, place) else {
            // Services beside trading, and older forms of those that are used.
            n_listed += 1;
            continue;
        };
        let signed = operation.security == Security::Signed;
        assert_eq!(signed, is_signed.trim() == "true", "{}", path.display());
        let body: String = lines.collect::<Vec<_>>().join("\n");
        if let Some(body) = relaxed(&body) {
            answer_of(product, &operation, &body, &path);
        }
        n_pass += 1;
    }
    told("JKorf endpoints", n_pass, n_listed);
}

/// Reads an answer by whatever asks for it.
fn answer_of(product: Product, operation: &Operation, body: &Value, path: &std::path::Path) {
    let what = path.display();
    let mut asking = Asking::new(product);
    let instrument = InstrumentId(0);
    let venue_order_id = VenueText::from("1").unwrap();
    let key = key();
    let bytes = body.to_string();
    let venue = Binance::new(product, &Environment::Production);
    let known = |value: &Value| value["symbol"].as_str().is_none_or(|own| SYMBOLS.contains(&own));
    // Some examples are abridged to nothing.
    if body.as_array().is_some_and(Vec::is_empty) || body.is_null() {
        return;
    }
    if !known(body) || !body.as_array().into_iter().flatten().all(known) {
        return;
    }
    if *operation == spot::ORDER || *operation == usdm::ORDER {
        let answer = asking.ask(Request::QueryOrder { key, venue_order_id, instrument }, body);
        assert!(matches!(answer, Answer::Order(..)), "{what}");
    } else if *operation == spot::CANCEL || *operation == usdm::CANCEL {
        let answer = asking.ask(Request::Cancel { key, venue_order_id, instrument }, body);
        assert!(matches!(answer, Answer::Order(..)), "{what}");
    } else if *operation == usdm::BALANCES {
        let answer = asking.ask(Request::Balances, body);
        assert!(matches!(&answer, Answer::Holdings(own) if !own.is_empty()), "{what}: {answer:?}");
    } else if *operation == usdm::POSITIONS {
        let answer = asking.ask(Request::Positions, body);
        assert!(matches!(answer, Answer::Positions(_)), "{what}");
    } else if *operation == spot::RULES || *operation == usdm::RULES {
        venue.parse_instruments(bytes.as_bytes()).unwrap();
    } else if *operation == spot::CANDLES || *operation == usdm::CANDLES {
        assert!(!venue.parse_candles(bytes.as_bytes()).unwrap().is_empty(), "{what}");
    } else if *operation == spot::AGGREGATES || *operation == usdm::AGGREGATES {
        assert!(!venue.parse_trades(bytes.as_bytes()).unwrap().is_empty(), "{what}");
    } else if *operation == spot::COMMISSION || *operation == usdm::COMMISSION {
        tercel_adapters::binance::fees(product, bytes.as_bytes()).unwrap();
    }
}

#[test]
fn websocket_methods_are_those_of_a_second_client() {
    let Some(root) = crate::support::shared("exchanges/fixtures/jkorf/binance/Socket") else {
        return;
    };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let sent = text.trim_start_matches(['\u{feff}', '>', ' ']).lines().next().unwrap();
        let sent: Value = serde_json::from_str(sent).unwrap();
        let method = sent["method"].as_str().unwrap();
        let all = match product_of(&path) {
            Product::Spot => spot::ALL,
            Product::UsdMargined => usdm::ALL,
        };
        if all.iter().any(|own| own.ws == Some(method)) { n_pass += 1 } else { n_listed += 1 }
    }
    told("JKorf WebSocket methods", n_pass, n_listed);
}

#[test]
fn operations_and_parameters_are_those_of_the_venues_own_client() {
    let folder = "exchanges/fixtures/binance-connector-rust";
    let Some(spot_rest) = json(&format!("{folder}/spot_rest_api.json")) else { return };
    let usdm_rest = json(&format!("{folder}/usdm_rest_api.json")).unwrap();
    let (mut n_pass, mut n_listed) = (0, 0);
    for (product, documented, own) in
        [(Product::Spot, &spot_rest, spot::ALL), (Product::UsdMargined, &usdm_rest, usdm::ALL)]
    {
        let documented = documented.as_array().unwrap();
        for operation in own {
            // Two are the same place with and without an instrument, and one is older than the list.
            let theirs = documented.iter().find(|theirs| {
                theirs["path"] == operation.path && theirs["method"] == operation.method.as_str()
            });
            let is_undocumented =
                operation.path == "/fapi/v1/positionSide/dual" && operation.method == Method::Get;
            assert!(theirs.is_some() || is_undocumented, "{}", operation.path);
        }
        for theirs in documented.iter().filter(|theirs| theirs["path"].is_string()) {
            let (method, path) =
                (theirs["method"].as_str().unwrap(), theirs["path"].as_str().unwrap());
            match by_place(product, method, path) {
                Some(operation) => {
                    let signed = operation.security == Security::Signed;
                    // One of them is documented without its signature.
                    let is_special = path == "/api/v3/account/commission";
                    assert!(is_special || theirs["signed"] == signed, "{path}");
                    answer_of(product, &operation, &theirs["example_response"], path.as_ref());
                    n_pass += 1;
                }
                None => n_listed += 1,
            }
        }
    }
    told("connector operations, REST", n_pass, n_listed);
    let (mut n_pass, mut n_listed) = (0, 0);
    for (file, own) in [("spot", spot::ALL), ("usdm", usdm::ALL)] {
        let documented = json(&format!("{folder}/{file}_websocket_api.json")).unwrap();
        let documented: Vec<&str> = documented
            .as_array()
            .unwrap()
            .iter()
            .map(|theirs| theirs["ws_method"].as_str().unwrap().trim_start_matches('/'))
            .collect();
        for operation in own {
            if let Some(method) = operation.ws {
                assert!(documented.contains(&method), "{method}");
            }
        }
        for method in documented {
            let is_own = own.iter().any(|operation| operation.ws == Some(method));
            let is_session = method.starts_with("session.logon")
                || method.starts_with("userDataStream.subscribe");
            if is_own || is_session { n_pass += 1 } else { n_listed += 1 }
        }
    }
    told("connector operations, WebSocket", n_pass, n_listed);
}

/// Returns the push of a file of subscriptions, without its placeholders.
fn pushed(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.trim_start_matches('\u{feff}');
    let pushes = text.split("\n=").skip(1);
    pushes.filter_map(|push| relaxed(push.split("\n>").next().unwrap_or(push))).collect()
}

/// Two kinds of events are passed over although they are of our own orders. What they tell comes with the
/// orders' own reports; what a report has beyond that, they lack.
#[test]
fn what_orders_tell_themselves_is_passed_over() {
    let Some(root) = crate::support::shared("exchanges/fixtures/jkorf/binance/Subscriptions")
    else {
        return;
    };
    let captures = [
        (Product::UsdMargined, "UsdFutures/TradeUpdate.txt", "data", "TRADE_LITE"),
        (Product::Spot, "Spot/Account/OcoOrder.txt", "event", "listStatus"),
    ];
    for (product, file, wrapper, kind) in captures {
        let pushes = pushed(&root.join(file));
        let push = pushes.iter().find(|push| push[wrapper]["e"] == kind).unwrap();
        let event = &push[wrapper];
        if kind == "TRADE_LITE" {
            // The execution has number, price and quantity, and no fee. Booked from here, it would be
            // known when the order's own event comes, and its fee would be in no book.
            assert!(event["t"].is_u64() && event["L"].is_string() && event["l"].is_string());
            assert!(event["n"].is_null() && event["N"].is_null(), "it has a fee: {event}");
        } else {
            // Which orders are of the list, but not how they stand.
            let orders = event["O"].as_array().unwrap();
            let says_more = |own: &Value| {
                own.as_object().unwrap().keys().any(|key| !["s", "i", "c"].contains(&key.as_str()))
            };
            assert!(!orders.is_empty() && !orders.iter().any(says_more), "{event}");
        }
        let kind_of = match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        };
        let instruments: Vec<_> = ["BTCUSDT", "ETHBTC"]
            .iter()
            .zip(0..)
            .map(|(symbol, id)| instrument(id, symbol, kind_of, "0.00000001", "0.00000001"))
            .collect();
        let setup = AccountSetup {
            credentials: Credentials::new("k", "s"),
            ids: ClientIds::new("tc").unwrap(),
            clock: ClockOffset::default(),
            entry: OrderEntry::Fastest,
        };
        let venue = Binance::new(product, &Environment::Production);
        let listing = listing(&instruments, &["BTC", "USDT", "ETH", "BNB"]);
        let account = venue.account(&listing, &setup).unwrap().pop().unwrap();
        let mut account = Talk::new(account);
        account.open(NOW);
        account.out.news.clear();
        account.frame(&push.to_string(), NOW);
        assert_eq!(account.out.news, [], "{kind}");
        assert_eq!(account.n_errors, 0, "{kind} is known: {:?}", account.errors);
    }
}

#[test]
fn pushes_of_a_second_client_are_understood() {
    let Some(root) = crate::support::shared("exchanges/fixtures/jkorf/binance/Subscriptions")
    else {
        return;
    };
    let mut found = Vec::new();
    files(&root, &mut found);
    let (mut n_pass, mut n_listed) = (0, 0);
    for path in found {
        let product = product_of(&path);
        let kind = match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        };
        let symbols = ["BTCUSDT", "ETHBTC", "BNBBTC", "BNBUSDT", "ETHUSDT"];
        let instruments: Vec<_> = symbols
            .iter()
            .zip(0..)
            .map(|(symbol, id)| instrument(id, symbol, kind, "0.00000001", "0.00000001"))
            .collect();
        let listing = listing(&instruments, &["BTC", "USDT", "ETH", "BNB"]);
        let venue = Binance::new(product, &Environment::Production);
        let topics: Vec<_> = instruments
            .iter()
            .map(|own| Topic { instrument: own.id, kind: TopicKind::Book })
            .collect();
        let setup = AccountSetup {
            credentials: Credentials::new("k", "s"),
            ids: ClientIds::new("tc").unwrap(),
            clock: ClockOffset::default(),
            entry: OrderEntry::Fastest,
        };
        let mut market = Talk::new(venue.market(&listing, &topics).remove(0));
        let account = venue.account(&listing, &setup).unwrap().pop().unwrap();
        let mut account = Talk::new(account);
        market.open(NOW);
        account.open(NOW);
        let pushes = pushed(&path);
        // Two files are about many subscriptions at once and push nothing.
        n_listed += usize::from(pushes.is_empty());
        for push in pushes {
            let (text, before) = (push.to_string(), market.n_errors + account.n_errors);
            market.frame(&text, NOW);
            account.frame(&text, NOW);
            let refused = market.n_errors + account.n_errors - before;
            // Exactly one of both has a use for it, or it is of a stream that is not subscribed to.
            if refused == 1 {
                n_pass += 1
            } else {
                n_listed += 1
            }
            let odd: Vec<_> = market
                .errors
                .iter()
                .chain(&account.errors)
                .filter(|error| !error.starts_with("unknown message"))
                .collect();
            assert!(refused <= 2 && odd.is_empty(), "{}: {odd:?}", path.display());
        }
    }
    told("JKorf pushes", n_pass, n_listed);
}
