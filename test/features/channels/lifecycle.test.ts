import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { SERVICES } from "./support/all.ts";
import { presetOf } from "./support/contract.ts";
import { type Seen, type StandIn, startStandIn } from "./support/stand-in.ts";

type Status = "firing" | "acknowledged" | "resolved";

interface Room {
  readonly projectId: string;
  readonly id: string;
  readonly standIn: StandIn;
}

/** More than any rate of a preset holds messages back. */
const STEP_MS = 120_000;

function open(clock: FakeClock): Parameters<typeof startPrism>[1] {
  return { clock, settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" } };
}

async function show(prism: TestPrism, clock: FakeClock, rooms: readonly Room[], status: Status): Promise<void> {
  clock.advance(STEP_MS);
  const { outbox } = prism.parts.offers.serviceChannels;
  const severity = "critical";
  const texts = { title: `Disk ${status}`, message: "db-1", url: "https://prism.example/i/1" };
  const notice = { ...texts, severity, status, priority: 800, key: "incident:1", atMs: clock.now() } as const;
  await prism.services.db.write(async (trx) => {
    const page = {
      incidentId: "1",
      projectId: rooms[0]?.projectId ?? "",
      step: 0,
      reason: "step",
      urgency: "high",
    } as const;
    for (const { id } of rooms) await outbox.enqueue(trx, { channelId: id, notice }, page);
  });
  prism.parts.offers.runner.reload();
  await eventually(`all channels have sent: ${status}`, () => {
    const rows = rowsOf<{ wantedVersion: number; sentVersion: number }>(prism, "select * from channel_messages");
    return rows.every(({ wantedVersion, sentVersion }) => wantedVersion === sentVersion);
  });
}

/** What readers have at the end of an alert's life, by the requests that a preset has. */
function expected(name: string): { readonly messages: number; readonly state?: string; readonly edits?: number } {
  const preset = presetOf(name);
  if (preset.resolve) return { messages: 1, state: "resolved" };
  if (preset.update) return { messages: 1, edits: 2 };
  if (preset.thread) return { messages: 3 };
  // ntfy knows messages by a sequence: the second changes the first.
  if (name === "ntfy") return { messages: 1, edits: 1 };
  return { messages: 2 };
}

test("an alert fires, is acknowledged and is resolved in the form of every service", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, open(clock));
  const { id: projectId } = await makeProject(prism);
  const rooms: Room[] = [];
  for (const makeService of SERVICES) {
    const standIn = await startStandIn(t, makeService());
    const { preset, fields } = standIn.service;
    const body = { name: preset, preset, projectId, fields: fields(standIn.url) };
    const made = await prism.post<{ id: string }>("/api/v1/channels", body);
    assert.equal(made.status, 201, `${preset}: ${made.text}`);
    for (const secret of standIn.service.secrets) assert.ok(!made.text.includes(secret), preset);
    rooms.push({ id: made.body.id, projectId, standIn });
  }
  for (const status of ["firing", "acknowledged", "resolved"] as const) await show(prism, clock, rooms, status);
  for (const { standIn } of rooms) {
    const { preset } = standIn.service;
    const { messages, state, edits } = expected(preset);
    const [first] = standIn.seen as [Seen, ...Seen[]];
    assert.equal(standIn.seen.length, messages, `${preset}: ${JSON.stringify(standIn.seen)}`);
    if (state !== undefined) assert.equal(first.state, state, preset);
    if (edits !== undefined)
      assert.deepEqual([first.edits, first.text.includes("Disk resolved")], [edits, true], preset);
    if (preset === "jira") assert.deepEqual(valuesOf(standIn.seen, "parent"), [undefined, first.id, first.id]);
  }
  assert.deepEqual(rowsOf(prism, "select preset, disabledReason from channels where active = 0 or failures > 0"), []);
  assert.deepEqual(rowsOf(prism, "select channelId, error from channel_messages where error is not null"), []);
});
