import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cpSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { databaseIn, RunningCli, runCli, runJson } from "../cli/run-cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { column, temporaryDir } from "../helpers/store.ts";
import { gapsOf, offsetsOf } from "../live/support/live-client.ts";
import { nativeProtocol } from "../live/support/native-protocol.ts";

const CLIENTS = 6;
const BACKUPS = 4;
const BATCH = 20;

interface Served {
  readonly url: string;
  readonly token: string;
  readonly server: RunningCli;
}

async function serve(t: TestContext, cwd: string, dataDir: string): Promise<Served> {
  const env = { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false" };
  const server = new RunningCli(t, ["serve", "--port", "0", "--data-dir", dataDir], { cwd, env });
  const [, url = ""] = await server.until(/Prism is ready: (\S+)/);
  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as { token: string };
  return { server, url, token };
}

async function post<T>({ url, token }: Served, path: string, body: unknown): Promise<T> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

async function get<T>({ url, token }: Served, path: string): Promise<T> {
  return (await (await fetch(url + path, { headers: { Authorization: `Bearer ${token}` } })).json()) as T;
}

/**
 * Sends singles and batches until it is stopped. Every third event fires; the seq of every
 * acknowledged event is recorded.
 */
class Load {
  readonly acknowledged = new Set<number>();
  readonly #served: Served;
  readonly #clients: Promise<void>[];
  #isOver = false;
  #n = 0;

  constructor(served: Served) {
    this.#served = served;
    this.#clients = Array.from({ length: CLIENTS }, (_, client) => this.#send(client % 2 === 0 ? 1 : BATCH));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  async #send(size: number): Promise<void> {
    while (!this.#isOver) {
      const events = Array.from({ length: size }, () => {
        const n = ++this.#n;
        return {
          id: randomUUID(),
          type: n % 3 === 0 ? "load.due" : "load.other",
          payload: { n, text: "x".repeat(200) },
        };
      });
      if (size === 1) {
        const { seq } = await post<{ seq: number }>(this.#served, "/api/v1/events", events[0]);
        this.acknowledged.add(seq);
      } else {
        const { firstSeq, lastSeq } = await post<{ firstSeq: number; lastSeq: number }>(
          this.#served,
          "/events",
          events,
        );
        // A batch may be sealed in two sets with others between them; its first and last are
        // certain.
        this.acknowledged.add(firstSeq).add(lastSeq);
      }
    }
  }
}

interface Archive {
  readonly file: string;
  /** What had been acknowledged when the command began. */
  readonly before: ReadonlySet<number>;
}

/** Makes backups during the load, each a while after the previous one. */
async function backUpUnder(load: Load, cwd: string, data: string): Promise<Archive[]> {
  const archives: Archive[] = [];
  for (let n = 0; n < BACKUPS; n++) {
    const enough = load.acknowledged.size + 50;
    await eventually("there is load", () => load.acknowledged.size >= enough, 60_000);
    const before = new Set(load.acknowledged);
    const file = join(cwd, `archive-${n}.tar`);
    await runJson(["backup", file, "--data-dir", data, "--verify"], { cwd });
    assert.ok(load.acknowledged.size > before.size, "the server went on meanwhile");
    archives.push({ file, before });
  }
  return archives;
}

function openRestored(t: TestContext, file: string): Sqlite {
  const db = new SqliteDatabase(file, { readonly: true });
  t.after(() => db.close());
  return db;
}

/**
 * Everything that one commit wrote is there, and nothing of a later one. @returns the last event
 */
function requireOneCommitPoint(restored: Sqlite, live: Sqlite, { before }: Archive): number {
  const seqs = column<number>(restored, "select seq from events order by seq");
  const last = seqs.length;
  assert.deepEqual(
    seqs,
    Array.from({ length: last }, (_, n) => n + 1),
    "events 1 to n, without a hole",
  );
  assert.deepEqual(
    [...before].filter((seq) => seq > last),
    [],
    "what was acknowledged before is in it",
  );
  const texts = "select id || type || payload || receivedAt from events where seq <= ? order by seq";
  assert.deepEqual(column(restored, texts, last), column(live, texts, last), "the rows are those of the server");

  const due = column(
    restored,
    "select seq from events where type = 'load.due' and processedAt is not null order by seq",
  );
  assert.ok(due.length > 0);
  const decided = "select eventSeq from decisions where outcome = 'fired' order by eventSeq";
  assert.deepEqual(column(restored, decided), due, "a decision for each event that was decided, and for no other");
  const told = `select d.eventSeq from decisions d join events e on e.seq = d.eventSeq
    join notifications n on n.id = d.notificationId and n.eventId = e.id
    join notification_recipients r on r.notificationId = n.id order by d.eventSeq`;
  assert.deepEqual(column(restored, told), due, "with its notification and its recipient");
  for (const [what, sql] of [
    ["notifications", "select count(*) from notifications"],
    ["recipients", "select count(*) from notification_recipients"],
  ] as const)
    assert.deepEqual(column(restored, sql), [due.length], `no ${what} beside those`);
  assert.equal(restored.pragma("integrity_check", { simple: true }), "ok");
  assert.deepEqual(restored.pragma("foreign_key_check"), []);
  return last;
}

test("S4-17, S4-18 backed up under ingest load and restored elsewhere: exactly the rows of one commit point, a chain that verifies, streams that go on", async (t) => {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  const origin = await serve(t, cwd, data);
  await post(origin, "/api/v1/rules", { name: "due", condition: "event.type == 'load.due'", targetUsers: ["me"] });
  const load = new Load(origin);
  const archives = await backUpUnder(load, cwd, data);
  await load.end();
  const refused = await runCli(["restore", archives[0]?.file ?? "", "--yes", "--data-dir", data], { cwd });
  assert.deepEqual([refused.status, /holds the data directory/.test(refused.stderr)], [4, true], refused.stderr);
  origin.server.signal("SIGTERM");
  assert.equal(await origin.server.ended(), 0);

  const live = openRestored(t, databaseIn(data));
  const total = column<number>(live, "select count(*) from events")[0] ?? 0;
  let last = 0;
  let dir = "";
  for (const [n, archive] of archives.entries()) {
    dir = join(cwd, `restored-${n}`);
    const args = ["restore", archive.file, "--to", dir, "--data-dir", data];
    const { offsets } = await runJson<{ offsets: { events: number } }>(args, { cwd });
    const restored = openRestored(t, databaseIn(dir));
    const point = requireOneCommitPoint(restored, live, archive);
    assert.ok(point >= last && point <= total, "each later than the one before");
    assert.ok(offsets.events >= point + 1_000_000);
    last = point;
    restored.close();
  }
  assert.ok(last < total, "the last backup, too, was over before the load was");
  await checkServer(t, cwd, data, dir, last);
});

/**
 * A server on the restored data: the trail verifies, new events get higher numbers than all old
 * ones, and a client with a later offset gets a gap.
 */
async function checkServer(t: TestContext, cwd: string, data: string, dir: string, last: number): Promise<void> {
  cpSync(join(data, "secrets.json"), join(dir, "secrets.json"));
  const served = await serve(t, cwd, dir);
  const verdict = await get<{ ok: boolean }>(served, "/api/v1/audit/verify");
  assert.equal(verdict.ok, true, JSON.stringify(verdict));
  const { seq } = await post<{ seq: number }>(served, "/api/v1/events", { type: "load.after" });
  assert.ok(seq > last + 1_000_000, String(seq));
  const db = openRestored(t, databaseIn(dir));
  const [projectId = ""] = column<string>(db, "select id from projects where slug = 'default'");
  for (const [what, from] of [
    ["one that had seen all that was restored", last],
    ["one that had seen what was lost", last + 7],
  ] as const) {
    const client = await nativeProtocol.connect({ ...served, projectId }, { from });
    t.after(() => client.close());
    await eventually(`${what} gets the new event`, () => offsetsOf(client).includes(seq));
    assert.deepEqual(gapsOf(client), [{ from, to: seq - 1 }], what);
    assert.deepEqual(offsetsOf(client), [seq], what);
  }
  served.server.signal("SIGTERM");
  assert.equal(await served.server.ended(), 0);
}
