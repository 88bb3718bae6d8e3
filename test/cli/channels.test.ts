import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { telegramBot } from "../features/channels/presets/telegram.ts";
import { startStandIn } from "../features/channels/support/stand-in.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { rowsWith } from "../helpers/values.ts";
import { runCli, runJson } from "./run-cli.ts";

test("channels: created with a secret from a file, listed, shown, tried, changed and deleted", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const { token } = await makeUser(prism, "ann", ["User"]);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: token } };
  const run = (args: readonly string[], input = "") => runCli(["channels", ...args], { ...options, input });
  const standIn = await startStandIn(t, telegramBot());
  const { token: secret = "", chat, api } = standIn.service.fields(standIn.url);
  writeFileSync(join(prism.dir, "token.txt"), `${secret}\n`);

  assert.match((await run(["presets"])).stdout, /\ntelegram +chat +Telegram\n/);
  assert.match((await run(["presets", "telegram"])).stdout, /\ntoken +yes +yes /);
  assert.equal((await run(["presets", "pigeon"])).status, 6);
  const refused = await run(["create", "telegram", "--field", "chat=x y"]);
  assert.equal(refused.status, 7);
  assert.match(refused.stderr, /fields\.token/);
  assert.equal((await run(["create", "telegram", "--field", "chat"])).status, 2);

  const fields = ["--field", "token=@token.txt", "--field", `chat=${chat}`, "--field", `api=${api}`];
  const made = await run(["create", "telegram", "--name", "Room", ...fields]);
  assert.equal(made.status, 0, made.stderr);
  assert.match((await run(["list"])).stdout, /\(own\) +yes +0 +telegram +127\.0\.0\.1:\d+ +Room\n/);
  const shown = await run(["show", "Room"]);
  assert.match(shown.stdout, new RegExp(`token +•••• ${secret.slice(-4)}\n`));
  const dry = await run(["test", "Room", "--dry-run"]);
  assert.equal(dry.status, 0, dry.stderr);
  assert.match(dry.stdout, /^POST .*\/bot•••\/sendMessage\n/);
  assert.equal(standIn.requests.length, 0);
  const tried = await run(["test", "Room", "--event", "-"], '{"type":"disk.full","payload":{"host":"db-1"}}');
  assert.match(tried.stdout, /^ok +200 /);
  assert.match(standIn.seen[0]?.text ?? "", /disk\.full\n\{"host":"db-1"\}/);
  standIn.next.push({ status: 401, body: { ok: false, description: "Unauthorized" } });
  const failed = await run(["test", "Room"]);
  assert.deepEqual([failed.status, /hint: the bot token is not valid/.test(failed.stdout)], [8, true]);

  assert.equal((await run(["update", "Room", "--disable", "--name", "Den"])).status, 0);
  const { channels } = await runJson<{ channels: { name: string; active: boolean }[] }>(["channels", "list"], options);
  assert.deepEqual(rowsWith(channels, "name", "active"), [["Den", false]]);
  assert.equal((await run(["update", "Den", "--field", "token=-", "--enable"], secret)).status, 0);
  assert.match((await run(["delete", "Den", "--yes"])).stdout, /Den {2}deleted\n/);
  assert.equal((await run(["list"])).stdout, "no channels\n");
  for (const { stdout, stderr } of [made, shown, dry, tried, failed])
    assert.ok(!stdout.includes(secret) && !stderr.includes(secret));
});

test("channels: the operator next to the server names the owner, and finds the channels of all users", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  await makeUser(prism, "ann", ["User"]);
  const { token } = await makeUser(prism, "bob", ["User"]);
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runCli(["channels", ...args], { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir, ...env } });
  const create = ["create", "http", "--field", "url=http://127.0.0.1:9/x"];
  const refused = await run(create);
  assert.deepEqual([refused.status, /--user\).*--project/.test(refused.stderr)], [5, true], refused.stderr);
  assert.equal((await run([...create, "--user", "carl"])).status, 6);
  assert.equal((await run([...create, "--user", "ann", "--project", "default"])).status, 2);
  const made = await run([...create, "--user", "ann"]);
  assert.equal(made.status, 0, made.stderr);
  const hint = /Try it: prism channels (test \S+)/.exec(made.stderr)?.[1] ?? "";
  assert.equal((await run([...hint.split(" "), "--dry-run"])).status, 0);
  assert.match((await run(["list"])).stdout, /\(own\) +yes +0 +http +\S+ +http\n/);
  const doctor = await runCli(["doctor", "--json"], { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir } });
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; status: string; message: string }[] };
  const unlinked = checks.find(({ name }) => name === "channels");
  assert.deepEqual(
    [unlinked?.status, unlinked?.message],
    ["WARN", "publicUrl is not set: messages of incidents have no link that acknowledges"],
  );
  const id = /[\w-]{36}/.exec(made.stdout)?.[0] ?? "";
  const second = await run([...create, "--user", "ann"]);
  assert.match(second.stderr, new RegExp(`Another channel is named http: .*\n.*prism channels update ${id} changes`));
  const byHttp = { PRISM_URL: prism.url, PRISM_TOKEN: token };
  assert.equal((await run([...create, "--user", "ann"], byHttp)).status, 5);
  assert.equal((await run([...create, "--user", "bob"], byHttp)).status, 0);
  assert.match((await run(["list"], byHttp)).stdout, /^[^\n]+\n[^\n]+\n$/);
});
