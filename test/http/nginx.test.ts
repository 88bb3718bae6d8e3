import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";

const page = readFileSync(fileURLToPath(new URL("../../docs/proxies.md", import.meta.url)), "utf8");

/**
 * The documented configuration, with the ports of the test and every file in a directory of its
 * own.
 */
async function startNginx(t: TestContext, upstream: number): Promise<string> {
  const documented = /```nginx\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  assert.ok(documented, "the page has a configuration");
  const dir = temporaryDir(t);
  mkdirSync(join(dir, "tmp"));
  const port = await lastingPort();
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (each) => `${each}_temp_path ${dir}/tmp/${each};`,
  );
  const server = documented.replace("listen 8080", `listen 127.0.0.1:${port}`).replace(":3000", `:${upstream}`);
  writeFileSync(
    join(dir, "nginx.conf"),
    `pid ${dir}/pid;\nerror_log ${dir}/error.log;\nevents {}\nhttp {\naccess_log off;\n${paths.join("\n")}\n${server}}\n`,
  );
  const nginx = spawn(
    "nginx",
    ["-p", dir, "-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf"), "-g", "daemon off;"],
    {
      env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
      stdio: "ignore",
    },
  );
  nginx.on("error", () => assert.fail("nginx is not installed: apt-get install nginx-light"));
  t.after(() => nginx.kill("SIGTERM"));
  const url = `http://127.0.0.1:${port}`;
  await eventually("nginx answers", async () => (await fetch(`${url}/health`).catch(() => null))?.ok === true);
  return url;
}

test("the documented nginx configuration passes requests, clients' addresses, WebSocket and event streams", async (t) => {
  const prism = await startPrism(t, { settings: { trustedProxies: "127.0.0.1", "rateLimit.ip": "3" } });
  const url = await startNginx(t, prism.app.port);
  const auth = { Authorization: `Bearer ${prism.adminToken}` };
  const stored = await fetch(`${url}/api/v1/events`, {
    method: "POST",
    headers: { ...auth, "Content-Type": "application/json" },
    body: '{"type":"through.nginx"}',
  });
  assert.equal(stored.status, 202);

  const statusFrom = async (address: string): Promise<number> =>
    (await fetch(`${url}/api/v1/rules`, { headers: { "X-Forwarded-For": address } })).status;
  // The header's last address outside of trustedProxies counts; nginx appends its own peer.
  for (let i = 0; i < 3; i++) assert.equal(await statusFrom("192.0.2.1"), 401);
  assert.equal(await statusFrom("192.0.2.1"), 429);
  assert.equal(await statusFrom("192.0.2.2"), 401, "another client has a limit of its own");

  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers: auth });
  t.after(() => socket.terminate());
  await once(socket, "open");
  const projects = await prism.get<{ data: { id: string }[] }>("/api/v1/projects");
  const stream = await fetch(`${url}/api/v1/realtime/${projects.body.data[0]?.id}/sse`, { headers: auth });
  assert.match(stream.headers.get("content-type") ?? "", /text\/event-stream/);
  await stream.body?.cancel();
});

test("a forwarded header from a peer that is not trusted is in the log once, counted, and a warning of the status", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  for (let i = 0; i < 3; i++)
    await prism.get("/api/v1/rules", { token: null, headers: { "X-Forwarded-For": "192.0.2.1" } });
  const text = JSON.stringify(log);
  assert.equal(text.split("trustedProxies").length - 1, 1, text);
  assert.match((await prism.get("/metrics")).text, /^prism_untrusted_forwarded_total 3$/m);
  const { body } = await prism.get<{ warnings: readonly string[] }>("/api/v1/status");
  assert.match(
    body.warnings.join("\n"),
    /3 requests had X-Forwarded-For from a peer that is not trusted.*127\.0\.0\.1/,
  );
});
