import type { TestContext } from "node:test";
import type { AlertInput, Alerts } from "../../../../src/features/alerts/index.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

export const MINUTE = 60_000;

export interface AlertWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly projectId: string;
  /** The service of the running server, also after a restart. */
  readonly alerts: () => Alerts;
  /** An input of the project, by the key `api:<name>`. */
  readonly input: (name: string, more?: Partial<AlertInput>) => AlertInput;
  /** The types of the events of the server, with the keys of their alerts, in order. */
  readonly events: () => Promise<string[]>;
  /** Lets time pass, and handles what is due by then. */
  readonly pass: (ms: number) => Promise<void>;
}

export async function alertWorld(
  t: TestContext,
  settings: Record<string, string> = {},
  clock = new FakeClock(),
): Promise<AlertWorld> {
  const prism = await startPrism(t, { clock, settings });
  return worldOf(prism, clock);
}

export function worldOf(prism: TestPrism, clock: FakeClock): AlertWorld {
  const alerts = (): Alerts => prism.parts.offers.alerts;
  const projectId = prism.parts.offers.defaultProjectId;
  return {
    prism,
    clock,
    projectId,
    alerts,
    input: (name, more = {}) => ({
      projectId,
      source: "api",
      sourceId: null,
      key: `api:${name}`,
      labels: { alertname: name },
      ...more,
    }),
    async events() {
      const rows = await prism.services.db.read
        .selectFrom("events")
        .select(["type", "payload"])
        .where("source", "=", "prism:alerts")
        .where("type", "like", "alert.%")
        .orderBy("seq")
        .execute();
      return rows.map(({ type, payload }) => `${type} ${(JSON.parse(payload) as { key: string }).key}`);
    },
    async pass(ms) {
      clock.advance(ms);
      await alerts().flush();
    },
  };
}
