import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../src/store/sqlite/migrations.gen.ts";
import { RunningCli, runCli, runJson } from "../../cli/run-cli.ts";
import { eventually } from "../../helpers/eventually.ts";
import { TestPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { PushService, TestBrowser, verifiedVapid } from "../../helpers/web-push.ts";
import { SUBSCRIPTIONS } from "./support/web-push-world.ts";

const keyText = (): string => randomBytes(32).toString("base64");

/** A data directory whose administrator has subscribed a browser, with the server stopped. */
async function subscribedDir(t: TestContext) {
  const service = await PushService.start(t);
  const [dir, browser, encryptionKey] = [temporaryDir(t), new TestBrowser(), keyText()];
  const prism = await TestPrism.start({ dir, settings: { ...service.settings, encryptionKey } });
  assert.equal((await prism.post(SUBSCRIPTIONS, service.subscription(browser))).status, 201);
  const publicKey = await publicKeyOf(prism);
  await prism.stop();
  const env = { PRISM_DATA_DIR: dir, PRISM_ENCRYPTION_KEY: encryptionKey };
  return { service, dir, browser, encryptionKey, publicKey, env };
}

async function publicKeyOf(prism: TestPrism): Promise<string> {
  return (await prism.get<{ publicKey: string }>("/api/v1/push/key")).body.publicKey;
}

/** A start with this key has the same public key, and reaches the browser. */
async function requireReached(
  { service, browser, publicKey }: Awaited<ReturnType<typeof subscribedDir>>,
  dir: string,
  encryptionKey: string,
): Promise<void> {
  const prism = await TestPrism.start({ dir, settings: { ...service.settings, encryptionKey } });
  try {
    assert.equal(await publicKeyOf(prism), publicKey);
    const before = service.received.length;
    await prism.post("/api/v1/notifications", { recipients: ["me"], title: "Door open", message: "The door is open" });
    const message = await eventually("it arrives", () => service.received[before]);
    assert.equal((JSON.parse(browser.decrypt(message.body)) as { title: string }).title, "Door open");
    await verifiedVapid(message.headers, publicKey, service.origin);
    await eventually("it is recorded", () => rowsOf(prism, "select 1 from deliveries where state = 'delivered'")[0]);
  } finally {
    await prism.stop();
  }
}

test("the keys of push survive a restart and a rotation of the encryption key", async (t) => {
  const made = await subscribedDir(t);
  const { dir, env, encryptionKey } = made;
  const stored = () => {
    const connection = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
    try {
      const find = "select value from settings where key = 'webpush.vapidKeys'";
      return connection.prepare<[], Buffer>(find).pluck().get() ?? Buffer.alloc(0);
    } finally {
      connection.close();
    }
  };
  await requireReached(made, dir, encryptionKey);
  const before = stored();
  assert.ok(before.length > 0 && !before.includes(made.publicKey), "they are sealed");
  const next = keyText();
  const keys = { PRISM_ENCRYPTION_KEY: next, PRISM_PREVIOUS_ENCRYPTION_KEYS: encryptionKey };
  const rotated = await runCli(["key", "rotate", "--encryption"], { cwd: dir, env: { ...env, ...keys } });
  assert.equal(rotated.status, 0, rotated.stderr);
  assert.notDeepEqual(stored(), before);
  await requireReached(made, dir, next);
});

test("the executable encrypts, signs and sends", async (t) => {
  const { service, dir, browser, publicKey, env } = await subscribedDir(t);
  const more = { ...env, PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8", SMTP_FROM: "alerts@example.com" };
  const serve = new RunningCli(t, ["serve", "--port", "0"], { cwd: dir, env: more });
  await serve.until(/Prism is ready/);
  const sent = await runCli(["send", "--to", "dev", "The door is open"], { cwd: dir, env });
  assert.equal(sent.status, 0, sent.stderr);
  const message = await eventually("it arrives", () => service.received[0]);
  assert.equal((JSON.parse(browser.decrypt(message.body)) as { body: string }).body, "The door is open");
  assert.equal((await verifiedVapid(message.headers, publicKey, service.origin)).sub, "mailto:alerts@example.com");
  serve.signal("SIGTERM");
  await serve.ended();
  assert.equal(/warning/i.exec(serve.stderr), null, "no warning of Node or of the library");
});

test("a restored server reaches the browsers of the backup", async (t) => {
  const made = await subscribedDir(t);
  const { dir, env, encryptionKey } = made;
  const { file } = await runJson<{ file: string }>(["backup"], { cwd: dir, env });
  const to = join(temporaryDir(t), "restored");
  const restored = await runCli(["restore", file, "--to", to, "--yes"], { cwd: dir, env });
  assert.equal(restored.status, 0, restored.stderr);
  const queues = await runCli(["queue", "resume", "--all"], { cwd: dir, env: { ...env, PRISM_DATA_DIR: to } });
  assert.equal(queues.status, 0, queues.stderr);
  await requireReached(made, to, encryptionKey);
});

test("doctor warns of push without a contact, and says nothing without a browser", async (t) => {
  const { dir, env } = await subscribedDir(t);
  const check = async (more: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const { stdout } = await runCli(["doctor", "--json"], { cwd: dir, env: { PORT: "0", ...env, ...more } });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    const found = checks.find(({ name }) => name === "webpush");
    return found && `${found.status} ${found.message}`;
  };
  assert.equal(
    await check({}),
    "WARN 1 browser is subscribed, and push services have no contact: Apple's refuses messages",
  );
  assert.equal(
    await check({ SMTP_FROM: "Prism <alerts@example.com>" }),
    "PASS 1 browser is subscribed; push services see the contact mailto:alerts@example.com",
  );
  assert.equal(
    await check({ PRISM_PUBLIC_URL: "https://prism.example" }),
    "PASS 1 browser is subscribed; push services see the contact https://prism.example",
  );
  assert.equal(await check({ PRISM_DATA_DIR: temporaryDir(t) }), undefined);
});

test("an earlier database keeps its devices and deliveries, and rules with the default channels get the new one", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "prism.db"));
  t.after(() => connection.close());
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0021"),
  );
  connection.exec(`
    insert into users (id, status, createdAt, updatedAt) values ('u', 'active', 1, 1);
    insert into push_devices (id, userId, kind, device, token, tokenHash, disabledAt, lastUsedAt, createdAt, updatedAt, sessionId)
      values ('d', 'u', 'apns', 'phone', x'01', 'h', 2, 3, 4, 5, 's');
    insert into deliveries (id, notificationId, userId, channel, target, state, attempts, reason, providerId, lastError, jobId,
      deliveredAt, createdAt, updatedAt) values ('x', 'n', 'u', 'apns', 'd', 'failed', 2, 'r', 'p', 'e', 'j', 6, 7, 8);
  `);
  const insert = connection.prepare(
    `insert into rules (id, name, condition, targetRoles, targetUsers, channels, titleTemplate, messageTemplate, createdAt, updatedAt)
      values (?, ?, 'true', '[]', '[]', ?, '', '', 1, 1)`,
  );
  insert.run("default", "default", '["in_app","pusher","fcm","apns"]');
  insert.run("own", "own", '["in_app","fcm"]');
  const tables = ["push_devices", "deliveries"];
  const rows = () => tables.map((table) => connection.prepare(`select * from ${table}`).all());
  const before = rows();
  migrateUp(connection);
  assert.deepEqual(rows(), before);
  assert.deepEqual(connection.prepare("select channels from rules order by id").pluck().all(), [
    '["in_app","pusher","fcm","apns","webpush","service"]',
    '["in_app","fcm"]',
  ]);
  assert.throws(() => connection.exec("update deliveries set channel = 'fax'"), /CHECK constraint/);
});
