import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import { UnsealError } from "../../../../src/core/crypto/sealed-box.ts";
import { TAR_BLOCK, tarHeader } from "../../../../src/features/records/backup/archive.ts";
import { ArchiveRefused } from "../../../../src/features/records/backup/manifest.ts";
import { checkArchive } from "../../../../src/features/records/backup/restore.ts";
import { SchemaRefused } from "../../../../src/store/sqlite/migrate.ts";
import { TEST_KEY, temporaryDir } from "../../../helpers/store.ts";
import { type Crafted, craft, databaseBytes, restoreInto } from "./support/crafted.ts";

const OTHER_KEY = new Uint8Array(32).fill(9);

/** Restoring it is refused, and so is looking at it; the directory stays as it was: empty. */
async function refused(
  t: TestContext,
  file: string,
  expected: RegExp,
  options: { trust?: boolean } = {},
): Promise<Error> {
  const dir = temporaryDir(t);
  let found: Error | undefined;
  await assert.rejects(restoreInto(dir, file, options), (error: Error) => {
    found = error;
    return expected.test(error.message) || assert.fail(error.message);
  });
  assert.deepEqual(readdirSync(dir), []);
  const look = { file, keys: [TEST_KEY], trust: options.trust === true, onBytes: () => undefined };
  await assert.rejects(checkArchive(look, join(dir, "look")), expected);
  return found ?? new Error("it was restored");
}

/** A header with another kind of member than a file. */
function headerOf(name: string, bytes: number, kind: string): Buffer {
  const header = tarHeader({ name, bytes }, 0);
  header.write(kind, 156);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

test("12.13 an archive whose members are not exactly those of its manifest is refused, and nothing is written", async (t) => {
  const db = { name: "prism.db", content: await databaseBytes(t) };
  const evil = Buffer.from("evil");
  const cases: readonly { name: string; crafted: Crafted; says: RegExp }[] = [
    { name: "an absolute name", crafted: { members: [db, { name: "/etc/cron.d/x", content: evil }] }, says: /damaged/ },
    { name: "a name that leads out", crafted: { members: [db, { name: "../x", content: evil }] }, says: /damaged/ },
    {
      name: "one that leads out of sounds",
      crafted: { members: [db, { name: "sounds/../../x", content: evil }] },
      says: /damaged/,
    },
    { name: "a hidden file", crafted: { members: [db, { name: "sounds/.x", content: evil }] }, says: /damaged/ },
    { name: "a folder in sounds", crafted: { members: [db, { name: "sounds/a/b", content: evil }] }, says: /damaged/ },
    {
      name: "secrets in the open",
      crafted: { members: [db, { name: "secrets.json", content: evil }] },
      says: /damaged/,
    },
    { name: "a module", crafted: { members: [db, { name: "modules/index.js", content: evil }] }, says: /damaged/ },
    { name: "a member twice", crafted: { members: [db, db] }, says: /names a member twice/ },
    { name: "no database", crafted: { members: [{ name: "sounds/a.mp3", content: evil }] }, says: /names no database/ },
    {
      name: "a member that is not in the manifest",
      crafted: { members: [db, { name: "sounds/a.mp3", content: evil, listed: null }] },
      says: /bytes of/,
    },
    {
      name: "one hidden by a smaller one of the same total size",
      crafted: {
        members: [{ ...db, content: Buffer.concat([db.content, evil]), listed: { bytes: db.content.length + 5 } }],
      },
      says: /prism\.db has another size/,
    },
    {
      name: "a member of another name than the manifest's",
      crafted: { members: [db, { name: "sounds/a.mp3", content: evil, listed: { name: "sounds/b.mp3" } }] },
      says: /is in the position of sounds\/b\.mp3/,
    },
    {
      name: "a size that is not the manifest's",
      crafted: { members: [{ ...db, listed: { bytes: 2 ** 50 } }] },
      says: /bytes of/,
    },
    {
      name: "content that is not the manifest's",
      crafted: { members: [{ ...db, listed: { sha256: "0".repeat(64) } }] },
      says: /prism\.db is not what its manifest says/,
    },
    ...["1", "2", "3", "4", "5", "6"].map((kind) => ({
      name: `a link, device, folder or pipe (${kind})`,
      crafted: { members: [db, { name: "sounds/a.mp3", content: evil, header: headerOf("sounds/a.mp3", 4, kind) }] },
      says: /is not a plain file/,
    })),
    {
      name: "an empty manifest",
      crafted: { members: [db], change: () => "" },
      says: /manifest is not JSON/,
    },
    { name: "data after its end", crafted: { members: [db], tail: Buffer.alloc(TAR_BLOCK) }, says: /bytes of/ },
  ];
  for (const { name, crafted, says } of cases)
    await t.test(name, async (sub) => {
      const error = await refused(sub, craft(sub, crafted), says, { trust: true });
      assert.ok(error instanceof ArchiveRefused && error.problem === "damaged");
    });
  await restoreInto(temporaryDir(t), craft(t, { members: [db] }));
});

test("an archive that is cut off anywhere, or has one bit flipped anywhere, is refused", async (t) => {
  const whole = craft(t, { members: [{ name: "prism.db", content: await databaseBytes(t) }] });
  const bytes = readFileSync(whole);
  const file = join(temporaryDir(t), "broken.tar");
  for (const length of [
    0,
    1,
    511,
    512,
    600,
    2048,
    Math.floor(bytes.length / 2),
    bytes.length - 1024,
    bytes.length - 1,
  ]) {
    writeFileSync(file, bytes);
    truncateSync(file, length);
    const look = { file, keys: [TEST_KEY], trust: true, onBytes: () => undefined };
    await assert.rejects(checkArchive(look, temporaryDir(t)), ArchiveRefused, `cut to ${length}`);
  }
  // The header's own fields for owner and time mean nothing to a restore.
  const meaningless = (at: number) => at % TAR_BLOCK >= 100 && at % TAR_BLOCK < 124;
  for (let n = 0; n < 60; n++) {
    const at = Math.floor((n / 60) * bytes.length) + (n % 7);
    if (meaningless(at) && at < 4096) continue;
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (n % 8));
    writeFileSync(file, flipped);
    const look = { file, keys: [TEST_KEY], trust: false, onBytes: () => undefined };
    await assert.rejects(
      checkArchive(look, join(temporaryDir(t), "look")),
      ArchiveRefused,
      `bit ${n % 8} of byte ${at}`,
    );
  }
});

test("an archive without a signature by a known key needs --trust-archive; the database in it stays under its own key", async (t) => {
  const members = [{ name: "prism.db", content: await databaseBytes(t) }];
  const unsigned = craft(t, { members, change: (text) => JSON.stringify({ manifest: JSON.parse(text).manifest }) });
  const foreign = craft(t, { members, key: OTHER_KEY });
  const edited = craft(t, { members, change: (text) => text.replace("2026-01-31", "2026-02-01") });
  for (const [file, says] of [
    [unsigned, /is not signed/],
    [foreign, /key that is not configured/],
    [edited, /changed after it was signed/],
  ] as const) {
    const error = await refused(t, file, says);
    assert.ok(error instanceof ArchiveRefused && error.problem === "untrusted");
    await restoreInto(temporaryDir(t), file, { trust: true });
  }
  const dir = temporaryDir(t);
  await assert.rejects(
    restoreInto(dir, foreign, { keys: [OTHER_KEY] }),
    UnsealError,
    "its audit key is sealed with ours",
  );
  await restoreInto(dir, foreign, { keys: [TEST_KEY, OTHER_KEY] });
});

test("an archive of a newer format, or of a newer database, is refused as newer", async (t) => {
  const content = await databaseBytes(t, (db) =>
    db.exec("insert into migrations (name, checksum, appliedAt) values ('9999_later', 'x', 1)"),
  );
  const error = await refused(t, craft(t, { members: [{ name: "prism.db", content }] }), /newer than this program/);
  assert.ok(error instanceof SchemaRefused);
  const newer = craft(t, {
    members: [{ name: "prism.db", content }],
    change: (text) => text.replace('"format": 1', '"format": 2'),
  });
  assert.equal(((await refused(t, newer, /format 2/)) as ArchiveRefused).problem, "newer");
});

test("a database that is not what the migrations make is refused before it is used", async (t) => {
  const sql = (text: string) => (db: Sqlite) => void db.exec(text);
  for (const [name, change, says] of [
    [
      "a trigger that was put in",
      sql("create trigger mine after insert on events begin delete from users; end"),
      /trigger mine on events, which no migration/,
    ],
    ["a view", sql("create view mine as select * from users"), /view mine/],
    ["a table", sql("create table mine (x)"), /table mine/],
    ["an index that is gone", sql("drop index events_type"), /lacks the index events_type on events/],
    ["a trigger that is gone", sql("drop trigger audit_log_no_update"), /lacks the trigger audit_log_no_update/],
    [
      "a trigger that says something else",
      sql(
        "drop trigger audit_log_no_update; create trigger audit_log_no_update before update on audit_log begin select 1; end",
      ),
      /trigger audit_log_no_update on audit_log is not what/,
    ],
    [
      "a migration that was never applied",
      sql("delete from migrations where name like '0001%'"),
      /no record that it was applied/,
    ],
    ["no migration at all", sql("delete from migrations"), /no record that it was applied/],
    [
      "another text of a migration",
      sql("update migrations set checksum = 'x' where name like '0001%'"),
      /another text/,
    ],
  ] as const)
    await t.test(name, async (sub) => {
      const file = craft(sub, { members: [{ name: "prism.db", content: await databaseBytes(sub, change) }] });
      assert.ok((await refused(sub, file, says, { trust: true })) instanceof SchemaRefused);
    });
});

test("a database with a broken chain, a dangling reference or damaged pages is refused", async (t) => {
  const unlocked = "drop trigger audit_log_no_update; drop trigger audit_log_no_delete;";
  const locked = `create trigger audit_log_no_update before update on audit_log begin
  select raise(abort, 'audit_log is append-only');
end;
create trigger audit_log_no_delete before delete on audit_log
when not exists (select 1 from settings where key = 'audit.gate' and value = 1) begin
  select raise(abort, 'audit_log is append-only');
end`;
  const tamper = (text: string) => (db: Sqlite) => void db.exec(`${unlocked} ${text}; ${locked}`);
  for (const [name, change, says] of [
    ["a changed row", tamper("update audit_log set action = 'forged' where seq = 2"), /chain .* row 2/],
    ["a missing last row", tamper("delete from audit_log where seq = 3"), /its last rows are gone/],
    [
      "a dangling reference",
      (db: Sqlite) =>
        void db.exec("insert into user_roles (userId, roleId, createdAt) values ('nobody', 'nothing', 1)"),
      /reference from user_roles to/,
    ],
  ] as const)
    await t.test(name, async (sub) => {
      const file = craft(sub, { members: [{ name: "prism.db", content: await databaseBytes(sub, change) }] });
      await refused(sub, file, says, { trust: true });
    });
  await t.test("damaged pages", async (sub) => {
    const content = await databaseBytes(sub);
    // After the first page, which contains the schema.
    content.fill(0x5a, content.length - 8192);
    const file = craft(sub, { members: [{ name: "prism.db", content }] });
    await refused(sub, file, /damaged/, { trust: true });
  });
  await t.test("no database at all", async (sub) => {
    const file = craft(sub, { members: [{ name: "prism.db", content: Buffer.from("no database ".repeat(1000)) }] });
    await refused(sub, file, /not a database/, { trust: true });
  });
});

test("what does not fit on the disk is not unpacked", async (t) => {
  const content = await databaseBytes(t);
  const file = craft(t, { members: [{ name: "prism.db", content }] });
  const dir = temporaryDir(t);
  await assert.rejects(
    restoreInto(dir, file, { free: () => content.length }),
    (error: Error) =>
      error instanceof ArchiveRefused &&
      error.problem === "space" &&
      /not enough room in \S+: (?!(\d+) MiB are needed, \1 MiB)/.test(error.message),
  );
  assert.deepEqual(readdirSync(dir), []);
});

test("a byte in the padding of the manifest is refused like any other damage", async (t) => {
  const file = craft(t, { members: [{ name: "prism.db", content: await databaseBytes(t) }] });
  const bytes = readFileSync(file);
  const manifestBytes = Number.parseInt(bytes.toString("ascii", 124, 135), 8);
  assert.notEqual(manifestBytes % 512, 0, "there is padding");
  bytes[512 + manifestBytes] = 1;
  writeFileSync(file, bytes);
  await refused(t, file, /something follows manifest\.json/);
});
