import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import WebSocket from "ws";
import { PrismClient } from "../../src/client/index.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { CARRIERS, SocketIoClient } from "./support/socketio-client.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

interface Person {
  readonly id: string;
  readonly token: string;
}

/** One of a user's devices: what it received, as `<type> <id or count>`, in order. */
interface Device {
  readonly name: string;
  told(): string[];
}

type Told = Readonly<Record<string, unknown>>;

/** Socket.IO's names have a colon where the others have a dot. */
function inShort(type: string, data: unknown): string {
  const { id, count, all } = data as Told;
  return `${type.replace(":", ".")} ${String(all === true ? "all" : (count ?? id))}`;
}

const SHOWN = /^(notification|unread-count)/;

async function native(t: TestContext, prism: TestPrism, { token }: Person): Promise<Device> {
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, token);
  await client.ask({ op: "subscribe", id: "1", stream: "user:me" });
  return {
    name: "native",
    told: () => client.all({ op: "event" }).map(({ type, data }) => inShort(String(type), data)),
  };
}

async function library(
  t: TestContext,
  prism: TestPrism,
  { token }: Person,
): Promise<Device & { api: PrismClient["api"] }> {
  const client = new PrismClient({ url: prism.url, token, WebSocket });
  t.after(() => client.close());
  const told: string[] = [];
  client.subscribe("user:me").on("event", ({ type, data }) => void told.push(inShort(type, data)));
  await new Promise((resolve) => client.on("subscribed", resolve));
  return { name: "prism-client", told: () => told, api: client.api };
}

async function socketIo(
  t: TestContext,
  prism: TestPrism,
  { token }: Person,
  carrier: (typeof CARRIERS)[number],
): Promise<Device & { client: SocketIoClient }> {
  const client = await SocketIoClient.ready(t, prism.url, carrier, { token });
  const told = () =>
    client.events.filter(({ name }) => SHOWN.test(name)).map(({ name, payload }) => inShort(name, payload));
  return { name: `Socket.IO, ${carrier}`, told, client };
}

async function pusher(t: TestContext, prism: TestPrism, { id, token }: Person): Promise<Device> {
  const client = await PusherClient.connect(t, prism, { token });
  await client.join(`private-user-${id}`);
  const told = () =>
    client.heard.filter(({ event }) => SHOWN.test(event)).map(({ event, data }) => inShort(event, data));
  return { name: "Pusher", told };
}

test("S2-64, S0-05, S2-125: what one device reads or acknowledges shows on every other, whatever protocol each speaks", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const page = await library(t, prism, uma);
  const [socket, poller] = [await socketIo(t, prism, uma, "websocket"), await socketIo(t, prism, uma, "polling")];
  const devices: Device[] = [await native(t, prism, uma), page, socket, poller, await pusher(t, prism, uma)];
  const others: Device[] = [await native(t, prism, vic), await pusher(t, prism, vic)];
  for (const carrier of CARRIERS) others.push(await socketIo(t, prism, vic, carrier));

  const as = { token: uma.token };
  const path = "/api/v1/notifications";
  const read = async (client: SocketIoClient, id: string): Promise<void> => {
    assert.deepEqual((await client.ask("notification:read", { id })).ok, true);
  };
  const actions: readonly [what: string, act: (id: string) => Promise<unknown>, shown: string][] = [
    ["read over REST", (id) => prism.patch(`${path}/${id}/read`, undefined, as), "read"],
    ["acknowledged over REST", (id) => prism.put(`${path}/${id}/acknowledge`, {}, as), "acknowledged"],
    ["deleted over REST", (id) => prism.delete(`${path}/${id}`, as), "deleted"],
    ["read by prism-client", (id) => page.api.markRead(id), "read"],
    ["acknowledged by prism-client", (id) => page.api.acknowledge(id), "acknowledged"],
    ["read over Socket.IO, websocket", (id) => read(socket.client, id), "read"],
    ["read over Socket.IO, polling", (id) => read(poller.client, id), "read"],
  ];
  const expected: string[] = [];
  for (const [what, act, shown] of actions) {
    const { body } = await prism.post<{ id: string }>(path, { userId: uma.id, title: what, message: "m" });
    await act(body.id);
    expected.push(`notification ${body.id}`, `notification.${shown} ${body.id}`, "unread-count 0");
    await allShow(what, devices, expected);
  }
  const { body } = await prism.post<{ id: string }>(path, { userId: uma.id, title: "last", message: "m" });
  await prism.post(`${path}/read-all`, undefined, as);
  expected.push(`notification ${body.id}`, "notification.read all", "unread-count 0");
  await allShow("all read at once", devices, expected);
  for (const { name, told } of others) assert.deepEqual(told(), [], `${name} of another user`);
});

async function allShow(what: string, devices: readonly Device[], expected: readonly string[]): Promise<void> {
  for (const { name, told } of devices) {
    await eventually(`${what} shows on ${name}, which has ${told().slice(-3)}`, () => told().length >= expected.length);
    assert.deepEqual(told(), expected, `${what}, on ${name}`);
  }
}

test("S2-10: a user connected by several protocols has the Pusher channels in the user object", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  await native(t, prism, uma);
  const channels = async () =>
    (await prism.get<{ pusherChannels: string[] }>("/api/v1/users/me", { token: uma.token })).body.pusherChannels;
  assert.deepEqual(await channels(), []);
  await pusher(t, prism, uma);
  assert.deepEqual(await channels(), [`private-user-${uma.id}`]);
});
