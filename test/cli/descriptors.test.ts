import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { checkDescriptors } from "../../src/cli/commands/doctor/file-checks.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RawConnection, requestText } from "../http/support/raw-connection.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("without free file descriptors the server does not listen, and it is there again when some are free", async (t) => {
  const port = await lastingPort();
  const program = `ulimit -n 200; exec "$0" --import tsx "${join(root, "bin/prism.ts")}" serve --data-dir "${temporaryDir(t)}" --port ${port}`;
  const child = spawn("bash", ["-c", program, process.execPath], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let log = "";
  child.stdout.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  await eventually("the server is ready", () => log.includes('"msg":"ready"'));
  const sockets: Socket[] = Array.from({ length: 250 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await eventually("it has stopped listening", () => log.includes("no file descriptor is free"));
  for (const socket of sockets) socket.destroy();
  await eventually("it listens again", () => log.includes("file descriptors are free again"));
  await eventually("it answers", async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    return reply?.status === 200;
  });
});

test("what needs a thread or a file while no descriptor is free is answered 503 with Retry-After", async (t) => {
  const port = await lastingPort();
  const program = `ulimit -n 200; exec "$0" --import tsx "${join(root, "bin/prism.ts")}" serve --data-dir "${temporaryDir(t)}" --port ${port}`;
  const child = spawn("bash", ["-c", program, process.execPath], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let log = "";
  child.stdout.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  await eventually("the server is ready", () => log.includes('"msg":"ready"'));
  const { token } = (await (await fetch(`http://127.0.0.1:${port}/dev/token`)).json()) as { token: string };
  const kept = await RawConnection.open(t, port);
  const request = requestText("GET", "/api/v1/audit/verify", [`Authorization: Bearer ${token}`]);
  const sockets: Socket[] = Array.from({ length: 250 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await eventually("no descriptor is free", () => log.includes("no file descriptor is free"));
  kept.send(request);
  const refused = await kept.reply();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  assert.match(refused.body, /"OVERLOADED"/);
  for (const socket of sockets) socket.destroy();
  await eventually("descriptors are free again", () => log.includes("file descriptors are free again"));
  kept.send(request);
  assert.equal((await kept.reply()).status, 200);
});

test("doctor warns when few files may be open", () => {
  const limits = (soft: string) => `Limit Soft Hard Units\nMax open files            ${soft}    524288    files\n`;
  assert.deepEqual(
    ["1024", "65536", "unlimited"].map((soft) => checkDescriptors(limits(soft))[0]?.status),
    ["WARN", "PASS", "PASS"],
  );
});
