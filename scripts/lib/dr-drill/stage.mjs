// What a drill is played on: a folder, free ports, and processes that are all gone when it ends.

import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const now = () => performance.now();

/** Waits for something by asking for it again and again; gives what was found. */
export async function until(what, probe, { seconds = 60, every = 20 } = {}) {
  const deadline = now() + seconds * 1000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(every);
  }
}

export function listens(port) {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); answer(true); });
    socket.once('error', () => answer(false));
  });
}

/** What programs inherit: nothing that would have PostgreSQL's or the shop's do something else. */
export const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ESHOPZ_|PG)/.test(name)));

const commands = new Set();

/** A program that runs to its end: what it wrote; an error with what it complained about when it failed. */
export function run(program, words, { env = environment, account = {}, cwd, mayFail = false } = {}) {
  return new Promise((answer, refuse) => {
    const command = execFile(program, words, { env, cwd, ...account, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      commands.delete(command);
      if (error && !(mayFail && typeof error.code === 'number')) {
        const said = (stderr || stdout || error.message).trim().split('\n').slice(-5).join('\n');
        refuse(new Error(`${program} ${words[0] ?? ''}: ${said}`));
      } else {
        answer({ code: error?.code ?? 0, stdout, stderr });
      }
    });
    commands.add(command);
  });
}

/** Listens there; nothing when somebody does already. */
function hold(port) {
  return new Promise((answer) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', () => answer(null));
    server.listen(port, '127.0.0.1', () => answer(server));
  });
}

export class Stage {
  #processes = new Set();
  #held = new Map();
  #closers = [];
  #over = false;

  constructor(folder) {
    this.folder = folder;
    mkdirSync(join(folder, 'pids'), { recursive: true });
    mkdirSync(join(folder, 'logs'), { recursive: true });
  }

  /** The first of some ports that nobody has, below those of outgoing connections; `above` are the others' distances.
   * They are held until they are let go, so that nobody else who looks for ports takes them meanwhile. */
  async ports(above = [0]) {
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const first = 12000 + Math.floor(Math.random() * 9000);
      const all = above.map((distance) => first + distance);
      const servers = await Promise.all(all.map(hold));
      if (!servers.includes(null)) {
        all.forEach((port, index) => this.#held.set(port, servers[index]));
        return first;
      }
      for (const server of servers) server?.close();
    }
    throw new Error('no free ports');
  }

  /** Lets a port go, just before somebody listens there. */
  letGo(...ports) {
    for (const port of ports) {
      this.#held.get(port)?.close();
      this.#held.delete(port);
    }
  }

  logOf(name) {
    return join(this.folder, 'logs', `${name}.log`);
  }

  /** Starts a program that stays; all that it says goes to its log. `account` is as whom it runs. */
  start(name, program, words, { env = environment, account = {}, cwd = this.folder } = {}) {
    if (this.#over) throw new Error('the drill is over');
    const log = openSync(this.logOf(name), 'a');
    const child = spawn(program, words, {
      // It works in the folder, by which scripts/dr-drill finds what a drill that was killed has left.
      env, cwd, ...account, stdio: ['ignore', log, log],
    });
    closeSync(log);
    const process = { name, child, pid: child.pid, over: false };
    process.ended = new Promise((answer) => {
      child.once('exit', (code, signal) => { process.over = true; answer(signal ?? code); });
      child.once('error', (error) => { process.over = true; answer(error.message); });
    });
    process.ended.then(() => this.#processes.delete(process));
    this.#processes.add(process);
    if (child.pid) writeFileSync(join(this.folder, 'pids', name), `${child.pid}\n`);
    return process;
  }

  /** Waits for something of a process, which must not end meanwhile. */
  async awaits(process, what, probe, options) {
    await until(what, async () => {
      if (process.over) throw new Error(`${process.name} has ended: ${this.lastWords(process.name)}`);
      return probe();
    }, options);
  }

  lastWords(name) {
    return readFileSync(this.logOf(name), 'utf8').trim().split('\n').slice(-5).join('\n');
  }

  /** Says what is going on, to whoever looks. */
  tell(text) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  }

  /** To be called at the end, the last first. */
  atEnd(close) {
    this.#closers.push(close);
  }

  /** Ends all that runs. Nothing of it is needed any more, so it is not asked. */
  async end() {
    this.#over = true;
    this.letGo(...this.#held.keys());
    for (const command of commands) command.kill('SIGKILL');
    for (const close of this.#closers.splice(0).reverse()) await Promise.resolve(close()).catch((error) => console.error(error.message));
    const all = [...this.#processes];
    for (const { child } of all) child.kill('SIGKILL');
    await Promise.all(all.map(({ ended }) => ended));
  }
}
