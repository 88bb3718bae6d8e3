import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createLogger, type LoggerOptions } from "../../../../src/config/logger.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject } from "../../../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";

type Line = Readonly<Record<string, unknown>>;

class WrittenLog {
  text = "";

  write(line: string): void {
    this.text += line;
  }

  get lines(): Line[] {
    return this.text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line);
  }

  /** Lines about requests; with an id those about one of them. */
  requests(requestId?: string): Line[] {
    return this.lines.filter(
      (line) => line["msg"] === "request" && (requestId === undefined || line["requestId"] === requestId),
    );
  }
}

async function startLogged(
  t: TestContext,
  level: LoggerOptions["level"],
  settings: Readonly<Record<string, string>> = {},
): Promise<{ prism: TestPrism; written: WrittenLog }> {
  const written = new WrittenLog();
  const log = createLogger({ level, destination: written });
  return { prism: await startPrism(t, { log, settings }), written };
}

const idOf = ({ headers }: Reply<unknown>): string => headers.get("x-request-id") ?? "";

test("S2-102, S2-104: a request is one line with its ids, caller, route, status and time", async (t) => {
  keepsPromise(t, "S2-102");
  const { prism, written } = await startLogged(t, "debug");
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const { id: projectId, apiKey } = await makeProject(prism);
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const headers = { "X-Correlation-Id": "order-4711", traceparent: `00-${trace}-b7ad6b7169203331-01` };
  const given = { "X-Request-Id": "mine-1", ...headers };
  const replies = {
    read: await prism.get(`/api/v1/projects/${projectId}`, { headers: given }),
    missing: await prism.get("/api/v1/rules/00000000-0000-7000-8000-000000000000", { headers }),
    nowhere: await prism.get("/somewhere/private-name", { headers }),
    refused: await prism.get("/api/v1/rules", { token: null, headers }),
    ingested: await prism.post("/events", { type: "a.b" }, { apiKey, headers }),
    malformed: await prism.post("/events", "{", { headers }),
  };
  const user = { userId: me.id };
  for (const [name, expected] of [
    ["read", { level: "info", route: "/api/v1/projects/:id", method: "GET", status: 200, ...user }],
    ["missing", { level: "info", route: "/api/v1/rules/:id", method: "GET", status: 404, ...user }],
    ["nowhere", { level: "info", route: null, method: "GET", status: 404 }],
    ["refused", { level: "info", route: "/api/v1/rules", method: "GET", status: 401 }],
    ["ingested", { level: "debug", route: "/events", method: "POST", status: 202 }],
    ["malformed", { level: "info", route: "/events", method: "POST", status: 400, ...user }],
  ] as const) {
    const requestId = idOf(replies[name]);
    const [line, ...more] = await eventually(name, () => {
      const found = written.requests(requestId);
      return found.length > 0 ? found : null;
    });
    assert.ok(line);
    assert.deepEqual(more, [], `${name} has one line`);
    const { time, durationMs, keyId, ...rest } = line;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(typeof durationMs === "number" && durationMs >= 0);
    assert.equal(typeof keyId, name === "ingested" ? "string" : "undefined");
    const correlationId = "order-4711";
    assert.deepEqual(
      rest,
      { ns: "prism:http", msg: "request", requestId, correlationId, traceId: trace, ...expected },
      name,
    );
  }
  assert.equal(idOf(replies.read), "mine-1");
  assert.doesNotMatch(written.text, /private-name/);
});

test("accepted ingest is not written at info, refused ingest at most ten times a second", async (t) => {
  const { prism, written } = await startLogged(t, "info");
  const ofIngest = (): Line[] => written.requests().filter(({ route }) => route === "/events");
  await Promise.all(Array.from({ length: 30 }, () => prism.post("/events", { type: "a.b" })));
  assert.deepEqual(ofIngest(), []);
  const startedAt = Math.floor(Date.now() / 1000);
  await Promise.all(Array.from({ length: 100 }, () => prism.post("/events", { type: 7 })));
  const seconds = Math.floor(Date.now() / 1000) - startedAt + 1;
  const refused = ofIngest().length;
  assert.ok(refused >= 1 && refused <= 10 * seconds, `${refused} lines in ${seconds} s`);
  assert.ok(ofIngest().every(({ status, level }) => status === 400 && level === "info"));
});

test("probes are written at debug only, unless they fail", async (t) => {
  const { prism, written } = await startLogged(t, "info", { minFreeBytes: "0" });
  for (const path of ["/health", "/health/live", "/health/ready"]) await prism.get(path, { token: null });
  const found = written.requests().filter(({ route }) => String(route).startsWith("/health"));
  assert.deepEqual(found, []);
});

test("S2-102: the whole log at debug holds no payload, no content and no secret, whatever is sent where", async (t) => {
  keepsPromise(t, "S2-102");
  const { prism, written } = await startLogged(t, "debug", { metricsToken: "SENTINEL-metrics-token" });
  const { id: projectId, apiKey } = await makeProject(prism);
  const secret = "SENTINEL";
  const headers = {
    Cookie: `session=${secret}`,
    "X-Custom": secret,
    "User-Agent": `${secret}/1.0`,
    Referer: `https://example.org/?token=${secret}`,
    "Idempotency-Key": `${secret}-idempotency`,
  };
  const event = { type: "order.paid", payload: { card: secret, note: `${secret}` }, source: `${secret}-source` };
  const rule = {
    name: `${secret} rule`,
    condition: `event.type == 'order.paid' && event.card == '${secret}'`,
    titleTemplate: `${secret} {{event.card}}`,
    messageTemplate: `${secret} of {{event.note}}`,
    targetUsers: ["me"],
  };
  const notice = { recipients: ["me"], title: secret, message: secret, data: { card: secret } };
  const paths = ["/events", "/api/v1/events", "/api/v1/rules", "/api/v1/notifications", "/api/v1/projects"];
  const credentials = [
    {},
    { token: null },
    { apiKey },
    { token: `${secret}.not.a-token` },
    { token: prism.adminToken.replace(/.{6}$/, "AAAAAA") },
    { apiKey: `prk_${secret}${"A".repeat(40)}` },
  ];
  let last = "";
  const note = (reply: Reply<unknown>): void => {
    last = idOf(reply);
  };
  for (const credential of credentials) {
    for (const path of paths) {
      note(await prism.get(`${path}?token=${secret}&q=${secret}&cursor=${secret}`, { ...credential, headers }));
      note(await prism.post(`${path}?api_key=${secret}`, `{"type":"${secret}`, credential));
      note(await prism.post(path, { unknown: secret, type: [secret] }, credential));
      note(await prism.delete(`${path}/${secret}`, credential));
    }
    note(await prism.post("/events", event, { ...credential, headers }));
    note(await prism.post("/events", [event, { ...event, type: secret.repeat(40) }], credential));
    note(await prism.post("/api/v1/rules", rule, credential));
    note(await prism.post("/api/v1/rules/test", { condition: rule.condition, event }, credential));
    note(await prism.post("/api/v1/rules", { ...rule, condition: `event.${secret} ==` }, credential));
    note(await prism.post("/api/v1/notifications", notice, credential));
    note(await prism.post("/time/trigger", { label: secret, delayMs: 1, action: { type: secret } }, credential));
    note(await prism.get(`/metrics?token=${secret}`, credential));
  }
  for (const path of ["/realtime/default/sse", "/ws", "/ws/updates", "/realtime/default"])
    note(await prism.get(`${path}?token=${secret}&ticket=${secret}`, { token: null }));
  note(await prism.get("/metrics", { token: "SENTINEL-metrics-token" }));
  await prism.post(`/api/v1/projects/${projectId}/keys`, { name: secret });
  const action = { type: "notify", payload: { userId: "me", title: secret, body: secret } };
  await prism.post("/time/trigger", { label: secret, delayMs: 1, action });
  // Refused ingest is sampled, so not every request has a line; the last one has.
  await eventually("the last line", () => written.requests(last).length > 0);
  assert.ok(written.requests().length > 100);
  const told = await prism.get<{ notifications?: unknown[]; data?: unknown[] }>("/api/v1/notifications");
  assert.match(told.text, /SENTINEL/, "what was sent has had its effect");
  assert.doesNotMatch(written.text, /SENTINEL/);
  for (const word of [prism.adminToken, apiKey, prism.parts.base.config.secrets.access, apiKey.slice(0, 20)])
    assert.ok(!written.text.includes(word));
});
