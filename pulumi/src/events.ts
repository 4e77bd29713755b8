// Which topics and queues the program uses, as it says itself: `topology.json` is written from `eshopz modules --graph` by
// `scripts/platform-events`, which a test runs against the built program. Names are those of modules/shared/aws/src/events.

import topology from "../topology.json";

export interface Topology {
  /** Publishing module -> its events. */
  publishes: Record<string, string[]>;
  /** Listening module -> publishing module -> the events that it takes. */
  listens: Record<string, Record<string, string[]>>;
  modules: string[];
  /** Attempts before a message goes to the dead letters. */
  maxReceives: number;
  retention: number;
  deadRetention: number;
  visibility: number;
  wait: number;
  /** The attribute that filters look at. */
  filter: string;
}

export const TOPOLOGY: Topology = topology;

export const topicName = (prefix: string, module: string): string => `${prefix}-${module}-events`;
export const queueName = (prefix: string, module: string): string => `${prefix}-${module}-listeners`;
export const deadName = (prefix: string, module: string): string => `${queueName(prefix, module)}-dead`;
