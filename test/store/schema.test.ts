import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { GenericSchema } from "valibot";
// All features, with their resources.
import "../../src/app/feature-list.ts";
import { resources } from "../../src/http/api/resource.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { column, openBeside, temporaryDatabase } from "../helpers/store.ts";

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isNullable: boolean;
  /** An insert may leave it out; undefined: inserts have all columns. */
  readonly isGenerated?: boolean;
}

/**
 * The tables of src/store/schema.ts and its folder, read from their text: its types are gone when
 * it runs.
 */
function declaredTables(): Map<string, Column[]> {
  const folder = join(import.meta.dirname, "../../src/store");
  const files = ["schema.ts", ...readdirSync(join(folder, "schema")).map((name) => join("schema", name))];
  const text = files.map((file) => readFileSync(join(folder, file), "utf8")).join("\n");
  const blocks = new Map(
    [...text.matchAll(/interface (\w+) \{\n(.*?)\n\}/gs)].map(([, name = "", body = ""]) => [name, body]),
  );
  const tables = new Map<string, Column[]>();
  for (const [, group = ""] of text.matchAll(/interface \w+Tables \{\n(.*?)\n\}/gs)) {
    for (const [, table = "", type = ""] of group.matchAll(/^ {2}(\w+): (\w+);$/gm))
      tables.set(table, columnsIn(blocks.get(type) ?? ""));
    for (const [, table = "", body = ""] of group.matchAll(/^ {2}(\w+): \{\n(.*?)\n {2}\};$/gms))
      tables.set(table, columnsIn(body));
  }
  return tables;
}

function columnsIn(members: string): Column[] {
  return [...members.matchAll(/^ +(\w+): (.+);$/gm)].map(([, name = "", type = ""]) => ({
    name,
    type: sqlTypeOf(type),
    isNullable: type.endsWith("| null"),
    isGenerated: type.startsWith("Generated<"),
  }));
}

function sqlTypeOf(type: string): string {
  const plain = type.replace(" | null", "").replace(/^Generated<(.*)>$/, "$1");
  if (plain === "Uint8Array") return "BLOB";
  if (/^"[a-z0-9_]+"( \| "[a-z0-9_]+")+$/.test(plain)) return "TEXT";
  if (plain.includes("|")) return "ANY";
  return plain === "number" || plain === "Flag" ? "INTEGER" : "TEXT";
}

/** The tables of resources, which add themselves to Kysely's in the file of their declaration; `test_`: of a test. */
function resourceTables(): Map<string, Column[]> {
  return new Map(
    resources()
      .filter(({ table }) => !table.startsWith("test_"))
      .map(({ table, columnSchemas }) => [
        table,
        [...columnSchemas].map(([name, schema]) => ({ name, ...sqlColumnOf(schema) })),
      ]),
  );
}

const SQL_TYPES: Readonly<Record<string, string>> = { string: "TEXT", number: "INTEGER", custom: "BLOB" };

function sqlColumnOf(schema: GenericSchema): Omit<Column, "name"> {
  const { type, wrapped, options } = schema as GenericSchema & {
    readonly wrapped?: GenericSchema;
    readonly options?: readonly unknown[];
  };
  if (type === "nullable" && wrapped) return { ...sqlColumnOf(wrapped), isNullable: true };
  const plain = type === "picklist" ? typeof options?.[0] : type;
  const sqlType = SQL_TYPES[plain];
  if (!sqlType) throw new TypeError(`a column of the type ${plain} needs a codec`);
  return { type: sqlType, isNullable: false };
}

test("S3-03 Kysely's tables are those of the migrations, column by column", async (t) => {
  keepsPromise(t, "S3-03");
  const connection = openBeside(t, temporaryDatabase(t));
  const inResources = resourceTables();
  const declared = new Map([...declaredTables(), ...inResources]);
  const real = column<string>(
    connection,
    "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
  );
  assert.deepEqual([...declared.keys()].sort(), real.sort());
  for (const table of real) {
    await t.test(table, () => {
      const info = connection.pragma(`table_info(${table})`) as {
        name: string;
        type: string;
        notnull: number;
        dflt_value: string | null;
        pk: number;
      }[];
      const columns = info.map(({ name, type, notnull, dflt_value, pk }) => ({
        name,
        type,
        isNullable: notnull === 0 && pk === 0,
        // An integer primary key is the rowid, which SQLite gives.
        isGenerated: dflt_value !== null || isRowid(info, name),
      }));
      const expected = (declared.get(table) ?? []).map((each) =>
        // The process gives these numbers itself, so an insert must bring them.
        GIVEN.has(`${table}.${each.name}`) ? { ...each, isGenerated: true } : each,
      );
      const byName = (list: readonly Column[]) => new Map(list.map((each) => [each.name, each]));
      // The order of a resource's columns is that of its answers.
      if (inResources.has(table))
        assert.deepEqual(byName(columns.map(({ isGenerated: _, ...each }) => each)), byName(expected));
      else assert.deepEqual(columns, expected);
    });
  }
});

/** Rowids that the process gives itself. */
const GIVEN = new Set(["events.seq", "event_senders.eventSeq", "stream_log.seq"]);

function isRowid(info: readonly { name: string; type: string; pk: number }[], name: string): boolean {
  const keys = info.filter(({ pk }) => pk > 0);
  return keys.length === 1 && keys[0]?.name === name && keys[0].type === "INTEGER";
}

test("every table is STRICT, and one with a text or composite key has no rowid", (t) => {
  const connection = openBeside(t, temporaryDatabase(t));
  const tables = connection
    .prepare<[], { name: string; wr: number; strict: number }>(
      "select name, wr, strict from pragma_table_list where schema = 'main' and name not like 'sqlite_%'",
    )
    .all();
  for (const { name, wr, strict } of tables) {
    const keys = column<string>(connection, "select type from pragma_table_info(?) where pk > 0", name);
    assert.deepEqual({ name, strict, wr }, { name, strict: 1, wr: keys.length === 1 && keys[0] === "INTEGER" ? 0 : 1 });
  }
});

interface Index {
  readonly table: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
  readonly partial: boolean;
}

function indexesOf(t: Parameters<typeof openBeside>[0]): Index[] {
  const connection = openBeside(t, temporaryDatabase(t));
  return connection
    .prepare<[], { table: string; name: string; unique: number; partial: number }>(
      `select m.name as "table", i.name, i."unique", i.partial from sqlite_schema m, pragma_index_list(m.name) i
       where m.type = 'table' and m.name not like 'sqlite_%'`,
    )
    .all()
    .map((index) => ({
      table: index.table,
      columns: column<string>(connection, "select name from pragma_index_info(?) order by seqno", index.name),
      unique: index.unique === 1,
      partial: index.partial === 1,
    }));
}

test("the indexes of the contract are there, and events has no more than these", async (t) => {
  const indexes = indexesOf(t);
  const has = (table: string, columns: string, kind: Partial<Index> = {}): boolean =>
    indexes.some(
      (index) =>
        index.table === table &&
        index.columns.join() === columns &&
        (kind.unique ?? index.unique) === index.unique &&
        (kind.partial ?? index.partial) === index.partial,
    );
  for (const { name, rows } of [
    {
      name: "S2-110 indexes on userId, ruleId, event type, createdAt and status",
      rows: [
        ["audit_log", "userId"],
        ["user_roles", "userId,roleId"],
        ["notifications", "ruleId,createdAt"],
        ["decisions", "ruleId,eventSeq"],
        ["events", "projectId,type"],
        ["rules", "createdAt"],
        ["users", "status,createdAt"],
      ],
    },
    {
      name: "S2-111 S3-36 composite indexes",
      rows: [
        ["events", "projectId,type"],
        ["notifications", "projectId,createdAt"],
        ["jobs", "queue,priority,runAt,seq"],
        ["notification_recipients", "notificationId,userId"],
      ],
    },
    {
      name: "S3-34 indexes on frequent fields",
      rows: [
        ["api_keys", "hash"],
        ["service_tokens", "hash"],
        ["jobs", "runAt"],
        ["project_members", "userId"],
        ["idempotency_keys", "expiresAt"],
      ],
    },
    {
      name: "S2-13 the audit log by user, by resource type and by action; its numbers are in the order of time",
      rows: [
        ["audit_log", "userId"],
        ["audit_log", "resourceType"],
        ["audit_log", "action"],
      ],
    },
  ] as const)
    await t.test(name, (t) => {
      keepsPromise(t, [...name.matchAll(/\bS\d-\d+\b/g)].map(String));
      for (const [table, columns] of rows) assert.ok(has(table, columns), `${table} (${columns})`);
    });
  await t.test("values that may occur only once are unique", () => {
    for (const [table, columns, partial] of [
      ["users", "email", true],
      ["users", "username", true],
      ["users", "phone", true],
      ["users", "externalId", true],
      ["projects", "slug", true],
      ["roles", "name", false],
      ["events", "id", false],
      ["events", "projectId,dedupeKey", true],
      ["jobs", "queue,dedupeKey", true],
      ["notifications", "scheduledJobId", true],
      ["decisions", "eventSeq,ruleId", false],
    ] as const)
      assert.ok(has(table, columns, { unique: true, partial }), `${table} (${columns})`);
  });
  await t.test("events", () => {
    const columns = indexes.filter(({ table }) => table === "events").map((index) => index.columns.join());
    assert.deepEqual(columns.sort(), [
      "id",
      "processedAt",
      "projectId",
      "projectId",
      "projectId,dedupeKey",
      "projectId,type",
    ]);
  });
});

test("whatever has an id has a text primary or unique key for it, as UUIDs need", (t) => {
  const indexes = indexesOf(t);
  const connection = openBeside(t, temporaryDatabase(t));
  const withId = column<string>(
    connection,
    "select m.name from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and c.name = 'id' and c.type = 'TEXT'",
  );
  assert.ok(withId.length >= 10);
  for (const table of withId)
    assert.ok(
      indexes.some((index) => index.table === table && index.unique && index.columns.join() === "id"),
      table,
    );
});
