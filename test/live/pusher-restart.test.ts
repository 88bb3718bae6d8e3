import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { PusherClient } from "./support/pusher-client.ts";

test("the official client reconnects by itself after a restart, rejoins its channels and reads what it missed", async (t) => {
  const prism = await startPrism(t, { settings: { port: String(await lastingPort()) } });
  const uma = await makeUser(prism, "uma");
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  const channel = `private-user-${uma.id}`;
  await client.join(channel);
  const notify = (title: string) => prism.post("/api/v1/notifications", { recipients: [uma.id], title, message: "m" });
  await notify("before");
  const { offset } = await client.expect<{ offset: number }>("notification");
  const { socketId } = client;
  const pausesS: number[] = [];
  client.pusher.connection.bind("connecting_in", (seconds: number) => pausesS.push(seconds));
  await prism.stop();
  await eventually("it knows", () => client.states.includes("connecting"));
  await prism.restart();
  await notify("meanwhile, maybe");
  await eventually("it is back", () => client.dataOf("pusher:subscription_succeeded").length === 2, 60_000);
  assert.notEqual(client.socketId, socketId);
  // The pause is the client's own answer to the code: after 4200 it calls at once, in vain.
  assert.deepEqual([client.codes[0], pausesS[0]], [4100, 1]);
  await notify("after");
  await eventually("it hears", () =>
    client.dataOf<{ title: string }>("notification").some(({ title }) => title === "after"),
  );
  const { missed } = client.dataOf<{ missed: string }>("pusher:subscription_succeeded")[1] ?? { missed: "" };
  const { body } = await prism.get<{ data: { title: string }[] }>(`${missed}?since=${offset}`, { token: uma.token });
  assert.deepEqual(
    body.data.map(({ title }) => title),
    ["meanwhile, maybe", "after"],
  );
});
