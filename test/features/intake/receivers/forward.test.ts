import assert from "node:assert/strict";
import test from "node:test";
import { FORWARD_LIMITS } from "../../../../src/features/intake/forward/forwards.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { LOCAL, MIRROR, OldSystem, type Passed, type Result, results, setMirror } from "./old-system.ts";
import { type Made, ReceiverTest } from "./support.ts";

test("a mirror passes each accepted request on: in order, with its signature, and without its credentials", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const made = await it.make({
    forwardUrl: `${old.url}/integrations/v1/webhook/abc/?team=db`,
    forwardHeaders: ["x-event"],
  });
  assert.deepEqual(made.forward, { waiting: 0, problem: null });
  assert.doesNotMatch(JSON.stringify(made), /forwardUrl|integrations.v1.webhook/);
  const headers = { "X-Event": "push", Authorization: "Bearer abc", Cookie: "a=b", "X-Forwarded-For": "1.2.3.4" };
  for (const title of ["one", "two", "three"])
    assert.equal((await it.send(made, { title }, { headers, suffix: "?token=secret&host=db-1" })).status, 200);
  const [first] = await results(it, made);
  assert.deepEqual(Object.keys(first ?? {}).sort(), ["durationMs", "state", "status"]);
  assert.deepEqual(old.bodies, ['{"title":"one"}', '{"title":"two"}', '{"title":"three"}']);
  const { method, url, headers: passed } = old.got[0] as Passed;
  assert.equal(`${method} ${url}`, "POST /integrations/v1/webhook/abc/?team=db&host=db-1");
  const { host: _host, connection: _connection, "user-agent": agent, ...rest } = passed;
  assert.ok(agent);
  assert.deepEqual(rest, {
    ...{ "content-type": "application/json", "content-length": "15", "x-event": "push", "x-prism-forwarded": "1" },
  });
  assert.doesNotMatch(JSON.stringify(await it.requests(made)), /secret text/);
  assert.deepEqual(rowsOf(prism, "select id from forwards"), [], "nothing is kept");
  const shown = (await prism.get<Made>(`/api/v1/receivers/${made.id}`)).body;
  assert.deepEqual(shown.forward, { waiting: 0, problem: null });
});

test("a signature is passed on, and a repetition is passed on once", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  const made = await it.make({ preset: "github", forwardUrl: old.url, forwardHeaders: ["x-github-event"] });
  const headers = { "X-Hub-Signature-256": "sha256=00", "X-GitHub-Event": "ping", "X-GitHub-Delivery": "d-1" };
  for (const _ of [1, 2]) assert.equal((await it.send(made, { zen: "a" }, { headers })).status < 300, true);
  await results(it, made);
  assert.equal(old.got.length, 1);
  const [{ headers: passed }] = old.got as [Passed];
  assert.deepEqual([passed["x-hub-signature-256"], passed["x-github-event"]], ["sha256=00", "ping"]);
  assert.equal(passed["x-github-delivery"], undefined);
});

test("a slow target holds no sender, and what waits survives a restart", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  const made = await it.make({ forwardUrl: old.url });
  old.hold();
  const path = new URL(made.url).pathname;
  const sent = ["1", "2", "3"];
  for (const title of sent) assert.equal((await it.send(made, { title })).status, 200, "answered while it waits");
  await old.arrived(1);
  assert.equal(old.got.length, 1, "one after the other");
  const { body } = await it.prism.get<Made>(`/api/v1/receivers/${made.id}`);
  assert.deepEqual(body.forward, { waiting: 3, problem: null });
  await it.prism.restart(() => old.release?.());
  assert.equal((await it.send({ url: `${it.prism.url}${path}` }, { title: "4" })).status, 200);
  await results(it, made);
  // The first was under way: it may arrive twice.
  assert.deepEqual([...new Set(old.bodies)], ['{"title":"1"}', '{"title":"2"}', '{"title":"3"}', '{"title":"4"}']);
});

test("a target that is away is tried again, one that refuses a request gets the next, and the findings say so", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const made = await it.make({ forwardUrl: old.url });
  const found = () =>
    prism.parts.offers.findings.known().flatMap(({ code, text }) => (code === "forward" ? [text] : []));
  old.status = 503;
  await it.send(made, { title: "1" });
  await old.arrived(2);
  assert.deepEqual(found(), ["Requests of a receiver are not passed on: the target answered 503"]);
  old.status = 404;
  assert.deepEqual(valuesOf((await results(it, made)) as { status: number }[], "status"), [404]);
  old.status = 200;
  await it.send(made, { title: "2" });
  const states = (await results(it, made)) as { state: string; status: number }[];
  assert.deepEqual(
    states.map(({ state, status }) => `${state} ${status}`),
    ["refused 404", "passed 200"],
  );
  assert.deepEqual(found(), []);
});

test("what has come from a Prism is not passed on again", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  const made = await it.make({ forwardUrl: old.url });
  await it.send(made, { title: "1" }, { headers: { "X-Prism-Forwarded": "1" } });
  await it.send(made, { title: "2" });
  assert.deepEqual(await results(it, made).then(([first]) => first), { state: "dropped", reason: "loop" });
  assert.deepEqual(old.bodies, ['{"title":"2"}']);
});

test("when too much waits the newest is not passed on, and after a day the oldest", async (t) => {
  const clock = new FakeClock();
  const old = await OldSystem.start(t);
  const settings = { ...LOCAL.settings, "auth.accessExpires": "30d" };
  const it = await ReceiverTest.start(t, { settings, clock });
  const { prism } = it;
  await setMirror(prism, MIRROR);
  const made = await it.make({ forwardUrl: old.url });
  old.status = 503;
  await it.send(made, { title: "1" });
  await old.arrived(1);
  const projectId = prism.parts.offers.defaultProjectId;
  const others = { type: "forwards-changed", sourceId: "other", kind: "receivers", projectId, count: 1 } as const;
  prism.parts.features.apply({ ...others, bytes: FORWARD_LIMITS.bytesOfProject });
  await it.send(made, { title: "2" });
  const states = (await it.requests(made)).map(({ outcome }) => (outcome as Result).forward);
  assert.deepEqual(states, [{ state: "dropped", reason: "full" }, { state: "waiting" }]);
  const { body } = await prism.get<Made>(`/api/v1/receivers/${made.id}`);
  assert.match(String(body.forward?.problem), /too many wait/);
  clock.advance(FORWARD_LIMITS.ms + 60_000);
  assert.deepEqual((await results(it, made))[0], { state: "dropped", reason: "late" });
});

test("only owners of a mirror set a target, of a public host that is not this server; the mirror's end ends it", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t);
  const { prism } = it;
  const projectId = prism.parts.offers.defaultProjectId;
  const create = (body: object, token = prism.adminToken) =>
    prism.post<{ error: { code: string; details?: { path: string; message: string }[] } }>(
      "/api/v1/receivers",
      { name: "Old", preset: "generic", projectId, ...body },
      { token },
    );
  const detail = async (body: object) => (await create(body)).body.error.details?.[0];
  const url = "https://1.1.1.1/hook";
  assert.deepEqual(await detail({ forwardUrl: url }), {
    ...{ path: "forwardUrl", code: "VALUE" },
    message: "only a mirror passes requests on: set settings.mirror of the project first",
  });
  await setMirror(prism, MIRROR);
  assert.equal((await create({ forwardUrl: old.url })).body.error.code, "URL_REFUSED");
  const { body: own } = await prism.post<{ url: string }>("/api/v1/receivers", { name: "Own", preset: "generic" });
  assert.match(String((await detail({ forwardUrl: own.url }))?.message), /is this server/);
  const dotted = new URL(own.url);
  dotted.hostname += ".";
  assert.match(String((await detail({ forwardUrl: dotted.href }))?.message), /is this server/);
  assert.match(String((await detail({ preset: "mail", forwardUrl: url }))?.message), /mails are not passed on/);
  assert.match(String((await detail({ forwardHeaders: ["host"] }))?.message), /never passed on/);
  const editor = await makeUser(prism, "editor", ["User"]);
  await answered(201, prism.post(`/api/v1/projects/${projectId}/members`, { userId: editor.id, role: "editor" }));
  for (const body of [{ forwardUrl: url }, { forwardHeaders: ["x-a"] }]) {
    const refused = await create(body, editor.token);
    assert.deepEqual([refused.status, refused.body.error.code], [403, "UNAUTHORIZED_ROLE"]);
  }
  const made = await it.make({ forwardUrl: url });
  const path = `/api/v1/receivers/${made.id}`;
  const change = (body: object, version: number) =>
    prism.patch(path, body, { token: editor.token, headers: { "If-Match": `"${version}"` } });
  assert.equal((await change({ forwardUrl: null }, 1)).status, 403);
  assert.equal((await change({ labels: { team: "a" } }, 1)).status, 200);
  await setMirror(prism, null);
  await it.send(made, { title: "1" });
  assert.equal((await it.requests(made))[0]?.outcome["forward"], undefined);
  const { body } = await prism.get<Made>(path);
  assert.match(String(body.forward?.problem), /no mirror any more/);
  assert.deepEqual(rowsOf(prism, "select id from forwards"), []);
});

test("requests that wait when the mirror ends are not passed on", async (t) => {
  const old = await OldSystem.start(t);
  const it = await ReceiverTest.start(t, LOCAL);
  await setMirror(it.prism, MIRROR);
  const made = await it.make({ forwardUrl: old.url });
  old.status = 503;
  await it.send(made, { title: "1" });
  await old.arrived(1);
  await setMirror(it.prism, null);
  old.status = 200;
  assert.deepEqual(await results(it, made), [{ state: "dropped", reason: "ended" }]);
  assert.ok(old.got.length <= 2);
});

test("integrations of PagerDuty and Opsgenie pass on at the old system's paths, with the key only by name", async (t) => {
  const old = await OldSystem.start(t);
  const prism = await startPrism(t, LOCAL);
  await setMirror(prism, { from: "opsgenie" });
  const make = async (kind: string, more: object = {}) =>
    (
      await answered(
        201,
        prism.post<{ key: string }>("/api/v1/integrations", { kind, name: kind, forwardUrl: old.url, ...more }),
      )
    ).body.key;
  const routing_key = await make("pagerduty");
  const genie = await make("opsgenie", { forwardHeaders: ["authorization"] });
  const event = {
    routing_key,
    event_action: "trigger",
    payload: { summary: "Disk", source: "db", severity: "critical" },
  };
  await answered(202, prism.post("/v2/enqueue", event, { token: null }));
  const authorization = { token: null, headers: { Authorization: `GenieKey ${genie}` } };
  await answered(202, prism.post("/v2/alerts", { message: "Disk", alias: "a" }, authorization));
  await answered(202, prism.post("/v2/alerts/a/close?identifierType=alias", {}, authorization));
  await answered(200, prism.get("/v2/alerts", authorization));
  await old.arrived(3);
  assert.deepEqual(
    old.got.map(({ method, url, headers }) => `${method} ${url} ${headers.authorization ?? ""}`.trim()).sort(),
    [
      `POST /v2/alerts GenieKey ${genie}`,
      `POST /v2/alerts/a/close?identifierType=alias GenieKey ${genie}`,
      "POST /v2/enqueue",
    ].sort(),
  );
  assert.deepEqual(JSON.parse(old.got.find(({ url }) => url === "/v2/enqueue")?.body ?? ""), event);
});
