import assert from "node:assert/strict";
import type { BacktestReply } from "../../../../src/features/rules/backtest-schema.ts";
import { eventually } from "../../../helpers/eventually.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";

export const PATH = "/api/v1/rules/backtest";

export async function backtest(prism: TestPrism, body: Record<string, unknown>): Promise<BacktestReply> {
  const reply = await answered(200, prism.post<BacktestReply>(PATH, body));
  return reply.body;
}

export async function makeRule(prism: TestPrism, rule: Record<string, unknown>): Promise<string> {
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/rules", { targetUsers: ["me"], ...rule }));
  return made.body.id;
}

/** Events `a` with `n` from 0 on, in batches; undecided ones may remain. */
export async function storeEvents(prism: TestPrism, count: number, more: Record<string, unknown> = {}): Promise<void> {
  const batch = 5000;
  for (let at = 0; at < count; at += batch) {
    const lines = Array.from({ length: Math.min(batch, count - at) }, (_, i) =>
      JSON.stringify({ type: "a", payload: { n: at + i, host: `h${(at + i) % 7}`, ...more } }),
    );
    const { status, text } = await prism.post("/events?results=errors", `${lines.join("\n")}\n`, {
      headers: { "Content-Type": "application/x-ndjson" },
    });
    assert.equal(status, 202, text);
  }
}

export async function allDecided(prism: TestPrism): Promise<void> {
  const UNDECIDED = "select count(*) from events where processedAt is null";
  await eventually("all events are decided", () => scalarOf<number>(prism, UNDECIDED) === 0, 60_000);
}
