// needs: curl
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { LiveServer } from "./support/live-server.ts";
import { RawStream, type RawStreamOptions } from "./support/raw-stream.ts";

const PATH = "/api/v1/notifications/stream";
const OPENING = "retry: 3000\n\n";

interface Item {
  readonly id: number;
  readonly event: string | null;
  readonly title: string | undefined;
}

/** The items so far, without comments. */
function itemsOf(text: string): Item[] {
  return [...text.matchAll(/^id: (\d+)\n(?:event: (\S+)\n)?data: (.*)$/gm)].map(([, id, event, data]) => ({
    id: Number(id),
    event: event ?? null,
    title: (JSON.parse(data ?? "") as { title?: string }).title,
  }));
}

function titlesOf({ text }: { readonly text: string }): (string | undefined)[] {
  return itemsOf(text).map(({ title }) => title);
}

async function send({ prism }: LiveServer, title: string, userId = "me"): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/notifications", { userId, title, message: "m" });
  return body.id;
}

test("the caller's new notifications, and nothing of others or of what is done with them", async (t) => {
  const server = await LiveServer.start(t);
  const other = await makeUser(server.prism, "other");
  await send(server, "before");
  const open = (options: RawStreamOptions = {}) => RawStream.open(t, server.target, { path: PATH, ...options });
  const plain = await open();
  const changes = await open({ query: "?changes=true" });
  for (const { text, status, headers } of [plain, changes]) {
    assert.deepEqual([status, headers["content-type"]], [200, "text/event-stream"]);
    assert.ok(OPENING.startsWith(text) || text.startsWith(OPENING));
  }
  const id = await send(server, "first");
  await send(server, "of another user", other.id);
  await server.prism.patch(`/api/v1/notifications/${id}/read`);
  await send(server, "second");
  await eventually("both", () => titlesOf(plain).length >= 2 && itemsOf(changes.text).at(-1)?.title === "second");
  assert.deepEqual(titlesOf(plain), ["first", "second"]);
  const [first] = itemsOf(plain.text);
  assert.deepEqual(
    itemsOf(changes.text).map(({ event }) => event),
    [null, "notification.read", "unread-count", null],
  );

  const resumed = await open({ headers: { "Last-Event-ID": String(first?.id) } });
  const all = await open({ query: "?from=earliest" });
  await eventually("the rest", () => titlesOf(resumed).length >= 1 && titlesOf(all).length >= 3);
  assert.deepEqual([titlesOf(resumed), titlesOf(all)], [["second"], ["before", "first", "second"]]);
});

test("curl -N with a service token", async (t) => {
  const server = await LiveServer.start(t);
  const scopes = ["notifications:own"];
  const { body } = await server.prism.post<{ token: string }>("/api/v1/users/me/tokens", { name: "curl", scopes });
  const url = `${server.prism.url}${PATH}?from=earliest`;
  const curl = spawn("curl", ["-s", "-N", "-H", `Authorization: Bearer ${body.token}`, url]);
  t.after(() => curl.kill());
  let text = "";
  curl.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await send(server, "to curl");
  await eventually("the notification", () => titlesOf({ text }).includes("to curl"));
});

test("it ends when its service token is revoked", async (t) => {
  const server = await LiveServer.start(t);
  const scopes = ["notifications:own"];
  const made = await server.prism.post<{ id: string; token: string }>("/api/v1/users/me/tokens", { name: "x", scopes });
  const stream = await RawStream.open(t, server.target, {
    path: PATH,
    headers: { Authorization: `Bearer ${made.body.token}` },
  });
  await stream.expect(OPENING);
  await server.prism.delete(`/api/v1/users/me/tokens/${made.body.id}`);
  assert.equal(await stream.isCut, false);
  assert.ok(stream.text.endsWith("event: auth_expired\ndata: {}\n\n"), stream.text);
});
