// The image. Read from its Dockerfile: that it is pinned, unprivileged, told its version, and built of all that the program is
// compiled from. Built by buildah where it is, of the program that this machine has compiled, since no registry of toolchains is at
// hand: how large it is, and that it starts as user 65532 on a root file system that cannot be written to.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

import { Shop, cleanEnvironment, ended, eshopz, freePort, root, temporaryFolder, until } from '../browser/shop.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');
const dockerfile = read('Dockerfile');
const instructions = dockerfile.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n/g, ' ').split('\n').filter(Boolean);
const of = (name) => instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim());

test('hadolint has nothing to say', () => {
  const program = join(root, '.venv/bin/hadolint');
  const done = spawnSync(program, [join(root, 'Dockerfile')], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stdout || done.error?.message);
  const planted = spawnSync(program, ['-'], { encoding: 'utf8', input: dockerfile.replace('WORKDIR /src', 'WORKDIR src') });
  assert.match(planted.stdout, /DL3000/);
});

test('every base is named by its digest, or is a stage, or is nothing', () => {
  const stages = [];
  for (const from of of('FROM')) {
    const [image, , stage] = from.replace(/--platform=\S+ /, '').split(/\s+/);
    const named = image.startsWith('$') ? new RegExp(`${image.slice(1)}=(\\S+)`).exec(of('ARG').join('\n'))[1] : image;
    assert.ok(named === 'scratch' || stages.includes(named) || /^\S+:[\w.-]+@sha256:[0-9a-f]{64}$/.test(named), named);
    if (stage) stages.push(stage);
  }
});

test('the toolchain is new enough for the workspace', () => {
  const [have, need] = [/rust:(\d+)\.(\d+)/.exec(dockerfile), /rust-version = "(\d+)\.(\d+)"/.exec(read('Cargo.toml'))];
  assert.ok(Number(have[1]) * 1000 + Number(have[2]) >= Number(need[1]) * 1000 + Number(need[2]));
});

test('the last stage: nobody\'s rights, a program without a shell, and what it is', () => {
  const last = instructions.slice(instructions.lastIndexOf('FROM scratch'));
  assert.ok(last.includes('USER 65532:65532'));
  assert.ok(last.includes('ENTRYPOINT ["eshopz"]'));
  assert.ok(!last.some((line) => line.startsWith('RUN ')));
  const labels = last.find((line) => line.startsWith('LABEL '));
  for (const label of ['version="$VERSION"', 'revision="$COMMIT"', 'created="$CREATED"', 'licenses="Apache-2.0"']) {
    assert.ok(labels.includes(`org.opencontainers.image.${label}`), label);
  }
  // A forgotten variable must not have it look for a PostgreSQL in its image.
  assert.match(last.find((line) => line.startsWith('ENV ')), /\bESHOPZ_ENV=production\b/);
});

test('it is built by Cargo.lock and nothing else', () => {
  for (const run of of('RUN').join('\n').match(/cargo (build|install|chef cook)[^;]*/g)) assert.match(run, / --locked /);
});

test('nothing is left out of what the program is compiled from, and no more gets in', () => {
  const allowed = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const sources = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'tests' ? [] : sources(path);
    return entry.name.endsWith('.rs') ? [path] : [];
  });
  let seen = 0;
  for (const file of [...sources(join(root, 'src')), ...sources(join(root, 'modules'))]) {
    for (const [, folder, path] of readFileSync(file, 'utf8').matchAll(/#\[folder = "([^"]+)"\]|include_(?:str|bytes)!\(\s*"([^"]+)"/g)) {
      seen += 1;
      const wanted = relative(root, folder ? join(root, folder) : resolve(dirname(file), path));
      assert.ok(allowed.some((each) => wanted === each || wanted.startsWith(`${each}/`)), `${relative(root, file)} needs ${wanted}`);
    }
  }
  assert.ok(seen >= 2);
  assert.ok(!allowed.some((each) => /^(target|\.|tests|node_modules)/.test(each)), allowed.join(' '));
});

test('what is accepted by .trivyignore.yaml has a reason and an end', () => {
  const entries = read('.trivyignore.yaml').split(/^ *- /m).slice(1);
  for (const entry of entries) {
    assert.match(entry, /^ *statement: \S.{20}/m);
    const end = Date.parse(/^ *expired_at: (\S+)/m.exec(entry)?.[1]);
    assert.ok(end < Date.now() + 93 * 86_400_000, `${entry}: three months at most`);
  }
});

const has = (program) => spawnSync('bash', ['-c', `command -v ${program}`]).status === 0;
const MISSING = [
  [!has('buildah'), 'there is no buildah'],
  [!has('apt-get') || !has('dpkg-deb'), 'only Debian has the packages that the image is made of'],
  [process.getuid() !== 0, 'only root may build without a registry and mount what is built'],
  [spawnSync('unshare', ['--mount', 'true']).status !== 0, 'nothing may be mounted here'],
].find(([is]) => is)?.[1];

test('built by buildah: how large it is, and that it starts with nobody\'s rights on a root that cannot be written to', {
  skip: MISSING ?? false, timeout: 300_000,
}, async (t) => {
  const folder = temporaryFolder();
  const release = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'release/eshopz');
  // The newer of the two is the one that belongs to what is looked at.
  const program = existsSync(release) && statSync(release).mtimeMs >= statSync(eshopz).mtimeMs - 3_600_000 ? release : eshopz;
  const context = join(folder, 'context');
  const env = cleanEnvironment({ CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'), BUILDAH_ISOLATION: 'chroot' });
  const call = (command, ...words) => {
    const done = spawnSync(command, words, { encoding: 'utf8', env, cwd: context, maxBuffer: 64 << 20 });
    if (done.status !== 0) throw new Error(`${command} ${words.join(' ')}: ${done.stderr}`);
    return done.stdout.trim();
  };
  mkdirSync(context);
  writeFileSync(join(folder, 'storage.conf'),
    `[storage]\ndriver = "vfs"\ngraphroot = "${join(folder, 'graph')}"\nrunroot = "${join(folder, 'run')}"\n`);
  let container;
  t.after(() => {
    if (container) spawnSync('buildah', ['umount', container], { env });
    rmSync(folder, { recursive: true, force: true });
  });

  // The last stage as it is; the two that it copies from are made here.
  const arch = call('dpkg', '--print-architecture');
  call(join(root, 'scripts/lib/image-root'), arch, join(context, 'base'));
  mkdirSync(join(context, 'build/usr/local/bin'), { recursive: true });
  call('cp', program, join(context, 'build/usr/local/bin/eshopz'));
  writeFileSync(join(context, 'Dockerfile'), `FROM scratch AS base\nCOPY base /out\n\nFROM scratch AS build\nCOPY build /out\n\n${
    dockerfile.slice(dockerfile.lastIndexOf('FROM scratch'))}`);
  call('buildah', 'build', '--quiet', '--build-arg', 'VERSION=1.2.3', '--build-arg', 'COMMIT=abc', '--tag', 'localhost/eshopz:test', '.');
  call('buildah', 'push', '--quiet', 'localhost/eshopz:test', `oci-archive:${join(folder, 'eshopz.tar')}`);
  mkdirSync(join(folder, 'layout'));
  call('tar', '-xf', join(folder, 'eshopz.tar'), '-C', join(folder, 'layout'));
  const [is, bytes] = call('node', join(root, 'scripts/lib/image-sizes.mjs'), join(folder, 'layout')).split(' ');
  const unpacked = Number(call('du', '-sb', 'base').split('\t')[0]) + statSync(program).size;
  t.diagnostic(`${program === release ? 'release' : 'debug'} build: ${(bytes / 1e6).toFixed(1)} MB to be pulled, ${(unpacked / 1e6).toFixed(1)} MB unpacked`);
  assert.equal(is, arch);
  if (program === release) assert.ok(bytes <= 40e6, `${bytes} bytes`);

  const described = JSON.parse(call('buildah', 'inspect', '--type', 'image', 'localhost/eshopz:test')).OCIv1.config;
  assert.equal(described.User, '65532:65532');
  assert.equal(described.Labels['org.opencontainers.image.version'], '1.2.3');
  assert.equal(described.Labels['org.opencontainers.image.revision'], 'abc');

  container = call('buildah', 'from', 'localhost/eshopz:test');
  const mounted = call('buildah', 'mount', container);
  assert.ok(!existsSync(join(mounted, 'bin')) && !spawnSync('find', [mounted, '-name', 'postgres*'], { encoding: 'utf8' }).stdout);

  /** Starts it as a cluster would. */
  const inside = (words, settings = {}) => spawn('unshare', ['--mount', 'bash', '-ec', `
    mount --bind "$1" "$1"
    mount -t tmpfs tmpfs "$1/tmp"
    mount -o remount,ro,bind "$1"
    root=$1; shift
    cd "$root"
    exec env -i "PATH=${'/usr/local/bin'}" ${Object.entries({ ESHOPZ_ENV: 'production', ESHOPZ_DATA_DIR: '/data', ...settings }).map(([key, value]) => `'${key}=${value}'`).join(' ')} \
      /usr/sbin/chroot --userspec=65532:65532 "$root" /usr/local/bin/eshopz "$@"`, 'inside', mounted, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const finish = async (child) => {
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; child.said = said; });
    const code = await new Promise((answer) => { child.once('close', answer); });
    return { code, said };
  };

  await t.test('it runs at all', async () => {
    const { code, said } = await finish(inside(['--version']));
    assert.equal(code, 0, said);
    assert.match(said, /^eshopz \d+\.\d+\.\d+/);
  });

  await t.test('without a database it says so, and does not look for a PostgreSQL', async () => {
    const { code, said } = await finish(inside(['serve', '--listen', `127.0.0.1:${await freePort()}`], { ESHOPZ_PAYMENT_GATEWAY: 'sandbox' }));
    assert.notEqual(code, 0);
    assert.match(said, /ESHOPZ_DATABASE_URL|database/i);
    assert.doesNotMatch(said, /apt install postgresql/);
  });

  await t.test('with one it gets ready, sells, and ends at SIGTERM', async () => {
    const secret = { ESHOPZ_SECRET_KEY: 'a key of this test that is long enough for it' };
    const shop = await Shop.start(await freePort(), { products: 5, settings: secret });
    try {
      // PostgreSQL writes down where its socket is, which is for its owner alone.
      const [, , , number, sockets] = readFileSync(join(shop.folder, 'data/postgres/postmaster.pid'), 'utf8').split('\n');
      const door = createServer((from) => {
        const to = connect(join(sockets, `.s.PGSQL.${number}`));
        for (const [one, other] of [[from, to], [to, from]]) one.pipe(other).on('error', () => one.destroy());
        from.on('error', () => to.destroy());
        to.on('error', () => from.destroy());
      });
      await new Promise((next) => { door.listen(0, '127.0.0.1', next); });
      t.after(() => door.close());
      const port = await freePort();
      const child = inside(['serve', '--listen', `127.0.0.1:${port}`], {
        ESHOPZ_DATABASE_URL: `postgres://eshopz@127.0.0.1:${door.address().port}/eshopz`, ESHOPZ_PAYMENT_GATEWAY: 'sandbox',
        ESHOPZ_WEBHOOK_SECRET: 'whsec_of_this_test_alone', ...secret,
      });
      t.after(() => child.kill('SIGKILL'));
      const done = finish(child);
      await until('it is ready', async () => {
        if (child.exitCode !== null) throw new Error((await done).said);
        return (await fetch(`http://127.0.0.1:${port + 6000}/health/ready`).catch(() => null))?.ok;
      }, 60).catch((error) => { throw new Error(`${error.message}: ${child.said}`); });
      const listed = await fetch(`http://127.0.0.1:${port}/api/v1/products`);
      assert.equal(listed.status, 200);
      child.kill('SIGTERM');
      assert.equal(await ended(child), 0, (await done).said);
    } finally {
      await shop.stop();
    }
  });
});
