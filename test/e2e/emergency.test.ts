import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { mailReceiver, webhookReceiver } from "../features/health/emergency/support.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

/** After the first, because the second start must leave the mark that it found. */
const RESTARTS = 2;

test("a server that is killed as soon as it calls, and started again, calls once by each way", async (t) => {
  const hook = await webhookReceiver(t);
  const { port, mails } = await mailReceiver(t);
  const env = {
    // No disk has as much room: the store refuses what is new.
    PRISM_MIN_FREE_BYTES: "1000000000000000",
    PRISM_EMERGENCY_WEBHOOK: hook.url,
    PRISM_EMERGENCY_SMTP_HOST: "127.0.0.1",
    PRISM_EMERGENCY_SMTP_PORT: String(port),
    PRISM_EMERGENCY_SMTP_USER: "ops",
    PRISM_EMERGENCY_SMTP_PASS: "right",
    PRISM_EMERGENCY_SMTP_TO: "ops@example.org",
    // The name of the program is found by PATH; each run adds a line to a file.
    PRISM_EMERGENCY_COMMAND: JSON.stringify(["/bin/sh", "-c", 'cat >> "$0"', "said.txt"]),
  };
  const prism = new PrismBinary(t, { env });
  const said = join(prism.dir, "said.txt");
  const calls = (): number =>
    existsSync(said) ? readFileSync(said, "utf8").split("Prism cannot store").length - 1 : 0;
  for (let start = 0; start <= RESTARTS; start++) {
    await prism.start();
    if (start === 0)
      await eventually("each way has it", () => hook.calls.length === 1 && mails.length === 1 && calls() === 1);
    else await eventually("it knows of the call", () => prism.output.includes("emergency already called"));
    await prism.kill();
  }
  assert.deepEqual([hook.calls.length, mails.length, calls()], [1, 1, 1]);
  assert.equal(hook.calls[0]?.reason, "store-refuses-writes");
});
