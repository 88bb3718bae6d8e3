import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { messageOf } from "../../../../src/features/health/emergency/message.ts";
import { type EmergencyOptions, sendBy } from "../../../../src/features/health/emergency/ways.ts";
import { makeCertificate } from "../../../helpers/certificate.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { listening } from "../../../helpers/listening.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { mailReceiver } from "./support.ts";

const MAIL: EmergencyOptions["smtp"] = {
  ...{
    host: "127.0.0.1",
    port: 0,
    user: "ops",
    pass: "right",
    from: "Prism <prism@example.org>",
    to: ["a@example.org"],
  },
  ...{ secure: undefined, allowPlain: false },
};

function optionsOf(given: Partial<EmergencyOptions>): EmergencyOptions {
  return { webhook: undefined, command: undefined, smtp: { ...MAIL, host: undefined }, afterMs: 300_000, ...given };
}

const NEWS = { text: "3 incidents have reached no one.", since: Date.parse("2026-01-31T08:00:00Z") };
const MESSAGE = messageOf({
  id: "c1",
  reason: "page-undelivered",
  news: NEWS,
  at: NEWS.since,
  serverUrl: "https://p.example",
});

/** Accepts connections and never says anything. */
async function silentPort(t: TestContext): Promise<number> {
  const server = createServer(() => undefined);
  return listening(t, server);
}

test("a way that does not answer fails in time", async (t) => {
  const port = await silentPort(t);
  const webhook = `http://127.0.0.1:${port}/secret`;
  await assert.rejects(
    sendBy("webhook", optionsOf({ webhook }), MESSAGE, 100),
    new Error(`127.0.0.1:${port} was not reached (no answer in time)`),
  );
  await assert.rejects(sendBy("smtp", optionsOf({ smtp: { ...MAIL, port } }), MESSAGE, 100), /did not accept the mail/);
});

test("a command that does not end is ended with its children", async (t) => {
  const file = join(temporaryDir(t), "child");
  const command = ["/bin/sh", "-c", 'sleep 600 & echo $! > "$0"; wait', file];
  const run = sendBy("command", optionsOf({ command }), MESSAGE, 1000);
  await assert.rejects(run, new Error("the command was ended after 1 s"));
  const child = Number(readFileSync(file, "utf8"));
  await eventually("the child has ended", () => !isRunning(child));
});

/** A zombie that no one has waited for counts as ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("a command that does not exist is a failure", async () => {
  const run = sendBy("command", optionsOf({ command: ["/nonexistent/page"] }), MESSAGE);
  await assert.rejects(run, new Error("the command could not be run (ENOENT)"));
});

test("a command gets its arguments as they are: no shell reads them", async (t) => {
  const file = join(temporaryDir(t), "said");
  const write = "require('fs').writeFileSync(process.argv[1], process.argv[2])";
  await sendBy("command", optionsOf({ command: [process.execPath, "-e", write, file, "$(id); *"] }), MESSAGE);
  assert.equal(readFileSync(file, "utf8"), "$(id); *");
});

test("mail goes over TLS: from the first byte, by STARTTLS, and not at all to another machine without it", async (t) => {
  const { cert, key } = makeCertificate();
  const direct = await mailReceiver(t, { cert, key, secure: true });
  await sendBy("smtp", optionsOf({ smtp: { ...MAIL, port: direct.port, secure: true } }), MESSAGE);
  assert.equal(direct.mails.length, 1);
  const upgraded: boolean[] = [];
  const later = await mailReceiver(t, {
    ...{ cert, key, disabledCommands: [] },
    onMailFrom(_address, session, callback) {
      upgraded.push(session.secure);
      callback();
    },
  });
  await sendBy("smtp", optionsOf({ smtp: { ...MAIL, port: later.port } }), MESSAGE);
  assert.deepEqual(upgraded, [true]);
  // Another name of this machine, which does not count as local.
  const plain = await mailReceiver(t);
  const far = { ...MAIL, host: "0.0.0.0", port: plain.port };
  await assert.rejects(sendBy("smtp", optionsOf({ smtp: far }), MESSAGE), /did not accept the mail/);
  await sendBy("smtp", optionsOf({ smtp: { ...far, allowPlain: true } }), MESSAGE);
  assert.equal(plain.mails.length, 1);
});
