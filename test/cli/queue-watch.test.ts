import assert from "node:assert/strict";
import test from "node:test";
import { makeJob } from "../features/time/jobs/support/make-jobs.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { jsonLines, makeDatabase, RunningCli, runCli, runJson } from "./run-cli.ts";

interface Queues {
  readonly queues: readonly { readonly name: string; readonly dead: number; readonly scheduled: number }[];
}

test("prism queue status --watch shows it again and again until it is interrupted, with --json a line each", async (t) => {
  const prism = await startPrism(t);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const watch = new RunningCli(t, ["queue", "status", "--queue", "digest", "--watch", "--json"], options);
  const seen = () => jsonLines<Queues>(watch.stdout.slice(0, watch.stdout.lastIndexOf("\n") + 1));
  await eventually("the first", () => seen().length > 0);
  await makeJob(prism);
  await eventually("the job shows", () => seen().at(-1)?.queues[0]?.scheduled === 1);
  assert.equal(seen()[0]?.queues[0]?.scheduled, 0);
  watch.signal("SIGINT");
  assert.equal(await watch.ended(), 130);

  const human = new RunningCli(t, ["queue", "dead", "--watch"], options);
  await human.until(/no dead jobs\nno dead jobs\n/);
  human.signal("SIGINT");
  assert.equal(await human.ended(), 130);
});

test("queue and explain work on a data directory without a server; only --watch needs one", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const { queues } = await runJson<{ queues: { name: string; paused: boolean }[] }>(["queue", "status"], { cwd });
  assert.ok(queues.some(({ name }) => name === "notification-delivery"));
  await runJson(["queue", "pause", "--queue", "digest"], { cwd });
  const paused = await runJson<{ paused: boolean }>(["queue", "status", "--queue", "digest"], { cwd });
  assert.match(JSON.stringify(paused), /"name":"digest".*"paused":true/);
  const resumed = await runJson<{ queues: { name: string }[] }>(["queue", "resume", "--all"], { cwd });
  assert.deepEqual(valuesOf(resumed.queues, "name"), ["digest"]);
  const none = await runCli(["explain", "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"], { cwd });
  assert.equal(none.status, 6, none.stderr);
  const watched = await runCli(["queue", "status", "--watch"], { cwd, env: { PORT: "1" } });
  assert.deepEqual([watched.status, /cannot reach/.test(watched.stderr)], [4, true], watched.stderr);
});
