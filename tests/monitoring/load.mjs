// Visitors of a shop: a round of them does a little of all that is measured.

const address = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postal_code: 'SW1Y 4JH', country: 'GB' };
const password = 'a long walk by the sea';

const bearer = (tokens) => ({ authorization: `Bearer ${tokens.access_token}` });

export class Visitors {
  /** Makes the admin whom the rounds need. */
  static async of(shop) {
    const email = 'owner@example.com';
    shop.tell(`${password}\n`, 'admin', 'create', '--email', email);
    const visitors = new Visitors();
    Object.assign(visitors, { shop, rounds: 0 });
    visitors.admin = bearer(await visitors.send('POST', '/api/v1/auth/login', { email, password }));
    const { items } = await visitors.send('GET', '/api/v1/products?limit=5');
    visitors.products = items.map((product) => product.id);
    visitors.shirt = await visitors.variant('Linen Shirt', 100_000);
    return visitors;
  }

  /** Of a new product, of which there are so many. */
  async variant(title, on_hand) {
    const variants = [{ on_hand, price: { amount: 4900, currency: 'USD' } }];
    const product = await this.send('POST', '/api/v1/products', { title, status: 'active', variants }, this.admin);
    return product.variants[0].id;
  }

  async send(method, path, body, headers) {
    return this.shop.send(method, path, body, headers);
  }

  /** What must not be answered with a success. */
  async refused(status, ...request) {
    const answer = await this.send(...request).then(() => 'success', (error) => error.message);
    if (!answer.includes(`: ${status} `)) throw new Error(`not ${status}: ${answer}`);
  }

  async round() {
    this.rounds += 1;
    await this.browse();
    const customer = await this.signUp();
    await this.buyAsCustomer(customer);
    await this.buyAsGuest();
    await this.fail();
  }

  async browse() {
    const pages = ['/api/v1/products', '/api/v1/products?q=shirt', '/api/v1/categories', '/openapi.json'];
    for (const path of pages) await this.send('GET', path);
    for (const product of this.products) {
      await this.send('GET', `/api/v1/products/${product}`);
      await this.send('GET', `/api/v1/products/${product}`);
    }
    await this.send('GET', `/api/v1/variants/${this.shirt}`);
    await this.refused(404, 'GET', '/no-such-page');
  }

  async signUp() {
    const email = `ada-${this.rounds}@example.com`;
    await this.send('POST', '/api/v1/users', { email, password, full_name: 'Ada Lovelace' });
    await this.refused(401, 'POST', '/api/v1/auth/login', { email, password: 'not the password' });
    return bearer(await this.send('POST', '/api/v1/auth/login', { email, password }));
  }

  place(cart, headers, further) {
    const key = `${this.rounds}-${cart}`;
    return ['POST', '/api/v1/orders', { cart_id: cart, shipping_address: address, ...further }, { ...headers, 'idempotency-key': key }];
  }

  async customersCart(customer) {
    const { id } = await this.send('GET', '/api/v1/carts/mine', undefined, customer);
    await this.send('POST', `/api/v1/carts/${id}/items`, { variant_id: this.shirt, quantity: 2 }, customer);
    return id;
  }

  /** One order that is paid, sent and delivered, and one that is thought better of. */
  async buyAsCustomer(customer) {
    const paid = await this.send(...this.place(await this.customersCart(customer), customer, { payment_method: 'pm_card_visa' }));
    for (const to of ['processing', 'shipped', 'delivered']) {
      await this.send('POST', `/api/v1/orders/${paid.id}/transitions`, { to }, this.admin);
    }
    const unpaid = await this.send(...this.place(await this.customersCart(customer), customer, {}));
    await this.send('POST', `/api/v1/orders/${unpaid.id}/cancel`, undefined, customer);
    for (const path of [`/api/v1/orders/${paid.id}`, `/api/v1/orders/${paid.id}/timeline`, '/api/v1/orders', '/api/v1/users/me']) {
      await this.send('GET', path, undefined, customer);
    }
  }

  async guestsCart(variant, quantity) {
    const { id, token } = await this.send('POST', '/api/v1/carts');
    const holder = { 'x-cart-token': token };
    await this.send('POST', `/api/v1/carts/${id}/items`, { variant_id: variant, quantity }, holder);
    return [id, holder];
  }

  /** One who pays at once and gets some of it back, and one who is declined. */
  async buyAsGuest() {
    const email = 'grace@example.com';
    const [cart, holder] = await this.guestsCart(this.shirt, 1);
    const order = await this.send(...this.place(cart, holder, { email, payment_method: 'pm_card_visa' }));
    const refund = { reason: 'returned', amount: { amount: 1000, currency: 'USD' } };
    const keyed = { ...this.admin, 'idempotency-key': `refund-${order.id}` };
    await this.send('POST', `/api/v1/payments/${order.payment.id}/refunds`, refund, keyed);
    const [other, token] = await this.guestsCart(this.shirt, 1);
    await this.refused(402, ...this.place(other, token, { email, payment_method: 'pm_card_chargeDeclined' }));
  }

  /** Two who want the last one, and a webhook that is not the gateway's. */
  async fail() {
    const pay = { email: 'grace@example.com', payment_method: 'pm_card_visa' };
    const last = await this.variant(`Last Shirt ${this.rounds}`, 1);
    const [first, second] = [await this.guestsCart(last, 1), await this.guestsCart(last, 1)];
    await this.send(...this.place(...first, pay));
    await this.refused(409, ...this.place(...second, pay));
    await this.refused(400, 'POST', '/api/v1/payments/webhooks/sandbox', {}, { 'sandbox-signature': 't=1,v1=00' });
  }
}
