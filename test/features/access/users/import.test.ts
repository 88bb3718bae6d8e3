import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import bcrypt from "bcrypt";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import {
  logIn,
  makeAccount,
  outcomeOf,
  PASSWORD,
  startAccounts,
  type UserBody,
} from "../sessions/support/auth-client.ts";

interface Imported {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly skipped: number;
  readonly dryRun: boolean;
  readonly users: readonly { readonly id: string | null; readonly outcome: string }[];
}

interface Refused {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details?: readonly { readonly path: string; readonly line?: number; readonly code: string }[];
  };
}

const PATH = "/api/v1/users/import";
const HASH = bcrypt.hashSync(PASSWORD, 5);
const ID = "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60";

const bringIn = (prism: TestPrism, users: unknown, query = "", token?: string) =>
  prism.post<Imported & Refused>(`${PATH}${query}`, users, token === undefined ? {} : { token });

const sendText = (prism: TestPrism, text: string, type: string, query = "") =>
  prism.post<Imported & Refused>(`${PATH}${query}`, text, { headers: { "Content-Type": type } });

/** A server without background writes of its own between two looks at the table. */
async function usersOf(prism: TestPrism): Promise<unknown[]> {
  return rowsOf(prism, "select * from users order by id");
}

function countsOf({ created, updated, unchanged, skipped }: Imported): number[] {
  return [created, updated, unchanged, skipped];
}

async function refusal(reply: { readonly status: number; readonly body: Refused }): Promise<string[]> {
  return [
    `${reply.status} ${reply.body.error.code}`,
    ...(reply.body.error.details ?? []).map(
      ({ path, line, code }) => `${line === undefined ? "" : `${line} `}${path} ${code}`,
    ),
  ];
}

test("an imported account keeps its id, names, roles, zone and status, and its bcrypt hash opens it", async (t) => {
  const prism = await startAccounts(t);
  const account = {
    id: ID,
    externalId: "42",
    email: "Ann@Example.org",
    username: "ann",
    phone: "+49 30 123456",
    name: "Ann Lee",
    passwordHash: HASH,
    roles: ["Operator", "Viewer"],
    timezone: "Europe/Berlin",
    locale: "de",
  };
  const reply = await answered(200, bringIn(prism, [account, { externalId: "43", status: "disabled", roles: [] }]));
  assert.deepEqual(countsOf(reply.body), [2, 0, 0, 0]);
  const { body } = await prism.get<UserBody & Record<string, unknown>>(`/api/v1/users/${ID}`);
  const { passwordHash: _hash, ...shown } = account;
  const expected = { ...shown, email: "ann@example.org", phone: "+4930123456", status: "active" };
  const members = Object.keys(expected).map((member) => [member, body[member]]);
  assert.deepEqual(Object.fromEntries(members), expected);
  const other = await prism.get<UserBody>(`/api/v1/users/${reply.body.users[1]?.id}`);
  assert.deepEqual([other.body.status, other.body.roles], ["disabled", []]);

  // At another cost than the setting: hashed again by the login.
  for (const login of ["ann", "ann@example.org", "+4930123456"]) await logIn(prism, login);
  const [row] = rowsOf<{ passwordHash: string }>(prism, `select passwordHash from users where id = '${ID}'`);
  assert.match(row?.passwordHash ?? "", /^\$2[aby]\$04\$/);
});

test("hashes of each bcrypt prefix log in; other hashes and costs out of range are refused", async (t) => {
  const prism = await startAccounts(t);
  const body = HASH.slice(4);
  const rows = ["$2a$", "$2b$", "$2y$"].map((prefix) => ({
    username: `user-${prefix.slice(1, 3)}`,
    passwordHash: `${prefix}${body}`,
  }));
  assert.equal((await bringIn(prism, rows)).status, 200);
  for (const { username } of rows) await logIn(prism, username);
  const wrong = [
    `$2x$${body}`,
    "$2b$03$".padEnd(60, "a"),
    "$2b$17$".padEnd(60, "a"),
    "$argon2id$v=19$m=65536",
    PASSWORD,
  ];
  const refused = await bringIn(
    prism,
    wrong.map((passwordHash, at) => ({ username: `wrong-${at}`, passwordHash })),
  );
  assert.deepEqual(await refusal(refused), [
    "400 VALIDATION_FAILED",
    ...wrong.map((_, at) => `users.${at}.passwordHash VALUE`),
  ]);
  assert.ok(!refused.text.includes(PASSWORD), "what was sent as a hash is not repeated");
});

test("CSV and NDJSON are read with the line of each problem, and one problem stores nothing", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "taken", email: "taken@example.org" });
  const before = await usersOf(prism);
  const csv = [
    "username,email,phone,roles,timezone,passwordHash,name,externalId",
    `"bob",bob@example.org,'+4930111,User;Viewer,Europe/Berlin,${HASH},"Bob`,
    'the ""Builder""",',
    "taken2,taken@example.org,,,,,,12",
    "carl,not an address,,,,,,",
    "dora,,,Nope,Mars/Olympus,,,",
    "bob,,,,,,,",
    "",
  ].join("\r\n");
  const refused = await sendText(prism, csv, "text/csv; charset=utf-8");
  assert.deepEqual(await refusal(refused), [
    "409 EMAIL_TAKEN",
    "4 users.1.email EMAIL_TAKEN",
    "5 users.2.email VALUE",
    "6 users.3.roles.0 ROLE_NOT_FOUND",
    "7 users.4.username VALIDATION_FAILED",
  ]);
  assert.match(refused.body.error.message, /^line 4: .*; 3 more accounts are not valid$/);
  assert.deepEqual(await usersOf(prism), before);

  const good = csv.split("\r\n").slice(0, 3).join("\r\n");
  const reply = await sendText(prism, `\ufeff${good}\r\n`, "text/csv");
  assert.deepEqual(countsOf(reply.body), [1, 0, 0, 0], reply.text);
  const { body } = await prism.get<UserBody>(`/api/v1/users/${reply.body.users[0]?.id}`);
  assert.deepEqual([body.name, body.phone, body.roles], ['Bob\nthe "Builder"', "+4930111", ["User", "Viewer"]]);

  const lines = `{"username":"eva"}\n\n{"username":"fred"\n`;
  assert.deepEqual(outcomeOf(await sendText(prism, lines, "application/x-ndjson")), "400 MALFORMED_JSON");
  const strangers = `{"username":"eva"}\n\n{"username":"fred","passwort":"x","admin":true}\n`;
  assert.deepEqual(await refusal(await sendText(prism, strangers, "application/x-ndjson")), [
    "400 VALIDATION_FAILED",
    "3 users.1.passwort UNKNOWN_MEMBER",
    "3 users.1.admin UNKNOWN_MEMBER",
  ]);
});

test("an import that is repeated changes nothing; what differs is refused, skipped or updated", async (t) => {
  const prism = await startAccounts(t);
  const users = [
    { id: ID, username: "ann", roles: ["Viewer"], passwordHash: HASH },
    { externalId: "7", name: "Seven" },
  ];
  assert.deepEqual(countsOf((await bringIn(prism, { users })).body), [2, 0, 0, 0]);
  await logIn(prism, "ann");
  const before = await usersOf(prism);
  for (const existing of ["refuse", "skip", "update"]) {
    const again = await bringIn(prism, users, `?existing=${existing}`);
    assert.deepEqual(countsOf(again.body), existing === "skip" ? [0, 0, 0, 2] : [0, 0, 2, 0], existing);
  }
  assert.deepEqual(await usersOf(prism), before);

  const changed = [{ ...users[0], username: "anna", roles: ["User"] }, users[1], { externalId: "8" }];
  assert.deepEqual(await refusal(await bringIn(prism, changed)), ["409 ID_CONFLICT", "users.0 ID_CONFLICT"]);
  assert.deepEqual(await usersOf(prism), before);
  assert.deepEqual(countsOf((await bringIn(prism, changed, "?existing=skip")).body), [1, 0, 0, 2]);
  assert.deepEqual(countsOf((await bringIn(prism, changed, "?existing=update")).body), [0, 1, 2, 0]);
  const { body } = await prism.get<UserBody>(`/api/v1/users/${ID}`);
  assert.deepEqual([body.username, body.roles], ["anna", ["User"]]);
});

test("an update gives a password to an account without one, and replaces none", async (t) => {
  const prism = await startAccounts(t);
  await bringIn(prism, [{ username: "without" }]);
  await makeAccount(prism, { username: "with" }, { password: "another long password" });
  const reply = await bringIn(
    prism,
    ["without", "with"].map((username) => ({ username, passwordHash: HASH })),
    "?existing=update",
  );
  assert.deepEqual(countsOf(reply.body), [0, 1, 1, 0]);
  await logIn(prism, "without");
  await logIn(prism, "with", "another long password");
});

test("a dry run answers as the import would, and leaves no trace", async (t) => {
  const prism = await startAccounts(t);
  const before = [await usersOf(prism), rowsOf(prism, "select * from audit_log order by seq")];
  const users = [{ id: ID, username: "ann" }, { username: "bob" }];
  const reply = await bringIn(prism, users, "?dryRun=true");
  assert.deepEqual(reply.body, {
    ...{ created: 2, updated: 0, unchanged: 0, skipped: 0, dryRun: true },
    users: [
      { id: ID, outcome: "created" },
      { id: null, outcome: "created" },
    ],
  });
  const [dev] = rowsOf<{ id: string }>(prism, "select id from users where username = 'dev'");
  const noAdmin = [{ id: dev?.id, roles: ["User"] }];
  for (const query of ["?existing=update&dryRun=true", "?existing=update"])
    assert.equal(outcomeOf(await bringIn(prism, noAdmin, query)), "409 LAST_ADMIN");
  assert.deepEqual([await usersOf(prism), rowsOf(prism, "select * from audit_log order by seq")], before);
});

test("the audit trail counts what came in and names no hash, address or name", async (t) => {
  const prism = await startAccounts(t);
  await bringIn(prism, [{ username: "ann", email: "ann@example.org", passwordHash: HASH }, { username: "bob" }]);
  const rows = rowsOf<{ action: string; metadata: string; resourceId: string | null; userId: string | null }>(
    prism,
    "select action, metadata, resourceId, userId from audit_log where action in ('user.import', 'user.register') and userId is not null order by seq",
  );
  assert.deepEqual(valuesOf(rows, "action"), ["user.register", "user.register", "user.import"]);
  assert.deepEqual(JSON.parse(rows[2]?.metadata ?? ""), { created: 2, updated: 0, unchanged: 0, skipped: 0 });
  assert.doesNotMatch(JSON.stringify(rows), /ann|bob|\$2/);
});

/** A manager of users who is no administrator. */
async function manager(t: TestContext): Promise<{ prism: TestPrism; token: string }> {
  const prism = await startAccounts(t);
  await prism.post("/api/v1/roles", { name: "Manager", permissions: ["users:manage", "users:read"] });
  const { token } = await makeUser(prism, "manager", ["Manager"]);
  return { prism, token };
}

test("an import grants no role beyond the importer's permissions, and changes no account beyond them", async (t) => {
  const { prism, token } = await manager(t);
  await prism.post("/api/v1/roles", { name: "Plain", permissions: [] });
  const [dev] = rowsOf<{ id: string }>(prism, "select id from users where username = 'dev'");
  const plain = { username: "plain", roles: ["Plain"] };
  assert.equal((await bringIn(prism, [plain], "", token)).status, 200);
  for (const [name, users] of Object.entries({
    "a role of more rights": [{ username: "eve", roles: ["Admin"] }],
    "a role in an update": [{ ...plain, roles: ["Admin"] }],
    "an administrator's address": [{ id: dev?.id, email: "eve@example.org" }],
    "an administrator's password": [{ id: dev?.id, passwordHash: HASH }],
  })) {
    const reply = await bringIn(prism, users, "?existing=update", token);
    assert.equal(outcomeOf(reply), "422 PRIVILEGE_ESCALATION", name);
  }
  const { token: stranger } = await makeUser(prism, "stranger", ["User"]);
  assert.equal(outcomeOf(await bringIn(prism, [plain], "", stranger)), "403 UNAUTHORIZED_ROLE");
});

test("the id of an account that was removed is not given again", async (t) => {
  const prism = await startAccounts(t);
  await bringIn(prism, [{ id: ID, username: "ann" }]);
  await prism.delete(`/api/v1/users/${ID}`);
  for (const existing of ["refuse", "skip", "update"])
    assert.deepEqual(await refusal(await bringIn(prism, [{ id: ID, username: "ann" }], `?existing=${existing}`)), [
      "409 ID_CONFLICT",
      "users.0.id ID_CONFLICT",
    ]);
});

test("an import has at most 1000 accounts and 1 MiB", async (t) => {
  const prism = await startAccounts(t);
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ externalId: `u${at}`, passwordHash: HASH }));
  assert.equal(outcomeOf(await bringIn(prism, many(1001))), "413 BATCH_TOO_LARGE");
  assert.deepEqual(countsOf((await bringIn(prism, many(1000))).body), [1000, 0, 0, 0]);
  assert.equal(outcomeOf(await bringIn(prism, " ".repeat(1_048_577))), "413 PAYLOAD_TOO_LARGE");
  for (const [type, text] of Object.entries({ "text/csv": "", "application/x-ndjson": "\n", "application/json": "[]" }))
    assert.equal(outcomeOf(await sendText(prism, text, type)), "400 VALIDATION_FAILED", type);
});

test("POST /users takes an id, an external id and a hash; not a hash and a password", async (t) => {
  const prism = await startAccounts(t);
  const body = { id: ID, externalId: "9", username: "nina", passwordHash: HASH };
  const reply = await prism.post<UserBody & { inviteUrl?: string }>("/api/v1/users", body);
  assert.deepEqual(
    [reply.status, reply.body.id, reply.body.status, reply.body.inviteUrl],
    [201, ID, "active", undefined],
  );
  await logIn(prism, "nina");
  assert.equal(
    outcomeOf(await prism.post("/api/v1/users", { ...body, username: "nina2", externalId: "10" })),
    "409 ID_CONFLICT",
  );
  const both = { username: "both", password: PASSWORD, passwordHash: HASH };
  assert.equal(outcomeOf(await prism.post("/api/v1/users", both)), "400 VALIDATION_FAILED");
  assert.ok(!reply.text.includes(HASH));
});

test("an export with empty names, and numbers as ids of another program, are imported", async (t) => {
  const prism = await startAccounts(t);
  const { status, body } = await bringIn(prism, [
    { externalId: 4711, username: "numbered", name: "" },
    { externalId: "4712", username: "named", name: "Named" },
  ]);
  assert.deepEqual([status, body.created], [200, 2], JSON.stringify(body));
  assert.deepEqual(
    rowsOf(prism, "select externalId from users where username in ('numbered', 'named') order by externalId"),
    [{ externalId: "4711" }, { externalId: "4712" }],
  );
  await answered(400, bringIn(prism, [{ externalId: 4713.5, username: "fraction" }]));
});
