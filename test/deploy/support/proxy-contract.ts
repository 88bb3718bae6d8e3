import assert from "node:assert/strict";
import { once } from "node:events";
import type { TestContext } from "node:test";
import WebSocket from "ws";
import { makeCertificate } from "../../helpers/certificate.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { httpsRequest, rawOverTls } from "./https-client.ts";

export interface ProxyOptions {
  /** Port of Prism. */
  readonly upstream: number;
  readonly cert: string;
  readonly key: string;
  /** Prism is under `/prism` instead of a name of its own. */
  readonly isSubpath: boolean;
}

/** What a configuration of `deploy/` promises, whichever the proxy. */
export async function checkProxy(
  t: TestContext,
  start: (t: TestContext, options: ProxyOptions) => Promise<number>,
): Promise<void> {
  const settings = { trustedProxies: "127.0.0.1", "rateLimit.ip": "3" };
  const prism = await startPrism(t, { settings });
  const { cert, key } = makeCertificate();
  const upstream = { upstream: prism.app.port, cert, key };
  const port = await start(t, { ...upstream, isSubpath: false });
  const subpathPort = await start(t, { ...upstream, isSubpath: true });
  const base = `https://127.0.0.1:${port}`;
  const auth = { Authorization: `Bearer ${prism.adminToken}` };
  const json = { ...auth, "Content-Type": "application/json" };

  await t.test("requests, and their error bodies", async () => {
    const stored = await httpsRequest(`${base}/api/v1/events`, cert, {
      method: "POST",
      headers: json,
      body: '{"type":"through.proxy"}',
    });
    assert.equal(stored.status, 202, stored.body);
    assert.match(String(stored.headers["strict-transport-security"]), /max-age/);
    const missing = await httpsRequest(`${base}/api/v1/none`, cert, { headers: auth });
    assert.deepEqual([missing.status, codeOf(missing.body)], [404, "NOT_FOUND"]);
    const page = await httpsRequest(`${base}/docs`, cert);
    assert.equal(page.status, 200);
  });

  await t.test("limits and logins count the client's address, not the proxy's", async () => {
    const statusFrom = async (from: string): Promise<number> =>
      (await httpsRequest(`${base}/api/v1/rules`, cert, { from })).status;
    for (let i = 0; i < 3; i++) assert.equal(await statusFrom("127.0.0.2"), 401);
    assert.equal(await statusFrom("127.0.0.2"), 429);
    assert.equal(await statusFrom("127.0.0.3"), 401, "another client has a limit of its own");
    const login = await httpsRequest(`${base}/api/v1/auth/login`, cert, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"username":"nobody","password":"wrong password"}',
      from: "127.0.0.4",
    });
    assert.equal(login.status, 401, login.body);
  });

  await t.test("F9: a body of 9 MB is answered 413 by Prism, three times in a row", async () => {
    const body = Buffer.alloc(9_000_000, 0x20);
    for (let i = 0; i < 3; i++) {
      const reply = await httpsRequest(`${base}/api/v1/events`, cert, { method: "POST", headers: json, body });
      assert.deepEqual([reply.status, codeOf(reply.body)], [413, "PAYLOAD_TOO_LARGE"]);
      assert.ok(reply.headers["x-request-id"], "Prism's own answer");
    }
  });

  await t.test("a body beyond the proxy's limit is answered 413 as well", async () => {
    const headers = { ...json, "Content-Length": "40000000" };
    const reply = await httpsRequest(`${base}/api/v1/events`, cert, {
      method: "POST",
      headers,
      body: Buffer.alloc(40_000_000, 0x20),
    }).catch((error: Error) => error);
    // A proxy may close while the body is on its way; what it answers is 413.
    if (!(reply instanceof Error)) assert.equal(reply.status, 413);
  });

  await liveThrough(t, prism, { port, cert }, "");
  await liveThrough(t, prism, { port: subpathPort, cert }, "/prism");

  await t.test("no answer names a library, or the version of the proxy", async () => {
    const host = "Host: prism.example.com";
    for (const bytes of [
      "words\r\n\r\n",
      `GET / HTTP/1.0\r\n${host}\r\n\r\n`,
      `GET /none HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
      `GET /none HTTP/3.7\r\n${host}\r\nConnection: close\r\n\r\n`,
      `GET / HTTP/1.1\r\n${host}\r\nX-A: ${"a".repeat(20_000)}\r\nConnection: close\r\n\r\n`,
      `POST /api/v1/events HTTP/1.1\r\n${host}\r\nContent-Length: x\r\nConnection: close\r\n\r\n`,
      `TRACE / HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`,
    ]) {
      const text = await rawOverTls(port, cert, bytes);
      assert.match(text, /^HTTP\/1\.[01] [2345]\d\d/, JSON.stringify(bytes.slice(0, 40)));
      assert.doesNotMatch(text, /uwebsockets|nginx\/|caddy\/|^server: caddy/im);
    }
  });

  await t.test("scanners, development tokens and metrics are not passed on", async () => {
    for (const path of ["/.env", "/wp-login.php", "/.git/config", "/dev/token", "/cgi-bin/x"]) {
      const reply = await httpsRequest(`${base}${path}`, cert, { headers: auth });
      assert.deepEqual([reply.status, codeOf(reply.body)], [404, "NOT_FOUND"], path);
      assert.equal(reply.headers["x-request-id"], undefined, path);
    }
    const metrics = await httpsRequest(`${base}/metrics`, cert, { headers: auth, from: "127.0.0.5" });
    assert.equal(metrics.status, 404);
    const method = await httpsRequest(`${base}/api/v1/rules`, cert, { method: "PROPFIND", headers: auth });
    assert.deepEqual([method.status, codeOf(method.body)], [405, "METHOD_NOT_ALLOWED"]);
  });

  await t.test("while Prism does not run programs get 503 and JSON, and browsers a page that loads again", async () => {
    await prism.stop();
    const reply = await httpsRequest(`${base}/health`, cert);
    assert.deepEqual([reply.status, codeOf(reply.body)], [503, "OVERLOADED"]);
    assert.equal(reply.headers["content-type"], "application/json");
    assert.equal(reply.headers["retry-after"], "5");
    const headers = { Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
    const page = await httpsRequest(`${base}/dashboard/`, cert, { headers });
    assert.equal(page.status, 503);
    assert.match(String(page.headers["content-type"]), /^text\/html/);
    assert.equal(page.headers["retry-after"], "5");
    assert.match(page.body, /http-equiv="refresh" content="\d"(?:.|\n)*<h1>Prism does not answer<\/h1>/);
  });
}

/** WebSocket and event stream; each gets an event that is sent after it was opened. */
async function liveThrough(
  t: TestContext,
  prism: TestPrism,
  { port, cert }: { port: number; cert: string },
  path: string,
): Promise<void> {
  await t.test(`WebSocket and event streams under ${path || "/"}`, async (t) => {
    const auth = { Authorization: `Bearer ${prism.adminToken}` };
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}/ws`, { headers: auth, ca: cert });
    t.after(() => socket.terminate());
    await once(socket, "open");
    const projects = await prism.get<{ data: { id: string }[] }>("/api/v1/projects");
    const type = `live${path.replace("/", ".")}`;
    let isSent = false;
    const stream = await httpsRequest(
      `https://127.0.0.1:${port}${path}/api/v1/realtime/${projects.body.data[0]?.id}/sse`,
      cert,
      {
        headers: auth,
        until: (body) => {
          if (!isSent) {
            isSent = true;
            void prism.post("/api/v1/events", { type });
          }
          return body.includes(`"${type}"`);
        },
      },
    );
    assert.match(String(stream.headers["content-type"]), /text\/event-stream/);
    assert.ok(stream.body.includes(`"${type}"`));
  });
}

function codeOf(body: string): string | undefined {
  return (JSON.parse(body) as { error?: { code?: string } }).error?.code;
}
