// CloudWatch's dashboard as its JSON: a panel for each group of alarms, with the line that the alarm draws.

import * as pulumi from "@pulumi/pulumi";

export interface Panel {
  title: string;
  region: string;
  statistic: string;
  line: number;
  metrics: Array<{ namespace: string; metric: string; dimensions: Record<string, pulumi.Input<string>> }>;
}

const WIDTH = 8;
const HEIGHT = 6;
const IN_A_ROW = 24 / WIDTH;

export function dashboardBody(region: string, panels: Panel[]): pulumi.Output<string> {
  return pulumi.output(panels).apply((all) => JSON.stringify({
    start: "-PT12H",
    periodOverride: "inherit",
    widgets: all.map((panel, place) => ({
      type: "metric",
      x: (place % IN_A_ROW) * WIDTH,
      y: Math.floor(place / IN_A_ROW) * HEIGHT,
      width: WIDTH,
      height: HEIGHT,
      properties: {
        title: panel.title,
        region: panel.region ?? region,
        view: "timeSeries",
        stat: panel.statistic,
        period: 300,
        yAxis: { left: { min: 0 } },
        annotations: { horizontal: [{ label: "alarm", value: panel.line }] },
        metrics: panel.metrics.map(({ namespace, metric, dimensions }) => [namespace, metric, ...Object.entries(dimensions).flat()]),
      },
    })),
  }));
}
