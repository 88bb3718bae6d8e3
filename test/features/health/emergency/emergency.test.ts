import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { MINUTE_MS } from "../../../../src/core/time/clock.ts";
import { CALL_EVERY_MS, Emergency, RETRY_WAY_MS } from "../../../../src/features/health/emergency/emergency.ts";
import type { EmergencyOptions } from "../../../../src/features/health/emergency/ways.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { mailReceiver, webhookReceiver } from "./support.ts";

const NO_MAIL: EmergencyOptions["smtp"] = {
  ...{ host: undefined, port: 587, user: undefined, pass: undefined, from: undefined, to: [] },
  ...{ secure: undefined, allowPlain: false },
};

interface World {
  readonly dir?: string;
  readonly clock?: FakeClock;
  readonly options?: Partial<EmergencyOptions>;
}

function open(t: TestContext, { dir = temporaryDir(t), clock = new FakeClock(), options = {} }: World) {
  const log = new LogLines();
  const defaults = { webhook: undefined, command: undefined, smtp: NO_MAIL, afterMs: 5 * MINUTE_MS };
  const parts = {
    options: () => ({ ...defaults, ...options }),
    dataDir: dir,
    clock,
    log,
    serverUrl: () => "https://prism.example",
  };
  const emergency = new Emergency(parts);
  t.after(() => emergency.stop(0));
  return { emergency, clock, dir, log };
}

const NEWS = { text: "3 incidents have reached no one.", facts: { "Oldest incident": "https://prism.example/i/7" } };

test("a call says what happened, since when, on which server and what to do, by each configured way", async (t) => {
  const hook = await webhookReceiver(t);
  const { port, mails } = await mailReceiver(t);
  const dir = temporaryDir(t);
  const said = join(dir, "said.txt");
  const write =
    'require("fs").writeFileSync(process.argv[1], process.env.PRISM_EMERGENCY_REASON + "\\n" + require("fs").readFileSync(0, "utf8"))';
  const smtp = {
    ...NO_MAIL,
    host: "127.0.0.1",
    port,
    user: "ops",
    pass: "right",
    to: ["a@example.org", "b@example.org"],
  };
  const command = [process.execPath, "-e", write, said];
  const { emergency } = open(t, { dir, options: { webhook: hook.url, smtp, command } });
  const since = Date.parse("2026-01-31T08:00:00Z");
  emergency.raise("page-undelivered", { ...NEWS, since });
  await emergency.check();
  const [body] = hook.calls;
  assert.equal(hook.calls.length, 1);
  assert.equal(body?.reason, "page-undelivered");
  assert.equal(body?.what, NEWS.text);
  assert.equal(body?.server.url, "https://prism.example");
  assert.equal(body?.test, false);
  for (const part of [
    NEWS.text,
    "2026-01-31T08:00:00",
    "https://prism.example",
    "https://prism.example/i/7",
    "What to do: ",
  ])
    assert.ok(body?.text.includes(part), part);
  assert.equal(mails.length, 1);
  assert.match(mails[0] ?? "", /^To: a@example\.org, b@example\.org\r$/m);
  assert.match(mails[0] ?? "", /^Subject: Prism has reached no one/m);
  assert.match(mails[0] ?? "", /3 incidents have reached no one\./);
  assert.match(readFileSync(said, "utf8"), /^page-undelivered\nPrism has reached no one: 3 incidents/);
});

test("without settings nothing is called, stored or started", async (t) => {
  const { emergency, dir } = open(t, {});
  emergency.raise("page-undelivered", NEWS);
  await emergency.prepare();
  await emergency.check();
  assert.equal(emergency.isConfigured, false);
  assert.equal(emergency.raised.size, 0);
  assert.equal(existsSync(join(dir, "emergency")), false);
});

test("a reason is called once in 15 minutes while it is raised, with the newest text", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency, clock } = open(t, { options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  for (let minute = 0; minute < 14; minute++) {
    clock.advance(MINUTE_MS);
    emergency.raise("page-undelivered", { text: `${minute} incidents have reached no one.` });
    await emergency.check();
  }
  assert.equal(hook.calls.length, 1);
  clock.advance(MINUTE_MS);
  await emergency.check();
  assert.deepEqual(valuesOf(hook.calls, "what"), [NEWS.text, "13 incidents have reached no one."]);
  assert.equal(hook.calls[1]?.since, hook.calls[0]?.since);
  assert.notEqual(hook.calls[1]?.id, hook.calls[0]?.id);
});

test("other reasons have a limit of their own", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency } = open(t, { options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  emergency.raise("turn-failed", { text: "The policy Ops fails." });
  await emergency.check();
  assert.deepEqual(hook.calls.map(({ reason }) => reason).sort(), ["page-undelivered", "turn-failed"]);
});

test("a reason that is cleared is not called again, and raised anew it waits for the 15 minutes", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency, clock } = open(t, { options: { webhook: hook.url } });
  emergency.raise("queue-paused", NEWS);
  await emergency.check();
  emergency.clear("queue-paused");
  clock.advance(5 * MINUTE_MS);
  emergency.raise("queue-paused", { text: "Again." });
  await emergency.check();
  assert.equal(hook.calls.length, 1);
  clock.advance(CALL_EVERY_MS);
  await emergency.check();
  assert.deepEqual(valuesOf(hook.calls, "what"), [NEWS.text, "Again."]);
  emergency.clear("queue-paused");
  clock.advance(CALL_EVERY_MS);
  await emergency.check();
  assert.equal(hook.calls.length, 2);
});

test("the server-was-down event ends with its first accepted call", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency, clock } = open(t, { options: { webhook: hook.url } });
  emergency.raise("server-was-down", NEWS);
  await emergency.check();
  assert.equal(emergency.raised.size, 0);
  clock.advance(2 * CALL_EVERY_MS);
  await emergency.check();
  assert.equal(hook.calls.length, 1);
});

test("a way that fails is tried every 30 s with the same id until it accepts; the others are called once", async (t) => {
  const [good, bad] = [await webhookReceiver(t), await mailReceiver(t)];
  const smtp = { ...NO_MAIL, host: "127.0.0.1", port: bad.port, user: "ops", pass: "wrong", to: ["a@example.org"] };
  const options = { webhook: good.url, smtp };
  const { emergency, clock, log } = open(t, { options });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  const failures = () => log.lines.filter(({ message }) => message.startsWith("emergency contact failed")).length;
  assert.equal(failures(), 1);
  for (let retry = 0; retry < 3; retry++) {
    clock.advance(RETRY_WAY_MS);
    await emergency.check();
  }
  assert.equal(failures(), 1, "one line per call");
  options.smtp = { ...smtp, pass: "right" };
  clock.advance(RETRY_WAY_MS);
  await emergency.check();
  assert.equal(good.calls.length, 1);
  assert.equal(bad.mails.length, 1);
  assert.ok(bad.mails[0]?.includes(`Message-ID: <${good.calls[0]?.id}@`));
  assert.ok(!JSON.stringify(log.lines).includes("wrong"), "no password in the log");
});

test("a refusing webhook is a failure without the path of its URL in the log", async (t) => {
  const hook = await webhookReceiver(t);
  hook.status = 500;
  const { emergency, clock, log } = open(t, { options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  assert.ok(JSON.stringify(log.lines).includes("answered 500"));
  assert.ok(!JSON.stringify(log.lines).includes("secret-token"));
  hook.status = 204;
  clock.advance(RETRY_WAY_MS);
  await emergency.check();
  clock.advance(RETRY_WAY_MS);
  await emergency.check();
  assert.equal(hook.calls.length, 2);
  assert.equal(hook.calls[0]?.id, hook.calls[1]?.id);
});

test("a new process calls no earlier than 15 minutes after the last call", async (t) => {
  const hook = await webhookReceiver(t);
  const [dir, clock] = [temporaryDir(t), new FakeClock()];
  for (let life = 0; life < 5; life++) {
    const { emergency } = open(t, { dir, clock, options: { webhook: hook.url } });
    emergency.raise("page-undelivered", NEWS);
    await emergency.check();
    clock.advance(10_000);
  }
  assert.equal(hook.calls.length, 1);
  clock.advance(CALL_EVERY_MS);
  const { emergency } = open(t, { dir, clock, options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  assert.equal(hook.calls.length, 2);
});

test("a new process tries a way again that had failed", async (t) => {
  const hook = await webhookReceiver(t);
  const [dir, clock] = [temporaryDir(t), new FakeClock()];
  hook.status = 503;
  const first = open(t, { dir, clock, options: { webhook: hook.url } });
  first.emergency.raise("page-undelivered", NEWS);
  await first.emergency.check();
  hook.status = 200;
  const second = open(t, { dir, clock, options: { webhook: hook.url } });
  second.emergency.raise("page-undelivered", NEWS);
  await second.emergency.check();
  assert.equal(hook.calls.length, 2);
});

test("a file that cannot be written does not prevent the call, and memory keeps the limit", async (t) => {
  const hook = await webhookReceiver(t);
  const dir = temporaryDir(t);
  // A file in place of the folder: also root cannot write below it.
  writeFileSync(join(dir, "emergency"), "");
  const { emergency, clock, log } = open(t, { dir, options: { webhook: hook.url } });
  for (let round = 0; round < 3; round++) {
    emergency.raise("store-refuses-writes", NEWS);
    await emergency.check();
    emergency.clear("store-refuses-writes");
    clock.advance(MINUTE_MS);
  }
  assert.equal(hook.calls.length, 1);
  assert.ok(log.lines.some(({ message }) => message === "cannot store the time of an emergency call"));
});

test("a record is written in place of the old one if there is no room for a new file", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency, dir } = open(t, { options: { webhook: hook.url } });
  await emergency.prepare();
  const path = join(dir, "emergency", "store-refuses-writes.json");
  // A directory in place of the temporary file: it cannot be made, as on a full disk.
  mkdirSync(`${path}.partial/x`, { recursive: true });
  emergency.raise("store-refuses-writes", NEWS);
  await emergency.check();
  rmSync(`${path}.partial`, { recursive: true });
  const { ways } = JSON.parse(readFileSync(path, "utf8")) as { ways: unknown };
  assert.deepEqual(ways, { webhook: "accepted" });
});

test("a clock that jumps neither repeats nor delays a call", async (t) => {
  const hook = await webhookReceiver(t);
  const { emergency, clock } = open(t, { options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  clock.set(10 * 3_600_000);
  await emergency.check();
  assert.equal(hook.calls.length, 1);
  clock.set(-20 * 3_600_000);
  clock.advance(CALL_EVERY_MS);
  await emergency.check();
  assert.equal(hook.calls.length, 2);
});

test("a record from the future, after the clock was set back, delays a call by 15 minutes at most", async (t) => {
  const hook = await webhookReceiver(t);
  const { dir, clock, emergency } = open(t, { options: { webhook: hook.url } });
  emergency.raise("page-undelivered", NEWS);
  await emergency.check();
  clock.set(-24 * 3_600_000);
  const next = open(t, { dir, clock, options: { webhook: hook.url } });
  next.emergency.raise("page-undelivered", NEWS);
  await next.emergency.check();
  assert.equal(hook.calls.length, 1);
  clock.advance(CALL_EVERY_MS);
  await next.emergency.check();
  assert.equal(hook.calls.length, 2);
});

test("commands run one at a time, with a small environment, and a failing exit code is a failure", async (t) => {
  const dir = temporaryDir(t);
  const said = join(dir, "log.txt");
  process.env["PRISM_TEST_SECRET"] = "do not pass on";
  t.after(() => delete process.env["PRISM_TEST_SECRET"]);
  const script = [
    "const fs = require('fs')",
    "const note = (text) => fs.appendFileSync(process.argv[1], text + '\\n')",
    "note('start ' + (process.env.PRISM_TEST_SECRET ?? 'clean'))",
    "setTimeout(() => { note('end'); process.exit(process.env.PRISM_EMERGENCY_REASON === 'turn-failed' ? 3 : 0) }, 50)",
  ].join(";");
  const { emergency, log } = open(t, { dir, options: { command: [process.execPath, "-e", script, said] } });
  emergency.raise("page-undelivered", NEWS);
  emergency.raise("turn-failed", NEWS);
  await emergency.check();
  assert.deepEqual(readFileSync(said, "utf8").trim().split("\n"), ["start clean", "end", "start clean", "end"]);
  const failed = log.lines.find(({ message }) => message.startsWith("emergency contact failed"));
  assert.equal(failed?.fields["cause"], "the command ended with exit code 3");
});
