// What the dashboards are made of, in Grafana's JSON. Here is what they have in common; what each one asks and says
// is in a file of its own beside this one.

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Grafana divides a page into so many columns. */
const COLUMNS = 24;

/** Of what belongs to a module. Where there is no namespace, as outside of Kubernetes, `.*` matches its absence. */
export const module = 'namespace=~"$namespace",module=~"$module"';

/** Of what belongs to a process. */
export const process = 'namespace=~"$namespace",instance=~"$instance"';

/** Of what is asked for by name. */
export const shop = 'namespace=~"$namespace"';

/** From good to bad: the value at which it is no longer good, and the one at which it is bad. */
export const worse = (warn, bad) => [['green', null], ['yellow', warn], ['red', bad]];

/** From bad to good: below the first it is bad, below the second not good. */
export const better = (bad, warn) => [['red', null], ['yellow', bad], ['green', warn]];

/**
 * A quantile, by labels. Where nothing was measured it is NaN, which the comparison leaves out: an empty panel says
 * that better than a gap.
 */
export function quantile(q, metric, labels, selector, range = '$__rate_interval') {
  const by = [...labels, 'le'].join(', ');
  return `histogram_quantile(${q}, sum by (${by}) (rate(${metric}_bucket{${selector}}[${range}]))) >= 0`;
}

/**
 * A share, by labels, or of all without. A part that has not happened yet has no series and counts as 0; where there
 * is no whole there is no share, and nobody divides by 0.
 */
export function share(part, whole, labels = []) {
  const sum = (of) => (labels.length ? `sum by (${labels.join(', ')}) (${of})` : `sum(${of})`);
  return `(${sum(part)} or ${sum(whole)} * 0) / (${sum(whole)} > 0)`;
}

/** A title over the panels that follow. */
export const row = (title) => ({ row: title });

/**
 * A panel: `queries` are pairs of an expression and a legend, `further` is what else is said of it.
 * - `type`: timeseries unless it is told; stat, bargauge and table show the latest value
 * - `width`: of 24 columns (8), `height`: in Grafana's units (8; 4 for a stat)
 * - `thresholds`: pairs of a colour and the value from which it is
 * - `max`, `decimals`, `stacked`, `none` (what is shown where there is nothing), `hidden` (columns of a table),
 *   `mappings` (what values are called)
 */
export const panel = (title, description, unit, queries, further = {}) => ({ title, description, unit, queries, ...further });

/** One number. */
export const stat = (title, description, unit, expr, further = {}) => (
  panel(title, description, unit, [[expr, '']], { type: 'stat', width: 4, ...further }));

const steps = (thresholds) => (thresholds ?? [['green', null]]).map(([color, value]) => ({ color, value }));

function target([expr, legendFormat], index, type) {
  const latest = type !== 'timeseries';
  return {
    datasource: DATASOURCE,
    editorMode: 'code',
    expr,
    ...(type === 'table' ? { format: 'table' } : {}),
    instant: latest,
    legendFormat,
    range: !latest,
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
  };
}

function custom(of) {
  return {
    drawStyle: 'line',
    fillOpacity: of.stacked ? 30 : 5,
    lineWidth: 1,
    showPoints: 'never',
    spanNulls: false,
    stacking: { group: 'A', mode: of.stacked ? 'normal' : 'none' },
    thresholdsStyle: { mode: of.thresholds ? 'dashed' : 'off' },
  };
}

const OPTIONS = {
  timeseries: () => ({
    legend: { calcs: ['lastNotNull', 'max'], displayMode: 'table', placement: 'bottom', showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  }),
  stat: (of) => ({
    colorMode: of.thresholds ? 'value' : 'none',
    graphMode: 'none',
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    textMode: 'auto',
  }),
  bargauge: () => ({
    displayMode: 'basic',
    orientation: 'horizontal',
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    valueMode: 'color',
  }),
  table: () => ({ cellHeight: 'sm', showHeader: true, sortBy: [{ desc: true, displayName: 'Value' }] }),
};

function drawn(of, id, place) {
  const type = of.type ?? 'timeseries';
  const series = type === 'timeseries';
  return {
    datasource: DATASOURCE,
    description: of.description,
    fieldConfig: {
      defaults: {
        color: { mode: series ? 'palette-classic' : 'thresholds' },
        ...(series ? { custom: custom(of) } : {}),
        ...(of.decimals === undefined ? {} : { decimals: of.decimals }),
        ...(of.mappings ? { mappings: [{ options: of.mappings, type: 'value' }] } : {}),
        ...(of.max === undefined ? {} : { max: of.max }),
        ...(of.signed ? {} : { min: 0 }),
        noValue: of.none ?? 'no data',
        thresholds: { mode: 'absolute', steps: steps(of.thresholds) },
        unit: of.unit,
      },
      overrides: [],
    },
    gridPos: place,
    id,
    options: OPTIONS[type](of),
    targets: of.queries.map((query, index) => target(query, index, type)),
    title: of.title,
    ...(type === 'table' ? { transformations: [columns(of)] } : {}),
    type,
  };
}

/** A table has a column for each label; the time of the look is of no use to anybody. */
const columns = (of) => ({
  id: 'organize',
  options: { excludeByName: Object.fromEntries(['Time', ...(of.hidden ?? [])].map((name) => [name, true])) },
});

/** Puts the panels beside each other, and below where there is no room. */
function laidOut(parts) {
  let x = 0;
  let y = 0;
  let tallest = 0;
  const below = () => { x = 0; y += tallest; tallest = 0; };
  return parts.map((of, index) => {
    if (of.row) {
      below();
      const header = { collapsed: false, gridPos: { h: 1, w: COLUMNS, x: 0, y }, id: index + 1, panels: [], title: of.row, type: 'row' };
      y += 1;
      return header;
    }
    const w = of.width ?? 8;
    const h = of.height ?? (of.type === 'stat' ? 4 : 8);
    if (x + w > COLUMNS) below();
    const place = { h, w, x, y };
    x += w;
    tallest = Math.max(tallest, h);
    return drawn(of, index + 1, place);
  });
}

const datasource = {
  current: { selected: true, text: 'Prometheus', value: 'prometheus' },
  hide: 0,
  label: 'Data source',
  name: 'datasource',
  query: 'prometheus',
  refresh: 1,
  type: 'datasource',
};

/** The values that a label has, one or more or all of them. */
const choice = (name, label, from) => ({
  allValue: '.*',
  current: { selected: true, text: ['All'], value: ['$__all'] },
  datasource: DATASOURCE,
  definition: from,
  hide: 0,
  includeAll: true,
  label,
  multi: true,
  name,
  query: { qryType: 1, query: from, refId: name },
  refresh: 2,
  sort: 1,
  type: 'query',
});

const CHOICES = {
  namespace: choice('namespace', 'Namespace', 'label_values(eshopz_build_info, namespace)'),
  module: choice('module', 'Module', 'label_values(eshopz_db_statements_total{namespace=~"$namespace"}, module)'),
  edge: choice('module', 'Module', 'label_values(eshopz_http_responses_total{namespace=~"$namespace"}, module)'),
  instance: choice('instance', 'Process', 'label_values(eshopz_build_info{namespace=~"$namespace"}, instance)'),
};

/**
 * A dashboard. `choices` are what one can choose beside the namespace: module (those of the shop), edge (those and
 * what belongs to none), instance.
 */
export function dashboard({ uid, title, description, choices = [], from = 'now-1h', parts }) {
  return {
    annotations: { list: [] },
    description,
    editable: false,
    graphTooltip: 1,
    links: [{ asDropdown: true, icon: 'external link', includeVars: true, keepTime: true, tags: ['eshopz'], title: 'EShopz', type: 'dashboards' }],
    panels: laidOut(parts),
    refresh: '30s',
    schemaVersion: 39,
    tags: ['eshopz'],
    templating: { list: [datasource, CHOICES.namespace, ...choices.map((name) => CHOICES[name])] },
    time: { from, to: 'now' },
    timezone: 'utc',
    title: `EShopz / ${title}`,
    uid: `eshopz-${uid}`,
    version: 1,
  };
}
