// npm's `binance`, `ccxt` and `binance-api-node` against an exchange on this machine.
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');

const [, , ready, cache] = process.argv;
const from = createRequire(path.resolve(cache, 'package.json'));
const { binance_spot: spot, binance_usdm: usdm } = JSON.parse(ready).venues;
const key = { api_key: 'demo', api_secret: 'demo' };
let failed = 0;

function check(holds, what) {
  if (!holds) throw new Error(typeof what === 'string' ? what : JSON.stringify(what));
}

async function step(name, run) {
  const limit = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('took more than 30 s')), 30_000).unref();
  });
  try {
    await Promise.race([run(), limit]);
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    const told = error && error.stack ? error.stack : JSON.stringify(error);
    console.log(`failed: ${name}\n${told}`);
  }
}

async function tradeWithBinance() {
  const { MainClient, USDMClient, WebsocketClient } = from('binance');
  await step('npm binance spot: place, query, cancel', async () => {
    const client = new MainClient({ ...key, baseUrl: spot.rest });
    const book = await client.getOrderBook({ symbol: 'BTCUSDT', limit: 5 });
    const price = (Number(book.bids[0][0]) * 0.8).toFixed(2);
    const order = await client.submitNewOrder({
      symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price,
    });
    const found = await client.getOrder({ symbol: 'BTCUSDT', orderId: order.orderId });
    check(found.status === 'NEW', found);
    const gone = await client.cancelOrder({ symbol: 'BTCUSDT', orderId: order.orderId });
    check(gone.status === 'CANCELED', gone);
    const replaced = await client.submitNewOrder({
      symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quoteOrderQty: 50,
    });
    check(replaced.fills.length > 0, replaced);
  });
  await step('npm binance usdm: place, query, cancel', async () => {
    const client = new USDMClient({ ...key, baseUrl: usdm.rest });
    const order = await client.submitNewOrder({
      symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01,
      price: 40000,
    });
    const gone = await client.cancelOrder({ symbol: 'BTCUSDT', orderId: order.orderId });
    check(gone.status === 'CANCELED', gone);
    check((await client.getBalanceV3()).length > 0, 'balance');
  });
  await step('npm binance spot: streams', async () => {
    const quiet = { trace() {}, info() {}, error() {} };
    const socket = new WebsocketClient({ wsUrl: `${spot.streams}/stream` }, quiet);
    try {
      const came = new Promise((resolve) => socket.on('message', resolve));
      socket.subscribe('btcusdt@depth@100ms', 'main');
      await came;
    } finally {
      socket.closeAll(true);
    }
  });
}

async function tradeWithCcxt() {
  const ccxt = from('ccxt');
  await step('npm ccxt: load markets, place, cancel', async () => {
    const exchange = new ccxt.binance({ apiKey: 'demo', secret: 'demo', enableRateLimit: false });
    for (const [name, url] of Object.entries(exchange.urls.api)) {
      if (typeof url === 'string') {
        exchange.urls.api[name] = url.replace(/^https:\/\/[^/]+/, spot.rest);
      }
    }
    await exchange.loadMarkets();
    const ticker = await exchange.fetchTicker('BTC/USDT');
    const price = Math.floor(ticker.last * 0.8);
    const order = await exchange.createOrder('BTC/USDT', 'limit', 'buy', 0.01, price);
    const gone = await exchange.cancelOrder(order.id, 'BTC/USDT');
    check(gone.status === 'canceled', gone);
    const bought = await exchange.createOrder('BTC/USDT:USDT', 'market', 'buy', 0.01);
    check(bought.id, bought);
    await exchange.createOrder('BTC/USDT:USDT', 'market', 'sell', 0.01, undefined,
      { reduceOnly: true });
  });
}

async function tradeWithApiNode() {
  const Binance = from('binance-api-node').default;
  await step('npm binance-api-node: candles, order, stream', async () => {
    const client = Binance({
      apiKey: 'demo', apiSecret: 'demo', httpBase: spot.rest, httpFutures: usdm.rest,
      wsBase: `${spot.streams}/ws`, wsFutures: `${usdm.legacy_streams}/ws`,
    });
    check((await client.candles({ symbol: 'BTCUSDT', limit: 5 })).length === 5, 'candles');
    const order = await client.order({
      symbol: 'BTCUSDT', side: 'BUY', quantity: '0.01', price: '40000.00',
    });
    await client.cancelOrder({ symbol: 'BTCUSDT', orderId: order.orderId });
    let stop;
    await new Promise((resolve) => { stop = client.ws.depth('BTCUSDT', resolve); });
    stop();
  });
}

(async () => {
  await tradeWithBinance();
  await tradeWithCcxt();
  await tradeWithApiNode();
  process.exit(failed === 0 ? 0 : 1);
})();
