import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { makeProject } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";

/*
 * The functions that run for each event and each commit: every user pays for an addition.
 * `RECORD=1 node scripts/test.mjs features/events/hot-path` writes the list again.
 * Some run more or less often with the machine's load: the list has all that run for half of the events,
 * and only a function that is missing from it and runs for all of them is an addition.
 */
const LIST = join(import.meta.dirname, "hot-path.txt");
const EVENTS = 1000;
const IDLE_MS = 1000;
const BODY = JSON.stringify({ type: "payment.settle", source: "shop", payload: { amount: 1500, region: "eu" } });

test("no function is added to those that run for each event and each commit", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  const { apiKey } = await makeProject(prism, "Shop");
  const { id: userId } = (await prism.get<{ id: string }>("/api/v1/users/me")).body;
  for (let n = 1; n <= 10; n++) {
    const condition = `event.type == 'kind.${n}' and event.payload.amount > ${n}`;
    await answered(201, prism.post("/api/v1/rules", { name: `rule ${n}`, condition, targetUsers: [userId] }));
  }
  const single = (): Promise<void> => send(`${prism.url}/events`, apiKey, "application/json", BODY);
  for (let n = 0; n < 100; n++) await single();

  const session = new Session();
  session.connect();
  t.after(() => session.disconnect());
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  const startedAt = performance.now();
  for (let n = 0; n < EVENTS; n++) await single();
  const tookMs = performance.now() - startedAt;
  const during = await calls(session);
  await setTimeout(IDLE_MS);
  const perRequest = without(await calls(session), tookMs / IDLE_MS, during);
  const batch = Array<string>(EVENTS).fill(BODY).join("\n");
  await send(`${prism.url}/events?results=errors`, apiKey, "application/x-ndjson", batch);
  const perEvent = await calls(session);
  await session.post("Profiler.stopPreciseCoverage");

  if (process.env["RECORD"] === "1") writeFileSync(LIST, listOf(perEvent, perRequest));
  const [listedPerEvent = [], listedPerRequest = []] = readFileSync(LIST, "utf8")
    .split("\n\n")
    .map((part) => part.split("\n"));
  assert.ok(often(perRequest, EVENTS).length > 50 && often(perEvent, EVENTS).length > 10, "functions are counted");
  assert.deepEqual(missing(often(perEvent, EVENTS), listedPerEvent), [], "added for each event of a batch");
  assert.deepEqual(missing(often(perRequest, EVENTS), listedPerRequest), [], "added for each request and commit");
});

/** Timers run more often the longer the requests take, as on a busy machine. */
function without(idle: Map<string, number>, times: number, counts: Map<string, number>): Map<string, number> {
  return new Map(Array.from(counts, ([name, count]) => [name, count - Math.ceil((idle.get(name) ?? 0) * times)]));
}

function listOf(perEvent: Map<string, number>, perRequest: Map<string, number>): string {
  const half = EVENTS / 2;
  return [
    "# For each event of a batch",
    ...often(perEvent, half),
    "",
    "# For each request with one event, and its commit",
    ...often(perRequest, half),
    "",
  ].join("\n");
}

function often(counts: Map<string, number>, least: number): string[] {
  return [...counts]
    .filter(([, count]) => count >= least)
    .map(([name]) => name)
    .sort();
}

function missing(found: string[], listed: string[]): string[] {
  return found.filter((name) => !listed.includes(name));
}

async function send(url: string, apiKey: string, type: string, body: string): Promise<void> {
  const headers = { "Content-Type": type, "X-API-Key": apiKey };
  const reply = await fetch(url, { method: "POST", headers, body });
  assert.equal(reply.status, 202, await reply.text());
}

/** How often each function of src was called since the last call, by file and name; the most called of a name is first. */
async function calls(session: Session): Promise<Map<string, number>> {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const found = new Map<string, number[]>();
  for (const { url, functions } of result) {
    const file = /.*\/(src\/.+)\.[jt]s/.exec(url)?.[1];
    if (file === undefined) continue;
    for (const { functionName, ranges } of functions) {
      const name = `${file} ${functionName || "(anonymous)"}`;
      found.set(name, [...(found.get(name) ?? []), ranges[0]?.count ?? 0]);
    }
  }
  const numbered = [...found].flatMap(([name, counts]) =>
    counts
      .sort((a, b) => b - a)
      .map((count, index): [string, number] => [index === 0 ? name : `${name} ${index + 1}`, count]),
  );
  return new Map(numbered);
}
