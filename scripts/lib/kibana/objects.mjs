// Kibana's saved objects, in the form of its export. The versions are those of the forms written here, which are older than
// Kibana: it takes what is older and brings it up to date.

export const DATA_VIEW = 'eshopz-logs';

const saved = (type, version, id, attributes, references = []) => ({
  attributes, coreMigrationVersion: '8.8.0', id, managed: false, references, type, typeMigrationVersion: version,
});

const toDataView = (name) => ({ id: DATA_VIEW, name, type: 'index-pattern' });

export const kql = (query) => ({ query, language: 'kuery' });

export const dataView = (title, name) => saved('index-pattern', '8.0.0', DATA_VIEW, {
  fieldAttrs: '{}', fieldFormatMap: '{}', fields: '[]', name, runtimeFieldMap: '{}', sourceFilters: '[]',
  timeFieldName: '@timestamp', title, typeMeta: '{}',
});

/** Lines, newest first unless it is said otherwise. */
export const search = ({ id, title, description, query, columns, sort = [['@timestamp', 'desc']] }) => saved('search', '8.0.0', id, {
  columns, description, grid: {}, hideChart: false, isTextBasedQuery: false,
  kibanaSavedObjectMeta: {
    searchSourceJSON: JSON.stringify({
      query: kql(query), filter: [], highlightAll: true, version: true,
      indexRefName: 'kibanaSavedObjectMeta.searchSourceJSON.index',
    }),
  },
  sort, timeRestore: false, title,
}, [toDataView('kibanaSavedObjectMeta.searchSourceJSON.index')]);

// --- Columns of Lens: what is counted, and by what ---------------------------------------------------------------------

const column = (label, operationType, sourceField, rest) => ({ customLabel: true, label, operationType, sourceField, ...rest });

export const count = (label) => column(label, 'count', '___records___', {
  dataType: 'number', isBucketed: false, scale: 'ratio', params: { emptyAsNull: true },
});

const rounded = { format: { id: 'number', params: { decimals: 0 } }, emptyAsNull: true };

export const percentile = (label, field, of) => column(label, 'percentile', field, {
  dataType: 'number', isBucketed: false, scale: 'ratio', params: { percentile: of, ...rounded },
});

export const max = (label, field) => column(label, 'max', field, {
  dataType: 'number', isBucketed: false, scale: 'ratio', params: rounded,
});

export const overTime = (label) => column(label, 'date_histogram', '@timestamp', {
  dataType: 'date', isBucketed: true, scale: 'interval', params: { interval: 'auto', includeEmptyRows: true, dropPartials: false },
});

/** The most frequent values of a field, or those with the highest of another column. */
export const top = (label, field, size, by, { missing = false } = {}) => column(label, 'terms', field, {
  dataType: 'string', isBucketed: true, scale: 'ordinal',
  params: {
    size, orderBy: { type: 'column', columnId: by }, orderDirection: 'desc', otherBucket: missing, missingBucket: missing,
    parentFormat: { id: 'terms' }, include: [], exclude: [], includeIsRegex: false, excludeIsRegex: false,
  },
});

// --- Panels ------------------------------------------------------------------------------------------------------------

const LAYER = 'lines';

const lens = (id, title, description, query, columns, visualizationType, visualization) => saved('lens', '8.9.0', id, {
  description,
  state: {
    adHocDataViews: {},
    datasourceStates: { formBased: { layers: { [LAYER]: { columnOrder: Object.keys(columns), columns, incompleteColumns: {}, sampling: 1 } } } },
    filters: [], internalReferences: [], query: kql(query), visualization,
  },
  title, visualizationType,
}, [toDataView(`indexpattern-datasource-layer-${LAYER}`)]);

/** Bars: along `x`, as high as `y`, divided by `split`. */
export const bars = ({ id, title, description, query, columns, x, y, split, seriesType = 'bar_stacked' }) => (
  lens(id, title, description, query, columns, 'lnsXY', {
    axisTitlesVisibilitySettings: { x: false, yLeft: false, yRight: false }, fittingFunction: 'None',
    gridlinesVisibilitySettings: { x: false, yLeft: true, yRight: true },
    layers: [{
      layerId: LAYER, layerType: 'data', seriesType, position: 'top', showGridlines: false, xAccessor: x, accessors: [y],
      ...(split ? { splitAccessor: split } : {}),
    }],
    legend: { isVisible: true, position: 'right' }, preferredSeriesType: seriesType,
    tickLabelsVisibilitySettings: { x: true, yLeft: true, yRight: true }, valueLabels: 'hide',
  }));

export const table = ({ id, title, description, query, columns }) => lens(id, title, description, query, columns, 'lnsDatatable', {
  columns: Object.keys(columns).map((columnId) => ({ columnId })), layerId: LAYER, layerType: 'data',
});

/** Of panels that are saved by themselves: `[object, x, y, width, height]`, of 48 columns. */
export const dashboard = ({ id, title, description, panels }) => saved('dashboard', '8.9.0', id, {
  description,
  kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify({ query: kql(''), filter: [] }) },
  optionsJSON: JSON.stringify({ useMargins: true, syncColors: true, syncCursor: true, syncTooltips: false, hidePanelTitles: false }),
  panelsJSON: JSON.stringify(panels.map(([of, x, y, w, h]) => ({
    version: '8.11.0', type: of.type, gridData: { x, y, w, h, i: of.id }, panelIndex: of.id,
    embeddableConfig: { enhancements: {} }, panelRefName: `panel_${of.id}`,
  }))),
  refreshInterval: { pause: true, value: 60_000 }, timeFrom: 'now-24h', timeRestore: true, timeTo: 'now', title, version: 1,
}, panels.map(([of]) => ({ id: of.id, name: `${of.id}:panel_${of.id}`, type: of.type })));
