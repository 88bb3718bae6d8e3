import assert from "node:assert/strict";
import test from "node:test";
import type { BacktestReply } from "../../src/features/rules/backtest-schema.ts";
import { makeRule } from "../features/rules/support/backtests.ts";
import { startPrism } from "../helpers/prism.ts";
import { eachCase, runCli, runJson } from "./run-cli.ts";

const NO_ID = "0198c0de-0000-7000-8000-000000000000";

test("prism rules backtest", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const run = (...args: string[]) => runCli(["rules", "backtest", ...args], { cwd, env });
  const events = Array.from({ length: 10 }, (_, n) => ({ type: "a", payload: { n, text: "\u001b[31m" } }));
  assert.equal((await prism.post("/events", events)).status, 202);
  const ruleId = await makeRule(prism, {
    name: "r",
    condition: "event.n >= 5",
    titleTemplate: "number {{event.n}} {{event.text}}",
  });

  await t.test("shows counts, days, samples and the difference", async () => {
    const { status, stdout } = await run("--rule", ruleId, "--suppress", "3/1h", "--samples", "2");
    assert.equal(status, 0);
    assert.match(stdout, /^5 of 10 events matched, received from \S+Z to \S+Z\n/);
    assert.match(stdout, /^fired 3, suppressed 2, deduplicated 0, in cooldown 0$/m);
    assert.match(stdout, /^it reaches 1 user now$/m);
    assert.match(stdout, /^against the stored version: 0 more fire, 2 no longer$/m);
    assert.match(stdout, /^DAY +MATCHED +FIRED +SUPPRESSED +DEDUPED +COOLDOWN\n\d{4}-\d\d-\d\d +5 +3 +2 +0 +0$/m);
    assert.match(stdout, /^\S+Z +[0-9a-f-]{36} +a +number 5 /m);
    assert.equal(stdout.includes("\u001b"), false, "nothing steers the terminal");
  });

  await t.test("--json gives the answer of the server", async () => {
    const args = ["rules", "backtest", "--condition", "event.n < 3", "--from", "1h"];
    const reply = await runJson<BacktestReply>(args, { cwd, env });
    assert.deepEqual([reply.scanned, reply.matched, reply.fired, reply.wouldReach.users], [10, 3, 3, null]);
    assert.equal("diff" in reply, false);
  });

  await t.test("a time without events says so", async () => {
    const { stdout } = await run("--condition", "event.n < 3", "--to", "2020-01-01");
    assert.equal(stdout, "no events are stored in that time\n");
  });

  await eachCase(
    t,
    "is refused",
    [
      { name: "nothing to try", args: [], status: 2, says: /give --condition or --rule/ },
      { name: "an invalid rate", args: ["--condition", "true", "--suppress", "3"], status: 2, says: /20\/60000/ },
      { name: "too many samples", args: ["--condition", "true", "--samples", "21"], status: 2, says: /0 to 20/ },
      { name: "an unknown rule", args: ["--rule", NO_ID], status: 6, says: /No such rule/ },
      { name: "an invalid condition", args: ["--condition", "event.n >> 1"], status: 7, says: /\n +\^/ },
    ],
    async ({ args, status, says }) => {
      const result = await run(...args);
      assert.deepEqual([result.status, result.stdout], [status, ""], result.stderr);
      assert.match(result.stderr, says);
    },
  );
});
