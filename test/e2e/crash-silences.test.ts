import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import type { Incident } from "../../src/client/api-types.gen.ts";
import { chanceOf, type Random } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 10;
const NAMES = ["A", "B", "C"];
const LONG_MS = 86_400_000;

interface Silence {
  readonly id: string;
}

/** What the server answered before it was killed; nothing of a request without an answer. */
class Answers {
  readonly isSnoozed = new Map<string, boolean>();
  /** Ids of silences by the Idempotency-Key that created them; null: not answered yet. */
  readonly silences = new Map<string, string | null>();
  /** Whether a silence lasts, by id. */
  readonly lasts = new Map<string, boolean>();
}

test(`killed ${KILLS} times while incidents are snoozed and silences start and end: nothing answered is lost, nothing happens twice`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const answers = new Answers();
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    if (kill === 0) await prepare(prism);
    await check(prism, answers);
    const load = send(prism, random, answers);
    await new Promise((resolve) => setTimeout(resolve, random.integer(30, 250)));
    await prism.kill();
    await load;
  }
  await prism.start();
  await check(prism, answers);
  for (const { id } of await incidentsOf(prism)) await act(prism, id, "unsnooze", {});
  for (const { id } of await activeSilences(prism)) await expire(prism, id);
  await eventually("every silence has its end", async () => {
    const ends = await prism.all<{ type: string }>("/api/v1/events?type=silence.ended");
    return ends.length === answers.silences.size;
  });
  const { body } = await prism.call<{ ok: boolean }>("GET", "/api/v1/audit/verify");
  assert.equal(body.ok, true, "the audit chain verifies");
  assert.equal(await prism.stop(), 0);

  const database = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  t.after(() => database.close());
  const count = (sql: string): number => database.prepare<[], number>(sql).pluck().get() ?? Number.NaN;
  assert.equal(count("select count(*) from silences"), answers.silences.size, "a key creates one silence");
  for (const type of ["silence.started", "silence.ended"])
    assert.equal(
      count(`select count(distinct payload ->> 'silenceId') from events where type = '${type}'`),
      count(`select count(*) from events where type = '${type}'`),
      `${type}: once for each silence`,
    );
  for (const [kind, action] of [
    ["snoozed", "incident.snooze"],
    ["unsnoozed", "incident.unsnooze"],
  ])
    assert.equal(
      count(`select count(*) from incident_log where kind = '${kind}'`),
      count(`select count(*) from audit_log where action = '${action}'`),
      `${kind}: each change is in the timeline and in the audit log`,
    );
  assert.equal(
    count("select count(*) from incident_log where kind = 'snoozed'"),
    count("select count(*) from events where type = 'incident.snoozed'"),
  );
  assert.equal(
    count("select count(*) from incidents where snoozedUntil is not null or state <> 'open'"),
    0,
    "every incident is open again",
  );
  const repeated = "select 1 from notifications where incidentId is not null group by dedupeKey having count(*) > 1";
  assert.equal(count(`select count(*) from (${repeated})`), 0, "no notification twice");
  t.diagnostic(`${answers.silences.size} silences, ${count("select count(*) from incident_log")} rows of timelines`);
});

/** An incident for each name, and a person who is notified. */
async function prepare(prism: PrismBinary): Promise<void> {
  const made = async (method: string, path: string, body: object): Promise<void> => {
    const reply = await prism.call(method, `/api/v1${path}`, body);
    assert.ok(reply.status < 300, `${path}: ${JSON.stringify(reply.body)}`);
  };
  await made("POST", "/users", { username: "ann", email: "ann@example.org", password: "the password of ann" });
  await made("POST", "/projects/default/members", { userId: "ann", role: "editor" });
  await made("PUT", "/routes", { route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0 } });
  await made("POST", "/alerts", { alerts: NAMES.map((name) => ({ key: name, labels: { alertname: name } })) });
  await eventually("each alert has its incident", async () => (await incidentsOf(prism)).length === NAMES.length);
}

function incidentsOf(prism: PrismBinary): Promise<Incident[]> {
  return prism.all<Incident>("/api/v1/incidents?state=unresolved");
}

function activeSilences(prism: PrismBinary): Promise<Silence[]> {
  return prism.all<Silence>("/api/v1/silences?state=active");
}

/** What was answered before the kill is in effect; a repeated request has no second effect. */
async function check(prism: PrismBinary, { isSnoozed, silences, lasts }: Answers): Promise<void> {
  const incidents = await incidentsOf(prism);
  assert.equal(incidents.length, NAMES.length);
  for (const each of incidents) assert.equal(each.isSnoozed, isSnoozed.get(each.id) ?? each.isSnoozed, each.id);
  for (const [key, id] of silences) if (id === null) await create(prism, key, { isSnoozed, silences, lasts });
  const active = new Set((await activeSilences(prism)).map(({ id }) => id));
  for (const [id, isActive] of lasts) assert.equal(active.has(id), isActive, id);
}

async function act(prism: PrismBinary, id: string, action: string, body: object): Promise<void> {
  const { status } = await prism.call("POST", `/api/v1/incidents/${id}/${action}`, body);
  assert.equal(status, 200);
}

async function create(prism: PrismBinary, key: string, { silences, lasts }: Answers): Promise<void> {
  silences.set(key, null);
  const name = NAMES[Number(key.slice(1)) % NAMES.length];
  const response = await fetch(`${prism.url}/api/v1/silences`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${prism.token}`,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    },
    body: JSON.stringify({ matchers: [`alertname="${name}"`], durationMs: LONG_MS, comment: key }),
  });
  const { id } = (await response.json()) as Silence;
  assert.equal(response.status, 201);
  silences.set(key, id);
  lasts.set(id, true);
}

async function expire(prism: PrismBinary, id: string): Promise<void> {
  const headers = { Authorization: `Bearer ${prism.token}` };
  const { status } = await fetch(`${prism.url}/api/v1/silences/${id}`, { method: "DELETE", headers });
  assert.ok(status === 204 || status === 409, `${status}`);
}

/** Snoozes, unsnoozes, silences and expires until the server is gone. */
async function send(prism: PrismBinary, random: Random, answers: Answers): Promise<void> {
  const { isSnoozed, silences, lasts } = answers;
  try {
    const incidents = await incidentsOf(prism);
    for (;;) {
      const { id = "" } = incidents[random.integer(0, incidents.length - 1)] ?? {};
      const lasting = [...lasts].filter(([, isActive]) => isActive).map(([silence]) => silence);
      const kind = random.integer(0, 3);
      if (kind < 2) {
        isSnoozed.delete(id);
        await act(prism, id, kind === 0 ? "snooze" : "unsnooze", kind === 0 ? { durationMs: LONG_MS } : {});
        isSnoozed.set(id, kind === 0);
      } else if (kind === 2) await create(prism, `k${silences.size}`, answers);
      else if (lasting.length > 0) {
        const silence = lasting[random.integer(0, lasting.length - 1)] ?? "";
        lasts.delete(silence);
        await expire(prism, silence);
        lasts.set(silence, false);
      }
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    // The server was killed.
  }
}
