import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { errorCodeOf, RawConnection, requestText } from "./support/raw-connection.ts";

const MEBIBYTE = 1_048_576;
/** The least that a server with bodies of 1 MiB may be given. */
const settings = {
  "ingest.maxBodyBytes": String(MEBIBYTE),
  "ingest.highWaterBytes": String(4 * MEBIBYTE),
  "rateLimit.enabled": "false",
};

interface Key {
  readonly apiKey: string;
}

async function newKey(prism: TestPrism, name: string): Promise<Key> {
  const { body } = await prism.post<{ apiKey: string }>("/api/v1/projects", { name });
  return { apiKey: body.apiKey };
}

const loginHead = (bytes: number): string =>
  requestText("POST", "/api/v1/auth/login", ["Content-Type: application/json", `Content-Length: ${bytes}`]);

const ingestHead = ({ apiKey }: Key, bytes: number): string =>
  requestText("POST", "/api/v1/events", [
    "Content-Type: application/json",
    `X-API-Key: ${apiKey}`,
    `Content-Length: ${bytes}`,
  ]);

/** Sends all but the last byte of a body, in two pieces. */
async function sendHalf(t: TestContext, prism: TestPrism, head: string, bytes: number): Promise<RawConnection> {
  const connection = await RawConnection.open(t, prism.app.port);
  await connection.sendAlone(head);
  connection.send("a".repeat(bytes - 1));
  return connection;
}

async function sendInPieces(t: TestContext, prism: TestPrism, key: Key): Promise<number> {
  const body = JSON.stringify({ type: "a", payload: { text: "x".repeat(40_000) } });
  const connection = await RawConnection.open(t, prism.app.port);
  await connection.sendAlone(ingestHead(key, body.length));
  for (let at = 0; at < body.length; at += 8192) await connection.sendAlone(body.slice(at, at + 8192));
  const { status } = await connection.reply();
  connection.destroy();
  return status;
}

test("half-sent bodies without credentials leave room for the requests of tenants", async (t) => {
  const prism = await startPrism(t, { settings });
  const { bodies } = prism.parts.core;
  const tenant = await newKey(prism, "tenant");
  const bytes = 16_000;
  const held = await Promise.all(Array.from({ length: 300 }, () => sendHalf(t, prism, loginHead(bytes), bytes)));
  await eventually("bodies beyond the share are refused", () => held.some((each) => each.unread.includes("503")));
  assert.ok(bodies.bufferedBytes > 0 && bodies.bufferedBytes <= 2 * MEBIBYTE, `${bodies.bufferedBytes} bytes are held`);
  for (let i = 0; i < 5; i++) assert.equal(await sendInPieces(t, prism, tenant), 202);
  for (const each of held) each.destroy();
});

test("one tenant's half-sent bodies leave room for another tenant, and for a login", async (t) => {
  const prism = await startPrism(t, { settings });
  const [greedy, tenant] = [await newKey(prism, "greedy"), await newKey(prism, "tenant")];
  const bytes = 500_000;
  const held = await Promise.all(
    Array.from({ length: 12 }, () => sendHalf(t, prism, ingestHead(greedy, bytes), bytes)),
  );
  await eventually("bodies beyond the share are refused", () => held.some((each) => each.unread.includes("503")));
  for (let i = 0; i < 5; i++) assert.equal(await sendInPieces(t, prism, tenant), 202);
  const login = JSON.stringify({ username: "nobody", password: "x".repeat(100) });
  const connection = await RawConnection.open(t, prism.app.port);
  await connection.sendAlone(loginHead(login.length));
  await connection.sendAlone(login.slice(0, 50));
  connection.send(login.slice(50));
  assert.equal((await connection.reply()).status, 401);
  for (const each of held) each.destroy();
});

test("a public route takes 16 KiB", async (t) => {
  const prism = await startPrism(t, { settings });
  const connection = await RawConnection.open(t, prism.app.port);
  connection.send(loginHead(16_385));
  const reply = await connection.reply();
  assert.deepEqual([reply.status, errorCodeOf(reply)], [413, "PAYLOAD_TOO_LARGE"]);
});

test("a batch as large as its limits allow is taken when nothing else waits", async (t) => {
  const prism = await startPrism(t, { settings });
  const key = await newKey(prism, "tenant");
  const line = '{"type":"a"}\n';
  const body = line.repeat(10_000);
  for (let i = 0; i < 2; i++) {
    const reply = await prism.post("/api/v1/events", body, {
      ...key,
      headers: { "Content-Type": "application/x-ndjson" },
    });
    assert.equal(reply.status, 202);
  }
});
