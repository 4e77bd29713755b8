// An address that stays while what is behind it changes, as the name of Aurora's cluster endpoint or of ElastiCache's
// primary endpoint: a TCP proxy on a fixed port. It can also be a long way: what comes back over it arrives late.

import { connect, createServer } from 'node:net';

export class Endpoint {
  #server;
  #target;
  #pairs = new Map();

  /** `lag` is how many milliseconds later an answer arrives than it was sent. */
  static async open(stage, target, { lag = 0 } = {}) {
    const endpoint = new Endpoint();
    endpoint.#target = target;
    endpoint.lag = lag;
    endpoint.port = await stage.ports();
    endpoint.#server = createServer((client) => endpoint.#serve(client));
    await new Promise((listening, failed) => {
      endpoint.#server.once('error', failed);
      stage.letGo(endpoint.port);
      endpoint.#server.listen(endpoint.port, '127.0.0.1', listening);
    });
    stage.atEnd(() => endpoint.close());
    return endpoint;
  }

  #serve(client) {
    const target = this.#target;
    const server = connect(target, '127.0.0.1');
    const end = () => { client.destroy(); server.destroy(); this.#pairs.delete(client); };
    this.#pairs.set(client, { target, server, end });
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    client.pipe(server);
    server.on('data', (data) => {
      if (this.lag === 0) {
        if (!client.write(data)) { server.pause(); client.once('drain', () => server.resume()); }
      } else {
        // What is on its way when the connection ends is lost, as in the queue of a machine that dies.
        setTimeout(() => { if (!client.destroyed) client.write(data); }, this.lag);
      }
    });
  }

  /** How many connections lead to a port. */
  connections(target) {
    return [...this.#pairs.values()].filter((pair) => pair.target === target && !pair.server.connecting).length;
  }

  /** From now on it leads there. What leads elsewhere is cut: what was there is gone, or must not be written to. */
  pointTo(target) {
    this.#target = target;
    for (const pair of [...this.#pairs.values()]) if (pair.target !== target) pair.end();
  }

  /** Cuts every connection. */
  cut() {
    for (const pair of [...this.#pairs.values()]) pair.end();
  }

  close() {
    this.cut();
    return new Promise((closed) => { this.#server.close(closed); });
  }
}
