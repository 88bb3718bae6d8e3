import assert from "node:assert/strict";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { Cluster } from "../../src/client/api-types.gen.ts";
import { limitActing } from "../../src/core/runtime.ts";
import { DAY_MS } from "../../src/core/time/clock.ts";
import { drillDueAt, storeTakeOverDrill } from "../../src/features/health/cluster/drill.ts";
import { runCli } from "../cli/run-cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { leadWith } from "./support/lead.ts";

/** Longer than the leader waits between two looks. */
const PATIENCE_MS = 60_000;
const NEVER = "The loss of a machine was never drilled: prism drill --takeover";
const OLD = "The loss of a machine was last drilled over a month ago: prism drill --takeover";

test("administrators are asked for a drill a month after the cluster began, and a month after each one", async (t) => {
  const clock = new FakeClock();
  // A drill holds back the calls of its whole process, in which other tests follow.
  t.after(() => limitActing(null));
  const { lead, steps } = leadWith([{}]);
  const prism = await startPrism(t, { clock, cluster: lead });
  await eventually(
    "the leader has noted when it began",
    async () => (await drillDueAt(prism.parts.core.db.read)) !== null,
  );
  clock.advance(32 * DAY_MS);
  const titles = async ({ parts }: TestPrism): Promise<string[]> => {
    const rows = await parts.core.db.read.selectFrom("notifications").select("title").execute();
    return rows
      .map(({ title }) => title)
      .filter((title) => /drill/.test(title))
      .sort();
  };
  const until = (expected: readonly string[]) =>
    eventually(`notices: ${expected}`, async () => isDeepStrictEqual(await titles(prism), expected), PATIENCE_MS);
  await until([NEVER]);

  const { token } = (await prism.get<{ token: string }>("/dev/token", { token: null })).body;
  assert.equal((await prism.post("/api/v1/cluster/drill", {}, { token })).status, 202);
  await eventually("the leader ends as a lost machine", () => steps.includes("lost"));
  clock.advance(32 * DAY_MS);
  await until([OLD, NEVER]);
  const dueAt = async (): Promise<number> => (await drillDueAt(prism.parts.core.db.read)) ?? 0;
  await eventually("the next leader does not ask again", async () => (await dueAt()) > clock.now() + 30 * DAY_MS);
});

test("prism status and the API show the machine that was lost, how long no node led, and when that was", async (t) => {
  const dir = temporaryDir(t);
  const before = await startPrism(t, { dir });
  const statusOf = async ({ url, adminToken }: TestPrism) =>
    (await runCli(["status"], { cwd: dir, env: { PRISM_URL: url, PRISM_TOKEN: adminToken } })).stdout;
  assert.doesNotMatch(await statusOf(before), /machine lost/);
  const startedAt = Date.now() - 12 * DAY_MS;
  const drill = { startedAt, from: "b", drills: [], result: null };
  await before.parts.core.db.write((trx) => storeTakeOverDrill(trx, drill, startedAt));
  await before.stop();
  const { lead, clock } = leadWith([{}], startedAt);
  clock.now += 7800;
  lead.serves();
  const prism = await startPrism(t, { dir, cluster: lead });
  const stored = async () => (await prism.get<{ cluster: Cluster }>("/api/v1/cluster")).body.cluster.drill;
  await eventually("the drill has its result", async () => (await stored())?.withoutLeaderMs === 7800);
  assert.match(await statusOf(prism), /\nmachine lost +7\.8 s, 12 days ago\n/);
});
