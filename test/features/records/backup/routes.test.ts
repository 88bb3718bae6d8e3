import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

interface Archive {
  readonly name: string;
  readonly bytes: number;
  readonly version: string | null;
  readonly key: string;
  readonly checkedAt: string | null;
  readonly problem: string | null;
}
interface Job {
  readonly state: string;
  readonly result: Record<string, unknown> | null;
  readonly progress: { percent: number } | null;
  readonly lastError: string | null;
}

const PATH = "/api/v1/backups";
const list = async (prism: TestPrism) => (await prism.get<{ data: Archive[]; directory: string }>(PATH)).body;

async function done(prism: TestPrism, jobId: unknown): Promise<Job> {
  let job: Job | null = null;
  await eventually("the job is done", async () => {
    job = (await prism.get<Job>(`/api/v1/jobs/${String(jobId)}`)).body;
    return job.state === "succeeded" || job.state === "dead";
  });
  assert.ok(job);
  return job;
}

test("a backup is made as a job, checked, listed, downloaded by a ticket and deleted", async (t) => {
  const prism = await startPrism(t);
  assert.deepEqual((await list(prism)).data, []);
  const [first, second] = await Promise.all([prism.post(PATH, {}), prism.post(PATH, {})]);
  assert.equal(first.status, 202, first.text);
  assert.equal(first.body["jobId"], second.body["jobId"], "one at a time");
  const made = await done(prism, first.body["jobId"]);
  assert.equal(made.state, "succeeded", made.lastError ?? "");
  const name = String(made.result?.["name"]);
  const { data, directory } = await list(prism);
  assert.equal(directory, join(prism.dir, "backups"));
  const [archive] = data;
  assert.deepEqual([archive?.name, archive?.key, archive?.problem], [name, "current", null]);
  assert.ok(archive?.checkedAt);
  const again = await prism.post(`${PATH}/${name}/verify`, {});
  assert.deepEqual((await done(prism, again.body["jobId"])).result, { name, ok: true, problem: null });
  const file = join(directory, name);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { body: ticket } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", {});
  const reply = await fetch(`${prism.url}${PATH}/${name}/download?ticket=${ticket.ticket}`);
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get("content-disposition") ?? "", /attachment; filename="prism-/);
  const bytes = Buffer.from(await reply.arrayBuffer());
  assert.equal(createHash("sha256").update(bytes).digest("hex"), made.result?.["sha256"]);
  assert.deepEqual(bytes, readFileSync(file));
  assert.equal((await fetch(`${prism.url}${PATH}/${name}/download?ticket=${ticket.ticket}`)).status, 401);
  assert.equal((await prism.delete(`${PATH}/${name}`)).status, 204);
  assert.equal(existsSync(file), false);
  assert.deepEqual((await list(prism)).data, []);
  const actions = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?action=backup.*");
  assert.deepEqual(actions.body.data.map(({ action }) => action).sort(), [
    "backup.create",
    "backup.delete",
    "backup.download",
  ]);
});

test("names form no path out of the directory, and links and other files are no backups", async (t) => {
  const prism = await startPrism(t);
  const dir = join(prism.dir, "backups");
  mkdirSync(dir, { mode: 0o700 });
  writeFileSync(join(dir, "other.tar"), "x");
  symlinkSync(join(prism.dir, "prism.db"), join(dir, "prism-20260131T080000Z.tar"));
  assert.deepEqual((await list(prism)).data, []);
  for (const name of [
    "..%2Fprism.db",
    "other.tar",
    "prism-20260131T080000Z.tar",
    "%2e%2e%2fsecrets.json",
    ".checks.json",
  ])
    for (const [method, path] of [
      ["GET", `${PATH}/${name}/download`],
      ["POST", `${PATH}/${name}/verify`],
      ["DELETE", `${PATH}/${name}`],
    ] as const) {
      const { status } = await prism.request(method, path, method === "POST" ? {} : undefined);
      assert.ok(status === 404 || status === 400, `${method} ${path}: ${status}`);
    }
  assert.ok(existsSync(join(dir, "other.tar")) && existsSync(join(prism.dir, "prism.db")));
});

test("a damaged archive is listed with its problem, and its check fails", async (t) => {
  const prism = await startPrism(t);
  const made = await done(prism, (await prism.post(PATH, {})).body["jobId"]);
  const name = String(made.result?.["name"]);
  const file = join(prism.dir, "backups", name);
  const bytes = readFileSync(file);
  bytes.fill(1, bytes.length - 8192, bytes.length - 4096);
  writeFileSync(file, bytes);
  const { body } = await prism.post(`${PATH}/${name}/verify`, {});
  const { result } = await done(prism, body["jobId"]);
  assert.equal(result?.["ok"], false);
  const [archive] = (await list(prism)).data;
  assert.equal(archive?.problem, result?.["problem"]);
  writeFileSync(join(prism.dir, "backups", "prism-20200101T000000Z.tar"), "not an archive");
  const last = (await list(prism)).data.at(-1);
  assert.deepEqual([last?.name, last?.version, last?.key], ["prism-20200101T000000Z.tar", null, "unknown"]);
  assert.ok(last?.problem);
});
