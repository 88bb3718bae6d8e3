import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { checkDescriptors } from "../../src/store/doctor.ts";
import { ChildOutput } from "../helpers/child-output.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RawConnection, requestText } from "../http/support/raw-connection.ts";
import { commandLine } from "./run-cli.ts";

async function serveWithFewDescriptors(t: TestContext, port: number): Promise<ChildOutput> {
  const [program, args] = commandLine(["serve", "--data-dir", temporaryDir(t), "--port", String(port)]);
  const child = spawn("bash", ["-c", 'ulimit -n 400; exec "$0" "$@"', program, ...args]);
  const output = new ChildOutput(child);
  t.after(() => output.stop());
  await output.until("the server is ready", () => output.stdout.includes('"msg":"ready"'));
  return output;
}

test("without free file descriptors the server does not listen, and it is there again when some are free", async (t) => {
  const port = await lastingPort();
  const server = await serveWithFewDescriptors(t, port);
  const sockets: Socket[] = Array.from({ length: 450 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await server.until("it has stopped listening", () => server.stdout.includes("out of file descriptors"));
  for (const socket of sockets) socket.destroy();
  await server.until("it listens again", () => server.stdout.includes("file descriptors are free again"));
  await eventually("it answers", async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    return reply?.status === 200;
  });
});

test("what needs a thread or a file while no descriptor is free is answered 503 with Retry-After", async (t) => {
  const port = await lastingPort();
  const server = await serveWithFewDescriptors(t, port);
  const { token } = (await (await fetch(`http://127.0.0.1:${port}/dev/token`)).json()) as { token: string };
  const kept = await RawConnection.open(t, port);
  const request = requestText("GET", "/api/v1/audit/verify", [`Authorization: Bearer ${token}`]);
  const sockets: Socket[] = Array.from({ length: 450 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await server.until("no descriptor is free", () => server.stdout.includes("out of file descriptors"));
  kept.send(request);
  const refused = await kept.reply();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  assert.match(refused.body, /"OVERLOADED"/);
  for (const socket of sockets) socket.destroy();
  await server.until("descriptors are free again", () => server.stdout.includes("file descriptors are free again"));
  kept.send(request);
  assert.equal((await kept.reply()).status, 200);
});

test("doctor warns when few files may be open", () => {
  const limits = (soft: string) => `Limit Soft Hard Units\nMax open files            ${soft}    524288    files\n`;
  assert.deepEqual(
    ["1024", "65536", "unlimited"].map((soft) => checkDescriptors(limits(soft))[0]?.severity),
    ["warning", "ok", "ok"],
  );
});
