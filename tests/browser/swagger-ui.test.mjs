// The Swagger UI as a person meets it: sign in by the Authorize button, then buy something with
// "Try it out". Run by `node` with `--update-screenshot` it also writes the picture of the README.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { Shop, freePort, root } from './shop.mjs';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-quic',
  '--no-first-run', '--disable-component-update', '--disable-sync',
];
const PICTURE = join(root, 'docs/images/swagger-ui.png');
const updatesPicture = process.argv.includes('--update-screenshot');
const customer = { email: 'ada@example.com', password: 'a long walk by the sea', full_name: 'Ada Lovelace' };

let shop;
let browser;
let page;
const complaints = [];
const violations = [];
const foreign = [];

before(async () => {
  // The picture shows the port that the README speaks of.
  shop = await Shop.start(updatesPicture ? 3000 : await freePort());
  await shop.send('POST', '/api/v1/users', customer);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  page = await browser.newPage({ viewport: { width: 1280, height: 960 } });
  page.setDefaultTimeout(60_000);
  page.on('console', (message) => {
    if (/content security policy|permissions.policy/i.test(message.text())) violations.push(message.text());
    if (message.type() === 'error') complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(shop.base) && !request.url().startsWith('data:')) foreign.push(request.url());
  });
  // Chromium does not log all of them.
  await page.exposeFunction('violated', (what) => violations.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.violated(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  await page.goto(`${shop.base}/docs/`);
  await page.locator('.opblock').first().waitFor();
});

after(async () => {
  await browser?.close();
  await shop?.stop();
});

/** A test that needs the ones before it. */
let broken = false;
function step(name, work) {
  test(name, async (context) => {
    if (broken) return context.skip('a test before it has failed');
    broken = true;
    await work();
    broken = false;
  });
}

/** Opens an operation, once, ready to be tried out. */
async function open(id) {
  const block = page.locator(`[id="operations-${id}"]`);
  await block.waitFor();
  if (!(await block.getAttribute('class')).includes('is-open')) {
    await block.locator('.opblock-summary-control').click();
  }
  await block.locator('.opblock-body').waitFor();
  const tryIt = block.locator('.try-out__btn:not(.cancel)');
  if (await tryIt.count()) await tryIt.click();
  return block;
}

/**
 * Fills in what is given and executes; gives the status and the document that the page then shows.
 * Of the body, only what is given changes: the rest is the example.
 */
async function execute(id, { parameters = {}, body } = {}) {
  const block = await open(id);
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body) {
    const text = block.locator('textarea.body-param__text');
    await text.fill(JSON.stringify({ ...JSON.parse(await text.inputValue()), ...body }, null, 2));
  }
  const answered = page.waitForResponse((response) => response.url().startsWith(`${shop.base}/api/`));
  await block.locator('button.execute').click();
  const status = (await answered).status();
  const live = block.locator('.live-responses-table');
  await live.locator('.response-col_status', { hasText: String(status) }).first().waitFor();
  const text = await live.locator('.response-col_description pre').first().innerText();
  return { block, status, document: JSON.parse(text) };
}

step('the calls are in five groups, one per module', async () => {
  const groups = await page.locator('.opblock-tag').evaluateAll((tags) => tags.map((tag) => tag.dataset.tag));
  assert.deepEqual(groups, ['user', 'product', 'cart', 'payment', 'order']);
});

step('the Authorize button signs in', async () => {
  await page.locator('button.authorize.unlocked').click();
  const form = page.locator('.auth-container', { has: page.locator('#oauth_username') });
  await form.locator('#oauth_username').fill(customer.email);
  await form.locator('#oauth_password').fill(customer.password);
  await form.locator('button.authorize').click();
  await page.locator('.auth-container button', { hasText: 'Logout' }).waitFor();
  await page.locator('.dialog-ux .close-modal').click();
  await page.locator('button.authorize.locked').waitFor();
});

step('the browser keeps nothing of who has signed in', async () => {
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  for (const secret of [customer.email, customer.password, 'token']) {
    assert.ok(!kept.includes(secret), `${secret} is kept: ${kept}`);
  }
});

step('an order is placed and paid by Try it out', async () => {
  const mine = await execute('cart-get_my_cart');
  assert.equal(mine.status, 200);
  const cart = mine.document.id;
  const line = await execute('cart-add_cart_item', { parameters: { id: cart } });
  assert.equal(line.status, 201);
  assert.equal(line.document.item_count, 1);
  const order = await execute('order-place_order', {
    parameters: { 'Idempotency-Key': `order-of-${cart}` },
    body: { cart_id: cart },
  });
  assert.equal(order.status, 201);
  assert.equal(order.document.status, 'paid');
  assert.equal(order.document.email, customer.email);
  if (updatesPicture) await takePicture(order.block);
});

step('every kind of problem is shown before it happens', async () => {
  const block = await open('order-place_order');
  const statuses = await block.locator('.responses-inner > table > tbody > tr').evaluateAll((rows) => rows
    .filter((row) => row.innerText.includes('application/problem+json')).map((row) => row.dataset.code));
  for (const status of ['400', '401', '402', '404', '409', '415', '422', '428', '429', '503']) {
    assert.ok(statuses.includes(status), `${status} is not shown: ${statuses.join(' ')}`);
  }
});

step('a problem that happens is shown whole', async () => {
  const missing = await execute('order-get_order', { parameters: { id: '01890000-0000-7000-8000-000000000000' } });
  assert.equal(missing.status, 404);
  assert.equal(missing.document.code, 'not_found');
});

step('nothing is complained of, and nothing comes from elsewhere', () => {
  const unexpected = complaints.filter((text) => !text.includes('/api/v1/orders/01890000-'));
  assert.deepEqual(unexpected, []);
  assert.deepEqual(foreign, []);
});

step('the page keeps to its content security policy', async () => {
  const policy = (await fetch(`${shop.base}/docs/`)).headers.get('content-security-policy');
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.deepEqual(violations, []);
  // And it has one to keep to: what is not its own does not run.
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
    return window.ran === true;
  });
  assert.equal(ran, false);
});

/** The call that placed the order, and its answer. */
async function takePicture(block) {
  await block.locator('.live-responses-table').evaluate((table) => {
    table.closest('.responses-wrapper').scrollIntoView({ block: 'start' });
  });
  await page.screenshot({ path: PICTURE });
}
