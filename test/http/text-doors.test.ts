import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import test from "node:test";
import { startNtfy } from "../features/protocols/ntfy/support/api.ts";
import type { TestPrism } from "../helpers/prism.ts";
import { rowsOf } from "../helpers/tables.ts";

/** A text, and how a program sends it. @param charset as declared */
interface Encoded {
  readonly name: string;
  readonly bytes: Buffer;
  readonly text: string;
  readonly charset?: string;
  /** Not in a header or a query. */
  readonly isWhole?: boolean;
}

const latin = (text: string): Buffer => Buffer.from(text, "latin1");

/** Texts without a quote or a line break, which each form can hold. */
const ENCODED: readonly Encoded[] = [
  {
    name: "UTF-8",
    bytes: Buffer.from("St\u00f6rung \u4e2d\u{1f6a8} \u20ac"),
    text: "St\u00f6rung \u4e2d\u{1f6a8} \u20ac",
  },
  {
    name: "windows-1252",
    bytes: latin("St\xf6rung bei 35 \xb0C, 5 \x80 \x84los\x93"),
    text: "St\u00f6rung bei 35 \u00b0C, 5 \u20ac \u201elos\u201c",
  },
  {
    name: "UTF-8 with a broken byte",
    bytes: Buffer.concat([Buffer.from("Gr\u00f6\u00dfe "), latin("\xff ab")]),
    text: "Gr\u00f6\u00dfe \ufffd ab",
  },
  {
    name: "declared as ISO-8859-1",
    charset: "ISO-8859-1",
    bytes: latin("Gr\xf6\xdfe Zahl"),
    text: "Gr\u00f6\u00dfe Zahl",
  },
  {
    name: "declared as windows-1251",
    charset: "windows-1251",
    bytes: latin("\xd1\xe1\xee\xe9 db-1 now"),
    text: "\u0421\u0431\u043e\u0439 db-1 now",
  },
  {
    name: "declared as Shift_JIS",
    charset: "shift_jis",
    bytes: latin("\x83e\x83X\x83g db-1 now"),
    text: "\u30c6\u30b9\u30c8 db-1 now",
  },
  {
    name: "declared wrongly, and UTF-8",
    charset: "iso-8859-1",
    bytes: Buffer.from("Gr\u00f6\u00dfe UTF"),
    text: "Gr\u00f6\u00dfe UTF",
  },
];

interface Door {
  readonly name: string;
  readonly type: string;
  readonly path: string;
  /** Around the text. */
  readonly body: readonly [string, string];
  readonly headers?: Readonly<Record<string, string>>;
  /** How the text stands in the body. */
  readonly as?: (bytes: Buffer) => Buffer;
}

const escaped = (bytes: Buffer): Buffer =>
  Buffer.from([...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""));

const JSON_TYPE = "application/json";
const FORM = "application/x-www-form-urlencoded";
const PART = '--boundary0\r\nContent-Disposition: form-data; name="';
const CLOUD = '"specversion":"1.0","source":"/s","type":"t"';

/** Everything in the database. */
function stored(prism: TestPrism): string {
  const tables = rowsOf<{ name: string }>(
    prism,
    "select name from sqlite_master where type = 'table' and name not like 'receiver_requests'",
  );
  const readable = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString("utf8") : value);
  return tables
    .flatMap(({ name }) => rowsOf<Record<string, unknown>>(prism, `select * from "${name}"`))
    .map((row) => JSON.stringify(Object.values(row).map(readable)))
    .join("\n");
}

/** Every door that programs send texts to. */
async function doorsOf(prism: TestPrism): Promise<Door[]> {
  const made = async (path: string, body: object) => (await prism.post<Record<string, string>>(path, body)).body;
  const own = { Authorization: `Bearer ${prism.adminToken}` };
  const receiver = async (preset: string): Promise<string> =>
    new URL((await made("/api/v1/receivers", { name: preset, preset }))["url"] ?? "").pathname;
  const generic = await receiver("generic");
  const chat = await receiver("slack");
  const onCall = generic.replace("/in/", "/integrations/v1/webhook/");
  const pagerduty = (await made("/api/v1/integrations", { kind: "pagerduty", name: "p" }))["key"];
  const opsgenie = (await made("/api/v1/integrations", { kind: "opsgenie", name: "o" }))["key"];
  const heartbeat = await made("/api/v1/heartbeats", { name: "h" });
  const ping = new URL(heartbeat["pingUrl"] ?? "").pathname;
  const push = new URL(heartbeat["pushUrl"] ?? "").pathname;
  const gotify = (await made("/gotify/application", { name: "app" }))["token"];
  const json = (name: string, path: string, before: string, after: string, headers: Record<string, string> = own) =>
    ({ name, path, headers, type: JSON_TYPE, body: [before, after] }) as const;
  return [
    json("an event", "/api/v1/events", '{"type":"a","payload":{"title":"', '"}}'),
    json("a list of events", "/api/v1/events", '[{"type":"a","payload":{"title":"', '"}}]'),
    {
      ...json("NDJSON", "/api/v1/events", '{"type":"a","payload":{"t":"', '"}}\n{"type":"b"}'),
      type: "application/x-ndjson",
    },
    { ...json("a text as an event", "/api/v1/events", "", ""), type: "text/plain" },
    {
      ...json("a CloudEvent", "/api/v1/events", `{${CLOUD},"id":"ID","data":{"m":"`, '"}}'),
      type: "application/cloudevents+json",
    },
    {
      ...json("CloudEvents", "/api/v1/events", `[{${CLOUD},"id":"ID","data":{"m":"`, '"}}]'),
      type: "application/cloudevents-batch+json",
    },
    {
      ...json("a CloudEvent in binary mode", "/api/v1/events", "", ""),
      type: "text/plain",
      headers: { ...own, "ce-specversion": "1.0", "ce-id": "ID", "ce-source": "/s", "ce-type": "t" },
    },
    json("a notification", "/api/v1/notifications", '{"userId":"me","title":"t","message":"', '"}'),
    json("an alert", "/api/v1/alerts", '{"alerts":[{"labels":{"alertname":"', '"}}]}'),
    json("Alertmanager's API", "/alertmanager/api/v2/alerts", '[{"labels":{"alertname":"a","x":"', '"}}]'),
    json(
      "PagerDuty's events",
      "/v2/enqueue",
      `{"routing_key":"${pagerduty}","event_action":"trigger","payload":{"source":"s","severity":"error","summary":"`,
      '"}}',
      {},
    ),
    json(
      "PagerDuty's events of version 1",
      "/generic/2010-04-15/create_event.json",
      `{"service_key":"${pagerduty}","event_type":"trigger","description":"`,
      '"}',
      {},
    ),
    json("Opsgenie's alerts", "/v2/alerts", '{"message":"', '"}', { Authorization: `GenieKey ${opsgenie}` }),
    json("a message to ntfy", "/ntfy/t", "", ""),
    { ...json("a text to ntfy", "/ntfy/t", "", ""), type: "text/plain" },
    json("JSON to ntfy", "/ntfy/", '{"topic":"t","message":"', '"}'),
    { ...json("ntfy's query", "/ntfy/t?title=", "", ""), type: "", as: escaped },
    json("JSON to Gotify", `/gotify/message?token=${gotify}`, '{"message":"', '"}', {}),
    { ...json("a form to Gotify", `/gotify/message?token=${gotify}`, "message=", "", {}), type: FORM, as: escaped },
    {
      ...json(
        "a form with files to Gotify",
        `/gotify/message?token=${gotify}`,
        `${PART}message"\r\n\r\n`,
        "\r\n--boundary0--\r\n",
        {},
      ),
      type: "multipart/form-data; boundary=boundary0",
    },
    { ...json("a ping's text", ping, "", "", {}), type: "text/plain" },
    { ...json("a ping of Uptime Kuma", `${push}?msg=`, "", "", {}), type: "", as: escaped },
    json("a new check", "/healthchecks/api/v3/checks/", '{"name":"', '"}', own),
    json("JSON to a receiver", generic, '{"title":"', '"}', {}),
    json("a chat's JSON to a receiver", chat, '{"text":"', '"}', {}),
    { ...json("a text to a receiver", generic, "", "", {}), type: "text/plain" },
    { ...json("a text at a URL of OnCall", onCall, "", "", {}), type: "text/plain" },
    { ...json("a form to a receiver", generic, "level=error&title=", "", {}), type: FORM, as: escaped },
    { ...json("a form of bare bytes to a receiver", generic, "level=error&title=", "", {}), type: FORM },
    {
      ...json("JSON in a form to a receiver", chat, "payload=%7b%22text%22%3a%22", "%22%7d", {}),
      type: FORM,
      as: escaped,
    },
    {
      ...json("a form with files to a receiver", generic, `${PART}title"\r\n\r\n`, "\r\n--boundary0--\r\n", {}),
      type: "multipart/form-data; boundary=boundary0",
    },
    { ...json("a receiver's query", `${generic}?level=error&title=`, "", "", {}), type: "", as: escaped },
  ];
}

async function sendTo(prism: TestPrism, door: Door, { bytes, charset }: Encoded): Promise<number> {
  const given = door.as?.(bytes) ?? bytes;
  const isQuery = door.type === "";
  const isParts = door.type.startsWith("multipart/");
  const before =
    isParts && charset !== undefined
      ? door.body[0].replace(/\r\n\r\n$/, `\r\nContent-Type: text/plain; charset=${charset}\r\n\r\n`)
      : door.body[0];
  const id = randomUUID();
  const own = Object.entries({ ...door.headers }).map(([name, value]) => [name, value.replace("ID", id)] as const);
  const type = isQuery
    ? {}
    : { "Content-Type": charset === undefined || isParts ? door.type : `${door.type}; charset=${charset}` };
  const reply = await fetch(`${prism.url}${door.path}${isQuery ? given.toString() : ""}`, {
    method: "POST",
    headers: { ...type, ...Object.fromEntries(own) },
    ...(isQuery ? {} : { body: Buffer.concat([latin(before.replace("ID", id)), given, latin(door.body[1])]) }),
  });
  const text = await reply.text();
  assert.ok(reply.status < 300, `${door.name}: ${reply.status} ${text}`);
  return reply.status;
}

test("text arrives in every encoding at every door that programs use", async (t) => {
  const { prism } = await startNtfy(t, { settings: { "rateLimit.enabled": "false" } });
  for (const door of await doorsOf(prism))
    for (const encoded of ENCODED) {
      // A query has no Content-Type, and Gotify's forms with files are read without those of parts.
      const isUndeclared = door.type === "" || door.name === "a form with files to Gotify";
      if (isUndeclared && encoded.charset !== undefined) continue;
      await t.test(`${door.name}: ${encoded.name}`, async () => {
        const mark = `${door.name} ${encoded.name}`.replace(/[^A-Za-z0-9 -]/g, "");
        const bytes = Buffer.concat([encoded.bytes, latin(` ${mark}`)]);
        await sendTo(prism, door, { ...encoded, bytes });
        assert.ok(
          stored(prism).includes(`${encoded.text} ${mark}`),
          stored(prism)
            .split("\n")
            .find((row) => row.includes(mark)) ?? "nothing is stored",
        );
      });
    }
});

/** A path as the router has it: `:name` is any part, `*` the rest. */
function fitsPath(mount: string, path: string): boolean {
  const pattern = mount
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replace(/:\w+/g, "[^/]+")
    .replace(/\*/g, ".*");
  return new RegExp(`^${pattern}/?$`).test(path.replace(/\?.*/, ""));
}

/**
 * Routes that take a body of any type and are no door of their own, with the reason. A new route is in
 * none of them.
 */
const NO_DOORS: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^\/in\/:token\/(:shape|messages\/:message)$/, "read as the same URL without the last parts"],
  [/^\/v2\/change\/enqueue$/, "the reader of /v2/enqueue"],
  [/^\/healthchecks\/.*checks\/:code/, "the reader of new checks"],
  [/^\/gotify\/(?!message$)/, "settings: JSON by the reader of messages"],
  [/^\/ntfy\/(v1\/|:topic\/)/, "settings and parts of topics: JSON by the reader of messages"],
  [/^\/ntfy\/_matrix\//, "pushes of Matrix: JSON by the reader of messages"],
  [/^\/socket\.io\//, "frames of a protocol, which are UTF-8"],
  [/^\/api\/v1\/users\//, "files of people, which an administrator uploads"],
];

test("every route that takes a free text is a door that the test goes through, or says why not", async (t) => {
  const { prism } = await startNtfy(t);
  const doors = await doorsOf(prism);
  const free = prism.parts.core.router.mounts.filter(({ route, isAlias }) => {
    const types: readonly string[] = route.raw?.types ?? [];
    const isFree = types.some((type) => type === "*" || type.startsWith("text/") || type.endsWith("ndjson"));
    return isFree && route.body !== undefined && !isAlias;
  });
  const paths = [...new Set(free.map(({ path }) => path))];
  const untried = paths.filter((path) => !doors.some((door) => fitsPath(path, door.path)));
  assert.deepEqual(
    untried.filter((path) => !NO_DOORS.some(([each]) => each.test(path))),
    [],
  );
  for (const [each, reason] of NO_DOORS)
    assert.ok(
      untried.some((path) => each.test(path)),
      `${each}: ${reason}`,
    );
});

test("a header of ntfy is read in windows-1252, too", async (t) => {
  const { prism } = await startNtfy(t);
  for (const [bytes, title] of [
    ["St\xf6rung 35 \xb0C", "St\u00f6rung 35 \u00b0C"],
    ["5 \x80 \x84los\x93", "5 \u20ac \u201elos\u201c"],
  ] as const) {
    const { status } = await new Promise<{ status: number | undefined }>((resolve, reject) => {
      const headers = { Title: bytes, Authorization: `Bearer ${prism.adminToken}` };
      const sent = request(`${prism.url}/ntfy/t`, { method: "POST", headers }, (reply) => {
        reply.resume().on("end", () => resolve({ status: reply.statusCode }));
      });
      sent.on("error", reject).end("text");
    });
    assert.equal(status, 200);
    assert.ok(stored(prism).includes(title), title);
  }
});
