import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { CARRIERS, SocketIoClient } from "./support/socketio-client.ts";

async function notify(prism: TestPrism, userId: string, title: string): Promise<void> {
  const { status, text } = await prism.post("/api/v1/notifications", { userId, title, message: title });
  assert.equal(status, 201, text);
}

for (const carrier of CARRIERS) {
  test(`S0-05, S0-41, S2-64, S4-05: over ${carrier} a user's notifications come as events of Socket.IO`, async (t) => {
    keepsPromise(t, ["S0-05", "S0-41", "S2-64", "S4-05"]);
    const prism = await startPrism(t);
    const uma = await makeUser(prism, "uma");
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: uma.token });
    await notify(prism, uma.id, "first");
    const came = await client.expect("notification", { title: "first" });
    assert.equal(came["userId"], uma.id);
    assert.equal(typeof came["offset"], "number");
    await eventually("counted as delivered", async () => {
      const { body } = await prism.get(`/api/v1/notifications/${came["id"]}`, { token: uma.token });
      return body["delivered"] === true;
    });
  });
}

test("S2-66: over polling a notification counts as delivered once a poll has fetched it, and not before", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  await SocketIoClient.ready(t, prism.url, "websocket", { token: vic.token });
  const first = "/socket.io/?EIO=4&transport=polling";
  const poll = async (path: string): Promise<string> => (await prism.get(path, { token: null })).text;
  const path = `${first}&sid=${/"sid":"([^"]+)"/.exec(await poll(first))?.[1]}`;
  const asText = { token: null, headers: { "Content-Type": "text/plain" } };
  await prism.post(path, `40${JSON.stringify({ token: uma.token })}`, asText);
  let came = "";
  while (!came.includes('["ready"')) came += await poll(path);
  const missed = async ({ token }: { readonly token: string }): Promise<number> =>
    (await prism.get<{ data: unknown[] }>("/api/v1/notifications/missed", { token })).body.data.length;
  for (const title of ["1", "2", "3"]) await notify(prism, uma.id, title);
  // Marks are written in their order.
  await notify(prism, vic.id, "behind them");
  await eventually("a later one is delivered", async () => (await missed(vic)) === 0);
  assert.equal(await missed(uma), 3);
  assert.equal((await poll(path)).match(/\["notification",/g)?.length, 3);
  await eventually("delivered", async () => (await missed(uma)) === 0);
});
