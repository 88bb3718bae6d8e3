import assert from "node:assert/strict";
import test from "node:test";
import { prepareCopy } from "../../../../src/app/without-leader.ts";
import { holdActing } from "../../../../src/core/runtime.ts";
import { FORWARD_LIMITS } from "../../../../src/features/intake/forward/forwards.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { LOCAL, MIRROR, OldSystem, type Result, results, setMirror } from "./old-system.ts";
import { type Made, ReceiverTest } from "./support.ts";

const EVENT = { event_action: "trigger", payload: { summary: "Disk", source: "db", severity: "critical" } };

interface Source {
  readonly id: string;
  readonly path: string;
  send(headers?: Record<string, string>): Promise<unknown>;
}

let names = 0;

function make(it: ReceiverTest, settings: object): Promise<Made> {
  return it.make({ name: `Receiver ${names++}`, ...settings });
}

/** One of each kind that passes requests on. */
async function sources(it: ReceiverTest, forwardUrl: string): Promise<Source[]> {
  const { prism } = it;
  const made = await make(it, { forwardUrl });
  const body = { kind: "pagerduty", name: `PagerDuty ${names++}`, forwardUrl };
  const { body: integration } = await answered(
    201,
    prism.post<{ id: string; key: string }>("/api/v1/integrations", body),
  );
  let title = 0;
  return [
    {
      ...{ id: made.id, path: `/api/v1/receivers/${made.id}` },
      send: (headers = {}) => it.send(made, { title: String(title++) }, { headers }),
    },
    {
      ...{ id: integration.id, path: `/api/v1/integrations/${integration.id}` },
      send: (headers = {}) =>
        answered(202, prism.post("/v2/enqueue", { routing_key: integration.key, ...EVENT }, { token: null, headers })),
    },
  ];
}

async function change(prism: TestPrism, { path }: Pick<Source, "path">, body: object): Promise<void> {
  const { version } = (await prism.get<{ version: number }>(path)).body;
  await answered(200, prism.patch(path, body, { headers: { "If-Match": `"${version}"` } }));
}

const foundOf = (prism: TestPrism): readonly string[] =>
  prism.parts.offers.findings.known().flatMap(({ code, subject }) => (code === "forward" ? [String(subject)] : []));

test("no Retry-After makes a try sooner than its wait, or later than ten minutes; another target is tried at once", async (t) => {
  const clock = new FakeClock();
  const old = await OldSystem.start(t);
  const other = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, { ...LOCAL, clock });
  const { prism } = it;
  const { due } = prism.parts.offers.forwarding;
  await setMirror(prism, MIRROR);
  old.status = 503;
  for (const [retryAfter, waitMs] of [
    ["0", 1000],
    ["86400", 600_000],
    [null, 1000],
  ] as const) {
    old.retryAfter = retryAfter;
    for (const source of await sources(it, old.url)) {
      await source.send();
      const at = await eventually("the next try is due", () => {
        const next = due.at(source.id);
        return next !== undefined && next > clock.now() ? next : null;
      });
      assert.equal(at - clock.now(), waitMs);
      const passed = other.got.length;
      await change(prism, source, { forwardUrl: other.url });
      await other.arrived(passed + 1);
    }
  }
});

test("a source that is gone, has no target or no mirror any more has no problem", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  old.status = 404;
  const [kept, ...others] = [await sources(it, old.url), await sources(it, old.url), await sources(it, old.url)];
  const all = [kept, ...others].flat();
  for (const source of all) await source.send();
  await eventually("each has its problem", () => foundOf(prism).length === all.length);
  for (const source of others[0] ?? []) await change(prism, source, { forwardUrl: null });
  for (const { path } of others[1] ?? []) {
    const { version } = (await prism.get<{ version: number }>(path)).body;
    await answered(204, prism.delete(path, { headers: { "If-Match": `"${version}"` } }));
  }
  assert.deepEqual([...foundOf(prism)].sort(), kept.map(({ id }) => id).sort());
  await setMirror(prism, null);
  assert.deepEqual(foundOf(prism), []);
});

test("a problem names no address", async (t) => {
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  for (const source of await sources(it, "https://127.0.0.1:9/secret")) {
    await source.send();
    const problem = await eventually("there is a problem", async () => {
      const { body } = await it.prism.get<Made>(source.path);
      return body.forward?.problem;
    });
    assert.match(problem, /^no answer \([a-z]+\)$/);
  }
});

test("what waits counts as stored, with its URL; a long query is passed on whole", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const [, integration] = await sources(it, old.url);
  const stored = async (): Promise<number> =>
    (await prism.get<{ storage: { bytes: number } }>(`/api/v1/projects/${prism.parts.offers.defaultProjectId}`)).body
      .storage.bytes;
  const release = holdActing();
  await integration?.send();
  const before = await stored();
  const [row] = rowsOf<{ bytes: number; size: number }>(
    prism,
    "select bytes, octet_length(request) size from forwards",
  );
  assert.ok(row && row.bytes >= row.size, "all of the row");
  assert.equal(old.got.length, 0, "nothing leaves a leader without its lease");
  release();
  await old.arrived(1);
  await eventually("it is counted no more", async () => before - (await stored()) === row.bytes);
  const made = await make(it, { forwardUrl: old.url });
  const query = `?note=${"a".repeat(5000)}`;
  old.status = 503;
  await it.send(made, { title: "1" }, { suffix: query });
  const [long] = rowsOf<{ bytes: number }>(prism, "select bytes from forwards");
  assert.ok(long && long.bytes > 5000);
  old.status = 200;
  assert.equal((await results(it, made))[0]?.state, "passed");
  assert.equal(old.got.at(-1)?.url, `/${query}`);
});

test("one dead target leaves room for the others of its project, and a project for other projects", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const projectId = prism.parts.offers.defaultProjectId;
  const [first, second] = [await make(it, { forwardUrl: old.url }), await make(it, { forwardUrl: old.url })];
  const fill = (sourceId: string, ofProject: string, bytes: number) => {
    const facts = { kind: "receivers", projectId: ofProject, count: Math.sign(bytes) } as const;
    prism.parts.features.apply({ type: "forwards-changed", sourceId, ...facts, bytes });
  };
  const full = { state: "dropped", reason: "full" };
  const { bytesOfSource, bytes } = FORWARD_LIMITS;
  const release = holdActing();
  fill(first.id, projectId, bytesOfSource);
  await it.send(first, { title: "1" });
  await it.send(second, { title: "2" });
  const resultOf = async (made: Made) => ((await it.requests(made))[0]?.outcome as Result | undefined)?.forward;
  assert.deepEqual([await resultOf(first), await resultOf(second)], [full, { state: "waiting" }]);
  fill(first.id, projectId, -bytesOfSource);
  fill("another", "other-project", bytes);
  await it.send(second, { title: "3" });
  assert.deepEqual(await resultOf(second), full);
  fill("another", "other-project", -bytes);
  release();
  await old.arrived(1);
});

test("many slow targets of a project hold no other project", async (t) => {
  const [slow, quick] = [await OldSystem.start(t), await OldSystem.start(t)];
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const shop = await answered(201, prism.post<{ id: string }>("/api/v1/projects", { slug: "shop", name: "Shop" }));
  await setMirror(prism, MIRROR, shop.body.id);
  slow.hold();
  for (let i = 0; i < 6; i++) await it.send(await make(it, { forwardUrl: slow.url }), { title: String(i) });
  await slow.arrived(4);
  await it.send(await make(it, { forwardUrl: quick.url, projectId: shop.body.id }), { title: "a" });
  await quick.arrived(1);
  assert.equal(slow.got.length, 4);
  slow.release?.();
  await slow.arrived(6);
});

test("headers that a receiver verifies are passed on, but none that only owners name, or of the connection", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  const row = { scheme: "hmac", algorithm: "sha256", encoding: "hex", keyForm: "text", signed: ["{body}"] };
  const verify = [
    { ...row, header: "x-sig", timestampHeader: "host", idHeader: "authorization" },
    { ...row, header: "x-forwarded-for", timestampHeader: "content-length", idHeader: "cookie" },
    { ...row, header: "forwarded", timestampHeader: "connection", idHeader: "x-prism-forwarded" },
  ];
  const headers = { "X-Sig": "1", Authorization: "a", Cookie: "a=b", "X-Forwarded-For": "1.2.3.4", Forwarded: "for=x" };
  for (const forwardHeaders of [null, ["authorization"]]) {
    const made = await make(it, { verify, forwardUrl: old.url, forwardHeaders });
    await it.send(made, { title: "1" }, { headers });
    await results(it, made);
    const { host, connection: _, "user-agent": _agent, ...passed } = old.got.at(-1)?.headers ?? {};
    assert.equal(`http://${host}`, old.url);
    assert.deepEqual(passed, {
      ...{ "content-type": "application/json", "content-length": "13", "x-sig": "1", "x-prism-forwarded": "1" },
      ...(forwardHeaders !== null && { authorization: "a" }),
    });
  }
});

test("what a node took without a leader is passed on by its copy only, and what waits by the leader only", async (t) => {
  const old = await OldSystem.start(t);
  const prism = await startPrism(t, LOCAL);
  const it = new ReceiverTest(prism);
  await setMirror(prism, MIRROR);
  const made = await sources(it, old.url);
  for (const { send } of made) await send({ "prism-taken-at": String(Date.now() - 60_000) });
  assert.deepEqual(rowsOf(prism, "select id from forwards"), []);
  const [log] = await it.requests({ id: made[0]?.id ?? "" });
  assert.deepEqual((log?.outcome as Result | undefined)?.forward, { state: "dropped", reason: "copy" });
  old.status = 503;
  for (const { send } of made) await send();
  assert.equal(rowsOf(prism, "select id from forwards").length, 2);
  await prism.stop();
  prepareCopy(prism.parts.base.config.databaseFile);
  const passed = old.got.length;
  await prism.restart();
  assert.deepEqual(rowsOf(prism, "select id from forwards"), []);
  assert.equal(old.got.length, passed);
});
