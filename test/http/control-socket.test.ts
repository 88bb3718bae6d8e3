import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { WebSocket } from "ws";
import { overSocket } from "../helpers/control.ts";
import { answered, startPrism } from "../helpers/prism.ts";

test("the control socket is the owner's alone, and gone after the stop", async (t) => {
  const prism = await startPrism(t);
  const file = join(prism.dir, "prism.sock");
  const { mode, uid } = statSync(file);
  assert.equal((mode & 0o777).toString(8), "600");
  assert.equal(uid, process.getuid?.());
  await prism.stop();
  assert.equal(existsSync(file), false);
});

test("a request on the control socket is the operator's: every permission, no user, named in the audit trail", async (t) => {
  const prism = await startPrism(t);
  await answered(201, overSocket(prism.dir, "POST", "/api/v1/projects", { name: "by the operator" }));
  const { body } = await prism.get<{ data: { action: string; actor: unknown; userId: unknown; ip: unknown }[] }>(
    "/api/v1/audit?action=project.create",
  );
  const [entry] = body.data;
  assert.deepEqual([entry?.actor, entry?.userId ?? null, entry?.ip ?? null], [{ type: "operator" }, null, null]);
});

test("what is about the caller's own account refuses the operator and says what to do", async (t) => {
  const prism = await startPrism(t);
  for (const path of [
    "/api/v1/users/me",
    "/api/v1/notifications",
    "/api/v1/users/me/tokens",
    "/api/v1/auth/sessions",
  ]) {
    const { status, body } = await overSocket(prism.dir, "GET", path);
    const { error } = body as { error: { code: string; message: string } };
    assert.deepEqual([status, error.code], [403, "FORBIDDEN"], path);
    assert.match(error.message, /The operator has no account; name a user/);
  }
});

test("a credential on the control socket counts: the request is that user's", async (t) => {
  const prism = await startPrism(t);
  const headers = { Authorization: `Bearer ${prism.adminToken}` };
  const { status, body } = await overSocket(prism.dir, "GET", "/api/v1/users/me", undefined, headers);
  assert.deepEqual([status, body["username"]], [200, "dev"]);
  await answered(401, overSocket(prism.dir, "GET", "/api/v1/users", undefined, { Authorization: "Bearer prt_wrong" }));
});

test("no web page may use the control socket, whatever its origin", async (t) => {
  const prism = await startPrism(t, { settings: { corsOrigins: "https://console.example" } });
  for (const origin of ["https://console.example", "https://evil.example", "null", prism.url]) {
    const { status, body } = await overSocket(prism.dir, "GET", "/api/v1/users", undefined, { Origin: origin });
    assert.deepEqual([status, (body as { error: { code: string } }).error.code], [403, "ORIGIN_REFUSED"], origin);
    const socket = new WebSocket(`ws+unix://${join(prism.dir, "prism.sock")}:/ws`, { origin });
    const [response] = await new Promise<{ statusCode?: number | undefined }[]>((resolve, reject) => {
      socket.on("unexpected-response", (_request, answer) => resolve([answer]));
      socket.on("open", () => reject(new Error(`a page of ${origin} was let in`)));
      socket.on("error", reject);
    });
    assert.equal(response?.statusCode, 403, origin);
  }
});

test("no limit counts requests on the control socket, and X-Forwarded-For says nothing there", async (t) => {
  const prism = await startPrism(t, {
    settings: { "rateLimit.user": "2", "rateLimit.ip": "2", "rateLimit.global": "2", trustedProxies: "127.0.0.1" },
  });
  for (let i = 0; i < 5; i++) {
    const { status, headers } = await overSocket(
      prism.dir,
      "POST",
      "/api/v1/projects",
      { name: `p${i}` },
      {
        "X-Forwarded-For": "203.0.113.9",
      },
    );
    assert.deepEqual([status, headers["ratelimit-limit"]], [201, undefined]);
  }
  const { body } = await overSocket(prism.dir, "GET", "/api/v1/audit?action=project.create");
  const { data } = body as { data: { ip: string | null }[] };
  assert.deepEqual([...new Set(data.map(({ ip }) => ip))], [null]);
});

test("the live protocol is there: the operator follows the events of a project", async (t) => {
  const prism = await startPrism(t);
  const socket = new WebSocket(`ws+unix://${join(prism.dir, "prism.sock")}:/ws`);
  t.after(() => socket.terminate());
  const projectId = prism.parts.offers.defaultProjectId;
  const event = await new Promise<{ type?: string }>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { op: string; type?: string };
      if (message.op === "welcome")
        socket.send(JSON.stringify({ op: "subscribe", id: "1", stream: `project:${projectId}` }));
      if (message.op === "subscribed") void prism.post("/api/v1/events", { type: "door.opened" });
      if (message.op === "event") resolve(message);
      if (message.op === "error") reject(new Error(data.toString()));
    });
  });
  assert.equal(event.type, "door.opened");
});

test("what another process has left in the place of the socket is replaced", async (t) => {
  const prism = await startPrism(t);
  await prism.stop();
  writeFileSync(join(prism.dir, "prism.sock"), "left");
  await prism.restart();
  assert.equal((await overSocket(prism.dir, "GET", "/api/v1/users")).status, 200);
});

test("a data directory whose path is longer than a socket's may be has one, too", async (t) => {
  const base = mkdtempSync(join(tmpdir(), "prism-long-"));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, "d".repeat(120));
  mkdirSync(dir);
  const prism = await startPrism(t, { dir });
  assert.equal((statSync(join(dir, "prism.sock")).mode & 0o777).toString(8), "600");
  assert.equal((await overSocket(prism.dir, "GET", "/api/v1/users")).status, 200);
});

test("the operator gets no ticket, which would carry its rights to a port", async (t) => {
  const prism = await startPrism(t);
  for (const body of [{}, { stream: "system" }]) {
    const reply = await overSocket(prism.dir, "POST", "/api/v1/realtime/ticket", body);
    const { error } = reply.body as { error?: { code: string } };
    assert.deepEqual([reply.status, error?.code], [403, "FORBIDDEN"]);
  }
  const headers = { Authorization: `Bearer ${prism.adminToken}` };
  assert.equal((await overSocket(prism.dir, "POST", "/api/v1/realtime/ticket", {}, headers)).status, 201);
});
