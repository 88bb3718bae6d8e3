import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { repairJson } from "../../../../src/features/intake/receivers/almost-json.ts";
import type { ReceiverPreset } from "../../../../src/features/intake/receivers/preset.ts";
import { BUILT_IN_PRESETS } from "../../../../src/features/intake/receivers/presets/index.ts";
import { readContent } from "../../../../src/features/intake/receivers/read-request.ts";
import { CODE_ROWS } from "../../../../src/features/intake/receivers/senders/code.ts";
import { HOME_ROWS } from "../../../../src/features/intake/receivers/senders/home.ts";
import { HOST_ROWS } from "../../../../src/features/intake/receivers/senders/hosts.ts";
import { MONITOR_ROWS } from "../../../../src/features/intake/receivers/senders/monitors.ts";
import { fits } from "../../../../src/features/intake/receivers/senders/row.ts";
import { startNtfy } from "../../protocols/ntfy/support/api.ts";
import { MONITORS } from "./presets/known-monitors.ts";
import { PROGRAMS } from "./presets/known-programs.ts";
import { ReceiverTest } from "./support.ts";

const BACKSLASH = "\\";

test("JSON with the faults of templates is read as it is meant", async (t) => {
  for (const [name, text, value] of [
    ["a line break in a text", '{"a":"line 1\nline 2\r\n\tx"}', { a: "line 1\nline 2\r\n\tx" }],
    ["a NUL and an escape character", '{"a":"x\u0000\u001b[31m"}', { a: "x\u0000\u001b[31m" }],
    ["a comma before the end", '{"a":[1,2,],"b":{"c":1,},}', { a: [1, 2], b: { c: 1 } }],
    ["a path of Windows", `{"a":"C:${BACKSLASH}Users${BACKSLASH}x"}`, { a: `C:${BACKSLASH}Users${BACKSLASH}x` }],
    ["half an escape of Unicode", `{"a":"C:${BACKSLASH}u1"}`, { a: `C:${BACKSLASH}u1` }],
    ["quotes in a text", '{"a":"said "hi" to all","b":1}', { a: 'said "hi" to all', b: 1 }],
    ["quotes and a comma", '{"a":"said "hi", then left","b":"x"}', { a: 'said "hi", then left', b: "x" }],
    ["a quote at the end", '{"a":"he said "hi""}', { a: 'he said "hi"' }],
    ["quotes in a list", '["a "b" c","d"]', ['a "b" c', "d"]],
    ["a missing value", '{"a": ,"b":}', { a: null, b: null }],
    ["a dictionary of Python", "{'a': 'it\\'s \"x\"', 'b': True, 'c': None}", { a: 'it\'s "x"', b: true, c: null }],
    ["numbers that are none", '{"a":NaN,"b":-1.5e3,"c":Infinity}', { a: null, b: -1500, c: null }],
    ["escapes that JSON knows", `{"a":"x${BACKSLASH}ny${BACKSLASH}u00e4","b":1,}`, { a: "x\ny\u00e4", b: 1 }],
  ] as const)
    await t.test(name, () => {
      assert.throws(() => JSON.parse(text), SyntaxError);
      const repaired = repairJson(text);
      assert.deepEqual(JSON.parse(repaired?.text ?? ""), value);
      assert.notDeepEqual(repaired?.faults, []);
    });
});

test("a name is never part of a text: its secret would be shown", async (t) => {
  for (const text of [
    '{"note" "x","password":"hunter22"}',
    '{"note":"said "x, "password":"hunter22"}',
    '{"note":"{"password":"hunter22"}"}',
    '{\'note\':\'said "x\', "password":"hunter22"}',
  ])
    await t.test(text, () => {
      const repaired = repairJson(text);
      try {
        assert.ok(
          !JSON.stringify(JSON.parse(repaired?.text ?? ""))
            .replace('"password":"hunter22"', "")
            .includes("hunter22"),
        );
      } catch (error) {
        assert.ok(error instanceof SyntaxError, String(error));
      }
    });
});

test("JSON stays as it is", () => {
  const text = { a: ['x "y", z', "C:\\new", "\n"], b: { c: null, d: [true, -1e3, {}] }, "": [] };
  const json = JSON.stringify(text);
  for (const each of [json, JSON.stringify(text, null, 2)])
    assert.deepEqual(repairJson(each), { text: each, faults: [] });
});

test("what is no JSON, also with its faults mended, is text", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({});
  for (const text of ["[FIRING:1] disk is full", "{{ msg }} is down", '{"title":"cut', '{"title" "x"}']) {
    await receivers.send(receiver, text, { headers: { "Content-Type": "application/json" } });
    const [event] = (await receivers.events()).reverse();
    assert.equal(event?.payload["body"], text);
  }
});

test("a text of quotes and brackets takes no longer than its length allows", () => {
  for (const text of ['{"a":"'.repeat(40_000), '"" '.repeat(80_000), `{"a":"${'"a", '.repeat(50_000)}"}`])
    assert.doesNotThrow(() => repairJson(text));
  assert.equal(repairJson(" ".repeat(300_000)), null);
});

const ALMOST = '{"title":"Backup failed","message":"line 1\nline 2","level":"error","key":"b","status":"firing",}';

test("every receiver reads almost-JSON, and its log says so", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const generic = await receivers.make({});
  assert.equal((await receivers.send(generic, ALMOST)).status, 200);
  assert.deepEqual(
    (await receivers.alerts()).map(({ key, annotations }) => [key.split(":").at(-1), annotations]),
    [["b", { summary: "Backup failed", description: "line 1\nline 2" }]],
  );
  const [request] = await receivers.requests(generic);
  assert.match(String(request?.outcome["problem"]), /^the body is not quite JSON: a bare control character, a comma/);
  for (const [preset, body] of [
    ["slack", '{"text":"Backup\nfailed",}'],
    ["discord", '{"content":"Backup\nfailed",}'],
  ] as const) {
    const receiver = await receivers.make({ name: preset, preset });
    assert.ok((await receivers.send(receiver, body)).status < 300);
    const [event] = (await receivers.events()).reverse();
    assert.match(JSON.stringify(event?.payload["title"]), /Backup/);
    assert.match(String((await receivers.requests(receiver))[0]?.outcome["problem"]), /not quite JSON/);
  }
  const form = new URLSearchParams({ payload: '{"title":"Form\nfailed"}' });
  await receivers.send(generic, form.toString(), { headers: { "Content-Type": "application/x-www-form-urlencoded" } });
  assert.match(String((await receivers.requests(generic))[0]?.outcome["problem"]), /not quite JSON/);
  await receivers.send(generic, '{"title":"Backup","password":"hunter22",}');
  assert.match((await receivers.requests(generic))[0]?.body ?? "", /"password":"•••"/);
});

test("the sample of each preset is read with a comma too many, as without it", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  // Amazon signs the members of its JSON: what is not JSON is refused.
  const isTried = ({ name, sample }: ReceiverPreset) => typeof sample.body === "object" && name !== "cloudwatch";
  for (const { name, sample, secret } of BUILT_IN_PRESETS.filter(isTried))
    await t.test(name, async () => {
      const open = secret === "required" ? { secret: "a secret", verify: [{ scheme: "credential" }] } : {};
      const text = JSON.stringify(sample.body);
      const made = async (body: string) => {
        const receiver = await it.make({ name: `${name} ${body.length}`, preset: name, ...open });
        const { "x-amz-sns-message-type": _, ...headers } = { "x-amz-sns-message-type": "", ...sample.headers };
        const type = { "content-type": sample.contentType ?? "application/json", authorization: "Bearer a secret" };
        const { status } = await it.send(receiver, body, { headers: { ...type, ...headers } });
        const [request] = await it.requests(receiver);
        const { alerts, events, problem } = request?.outcome ?? {};
        const keys = (alerts as readonly { readonly key?: unknown }[] | undefined)?.map(({ key }) =>
          String(key).replace(/^rc:[^:]+:/, ""),
        );
        return { status, events, keys, problem: String(problem ?? "") };
      };
      const { problem: _, ...whole } = await made(text);
      const { problem, ...almost } = await made(text.replace(/\}$/, ",}"));
      assert.deepEqual(almost, whole);
      assert.match(problem, /not quite JSON: a comma/);
    });
});

const FOLDER = join(import.meta.dirname, "../../receivers/senders");
const RECORDED = readdirSync(FOLDER).flatMap(
  (name) => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as { readonly name: string; readonly body: unknown }[],
);
const ROWS = [...MONITOR_ROWS, ...HOST_ROWS, ...CODE_ROWS, ...HOME_ROWS];

/** The least body that a row knows. */
function leastBody(when: readonly string[]): object {
  const body: Record<string, unknown> = {};
  const needed = when.filter((each) => !each.startsWith("!"));
  // Those of a certain text first: another one may be of the same member.
  for (const condition of needed.toSorted((a, b) => Number(b.includes("=")) - Number(a.includes("=")))) {
    const [paths = "", words = "Disk"] = condition.split("=");
    const names = paths.split("|", 1)[0]?.split(".") ?? [];
    let within = body;
    for (const name of names.slice(0, -1)) {
      within[name] ??= {};
      within = within[name] as Record<string, unknown>;
    }
    within[names.at(-1) ?? ""] ??= words.split("|", 1)[0];
  }
  return body;
}

/** Bodies of known senders, by their names. */
const KNOWN = [
  ...ROWS.map(({ name, when }) => ({ name, body: leastBody(when) })),
  ...[...PROGRAMS, ...MONITORS].map(([name, body]) => ({ name, body })),
  ...RECORDED.filter(({ body }) => typeof body === "object"),
];

test("the body of each known sender is read with a comma too many and in UTF-16, as without it", () => {
  for (const { name, when } of ROWS) assert.ok(fits(leastBody(when), when), name);
  const read = (bytes: Buffer, charset = "utf-8") =>
    readContent({ headers: { "content-type": `application/json; charset=${charset}` }, bytes });
  for (const { name, body } of KNOWN) {
    const text = JSON.stringify(body);
    const { body: whole } = read(Buffer.from(text));
    const almost = read(Buffer.from(text.replace(/([}\]])$/, ",$1")));
    assert.deepEqual(almost.body, whole, name);
    assert.match(almost.problem ?? "", /not quite JSON: a comma/, name);
    assert.deepEqual(read(Buffer.from(text, "utf16le"), "utf-16").body, whole, name);
  }
});

test("other doors refuse almost-JSON", async (t) => {
  const { prism } = await startNtfy(t);
  const key = async (kind: string) =>
    (await prism.post<Record<string, string>>("/api/v1/integrations", { kind, name: kind })).body["key"] ?? "";
  const gotify = (await prism.post<Record<string, string>>("/gotify/application", { name: "app" })).body["token"];
  const pagerduty = await key("pagerduty");
  const cloud = '"specversion":"1.0","id":"1","source":"/s","type":"t"';
  const JSON_TYPE = "application/json";
  for (const [path, body, type = JSON_TYPE, authorization = `Bearer ${prism.adminToken}`] of [
    ["/api/v1/events", '{"type":"a",}'],
    ["/api/v1/events", '[{"type":"a"},]'],
    ["/api/v1/events", `{${cloud},}`, "application/cloudevents+json"],
    ["/api/v1/events", `[{${cloud}},]`, "application/cloudevents-batch+json"],
    ["/api/v1/alerts", '{"alerts":[{"labels":{"alertname":"a"},}]}'],
    ["/api/v1/notifications", '{"userId":"me","title":"t","message":"m",}'],
    ["/alertmanager/api/v2/alerts", '[{"labels":{"alertname":"a"}},]'],
    [
      "/v2/enqueue",
      `{"routing_key":"${pagerduty}","event_action":"trigger","payload":{"source":"s","severity":"error","summary":"x"},}`,
    ],
    [
      "/generic/2010-04-15/create_event.json",
      `{"service_key":"${pagerduty}","event_type":"trigger","description":"x",}`,
    ],
    ["/v2/alerts", '{"message":"x",}', JSON_TYPE, `GenieKey ${await key("opsgenie")}`],
    ["/ntfy/", '{"topic":"t","message":"x",}'],
    [`/gotify/message?token=${gotify}`, '{"message":"x",}'],
  ] as const)
    await t.test(`${path} ${type}`, async () => {
      const headers = { "Content-Type": type, authorization };
      const reply = await fetch(`${prism.url}${path}`, { method: "POST", headers, body });
      assert.equal(reply.status, 400, await reply.text());
    });
  const lines = '{"type":"a"}\n{"type":"b",}';
  const ndjson = await prism.post("/api/v1/events", lines, { headers: { "Content-Type": "application/x-ndjson" } });
  assert.match(ndjson.text, /"rejected":1\b.*MALFORMED_JSON/);
});

test("Uptime Kuma's body with a bare line break keeps its state, and is no test", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ preset: "uptime-kuma" });
  const heartbeat = '"heartbeat":{"status":0,"msg":"Packet loss\n100 %"},"monitor":{"id":3,"name":"Router"}';
  await receivers.send(receiver, `{"msg":"[Router] down\nPing failed",${heartbeat}}`);
  assert.deepEqual(
    (await receivers.alerts()).map(({ labels }) => labels["alertname"]),
    ["Router is down"],
  );
  await receivers.send(receiver, '{"heartbeat": "{{ heartbeat');
  const titles = (await receivers.events()).map(({ payload }) => payload["title"]);
  assert.ok(
    titles.every((title) => title !== "Test"),
    JSON.stringify(titles),
  );
  await receivers.send(receiver, { msg: "", heartbeat: null, monitor: null });
  assert.equal((await receivers.events()).at(-1)?.payload["title"], "Test");
});
