import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { generic } from "../../../../src/features/intake/receivers/presets/generic.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { ReceiverTest } from "./support.ts";

const PATH = "/api/v1/receivers";
const SECRET = "a secret of the sender & more";

test("a receiver is created, listed, changed and deleted, each with an audit row, and its secret is never shown", async (t) => {
  const it = await ReceiverTest.start(t);
  const { prism } = it;
  const made = await prism.post<Record<string, unknown>>(PATH, { name: "Shop", preset: "generic", secret: SECRET });
  assert.equal(made.status, 201);
  assert.match(String(made.body["url"]), /\/in\/[A-Za-z0-9_-]{32}$/);
  const id = String(made.body["id"]);
  assert.equal((await prism.post(PATH, { name: "Shop", preset: "generic" })).status, 409);
  const { url: _url, mailAddress, ...view } = made.body;
  assert.equal(mailAddress, null);
  const got = await prism.get(`${PATH}/${id}`);
  assert.deepEqual(got.body, view);
  const changed = await prism.patch(
    `${PATH}/${id}`,
    { mapping: { title: "= body.x" } },
    { headers: { "If-Match": '"1"' } },
  );
  assert.deepEqual([changed.status, changed.body["version"]], [200, 2]);
  assert.equal((await prism.patch(`${PATH}/${id}`, { name: "y" }, { headers: { "If-Match": '"1"' } })).status, 412);
  const list = await prism.get<{ data: unknown[] }>(PATH);
  assert.deepEqual(list.body.data, [changed.body]);
  for (const act of ["pause", "resume", "rotate"]) await prism.post(`${PATH}/${id}/${act}`, {});
  const sent = await it.make({ name: "Sent" });
  await it.send(sent, { title: "t" });
  const [request] = await it.requests(sent);
  assert.equal((await prism.post(`${PATH}/${sent.id}/requests/${request?.id}/replay`, {})).status, 200);
  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  const audit = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?limit=100");
  const found = audit.body.data.map(({ action }) => action).filter((action) => action.startsWith("receiver."));
  assert.deepEqual(found, [
    ...["receiver.delete", "receiver.replay", "receiver.create", "receiver.rotate"],
    ...["receiver.resume", "receiver.pause", "receiver.update", "receiver.create"],
  ]);
  for (const { text } of [got, changed, list, audit]) assert.doesNotMatch(text, /a secret of/);
});

test("the tag of a receiver that had requests is one that a change may name", async (t) => {
  const it = await ReceiverTest.start(t);
  const { prism } = it;
  const receiver = await it.make({ name: "Shop" });
  await it.send(receiver, { title: "t" });
  await it.requests(receiver);
  const path = `${PATH}/${receiver.id}`;
  const tag = (await prism.get(path)).headers.get("etag") ?? "";
  assert.match(tag, /^"1\..+"$/);
  assert.equal((await prism.get(path, { headers: { "If-None-Match": tag } })).status, 304);
  const change = { headers: { "If-Match": tag } };
  const changed = await prism.patch(path, { name: "Shop 2" }, change);
  assert.deepEqual([changed.status, (await prism.get(path)).headers.get("etag")], [200, changed.headers.get("etag")]);
  assert.equal((await prism.patch(path, { name: "Shop 3" }, change)).status, 412);
});

test("settings that cannot work are refused with their path", async (t) => {
  const it = await ReceiverTest.start(t);
  const cases: [Record<string, unknown>, number, string][] = [
    [{ preset: "nothing" }, 400, "preset"],
    [{ mapping: { title: "= body." } }, 422, "mapping.title"],
    [{ mapping: { titel: "x" } }, 400, "mapping.titel"],
    [{ mapping: { let: { event: "= body" } } }, 400, "mapping.let.event"],
    [{ mapping: { key: "{{ event.x }}" } }, 422, "mapping.key"],
    [{ verify: [{ scheme: "magic" }] }, 400, "verify.0.scheme"],
    [{ secret: "short" }, 400, "secret"],
    [{ maxBodyBytes: 1e9 }, 400, "maxBodyBytes"],
  ];
  for (const [body, status, path] of cases) {
    const reply = await it.prism.post<{ error: { details: { path: string }[] } }>(PATH, {
      name: "x",
      preset: "generic",
      ...body,
    });
    assert.deepEqual([reply.status, reply.body.error.details[0]?.path], [status, path], reply.text);
  }
});

test("the log has the requests without secrets, and the server's log has no URL of a receiver", async (t) => {
  const lines = new LogLines("debug");
  const it = await ReceiverTest.start(t, { log: lines });
  const receiver = await it.make({ secret: SECRET });
  const basic = Buffer.from(`user:${SECRET}`).toString("base64");
  const body = { title: "T", note: `has ${SECRET} in it`, password: "pa55word", nested: { api_key: "k3y" } };
  const suffix = `?token=${encodeURIComponent(SECRET)}&a=1`;
  const headers = { Authorization: `Basic ${basic}`, "X-Other": SECRET, Cookie: "sid=1" };
  assert.equal((await it.send(receiver, body, { headers, suffix })).status, 200);
  assert.equal((await it.send(receiver, { title: "No" })).status, 401);
  const [refused, stored] = await it.requests(receiver);
  assert.deepEqual([refused?.result, refused?.outcome["code"]], ["refused", "SIGNATURE_INVALID"]);
  assert.deepEqual(JSON.parse(stored?.body ?? ""), {
    title: "T",
    note: "has ••• in it",
    password: "•••",
    nested: { api_key: "•••" },
  });
  const shown = ["authorization", "x-other", "cookie"].map((name) => stored?.headers[name]);
  assert.deepEqual(shown, ["•••", "•••", "•••"]);
  assert.equal(stored?.query, new URLSearchParams({ token: "•••", a: "1" }).toString());
  const events = JSON.stringify(await it.events());
  for (const secret of [SECRET, "pa55word", "k3y", basic]) assert.ok(!events.includes(secret), secret);
  const token = new URL(receiver.url).pathname.split("/").at(-1) ?? "";
  assert.ok(!JSON.stringify(lines.lines).includes(token), "the token is not logged");
});

test("a mapping is tried with the sample, a request or one of the log, and nothing is stored", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const path = `${PATH}/${receiver.id}/test`;
  interface Tried {
    readonly result: string;
    readonly events: { readonly payload: { readonly title: string } }[];
    readonly alerts: { readonly key: string; readonly status: string; readonly labels: Record<string, string> }[];
  }
  const sample = await it.prism.post<Tried>(path, {});
  assert.deepEqual([sample.body.result, sample.body.alerts[0]?.key], ["accepted", "disk/var"]);
  const given = await it.prism.post<Tried>(path, {
    mapping: { title: "= body.headline", key: "= body.n", status: "firing", output: "alerts" },
    request: { body: '{"headline":"H","n":7}' },
  });
  assert.deepEqual(
    [given.body.events, given.body.alerts.map(({ key, status, labels }) => [key, status, labels["alertname"]])],
    [[], [["7", "firing", "H"]]],
  );
  await it.send(receiver, { headline: "From the log" });
  const [logged] = await it.requests(receiver);
  const tried = await it.prism.post<Tried>(path, { mapping: { title: "= body.headline" }, requestId: logged?.id });
  assert.equal(tried.body.events[0]?.payload.title, "From the log");
  assert.equal((await it.prism.post(path, { mapping: { title: "= body.(" } })).status, 422);
  const deep = "[".repeat(40) + "]".repeat(40);
  assert.equal((await it.prism.post(path, { request: { body: deep } })).status, 400);
  const broken = await it.prism.post<{ problem: string }>(path, { request: { body: "{" } });
  assert.match(broken.body.problem, /^the body is not JSON, as its Content-Type says/);
  assert.equal((await it.events()).length, 1, "only what was sent is stored");
  assert.deepEqual(await it.alerts(), []);
  const replayed = await it.prism.post(`${PATH}/${receiver.id}/requests/${logged?.id}/replay`, {});
  assert.equal(replayed.body["result"], "unmapped");
  assert.equal((await it.events()).length, 2);
});

test("presets in the data directory add to the built-in ones; a broken file is a warning", async (t) => {
  const lines = new LogLines("debug");
  const it = await ReceiverTest.start(t, { log: lines });
  const directory = join(it.prism.dir, "presets", "receivers");
  mkdirSync(directory, { recursive: true });
  const own = { ...generic, name: "own", title: "Our tool", mapping: { title: "= body.what", output: "events" } };
  writeFileSync(join(directory, "own.json"), JSON.stringify(own));
  writeFileSync(join(directory, "broken.json"), '{"name":"broken"}');
  writeFileSync(
    join(directory, "wrong.json"),
    JSON.stringify({ ...own, name: "wrong", mapping: { title: "= body.(" } }),
  );
  await it.prism.restart();
  const { body } = await it.prism.get<{ data: { name: string; setup: string[] }[] }>(`${PATH}/presets`);
  const names = body.data.map(({ name }) => name);
  assert.ok(names.includes("own") && names.includes("generic"));
  assert.ok(!names.includes("broken") && !names.includes("wrong"));
  for (const file of ["broken.json", "wrong.json"]) assert.match(JSON.stringify(lines.lines), new RegExp(file));
  const receiver = await it.make({ preset: "own" });
  await it.send(receiver, { what: "happened" });
  assert.equal((await it.events())[0]?.payload["title"], "happened");
});

test("the operator bounds the rate and the size of receivers, also of existing ones", async (t) => {
  const it = await ReceiverTest.start(t, { clock: new FakeClock(), settings: { "receivers.maxBurst": "100" } });
  const wide = { name: "Wide", perSecond: 50, burst: 100, maxBodyBytes: 4096 };
  for (const more of [{ burst: 101 }, { burst: 10_000 }]) {
    const refused = await it.prism.post("/api/v1/receivers", { preset: "generic", ...wide, ...more });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /burst.*at most 100/);
  }
  const receiver = await it.make(wide);
  const { config } = it.prism.parts.base;
  it.prism.app.reload({ ...config, receivers: { maxPerSecond: 1, maxBurst: 2, maxBodyBytes: 1024 } });
  assert.equal((await it.send(receiver, { title: "x".repeat(2000) })).status, 413);
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await it.send(receiver, { title: "x" })).status);
  assert.deepEqual(statuses, [200, 429, 429], "the refused one counts");
  const made = await it.prism.get<{ burst: number }>(`/api/v1/receivers/${(await it.make({ name: "Default" })).id}`);
  assert.equal(made.body.burst, 2);
});
