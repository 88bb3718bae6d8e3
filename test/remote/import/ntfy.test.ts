import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { runCli } from "../../cli/run-cli.ts";
import { startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { Moved } from "./moving.ts";
import { NtfyServer } from "./ntfy-program.ts";

const PASSWORD = "correct horse battery";
const basic = (user: string) => `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString("base64")}`;

test("users, rights and tokens of a running ntfy go on: a sender with its token, an app with its password", async (t) => {
  const folder = temporaryDir(t);
  const lines = `auth-default-access: deny-all
base-url: https://ntfy.example.org
upstream-base-url: https://ntfy.sh
cache-duration: 24h
smtp-sender-pass: "swordfish of mail"
visitor-request-limit-burst: 60
`;
  const ntfy = await NtfyServer.start(t, folder, lines);
  ntfy.run(["user", "add", "--role=admin", "ada"], PASSWORD);
  ntfy.run(["user", "add", "Ben"], PASSWORD);
  ntfy.run(["access", "Ben", "backup_*", "rw"]);
  ntfy.run(["access", "everyone", "news", "ro"]);
  const [token = ""] = /tk_\w+/.exec(ntfy.run(["token", "add", "-l", "the NAS", "Ben"])) ?? [];
  const [short = ""] = /tk_\w+/.exec(ntfy.run(["token", "add", "-e", "2d", "ada"])) ?? [];
  const published = await fetch(`${ntfy.url}/news`, {
    method: "POST",
    body: "Hello",
    headers: { authorization: basic("ada") },
  });
  assert.equal(published.status, 200);

  const databases = ["--user-db", join(folder, "user.db"), "--cache-db", join(folder, "cache.db")];
  const moved = await Moved.from(t, "ntfy", ntfy.settings, ...databases);
  assert.equal(moved.status, 8);
  moved.assertHidden([token, short]);
  assert.ok(!JSON.stringify(moved.files()).includes("swordfish"));
  assert.deepEqual(parse(moved.text("default.yaml")).projects, [
    {
      slug: "default",
      members: { ada: "owner" },
      ntfyTopics: [{ name: "news", kind: "messages" }],
      ntfyAccess: { everyone: { "*": "none", news: "read" }, users: { ben: { "backup_*": "read-write" } } },
    },
  ]);
  assert.deepEqual(
    moved.rows("tokens.ndjson").map(({ expiresAt, ...row }) => ({ ...row, ends: expiresAt !== undefined })),
    [
      { kind: "ntfyToken", user: "ben", token, label: "the NAS", ends: false },
      { kind: "ntfyToken", user: "ada", token: short, ends: true },
    ],
  );
  assert.deepEqual(moved.report(), [
    "account ada: changed",
    "messages cache: not taken",
    "settings prism.config.json: to do",
    "setting upstream-base-url: not taken",
    "setting smtp-sender-pass: to do",
    "setting visitor-request-limit-burst: not taken",
  ]);
  assert.match(moved.text("report.json"), /\\"hosts\\":\[\\"ntfy\.example\.org\\"\].*\\"cacheMs\\":86400000/);
  await moved.check();

  const prism = await startPrism(t);
  await moved.apply(prism);
  const by = (authorization: string) => ({ headers: { authorization }, token: null });
  const publish = (topic: string, who: string) => prism.post(`/ntfy/${topic}`, { text: "Done" }, by(who));
  assert.equal((await publish("backup_home", `Bearer ${token}`)).status, 200);
  assert.equal((await publish("news", `Bearer ${short}`)).status, 200);
  assert.equal((await publish("private", `Bearer ${token}`)).status, 403);
  const read = (topic: string, headers: Readonly<Record<string, string>> = {}) =>
    prism.get(`/ntfy/${topic}/json?poll=1`, { headers, token: null });
  const own = await read("backup_home", { authorization: basic("Ben") });
  assert.equal(own.status, 200);
  assert.match(own.text, /Done/);
  assert.equal((await read("news")).status, 200);
  assert.equal((await read("backup_home")).status, 403);
  assert.equal((await read("private", { authorization: basic("ada") })).status, 200);
});

test("users, rights and tokens of server.yml alone are taken, and what has another form is told", async (t) => {
  const folder = temporaryDir(t);
  const hash = `$2a$10$${"a".repeat(53)}`;
  const settings = {
    "listen-http": ":2586",
    "cache-file": "/etc/passwd",
    "auth-default-access": "write-only",
    "auth-users": [`phil:${hash}:admin`, `Ünal:${hash}:user`, `eve:md5:user`, `Eve:${hash}:user`],
    "auth-access": ["eve:alerts:ro", "everyone:up*:write-only", "gone:x:rw", "phil:a b:rw"],
    "auth-tokens": [
      "phil:tk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa:build",
      "phil:short",
      "gone:tk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ],
    "twilio-account": "AC1",
    "made-up": true,
  };
  const file = join(folder, "server.yml");
  writeFileSync(file, JSON.stringify(settings));
  const moved = await Moved.from(t, "ntfy", file, "--project", "topics");
  assert.equal(moved.status, 8);
  const [project] = parse(moved.text("topics.yaml")).projects;
  assert.deepEqual(project.ntfyAccess, {
    everyone: { "*": "write", "up*": "write" },
    users: { eve: { alerts: "read" } },
  });
  assert.deepEqual(moved.rows("users.ndjson"), [{ username: "phil", passwordHash: hash }, { username: "eve" }]);
  assert.deepEqual(moved.report(), [
    "account Ünal: not taken",
    "account eve: to do",
    "account Eve: not taken",
    "right gone x: not taken",
    "right phil a b: not taken",
    "token without a label, of phil: not taken",
    "token without a label, of gone: not taken",
    "account phil: changed",
    "topics /etc/passwd: to do",
    "settings prism.config.json: to do",
    "setting twilio-account: not taken",
    "setting made-up: not taken",
  ]);
});

test("a file that is no server.yml and no database of ntfy ends with 7, and writes nothing", async (t) => {
  const folder = temporaryDir(t);
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return name;
  };
  const refused = [
    [write("list.yml", "- pass: swordfish\n"), /is no server\.yml/],
    [write("broken.yml", "pass: [swordfish\n"), /is no YAML/],
    // What it names is printed, and not opened.
    [write("names.yml", "auth-file: /dev/zero\n"), /names the database of users \/dev\/zero: give it by --user-db/],
    [write("other.db", "SQLite format 3\0 and no more"), /other\.db/],
    ["gone.yml", /cannot be opened \(ENOENT\)/],
  ] as const;
  for (const [name, message] of refused) {
    const { status, stderr } = await runCli(["import", "ntfy", name, "--out", "out"], { cwd: folder, env: {} });
    assert.equal(status, 7, stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /swordfish/);
  }
});
