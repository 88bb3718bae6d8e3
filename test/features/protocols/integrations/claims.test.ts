import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { type TestContext } from "node:test";
import type { Alert, AssignedClaim, IntegrationClaims } from "../../../../src/client/api-types.gen.ts";
import { hashToken } from "../../../../src/core/crypto/tokens.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { silentLogger } from "../../../../src/core/log.ts";
import type { IntegrationRow } from "../../../../src/features/protocols/integrations/integration.ts";
import { sweepAll } from "../../../../src/store/retention.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject } from "../../../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import type { Made } from "./support.ts";

const PATH = "/api/v1/integrations/claims";
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

interface Answer {
  readonly result?: string;
  readonly message?: string;
  readonly requestId: string;
  readonly took: number;
}

/** A server with requests of senders whose keys it does not know. */
class ClaimTest {
  readonly prism: TestPrism;
  readonly clock: FakeClock;

  private constructor(prism: TestPrism, clock: FakeClock) {
    this.prism = prism;
    this.clock = clock;
  }

  static async start(t: TestContext, log?: LogLines): Promise<ClaimTest> {
    const clock = new FakeClock();
    const settings = { "rateLimit.enabled": "false", "work.enabled": "false" };
    return new ClaimTest(await startPrism(t, { clock, settings, ...(log && { log }) }), clock);
  }

  send(key: string, path = "", body: unknown = { message: "Disk full" }): Promise<Reply<Answer>> {
    const headers = { Authorization: `GenieKey ${key}` };
    return this.prism.post<Answer>(`/v2/alerts${path}`, body, { token: null, headers });
  }

  /** Time passes, and the administrator signs in again. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    this.prism.adminToken = (await this.prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  }

  async open(durationMs = DAY_MS): Promise<void> {
    assert.equal((await this.prism.post(`${PATH}/window`, { durationMs })).status, 200);
  }

  async list(): Promise<IntegrationClaims> {
    return (await this.prism.get<IntegrationClaims>(PATH)).body;
  }

  assign(id: string, body: object): Promise<Reply<AssignedClaim>> {
    return this.prism.post<AssignedClaim>(`${PATH}/${id}`, body);
  }

  /** Requests of other senders, as they are stored. */
  async fill(count: number, of: (at: number) => { hash: string; address: string; bytes?: number }): Promise<void> {
    await this.prism.parts.base.database.write(async (trx) => {
      for (let at = 0; at < count; at++) {
        const row = {
          id: uuidv7(),
          claimId: of(at).hash,
          prefix: "",
          at: 0,
          action: "note",
          alias: null,
          message: null,
        };
        const kept = { body: "{}", bytes: 2, keptUntil: 0, outcome: null, assignedAt: null, integrationId: null };
        await trx
          .insertInto("integration_claims")
          .values({ ...row, ...kept, ...of(at) })
          .execute();
      }
    });
    this.prism.parts.features.apply({ type: "claims-changed" });
  }

  async finding(): Promise<{ readonly title: string } | undefined> {
    const { body } = await this.prism.get<{ items: { title: string; kind: string }[] }>("/api/v1/attention");
    return body.items.find(({ kind }) => kind === "config");
  }

  async firing(): Promise<readonly Alert[]> {
    return (await this.prism.get<{ data: Alert[] }>("/api/v1/alerts?state=firing")).body.data;
  }
}

test("closed, an unknown key is refused as before, and its body is not read", async (t) => {
  const it = await ClaimTest.start(t);
  const refused = await it.send(randomUUID());
  assert.deepEqual([refused.status, refused.body.message], [401, "Could not authenticate"]);
  assert.equal(
    (await it.send(randomUUID(), "", "x".repeat(2_000_000))).status,
    401,
    "not 413 or 400: it is not looked at",
  );
  assert.deepEqual(await it.list(), { openUntil: null, data: [] });
  assert.equal(await it.finding(), undefined);
});

test("open, a request is kept and its key assigned: alerts open, and the finding goes", async (t) => {
  const log = new LogLines("debug");
  const it = await ClaimTest.start(t, log);
  await it.open();
  const [key, other] = [randomUUID(), randomUUID()];
  const kept = await it.send(key, "", { message: "Disk full", alias: "disk", tags: ["db"] });
  assert.deepEqual([kept.status, kept.body.result], [202, "Request will be processed"]);
  assert.deepEqual(Object.keys(kept.body).sort(), ["requestId", "result", "took"]);
  assert.equal((await it.send(other, "/x/close", {})).status, 202);
  const { data } = await it.list();
  const claim = data.find(({ prefix }) => key.startsWith(prefix));
  assert.deepEqual(
    claim?.requests.map(({ action, alias, message, outcome }) => [action, alias, message, outcome]),
    [["create", "disk", "Disk full", null]],
  );
  assert.equal((await it.finding())?.title, "2 Opsgenie keys wait to be assigned");
  const notices = await it.prism.get<{ data: { title: string }[] }>("/api/v1/notifications");
  assert.equal(
    notices.body.data.filter(({ title }) => title === "An Opsgenie key waits").length,
    1,
    "of the first one",
  );

  const shop = await makeProject(it.prism);
  const assigned = await it.assign(claim?.id ?? "", { projectId: shop.id, name: "Zabbix" });
  assert.deepEqual([assigned.status, assigned.body.replayed, assigned.body.listed], [200, 1, 0]);
  const { kind, projectId, prefix } = assigned.body.integration;
  assert.deepEqual([kind, projectId, key.startsWith(prefix)], ["opsgenie", shop.id, true]);
  const { body: alerts } = await it.prism.get<{ data: Alert[] }>(`/api/v1/alerts?projectId=${shop.id}`);
  assert.deepEqual(
    alerts.data.map(({ labels }) => [labels["alertname"], labels["tag_db"]]),
    [["Disk full", "true"]],
  );
  // From now on the key works, and finds what was replayed.
  await it.send(key, "/disk/close?identifierType=alias", {});
  const ended = await it.prism.get<{ data: Alert[] }>(`/api/v1/alerts?projectId=${shop.id}&state=firing`);
  assert.deepEqual(ended.body.data, []);
  assert.equal((await it.assign(claim?.id ?? "", { name: "Again" })).status, 404);

  assert.equal((await it.finding())?.title, "1 Opsgenie key waits to be assigned");
  const last = (await it.list()).data.find(({ integrationId }) => integrationId === null);
  const second = await it.assign(last?.id ?? "", { name: "Other" });
  assert.deepEqual([second.status, second.body.replayed, second.body.listed], [200, 0, 1]);
  assert.equal(await it.finding(), undefined);

  await it.prism.post(`${PATH}/window`, { durationMs: 0 });
  const audit = await it.prism.get<{ data: { action: string }[] }>("/api/v1/audit?resourceType=claim");
  assert.deepEqual(audit.body.data.map(({ action }) => action).sort(), [
    "claim.assign",
    "claim.assign",
    "claim.close",
    "claim.open",
  ]);
  const rows = ["integration_claims", "integrations", "audit_log"].map((table) =>
    rowsOf(it.prism, `select * from ${table}`),
  );
  for (const each of [key, other]) assert.ok(!JSON.stringify([rows, log.lines]).includes(each), "only hash and prefix");
});

test("only requests that change alerts, with well-shaped keys and small bodies, are kept", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  for (const wrong of ["f".repeat(32), `${key}0`, "not-a-key", key.replace(/.$/, "g")])
    assert.equal((await it.send(wrong)).status, 401, wrong);
  const headers = { Authorization: `GenieKey ${key}` };
  for (const path of ["/v2/alerts", "/v2/alerts/x", "/v2/account"])
    assert.equal((await it.prism.get(path, { token: null, headers })).status, 401, path);
  const check = await it.prism.post("/v2/integrations/authenticate", {}, { token: null, headers });
  assert.equal(check.status, 401, "a check of the key does not say that it works");
  assert.equal((await it.send(key, "", { message: "x", description: "x".repeat(16_384) })).status, 413);
  assert.equal((await it.send(key, "", { alias: "no message" })).status, 422);
  assert.equal((await it.send(key, "", "[1")).status, 400);
  assert.deepEqual((await it.list()).data, []);
  assert.equal((await it.send(key, "", { message: "x", description: "x".repeat(16_000) })).status, 202);
});

test("a key has 20 requests; the newest is refused, and none makes room for it", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  const statuses: number[] = [];
  for (let at = 0; at < 22; at++) statuses.push((await it.send(key, "", { message: `m${at}` })).status);
  assert.deepEqual(statuses, [...Array<number>(20).fill(202), 401, 401]);
  const [claim] = (await it.list()).data;
  assert.deepEqual([claim?.requests.length, claim?.requests[0]?.message], [20, "m0"]);
  assert.equal((await it.send(randomUUID())).status, 202, "another key has its own");
});

test("without room a close still ends the alert of its key, which is then not replayed", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  for (let at = 0; at < 20; at++) await it.send(key, "", { message: `m${at}`, alias: `a${at}` });
  const close = (alias: string) => it.send(key, `/${alias}/close?identifierType=alias`, {});
  assert.deepEqual([(await close("a3")).status, (await close("a3")).status], [202, 401], "once");
  assert.equal((await close("unknown")).status, 401);
  assert.equal((await it.send(key, "/a4/acknowledge?identifierType=alias", {})).status, 401);
  const [claim] = (await it.list()).data;
  assert.deepEqual([claim?.requests.length, claim?.requests[3]?.outcome], [20, "closed"]);
  const assigned = await it.assign(claim?.id ?? "", { name: "Zabbix" });
  assert.deepEqual([assigned.body.replayed, assigned.body.listed], [19, 1]);
  assert.ok(!(await it.firing()).some(({ labels }) => labels["alertname"] === "m3"));
  assert.equal((await it.list()).data[0]?.requests[3]?.outcome, "closed");
});

test("a key of a stranger is discarded, which makes room", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  await it.fill(50, (at) => ({ hash: `key ${at}`, address: `10.0.0.${at}` }));
  const key = randomUUID();
  assert.equal((await it.send(key)).status, 401);
  const [first] = rowsOf<{ id: string; claimId: string }>(it.prism, "select id, claimId from integration_claims");
  const id = uuidv7();
  await it.prism.parts.base.database.write((trx) =>
    trx
      .updateTable("integration_claims")
      .set({ claimId: id })
      .where("id", "=", first?.id ?? "")
      .execute(),
  );
  assert.equal((await it.prism.delete(`${PATH}/${id}`)).status, 204);
  assert.equal((await it.prism.delete(`${PATH}/${id}`)).status, 404);
  assert.equal((await it.send(key)).status, 202);
  const claim = (await it.list()).data.find(({ prefix }) => prefix !== "");
  await it.assign(claim?.id ?? "", { name: "Zabbix" });
  assert.equal((await it.prism.delete(`${PATH}/${claim?.id}`)).status, 404, "an assigned one has its integration");
  const audit = await it.prism.get<{ data: { action: string }[] }>("/api/v1/audit?action=claim.discard");
  assert.equal(audit.body.data.length, 1);
});

test("an address has half of all: a flood from one leaves room for others", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const statuses = await Promise.all(Array.from({ length: 40 }, async () => (await it.send(randomUUID())).status));
  assert.equal(statuses.filter((status) => status === 202).length, 25);
  assert.equal(statuses.filter((status) => status === 401).length, 15);
  assert.equal(rowsOf(it.prism, "select 1 from integration_claims").length, 25);
});

const FULL: readonly (readonly [what: string, rows: number, of: Parameters<ClaimTest["fill"]>[1]])[] = [
  ["50 keys", 50, (at) => ({ hash: `key ${at}`, address: `10.0.0.${at}` })],
  ["1000 requests", 1000, (at) => ({ hash: `key ${at % 49}`, address: `10.0.0.${at % 49}` })],
  ["4 MiB", 256, (at) => ({ hash: `key ${at % 40}`, address: `10.0.0.${at % 40}`, bytes: 16_384 })],
  ["2 MiB of an address", 128, (at) => ({ hash: `key ${at % 10}`, address: "127.0.0.1", bytes: 16_384 })],
  ["500 requests of an address", 500, (at) => ({ hash: `key ${at % 24}`, address: "127.0.0.1" })],
];
for (const [what, rows, of] of FULL) {
  test(`together there is room for ${what}`, async (t) => {
    const it = await ClaimTest.start(t);
    await it.open();
    await it.fill(rows - 1, of);
    assert.equal((await it.send(randomUUID(), "", "{}".padStart(5))).status, 422, "there is room for one");
    await it.fill(1, () => of(rows - 1));
    assert.equal((await it.send(randomUUID())).status, 401);
    assert.equal(rowsOf(it.prism, "select 1 from integration_claims").length, rows);
  });
}

test("the answer does not tell whether a key is known elsewhere", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const shop = await makeProject(it.prism);
  const keys = { elsewhere: randomUUID(), gone: randomUUID(), unknown: randomUUID() };
  await it.send(keys.gone);
  const [claim] = (await it.list()).data;
  await it.assign(claim?.id ?? "", { projectId: shop.id, name: "gone" });
  await it.prism.delete(`/api/v1/projects/${shop.id}`);
  // A key of PagerDuty's kind, as far as memory goes: its own have another form.
  const { body: made } = await it.prism.post<Made>("/api/v1/integrations", { kind: "pagerduty", name: "pd" });
  const [row] = rowsOf<IntegrationRow>(it.prism, "select * from integrations where id = ?", made.id);
  assert.ok(row);
  const changed = [{ ...row, hash: hashToken(keys.elsewhere) }];
  it.prism.parts.features.apply({ type: "integrations-changed", changed });
  const shape = ({ status, headers, body }: Reply<Answer>): unknown => {
    const names = [...headers.keys()].filter((name) => name !== "date").sort();
    return [status, names, Object.keys(body), body.result];
  };
  const answers = [];
  for (const key of [keys.unknown, keys.gone, keys.elsewhere]) answers.push(shape(await it.send(key)));
  assert.deepEqual(answers[1], answers[0]);
  assert.deepEqual(answers[2], answers[0]);
  const waiting = (await it.list()).data.find(
    ({ prefix, integrationId }) => integrationId === null && keys.gone.startsWith(prefix),
  );
  assert.ok(waiting);
});

test("the window ends by itself; what was kept is listed for a week more", async (t) => {
  const it = await ClaimTest.start(t);
  assert.equal((await it.prism.post(`${PATH}/window`, { durationMs: 8 * DAY_MS })).status, 400, "at most 7 days");
  await it.open(7 * DAY_MS);
  const key = randomUUID();
  await it.advance(7 * DAY_MS - 1);
  assert.equal((await it.send(key)).status, 202);
  await it.advance(1);
  assert.equal((await it.send(key)).status, 401);
  await it.prism.restart();
  assert.equal((await it.send(key)).status, 401);
  assert.equal((await it.list()).openUntil, null);
  const sweep = () => {
    const { database } = it.prism.parts.base;
    return sweepAll({ database, clock: it.clock, log: silentLogger }, it.prism.parts.offers.sweeps());
  };
  await it.advance(7 * DAY_MS - 1);
  // Closing it once more does not keep them longer.
  await it.prism.post(`${PATH}/window`, { durationMs: 0 });
  await sweep();
  assert.equal((await it.list()).data.length, 1);
  await it.advance(1);
  await sweep();
  assert.deepEqual([(await it.list()).data, await it.finding()], [[], undefined]);
});

test("a create is replayed if it is younger than an hour and no close of its alias came later", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  const create = (alias: string, message = alias) => it.send(key, "", { message, alias });
  const close = (alias: string, type = "alias") => it.send(key, `/${alias}/close?identifierType=${type}`, {});
  await create("old");
  await it.advance(1);
  await create("young");
  await create("closed");
  await close("closed");
  await close("again");
  await create("again");
  await create("twice", "first");
  await create("twice", "second");
  await create("by-id");
  await close("by-id", "id");
  await it.send(key, "", { message: "without alias" });
  await it.advance(60 * MINUTE_MS - 1);
  const [claim] = (await it.list()).data;
  const assigned = await it.assign(claim?.id ?? "", { name: "Zabbix" });
  assert.deepEqual([assigned.body.replayed, assigned.body.listed], [5, 6]);
  const firing = await it.firing();
  assert.deepEqual(firing.map(({ labels }) => labels["alertname"]).sort(), [
    "again",
    "by-id",
    "first",
    "without alias",
    "young",
  ]);
  assert.ok(firing.every(({ startsAt }) => Date.parse(startsAt) === it.clock.now() - 60 * MINUTE_MS + 1));
  const [listed] = (await it.list()).data;
  const outcomes = (listed?.requests ?? []).map(({ action, alias, outcome }) => `${action} ${alias}: ${outcome}`);
  assert.ok(outcomes.includes("create old: listed") && outcomes.includes("create young: replayed"), String(outcomes));
  assert.ok(outcomes.includes("create closed: listed") && outcomes.includes("close null: listed"));
  assert.ok(rowsOf<{ body: string }>(it.prism, "select body from integration_claims").every(({ body }) => body === ""));
});

test("an integration takes a key, its former key works for a week; a key that another one has is refused", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  const { body: made } = await it.prism.post<Made>("/api/v1/integrations", { kind: "opsgenie", name: "cluster" });
  const { body: other } = await it.prism.post<Made>("/api/v1/integrations", { kind: "pagerduty", name: "pd" });
  await it.send(key);
  const [claim] = (await it.list()).data;
  const id = claim?.id ?? "";
  assert.equal((await it.assign(id, {})).status, 400, "a name, or an integration");
  assert.equal((await it.assign(id, { integrationId: uuidv7() })).status, 404);
  assert.equal((await it.assign(id, { integrationId: other.id })).status, 400);
  assert.equal((await it.assign(id, { name: "pd" })).status, 409);
  const { hash } = rowsOf<{ hash: string }>(it.prism, "select hash from integration_claims")[0] ?? { hash: "" };
  const setHash = (of: string, to: string) =>
    it.prism.parts.base.database.write((trx) =>
      trx.updateTable("integrations").set({ hash: to }).where("id", "=", of).execute(),
    );
  const { hash: before } = rowsOf<{ hash: string }>(
    it.prism,
    "select hash from integrations where id = ?",
    other.id,
  )[0] ?? { hash: "" };
  await setHash(other.id, hash);
  const taken = await it.assign(id, { integrationId: made.id });
  assert.deepEqual([taken.status, taken.text.includes(other.id)], [409, false]);
  await setHash(other.id, before);
  assert.equal((await it.list()).data[0]?.integrationId, null, "nothing was changed");
  const assigned = await it.assign(id, { integrationId: made.id });
  assert.deepEqual([assigned.status, assigned.body.integration.id, assigned.body.replayed], [200, made.id, 1]);
  for (const each of [key, made.key])
    assert.equal((await it.send(each, "", { message: each.slice(0, 4) })).status, 202);
  await it.advance(7 * DAY_MS);
  assert.deepEqual([(await it.send(key)).status, (await it.send(made.key)).status], [202, 401]);
});

test("a request that is no valid alert does not keep its key from being assigned", async (t) => {
  const it = await ClaimTest.start(t);
  await it.open();
  const key = randomUUID();
  const details = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`d${at}`, "x"]));
  assert.equal((await it.send(key, "", { message: "too many labels", details })).status, 202);
  assert.equal((await it.send(key, "", { message: "good" })).status, 202);
  const [claim] = (await it.list()).data;
  const assigned = await it.assign(claim?.id ?? "", { name: "Zabbix" });
  assert.deepEqual([assigned.status, assigned.body.replayed, assigned.body.listed], [200, 1, 1]);
});
