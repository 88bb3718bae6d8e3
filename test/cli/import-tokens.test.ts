import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import type { Scope } from "../helpers/scope.ts";
import { temporaryDir } from "../helpers/store.ts";
import { countOf, rowsOf } from "../helpers/tables.ts";
import { runCli } from "./run-cli.ts";

const NTFY = "tk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const APP = "AbC.d-_EfGhIjKl";
const CLIENT = "CbC.d-_EfGhIjKl";
const KEY = "pingKeyOfHealthchecks1";

async function importing(t: Scope, prism: TestPrism, rows: readonly (object | string)[]) {
  const cwd = temporaryDir(t);
  const text = rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n");
  writeFileSync(join(cwd, "tokens.ndjson"), text);
  return runCli(["import", "tokens", "tokens.ndjson"], { cwd, env: { PRISM_DATA_DIR: prism.dir } });
}

test("apps and senders go on with imported tokens, and a file can be imported again", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ada");
  await prism.post("/api/v1/heartbeats", { name: "Nightly" });
  const rows = [
    { kind: "ntfyToken", user: "ada", token: NTFY, label: "phone", expiresAt: "2099-01-01T00:00:00Z" },
    { kind: "gotifyApplication", user: "ada", token: APP, name: "NAS", description: "cellar", defaultPriority: 7 },
    { kind: "gotifyClient", user: "ada", token: CLIENT, name: "Phone", expiresAfterInactivitySeconds: 86_400 },
    { kind: "pingKey", project: "default", token: KEY },
  ];
  const first = await importing(t, prism, rows);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, /ntfyToken +1 +0/);
  const by = (authorization: string) => ({ token: null, headers: { authorization } });
  const account = await prism.get<{ username: string }>("/ntfy/v1/account", by(`Bearer ${NTFY}`));
  assert.deepEqual([account.status, account.body.username], [200, "ada"]);
  const sent = await prism.post(`/gotify/message?token=${APP}`, { message: "Disk full" }, { token: null });
  assert.equal(sent.status, 200, sent.text);
  const read = await prism.get<{ messages: { message: string; priority: number }[] }>("/gotify/message", {
    token: null,
    headers: { "x-gotify-key": CLIENT },
  });
  assert.deepEqual(
    read.body.messages.map(({ message, priority }) => [message, priority]),
    [["Disk full", 7]],
  );
  assert.equal((await prism.get(`/ping/${KEY}/nightly`, { token: null })).status, 200);
  const again = await importing(t, prism, rows);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /gotifyApplication +0 +1/);
  const stored = JSON.stringify([
    rowsOf(prism, "select * from ntfy_tokens"),
    rowsOf(prism, "select * from gotify_clients"),
    rowsOf(prism, "select * from audit_log"),
  ]);
  for (const token of [NTFY, APP, CLIENT, KEY]) {
    assert.ok(!stored.includes(token));
    assert.ok(!`${first.stdout}${first.stderr}${again.stdout}`.includes(token));
  }
  const actions = rowsOf<{ action: string }>(prism, "select action from audit_log").map(({ action }) => action);
  for (const action of ["ntfy_token.create", "gotify_application.create", "gotify_client.create", "heartbeat.key"])
    assert.ok(actions.includes(action), action);
});

test("the end of a short token is not stored", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ada");
  const tokens = ["tk_0123456789ab", "tk_0123456789abc"];
  const rows = tokens.map((token) => ({ kind: "ntfyToken", user: "ada", token }));
  assert.equal((await importing(t, prism, rows)).status, 0);
  const ends = rowsOf<{ last4: string }>(prism, "select last4 from ntfy_tokens order by last4");
  assert.deepEqual(
    ends.map(({ last4 }) => last4),
    ["", "9abc"],
  );
});

test("a token of another account, unknown accounts and wrong forms are refused with their lines, without the token", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ada");
  await makeUser(prism, "eve");
  assert.equal((await importing(t, prism, [{ kind: "ntfyToken", user: "ada", token: NTFY }])).status, 0);
  assert.equal(
    (await importing(t, prism, [{ kind: "gotifyClient", user: "ada", token: CLIENT, name: "a" }])).status,
    0,
  );
  const refused: readonly (readonly [object | string, RegExp])[] = [
    [{ kind: "ntfyToken", user: "eve", token: NTFY }, /line 2: Another one has this token/],
    [{ kind: "gotifyClient", user: "eve", token: CLIENT, name: "a" }, /line 2: Another one has this token/],
    [{ kind: "ntfyToken", user: "nobody", token: `${NTFY}b` }, /line 2: .*user/i],
    [{ kind: "ntfyToken", user: "eve", token: "tk_short" }, /line 2: token: must be/],
    [{ kind: "gotifyClient", user: "eve", token: APP, name: "a" }, /line 2: token: must be C/],
    [{ kind: "pingKey", project: "nowhere", token: KEY }, /line 2: No such project/],
    [{ kind: "password", user: "eve", token: NTFY }, /line 2: kind must be one of/],
    [{ kind: "constructor", token: NTFY }, /line 2: kind must be one of/],
    [`{"kind":"ntfyToken","token":"${NTFY}"`, /line 2: is not a JSON object/],
  ];
  const before = countOf(prism, "ntfy_tokens");
  for (const [row, message] of refused) {
    const kind = typeof row === "object" && "kind" in row ? row.kind : "";
    const fine = { kind: kind === "ntfyToken" ? kind : "ntfyToken", user: "eve", token: "tk_fine_but_not_alone" };
    const { status, stdout, stderr } = await importing(t, prism, [kind === "ntfyToken" ? fine : "", row]);
    assert.equal(status, 7, stderr);
    assert.match(stderr, message);
    for (const token of [NTFY, APP, CLIENT, KEY]) assert.ok(!`${stdout}${stderr}`.includes(token), String(message));
  }
  assert.equal(countOf(prism, "ntfy_tokens"), before);
});

test("no permission imports tokens: not an administrator, not over HTTP", async (t) => {
  const prism = await startPrism(t);
  const body = { rows: [{ user: "dev", token: NTFY }] };
  for (const path of ["ntfy/tokens", "gotify/applications", "gotify/clients", "heartbeats/keys"])
    for (const token of [undefined, null]) {
      const options = token === null ? { token: null } : {};
      const { status } = await prism.post(`/api/v1/operator/${path}`, body, options);
      assert.ok(status === 401 || status === 403 || status === 404, `${path} ${status}`);
    }
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "tokens.ndjson"), JSON.stringify({ kind: "ntfyToken", user: "dev", token: NTFY }));
  const online = await runCli(["--url", prism.url, "import", "tokens", "tokens.ndjson"], { cwd });
  assert.notEqual(online.status, 0);
  assert.equal(countOf(prism, "ntfy_tokens"), 0);
});

test("a hash of Django signs in and is replaced; others of its form are refused", async (t) => {
  const prism = await startPrism(t);
  const password = "pässwort of Django";
  const salt = "ytKqXq2kW5nGq1";
  const hash = pbkdf2Sync(password, salt, 100_000, 32, "sha256").toString("base64");
  const users = ["hella", "hugo"].map((username) => ({
    ...{ username, passwordHash: `pbkdf2_sha256$100000$${salt}$${hash}` },
  }));
  assert.equal((await prism.post("/api/v1/users/import", users)).status, 200);
  const login = (given: string) =>
    prism.post("/api/v1/auth/login", { login: "hella", password: given }, { token: null });
  assert.equal((await login("another password")).status, 401);
  const stored = (name = "hella") =>
    rowsOf<{ passwordHash: string }>(prism, `select passwordHash from users where username = '${name}'`);
  assert.match(stored()[0]?.passwordHash ?? "", /^pbkdf2/);
  const done = await login(password);
  assert.equal(done.status, 200, done.text);
  assert.match(stored()[0]?.passwordHash ?? "", /^\$2b\$/);
  assert.equal((await login(password)).status, 200);
  // An app that sends name and password with each request never signs in.
  const authorization = `Basic ${Buffer.from(`hugo:${password}`).toString("base64")}`;
  const byApp = await prism.get("/ntfy/v1/account", { token: null, headers: { authorization } });
  assert.equal(byApp.status, 200, byApp.text);
  assert.match(stored("hugo")[0]?.passwordHash ?? "", /^\$2b\$/);
  for (const wrong of [
    `pbkdf2_sha256$9999999$${salt}$${hash}`,
    `pbkdf2_sha256$99999$${salt}$${hash}`,
    `pbkdf2_sha1$100000$${salt}$${hash}`,
    `pbkdf2_sha256$100000$${salt}$short=`,
    `pbkdf2_sha256$100000$$${hash}`,
  ])
    assert.equal(
      (await prism.post("/api/v1/users/import", [{ username: "x", passwordHash: wrong }])).status,
      400,
      wrong,
    );
});
