// Speaks to the shop, and tells what went wrong so that it can be found in the logs.

import { createHmac } from 'node:crypto';

export class Failure extends Error {}

export class Client {
  #requests = 0;

  /** `run` is in every request's id; after `deadline` nothing is asked any more. */
  constructor(base, run, deadline) {
    this.base = base;
    this.run = run;
    this.deadline = deadline;
  }

  /** An answer with one of the expected statuses, read whole. */
  async send(method, path, { body, headers = {}, expect = [200] } = {}) {
    const left = this.deadline - Date.now();
    if (left <= 0) throw new Failure('the time is over');
    this.#requests += 1;
    const request = `${method} ${path}`;
    let answer;
    let text;
    try {
      answer = await fetch(this.base + path, {
        method,
        headers: {
          'user-agent': 'eshopz-smoke', 'x-request-id': `${this.run}-${this.#requests}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(Math.min(left, 15_000)),
      });
      text = await answer.text();
    } catch (error) {
      throw new Failure(`${request}: ${error.cause?.message || error.message}`);
    }
    const read = { status: answer.status, headers: answer.headers, body: parsed(text) };
    if (![expect].flat().includes(read.status)) {
      const said = read.body?.code ? `${read.body.code}: ${read.body.detail}` : text.slice(0, 200).replaceAll(/\s+/g, ' ');
      throw new Failure(`${request}: ${read.status} ${said} (request ${answer.headers.get('x-request-id') ?? 'unknown'})`);
    }
    return read;
  }

  /** Asks until the answer is right, for what comes by an event. */
  async until(what, path, headers, isRight, seconds = 15) {
    const deadline = Math.min(this.deadline, Date.now() + seconds * 1000);
    for (;;) {
      const { body } = await this.send('GET', path, { headers });
      if (isRight(body)) return body;
      if (Date.now() > deadline) throw new Failure(`${what}: not so after ${seconds} s (${path})`);
      await pause(150);
    }
  }
}

export const pause = (milliseconds) => new Promise((next) => { setTimeout(next, milliseconds); });

export function demand(condition, message) {
  if (!condition) throw new Failure(message);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What an authenticator app shows for a secret at a time (RFC 6238: SHA-1, six digits, 30 s). */
export function codeOf(secret, now) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.toUpperCase().replaceAll(/[\s=-]/g, '')]
    .map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = digest[19] & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
