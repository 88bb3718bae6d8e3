import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { runCli, runJson } from "./run-cli.ts";

test("prism receivers: create, deliver, requests, test, replay, rotate, delete", async (t) => {
  const prism = await startPrism(t);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = async (command: string, ...more: string[]): Promise<string> => {
    const { status, stdout, stderr } = await runCli(["receivers", ...command.split(" "), ...more], options);
    assert.equal(status, 0, `${command}: ${stderr}`);
    return stdout;
  };
  const deliver = (url: string, body: object) =>
    fetch(`${prism.url}${new URL(url.trim()).pathname}`, { method: "POST", body: JSON.stringify(body) });

  assert.equal(await run("list"), "no receivers\n");
  assert.match(await run("presets"), /^generic +generic +optional +Generic$/m);
  const url = await run("create Backups");
  assert.match(url, /\/in\/[\w-]{32}\n$/);
  const { stderr } = await runCli(["receivers", "create", "Elsewhere"], options);
  assert.match(stderr, /Only this machine reaches localhost: .*HOST=0\.0\.0\.0 and set publicUrl \(PRISM_PUBLIC_URL\)/);
  await run("delete Elsewhere --yes");
  assert.match(await run("list"), /generic +yes +- +Backups/);
  assert.equal((await deliver(url, { headline: "From the sender" })).status, 200);
  assert.match(
    await run("requests Backups"),
    /unmapped 200 {2}POST.*\n {2}title, message, key and payload have no value; members of the body: headline\n/,
  );
  const { requests } = await runJson<{ requests: { id: string }[] }>(["receivers", "requests", "Backups"], options);
  const id = requests[0]?.id ?? "";
  writeFileSync(join(prism.dir, "mapping.json"), '{"title":"= body.headline","type":"sender.said"}');
  assert.match(
    await run(`test Backups --request ${id} --mapping @mapping.json`),
    /^accepted\n {2}event sender.said info: From the sender\n/,
  );
  assert.match(await run("test Backups"), /alert disk\/var firing: Disk almost full/);
  assert.match(await run("test Backups --body", '{"title":"Given","key":"k","status":"up"}'), /alert k resolved/);
  await run("update Backups --mapping @mapping.json");
  assert.equal(await run(`replay Backups ${id}`), "accepted: events 1, alerts 0\n");
  assert.match(await run("pause Backups"), / {2}paused {2}Backups/);
  assert.equal((await deliver(url, {})).status, 403);
  await run("resume Backups");
  const next = await run("rotate Backups");
  assert.equal((await deliver(url, {})).status, 404);
  assert.equal((await deliver(next, { headline: "x" })).status, 200);
  assert.match(await run("rotate Backups --secret", "a new secret", "--grace", "1h"), /Backups\n$/);
  writeFileSync(join(prism.dir, "secret.txt"), "of a file\n");
  await run("update Backups --secret @secret.txt");
  const withSecret = (secret: string) =>
    fetch(`${prism.url}${new URL(next.trim()).pathname}`, { method: "POST", headers: { "X-Api-Key": secret } });
  assert.equal((await withSecret("@secret.txt")).status, 401);
  assert.equal((await withSecret("of a file")).status, 200);
  assert.match(await run("show Backups"), /with a secret/);
  await run("delete Backups --yes");
  assert.equal(await run("list"), "no receivers\n");
  const wrong = await runCli(["receivers", "update", "Backups", "--mapping", "{"], options);
  assert.equal(wrong.status, 6);
  const unknown = await runCli(["receivers", "create", "X", "--preset", "nothing"], options);
  assert.equal(unknown.status, 7);
});

test("prism receivers: the mail address is printed with the URL, or that no mail arrives", async (t) => {
  const create = async (settings: Record<string, string>) => {
    const prism = await startPrism(t, { settings });
    const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
    const made = await runCli(["receivers", "create", "UPS", "--preset", "mail"], options);
    const rotated = await runCli(["receivers", "rotate", "UPS"], options);
    const shown = await runCli(["receivers", "show", "UPS"], options);
    return { made, rotated, shown };
  };
  const on = await create({ "mailIn.port": "0", "mailIn.domain": "in.example" });
  for (const { stdout } of [on.made, on.rotated]) assert.match(stdout, /\/in\/([\w-]{32})\n\1@in\.example\n$/);
  assert.match(on.shown.stdout, /mail address is shown once, by create and rotate\n$/);
  const off = await create({});
  assert.match(off.made.stdout, /^\S+\n$/);
  assert.match(off.made.stderr, /PRISM_MAIL_IN_PORT/);
});
