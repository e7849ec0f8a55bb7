//! Answers against recorded ones of the venue: the same members with values of the same kinds.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::rig::Rig;

/// Returns the folder of recorded answers; none, with a line that says so, without shared data.
fn recorded() -> Option<PathBuf> {
    let Some(shared) = std::env::var_os("TERCEL_SHARED") else {
        println!("skipped: TERCEL_SHARED is not set");
        return None;
    };
    Some(PathBuf::from(shared).join("exchanges/fixtures/jkorf/binance/Endpoints"))
}

/// Takes comments and commas before closing brackets out of a recorded answer.
fn read_answer(text: &str) -> Value {
    let body = text.splitn(4, '\n').nth(3).unwrap();
    let mut plain = String::new();
    let (mut in_text, mut chars) = (false, body.chars().peekable());
    while let Some(letter) = chars.next() {
        match letter {
            '"' => in_text = !in_text,
            '/' if !in_text && chars.peek() == Some(&'/') => {
                while chars.next_if(|letter| *letter != '\n').is_some() {}
                continue;
            }
            ']' | '}' if !in_text => {
                let kept = plain.trim_end();
                let kept = kept.strip_suffix(',').unwrap_or(kept).len();
                plain.truncate(kept);
            }
            _ => {}
        }
        plain.push(letter);
    }
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("{error}: {plain}"))
}

/// Lists the members that a recorded answer has and ours lacks or has of another kind.
fn differences(recorded: &Value, ours: &Value, at: &str, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(members)) => {
            for (name, value) in recorded {
                let at = format!("{at}.{name}");
                match members.get(name) {
                    Some(ours) => differences(value, ours, &at, found),
                    None => found.push(at),
                }
            }
        }
        (Value::Array(recorded), Value::Array(items)) => {
            if let (Some(recorded), Some(ours)) = (recorded.first(), items.first()) {
                differences(recorded, ours, &format!("{at}[]"), found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (recorded, ours) => {
            let kind = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            if kind(recorded) != kind(ours) {
                found.push(format!("{at}: {} for {}", kind(ours), kind(recorded)));
            }
        }
    }
}

/// Compares each request's answer with the recorded one; returns what differs.
fn compare(rig: &mut Rig, cases: &[(&str, &str, &str, &str)]) -> Option<Vec<String>> {
    let folder = recorded()?;
    let mut found = Vec::new();
    for (file, method, path, params) in cases {
        let name = folder.join(file);
        let text = std::fs::read_to_string(&name)
            .unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        let mut lines = text.lines();
        assert_eq!(lines.next().map(str::trim), Some(*method), "{file}");
        let answer = rig.good(method, path, params);
        let mut of = Vec::new();
        differences(&read_answer(&text), &answer, "", &mut of);
        found.extend(of.into_iter().map(|difference| format!("{file}: {difference}")));
    }
    Some(found)
}

#[test]
fn spot_answers_have_the_recorded_shapes() {
    let mut rig = Rig::seeded();
    rig.pass(5_000);
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000";
    rig.good("POST", "/api/v3/order", &format!("{order}&newClientOrderId=a"));
    rig.good("POST", "/api/v3/order", &format!("{order}&newClientOrderId=b"));
    rig.good("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    let pair = "symbol=BTCUSDT&side=SELL&quantity=0.01&aboveType=LIMIT_MAKER&abovePrice=65000&\
                belowType=STOP_LOSS_LIMIT&belowStopPrice=55000&belowPrice=54000&\
                belowTimeInForce=GTC";
    rig.good("POST", "/api/v3/orderList/oco", &format!("{pair}&listClientOrderId=l"));
    let cases = [
        ("Spot/Trading/GetOrder.txt", "GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=a"),
        ("Spot/Trading/GetOpenOrders.txt", "GET", "/api/v3/openOrders", "symbol=BTCUSDT"),
        ("Spot/Trading/GetUserTrades.txt", "GET", "/api/v3/myTrades", "symbol=BTCUSDT"),
        ("Spot/Trading/GetOcoOrder.txt", "GET", "/api/v3/orderList", "origClientOrderId=l"),
        (
            "Spot/Trading/CancelOrder.txt",
            "DELETE",
            "/api/v3/order",
            "symbol=BTCUSDT&origClientOrderId=b",
        ),
        (
            "Spot/Trading/CancelOcoOrder.txt",
            "DELETE",
            "/api/v3/orderList",
            "symbol=BTCUSDT&listClientOrderId=l",
        ),
        ("Spot/Trading/CancelAllOrders.txt", "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"),
        ("Spot/Trading/PlaceOrder.txt", "POST", "/api/v3/order", order),
        ("Spot/Account/GetAccountInfo.txt", "GET", "/api/v3/account", ""),
        ("Spot/ExchangeData/GetExchangeInfo.txt", "GET", "/api/v3/exchangeInfo", ""),
        ("Spot/ExchangeData/GetAvgPrice.txt", "GET", "/api/v3/avgPrice", "symbol=BTCUSDT"),
        (
            "Spot/ExchangeData/GetBookPrice.txt",
            "GET",
            "/api/v3/ticker/bookTicker",
            "symbol=BTCUSDT",
        ),
        ("Spot/ExchangeData/GetRecentTrades.txt", "GET", "/api/v3/trades", "symbol=BTCUSDT"),
        (
            "Spot/ExchangeData/GetAggregatedTradeHistory.txt",
            "GET",
            "/api/v3/aggTrades",
            "symbol=BTCUSDT",
        ),
        ("Spot/ExchangeData/GetTicker.txt", "GET", "/api/v3/ticker/24hr", "symbol=BTCUSDT"),
        ("Spot/ExchangeData/GetKlines.txt", "GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m"),
    ];
    if let Some(found) = compare(&mut rig, &cases) {
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn futures_answers_have_the_recorded_shapes() {
    let mut rig = Rig::seeded();
    rig.pass(5_000);
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000";
    rig.good("POST", "/fapi/v1/order", &format!("{order}&newClientOrderId=a"));
    rig.good("POST", "/fapi/v1/order", &format!("{order}&newClientOrderId=b"));
    rig.good("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    let stop = "symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL&type=STOP_MARKET&quantity=0.01&\
                triggerPrice=50000&clientAlgoId=s";
    let cases = [
        ("UsdFutures/Trading/PlaceConditionalOrder.txt", "POST", "/fapi/v1/algoOrder", stop),
        (
            "UsdFutures/Trading/GetConditionalOrder.txt",
            "GET",
            "/fapi/v1/algoOrder",
            "clientAlgoId=s",
        ),
        ("UsdFutures/Trading/GetOpenConditionalOrders.txt", "GET", "/fapi/v1/openAlgoOrders", ""),
        (
            "UsdFutures/Trading/GetOrder.txt",
            "GET",
            "/fapi/v1/order",
            "symbol=BTCUSDT&origClientOrderId=a",
        ),
        ("UsdFutures/Trading/GetOpenOrders.txt", "GET", "/fapi/v1/openOrders", "symbol=BTCUSDT"),
        ("UsdFutures/Trading/GetUserTrades.txt", "GET", "/fapi/v1/userTrades", "symbol=BTCUSDT"),
        ("UsdFutures/Trading/GetPositions.txt", "GET", "/fapi/v3/positionRisk", ""),
        (
            "UsdFutures/Trading/EditOrder.txt",
            "PUT",
            "/fapi/v1/order",
            "symbol=BTCUSDT&side=BUY&origClientOrderId=b&quantity=0.02&price=50000",
        ),
        (
            "UsdFutures/Trading/CancelOrder.txt",
            "DELETE",
            "/fapi/v1/order",
            "symbol=BTCUSDT&origClientOrderId=b",
        ),
        (
            "UsdFutures/Trading/CancelAllOrders.txt",
            "DELETE",
            "/fapi/v1/allOpenOrders",
            "symbol=BTCUSDT",
        ),
        ("UsdFutures/Trading/PlaceOrder.txt", "POST", "/fapi/v1/order", order),
        ("UsdFutures/Account/GetBalances.txt", "GET", "/fapi/v3/balance", ""),
        ("UsdFutures/Account/GetAccountInfoV3.txt", "GET", "/fapi/v3/account", ""),
        (
            "UsdFutures/Account/ChangeInitialLeverage.txt",
            "POST",
            "/fapi/v1/leverage",
            "symbol=BTCUSDT&leverage=10",
        ),
        ("UsdFutures/Account/GetSymbolConfiguration.txt", "GET", "/fapi/v1/symbolConfig", ""),
        ("UsdFutures/ExchangeData/GetExchangeInfo.txt", "GET", "/fapi/v1/exchangeInfo", ""),
        ("UsdFutures/ExchangeData/GetOrderBook.txt", "GET", "/fapi/v1/depth", "symbol=BTCUSDT"),
        ("UsdFutures/ExchangeData/GetTicker.txt", "GET", "/fapi/v1/ticker/24hr", "symbol=BTCUSDT"),
        (
            "UsdFutures/ExchangeData/GetMarkPrice.txt",
            "GET",
            "/fapi/v1/premiumIndex",
            "symbol=BTCUSDT",
        ),
    ];
    if let Some(found) = compare(&mut rig, &cases) {
        assert_eq!(found, FUTURES_DIFFERENCES);
    }
}

/// What the recorded answers have and ours do not: members of order types that have moved to the
/// algo service, of other products and former versions, and where the documents say otherwise.
const FUTURES_DIFFERENCES: &[&str] = &[
    "UsdFutures/Trading/PlaceConditionalOrder.txt: .activatePrice",
    "UsdFutures/Trading/PlaceConditionalOrder.txt: .callbackRate",
    "UsdFutures/Trading/GetOrder.txt: .activatePrice",
    "UsdFutures/Trading/GetOrder.txt: .priceRate",
    "UsdFutures/Trading/GetOpenOrders.txt: [].activatePrice",
    "UsdFutures/Trading/GetOpenOrders.txt: [].priceRate",
    "UsdFutures/Trading/GetPositions.txt: [].leverage",
    "UsdFutures/Trading/GetPositions.txt: [].maxNotionalValue",
    "UsdFutures/Trading/GetPositions.txt: [].marginType",
    "UsdFutures/Trading/GetPositions.txt: [].isAutoAddMargin",
    "UsdFutures/Trading/EditOrder.txt: .pair",
    "UsdFutures/Trading/EditOrder.txt: .cumBase",
    "UsdFutures/Trading/CancelOrder.txt: .activatePrice",
    "UsdFutures/Trading/CancelOrder.txt: .priceRate",
    "UsdFutures/Trading/PlaceOrder.txt: .activatePrice",
    "UsdFutures/Trading/PlaceOrder.txt: .priceRate",
    "UsdFutures/Account/GetSymbolConfiguration.txt: [].isAutoAddMargin: bool for string",
    "UsdFutures/ExchangeData/GetExchangeInfo.txt: .assets[].autoAssetExchange: string for number",
    "UsdFutures/ExchangeData/GetExchangeInfo.txt: .symbols[].settlePlan",
];

#[test]
fn differences_are_found() {
    let mut found = Vec::new();
    let recorded =
        read_answer("GET\n/x\ntrue\n{\"a\": 1, // one\n \"b\": [{\"c\": \"http://x\",}],}");
    differences(&recorded, &json!({"a": "1", "b": [{}]}), "", &mut found);
    assert_eq!(found, [".a: string for number", ".b[].c"]);
}
