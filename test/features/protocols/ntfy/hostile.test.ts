import assert from "node:assert/strict";
import { connect } from "node:net";
import test from "node:test";
import { chanceOf } from "../../../helpers/chance.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { startNtfy } from "./support/api.ts";

const REQUESTS = 1200;
const TEXTS = [
  "",
  "x",
  "\u0000",
  "🚨".repeat(2000),
  "a".repeat(9000),
  "{{range .a}}{{end}}",
  "{{",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  '{"topic":"t","message":"m"}',
  '{"topic":{"a":1}}',
  '{"topic":"t","tags":[[]]}',
  '{"topic":"t","actions":[{}]}',
  "[".repeat(5000),
  '{"__proto__":{"topic":"t"}}',
  "=?utf-8?B?/////w==?=",
  "=?x?q?=ff?=",
  "view, , ,;;;,",
  "'".repeat(100),
  "1e309",
  "-1",
  "99999999999999999999",
  "tomorrow tomorrow tomorrow",
  "%00%ff%",
  "\ud83d",
];
const NAMES = [
  "title",
  "message",
  "priority",
  "tags",
  "delay",
  "in",
  "click",
  "icon",
  "attach",
  "filename",
  "actions",
  "markdown",
  "email",
  "call",
  "cache",
  "up",
  "template",
  "sid",
  "since",
  "poll",
  "id",
  "scheduled",
  "auth",
];
const PATHS = [
  "/",
  "/t",
  "/t/json",
  "/t/sse",
  "/t/raw",
  "/t/ws",
  "/t/auth",
  "/t/publish",
  "/t/seq",
  "/t/seq/clear",
  "/a,b,c/json",
  "/,/json",
  "/file/x",
  "/v1/account",
  "/v1/account/token",
  "/_matrix/push/v1/notify",
  "/config.js",
  "/%2e%2e/%2e%2e",
  "/t%00/json",
  `/${"t,".repeat(300)}t/json`,
  "//",
  "/t//json",
];

test(`${REQUESTS} hostile requests: each is answered below 500, nothing is left, and the server goes on`, async (t) => {
  const ntfy = await startNtfy(t, { settings: { "rateLimit.enabled": "false", "ntfy.anonymous": "write" } });
  const random = chanceOf(t);
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)] as T;
  const statuses = new Map<number, number>();
  for (let at = 0; at < REQUESTS; at += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const method = pick(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
        const query = Array.from(
          { length: random.integer(0, 3) },
          () => `${pick(NAMES)}=${encodeURIComponent(Buffer.from(pick(TEXTS).slice(0, 3000)).toString())}`,
        );
        const headers = Object.fromEntries(
          Array.from(
            { length: random.integer(0, 3) },
            () =>
              [
                pick(NAMES),
                Buffer.from(pick(TEXTS).slice(0, 1000))
                  .toString("latin1")
                  .replace(/[^\t\x20-\x7e\x80-\xff]/g, ""),
              ] as const,
          ),
        );
        // A stream has no end; a poll has.
        const poll = /json|sse|raw/.test(method) ? [] : ["poll=1"];
        const path = `${pick(PATHS)}?${[...poll, ...query].join("&")}`;
        const auth = pick([undefined, undefined, null, "Basic !", "Bearer x", "Basic OnRrXw=="]);
        const body =
          method === "GET" || method === "OPTIONS" ? undefined : pick([...TEXTS, Buffer.from([0xff, 0xfe, 0, 1])]);
        const reply = await ntfy.send(method, path, {
          headers: { ...headers, "X-Poll": "1" },
          ...(auth === undefined ? {} : { auth }),
          body,
        });
        statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
        assert.ok(reply.status < 500, `${method} ${path}: ${reply.status} ${reply.text}`);
      }),
    );
  }
  t.diagnostic(JSON.stringify(Object.fromEntries([...statuses].sort())));
  const { core, offers } = ntfy.prism.parts;
  await eventually(
    "nothing is left",
    () => core.kernel.requests.count === 0 && core.bodies.bufferedBytes === 0 && offers.ntfy.open.size === 0,
  );
  const { body } = await ntfy.publish("after", "still here");
  assert.deepEqual(valuesOf(await ntfy.poll("after"), "id"), [body.id]);
});

test("bodies that end early and sockets that send garbage leave nothing", async (t) => {
  const ntfy = await startNtfy(t);
  const { port } = ntfy.prism.app;
  for (let i = 0; i < 100; i++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      `PUT /t HTTP/1.1\r\nHost: ntfy.example.org\r\nAuthorization: Bearer ${ntfy.prism.adminToken}\r\nContent-Length: 100000\r\n\r\npart`,
    );
    setImmediate(() => socket.resetAndDestroy());
  }
  const follower = await ntfy.socket(t, "/t/ws").opened();
  follower.socket.send("x".repeat(65));
  await eventually("more than 64 bytes end the socket", () => follower.closed);
  const { core, offers } = ntfy.prism.parts;
  await eventually(
    "nothing is left",
    () => core.kernel.requests.count === 0 && core.bodies.bufferedBytes === 0 && offers.ntfy.open.size === 0,
  );
  assert.deepEqual(await ntfy.poll("t"), []);
});

test("JSON that a template reads is charged for its members, and has at most 20 000", async (t) => {
  const ntfy = await startNtfy(t, { clock: new FakeClock() });
  const headers = { "X-Template": "yes", "X-Message": "{{len .list}}" };
  const publish = (members: number) =>
    ntfy.send("POST", "/t", { headers, body: `{"list":[${"1,".repeat(members)}1]}` });
  const tooWide = await publish(300_000);
  assert.equal(tooWide.body.code, 40042, tooWide.text);
  let passed = 0;
  // 36 ms each, of two seconds for a user.
  while (passed < 100 && (await publish(18_000)).status !== 429) passed++;
  assert.ok(passed < 60, `${passed} passed`);
});
