// Buyers who fill carts and order, one after the other, and remember each order that they were told is theirs. An order that
// gets no answer is sent again under its key, as a client has to. Afterwards each is looked up.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { now, until } from './stage.mjs';

/** How long a client waits for an answer. */
const PATIENCE = 15_000;
/** Between two tries of the same, and between two orders of a buyer. */
const AGAIN = 100;
const THINK = 100;
const ADDRESS = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postal_code: 'SW1Y 4JH', country: 'GB' };

const moduleOf = (path) => ({ products: 'product', carts: 'cart', orders: 'order', payments: 'payment' }[path.split(/[/?]/)[3]] ?? 'user');

/** A client of the shop that notes how each request went. */
export class Client {
  #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  requests = [];

  constructor(base) {
    this.base = base;
  }

  /** An answer `{status, body, replayed}`; status 0 when there was none. */
  async ask(method, path, { headers = {}, body, quiet = false } = {}) {
    const at = now();
    const answer = await this.#send(method, path, headers, body);
    if (!quiet) this.requests.push({ at, ms: now() - at, status: answer.status, module: moduleOf(path), code: answer.body?.code });
    return answer;
  }

  #send(method, path, headers, body) {
    return new Promise((answer) => {
      const none = () => answer({ status: 0, body: null, replayed: false });
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = http.request(this.base + path, {
        method, agent: this.#agent, timeout: PATIENCE,
        headers: { ...headers, ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) },
      }, (response) => {
        let told = '';
        response.setEncoding('utf8');
        response.on('data', (part) => { told += part; });
        response.on('error', none);
        response.on('end', () => {
          let json = null;
          try { json = JSON.parse(told); } catch { /* Not every answer is JSON. */ }
          answer({ status: response.statusCode, body: json, replayed: response.headers['idempotency-replayed'] === 'true' });
        });
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', none);
      request.end(text);
    });
  }

  close() {
    this.#agent.destroy();
  }
}

const hasFailed = (status) => status === 0 || status >= 500;

export class Load {
  #shelf = [];
  #stopped = false;
  #buyers = [];
  /** Orders that were answered with 201, each with the time of its first try, of the last one, and of its answer. */
  orders = [];
  /** What no shop may answer, in words. */
  wrong = [];

  static async start(base, buyers) {
    const load = new Load();
    load.client = new Client(base);
    await load.#readShelf();
    load.began = now();
    load.#buyers = Array.from({ length: buyers }, (_, number) =>
      load.#buyer(number).catch((error) => load.wrong.push({ at: now(), text: error.message })));
    return load;
  }

  async #readShelf() {
    let cursor = '';
    do {
      const page = await this.client.ask('GET', `/api/v1/products?limit=100${cursor}`, { quiet: true });
      if (page.status !== 200) throw new Error(`GET /products answers ${page.status} ${JSON.stringify(page.body)}`);
      for (const variant of page.body.items.flatMap((product) => product.variants)) {
        const left = variant.inventory_policy === 'continue' ? Infinity : variant.available;
        if (left > 0) this.#shelf.push({ id: variant.id, left });
      }
      cursor = page.body.next_cursor && `&cursor=${page.body.next_cursor}`;
    } while (cursor);
  }

  #take() {
    const from = Math.floor(Math.random() * this.#shelf.length);
    const found = [...this.#shelf.slice(from), ...this.#shelf.slice(0, from)].find(({ left }) => left > 0);
    if (!found) throw new Error('everything is sold: the drill was too long for its catalogue');
    found.left -= 1;
    return found.id;
  }

  async #buyer(number) {
    while (!this.#stopped) {
      if (!(await this.#buy(number))) await sleep(AGAIN);
      await sleep(THINK * (0.5 + Math.random()));
    }
  }

  async #buy(number) {
    const cart = await this.client.ask('POST', '/api/v1/carts');
    if (cart.status !== 201) return this.#refused('POST /carts', cart);
    const headers = { 'x-cart-token': cart.body.token };
    const filled = await this.client.ask('POST', `/api/v1/carts/${cart.body.id}/items`, { headers, body: { variant_id: this.#take(), quantity: 1 } });
    if (filled.status !== 201) return this.#refused('POST /carts/{id}/items', filled);
    const body = { cart_id: cart.body.id, email: `buyer-${number}@example.com`, shipping_address: ADDRESS, payment_method: 'pm_card_visa' };
    const sentAt = now();
    for (;;) {
      const triedAt = now();
      const placed = await this.client.ask('POST', '/api/v1/orders', { headers: { ...headers, 'idempotency-key': `drill-${cart.body.id}` }, body });
      if (placed.status === 201) {
        const { id, number: name, token, status, totals } = placed.body;
        this.orders.push({ id, name, token, status, total: totals.total.amount, sentAt, triedAt, at: now(), replayed: placed.replayed });
        return true;
      }
      const underWay = placed.status === 409 && placed.body?.code === 'idempotency_in_progress';
      if (!hasFailed(placed.status) && !underWay) return this.#refused('POST /orders', placed);
      // Of one that never gets an answer nothing was promised.
      if (this.#stopped && now() - this.#stopped > PATIENCE) return false;
      await sleep(AGAIN);
    }
  }

  /** Away is an outage. What the shop has forgotten or confounded is wrong, unless the drill means it to forget. */
  #refused(operation, { status, body }) {
    if (!hasFailed(status) && body?.code !== 'insufficient_stock') this.wrong.push({ at: now(), text: `${operation} ${status} ${body?.code ?? ''}` });
    return false;
  }

  /** The first order that was both sent and accepted after a moment. One that was sent before may have been made before. */
  firstOrderAfter(moment) {
    return this.orders.find(({ triedAt, replayed }) => triedAt >= moment && !replayed);
  }

  /** Lets them buy for so long, and on a slow machine longer: until as many orders as there are buyers were accepted. It
   * ends when one was accepted just now. */
  async goesOn(seconds) {
    const before = this.orders.length;
    await sleep(seconds * 1000);
    const reaches = (count) => until('orders are accepted', () => this.orders.length >= count, { seconds: 120, every: 5 });
    await reaches(before + this.#buyers.length);
    await reaches(this.orders.length + 1);
  }

  /** The longest time in which no order was accepted, between two moments. */
  longestSilence(from, to) {
    const times = [from, ...this.orders.map(({ at }) => at).filter((at) => at > from && at < to), to];
    return Math.max(...times.slice(1).map((at, index) => at - times[index]));
  }

  /** Lets what is under way end. */
  async stop() {
    this.#stopped = now();
    await Promise.all(this.#buyers);
    this.ended = now();
  }

  /** Looks up orders: those that are not there any more, or are not as they were told. */
  async missing(orders = this.orders) {
    const lost = [];
    const left = [...orders];
    const look = async () => {
      for (let order = left.pop(); order; order = left.pop()) {
        let found;
        for (let times = 0; times < 50 && hasFailed(found?.status ?? 0); times += 1) {
          if (times) await sleep(AGAIN);
          found = await this.client.ask('GET', `/api/v1/orders/${order.id}`, { headers: { 'x-order-token': order.token }, quiet: true });
        }
        if (hasFailed(found.status)) throw new Error(`order ${order.name} cannot be looked up: ${found.status} ${JSON.stringify(found.body)}`);
        const same = found.status === 200 && found.body.totals.total.amount === order.total && (order.status !== 'paid' || found.body.status === 'paid');
        if (!same) lost.push({ ...order, found: found.status === 200 ? found.body.status : found.body?.code });
      }
    };
    await Promise.all(Array.from({ length: 8 }, look));
    return lost;
  }

  close() {
    this.client.close();
  }
}

/** How requests went that were sent between two moments: how many, how many failed, and how long the others took. */
export function figures(requests, from, to) {
  const all = requests.filter(({ at }) => at >= from && at < to);
  const good = all.filter(({ status }) => !hasFailed(status)).map(({ ms }) => ms).sort((one, other) => one - other);
  const share = (part) => Math.round(good[Math.min(good.length - 1, Math.floor(good.length * part))] ?? 0);
  return { sent: all.length, failed: all.length - good.length, p50: share(0.5), p99: share(0.99), max: Math.round(good.at(-1) ?? 0) };
}
