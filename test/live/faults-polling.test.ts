import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { RawConnection, requestText } from "../http/support/raw-connection.ts";
import { liveCount, RAW_SETTINGS } from "./support/raw-protocols.ts";
import { frame, OPCODE, RawSocket } from "./support/raw-socket.ts";

const PATH = "/socket.io/?EIO=4&transport=polling";
const AS_TEXT = { token: null, headers: { "Content-Type": "text/plain" } } as const;
const SEPARATOR = "\u001e";
const ATTACHMENT_MISSING = '451-["subscribe",{"_placeholder":true,"num":0}]';
const ASK = '420["unsubscribe",{"stream":"channel:none"}]';

/** A session of a client that polls by hand. */
class Polls {
  readonly path: string;
  readonly #prism: TestPrism;

  private constructor(prism: TestPrism, sid: string) {
    this.#prism = prism;
    this.path = `${PATH}&sid=${sid}`;
  }

  /** The client has authenticated. */
  static async open(prism: TestPrism): Promise<Polls> {
    const { text } = await prism.get(PATH, { token: null });
    const polls = new Polls(prism, /"sid":"([^"]+)"/.exec(text)?.[1] ?? "");
    await polls.post(`40${JSON.stringify({ token: prism.adminToken })}`);
    let answers = "";
    while (!answers.includes('["ready"')) answers += (await polls.poll()).text;
    return polls;
  }

  poll(): Promise<{ status: number; text: string }> {
    return this.#prism.get(this.path, { token: null });
  }

  post(body: string): Promise<{ status: number; text: string }> {
    return this.#prism.post(this.path, body, AS_TEXT);
  }
}

async function isForgotten(prism: TestPrism, polls: Polls): Promise<void> {
  await eventually("the session is forgotten", () => liveCount(prism) === 0);
  // Its last words may still wait for polls.
  await eventually("there is no such session", async () => (await polls.poll()).status === 400);
  assert.equal((await polls.post(ASK)).status, 400);
}

async function start(t: TestContext, clock?: FakeClock): Promise<TestPrism> {
  return startPrism(t, { settings: RAW_SETTINGS, ...(clock ? { clock } : {}) });
}

test("Socket.IO over polling: a session whose client falls silent is removed after 60 s", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, clock);
  const polls = await Polls.open(prism);
  clock.advance(59_999);
  assert.equal((await polls.post(ASK)).status, 200);
  assert.match((await polls.poll()).text, /^430\[\{"ok":true/);
  clock.advance(59_999);
  await prism.get("/health/live");
  assert.equal(liveCount(prism), 1);
  clock.advance(1);
  await isForgotten(prism, polls);
});

test("Socket.IO over polling: packets count one by one, however many arrive in one request", async (t) => {
  const prism = await start(t, new FakeClock());
  const polls = await Polls.open(prism);
  const some = (count: number) => Array.from({ length: count }, () => ASK).join(SEPARATOR);
  assert.equal((await polls.post(some(90))).status, 200);
  assert.equal((await polls.poll()).text.split(SEPARATOR).length, 90);
  // The client library takes an error here for a network error: its poll has the reason.
  assert.equal((await polls.post(some(90))).status, 200);
  assert.match((await polls.poll()).text, /"code":4429/);
  await isForgotten(prism, polls);
});

test("Socket.IO over polling: an invalid packet ends the session", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, clock);
  for (const body of [
    "x",
    "bAAAA",
    '0{"sid":"x"}',
    "4",
    ATTACHMENT_MISSING,
    "42[",
    '42{"a":1}',
    `${SEPARATOR}${SEPARATOR}`,
    `420${"[".repeat(5000)}`,
    `${ASK}${SEPARATOR}nothing`,
  ]) {
    const polls = await Polls.open(prism);
    await polls.post(body);
    // It is waited for until the client has been silent too long.
    if (body === ATTACHMENT_MISSING) clock.advance(60_000);
    await eventually(`the end after ${body.slice(0, 40)}`, () => liveCount(prism) === 0);
    await isForgotten(prism, polls);
  }
  assert.equal((await prism.get("/health/live")).status, 200);
});

test("Socket.IO over polling: a client that disconnects during a poll is removed at once", async (t) => {
  const prism = await start(t);
  for (const end of ["reset", "endWriting", "destroy"] as const) {
    const polls = await Polls.open(prism);
    const connection = await RawConnection.open(t, prism.app.port);
    connection.send(requestText("GET", polls.path));
    // Answered after it: the poll has been read.
    await polls.post(ASK);
    await connection.reply();
    connection.send(requestText("GET", polls.path));
    await prism.get("/health/live");
    connection[end]();
    await isForgotten(prism, polls);
  }
});

test("Socket.IO: a probing WebSocket has the session's limits", async (t) => {
  const prism = await start(t, new FakeClock());
  const polls = await Polls.open(prism);
  const path = polls.path.replace("transport=polling", "transport=websocket");
  const probe = await RawSocket.open(t, prism.app.port, path);
  // One at a time.
  await assert.rejects(RawSocket.open(t, prism.app.port, path), /VALIDATION_FAILED/);
  probe.send(frame("2probe"));
  await probe.expectText("3probe");
  assert.equal(liveCount(prism), 1);
  probe.send(...Array.from({ length: 1000 }, () => frame("", { opcode: OPCODE.ping })));
  await isForgotten(prism, polls);
  await eventually("the end of the probe", () => probe.connection.isClosed);
});
