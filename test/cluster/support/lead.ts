import { ClusterLead, newAppendFigures, SharedName } from "../../../src/cluster/lead/lead.ts";
import type { LogServer } from "../../../src/cluster/log/log.ts";
import type { KnownNode } from "../../../src/cluster/member.ts";
import type { ComparedNode } from "../../../src/cluster/tools/compare.ts";
import { VERSION } from "../../../src/core/runtime.ts";

const KEYS = { encryption: "1", tokens: "1" };

/** A leader `a` of nodes that a test makes, with its clock. */
export function leadWith(others: readonly Partial<KnownNode>[], startedAt = 1_000_000_000) {
  const clock = { now: startedAt };
  const steps: string[] = [];
  const nodes = others.map((other) => ({
    ...{ node: "b", isLeader: false, isEnding: false, term: 1, sequence: 100, recordAt: clock.now, mayLead: true },
    ...{ advertise: "http://b", at: clock.now, version: VERSION, heardAt: clock.now, skewMs: 0, behind: 0 },
    ...{ fenced: 0, keys: KEYS, run: "1", startedAt: 0, count: 0 },
    ...other,
  }));
  const figures = newAppendFigures(100);
  const successor = new SharedName();
  const servers: LogServer[] = [];
  /** What a comparison finds. */
  const compared: ComparedNode[] = [];
  const lead = new ClusterLead({
    ...{ cluster: "prism", node: "a", advertise: "http://a", figures, successor, refused: {} },
    member: {
      ...{ nodes, deadMs: 3000, keys: KEYS, silenceOf: ({ heardAt }) => clock.now - heardAt },
      get fenced() {
        return nodes.reduce((sum, { fenced }) => sum + fenced, 0);
      },
      forget: (name) => {
        nodes.splice(0, nodes.length, ...nodes.filter(({ node }) => node !== name));
      },
    },
    files: {
      put: async () => undefined,
      get: async () => null,
      remove: async () => undefined,
      list: async () => new Map(),
    },
    journal: { range: async () => ({ first: 1, last: 100 }), servers: async () => servers },
    leadership: {
      position: { sequence: 90, id: "", term: 2 },
      isHandedOver: false,
      before: { node: "b", at: clock.now },
    },
    compare: async (_nodes, hold) => {
      await hold(async () => undefined);
      return { sequence: 100, rows: 7, nodes: [...compared] };
    },
    now: () => clock.now,
    onStepDown: (to) => steps.push(to),
    onLost: () => steps.push("lost"),
  });
  const heard = (at: number, more: Partial<KnownNode> = {}): void => {
    nodes.splice(0, nodes.length, ...nodes.map((node) => ({ ...node, heardAt: at, ...more })));
  };
  return { lead, clock, heard, figures, successor, steps, compared, servers };
}
