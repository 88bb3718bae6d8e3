import assert from "node:assert/strict";
import { Maker, MINUTE } from "../features/reports/support.ts";
import { answered } from "../helpers/prism.ts";
import { rowsOf } from "../helpers/tables.ts";
import type { ConsoleTest } from "./helpers.ts";

export { MINUTE };
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** An incident of the past. */
export interface EndedIncident {
  readonly name: string;
  readonly at: number;
  readonly lastsMs: number;
  readonly ack?: readonly [userId: string, afterMs: number];
  readonly pages: readonly string[];
}

/** Ended incidents with their pages, counted for reports. */
export async function happened({ prism }: ConsoleTest, given: readonly EndedIncident[]): Promise<void> {
  const projectId = prism.parts.offers.defaultProjectId;
  const first = () => rowsOf<Record<string, string | number | null>>(prism, "select * from incidents limit 1")[0];
  if (!first()) await answered(200, prism.post("/api/v1/alerts", { alerts: [{ labels: { alertname: "Template" } }] }));
  const template = first();
  assert.ok(template);
  const maker = Maker.from(prism, template);
  await maker.store(
    given.map(({ name, at, lastsMs, ack, pages }) => {
      const incident = maker.incident({
        projectId,
        ...{ openedAt: at, notifiedAt: at, resolvedAt: at + lastsMs, resolvedBy: "alerts", title: name },
        groupLabels: JSON.stringify({ alertname: name, team: "db" }),
      });
      const incidentId = String(incident["id"]);
      const line = { incidentId, seq: 1, data: "{}", kind: "acknowledged" };
      return {
        incident,
        log: ack ? [{ ...line, actor: ack[0], at: at + ack[1] }] : [],
        pages: pages.map((userId) =>
          maker.page({ incidentId, projectId, userId, createdAt: at, deliveredAt: at + 1000 }),
        ),
      };
    }),
  );
  await prism.parts.offers.reports.collect();
}

/** Incidents of some days with every kind of suggestion. @param name of the alerts */
export async function fillMonth(console: ConsoleTest, name: string, userId: string): Promise<void> {
  const now = Date.now();
  const pages = [userId, userId];
  const of = (day: number): EndedIncident[] => {
    const at = now - day * DAY;
    return [
      { name, at, lastsMs: HOUR, pages },
      { name: `${name} 2`, at: at + 2 * MINUTE, lastsMs: 2 * HOUR, ack: [userId, 5 * MINUTE], pages },
      { name: "Blip", at: at - 8 * HOUR, lastsMs: MINUTE, ack: [userId, 30_000], pages },
    ];
  };
  await happened(console, [1, 2, 3, 5, 8, 9, 12].flatMap(of));
}
