import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { AlertView, Silences } from "../../../../src/features/alerts/index.ts";
import type { Reply } from "../../../helpers/prism.ts";
import { type AlertWorld, alertWorld } from "../book/support.ts";

export const PATH = "/api/v1/silences";
export const HOUR = 3_600_000;

export interface SilenceBody {
  readonly id: string;
  readonly state: string;
  readonly text: string;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly window: { readonly startsAt: string; readonly endsAt: string } | null;
  readonly hits: number;
  readonly version: number;
  readonly [member: string]: unknown;
  readonly error: { readonly code: string; readonly message: string; readonly details?: readonly unknown[] };
}

export interface SilenceWorld extends AlertWorld {
  readonly silences: () => Silences;
  readonly create: (more?: object) => Promise<Reply<SilenceBody>>;
  readonly get: (id: string) => Promise<SilenceBody>;
  /** Opens an alert with these labels. */
  readonly open: (labels: Readonly<Record<string, string>>) => Promise<AlertView>;
  /** The ids of silences that withhold the alert now. */
  readonly silencing: (alert: AlertView) => string[];
  /** Types of the events about silences, in order. */
  readonly silenceEvents: () => Promise<string[]>;
  /** Lets time pass, and reports the starts and ends in it. */
  readonly after: (ms: number) => Promise<void>;
}

export async function silenceWorld(t: TestContext, settings: Record<string, string> = {}): Promise<SilenceWorld> {
  const world = await alertWorld(t, { "auth.accessExpires": "30d", ...settings });
  const { prism, clock, projectId } = world;
  const silences = (): Silences => prism.parts.offers.silences;
  return {
    ...world,
    silences,
    create: (more = {}) =>
      prism.post<SilenceBody>(PATH, { matchers: ['team="db"'], durationMs: HOUR, comment: "disks", ...more }),
    async get(id) {
      const { status, body, text } = await prism.get<SilenceBody>(`${PATH}/${id}`);
      assert.equal(status, 200, text);
      return body;
    },
    async open(labels) {
      const [outcome] = await world.alerts().submit([world.input(JSON.stringify(labels), { labels })]);
      assert.ok(outcome?.alert, "it is open");
      return outcome.alert;
    },
    silencing: (alert) => silences().silencing(projectId, alert, clock.now()),
    async silenceEvents() {
      const rows = await prism.services.db.read
        .selectFrom("events")
        .select("type")
        .where("type", "like", "silence.%")
        .orderBy("seq")
        .execute();
      return rows.map(({ type }) => type);
    },
    async after(ms) {
      clock.advance(ms);
      await silences().flush();
    },
  };
}
