// What a customer does, step by step. A step says what it needs: those whose needs are not there are not tried.
// What has to be taken back is put on `context.undo` before or with its making, and goes in reverse order.

import { codeOf, demand, pause } from './client.mjs';

export class Skip extends Error {}

const bearer = (tokens) => ({ authorization: `Bearer ${tokens.access_token}` });
const money = ({ amount, currency }) => `${(amount / 100).toFixed(2)} ${currency}`;

/** The name and address say what it is to whoever sees the order. */
const address = {
  name: 'Smoke Test', line1: 'Automatic check, do not ship', city: 'London', postal_code: 'SW1Y 4JH', country: 'GB',
};

const PASSWORD_LENGTH = 24;

export const steps = [
  {
    name: 'signing keys',
    async run({ client }) {
      const { body } = await client.send('GET', '/.well-known/jwks.json');
      demand(body?.keys?.length > 0, 'there is no key that tokens could be checked with');
      return `${body.keys.length} published`;
    },
  },
  {
    name: 'catalogue',
    async run(context) {
      const { client } = context;
      const list = await client.send('GET', '/api/v1/products?sort=price&in_stock=true&limit=50');
      demand(Array.isArray(list.body?.items), 'the list of products is none');
      if (list.body.items.length === 0) return 'empty';
      const [{ id }] = list.body.items;
      const product = await client.send('GET', `/api/v1/products/${id}`);
      const etag = product.headers.get('etag');
      if (etag) {
        await client.send('GET', `/api/v1/products/${id}`, { headers: { 'if-none-match': etag }, expect: [200, 304] });
      }
      const variants = list.body.items.filter(({ title }) => !title.startsWith('Smoke test'))
        .flatMap((each) => each.variants.map((variant) => ({ ...variant, product: each.title })));
      // Nobody is to be told that the last one is gone while it lies in this cart.
      context.found.offer = variants.filter(({ available }) => available > 2).sort((a, b) => a.price.amount - b.price.amount)[0];
      return `${list.body.items.length} products in stock on the first page`;
    },
  },
  {
    name: 'problems are documents',
    async run({ client }) {
      const { body, headers } = await client.send('GET', '/api/v1/orders', { expect: 401 });
      demand(/^application\/problem\+json/.test(headers.get('content-type')), 'a refusal is not application/problem+json');
      demand(body?.code && body?.request_id, 'a refusal has no code or no request id');
      demand(headers.get('x-request-id') === body.request_id, 'the request id of the header is not that of the document');
      return body.code;
    },
  },
  {
    name: 'account',
    writes: true,
    async run(context) {
      const { client, run, settings } = context;
      const email = settings.email.replace(/@/, `+${run}@`);
      const password = `${run}-${'x'.repeat(PASSWORD_LENGTH)}-${Math.random().toString(36).slice(2)}`;
      await client.send('POST', '/api/v1/users', { body: { email, password, full_name: 'Smoke Test' }, expect: 201 });
      // Its session may be over by then.
      context.undo.push(['account', async () => {
        const { body } = await client.send('POST', '/api/v1/auth/login', { body: { email, password }, expect: [200, 401] });
        if (body.access_token) await client.send('DELETE', '/api/v1/users/me', { headers: bearer(body), expect: 204 });
      }]);
      await client.send('POST', '/api/v1/auth/login', { body: { email, password: `${password}!` }, expect: 401 });
      const signedIn = (await client.send('POST', '/api/v1/auth/login', { body: { email, password } })).body;
      const { body: tokens } = await client.send('POST', '/api/v1/auth/refresh', {
        body: { refresh_token: signedIn.refresh_token },
      });
      const { body: me } = await client.send('GET', '/api/v1/users/me', { headers: bearer(tokens) });
      demand(me.email === email, `the account is not that of ${email}`);
      context.found.customer = bearer(tokens);
      return email;
    },
  },
  {
    name: 'admin',
    writes: true,
    async run(context) {
      const { client, settings } = context;
      if (!settings.adminEmail) throw new Skip('no SMOKE_ADMIN_EMAIL and SMOKE_ADMIN_PASSWORD');
      const body = { email: settings.adminEmail, password: settings.adminPassword };
      const signIn = async () => {
        if (settings.adminTotp) body.code = codeOf(settings.adminTotp, Date.now());
        return client.send('POST', '/api/v1/auth/login', { body, expect: [200, 401] });
      };
      let answer = await signIn();
      if (answer.body.code === 'invalid_second_factor' && settings.adminTotp) {
        // A code is good once: somebody had it in these 30 seconds.
        await pause(30_500 - (Date.now() % 30_000));
        answer = await signIn();
      }
      demand(answer.status === 200, `${settings.adminEmail} cannot sign in: ${answer.body.code}`);
      demand(answer.body.user?.role === 'admin', `${settings.adminEmail} is no admin`);
      const admin = bearer(answer.body);
      context.undo.push(['admin signs out', async () => {
        await client.send('POST', '/api/v1/auth/logout', { headers: admin, expect: [204, 401] });
      }]);
      context.found.admin = admin;
      return settings.adminEmail;
    },
  },
  {
    name: 'product of its own',
    needs: ['admin', 'customer'],
    writes: true,
    async run(context) {
      const { client, found } = context;
      const headers = found.admin;
      const handle = 'eshopz-smoke-test';
      const archive = async () => {
        const { body } = await client.send('GET', `/api/v1/products/${handle}`, { headers, expect: [200, 404] });
        if (body?.status === 'active') await client.send('DELETE', `/api/v1/products/${body.id}`, { headers, expect: 204 });
      };
      context.undo.push(['product', archive]);
      // The same each time, so that archived ones do not become more and more.
      const old = await client.send('GET', `/api/v1/products/${handle}`, { headers, expect: [200, 404] });
      let product;
      if (old.status === 404) {
        // A cart knows the currency of a shop in which there is nothing yet.
        const currency = found.offer?.price.currency
          ?? (await client.send('GET', '/api/v1/carts/mine', { headers: found.customer })).body.currency;
        product = (await client.send('POST', '/api/v1/products', {
          headers,
          expect: 201,
          body: {
            handle, title: 'Smoke test, not for sale', tags: ['smoke'], product_type: 'smoke', status: 'active',
            variants: [{ price: { amount: 100, currency }, on_hand: 10, requires_shipping: false, taxable: false }],
          },
        })).body;
      } else {
        product = (await client.send('PATCH', `/api/v1/products/${old.body.id}`, { headers, body: { status: 'active' } })).body;
      }
      const [variant] = product.variants;
      await client.send('PUT', `/api/v1/variants/${variant.id}/stock`, { headers, body: { on_hand: 10 } });
      found.offer = { ...variant, product: product.title, isOwn: true };
      return product.title;
    },
  },
  {
    name: 'guest\'s cart',
    needs: ['offer'],
    writes: true,
    async run(context) {
      const { client, found } = context;
      const { body: cart } = await client.send('POST', '/api/v1/carts', { body: {}, expect: 201 });
      const path = `/api/v1/carts/${cart.id}`;
      const headers = { 'x-cart-token': cart.token };
      context.undo.push(['guest\'s cart', async () => { await client.send('DELETE', path, { headers, expect: [204, 404, 409] }); }]);
      const line = { variant_id: found.offer.id, quantity: 1 };
      const { body: filled } = await client.send('POST', `${path}/items`, { headers, body: line, expect: [200, 201] });
      demand(filled.item_count === 1, `a cart with one thing says ${filled.item_count}`);
      await client.send('GET', path, { expect: [401, 403, 404] });
      found.guestCart = cart;
      return `${found.offer.product}, ${money(found.offer.price)}`;
    },
  },
  {
    name: 'cart is taken over',
    needs: ['customer', 'guestCart'],
    writes: true,
    async run({ client, found }) {
      const headers = found.customer;
      const { body: mine } = await client.send('GET', '/api/v1/carts/mine', { headers });
      const body = { cart_id: found.guestCart.id, token: found.guestCart.token };
      const { body: cart } = await client.send('POST', `/api/v1/carts/${mine.id}/merge`, { headers, body });
      demand(cart.items.length === 1 && cart.items[0].variant_id === found.offer.id, 'what the guest had is not there');
      const { quantity, line_total: total, unit_price: price } = cart.items[0];
      demand(total.amount === price.amount * quantity, `${quantity} times ${price.amount} is not ${total.amount}`);
      found.cart = cart;
      return `total ${money(cart.totals.total)}`;
    },
  },
  {
    name: 'order is held to its rules',
    needs: ['cart'],
    writes: true,
    async run({ client, run, found }) {
      const body = { cart_id: found.cart.id, shipping_address: address };
      await client.send('POST', '/api/v1/orders', { headers: found.customer, body, expect: 428 });
      const headers = { ...found.customer, 'idempotency-key': `${run}-wrong-total` };
      const { total } = found.cart.totals;
      body.expected_total = { ...total, amount: total.amount + 1 };
      const { body: problem } = await client.send('POST', '/api/v1/orders', { headers, body, expect: 409 });
      demand(problem.code === 'cart_changed', `another total than the cart's is refused as ${problem.code}`);
      return 'no key: 428, another total: 409';
    },
  },
  {
    name: 'order',
    needs: ['cart'],
    writes: true,
    async run(context) {
      const { client, run, found } = context;
      const headers = { ...found.customer, 'idempotency-key': run };
      const body = { cart_id: found.cart.id, shipping_address: address, expected_total: found.cart.totals.total };
      const place = () => client.send('POST', '/api/v1/orders', { headers, body, expect: 201 });
      const cancel = async (id) => {
        await client.send('POST', `/api/v1/orders/${id}/cancel`, { headers: found.customer, body: { reason: `smoke test ${run}` } });
      };
      // One whose answer was lost is there as well.
      context.undo.push(['orders', async () => {
        const { body: list } = await client.send('GET', '/api/v1/orders', { headers: found.customer });
        for (const { id, status } of list.items) if (status !== 'cancelled') await cancel(id);
      }]);
      const placed = await place();
      found.order = placed.body;
      found.cancel = () => cancel(placed.body.id);
      demand(placed.body.status === 'pending_payment', `an order without a payment is ${placed.body.status}`);
      const again = await place();
      demand(again.body.id === placed.body.id && again.headers.get('idempotency-replayed') === 'true',
        'the same request again made another order');
      const path = `/api/v1/payments/${placed.body.payment.id}`;
      found.payment = (await client.send('GET', path, { headers: found.customer })).body;
      demand(found.payment.amount.amount === found.cart.totals.total.amount, 'the payment is not over the total');
      if (found.offer.isOwn) {
        await client.until('its stock is held', `/api/v1/variants/${found.offer.id}`, {}, ({ available }) => available === 9, 5);
      }
      return `${placed.body.number}, gateway ${found.payment.gateway}`;
    },
  },
  {
    name: 'payment',
    needs: ['payment'],
    writes: true,
    async run({ client, run, settings, found }) {
      const sandbox = found.payment.gateway === 'sandbox';
      const method = settings.paymentMethod || (sandbox ? 'pm_card_visa' : '');
      if (!method) throw new Skip(`not tried: ${found.payment.gateway} moves money, and SMOKE_PAYMENT_METHOD is not set`);
      const confirm = (payment_method, key, expect) => client.send('POST', `/api/v1/payments/${found.payment.id}/confirm`, {
        headers: { ...found.customer, 'idempotency-key': `${run}-${key}` }, body: { payment_method }, expect,
      });
      if (sandbox) await confirm('pm_card_chargeDeclined', 'declined', 402);
      let { body: payment } = await confirm(method, 'paid', 200);
      if (payment.status === 'processing') {
        payment = await client.until('the gateway has answered', `/api/v1/payments/${payment.id}`, found.customer,
          ({ status }) => status !== 'processing');
      }
      demand(['succeeded', 'authorized'].includes(payment.status), `with ${method} the payment is ${payment.status}`);
      found.paid = payment;
      return `${sandbox ? 'declined, then ' : ''}${payment.status}, ${money(payment.amount)}`;
    },
  },
  {
    name: 'order is paid',
    needs: ['paid'],
    writes: true,
    async run({ client, found }) {
      if (found.paid.status !== 'succeeded') throw new Skip('the gateway authorises first; nobody has captured it');
      await client.until('the order is paid', `/api/v1/orders/${found.order.id}`, found.customer, ({ status }) => status === 'paid');
      return found.order.number;
    },
  },
  {
    name: 'refund by an admin',
    needs: ['admin', 'paid'],
    writes: true,
    async run({ client, run, found }) {
      if (found.paid.status !== 'succeeded') throw new Skip('nothing has been captured');
      if (found.paid.amount.amount < 2) throw new Skip('too little to be parted');
      const amount = { ...found.paid.amount, amount: 1 };
      const headers = { ...found.admin, 'idempotency-key': `${run}-refund` };
      const path = `/api/v1/payments/${found.paid.id}`;
      await client.send('POST', `${path}/refunds`, { headers, body: { amount, reason: `smoke test ${run}` }, expect: 201 });
      await client.until('it is refunded', path, found.customer, ({ refunded_amount: { amount: back } }) => back >= 1);
      return money(amount);
    },
  },
  {
    name: 'cancellation',
    needs: ['cancel'],
    writes: true,
    async run({ client, found }) {
      await found.cancel();
      const path = `/api/v1/orders/${found.order.id}`;
      await client.until('the order is cancelled', path, found.customer, ({ status }) => status === 'cancelled');
      const payment = await client.until('the money is back', `/api/v1/payments/${found.payment.id}`, found.customer,
        ({ status, captured_amount: taken, refunded_amount: back }) => (
          taken.amount === 0 ? ['cancelled', 'failed'].includes(status) : back.amount === taken.amount));
      const { body: timeline } = await client.send('GET', `${path}/timeline`, { headers: found.customer });
      demand(timeline.items.length >= 2, 'the order\'s timeline does not tell of it');
      if (found.offer.isOwn) {
        await client.until('its stock is free', `/api/v1/variants/${found.offer.id}`, {}, ({ available }) => available === 10);
      }
      return payment.captured_amount.amount ? `${money(payment.refunded_amount)} refunded` : `payment ${payment.status}`;
    },
  },
];
