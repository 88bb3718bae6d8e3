import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import test from "node:test";
import WebSocket from "ws";
import { installCertificate, makeCertificate } from "../helpers/certificate.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli, runCli } from "./run-cli.ts";

interface Message {
  readonly event: string;
  readonly message?: string;
}

test("ntfy.port has the API of ntfy at its root, for an app without a host name of its own, and nothing else", async (t) => {
  const cwd = temporaryDir(t);
  const port = await lastingPort();
  const env = { PRISM_NTFY_PORT: String(port) };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, main = ""] = await server.until(/Prism is ready: (\S+) /);
  await server.until(new RegExp(`Server URL for ntfy's app: http://127\\.0\\.0\\.1:${port}\\n`));
  const { token } = (await (await fetch(`${main}/dev/token`)).json()) as { token: string };
  const base = `http://127.0.0.1:${port}`;
  const headers = { Authorization: `Bearer ${token}` };

  assert.deepEqual(await (await fetch(`${base}/v1/health`)).json(), { healthy: true });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/home/ws`, { headers });
  t.after(() => socket.terminate());
  const opened = JSON.parse(String((await once(socket, "message"))[0])) as Message;
  assert.equal(opened.event, "open");
  // It may arrive before the answer to its publisher.
  const arriving = once(socket, "message");
  const published = await fetch(`${base}/home`, { method: "POST", headers, body: "The freezer is warm" });
  assert.equal(published.status, 200);
  const arrived = JSON.parse(String((await arriving)[0])) as Message;
  assert.equal(arrived.message, "The freezer is warm");
  const poll = await (await fetch(`${base}/home/json?poll=1`, { headers })).text();
  assert.match(poll, /The freezer is warm/);

  await t.test("links of the API name the port, and for a made up host this machine", async () => {
    assert.match(await (await fetch(`${base}/config.js`)).text(), new RegExp(`"base_url": "${base}"`));
  });

  await t.test("Prism's own API, console, streams and sockets are not there", async () => {
    for (const path of ["/api/v1/users/me", "/dashboard/jobs", "/metrics", "/dev/token", "/ntfy/home/json?poll=1"]) {
      const reply = await fetch(`${base}${path}`, { headers, redirect: "manual" });
      // A path of one segment is a topic, with its own errors.
      assert.ok(reply.status === 404 || reply.status === 400, `${path}: ${reply.status}`);
      assert.doesNotMatch(await reply.text(), /UNAUTHENTICATED|prism_|<!doctype/i, path);
    }
    for (const path of ["/ws", "/pulse", "/ws/updates", "/socket.io/?EIO=4&transport=websocket", "/gotify/stream"]) {
      const refused = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
      t.after(() => refused.terminate());
      assert.match(String((await once(refused, "error"))[0]), /Unexpected server response: (?:200|400|404)/, path);
    }
  });

  await t.test("doctor finds the running server on it", async () => {
    const { stdout } = await runCli(["doctor", "--json"], { cwd, env: { ...env, PORT: new URL(main).port } });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; message: string }[] };
    const ports = checks.filter(({ name }) => name === "port").map(({ message }) => message);
    assert.equal(ports.filter((message) => /is held by the running server/.test(message)).length, 2, ports.join("\n"));
  });

  await t.test("a second server finds it taken and names the setting", async () => {
    const { status, stderr } = await runCli(["serve", "--port", "0", "--data-dir", "other"], { cwd, env });
    assert.equal(status, 4, stderr);
    assert.match(stderr, /in ntfy\.port or PRISM_NTFY_PORT/);
  });

  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});

test("ntfy.port speaks TLS with Prism's certificate, also after it is renewed", async (t) => {
  const cwd = temporaryDir(t);
  const port = await lastingPort();
  const files = [join(cwd, "server.crt"), join(cwd, "server.key")] as const;
  installCertificate(makeCertificate(), ...files);
  const env = {
    ...{ PRISM_TLS_CERT_FILE: "server.crt", PRISM_TLS_KEY_FILE: "server.key" },
    PRISM_NTFY_PORT: String(port),
  };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/Prism is ready/);
  const topicAt = async (): Promise<string> => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/home/ws`, { rejectUnauthorized: false });
    t.after(() => socket.terminate());
    return String((await once(socket, "error"))[0]);
  };
  // Without credentials; the port answers as ntfy.
  assert.match(await topicAt(), /403/);
  installCertificate(makeCertificate(), ...files);
  server.signal("SIGHUP");
  await server.until(/certificate.*\n(?:.*\n)*.*certificate/);
  // The kernel may reset a handshake that is under way when the socket of the old certificate closes.
  const isReset = (answer: string): boolean => answer.includes("ECONNRESET");
  const first = await topicAt();
  assert.match(isReset(first) ? await topicAt() : first, /403/);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});
