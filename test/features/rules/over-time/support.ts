import type { TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";

export const MINUTE = 60_000;

export interface World {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
}

export async function timedWorld(t: TestContext, settings: Record<string, string> = {}): Promise<World> {
  const clock = new FakeClock();
  const prism = await startPrism(t, {
    clock,
    settings: { "rateLimit.enabled": "false", "auth.accessExpires": "1d", ...settings },
  });
  return { prism, clock };
}

/** A rule about events of the type `x` in the project `default`. @returns its id */
export async function timedRule({ prism }: World, rule: Record<string, unknown>): Promise<string> {
  const body = { name: "r", condition: "event.type == 'x'", projectId: "default", ...rule };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/rules", body));
  return made.body.id;
}

export async function send({ prism }: World, type: string, payload: Record<string, unknown> = {}): Promise<string> {
  const { body } = await answered(202, prism.post<{ id: string }>("/api/v1/events", { type, payload }));
  return body.id;
}

/** The outcomes of all decisions, in order. */
export async function outcomes(world: World): Promise<string[]> {
  await taken(world);
  const { prism } = world;
  return rowsOf<{ outcome: string }>(prism, "select outcome from decisions order by eventSeq, ruleId").map(
    ({ outcome }) => outcome,
  );
}

export interface AlertRow {
  readonly key: string;
  readonly state: "pending" | "firing" | "resolved";
  readonly labels: string;
  readonly annotations: string;
  readonly severity: string | null;
  readonly startsAt: number;
  readonly endsAt: number | null;
  readonly resolvedAt: number | null;
  readonly timedOut: 0 | 1;
}

export function alertsOf({ prism }: World): AlertRow[] {
  return rowsOf<AlertRow>(prism, "select * from alerts order by startsAt, id");
}

/** Resolves when every event is decided and the alerts have taken all signals of rules. */
export async function taken({ prism }: World): Promise<void> {
  const open =
    "select (select count(*) from alert_signals) + (select count(*) from events where processedAt is null) as n";
  await eventually("the signals are taken", () => scalarOf<number>(prism, open) === 0);
}

/** `<state> <key without the rule>` of all alerts, in the order of their start. */
export async function states(world: World): Promise<string[]> {
  await taken(world);
  return alertsOf(world).map(({ state, key }) => `${state} ${key.split(":").slice(2).join(":")}`);
}
