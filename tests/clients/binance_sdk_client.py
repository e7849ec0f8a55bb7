"""The venue's own Python SDKs against an exchange on this machine."""

import asyncio
import json
import sys

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from binance_sdk_spot.spot import Spot

from steps import Steps, check


def rest(base):
    return ConfigurationRestAPI(api_key="demo", api_secret="demo", base_path=base)


def session(base):
    return ConfigurationWebSocketAPI(api_key="demo", api_secret="demo", stream_url=base)


async def spot(steps, venue):
    client = Spot(
        config_rest_api=rest(venue["rest"]),
        config_ws_api=session(venue["ws_api"]),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=venue["streams"]),
    )
    with steps.step("binance-sdk-spot: REST"):
        info = client.rest_api.exchange_info(symbol="BTCUSDT").data()
        check(info.symbols[0].symbol == "BTCUSDT", info)
        order = client.rest_api.new_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01,
            price=40000.0).data()
        found = client.rest_api.get_order(symbol="BTCUSDT", order_id=order.order_id).data()
        check(found.status == "NEW", found)
        smaller = client.rest_api.order_amend_keep_priority(
            symbol="BTCUSDT", order_id=order.order_id, new_qty=0.005).data()
        check(smaller.amended_order.qty == "0.00500000", smaller)
        gone = client.rest_api.delete_order(symbol="BTCUSDT", order_id=order.order_id).data()
        check(gone.status == "CANCELED", gone)
        account = client.rest_api.get_account(omit_zero_balances=True).data()
        check(any(balance.asset == "USDT" for balance in account.balances), account)
    with steps.step("binance-sdk-spot: WebSocket API"):
        connection = await client.websocket_api.create_connection()
        try:
            order = (await connection.order_place(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01,
                price=40000.0)).data().result
            gone = (await connection.order_cancel(
                symbol="BTCUSDT", order_id=order.order_id)).data().result
            check(gone.status == "CANCELED", gone)
            await connection.user_data_stream_subscribe_signature()
        finally:
            await connection.close_connection(close_session=True)
    with steps.step("binance-sdk-spot: streams"):
        connection = await client.websocket_streams.create_connection()
        try:
            came = asyncio.Event()
            stream = await connection.diff_book_depth(symbol="btcusdt", update_speed="100ms")
            stream.on("message", lambda message: came.set())
            await asyncio.wait_for(came.wait(), 10)
        finally:
            await connection.close_connection(close_session=True)


async def usdm(steps, venue):
    client = DerivativesTradingUsdsFutures(
        config_rest_api=rest(venue["rest"]),
        config_ws_api=session(venue["ws_api"]),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=venue["streams"]),
    )
    with steps.step("binance-sdk usdm: REST"):
        api = client.rest_api
        check(api.exchange_information().data().symbols, "symbols")
        order = api.new_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01,
            price=40000.0).data()
        check(api.query_order(symbol="BTCUSDT", order_id=order.order_id).data().status == "NEW",
              "queried")
        gone = api.cancel_order(symbol="BTCUSDT", order_id=order.order_id).data()
        check(gone.status == "CANCELED", gone)
        stop = api.new_algo_order(
            algo_type="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="STOP_MARKET",
            quantity=0.01, trigger_price=30000.0).data()
        check(stop.algo_status == "NEW", stop)
        api.cancel_algo_order(algo_id=stop.algo_id)
        check(api.account_information_v3().data().total_wallet_balance, "account")
        check(api.start_user_data_stream().data().listen_key, "listen key")
    with steps.step("binance-sdk usdm: WebSocket API"):
        connection = await client.websocket_api.create_connection()
        try:
            order = (await connection.new_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01,
                price=40000.0)).data().result
            await connection.cancel_order(symbol="BTCUSDT", order_id=order.order_id)
        finally:
            await connection.close_connection(close_session=True)


def main():
    venues = json.loads(sys.argv[1])["venues"]
    steps = Steps()
    asyncio.run(spot(steps, venues["binance_spot"]))
    asyncio.run(usdm(steps, venues["binance_usdm"]))
    steps.end()


if __name__ == "__main__":
    main()
