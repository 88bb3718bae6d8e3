import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { eachCase, runCli, runJson } from "./run-cli.ts";

interface Trigger {
  readonly jobId: string;
  readonly runAt: string;
}

test("trigger", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };

  await t.test("notifies after the delay, and says the job and the time", async () => {
    const before = Date.now();
    const args = ["trigger", "tea", "--delay", "1s", "--notify", "me", "--title", "Tea", "--body", "It is ready"];
    const reply = await runJson<Trigger>(args, { cwd, env });
    assert.deepEqual(Object.keys(reply), ["jobId", "runAt"]);
    assert.ok(Date.parse(reply.runAt) >= before + 1000);
    const titles = async (): Promise<string[]> => {
      const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications");
      return body.data.map(({ title }) => title);
    };
    await eventually("the notification", async () => (await titles()).includes("Tea"));
  });

  await t.test("sends an event with a payload from a file, which the rules see", async () => {
    await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'report.due'", targetUsers: ["me"] });
    writeFileSync(join(cwd, "payload.json"), '{"n":1}');
    const args = ["trigger", "nightly", "--event", "report.due", "--payload", "@payload.json"];
    const { status, stdout, stderr } = await runCli(args, { cwd, env });
    assert.equal(status, 0);
    assert.match(stdout, /^[0-9a-f-]{36} {2}runs at 20\d\d-\S+Z\n$/);
    assert.match(stderr, /^It stores the event report\.due in project default, and rules are evaluated on it\.\n/);
    const stored = await eventually("the event", async () => {
      const { body } = await prism.get<{ data: { id: string; payload: unknown }[] }>("/api/v1/events?type=report.due");
      return body.data[0];
    });
    assert.deepEqual(stored.payload, { n: 1 });
    await eventually("the notification of the rule", async () => {
      const { body } = await prism.get<{ data: { eventId: string }[] }>("/api/v1/notifications");
      return body.data.some(({ eventId }) => eventId === stored.id);
    });
  });

  await t.test("says that --no-persist reaches no rule, and how a timer that waits is cancelled", async () => {
    const args = ["trigger", "later", "--event", "report.due", "--no-persist", "--delay", "1h"];
    const { stdout, stderr } = await runCli(args, { cwd, env });
    const id = stdout.slice(0, 36);
    assert.match(stderr, /No rule is evaluated on it: that needs --persist\.\nTo cancel it: prism timers cancel /);
    const { body } = await prism.get<{ data: { jobId: string; action: { persist: boolean } }[] }>("/api/v1/timers");
    assert.equal(body.data.find(({ jobId }) => jobId === id)?.action.persist, false);
    const command = stderr.trim().split("prism ").at(-1)?.split(" ") ?? [];
    assert.equal((await runCli(command, { cwd, env })).status, 0, "the command that it names cancels it");
    assert.equal((await runCli(command, { cwd, env })).status, 6);
  });

  await t.test("publishes to a channel at a time", async () => {
    const at = new Date(Date.now() + 3_600_000).toISOString();
    const args = ["trigger", "lunch", "--at", at, "--channel", "kitchen", "--payload", '{"text":"Lunch"}'];
    const reply = await runJson<Trigger>(args, { cwd, env });
    assert.equal(reply.runAt, at);
    const { body } = await prism.get<{ data: { jobId: string; action: unknown }[] }>("/api/v1/timers");
    const made = body.data.find(({ jobId }) => jobId === reply.jobId);
    assert.deepEqual(made?.action, { type: "message", channel: "kitchen", payload: { text: "Lunch" } });
  });

  await t.test("notifies again and again, by the clock of a zone", async () => {
    const args = ["trigger", "daily", "--cron", "0 9 * * *", "--timezone", "Asia/Tokyo"];
    const notify = ["--notify", "me", "--title", "Up", "--body", "b"];
    const { status, stdout } = await runCli([...args, ...notify], { cwd, env });
    assert.equal(status, 0);
    assert.match(stdout, /^[0-9a-f-]{36} {2}first runs at 20\d\d-\d\d-\d\dT00:00:00\.000Z\n$/);
    const id = stdout.slice(0, 36);
    const { body } = await prism.get<{ data: { jobId: string; cron: string }[] }>("/api/v1/timers");
    assert.equal(body.data.find(({ jobId }) => jobId === id)?.cron, "0 9 * * *");
    assert.deepEqual((await prism.delete(`/api/v1/timers/${id}`)).body, { cancelled: true });
  });

  await t.test("takes the payload from stdin", async () => {
    const args = ["trigger", "x", "--event", "piped", "--payload", "-"];
    const [good, bad] = await Promise.all([
      runCli(args, { cwd, env, input: '{"from":"stdin"}' }),
      runCli(args, { cwd, env, input: "{not json" }),
    ]);
    assert.deepEqual([good.status, bad.status], [0, 2]);
    assert.match(bad.stderr, /^prism: --payload is not JSON: /);
  });

  const notify = ["trigger", "x", "--notify", "me", "--title", "t", "--body", "b"];
  const foreign = createServer((_request, response) => response.writeHead(502).end("<html>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => foreign.once("listening", resolve));
  t.after(() => foreign.close());
  const foreignUrl = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
  const refused = [
    {
      name: "neither --notify nor --event",
      args: ["trigger", "x"],
      status: 2,
      says: /give one of --notify, --event and --channel/,
    },
    {
      name: "--notify without a title",
      args: ["trigger", "x", "--notify", "me"],
      status: 2,
      says: /--title and --body/,
    },
    {
      name: "a payload for a notification",
      args: [...notify, "--payload", "{}"],
      status: 2,
      says: /--payload needs --event or --channel/,
    },
    {
      name: "two times",
      args: [...notify, "--delay", "1s", "--at", "1h"],
      status: 2,
      says: /--delay, --at and --cron/,
    },
    {
      name: "a zone without a pattern",
      args: [...notify, "--timezone", "Europe/Berlin"],
      status: 2,
      says: /--timezone needs --cron/,
    },
    { name: "an invalid time", args: [...notify, "--at", "tomorrow"], status: 2, says: /Use a time such as/ },
    {
      name: "a message that is stored as an event",
      args: ["trigger", "x", "--channel", "c", "--persist"],
      status: 2,
      says: /--persist needs --event/,
    },
    { name: "an invalid pattern", args: [...notify, "--cron", "every day"], status: 7, says: /INVALID_CRON/ },
    {
      name: "an unknown zone",
      args: [...notify, "--cron", "0 9 * * *", "--timezone", "Mars/Olympus"],
      status: 7,
      says: /INVALID_TIMEZONE/,
    },
    {
      name: "a channel name with a space",
      args: ["trigger", "x", "--channel", "a b"],
      status: 7,
      says: /action\.channel/,
    },
    {
      name: "a file that is not there",
      args: ["trigger", "x", "--event", "e", "--payload", "@nix.json"],
      status: 2,
      says: /nix\.json cannot be read \(ENOENT\)/,
    },
    {
      name: "a user who does not exist, where none are made",
      args: ["trigger", "x", "--notify", "01890000-0000-7000-8000-000000000000", "--title", "t", "--body", "b"],
      status: 6,
      says: /RECIPIENT_NOT_FOUND/,
    },
    {
      name: "a delay of two years",
      args: [...notify, "--delay", "730d"],
      status: 7,
      says: /VALIDATION_FAILED\)\n {2}- delayMs: /,
    },
    { name: "no token", args: notify, env: { PRISM_URL: prism.url }, status: 5, says: /PRISM_TOKEN .*dev\/token/ },
    {
      name: "a token that cannot be sent, which is not repeated",
      args: [...notify, "--token", "prt_a\nb"],
      status: 2,
      says: /^prism: the token is empty or has characters that a token cannot have; check --token or PRISM_TOKEN\n$/,
    },
    { name: "a wrong token", args: [...notify, "--token", "nonsense"], status: 5, says: /TOKEN_INVALID/ },
    {
      name: "no server there",
      args: [...notify, "--url", "http://127.0.0.1:2"],
      status: 4,
      says: /cannot reach .*:2: /,
    },
    {
      name: "something else than Prism",
      args: [...notify, "--url", foreignUrl],
      status: 4,
      says: /answered 502, but not like a Prism server/,
    },
  ];
  await eachCase(t, "what is refused ends in one plain message", refused, async (c) => {
    const { status, stdout, stderr } = await runCli(c.args, { cwd, env: c.env ?? env });
    assert.deepEqual([status, stdout], [c.status, ""], stderr);
    assert.match(stderr, c.says);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
});
