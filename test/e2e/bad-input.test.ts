import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { eventually } from "../helpers/eventually.ts";
import { RawConnection } from "../http/support/raw-connection.ts";
import { type BadRequest, bytesOf, JSON_TYPE, type Target } from "./bad-input/bad-request.ts";
import { badBodies } from "./bad-input/bodies.ts";
import { badConditions } from "./bad-input/conditions.ts";
import { BROKEN_FRAMES, badFrames, frameOutcome, sendBroken } from "./bad-input/frames.ts";
import { generatedRequests } from "./bad-input/generated.ts";
import { badHeads } from "./bad-input/heads.ts";
import { PrismBinary } from "./prism-binary.ts";

const AT_ONCE = 8;
/** A connection follows 64 streams. */
const PROJECTS = 65;
const SILENCE_LIMIT_MS = 100_000;
const WARM_UP_ROUNDS = 2;
const ROUNDS = 3;
/**
 * What the rounds may add: the heap of a process that has just worked grew by 33 to 90 MiB on a
 * machine that was more or less busy.
 */
const MAX_GROWTH_BYTES = 128 * 1024 * 1024;

test("bad input: each gets its documented answer, nothing is stored, the server lives and its memory stays flat", async (t) => {
  const prism = new PrismBinary(t, {
    // Hundreds of requests without credentials from one address: the limit has tests of its own.
    // Strict about events: by default members of other systems are taken into the payload.
    env: { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_REALTIME_MAX_PER_USER: "1000", PRISM_INGEST_LENIENT: "false" },
  });
  await prism.start();
  const { target, projects } = await prepare(prism);
  const { pid } = prism;
  const requests = [...badHeads(target), ...badBodies(target), ...generatedRequests(target), ...badConditions(target)];
  const frames = badFrames(target, projects);
  const before = contentsOf(prism);

  await t.test("they are many, and no two are the same", () => {
    const bytes = new Set(requests.map((request) => request.bytes.toString("latin1")));
    assert.deepEqual(repeated(requests.map(({ name }) => name)), []);
    assert.equal(bytes.size, requests.length);
    assert.ok(requests.length + frames.length + BROKEN_FRAMES.length >= 1000, "at least 200, by the issue");
    t.diagnostic(`${requests.length} requests, ${frames.length} messages, ${BROKEN_FRAMES.length} broken frames`);
  });
  await t.test("requests", async (t) => assert.deepEqual(await wrongAnswers(t, target, requests), []));
  await t.test("messages on sockets", async () => assert.deepEqual(await wrongFrames(target, frames), []));
  await t.test("frames that no client sends", async () => {
    await Promise.all(BROKEN_FRAMES.map(([, bytes]) => sendBroken(target, bytes)));
  });
  await t.test("requests that are cut off", () => cutOff(target));
  await t.test("nothing is stored: every row of every table is as it was", () => {
    assert.deepEqual(changes(before, contentsOf(prism)), []);
  });
  await t.test("the same process serves on", async () => {
    assert.equal(prism.pid, pid);
    assert.equal((await fetch(`${prism.url}/health`)).status, 200);
    assert.equal((await prism.call("GET", "/api/v1/users/me")).status, 200);
  });
  await t.test("its memory stays flat", async (t) => {
    const quick = requests.filter(({ isSlow }) => isSlow !== true);
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round++) {
        await wrongAnswers(t, target, quick);
        await wrongFrames(target, frames);
      }
    };
    await rounds(WARM_UP_ROUNDS);
    const first = residentBytes(pid);
    await rounds(ROUNDS);
    const last = residentBytes(pid);
    t.diagnostic(`${first >> 20} MiB, after ${ROUNDS} more rounds ${last >> 20} MiB`);
    assert.ok(last - first < MAX_GROWTH_BYTES, `${first} bytes grew to ${last}`);
  });
  await t.test("and still nothing is stored, and the next good event is", async () => {
    assert.deepEqual(changes(before, contentsOf(prism)), []);
    assert.equal((await prism.call("POST", "/api/v1/events", { type: "good" })).status, 202);
    assert.equal(await prism.stop(), 0);
  });
});

async function prepare(prism: PrismBinary): Promise<{ target: Target; projects: string[] }> {
  const projects: string[] = [];
  let apiKey = "";
  for (let n = 0; n < PROJECTS; n++) {
    const { body } = await prism.call<{ id: string; apiKey: string }>("POST", "/api/v1/projects", { name: `p${n}` });
    projects.push(body.id);
    apiKey = body.apiKey;
  }
  const rule = await prism.call<{ id: string }>("POST", "/api/v1/rules", {
    name: "r",
    condition: "event.type == 'never'",
    targetRoles: ["Admin"],
  });
  await prism.call("POST", "/api/v1/events", { type: "a" });
  const target = {
    port: Number(new URL(prism.url).port),
    token: prism.token,
    apiKey,
    project: projects.at(-1) ?? "",
    rule: rule.body.id,
  };
  return { target, projects };
}

type Contents = Readonly<Record<string, readonly string[]>>;

/**
 * Every row of every table, but for when a key or token was last used, which is noted now and then.
 */
function contentsOf(prism: PrismBinary): Contents {
  const db = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  try {
    const names = db
      .prepare<[], string>(
        // Stored bytes are counted once a minute.
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name <> 'project_storage' order by name",
      )
      .pluck()
      .all();
    const rows = (name: string): string[] =>
      db
        .prepare<[], Record<string, unknown>>(`select * from "${name}"`)
        .all()
        // The server's own probe of the disk, its mark of the last commit, and how far it has counted.
        .filter(({ key }) => !/^stor(e|age)\./.test(String(key)))
        .map(({ lastUsedAt: _noted, ...row }) => JSON.stringify(row));
    return Object.fromEntries(names.map((name) => [name, rows(name)]));
  } finally {
    db.close();
  }
}

/** Rows that are new or gone, with the table's name. */
function changes(before: Contents, after: Contents): string[] {
  assert.deepEqual(Object.keys(after), Object.keys(before));
  return Object.entries(after).flatMap(([table, rows]) => {
    const [old, now] = [new Set(before[table]), new Set(rows)];
    const added = rows.filter((row) => !old.has(row)).map((row) => `+ ${table} ${row}`);
    return [...added, ...[...old].filter((row) => !now.has(row)).map((row) => `- ${table} ${row}`)];
  });
}

/** What was answered otherwise than it is documented, in words. */
async function wrongAnswers(t: TestContext, target: Target, requests: readonly BadRequest[]): Promise<string[]> {
  const slow = requests.filter(({ isSlow }) => isSlow === true).map((request) => difference(t, target, request));
  const quick = await inTurns(
    requests.filter(({ isSlow }) => isSlow !== true),
    (request) => difference(t, target, request),
  );
  return [...quick, ...(await Promise.all(slow))].filter((each) => each !== null);
}

async function difference(t: TestContext, { port }: Target, request: BadRequest): Promise<string | null> {
  const connection = await RawConnection.open(t, port);
  connection.send(request.bytes);
  const said = await answerOf(connection, request).catch((error: unknown) => String(error));
  connection.destroy();
  const { name, status, code, detail } = request;
  const expected = [status, code, detail].filter((part) => part !== undefined).join(" ");
  return said === (status === null ? "closed" : expected) ? null : `${name}: ${said} in place of ${expected}`;
}

async function answerOf(
  connection: RawConnection,
  { status, code, detail, method, isSlow }: BadRequest,
): Promise<string> {
  if (isSlow) await connection.closed(SILENCE_LIMIT_MS);
  if (status === null) return connection.unread === "" ? "closed" : connection.unread;
  const reply = await connection.reply(method);
  if (code === undefined) return String(reply.status);
  const { error } = JSON.parse(reply.body) as { error: { code: string; details?: { code?: string }[] } };
  const first = detail === undefined ? [] : [error.details?.[0]?.code];
  return [reply.status, error.code, ...first].join(" ");
}

async function wrongFrames(target: Target, frames: ReturnType<typeof badFrames>): Promise<string[]> {
  const wrong = await inTurns(frames, async (frame) => {
    const outcome = await frameOutcome(target, frame);
    return outcome === frame.outcome ? null : `${frame.path}, ${frame.name}: ${outcome} in place of ${frame.outcome}`;
  });
  return wrong.filter((each) => each !== null);
}

/** Some at a time, in order. */
async function inTurns<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(run))));
  }
  return results;
}

/** Good requests whose sender goes away at every point of them. */
async function cutOff({ port, token }: Target): Promise<void> {
  const lines = [`Authorization: Bearer ${token}`, JSON_TYPE];
  const whole = bytesOf(
    "POST",
    "/api/v1/events",
    lines,
    JSON.stringify({ type: "cut", payload: { text: "x".repeat(200) } }),
  );
  for (let end = 1; end < whole.length; end += 17) {
    await new Promise<void>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(whole.subarray(0, end), () => socket.destroy()));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
  }
  await eventually("an answer to somebody else", async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok);
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, at) => names.indexOf(name) !== at);
}

/** Resident memory of a process, from /proc on Linux, otherwise from `ps`. */
function residentBytes(pid: number): number {
  const file = `/proc/${pid}/status`;
  const kib = existsSync(file)
    ? /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(file, "utf8"))?.[1]
    : spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }).stdout;
  assert.ok(Number(kib) > 0, `the memory of process ${pid} cannot be read`);
  return Number(kib) * 1024;
}
