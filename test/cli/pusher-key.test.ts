import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import Pusher from "pusher";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, eachCase, makeDatabase, RunningCli, runCli, runJson } from "./run-cli.ts";

interface ShownApp {
  readonly mode: string;
  readonly source: string;
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
  readonly host: string;
  readonly port: number;
  readonly useTLS: boolean;
}

/**
 * The status of an event that Pusher's own library triggers with what was shown. @param url of the
 * server, whose port is any
 */
async function triggered({ appId, key, secret, host, useTLS }: ShownApp, url: string): Promise<number> {
  const pusher = new Pusher({ appId, key, secret, host, port: new URL(url).port, useTLS });
  const refused = (error: unknown): number => (error as { status: number }).status;
  return pusher.trigger("news", "headline", { n: 1 }).then(({ status }) => status, refused);
}

const CONFIGURED = { PUSHER_APP_ID: "4711", PUSHER_KEY: "key-of-shop", PUSHER_SECRET: "secret-of-shop" };

test("S2-03: key pusher shows the app before the first start, and the server takes a library with it", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const app = await runJson<ShownApp>(["key", "pusher"], { cwd });
  const { appId, key, secret, ...rest } = app;
  assert.match(`${appId} ${key} ${secret}`, /^\d{6,7} [0-9a-f]{20} [0-9a-f]{32}$/);
  const local = { host: "127.0.0.1", port: 3000, useTLS: false };
  assert.deepEqual(rest, { mode: "embedded", source: "generated", ...local });

  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, url = ""] = await server.until(/Prism is ready: (\S+)/);
  assert.equal(await triggered(app, url), 200);

  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as { token: string };
  const reply = await fetch(`${url}/api/v1/status`, { headers: { Authorization: `Bearer ${token}` } });
  const status = await reply.text();
  assert.deepEqual((JSON.parse(status) as { pusher: unknown }).pusher, { mode: "embedded", key, connected: true });
  assert.ok(!status.includes(secret));

  await t.test("--rotate is refused while the server runs, which keeps using the secret that is shown", async () => {
    const refused = await runCli(["key", "pusher", "--rotate"], { cwd });
    assert.deepEqual([refused.status, refused.stdout], [4, ""]);
    assert.match(refused.stderr, /another Prism holds the data directory/);
    assert.deepEqual(await runJson(["key", "pusher"], { cwd }), app);
    assert.equal(await triggered(app, url), 200);
  });

  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  assert.ok(!(server.stdout + server.stderr).includes(secret), "no log has the secret");
});

test("S2-55: key pusher --rotate gives the app another secret and leaves a record; the old secret has ended", async (t) => {
  const cwd = temporaryDir(t);
  const rotate = () => runJson<ShownApp>(["key", "pusher", "--rotate"], { cwd });
  await makeDatabase({ cwd });
  const first = await rotate();
  const { secret, ...rest } = await rotate();
  assert.notEqual(secret, first.secret);
  assert.deepEqual({ ...rest, secret: first.secret }, first, "all but the secret is what it was");
  assert.equal((await runJson<ShownApp>(["key", "pusher"], { cwd })).secret, secret);

  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, url = ""] = await server.until(/Prism is ready: (\S+)/);
  assert.deepEqual([await triggered({ ...rest, secret }, url), await triggered(first, url)], [200, 401]);
  server.signal("SIGTERM");
  await server.ended();

  const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
  t.after(() => db.close());
  const rows = db
    .prepare<[], { actor: string; metadata: string; resourceType: string; resourceId: string }>(
      "select actor, metadata, resourceType, resourceId from audit_log where action = 'key.rotate'",
    )
    .all();
  assert.deepEqual(
    rows.map(({ actor, ...row }) => ({ ...row, by: (JSON.parse(actor) as { type: string }).type })),
    [1, 2].map(() => ({ metadata: "{}", resourceType: "pusher_app", resourceId: first.appId, by: "operator" })),
  );
});

test("people read a member a line, and what it is for on stderr", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const { stdout, stderr } = await runCli(["key", "pusher"], { cwd });
  const quiet = await runCli(["key", "pusher", "--quiet"], { cwd });
  assert.match(
    stdout,
    /^mode {5}embedded\nsource {3}generated\nappId {4}\d+\nkey {6}\w{20}\nsecret {3}\w{32}\nhost {5}127\.0\.0\.1\nport {5}3000\nuseTLS {3}false\n$/,
  );
  assert.match(stderr, /server generated this app.*secret in backends/);
  assert.match(stderr, /^Host and port are from the settings of this command;/m);
  assert.deepEqual([quiet.stdout, quiet.stderr], [stdout, ""]);
});

test("an app that is configured is shown without its secret, which only its operator changes", async (t) => {
  const cwd = temporaryDir(t);
  const shown = { source: "configured", appId: "4711", key: "key-of-shop" };
  const remote = { ...CONFIGURED, PRISM_PUSHER_MODE: "remote" };
  const cases = [
    {
      name: "of this server",
      env: { ...CONFIGURED, PORT: "8080", HOST: "::1" },
      is: { mode: "embedded", host: "[::1]", port: 8080, useTLS: false },
    },
    {
      name: "of a server with a name",
      env: { ...CONFIGURED, PRISM_PUBLIC_URL: "https://prism.example.org" },
      is: { mode: "embedded", host: "prism.example.org", port: 443, useTLS: true },
    },
    {
      name: "of a server on any free port",
      env: { ...CONFIGURED, PORT: "0" },
      is: { mode: "embedded", host: "127.0.0.1", port: null, useTLS: false },
    },
    { name: "at Pusher", env: { ...remote, PUSHER_CLUSTER: "eu" }, is: { mode: "remote", cluster: "eu" } },
    {
      name: "at another server",
      env: { ...remote, PRISM_PUSHER_ENDPOINT: "http://127.0.0.1:6001" },
      is: { mode: "remote", host: "127.0.0.1", port: 6001, useTLS: false },
    },
  ];
  await eachCase(t, "places", cases, async ({ env, is }) => {
    const { status, stdout, stderr } = await runCli(["key", "pusher", "--json"], { cwd, env });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { ...shown, ...is });
    assert.match(stderr, /its secret is not shown/);
    assert.ok(!(stdout + stderr).includes(CONFIGURED.PUSHER_SECRET));
  });
  const refused = await runCli(["key", "pusher", "--rotate"], { cwd, env: CONFIGURED });
  assert.deepEqual([refused.status, refused.stdout], [7, ""]);
  assert.match(refused.stderr, /the app is configured; set another pusher\.secret/);
});

test("key pusher refuses a server's URL, and a database of another encryption key", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const before = await runJson<ShownApp>(["key", "pusher"], { cwd });
  const PRISM_ENCRYPTION_KEY = Buffer.alloc(32, "another key").toString("base64");
  const cases = [
    { name: "--url", args: ["--url", "http://127.0.0.1:3000"], env: {}, status: 2, says: /takes no --url/ },
    { name: "another key", args: [], env: { PRISM_ENCRYPTION_KEY }, status: 3, says: /not the one this database was/ },
    {
      name: "another key, --rotate",
      args: ["--rotate"],
      env: { PRISM_ENCRYPTION_KEY },
      status: 3,
      says: /not the one this database was/,
    },
  ];
  await eachCase(t, "refusals", cases, async ({ args, env, status, says }) => {
    const refused = await runCli(["key", "pusher", ...args], { cwd, env });
    assert.deepEqual([refused.status, refused.stdout], [status, ""]);
    assert.match(refused.stderr, says);
  });
  assert.deepEqual(await runJson(["key", "pusher"], { cwd }), before);
});
