import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import tls from "node:tls";
import { installCertificate, makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { Refused } from "../live/support/live-client.ts";
import { WebSocketClient } from "../live/support/web-socket-client.ts";
import { RunningCli, runCli } from "./run-cli.ts";

interface Token {
  readonly token: string;
}

test("D7, S3-30: extraPorts are further doors to the same server, for requests and sockets alike", async (t) => {
  keepsPromise(t, "S3-30");
  const cwd = temporaryDir(t);
  const [first, second] = [await lastingPort(), await lastingPort()];
  const env = { PRISM_EXTRA_PORTS: `${first},${second}` };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, base = "", also] = await server.until(/Prism is ready: (\S+) .* {2}also (.*)\n/);
  const bases = [base, `http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`];
  assert.equal(also, bases.slice(1).join(" "));
  await server.until(new RegExp(`"extraPorts":\\[${first},${second}\\].*"msg":"ready"`));

  const { token } = (await (await fetch(`${bases[1]}/dev/token`)).json()) as Token;
  const clients = await Promise.all(
    bases.map(async (each) => {
      const url = `${each.replace("http", "ws")}/ws/updates?token=${token}`;
      // A page that one of the doors has given out may come in by it.
      const client = await WebSocketClient.openFor(t, url, {
        headers: { Origin: each.replace("127.0.0.1", "localhost") },
      });
      client.send({ type: "SUBSCRIBE_TASKS" });
      await client.expect({ type: "TASKS_SUBSCRIBED" });
      return client;
    }),
  );
  for (const each of bases) {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const reply = await fetch(`${each}/api/tasks`, { method: "POST", headers, body: '{"title":"t"}' });
    assert.equal(reply.status, 201);
  }
  for (const client of clients)
    await eventually("every way in shows every task", () => client.all({ type: "TASK_CREATED" }).length === 3);

  await t.test("a port that another server holds is refused with 4, the extra ones like the main one", async () => {
    for (const [name, port, extra] of [
      ["an extra port of the other", "0", String(first)],
      ["as its main port", String(second), ""],
      ["one that is free, and one that is not", "0", `${await lastingPort()},${second}`],
    ] as const) {
      const args = ["serve", "--port", port, "--data-dir", "other"];
      const { status, stderr } = await runCli(args, { cwd, env: { PRISM_EXTRA_PORTS: extra } });
      assert.equal(status, 4, `${name}: ${stderr}`);
      assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:(${first}|${second}): the port is taken`));
      assert.match(stderr, extra === "" ? /with --port or PORT/ : /in extraPorts or PRISM_EXTRA_PORTS/);
      assert.doesNotMatch(stderr, /\n\s+at /);
    }
  });

  await t.test("doctor looks at each of them", async () => {
    const options = { cwd, env: { ...env, PORT: new URL(base).port } };
    const { stdout } = await runCli(["doctor", "--json"], options);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    const ports = checks.filter(({ name }) => name === "port");
    assert.equal(ports.length, 3);
    for (const check of ports) assert.match(JSON.stringify(check), /is held by the running server/);
  });

  await t.test("a stop closes them all, sockets first", async () => {
    server.signal("SIGTERM");
    for (const client of clients) assert.equal((await client.end).code, 1012);
    assert.equal(await server.ended(), 0);
    for (const port of [first, second]) {
      const next = createServer().listen(port, "127.0.0.1");
      await once(next, "listening");
      next.close();
    }
  });
});

test("a port that is listed twice is refused as in use", async (t) => {
  const cwd = temporaryDir(t);
  const port = await lastingPort();
  writeFileSync(join(cwd, "prism.config.json"), JSON.stringify({ port, extraPorts: [port] }));
  const { status, stderr } = await runCli(["serve"], { cwd });
  assert.equal(status, 4);
  assert.match(stderr, new RegExp(`${port}: the port is taken.*in extraPorts`));
  for (const extraPorts of [[0], [65_536], ["x"], 8080.5]) {
    writeFileSync(join(cwd, "prism.config.json"), JSON.stringify({ extraPorts }));
    const refused = await runCli(["serve"], { cwd });
    assert.equal(refused.status, 3, JSON.stringify(extraPorts));
    assert.match(refused.stderr, /extraPorts.*must be a/);
  }
});

test("with a publicUrl only its pages come in by the other doors", async (t) => {
  const cwd = temporaryDir(t);
  const extra = await lastingPort();
  const env = {
    PRISM_EXTRA_PORTS: String(extra),
    PRISM_PUBLIC_URL: "http://prism.example",
    CORS_ORIGINS: "http://app.example",
  };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/Prism is ready/);
  const url = `ws://127.0.0.1:${extra}/ws/updates`;
  for (const [origin, status] of [
    [`http://localhost:${extra}`, 403],
    ["http://prism.example", 401],
  ] as const)
    await assert.rejects(
      WebSocketClient.open(url, { headers: { Origin: origin } }),
      (error) => error instanceof Refused && error.status === status,
    );
});

test("a renewed certificate is shown on every port, and a second server finds each taken", async (t) => {
  const cwd = temporaryDir(t);
  const extra = await lastingPort();
  const files = [join(cwd, "server.crt"), join(cwd, "server.key")] as const;
  installCertificate(makeCertificate(), ...files);
  const secure = { PRISM_TLS_CERT_FILE: "server.crt", PRISM_TLS_KEY_FILE: "server.key" };
  const env = { ...secure, PRISM_EXTRA_PORTS: String(extra) };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, main = ""] = await server.until(
    new RegExp(`Prism is ready: https://127\\.0\\.0\\.1:(\\d+) .* also https://127\\.0\\.0\\.1:${extra}\\n`),
  );
  const ports = [Number(main), extra];
  const before = await Promise.all(ports.map(fingerprint));
  assert.equal(before[0], before[1]);
  for (let round = 1; round <= 2; round++) {
    installCertificate(makeCertificate(), ...files);
    const shown = await fingerprint(extra);
    server.signal("SIGHUP");
    for (const port of ports)
      await eventually(`round ${round}, ${port}: the new certificate`, async () => {
        // At the very moment of the change a handshake may be reset.
        const now = await fingerprint(port).catch(() => shown);
        return now !== shown;
      });
  }
  const second = await runCli(["serve", "--port", "0", "--data-dir", "other"], { cwd, env });
  assert.deepEqual([second.status, /the port is taken/.test(second.stderr)], [4, true], second.stderr);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});

/** Of the certificate that a port shows. */
async function fingerprint(port: number): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

test("D7, S0-14: on dashboardPort / leads to the jobs page; its pages may renew sessions and follow live", async (t) => {
  keepsPromise(t, "S0-14");
  const cwd = temporaryDir(t);
  const port = await lastingPort();
  const env = { PRISM_DASHBOARD_PORT: String(port), PRISM_PUBLIC_URL: "http://127.0.0.1:9" };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, base = ""] = await server.until(/Prism is ready: (\S+) .* {2}also http:\/\/127\.0\.0\.1:\d+\n/);
  const root = async (url: string) => (await fetch(`${url}/`, { redirect: "manual" })).headers.get("location");
  const dashboard = `http://127.0.0.1:${port}`;
  assert.deepEqual([await root(base), await root(dashboard)], ["dashboard/", "dashboard/jobs"]);
  const refresh = (origin: string) =>
    fetch(`${dashboard}/api/v1/auth/refresh`, {
      method: "POST",
      headers: { Origin: origin, Cookie: "prism_refresh=x" },
    });
  assert.equal((await refresh(dashboard)).status, 401, "the origin may; the cookie is not valid");
  assert.equal((await refresh("http://evil.example.org")).status, 403);
});
