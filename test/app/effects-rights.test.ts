import assert from "node:assert/strict";
import test from "node:test";
import { deserialize, serialize } from "node:v8";
import type { WriterRequest } from "../../src/store/commit/writers.ts";
import type { Effect } from "../../src/store/effect.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { WebSocketClient } from "../live/support/web-socket-client.ts";
import { commit, roleId, session } from "./support/effects.ts";

test("effects go through the writer with their commit, as plain data", async (t) => {
  const prism = await startPrism(t);
  const { port } = prism.parts.base.store;
  const committed: Effect[] = [];
  const ask = port.ask.bind(port);
  const note = (request: WriterRequest): void => {
    if (request.op === "together") request.requests.forEach(note);
    else if ("end" in request) committed.push(...request.end.effects);
  };
  port.ask = (request) => {
    note(request);
    return ask(request);
  };
  const ann = await makeUser(prism, "ann", ["User"]);
  const { token } = await session(prism, ann.id);
  await prism.post("/api/v1/tasks", { title: "x" }, { token });
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'x'", targetUsers: ["ann"] });
  await prism.post("/api/v1/notifications", { recipients: ["ann"], title: "t", message: "m" });
  await prism.post("/api/v1/queues/timers/pause", {});
  await prism.post("/api/v1/auth/logout", {}, { token });
  const types = new Set(committed.map(({ type }) => type));
  for (const type of [
    "rights-changed",
    "answers-changed",
    "entry",
    "rules-changed",
    "notified",
    "queue-changed",
  ] as const)
    assert.ok(types.has(type), type);
  assert.deepEqual(deserialize(serialize(committed)), committed);
});

test("a logout re-reads the rights of its own connections and of no other", async (t) => {
  const prism = await startPrism(t);
  const [ann, bob] = [await makeUser(prism, "ann", ["User"]), await makeUser(prism, "bob", ["User"])];
  const ended = await session(prism, ann.id);
  const [second, bobs] = [await session(prism, ann.id), await session(prism, bob.id)];
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, ended.token);
  for (const token of [second.token, bobs.token, prism.adminToken])
    await WebSocketClient.welcomed(t, prism.wsUrl, token);
  const access = prism.parts.offers.realtimeAccess;
  const refresh = access.refresh.bind(access);
  const reread: string[] = [];
  access.refresh = (principal) => {
    reread.push(principal.kind === "apiKey" ? principal.key : `${principal.userId} ${principal.sessionId}`);
    return refresh(principal);
  };
  // The start and the new users have changed rights too. Those of one caller are looked up first,
  // in the order of the changes; a role's or a project's, by looking at each connection once.
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  await commit(prism, { type: "rights-changed", of: "user", userId: me.id }, async () => undefined);
  await eventually("the administrator's socket", () => reread.some((one) => one.startsWith(me.id)));
  reread.length = 0;
  prism.rightsChanged();
  await eventually("each of the four connections", () => new Set(reread).size === 4);
  reread.length = 0;
  await prism.post("/api/v1/auth/logout", {}, { token: ended.token });
  await client.end;
  assert.deepEqual(reread, [`${ann.id} ${ended.id}`]);
  // A role's holders, and no one else.
  reread.length = 0;
  const id = roleId(prism, "User");
  await commit(prism, { type: "rights-changed", of: "role", roleId: id }, (trx) =>
    trx.updateTable("roles").set({ version: 2 }).where("id", "=", id).execute(),
  );
  await eventually("both holders", () => reread.length >= 2);
  assert.deepEqual(reread.sort(), [`${ann.id} ${second.id}`, `${bob.id} ${bobs.id}`].sort());
});
