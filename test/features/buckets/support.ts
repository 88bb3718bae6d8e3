import type { TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";

export const PATH = "/api/v1/transfer-buckets";
export const MINUTE = 60_000;

export interface BucketView {
  readonly id: string;
  readonly name: string;
  readonly currentBalance: string;
  readonly threshold: string;
  readonly currency: string;
  readonly state: "ok" | "below";
  readonly version: number;
  readonly data: readonly BucketView[];
  readonly error: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

export async function bucketWorld(t: TestContext): Promise<{ prism: TestPrism; clock: FakeClock }> {
  const clock = new FakeClock();
  return {
    prism: await startPrism(t, { clock, settings: { "rateLimit.enabled": "false", "auth.accessExpires": "1d" } }),
    clock,
  };
}

export const create = (prism: TestPrism, more: object = {}) =>
  prism.post<BucketView>(PATH, { name: "payouts", currency: "EUR", currentBalance: "100", threshold: "50", ...more });

export async function made(prism: TestPrism, more: object = {}): Promise<string> {
  const { body } = await answered(201, create(prism, more));
  return body.id;
}

/** Types of the buckets' events, in order. */
export function told(prism: TestPrism): string[] {
  return rowsOf<{ type: string }>(prism, "select type from events where type like 'bucket.%' order by seq").map(
    ({ type }) => type.slice("bucket.".length),
  );
}

/** Nothing waits to be done any more. */
export async function settled(prism: TestPrism): Promise<void> {
  const open = "select 1 from jobs where queue = 'bucket-monitoring' and finishedAt is null limit 1";
  await eventually("all jobs are done", () => rowsOf(prism, open).length === 0);
}

/** What the schedule does by itself when its time has come. */
export async function check(prism: TestPrism): Promise<void> {
  await prism.parts.offers.schedules.due.check();
  await settled(prism);
}
