//! Answers, rules and codes, as another client understands them.

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    Answer, Environment, FillCursor, News, OrderNews, Request, RequestId, Tagged, Venue as _,
    VenueText,
};
use tercel_core::{InstrumentId, Nanos, OrderSpec, Price, Quantity, Role, Side};

use crate::support::{Talk, json};
use crate::{Asking, FOLDER, NOW, decimal, key, text, told};

fn check_order(order: &OrderNews, parsed: &Value, what: &str) {
    let lot: Decimal = "0.00001".parse().unwrap();
    let qty = |qty: Quantity| (Decimal::from(qty.0) * lot).normalize();
    assert_eq!(order.venue_order_id.as_str(), text(&parsed["id"]), "{what}");
    assert_eq!(order.side.as_str(), parsed["side"], "{what}");
    assert_eq!(Some(qty(order.qty)), decimal(&parsed["amount"]).map(|n| n.normalize()), "{what}");
    if let Some(filled) = decimal(&parsed["filled"]) {
        assert_eq!(qty(order.filled), filled.normalize(), "{what}");
    }
    let status = match parsed["status"].as_str().unwrap() {
        "open" => !order.status.is_over(),
        "closed" => order.status == tercel_adapters::OrderStatus::Filled,
        "canceled" => order.status == tercel_adapters::OrderStatus::Canceled,
        other => panic!("{other}"),
    };
    assert!(status, "{what}: {:?}", order.status);
}

/// Returns whether a case is read; else it is one of those that are listed.
fn response(product: Product, case: &Value) -> bool {
    let (raw, parsed) = (&case["httpResponse"], &case["parsedResponse"]);
    let what = format!("{} ({})", case["method"], case["description"]);
    let mut asking = Asking::new(product);
    let venue = Binance::new(product, &Environment::Production);
    let body = raw.to_string();
    let instrument = InstrumentId(0);
    let venue_order_id = VenueText::from("1").unwrap();
    let price_tick: Decimal = "0.000001".parse().unwrap();
    match case["method"].as_str().unwrap() {
        "create_order" => {
            let spec = OrderSpec::limit(instrument, Side::Buy, Price(1), Quantity(1));
            let Answer::Order(order, fills) = asking.ask(Request::Place { key: key(), spec }, raw)
            else {
                panic!("{what}")
            };
            check_order(&order, parsed, &what);
            assert_eq!(fills.len(), raw["fills"].as_array().map_or(0, Vec::len), "{what}");
        }
        "cancel_order" | "fetch_order" => {
            let key = key();
            let request = if case["method"] == "cancel_order" {
                Request::Cancel { key, venue_order_id, instrument }
            } else {
                Request::QueryOrder { key, venue_order_id, instrument }
            };
            let Answer::Order(order, _) = asking.ask(request, raw) else { panic!("{what}") };
            check_order(&order, parsed, &what);
        }
        "fetch_open_orders" | "fetch_orders" => {
            let request = if case["method"] == "fetch_orders" {
                Request::OrderHistory { instrument, since: NOW }
            } else {
                Request::OpenOrders { instrument: Some(instrument) }
            };
            let Answer::Orders(orders) = asking.ask(request, raw) else { panic!("{what}") };
            for (order, parsed) in orders.iter().zip(parsed.as_array().unwrap()) {
                check_order(order, parsed, &what);
            }
            assert_eq!(orders.len(), raw.as_array().unwrap().len());
        }
        "fetch_my_trades" => {
            let request = Request::Fills { instrument, since: FillCursor::Since(NOW) };
            let Answer::Fills(fills, false) = asking.ask(request, raw) else { panic!("{what}") };
            assert_eq!(fills.len(), raw.as_array().unwrap().len());
            for (fill, parsed) in fills.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(fill.trade_id.to_string(), text(&parsed["id"]), "{what}");
                let price = Decimal::from(fill.price.0) * price_tick;
                assert_eq!(Some(price.normalize()), decimal(&parsed["price"]), "{what}");
                assert_eq!(fill.side.as_str(), parsed["side"], "{what}");
                assert_eq!(fill.role == Role::Maker, parsed["takerOrMaker"] == "maker", "{what}");
                assert_eq!(Some(fill.fee), decimal(&parsed["fee"]["cost"]), "{what}");
            }
        }
        "edit_order" => {
            let spec = OrderSpec::limit(instrument, Side::Buy, Price(1), Quantity(1));
            let request = Request::CancelReplace {
                key: key(),
                new_key: key().next(),
                spec,
                only_unfilled: true,
            };
            let Answer::Replaced { old, new } = asking.ask(request, raw) else { panic!("{what}") };
            assert_eq!((old.venue_order_id.as_str(), new.venue_order_id.as_str()), ("9", "10"));
        }
        "fetch_balance" => {
            let Answer::Holdings(holdings) = asking.ask(Request::Balances, raw) else {
                panic!("{what}")
            };
            assert_eq!(holdings.len(), raw["balances"].as_array().unwrap().len(), "{what}");
        }
        "fetch_ohlcv" => {
            let candles = venue.parse_candles(body.as_bytes()).unwrap();
            for (candle, row) in candles.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(candle.open_at.0 / Nanos::MILLI, row[0].as_i64().unwrap(), "{what}");
                let own = [candle.open, candle.high, candle.low, candle.close, candle.volume];
                for (own, theirs) in own.iter().zip(&row.as_array().unwrap()[1..]) {
                    assert_eq!(Some(own.normalize()), decimal(theirs), "{what}");
                }
            }
            assert_eq!(candles.len(), raw.as_array().unwrap().len());
        }
        "fetch_trades" => {
            let trades = venue.parse_trades(body.as_bytes()).unwrap();
            for (trade, parsed) in trades.iter().zip(parsed.as_array().unwrap()) {
                assert_eq!(Some(trade.price), decimal(&parsed["price"]), "{what}");
                assert_eq!(trade.aggressor.as_str(), parsed["side"], "{what}");
            }
            assert_eq!(trades.len(), raw.as_array().unwrap().len());
        }
        "fetch_time" => {
            let time = venue.parse_server_time(body.as_bytes()).unwrap();
            assert_eq!(Some(time.0 / Nanos::MILLI), parsed.as_i64());
        }
        "set_leverage" => {
            let request = Request::SetLeverage { instrument, leverage: 21 };
            assert_eq!(asking.ask(request, raw), Answer::Done);
        }
        // Snapshots are read by the market connection, and tried in `binance_books`; tickers of a
        // day are not read at all.
        "fetch_order_book" | "fetch_ticker" => return false,
        other => panic!("no answer to {other}"),
    }
    true
}

#[test]
fn answers_mean_what_another_client_says() {
    for (product, file, what) in [
        (Product::Spot, "binance.response.json", "ccxt answers, spot"),
        (Product::UsdMargined, "binanceusdm.response.json", "ccxt answers, USD-M"),
    ] {
        let Some(golden) = json(&format!("{FOLDER}/{file}")) else { return };
        let cases: Vec<_> = golden["methods"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|of| of.as_array().unwrap())
            .collect();
        let n_pass = cases.iter().filter(|case| response(product, case)).count();
        told(what, n_pass, cases.len() - n_pass);
    }
}

#[test]
fn instruments_are_read_from_real_rules() {
    let Some(golden) = json(&format!("{FOLDER}/instruments_raw.json")) else { return };
    for (path, product) in
        [("/api/v3/exchangeInfo", Product::Spot), ("/fapi/v1/exchangeInfo", Product::UsdMargined)]
    {
        let rules = &golden["binance"][path];
        let venue = Binance::new(product, &Environment::Production);
        let listed = venue.parse_instruments(rules.to_string().as_bytes()).unwrap();
        assert_eq!(listed.n_unreadable, 0);
        assert_eq!(listed.instruments.len(), rules["symbols"].as_array().unwrap().len());
        let bitcoin = listed.instruments.iter().find(|own| own.symbol == "BTCUSDT").unwrap();
        assert!(bitcoin.trading && bitcoin.base == "BTC" && bitcoin.quote == "USDT");
        assert!(bitcoin.tick > Decimal::ZERO && bitcoin.lot > Decimal::ZERO);
        assert!(bitcoin.min_notional > Decimal::ZERO);
        assert!(!listed.limits.is_empty());
    }
}

/// Every code of the other client's table that asks for a person, a pause or a query here.
#[test]
fn codes_agree_with_another_clients_table() {
    let Some(map) = json(&format!("{FOLDER}/error_map.json")) else { return };
    let (mut n_pass, mut n_listed) = (0, 0);
    for (product, name, sections) in [
        (Product::Spot, "binance", ["spot", "exact"]),
        (Product::UsdMargined, "binanceusdm", ["linear", "exact"]),
    ] {
        let table = &map[name]["exceptions"];
        for section in sections {
            let codes = if section == "exact" { &table["exact"] } else { &table[section]["exact"] };
            for (code, theirs) in codes.as_object().into_iter().flatten() {
                let Ok(code) = code.parse::<i64>() else { continue };
                // Services beside trading have codes of their own, and one is a quantity here.
                let is_trading = match product {
                    Product::Spot => code > -3_000,
                    Product::UsdMargined => code > -3_000 || (-5_999..=-4_000).contains(&code),
                };
                if !is_trading || code == -4_005 {
                    n_listed += 1;
                    continue;
                }
                let mut asking = Asking::new(product);
                let tagged = Tagged { id: RequestId(1), request: Request::Balances };
                let Talk { connection, out, .. } = &mut asking.talk;
                connection.protocol.encode(&tagged, NOW, out).unwrap();
                let call = asking.talk.out.calls.remove(0);
                let body = format!("{{\"code\":{code},\"msg\":\"\"}}");
                asking.talk.answer(&call, 400, &body, NOW);
                let news = std::mem::take(&mut asking.talk.out.news);
                let [News::Answered { outcome, .. }] = &news[..] else { panic!("{news:?}") };
                let kind = match outcome {
                    Ok(_) => None,
                    Err(error) => Some(format!("{:?}", error.kind)),
                };
                let kind = kind.as_deref();
                match theirs.as_str().unwrap() {
                    "RateLimitExceeded" | "DDoSProtection" => {
                        assert!(
                            matches!(kind, Some("RateLimited" | "TooManyOrders" | "Banned")),
                            "{code}: {kind:?}"
                        );
                    }
                    "InvalidNonce" => assert_eq!(kind, Some("Timestamp"), "{code}"),
                    "OrderNotFound" => {
                        assert!(
                            matches!(kind, Some("UnknownOrder" | "BadRequest")),
                            "{code}: {kind:?}"
                        );
                    }
                    "InsufficientFunds" => {
                        assert!(
                            !matches!(kind, None | Some("UnknownOrder" | "OutcomeUnknown")),
                            "{code}: {kind:?}"
                        );
                    }
                    _ => {}
                }
                n_pass += 1;
            }
        }
    }
    told("ccxt error codes", n_pass, n_listed);
}
