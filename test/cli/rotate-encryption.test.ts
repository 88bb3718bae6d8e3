import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { SEALED_COLUMNS } from "../../src/app/sealed-columns.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { AuditLog } from "../../src/features/records/audit/audit-log.ts";
import { reseal } from "../../src/store/sealed-column.ts";
import { makeAccount } from "../features/access/sessions/support/auth-client.ts";
import { Authenticator, challengeOf, protect, secondStep } from "../features/access/sessions/support/second-factor.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { answered, startPrism, TestPrism } from "../helpers/prism.ts";
import { openBeside, openTestStore, TEST_KEY, temporaryDir } from "../helpers/store.ts";
import { databaseIn, RunningCli, runCli, runJson } from "./run-cli.ts";

const KEYS = [1, 2, 3].map((n) => Buffer.alloc(32, `key ${n} of these tests `)) as [Buffer, Buffer, Buffer];
const [OLD, NEW, LOST] = KEYS;

/** The environment of a program that seals with the first key and opens with the others, too. */
const keyed = (current: Buffer, ...previous: Buffer[]): Record<string, string> => ({
  PRISM_ENCRYPTION_KEY: current.toString("base64"),
  ...(previous.length === 0
    ? {}
    : { PRISM_PREVIOUS_ENCRYPTION_KEYS: previous.map((key) => key.toString("hex")).join(",") }),
});

const settings = (current: Buffer, ...previous: Buffer[]): Record<string, string> => ({
  encryptionKey: current.toString("base64"),
  previousEncryptionKeys: previous.map((key) => key.toString("hex")).join(","),
});

interface Device {
  readonly id: string;
  readonly token: Buffer;
}

function devicesIn(file: string): Device[] {
  const connection = new SqliteDatabase(file, { readonly: true, timeout: 5000 });
  try {
    return connection.prepare<[], Device>("select id, token from push_devices order by id").all();
  } finally {
    connection.close();
  }
}

const opened = (box: SealedBox, { id, token }: Device): string =>
  box.open(`push_devices.token.${id}`, token).toString();

/** Adds devices of the first user, whose tokens are `<prefix><n>`. */
function addDevices(t: TestContext, file: string, box: SealedBox, count: number, prefix = "token-"): void {
  const connection = openBeside(t, file);
  const [user] = connection.prepare<[], string>("select id from users limit 1").pluck().all();
  const insert = connection.prepare(
    `insert into push_devices (id, userId, kind, device, token, tokenHash, createdAt, updatedAt) values (?, ?, 'fcm', ?, ?, ?, 0, 0)`,
  );
  connection.transaction(() => {
    for (let n = 0; n < count; n++) {
      const id = `${prefix}${String(n).padStart(6, "0")}`;
      insert.run(id, user, id, box.seal(`push_devices.token.${id}`, Buffer.from(id)), id);
    }
  })();
}

/**
 * A data directory that was used with the old key: an administrator, an audit trail, two devices
 * that a client has registered.
 */
async function usedDir(
  t: TestContext,
): Promise<{ cwd: string; dir: string; file: string; env: Record<string, string> }> {
  const dir = temporaryDir(t);
  const prism = await TestPrism.start({ dir, settings: settings(OLD) });
  const { status } = await prism.put("/api/v1/users/me/push-tokens", {
    fcm: "fcm-token-of-dev",
    apns: "ab".repeat(32),
  });
  assert.equal(status, 200);
  await prism.stop();
  return { cwd: dir, dir, file: databaseIn(dir), env: { PRISM_DATA_DIR: dir } };
}

test("S4-37 12.8 key rotate --encryption: then the old key can go", async (t) => {
  const { cwd, dir, file, env } = await usedDir(t);
  addDevices(t, file, new SealedBox([OLD]), 450);
  const { file: archive } = await runJson<{ file: string }>(["backup"], { cwd, env: { ...env, ...keyed(OLD) } });
  const doctor = async (...keys: [Buffer, ...Buffer[]]): Promise<string> => {
    const { stdout } = await runCli(["doctor", "--db", "--json"], { cwd, env: { ...env, ...keyed(...keys) } });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    return checks
      .filter(({ name }) => ["encryption", "audit"].includes(name))
      .map(({ name, status, message }) => `${name} ${status} ${message}`)
      .join("\n");
  };
  assert.match(await doctor(NEW), /^encryption FAIL 455 values .* not configured\naudit FAIL/);
  assert.match(await doctor(NEW, OLD), /^encryption WARN 455 values need a previous key\naudit PASS/);

  const rotate = () =>
    runCli(["key", "rotate", "--encryption", "--json"], { cwd, env: { ...env, ...keyed(NEW, OLD) } });
  const first = await rotate();
  assert.deepEqual([first.status, JSON.parse(first.stdout)], [0, { resealed: 455, unreadable: 0 }], first.stderr);
  assert.match(first.stderr, /no longer needs the previous keys\. .*keep the keys .* 1 archive \(prism-\w+\.tar\)/);
  assert.deepEqual(JSON.parse((await rotate()).stdout), { resealed: 0, unreadable: 0 });
  assert.match(
    await doctor(NEW, OLD),
    /^encryption PASS 455 values, all with the current key; keep the previous key for 1 archive \(prism-\w+\.tar\)\naudit/,
  );
  assert.match(
    await doctor(NEW),
    /current key\nencryption WARN 1 archive .* only with a key that is not configured\naudit/,
  );
  const check = (...keys: [Buffer, ...Buffer[]]) =>
    runCli(["restore", archive, "--check"], { cwd, env: { ...env, ...keyed(...keys) } });
  assert.deepEqual([(await check(NEW, OLD)).status, (await check(NEW)).status], [0, 8]);
  rmSync(archive);
  assert.match(await doctor(NEW, OLD), /the previous key can be removed unless archives elsewhere need it\naudit/);
  assert.match((await rotate()).stderr, /none are in the data directory/);
  assert.match(await doctor(NEW), /^encryption PASS 455 values, all with the current key\naudit PASS/);

  const tokens = devicesIn(file).map((device) => opened(new SealedBox([NEW]), device));
  assert.equal(tokens.length, 452);
  for (const token of ["fcm-token-of-dev", "ab".repeat(32), "token-000000", "token-000449"])
    assert.ok(tokens.includes(token));
  const prism = await startPrism(t, { dir, settings: settings(NEW) });
  assert.equal((await prism.get<{ ok: boolean }>("/api/v1/audit/verify")).body.ok, true);
  const recorded = await prism.get<{ data: { metadata: unknown; actor: { type: string } }[] }>(
    "/api/v1/audit?action=key.rotate",
  );
  const rows = recorded.body.data.map(({ metadata, actor }) => [metadata, actor.type]);
  assert.deepEqual(rows, [
    [{ column: "push_devices.token", values: 52 }, "operator"],
    [{ column: "push_devices.token", values: 200 }, "operator"],
    [{ column: "push_devices.token", values: 200 }, "operator"],
    [{ column: "settings.value", values: 3 }, "operator"],
  ]);
});

test("killed at any moment it continues from its last position", async (t) => {
  const { cwd, file, env } = await usedDir(t);
  addDevices(t, file, new SealedBox([OLD]), 3000);
  const box = new SealedBox([NEW, OLD]);
  const done = (): number => devicesIn(file).filter(({ token }) => token.subarray(0, 4).equals(box.keyId)).length;
  const options = { cwd, env: { ...env, ...keyed(NEW, OLD) } };
  const killed = new RunningCli(t, ["key", "rotate", "--encryption"], options);
  await eventually("it has begun", () => done() > 0, 60_000);
  killed.signal("SIGKILL");
  await killed.ended();
  const before = done();
  for (const device of devicesIn(file)) opened(box, device);
  const { status, stdout } = await runCli(["key", "rotate", "--encryption", "--json"], options);
  assert.deepEqual([status, JSON.parse(stdout)], [0, { resealed: 3002 - before, unreadable: 0 }]);
  for (const device of devicesIn(file)) opened(new SealedBox([NEW]), device);
});

test("stopped between two batches, each value is under one key or the other, and all are in the end", async (t) => {
  const store = openTestStore(t);
  const { database } = store;
  const audit = new AuditLog(database, new FakeClock());
  openBeside(t, store.file).exec("insert into users (id, status, createdAt, updatedAt) values ('u', 'active', 0, 0)");
  addDevices(t, store.file, new SealedBox([TEST_KEY]), 401);
  const parts = { database, audit, box: new SealedBox([NEW, TEST_KEY]) };
  const stop = (resealed: number): void => {
    if (resealed >= 200) throw new Error("stopped");
  };
  await assert.rejects(reseal(parts, SEALED_COLUMNS, stop), /stopped/);
  for (const device of devicesIn(store.file)) opened(parts.box, device);
  assert.deepEqual(await reseal(parts, SEALED_COLUMNS), { resealed: 201, unreadable: 0 });
  assert.deepEqual(await reseal(parts, SEALED_COLUMNS), { resealed: 0, unreadable: 0 });
});

test("beside a running server it works once that has the new key, and is refused before", async (t) => {
  const { cwd, dir, file, env } = await usedDir(t);
  const before = devicesIn(file);
  const rotate = () =>
    runCli(["key", "rotate", "--encryption", "--json"], { cwd, env: { ...env, ...keyed(NEW, OLD) } });
  // In a separate process: the holder of a lock cannot test whether it is held.
  const serve = (keys: Record<string, string>): RunningCli =>
    new RunningCli(t, ["serve", "--port", "0"], { cwd, env: { ...env, ...keys } });
  const old = serve(keyed(OLD));
  await old.until(/Prism is ready/);
  const refused = await rotate();
  assert.equal(refused.status, 4, refused.stderr);
  assert.match(refused.stderr, /does not have this encryption key yet; restart it/);
  assert.deepEqual(devicesIn(file), before, "nothing has changed");
  old.signal("SIGTERM");
  await old.ended();

  const young = serve(keyed(NEW, OLD));
  const [, url] = await young.until(/Prism is ready: (\S+)/);
  const taken = await rotate();
  assert.deepEqual([taken.status, JSON.parse(taken.stdout)], [0, { resealed: 5, unreadable: 0 }], taken.stderr);
  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as { token: string };
  const verdict = await fetch(`${url}/api/v1/audit/verify`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(((await verdict.json()) as { ok: boolean }).ok, true, "the server goes on with its chain");
  young.signal("SIGTERM");
  assert.equal(await young.ended(), 0);
  const prism = await startPrism(t, { dir, settings: settings(NEW) });
  assert.equal((await prism.get("/health")).status, 200);
});

test("a value that no configured key opens is left as it is, counted, and named in the exit code", async (t) => {
  const { cwd, file, env } = await usedDir(t);
  addDevices(t, file, new SealedBox([LOST]), 2, "lost-");
  const { status, stdout, stderr } = await runCli(["key", "rotate", "--encryption", "--json"], {
    cwd,
    env: { ...env, ...keyed(NEW, OLD) },
  });
  assert.deepEqual([status, JSON.parse(stdout)], [1, { resealed: 5, unreadable: 2 }]);
  assert.match(
    stderr,
    /2 values were encrypted with a key that is not configured; add it to PRISM_PREVIOUS_ENCRYPTION_KEYS/,
  );
  const lost = devicesIn(file).filter(({ id }) => id.startsWith("lost-"));
  const shown = lost.map((device) => opened(new SealedBox([LOST]), device));
  assert.deepEqual(shown, ["lost-000000", "lost-000001"]);
});

test("a database of another key is refused, and so is a command that asks for both or neither", async (t) => {
  const { cwd, env } = await usedDir(t);
  for (const { args, keys, status, says } of [
    { args: ["--encryption"], keys: keyed(NEW), status: 3, says: /not the one this database was made with/ },
    { args: [], keys: keyed(OLD), status: 2, says: /the id of a key, or --encryption/ },
    { args: ["0198c1de", "--encryption"], keys: keyed(OLD), status: 2, says: /the id of a key, or --encryption/ },
  ]) {
    const refused = await runCli(["key", "rotate", ...args], { cwd, env: { ...env, ...keys } });
    assert.equal(refused.status, status, refused.stderr);
    assert.match(refused.stderr, says);
  }
});

test("a second factor counts with the new key", async (t) => {
  const dir = temporaryDir(t);
  const before = await TestPrism.start({ dir, settings: settings(OLD) });
  await makeAccount(before, { username: "ann" });
  const { secret } = await protect(before, "ann");
  await before.stop();
  const env = { PRISM_DATA_DIR: dir, ...keyed(NEW, OLD) };
  const rotated = await runCli(["key", "rotate", "--encryption", "--json"], { cwd: dir, env });
  assert.equal(rotated.status, 0, rotated.stderr);
  const prism = await startPrism(t, { dir, settings: settings(NEW) });
  const code = new Authenticator(prism, secret).code();
  await answered(200, secondStep(prism, { challenge: await challengeOf(prism, "ann"), code }));
});

test("whatever the program seals is in the list that rotation goes through", () => {
  const src = join(import.meta.dirname, "../../src");
  const sealing = readdirSync(src, { recursive: true, encoding: "utf8" })
    // What nodes of a cluster send each other is sealed with their own secret.
    .filter(
      (file) =>
        file.endsWith(".ts") &&
        !file.startsWith("cluster/") &&
        /box\.seal\(/.test(readFileSync(join(src, file), "utf8")),
    )
    .sort();
  assert.deepEqual(sealing, [
    "features/access/oidc/flow.ts",
    "features/access/oidc/sign-in.ts",
    "features/access/sessions/enrol-second-factor.ts",
    "features/channels/push/devices.ts",
    "features/channels/store.ts",
    "features/channels/webhook/message.ts",
    "features/delivery/mails.ts",
    "features/heartbeats/ping-ids.ts",
    "features/intake/forward/forwards.ts",
    "features/intake/forward/target.ts",
    "features/intake/receivers/settings.ts",
    "features/notifications/messages/queries.ts",
    "features/protocols/gotify/applications.ts",
    "features/statuspage/subscribers.ts",
    "store/own-secret.ts",
    "store/sealed-column.ts",
    "store/sealed-settings.ts",
  ]);
  assert.deepEqual(SEALED_COLUMNS.map(({ name }) => name).sort(), [
    "channel_messages.ref",
    "channels.secrets",
    "forwards.request",
    "gotify_applications.sealedToken",
    "heartbeat_keys.sealedPingKey",
    "heartbeats.sealedPing",
    "identities.tokens",
    "integrations.forwardUrl",
    "messages.content",
    "push_devices.token",
    "receivers.forwardUrl",
    "receivers.previousSecret",
    "receivers.secret",
    "sealed_mails.content",
    "second_factors.secret",
    "settings.value",
    "status_subscribers.address",
    "webhooks.previousSecret",
    "webhooks.secret",
  ]);
});
