import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { attachmentSweep, NTFY_SWEEPS } from "../../../../src/features/protocols/ntfy/retention.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { exchangeRaw } from "../../../http/support/raw-connection.ts";
import { startNtfy } from "./support/api.ts";

const PNG = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47]), Buffer.alloc(3000, 0xfe)]);

test("a file is stored with its message, served without a login, in ranges, and never as a page", async (t) => {
  const ntfy = await startNtfy(t);
  for (const [name, headers, body, expected] of [
    ["png", { Filename: "flower.png" }, PNG, ["flower.png", "image/png", "You received a file: flower.png"]],
    [
      "long text",
      {},
      "x".repeat(5000),
      ["attachment.txt", "text/plain; charset=utf-8", "You received a file: attachment.txt"],
    ],
    ["binary", { Message: "look" }, Buffer.alloc(10, 0xfe), ["attachment.bin", "application/octet-stream", "look"]],
    [
      "html",
      { Filename: "evil.html" },
      "<script>alert(1)</script>",
      ["evil.html", "text/plain; charset=utf-8", "You received a file: evil.html"],
    ],
    [
      "svg",
      { Filename: "../../etc/x.svg" },
      "<svg onload='x'/>",
      ["../../etc/x.svg", "text/plain; charset=utf-8", "You received a file: ../../etc/x.svg"],
    ],
  ] as const) {
    await t.test(name, async () => {
      const { status, body: message } = await ntfy.send("PUT", "/t", {
        body: body as Buffer,
        headers: headers as Record<string, string>,
      });
      assert.equal(status, 200, JSON.stringify(message));
      const { attachment } = message;
      assert.deepEqual([attachment?.name, attachment?.type, message.message], expected);
      assert.equal((attachment?.expires ?? 0) - message.time, 3 * 3600);
      const { pathname, origin } = new URL(attachment?.url ?? "");
      assert.equal(origin, "http://ntfy.example.org");
      const file = await ntfy.send("GET", pathname, { auth: null });
      assert.deepEqual(
        [file.status, file.headers["content-type"], file.headers["x-content-type-options"]],
        [200, expected[1], "nosniff"],
      );
      assert.match(String(file.headers["content-security-policy"]), /sandbox/);
      assert.deepEqual(file.bytes, Buffer.from(body as Buffer));
      const part = await ntfy.send("GET", pathname, { auth: null, headers: { Range: "bytes=1-3" } });
      assert.deepEqual([part.status, part.bytes], [206, Buffer.from(body as Buffer).subarray(1, 4)]);
      assert.equal(
        (await ntfy.send("HEAD", pathname, { auth: null })).headers["content-length"],
        String(Buffer.byteLength(body)),
      );
    });
  }
  for (const path of ["/file/none", "/file/AAAAAAAAAAAA.txt", "/file/..%2f..%2fprism.db", "/file/%2e%2e"])
    assert.equal((await ntfy.send("GET", path, { auth: null })).body.code, 40401, path);
});

test("limits of a file, a user and the server; a refused file leaves nothing", async (t) => {
  const settings = {
    "ntfy.attachments.fileBytes": "5000",
    "ntfy.attachments.userBytes": "9000",
    "ntfy.attachments.totalBytes": "12000",
  };
  const ntfy = await startNtfy(t, { settings: { ...settings, "ntfy.anonymous": "read-write" } });
  const files = (): string[] => readdirSync(join(ntfy.prism.dir, "ntfy"));
  const upload = async (bytes: number, auth?: null) =>
    (await ntfy.send("PUT", "/t?f=x.bin", { body: Buffer.alloc(bytes, 0xff), ...(auth === null ? { auth } : {}) })).body
      .code ?? 200;
  assert.equal(await upload(5001), 41301);
  assert.deepEqual([await upload(5000), await upload(4000), await upload(100)], [200, 200, 41301], "of a user");
  assert.deepEqual([await upload(3000, null), await upload(100, null)], [200, 41301], "of all");
  assert.equal(files().length, 3);
  assert.equal((await ntfy.send("PUT", "/t?f=x.bin&in=2d", { body: "x" })).body.code, 40015);
  assert.equal((await ntfy.send("PUT", "/settings?f=x.bin", { body: "x" })).body.code, 40010);
  assert.equal(files().length, 3);
  const none = await startNtfy(t, { settings: { "ntfy.attachments.fileBytes": "0" } });
  assert.equal((await none.send("PUT", "/t", { body: "x".repeat(4097) })).body.code, 40014);
});

test("S6: attachments of all keys of a user count for the user, also those that arrive together", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.attachments.userBytes": "9000" } });
  const eve = await makeUser(ntfy.prism, "eve", ["User"]);
  const keys: string[] = [];
  for (const name of ["a", "b", "c", "d"])
    keys.push(
      (await ntfy.prism.post<{ apiKey: string }>("/api/v1/projects", { name }, { token: eve.token })).body.apiKey,
    );
  const upload = async (key: string) =>
    (await ntfy.send("PUT", `/${key.slice(-8)}?f=x.bin`, { body: Buffer.alloc(4000, 0xff), auth: `Bearer ${key}` }))
      .status;
  const statuses = await Promise.all(keys.map(upload));
  assert.deepEqual(statuses.sort(), [200, 200, 413, 413]);
  const other = await makeProject(ntfy.prism);
  assert.equal(await upload(other.apiKey), 200);
});

test("files end with their time, and files that a crash left are removed at the start", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const { prism } = ntfy;
  const { text } = await ntfy.send("POST", "/v1/account/token", { body: '{"expires":0}' });
  const auth = `Bearer ${(JSON.parse(text) as { token: string }).token}`;
  const { body } = await ntfy.send("PUT", "/t?f=x.txt", { body: "x", auth });
  const file = join(prism.dir, "ntfy", body.id);
  assert.ok(existsSync(file));
  clock.advance(3 * 3_600_000 + 1000);
  assert.equal((await ntfy.send("GET", `/file/${body.id}.txt`, { auth: null })).status, 404);
  const run = async () => {
    for (const { sweep } of [...NTFY_SWEEPS, attachmentSweep(prism.parts.offers.ntfy.attachments)])
      await sweep(prism.parts.base.database, clock.now(), () => false);
  };
  await run();
  assert.ok(!existsSync(file));
  assert.equal((await ntfy.poll("t", "", { auth })).length, 1, "the message is still kept");
  clock.advance(12 * 3_600_000);
  await run();
  const rows = await prism.parts.base.database.read.selectFrom("ntfy_messages").select("id").execute();
  const log = await prism.parts.base.database.read
    .selectFrom("stream_log")
    .select("seq")
    .where("stream", "=", "ntfy:t")
    .execute();
  assert.deepEqual([rows, log], [[], []]);
  const left = ["AAAAAAAAAAAA", "BBBBBBBBBBBB.partial"].map((name) => join(prism.dir, "ntfy", name));
  for (const path of left) writeFileSync(path, "x");
  await prism.restart();
  assert.deepEqual(left.map(existsSync), [false, false]);
});

test("a made up Host gets into no URL that others receive; this machine's and private addresses do", async (t) => {
  const prism = await startPrism(t, { settings: { port: "0" } });
  const send = async (host: string): Promise<string> => {
    const head = [
      "PUT /ntfy/hosts HTTP/1.1",
      `Host: ${host}`,
      `Authorization: Bearer ${prism.adminToken}`,
      "Filename: a.txt",
      "Content-Length: 4",
      "Connection: close",
    ];
    const answer = await exchangeRaw(t, prism.app.port, `${head.join("\r\n")}\r\n\r\ntext`);
    return /"url":"(https?:\/\/[^/"]+)\//.exec(String(answer.body))?.[1] ?? String(answer.body);
  };
  for (const host of ["localhost:1234", "127.0.0.1", "192.168.1.5:3000", "[::1]:3000", hostname()])
    assert.equal(await send(host), `http://${host}`);
  for (const host of ["evil.example", "evil.example:80", "6.6.6.6", "localhost.evil.example", "[2606:4700::1]"])
    assert.match(await send(host), /^http:\/\/localhost:\d+$/, host);
});
