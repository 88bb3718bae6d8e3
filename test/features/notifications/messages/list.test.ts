import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { codeOf, Mailbox, PATH, type PageBody, type Person } from "./support/mailbox.ts";

const HOUR = 3_600_000;

/**
 * What three people have sent each other, by name: `uv1`, `uv2` from Uma to Vic and `vu1` back,
 * `wu1` from Wim to Uma, all delivered; `uv-later` and `vu-later` wait.
 */
async function correspondence(t: test.TestContext) {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const ids = new Map<string, string>();
  const send = async (name: string, from: Person, to: string, delayMs = 0): Promise<void> => {
    ids.set(name, await box.send({ recipientId: to, content: name, delayMs }, from));
    clock.advance(1000);
  };
  await send("uv-later", box.uma, "vic", HOUR);
  await send("vu-later", box.vic, "uma", HOUR);
  await send("uv1", box.uma, "vic");
  await send("vu1", box.vic, "uma");
  await send("wu1", box.wim, "uma");
  await send("uv2", box.uma, "vic");
  for (const [name, from] of [
    ["uv1", box.uma],
    ["vu1", box.vic],
    ["wu1", box.wim],
    ["uv2", box.uma],
  ] as const)
    await box.until(ids.get(name) ?? "", "delivered", from);
  const names = ({ data }: PageBody): unknown[] => data.map(({ content }) => content);
  return { box, clock, ids, names };
}

test("S4-14 GET /messages?limit=20&offset=0: your messages with their content, the latest due first; those to you once delivered", async (t) => {
  keepsPromise(t, "S4-14");
  const { box, names } = await correspondence(t);
  const pages: PageBody[] = [];
  for (const path of [PATH, "/messages", "/api/messages"]) {
    const reply = await box.prism.get<PageBody>(`${path}?limit=20&offset=0`, { token: box.uma.token });
    assert.equal(reply.status, 200, reply.text);
    pages.push(reply.body);
  }
  const [first] = pages;
  assert.deepEqual(pages, [first, first, first]);
  assert.deepEqual(first && names(first), ["uv-later", "uv2", "wu1", "vu1", "uv1"]);
  assert.deepEqual([first?.page, first?.limit, first?.total, first?.nextCursor], [1, 20, 5, null]);
  assert.deepEqual(names(await box.list("", box.vic)), ["vu-later", "uv2", "vu1", "uv1"]);
  assert.deepEqual(names(await box.list("", box.wim)), ["wu1"]);
});

test("boxes, people and states narrow the list, alone and together", async (t) => {
  const { box, names, ids } = await correspondence(t);
  await box.read(ids.get("uv1") ?? "");
  for (const [query, ofUma] of [
    ["box=inbox", ["wu1", "vu1"]],
    ["box=sent", ["uv-later", "uv2", "uv1"]],
    ["box=all", ["uv-later", "uv2", "wu1", "vu1", "uv1"]],
    ["with=vic", ["uv-later", "uv2", "vu1", "uv1"]],
    [`with=${box.wim.id}`, ["wu1"]],
    ["with=vic&box=inbox", ["vu1"]],
    ["with=vic&box=sent", ["uv-later", "uv2", "uv1"]],
    ["with=wim&box=sent", []],
    ["with=nobody", []],
    ["with=me", []],
    ["status=scheduled", ["uv-later"]],
    ["status=read", ["uv1"]],
    ["status=delivered", ["uv2", "wu1", "vu1"]],
    ["status=delivered&box=sent", ["uv2"]],
    ["status=delivered&box=inbox&with=wim", ["wu1"]],
    ["status=dead", []],
    ["status=scheduled&box=inbox", []],
  ] as const) {
    assert.deepEqual(names(await box.list(query)), ofUma, query);
    assert.equal((await box.list(`${query}&page=1`)).total, ofUma.length, query);
  }
  for (const bad of ["box=outbox", "status=lost", "limit=0", "limit=101", "page=1&offset=0", "unknown=1"]) {
    const reply = await box.prism.get(`${PATH}?${bad}`, { token: box.uma.token });
    assert.deepEqual(codeOf(reply), [400, "VALIDATION_FAILED"], bad);
  }
  const odd = await box.prism.get(`${PATH}?cursor=${Buffer.from("[1]").toString("base64url")}`, {
    token: box.uma.token,
  });
  assert.deepEqual(codeOf(odd), [400, "INVALID_CURSOR"]);
});

test("pages joined by cursor or offset hold each message once, those due at one instant included", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const sendAt = new Date(clock.now() + HOUR).toISOString();
  for (let i = 0; i < 7; i++) await box.send({ content: `a${i}`, sendAt, delayMs: undefined });
  for (let i = 0; i < 6; i++) await box.send({ content: `b${i}`, recipientId: "uma" }, box.vic);
  for (const { id } of (await box.list("box=sent", box.vic)).data) await box.until(id, "delivered", box.vic);
  const whole = (await box.list("limit=100")).data.map(({ id }) => id);
  assert.equal(new Set(whole).size, 13);
  const joined: string[] = [];
  for (let query = "limit=4"; ; ) {
    const page = await box.list(query);
    joined.push(...page.data.map(({ id }) => id));
    if (page.nextCursor === null) break;
    query = `limit=4&cursor=${page.nextCursor}`;
  }
  assert.deepEqual(joined, whole);
  const byOffset = await Promise.all([0, 5, 10].map((offset) => box.list(`limit=5&offset=${offset}`)));
  const shown = byOffset.flatMap(({ data }) => data.map(({ id }) => id));
  assert.deepEqual(shown, whole);
  assert.deepEqual(valuesOf(byOffset, "total"), [13, 13, 13]);
});

test("4.3 who may read all messages sees everything of them but what they say", async (t) => {
  const { box, ids } = await correspondence(t);
  const auditor = await makeUser(box.prism, "ada", ["Auditor"]);
  const page = await box.list("userId=uma", auditor);
  assert.equal(page.data.length, 5);
  const own = await box.list("");
  const expected = own.data.map(({ content: _, ...rest }) => rest);
  assert.deepEqual(page.data, expected, "as she has them, without content");
  const id = ids.get("uv-later") ?? "";
  const { body } = await box.get(id, auditor);
  assert.deepEqual([body.id, body.status, "content" in body], [id, "scheduled", false]);
  assert.equal((await box.status(id, auditor)).queue, "messages");
  assert.deepEqual(codeOf(await box.read(ids.get("uv1") ?? "", auditor)), [404, "MESSAGE_NOT_FOUND"]);
  assert.deepEqual(codeOf(await box.cancel(id, auditor)), [404, "MESSAGE_NOT_FOUND"]);
  const list = (query: string, { token }: Person) => box.prism.get(`${PATH}?${query}`, { token });
  assert.deepEqual(codeOf(await list("", auditor)), [403, "UNAUTHORIZED_ROLE"], "he has no messages of his own");
  assert.deepEqual(codeOf(await list("userId=nobody", auditor)), [404, "USER_NOT_FOUND"]);
  assert.deepEqual(codeOf(await list("userId=vic", box.uma)), [403, "UNAUTHORIZED_ROLE"]);
  const text = JSON.stringify([page, body]);
  for (const name of ids.keys()) assert.ok(!text.includes(`"${name}"`), name);
  // An administrator has both rights: content is for his own messages alone.
  const { body: ofAdmin } = await box.prism.get<PageBody>(`${PATH}?userId=vic`);
  assert.ok(ofAdmin.data.length > 0 && ofAdmin.data.every((message) => !("content" in message)));
});

test("a message is there for its sender, and for its recipient once it is delivered; for no other user", async (t) => {
  const { box, ids } = await correspondence(t);
  const later = ids.get("uv-later") ?? "";
  const now = ids.get("uv1") ?? "";
  for (const path of ["", "/status"]) {
    const ask = async (id: string, { token }: Person, prefix = PATH): Promise<unknown> => {
      const reply = await box.prism.get(`${prefix}/${id}${path}`, { token });
      return reply.status === 200 ? 200 : codeOf(reply);
    };
    const hidden = [404, "MESSAGE_NOT_FOUND"];
    assert.deepEqual([await ask(later, box.uma), await ask(now, box.uma), await ask(now, box.vic)], [200, 200, 200]);
    assert.equal(await ask(now, box.vic, "/messages"), 200, "by its alias");
    assert.deepEqual(await ask(later, box.vic), hidden);
    assert.deepEqual(await ask(now, box.wim), hidden);
    assert.deepEqual(await ask("0198c0de-0000-7000-8000-000000000000", box.uma), hidden);
    assert.deepEqual(await ask("none", box.uma), hidden);
  }
});

test("a service token reaches its user's messages only when it was made for that, over HTTP and live", async (t) => {
  const { box, ids } = await correspondence(t);
  const id = ids.get("uv1") ?? "";
  const made = async (scope: string): Promise<Person> => {
    const path = "/api/v1/users/me/tokens";
    const body = { name: scope, scopes: [scope] };
    const reply = await box.prism.post<{ token: string }>(path, body, { token: box.uma.token });
    return { id: box.uma.id, token: reply.body.token };
  };
  const [other, own] = [await made("tasks:own"), await made("messages:own")];
  assert.deepEqual(codeOf(await box.get(id, other)), [403, "SCOPE_MISSING"]);
  assert.deepEqual(codeOf(await box.cancel(ids.get("uv-later") ?? "", other)), [403, "SCOPE_MISSING"]);
  await assert.rejects(box.follow(t, other), /CHANNEL_FORBIDDEN/);
  assert.equal((await box.get(id, own)).body.content, "uv1");
  const socket = await box.follow(t, own, { from: "earliest" });
  await socket.expect({ op: "event", type: "message" });
  // A user needs no permission for it: every recipient may read received messages.
  const viewer = await makeUser(box.prism, "yan", ["Viewer"]);
  const toViewer = await box.send({ recipientId: "yan", content: "for you" });
  await box.until(toViewer, "delivered");
  assert.equal((await box.get(toViewer, viewer)).body.content, "for you");
});

test("users cannot follow other users' messages", async (t) => {
  const box = await Mailbox.open(t);
  const admin = { id: "", token: box.prism.adminToken };
  for (const who of [box.vic, admin])
    await assert.rejects(box.follow(t, who, { stream: `messages:${box.uma.id}` }), /CHANNEL_FORBIDDEN/);
});
