// The logging in Kubernetes: what Kibana asks for is a field that Elasticsearch knows, which is one that the program writes and
// that Fluentd lets through. And that nothing of it is open to anybody, as far as files can say.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

import { cleanEnvironment, ended, root, temporaryFolder } from '../browser/shop.mjs';
import { kubectl, withKubectl } from './kubectl.mjs';

const folder = join(root, 'kustomize/monitoring/logging');
const read = (path) => readFileSync(join(folder, path), 'utf8');
const json = (path) => JSON.parse(read(path));

function filesBelow(path) {
  return readdirSync(path).map((name) => join(path, name))
    .flatMap((inner) => (statSync(inner).isDirectory() ? filesBelow(inner) : [inner]));
}

const files = filesBelow(folder).map((path) => relative(folder, path)).sort();
const manifests = files.filter((path) => path.endsWith('.yaml'));
/** Comments may speak of what settings may not say. */
const settings = (path) => read(path).replace(/^\s*#.*$/gm, '').replace(/\s#\s.*$/gm, '');
const sorted = (all) => [...new Set(all)].sort();

// --- What the program writes ---------------------------------------------------------------------------------------------

/** What is between the parentheses that begin before `start`, divided at the commas that are in no others. */
function parts(text, start) {
  const found = [];
  let [depth, quoted, part] = [1, false, ''];
  for (let i = start; depth > 0; i += 1) {
    const one = text[i];
    if (one === undefined) throw new Error(`no end: ${text.slice(start, start + 80)}`);
    if (quoted && one === '\\') part += one + text[i += 1];
    else {
      if (one === '"') quoted = !quoted;
      else if (!quoted && '([{'.includes(one)) depth += 1;
      else if (!quoted && ')]}'.includes(one)) depth -= 1;
      if (depth === 0 || (depth === 1 && !quoted && one === ',')) { found.push(part.trim()); part = ''; } else part += one;
    }
  }
  return found.filter(Boolean);
}

/** As Rust reads it: a `\` takes away the end of the line and what the next one begins with. */
const literal = (text) => text.slice(1, -1).replace(/\\\n\s*/g, '').replace(/\\"/g, '"');

/** The lines and spans of a source: their fields, and what they say. */
function told(text) {
  const code = text.replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/\btracing::(error|warn|info|debug|trace)(_span)?!\(/g)].map((match) => {
    const all = parts(code, match.index + match[0].length);
    const isSpan = match[2] !== undefined;
    if (isSpan) all.shift();
    const message = all.findIndex((part) => part.startsWith('"'));
    const fields = (message < 0 ? all : all.slice(0, message)).map((part) => {
      const name = /^(?:([a-z_]\w*)\s*=(?!=)|[%?]?([a-z_]\w*)$)/s.exec(part);
      assert.ok(name, `what field is ${part}?`);
      return name[1] ?? name[2];
    });
    return { isSpan, fields, message: message < 0 ? undefined : literal(all[message]) };
  });
}

const sources = ['src', 'modules'].flatMap((name) => filesBelow(join(root, name)))
  .filter((path) => path.endsWith('.rs') && !/\/modules\/shared\/(testkit|bench|crash)\/|\/tests\//.test(path));
const lines = sources.flatMap((path) => told(readFileSync(path, 'utf8')));

const telemetry = readFileSync(join(root, 'src/telemetry.rs'), 'utf8');
/** What is at the top of each line, and what ties it to others. */
const always = [
  ...telemetry.matchAll(/layer\.with_(?:timer|level|target|current_span)\("(\w+)"/g),
  ...telemetry.matchAll(/^ +\("(\w+)", (?:text|module_of|context)\b/gm),
].map(([, name]) => name);

const written = sorted([...always, 'message', ...lines.filter(({ isSpan }) => !isSpan).flatMap(({ fields }) => fields)]);
const writtenInSpans = sorted(['name', ...lines.filter(({ isSpan }) => isSpan).flatMap(({ fields }) => fields)]);
const messages = new Set(lines.map(({ message }) => message));

// --- What Elasticsearch knows --------------------------------------------------------------------------------------------

/** Fluentd's own. `@timestamp` is the program's `timestamp`. */
const OWN = ['@timestamp', 'extra', 'kubernetes', 'line_id'];

const { properties, dynamic } = json('setup/mappings.json');
const mapped = Object.keys(properties).sort();

/** Each field that can be asked for, with those below it. */
const known = new Map(Object.entries(properties).flatMap(([name, field]) => [
  ...(field.type === 'object' ? [] : [[name, field]]),
  ...Object.entries(field.fields ?? {}).map(([inner, below]) => [`${name}.${inner}`, below]),
  ...Object.entries(field.properties ?? {}).map(([inner, below]) => [`${name}.${inner}`, below]),
]));

test('the sources are read', () => {
  assert.deepEqual([...always].sort(), ['actor_id', 'level', 'module', 'request_id', 'span', 'target', 'timestamp', 'trace_id']);
  assert.ok(lines.length > 80, `only ${lines.length} lines: are they written in another way?`);
  const said = sources.map((path) => readFileSync(path, 'utf8')).join('\n').match(/\btracing::(error|warn|info|debug|trace)(_span)?!\(/g);
  assert.equal(lines.length, said.length);
  assert.deepEqual(told('tracing::warn!(%a, b = ?c(1, "x, y"), d, "of {e}, \\\n   and f", e);')[0], {
    isSpan: false, fields: ['a', 'b', 'd'], message: 'of {e}, and f',
  });
});

test('Elasticsearch knows each field that the program writes, and no other', () => {
  const wanted = written.filter((name) => name !== 'timestamp');
  const has = mapped.filter((name) => !OWN.includes(name));
  const help = 'setup/mappings.json and `keep` of fluentd/fluent.conf have the fields of the program';
  assert.deepEqual(wanted.filter((name) => !has.includes(name)), [], `not mapped: ${help}`);
  assert.deepEqual(has.filter((name) => !wanted.includes(name)), [], `nobody writes it any more: ${help}`);
  assert.deepEqual(Object.keys(properties.span.properties).sort(), writtenInSpans);
});

test('nothing that is logged makes a field', () => {
  assert.equal(dynamic, false);
  for (const [name, field] of Object.entries(properties)) {
    if (field.type === 'object') assert.equal(field.dynamic, false, name);
  }
  assert.equal(properties.extra.type, 'flattened');
  for (const [name, field] of known) {
    if (['keyword', 'flattened'].includes(field.type) && field.index !== false) assert.ok(field.ignore_above, `${name} may be refused for its length`);
  }
  const template = json('setup/index-template.json');
  assert.deepEqual(template.data_stream, {});
  assert.equal(properties['@timestamp'].ignore_malformed, false, 'a data stream takes no other');
  assert.ok(known.size < template.template.settings.index.mapping.total_fields.limit);
  for (const field of template.template.settings.index.query.default_field) assert.equal(known.get(field)?.type, 'text', field);
  assert.equal(json('setup/ilm.json').policy.phases.delete.min_age, '30d');
});

// --- Fluentd -------------------------------------------------------------------------------------------------------------

const fluentd = read('fluentd/fluent.conf');
const plugin = read('fluentd/plugins/filter_eshopz_line.rb');

test('Fluentd keeps each field that Elasticsearch knows', () => {
  const kept = JSON.parse(/^ {4}keep (\[[^\]]*\])$/m.exec(fluentd)[1]);
  assert.equal(new Set(kept).size, kept.length);
  assert.deepEqual([...kept].sort(), mapped.filter((name) => !OWN.includes(name) && name !== 'span'));
  // The others are its own, or seen to by the filter.
  for (const name of ['extra', 'kubernetes', 'span', 'timestamp']) assert.ok(plugin.includes(`'${name}'`), name);
  assert.match(fluentd, /hash_id_key line_id\n[^]*id_key line_id\n/);
  assert.ok(!/remove_keys (?!_name)/.test(settings('fluentd/fluent.conf')), 'the plugin would forget lines');
  const about = /def about[^]*?\n {6}end/.exec(plugin)[0];
  assert.deepEqual([...about.matchAll(/'(\w+)' =>/g)].map(([, name]) => name).sort(), Object.keys(properties.kubernetes.properties).sort());
});

test('Fluentd calls the modules as the program does', () => {
  const middleware = readFileSync(join(root, 'modules/shared/platform/src/http/middleware.rs'), 'utf8');
  const arms = [...middleware.matchAll(/^ +\("internal", "(\w+)"\) \| \("api", ([^)]*)\) => "(\w+)",$/gm)];
  assert.ok(arms.length >= 5, 'module_of is written in another way');
  const rooms = Object.fromEntries(arms.flatMap(([, , names, name]) => [...names.matchAll(/"(\w+)"/g)].map(([, room]) => [room, name])));
  const given = /ROOMS = \{([^}]*)\}/.exec(plugin)[1];
  assert.deepEqual(Object.fromEntries([...given.matchAll(/'(\w+)' => '(\w+)'/g)].map(([, room, name]) => [room, name])), rooms);
  for (const [, internal, , name] of arms) assert.equal(internal, name);
});

test('every section of fluent.conf ends', () => {
  const open = [];
  for (const line of fluentd.split('\n').map((text) => text.trim())) {
    const [, end, name] = /^<(\/?)(\w+)[^>]*>$/.exec(line) ?? [];
    if (name && !end) open.push(name);
    if (end) assert.equal(open.pop(), name, line);
  }
  assert.deepEqual(open, []);
  const labels = new Set([...fluentd.matchAll(/^<label (@\w+)>$/gm)].map(([, label]) => label));
  for (const [, label] of fluentd.matchAll(/^ +(?:@label|timeout_label) (@\w+)$/gm)) assert.ok(labels.has(label), label);
  const ids = [...fluentd.matchAll(/^ +@id (\w+)$/gm)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
});

// --- Kibana --------------------------------------------------------------------------------------------------------------

const exported = ['data-view', 'searches', 'dashboard'].flatMap((name) => {
  const text = read(`setup/saved-objects/${name}.ndjson`);
  assert.ok(text.endsWith('\n'), name);
  return text.trimEnd().split('\n').map((line) => JSON.parse(line));
});
const byKey = new Map(exported.map((one) => [`${one.type}:${one.id}`, one]));
const ofType = (type) => exported.filter((one) => one.type === type);
const layersOf = (one) => Object.entries(one.attributes.state.datasourceStates.formBased.layers);

/** The fields that a query in Kibana's language asks for. */
const askedBy = (query) => [...query.replace(/"[^"]*"/g, '""').matchAll(/([@\w.]+)\s*(?::|[<>]=?)/g)].map(([, name]) => name);

const queryOf = (one) => (one.type === 'lens' ? one.attributes.state.query
  : JSON.parse(one.attributes.kibanaSavedObjectMeta.searchSourceJSON).query);

test('the files of Kibana are what scripts/lib/kibana describes', () => {
  const done = spawnSync(join(root, 'scripts/kibana'), ['--check'], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
});

test('saved objects are whole, and what they refer to comes before them', () => {
  assert.equal(byKey.size, exported.length, 'an id is there twice');
  const seen = new Set();
  for (const one of exported) {
    const where = `${one.type} ${one.id}`;
    assert.match(one.id, /^eshopz-[a-z-]+$/);
    assert.ok(one.attributes.title && one.coreMigrationVersion && one.typeMigrationVersion, where);
    assert.equal(new Set(one.references.map(({ name }) => name)).size, one.references.length, where);
    for (const { type, id } of one.references) assert.ok(seen.has(`${type}:${id}`), `${where} refers to ${type} ${id}`);
    seen.add(`${one.type}:${one.id}`);
    if (one.type === 'index-pattern') continue;
    assert.ok(one.attributes.description, `${where} does not say what it is`);
    const names = one.references.map(({ name }) => name);
    if (one.type === 'search') assert.deepEqual(names, [JSON.parse(one.attributes.kibanaSavedObjectMeta.searchSourceJSON).indexRefName]);
    if (one.type === 'lens') assert.deepEqual(names, layersOf(one).map(([layer]) => `indexpattern-datasource-layer-${layer}`));
    if (one.type === 'dashboard') {
      const panels = JSON.parse(one.attributes.panelsJSON);
      assert.ok(JSON.parse(one.attributes.optionsJSON));
      assert.deepEqual(names, panels.map(({ panelIndex, panelRefName }) => `${panelIndex}:${panelRefName}`));
      assert.deepEqual(panels.map(({ type }) => type), one.references.map(({ type }) => type));
    }
  }
  assert.deepEqual(ofType('dashboard').length, 1);
  assert.deepEqual(sorted(ofType('dashboard')[0].references.filter(({ type }) => type === 'lens').map(({ id }) => id)), sorted(ofType('lens').map(({ id }) => id)));
});

test('panels overlap nowhere', () => {
  const taken = new Set();
  for (const { gridData: { x, y, w, h }, panelIndex } of JSON.parse(ofType('dashboard')[0].attributes.panelsJSON)) {
    assert.ok(x + w <= 48, panelIndex);
    for (let column = x; column < x + w; column += 1) {
      for (let row = y; row < y + h; row += 1) {
        assert.ok(!taken.has(`${column} ${row}`), panelIndex);
        taken.add(`${column} ${row}`);
      }
    }
  }
});

test('what Kibana asks for are fields', () => {
  const asked = new Set();
  const must = (name, where) => {
    assert.ok(known.has(name), `${where} asks for ${name}, which Elasticsearch does not know`);
    assert.notEqual(known.get(name).index, false, `${where} asks for ${name}, which cannot be searched`);
    asked.add(name);
  };
  for (const one of exported) {
    const where = `${one.type} ${one.id}`;
    if (one.type === 'index-pattern') {
      must(one.attributes.timeFieldName, where);
      assert.equal(one.attributes.title, json('setup/index-template.json').index_patterns[0]);
      continue;
    }
    const { query, language } = queryOf(one);
    assert.equal(language, 'kuery');
    for (const name of askedBy(query)) must(name, where);
    for (const name of one.attributes.columns ?? []) must(name, where);
    for (const [name, direction] of one.attributes.sort ?? []) {
      must(name, where);
      assert.match(direction, /^(asc|desc)$/);
      assert.notEqual(known.get(name).type, 'text', `${where}: Elasticsearch cannot sort by ${name}`);
    }
    if (one.type !== 'lens') continue;
    for (const [layer, { columns, columnOrder }] of layersOf(one)) {
      assert.deepEqual(columnOrder, Object.keys(columns), where);
      for (const { sourceField, params, operationType } of Object.values(columns)) {
        if (sourceField !== '___records___') must(sourceField, where);
        if (operationType === 'terms') {
          assert.equal(known.get(sourceField).type, 'keyword', `${where}: ${sourceField}`);
          assert.ok(columns[params.orderBy.columnId], where);
        }
        if (['percentile', 'max'].includes(operationType)) assert.ok(['double', 'integer', 'long'].includes(known.get(sourceField).type), where);
      }
      const { visualization } = one.attributes.state;
      const shown = visualization.layers?.flatMap((each) => [each.xAccessor, each.splitAccessor, ...each.accessors].filter(Boolean))
        ?? visualization.columns.map(({ columnId }) => columnId);
      assert.deepEqual([...shown].sort(), Object.keys(columns).sort(), where);
      for (const each of visualization.layers ?? [visualization]) assert.equal(each.layerId, layer, where);
    }
  }
  assert.ok(asked.size > 15);
  assert.deepEqual(askedBy('(a.b: "x: y" and c >= 5) or d: (1 or 2) or e: *f*'), ['a.b', 'c', 'd', 'e']);
});

test('what Kibana looks for is said by the program', () => {
  let phrases = 0;
  const routes = Object.keys(JSON.parse(readFileSync(join(root, 'openapi/eshopz.json'), 'utf8')).paths);
  for (const one of [...ofType('search'), ...ofType('lens')]) {
    const { query } = queryOf(one);
    for (const [, alone, several] of query.matchAll(/message\.keyword: (?:("[^"]*")|\(([^)]*)\))/g)) {
      for (const [, phrase] of (alone ?? several).matchAll(/"([^"]*)"/g)) {
        assert.ok(messages.has(phrase), `${one.id}: nobody says "${phrase}"`);
        phrases += 1;
      }
    }
    for (const [, begin] of query.matchAll(/route: (\/[\w/]*)\*/g)) assert.ok(routes.some((route) => route.startsWith(begin)), begin);
    for (const [, target] of query.matchAll(/target: "eshopz_platform::([\w:]+)"/g)) {
      assert.ok(existsSync(join(root, `modules/shared/platform/src/${target.replaceAll('::', '/')}.rs`)), target);
    }
  }
  assert.ok(phrases >= 5);
});

// --- Manifests -----------------------------------------------------------------------------------------------------------

const kustomizations = manifests.filter((path) => path.endsWith('kustomization.yaml'));

test('every file is deployed', () => {
  const NOT_DEPLOYED = new Set(['README.md', 'make-secrets']);
  const listed = new Map(kustomizations.map((path) => [path, [...settings(path).matchAll(/^ +- ([\w./-]+)$/gm)].map(([, entry]) => entry)
    .concat([...settings(path).matchAll(/files: \[([^\]]*)\]/g)].flatMap(([, all]) => all.split(/,\s*/)))]));
  for (const [path, entries] of listed) {
    for (const entry of entries) assert.ok(existsSync(join(folder, dirname(path), entry)), `${path} names ${entry}`);
  }
  for (const path of files) {
    if (NOT_DEPLOYED.has(path) || path.endsWith('kustomization.yaml')) continue;
    const nearest = kustomizations.map(dirname).filter((one) => path.startsWith(`${one}/`)).sort((a, b) => b.length - a.length)[0];
    assert.ok(listed.get(`${nearest}/kustomization.yaml`).includes(relative(nearest, path)), `${path} is in no kustomization`);
  }
  const parts = kustomizations.map(dirname).filter((path) => !['.', 'small'].includes(path)).sort();
  assert.deepEqual([...listed.get('kustomization.yaml')].sort(), parts);
  assert.deepEqual(listed.get('small/kustomization.yaml').filter((entry) => entry.startsWith('..')).sort(), parts.map((path) => `../${path}`));
  const script = read('setup/setup.sh');
  for (const path of files.filter((one) => one.startsWith('setup/') && one.endsWith('json') && !one.includes('saved-objects'))) {
    assert.ok(script.includes(`$GIVEN/${path.slice('setup/'.length)}`), `setup.sh does nothing with ${path}`);
  }
});

test('kustomize takes all of it', withKubectl, () => {
  for (const path of ['.', 'small']) {
    const done = kubectl(['kustomize', join(folder, path)]);
    assert.equal(done.status, 0, done.stderr);
    assert.equal(done.stderr, '');
    for (const [, image] of done.stdout.matchAll(/^ +image: (.*)$/gm)) assert.match(image, /:v?\d+\.\d+\.\d+[\w.-]*$/, 'a version that can change');
    assert.equal(done.stdout.match(/^kind: /gm).length, done.stdout.match(/^metadata:(?:\n {2}.*)*?\n {2}namespace: (?:monitoring|eshopz)$/gm).length);
  }
});

test('versions are fixed, and Kibana is no newer than Elasticsearch', () => {
  const tag = (path) => {
    const [, found] = /newTag: (\S+)/.exec(read(path));
    assert.match(found, /^v?\d+\.\d+\.\d+/, path);
    return found;
  };
  assert.equal(tag('kibana/kustomization.yaml'), tag('elasticsearch/kustomization.yaml'));
  assert.match(tag('fluentd/kustomization.yaml'), /-debian-elasticsearch8-/);
  tag('setup/kustomization.yaml');
  for (const path of manifests) for (const [, image] of settings(path).matchAll(/^ +image: (.*)$/gm)) assert.ok(!image.includes(':'), `${path}: ${image}`);
});

test('nothing is open to the outside', () => {
  for (const path of files.filter((one) => one !== 'README.md')) {
    const text = settings(path);
    assert.ok(!/LoadBalancer|NodePort|externalIPs|hostPort|hostNetwork|hostPID|privileged: true/.test(text), path);
    assert.ok(!/anonymous/i.test(text), `${path} speaks of anonymous`);
  }
  const services = manifests.flatMap((path) => settings(path).split(/^---$/m).filter((text) => /^kind: Service$/m.test(text)));
  assert.equal(services.length, 4);
  for (const text of services) assert.match(text, /^ {2}type: ClusterIP$/m);
  assert.match(settings('elasticsearch/elasticsearch.yml'), /^xpack\.security\.enabled: true$/m);
  for (const part of ['http', 'transport']) {
    assert.match(settings('elasticsearch/elasticsearch.yml'), new RegExp(`^xpack\\.security\\.${part}\\.ssl:\\n {2}enabled: true$`, 'm'));
  }
  assert.match(settings('kibana/kibana.yml'), /^xpack\.security\.authc\.providers:\n {2}basic\.basic1:\n {4}order: 0\nxpack/m);
  assert.match(settings('kibana/kibana.yml'), /^server\.ssl\.enabled: true$/m);
  assert.match(fluentd, /^ {4}scheme https\n {4}ssl_verify true\n/m);
});

test('each pod may do little', () => {
  const workloads = manifests.filter((path) => /^kind: (StatefulSet|Deployment|DaemonSet|Job)$/m.test(read(path)) && !path.startsWith('small/'));
  assert.equal(workloads.length, 4);
  const policies = new Set(files.filter((path) => path.startsWith('network-policy/')).flatMap((path) => [...read(path).matchAll(/^ {2}name: (\S+)$/gm)].map(([, name]) => name)));
  for (const path of workloads) {
    const text = settings(path);
    for (const wanted of ['readOnlyRootFilesystem: true', 'allowPrivilegeEscalation: false', 'drop: [ALL]', 'type: RuntimeDefault']) {
      assert.ok(text.includes(wanted), `${path}: ${wanted}`);
    }
    assert.ok(/limits:/.test(text) && /requests:/.test(text), path);
    const [, name] = /^metadata:\n {2}name: (\S+)$/m.exec(text);
    assert.ok(policies.has(name), `${name} has no network policy`);
    if (name !== 'fluentd') assert.ok(text.includes('runAsNonRoot: true') && text.includes('automountServiceAccountToken: false'), path);
  }
  assert.match(settings('fluentd/access/role.yaml'), /rules:\n {2}- apiGroups: \[''\]\n {4}resources: \[pods\]\n {4}verbs: \[get\]\n---/);
  assert.ok(!manifests.some((path) => /ClusterRole/.test(settings(path))));
  const { cluster, indices } = json('setup/writer.json');
  assert.deepEqual({ cluster, indices }, { cluster: [], indices: [{ names: ['logs-eshopz-*'], privileges: ['create_doc'] }] });
  const reader = json('setup/reader.json');
  assert.deepEqual(reader.elasticsearch, { cluster: [], indices: [{ names: ['logs-eshopz-*'], privileges: ['read', 'view_index_metadata'] }], run_as: [] });
  assert.deepEqual(reader.kibana, [{ base: ['read'], feature: {}, spaces: ['default'] }]);
});

test('no secret is in a file', () => {
  for (const path of files) {
    const text = read(path);
    assert.ok(!/-----BEGIN/.test(text), path);
    if (path === 'make-secrets') continue;
    assert.ok(!/^kind: Secret$/m.test(text), path);
    for (const [line] of settings(path).matchAll(/^.*(?:password|passwd|encryptionKey|secret|[^t]token)["']?[ \t]*[:=][ \t]*\S{6,}.*$/gim)) {
      assert.match(line, /\$\{|%s|\$\(|secretKeyRef|"type": "keyword"|"#\{File\.read/, `${path}: ${line}`);
    }
    assert.ok(!/\b[0-9a-f]{32,}\b|\b[A-Za-z0-9+/]{60,}={0,2}(?![\w/.-])/.test(text), `${path} has what may be a key`);
  }
});

// --- Scripts -------------------------------------------------------------------------------------------------------------

const makeSecrets = (...words) => spawnSync(join(folder, 'make-secrets'), words, { encoding: 'utf8' });

/** Secrets by name, with what is in them. */
function secretsOf(text) {
  return new Map(text.split(/^---$/m).slice(1).map((one) => [
    /^ {2}name: (\S+)$/m.exec(one)[1],
    Object.fromEntries([...one.split(/^data:$/m)[1].matchAll(/^ {2}(\S+): (\S+)$/gm)].map(([, key, value]) => [key, Buffer.from(value, 'base64').toString()])),
  ]));
}

test('make-secrets makes each Secret that is asked for', () => {
  const done = makeSecrets();
  assert.equal(done.status, 0, done.stderr);
  const made = secretsOf(done.stdout);
  const wanted = manifests.flatMap((path) => {
    const text = settings(path);
    return [
      ...[...text.matchAll(/secretName: (\S+)/g)].map(([, name]) => [name]),
      ...[...text.matchAll(/secretKeyRef:\s*\{?\s*name: ([\w-]+),?\s+key: (\w+)/g)].map(([, name, key]) => [name, key]),
      ...[...text.matchAll(/- secret:\n +name: (\S+)\n +items: \[\{key: (\w+),/g)].map(([, name, key]) => [name, key]),
    ];
  });
  assert.deepEqual(sorted(wanted.map(([name]) => name)), sorted(made.keys()));
  for (const [name, key] of wanted) if (key) assert.ok(made.get(name)[key], `${name} has no ${key}`);

  const check = (secret, ...hosts) => {
    const [certificate, authority] = ['tls.crt', 'ca.crt'].map((key) => new X509Certificate(made.get(secret)[key]));
    assert.ok(certificate.verify(authority.publicKey) && certificate.checkIssued(authority), secret);
    assert.ok(!certificate.ca && authority.ca);
    for (const host of hosts) assert.ok(certificate.checkHost(host), `${secret}: ${host}`);
    assert.ok(made.get(secret)['tls.key'].includes('PRIVATE KEY'));
  };
  check('elasticsearch-http', 'elasticsearch', 'elasticsearch.monitoring.svc', 'localhost');
  check('kibana-http', 'kibana', 'kibana.monitoring.svc', 'localhost');
  check('elasticsearch-transport', 'elasticsearch-nodes');
  const authority = (name) => made.get(name)['ca.crt'];
  assert.equal(authority('elasticsearch-authority'), authority('elasticsearch-http'));
  assert.equal(authority('kibana-http'), authority('elasticsearch-http'));
  assert.notEqual(authority('elasticsearch-transport'), authority('elasticsearch-http'), 'who serves HTTPS could be a node');

  const values = [...made].flatMap(([name, data]) => (name.endsWith('http') || name.endsWith('transport') || name.endsWith('authority') ? [] : Object.values(data)));
  assert.equal(new Set(values).size, 7);
  for (const value of values) assert.match(value, /^[0-9a-f]{48}$/);
});

test('make-secrets makes certificates alone, for a namespace, and takes no nonsense', () => {
  const anew = secretsOf(makeSecrets('--certificates', '--namespace', 'logs').stdout);
  assert.deepEqual([...anew.keys()].sort(), ['elasticsearch-authority', 'elasticsearch-http', 'elasticsearch-transport', 'kibana-http']);
  assert.ok(new X509Certificate(anew.get('kibana-http')['tls.crt']).checkHost('kibana.logs.svc'));
  for (const words of [['all'], ['--namespace'], ['--namespace', 'a b']]) assert.equal(makeSecrets(...words).status, 2);
});

/** Stands in for Elasticsearch and Kibana: notes what it is asked for, and answers as they would. */
class Pretended {
  constructor() {
    this.asked = [];
    this.hasStream = false;
    this.refuses = () => null;
    this.server = createServer(async (request, answer) => {
      let body = '';
      for await (const piece of request) body += piece;
      const [path] = request.url.split('?');
      this.asked.push({ what: `${request.method} ${path}`, body, user: Buffer.from(request.headers.authorization.split(' ')[1], 'base64').toString() });
      const [status, text] = this.refuses(`${request.method} ${path}`) ?? this.answer(request.method, path);
      answer.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
  }

  answer(method, path) {
    if (path === '/_cluster/health') return [200, '{"status":"green","timed_out":false}'];
    if (path === '/api/status') return [200, '{"status":{"overall":{"level":"available"}}}'];
    if (path === '/api/saved_objects/_import') return [200, '{"success":true,"successCount":1}'];
    if (path === '/_data_stream/logs-eshopz-default') {
      if (method === 'GET') return this.hasStream ? [200, '{}'] : [404, '{}'];
      if (this.hasStream) return [400, '{"error":"it exists"}'];
      this.hasStream = true;
    }
    return [200, '{"acknowledged":true}'];
  }

  async setUp(passwords = {}) {
    this.asked = [];
    const given = temporaryFolder();
    for (const path of files.filter((one) => one.startsWith('setup/'))) {
      // As in the ConfigMap, without folders.
      writeFileSync(join(given, path.split('/').at(-1)), read(path));
    }
    mkdirSync(join(given, 'passwords'));
    for (const name of ['elastic', 'fluentd', 'kibana', 'log-reader']) {
      writeFileSync(join(given, 'passwords', name), passwords[name] ?? `password-of-${name}`);
    }
    const address = `http://127.0.0.1:${this.server.address().port}`;
    const child = spawn('sh', [join(given, 'setup.sh')], {
      env: cleanEnvironment({
        ELASTICSEARCH_URL: address, KIBANA_URL: address, GIVEN: given, PASSWORDS: join(given, 'passwords'),
        AUTHORITY: '/none', PATIENCE: '3', PAUSE: '0',
      }),
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
    const code = await ended(child);
    rmSync(given, { recursive: true, force: true });
    return { code, said };
  }
}

test('the setup makes all that is needed, as often as it is called', async (t) => {
  const both = new Pretended();
  await new Promise((done) => { both.server.listen(0, '127.0.0.1', done); });
  t.after(() => both.server.close());
  const whats = () => both.asked.map(({ what }) => what);

  const first = await both.setUp();
  assert.equal(first.code, 0, first.said);
  assert.ok(!first.said.includes('password-of'), first.said);
  assert.ok(both.asked.every(({ user }) => user === 'elastic:password-of-elastic'));
  assert.ok(whats().includes('PUT /_data_stream/logs-eshopz-default'));
  const sent = (what) => JSON.parse(both.asked.find((one) => one.what === what).body);
  assert.deepEqual(sent('PUT /_component_template/eshopz-logs-mappings'), { template: { mappings: json('setup/mappings.json') } });
  assert.deepEqual(json('setup/index-template.json').composed_of, ['eshopz-logs-mappings']);
  assert.equal(json('setup/index-template.json').template.settings.index.lifecycle.name, 'eshopz-logs');
  assert.deepEqual(sent('PUT /_ilm/policy/eshopz-logs'), json('setup/ilm.json'));
  assert.deepEqual(sent('PUT /_security/user/fluentd'), { password: 'password-of-fluentd', roles: ['eshopz-logs-writer'], full_name: 'Fluentd' });
  assert.deepEqual(sent('PUT /_security/user/log-reader').roles, ['eshopz-logs-reader']);
  assert.deepEqual(sent('POST /_security/user/kibana_system/_password'), { password: 'password-of-kibana' });
  assert.deepEqual(sent('POST /api/data_views/default'), { data_view_id: ofType('index-pattern')[0].id, force: true });
  const imports = both.asked.filter(({ what }) => what === 'POST /api/saved_objects/_import');
  assert.equal(imports.length, 3);
  for (const one of exported) assert.ok(imports.some(({ body }) => body.includes(JSON.stringify(one))), one.id);
  const before = whats().filter((what) => !what.includes('_data_stream'));

  const second = await both.setUp();
  assert.equal(second.code, 0, second.said);
  assert.deepEqual(whats().filter((what) => !/_data_stream|_mapping/.test(what)), before);
  assert.ok(whats().includes('PUT /logs-eshopz-default/_mapping') && !whats().some((what) => what.endsWith('/_rollover')));

  // A field that has become of another kind begins with the next index.
  both.refuses = (what) => (what.endsWith('/_mapping') ? [400, '{"error":"cannot change"}'] : null);
  const third = await both.setUp();
  assert.equal(third.code, 0, third.said);
  assert.ok(whats().includes('POST /logs-eshopz-default/_rollover'));
});

test('the setup says what it could not do, and does not go on', async (t) => {
  const both = new Pretended();
  await new Promise((done) => { both.server.listen(0, '127.0.0.1', done); });
  t.after(() => both.server.close());
  for (const [what, status, text] of [
    ['PUT /_ilm/policy/eshopz-logs', 403, '{"error":"not yours"}'],
    ['GET /_data_stream/logs-eshopz-default', 500, '{"error":"broken"}'],
    ['PUT /_security/user/fluentd', 400, '{"error":"too short"}'],
    ['POST /api/saved_objects/_import', 200, '{"success":false,"errors":["missing_references"]}'],
    ['GET /_cluster/health', 503, '{"error":"no master"}'],
    ['GET /api/status', 200, '{"status":{"overall":{"level":"degraded"},"core":{"level":"available"}}}'],
  ]) {
    both.refuses = (asked) => (asked === what ? [status, text] : null);
    const { code, said } = await both.setUp();
    assert.notEqual(code, 0, what);
    assert.ok(said.includes(text), `${what}: ${said}`);
    assert.equal(both.asked.at(-1).what, what);
  }
  both.refuses = () => null;
  for (const wrong of ['', 'a"b', 'a b']) {
    const { code, said } = await both.setUp({ fluentd: wrong });
    assert.notEqual(code, 0);
    assert.match(said, /the password of fluentd is empty, or has other than/);
  }
});
