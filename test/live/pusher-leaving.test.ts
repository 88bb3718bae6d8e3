import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { Connection } from "../../src/live/connections.ts";
import { LiveSocket, MAX_BACKLOG_BYTES } from "../../src/live/live-socket.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { establish, signByLibrary, subscribe } from "./support/raw-pusher.ts";

const ROOMS = ["presence-one", "presence-two"] as const;

test("a closing connection receives nothing more, even when its leaving closes others", async (t) => {
  const prism = await startPrism(t);
  const {
    core: { connections },
    offers: { pusherRegistry: registry },
  } = prism.parts;
  const opened: Connection[] = [];
  const add = connections.add.bind(connections);
  connections.add = (connection) => {
    opened.push(connection);
    add(connection);
  };
  const inBoth = async (user_id: string) => {
    const raw = await establish(t, prism);
    for (const room of ROOMS) await subscribe(raw, room, signByLibrary(prism, raw.socketId, room, { user_id }));
    return raw;
  };
  const [slow, leaving, other] = [await inBoth("slow"), await inBoth("leaving"), await inBoth("other")];
  // The next word is one too many for it.
  slow.client.socket.pause();
  const [live] = opened;
  assert.ok(live instanceof LiveSocket);
  const much = JSON.stringify(randomBytes(300_000).toString("base64"));
  for (let i = 0; i < 40; i++) {
    live.sendIfRoom(much);
    await prism.get("/health/live");
  }
  live.send(`"${"x".repeat(MAX_BACKLOG_BYTES - 10)}"`);
  leaving.client.socket.terminate();
  await eventually("both are gone", () => connections.counts.pusher === 1);
  for (const room of ROOMS) assert.deepEqual(registry.members(room), [{ user_id: "other" }]);
  await eventually(
    "the other hears of both",
    () => other.client.all({ event: "pusher_internal:member_removed" }).length === 4,
  );
});
