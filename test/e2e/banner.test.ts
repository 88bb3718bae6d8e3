import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

/** The shell of a reader of the banner: none of the server's variables, no token. */
function shell(command: string, cwd: string, input = ""): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: process.env["PATH"], HOME: cwd, PRISM_CONFIG_DIR: join(cwd, "etc") };
  return spawnSync("sh", ["-c", command], { cwd, env, input, encoding: "utf8" });
}

test("the commands of the banner work as they are printed, in the folder of the server", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  assert.match(prism.output, /^\.\/prism user passwd dev sets a password for that account\.$/m);
  const passwd = shell("./prism user passwd dev --stdin", prism.dir, "correct horse battery 2\n");
  assert.equal(passwd.status, 0, passwd.stderr);
  const account = { username: "dev", password: "correct horse battery 2" };
  const login = await prism.call<{ token: string }>("POST", "/api/v1/auth/login", account);
  assert.equal(login.status, 200);
  // The sessions of before have ended with the old password.
  prism.token = login.body.token;

  const [, command = ""] = /use this server: (\S+ tail[^,]*), \.\/prism send "Hello"\.$/m.exec(prism.output) ?? [];
  assert.equal(command, "./prism tail");
  const tail = spawn("sh", ["-c", `exec ${command} --limit 1 --from earliest --json`], {
    cwd: prism.dir,
    env: { PATH: process.env["PATH"], HOME: prism.dir },
  });
  let shown = "";
  tail.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
  });
  await prism.call("POST", "/api/v1/events", { type: "payment" });
  await eventually("tail shows the event", () => shown.includes('"type":"payment"'));
});

interface LoginReply {
  readonly token: string;
  readonly user: { readonly username: string; readonly roles: readonly string[] };
}

test("the banner of development has a link that signs the administrator in once, and the log never has it", async (t) => {
  const prism = new PrismBinary(t, { args: ["--json"] });
  await prism.start();
  await eventually("the link is printed", () => prism.output.includes("#token="));
  const links = [...prism.output.matchAll(/http:\/\/localhost:\d+\/dashboard\/sign-in-link#token=([\w-]{43})/g)];
  assert.equal(links.length, 1, "in the banner only");
  const token = links[0]?.[1] ?? "";
  const log = prism.output.split("\n").filter((line) => line.startsWith("{"));
  assert.ok(log.length > 0);
  assert.ok(!log.some((line) => line.includes(token)));
  const first = await prism.call<LoginReply>("POST", "/api/v1/auth/sign-in-link", { token });
  assert.deepEqual([first.status, first.body.user.username], [200, "dev"]);
  const again = await prism.call<{ error: { code: string } }>("POST", "/api/v1/auth/sign-in-link", { token });
  assert.deepEqual([again.status, again.body.error.code], [410, "LINK_EXPIRED"]);
});

test("elsewhere the banner names the data directory, and errors the path of the program", async (t) => {
  const elsewhere = mkdtempSync(join(tmpdir(), "prism-banner-"));
  t.after(() => rmSync(elsewhere, { recursive: true, force: true }));
  const prism = new PrismBinary(t, { env: { PRISM_DATA_DIR: join(elsewhere, "kept") } });
  await prism.start();
  const kept = `--data-dir ${join(elsewhere, "kept")}`;
  assert.ok(prism.output.includes(`use this server: ./prism tail ${kept},`), prism.output);
  const listed = shell(`${join(prism.dir, "prism")} user list ${kept}`, elsewhere);
  assert.match(listed.stdout, /dev/);
  const missing = shell(`${join(prism.dir, "prism")} user list`, elsewhere);
  assert.equal(missing.status, 4);
  assert.ok(missing.stderr.includes(`${join(prism.dir, "prism")} serve`), missing.stderr);
});

test("the server's address leads to the console, below any prefix of a proxy", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const page = await fetch(prism.url, { headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  assert.deepEqual([page.status, page.url, page.redirected], [200, `${prism.url}/dashboard/`, true]);
  assert.match(await page.text(), /<html/);
  const redirect = await fetch(prism.url, { redirect: "manual" });
  assert.deepEqual([redirect.status, redirect.headers.get("location")], [302, "dashboard/"]);
});
