import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { placeText, readConfigurationFiles } from "../../src/config/files/file-objects.ts";
import { secretOf, secretReferences } from "../../src/config/files/secret-references.ts";
import { temporaryDir } from "../helpers/store.ts";

type Files = Readonly<Record<string, string | Buffer>>;

function folderOf(t: TestContext, files: Files): string {
  const folder = temporaryDir(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const read = (t: TestContext, files: Files) => readConfigurationFiles([folderOf(t, files)]);
const lines = (...each: string[]) => each.join("\n");
const DUTY = "projects:\n  - slug: duty\n";

/** Each file, and the problem: place, message and how it is mended. */
const WRONG: Readonly<Record<string, readonly [text: string | Buffer, problem: RegExp]>> = {
  "an open bracket": ["projects: [\n", /^a\.yaml:2:1 SYNTAX .*, and close what was opened$/],
  "a key twice": ["source: a\nsource: b\n", /^a\.yaml:2:1 SYNTAX .*; keep one of them$/],
  "a colon in a text": ["source: a: b\n", /^a\.yaml:1:9 SYNTAX Nested mappings .*; quote a value that has a colon/],
  "a tab": ["projects:\n\t- slug: a\n", /^a\.yaml:2:1 SYNTAX .*; indent with spaces$/],
  "wrong indents": ["roles:\n  - name: a\n   permissions: []\n", /^a\.yaml:3:\d+ SYNTAX .*; \w+/],
  "a tag": ["source: !!str a\n", /^a\.yaml:1:15 SYNTAX the tag !!str is not read; write the value without a tag$/],
  "a tag of a program": ["source: !python/x a\n", /^a\.yaml:1:\d+ SYNTAX the tag !python\/x is not read/],
  "a merge key": ["roles:\n  - &a {name: x}\n  - {<<: *a}\n", /^a\.yaml:3:6 SYNTAX merge keys are not read; write the/],
  "an alias without an anchor": ["source: *a\n", /^a\.yaml:1:\d+ SYNTAX .*[Uu]nresolved alias|an alias has no anchor/],
  "many aliases": [
    `roles: &a [${"x,".repeat(20)}]\nrules: &b [${"*a,".repeat(20)}]\njobs: [${"*b,".repeat(20)}]\n`,
    /^a\.yaml:1:1 SYNTAX has more than 100 aliases; write the members out$/,
  ],
  "another coding": [Buffer.from([0x61, 0xff]), /^a\.yaml:1:1 SYNTAX is not UTF-8; save it as UTF-8$/],
  "a large file": [`# ${"x".repeat(1_048_576)}`, /^a\.yaml:1:1 LIMIT has more than 1 MiB; split it/],
  "deep lists": ["[".repeat(60_000), /^a\.yaml:1:\d+ SYNTAX .+; \w+/],
  "a list at the top": ["- source: a\n", /^a\.yaml:1:1 SHAPE is not an object; begin with version: 1$/],
  "another version": [
    "version: 2\n",
    /^a\.yaml:1:1 VALUE is a version that this Prism does not know; write version: 1$/,
  ],
  "a typing error at the top": [
    "sorce: a\n",
    /^a\.yaml:1:1 UNKNOWN_MEMBER sorce is not a member; did you mean source\?$/,
  ],
  "an unknown member": ["x-y-z-of-others: 1\n", /^a\.yaml:1:1 UNKNOWN_MEMBER .*; known are version, source, lock,/],
  "channels at the top": [
    "channels: []\n",
    /^a\.yaml:1:1 UNKNOWN_MEMBER channels is not a member; it stands below a proj/,
  ],
  "roles in a project": [
    `${DUTY}    roles: []\n`,
    /^a\.yaml:3:5 UNKNOWN_MEMBER roles is not a member; it stands at the top/,
  ],
  "a typing error in a project": [
    `${DUTY}    polices: []\n`,
    /^a\.yaml:3:5 UNKNOWN_MEMBER .*; did you mean policies\?$/,
  ],
  "an empty source": ['source: ""\n', /^a\.yaml:1:1 VALUE must be a text; write source: files$/],
  "a lock that is text": ["version: 1\nlock: on\n", /^a\.yaml:2:1 VALUE must be true or false; write lock: false$/],
  "another source": [
    "source: a\n---\nsource: b\n",
    /^a\.yaml:3:1 TWICE source is also at a\.yaml:1:1; keep one of them$/,
  ],
  "another lock": [
    "lock: true\n---\nlock: false\n",
    /^a\.yaml:3:1 TWICE lock is also at a\.yaml:1:1; keep one of them$/,
  ],
  "projects by slug": ["projects:\n  duty: {}\n", /^a\.yaml:1:1 SHAPE must be a list; begin each entry with "- "$/],
  "a project that is text": ["projects:\n  - duty\n", /^a\.yaml:2:5 SHAPE must be an object; write slug: and name:/],
  "a project without slug": ["projects:\n  - name: Duty\n", /^a\.yaml:2:5 NAME_MISSING has no slug; add slug:$/],
  "a slug that is a number": ["projects:\n  - slug: 7\n", /^a\.yaml:2:5 VALUE slug must be text; write slug: "7"$/],
  "another name of a project": [
    lines("projects:", "  - {slug: a, name: A}", "  - {slug: a, name: B}"),
    /^a\.yaml:3:15 TWICE name of the project a is also at a\.yaml:2:15; keep one of them$/,
  ],
  "channels by name": [`${DUTY}    channels: {Room: {}}\n`, /^a\.yaml:3:5 SHAPE must be a list; begin each entry/],
  "a channel that is text": [`${DUTY}    channels: [Room]\n`, /^a\.yaml:3:16 SHAPE must be an object; write name: and/],
  "a channel without name": [
    `${DUTY}    channels: [{preset: slack}]\n`,
    /^a\.yaml:3:16 NAME_MISSING has no name; add name:$/,
  ],
  "a name that is a number": [
    `${DUTY}    channels: [{name: 5}]\n`,
    /^a\.yaml:3:17 VALUE name must be text; write name: "5"$/,
  ],
  "a name twice": [
    `${DUTY}    oncall:\n      - name: Duty\n      - name: Duty\n`,
    /^a\.yaml:5:9 TWICE Duty of oncall is also at a\.yaml:4:9; keep one of them$/,
  ],
  "an earlier name that is a list": [
    `roles: [{name: a, renamedFrom: [b]}]\n`,
    /^a\.yaml:1:19 VALUE must be text; write its/,
  ],
  "members as text": [
    `${DUTY}    members: all\n`,
    /^a\.yaml:3:5 SHAPE must be an object; write user: role, or members: man/,
  ],
  "tests as an object": ["tests: {name: a}\n", /^a\.yaml:1:1 SHAPE must be a list; begin each entry with "- "$/],
  "a test that is text": ["tests: [a]\n", /^a\.yaml:1:9 SHAPE must be an object; write name: and expect: of the test$/],
  "too many objects": [
    `roles: [${Array.from({ length: 2001 }, (_, at) => `{name: r${at}}`).join(", ")}]`,
    /^a\.yaml:1:\d+ LIMIT is object 2001; apply 2000 objects at a time$/,
  ],
};

test("a wrong file is refused with its file, line and column, and with how it is mended", async (t) => {
  assert.ok(Object.keys(WRONG).length > 30);
  for (const [name, [text, expected]] of Object.entries(WRONG))
    await t.test(name, (each) => {
      const { problems } = read(each, { "a.yaml": text });
      const [first] = problems.map((one) => `${placeText(one)} ${one.code} ${one.message}; ${one.fix ?? ""}`);
      assert.match(first ?? "no problem", expected);
    });
});

test("files of a directory are read in the order of their paths; hidden names and links out of it are not", (t) => {
  const outside = folderOf(t, { "x.yaml": "roles: [{name: outside}]" });
  const folder = folderOf(t, {
    "b.yml": "roles: [{name: b}]",
    "a/c.json": '{\n\t"roles": [\n\t\t{ "name": "c" }\n\t]\n}',
    "a/notes.txt": "roles: [{name: text}]",
    ".git/d.yaml": "roles: [{name: hidden}]",
    "..2026/e.yaml": "roles: [{name: e}]",
    "empty.yaml": "# nothing\n---\n",
  });
  symlinkSync(join(outside, "x.yaml"), join(folder, "x.yaml"));
  symlinkSync(outside, join(folder, "linked"));
  symlinkSync("..2026", join(folder, "..data"));
  symlinkSync("..data/e.yaml", join(folder, "e.yaml"));
  symlinkSync("nowhere.yaml", join(folder, "f.yaml"));
  const { objects, problems } = readConfigurationFiles([folder]);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    objects.map(({ spec, at }) => [spec["name"], at]),
    [
      ["c", "a/c.json:3:3"],
      ["b", "b.yml:1:9"],
      ["e", "e.yaml:1:9"],
    ],
  );
  const file = join(outside, "x.yaml");
  assert.deepEqual(readConfigurationFiles([file, join(folder, "b.yml")]).objects[0]?.at, `${file}:1:9`);
  assert.equal(readConfigurationFiles([folderOf(t, {})]).problems[0]?.code, "NO_FILES");
});

test("more files, or more bytes, than are read are refused", (t) => {
  const many = Object.fromEntries(Array.from({ length: 501 }, (_, at) => [`${1000 + at}.yaml`, "version: 1"]));
  assert.match(JSON.stringify(read(t, many).problems), /"1500.yaml".*is file 501; 500 are read at most/);
  const large = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`${at}.yaml`, `# ${"x".repeat(1_000_000)}`]));
  assert.match(JSON.stringify(read(t, large).problems), /"8.yaml".*makes all files more than 8 MiB/);
});

test("parts of a project in several files are joined, and positions are those of the members", (t) => {
  const read2 = read(t, {
    "a.yaml": lines(
      ...["version: 1", "source: platform", "lock: true", "projects:", "  - slug: duty", "    members: {ada: owner}"],
      ...["    policies:", "      - name: Night", "        renamedFrom: Late", "        steps:"],
      "          - {type: wait, for: 5m}",
    ),
    "b.yaml": lines(
      ...["source: platform", "projects:", "- slug: duty", "  name: Duty", "  settings: {retentionDays: 90}"],
      ...["  members: manual", "  routes:", "    route: {policy: Night}", "  heartbeats: [{name: Nightly}]"],
      "tests: [{name: night, expect: {}}]",
    ),
  });
  assert.deepEqual(read2.problems, []);
  assert.deepEqual([read2.source, read2.lock, read2.tests.length], ["platform", true, 1]);
  assert.deepEqual(read2.objects, [
    { kind: "projects", spec: { slug: "duty", name: "Duty", settings: { retentionDays: 90 } }, at: "a.yaml:5:5" },
    { kind: "members", project: "duty", spec: { ada: "owner" }, at: "a.yaml:6:5" },
    {
      ...{ kind: "policies", project: "duty", at: "a.yaml:8:9", renamedFrom: "Late" },
      spec: { name: "Night", steps: [{ type: "wait", for: "5m" }] },
    },
    { kind: "routes", project: "duty", spec: { route: { policy: "Night" } }, at: "b.yaml:7:3" },
    { kind: "heartbeats", project: "duty", spec: { name: "Nightly" }, at: "b.yaml:9:16" },
  ]);
  assert.equal(placeText(read2.positionOf(2, "steps.0.for")), "a.yaml:11:26");
  assert.equal(placeText(read2.positionOf(2, "repeat")), "a.yaml:8:9");
  assert.equal(placeText(read2.positionOf(0, "settings.retentionDays")), "b.yaml:5:14");
  assert.equal(placeText(read2.positionOfTest(0)), "b.yaml:10:9");
});

test("secrets are read from variables and from files below the given directories only", (t) => {
  const outside = folderOf(t, { "other.secret": "no" });
  const folder = folderOf(t, { "room.secret": "s3cret\n" });
  symlinkSync(join(outside, "other.secret"), join(folder, "link.secret"));
  const spec = {
    fields: { url: { env: "PRISM_SECRET_ROOM" }, token: { file: "room.secret" } },
    labels: { env: "prod" },
    list: [{ secret: { env: "PRISM_SECRET_B" } }],
  };
  assert.deepEqual(secretReferences([{ spec: {} }, { spec }]), [
    { object: 1, path: "fields.url", key: "env:PRISM_SECRET_ROOM" },
    { object: 1, path: "fields.token", key: "file:room.secret" },
    { object: 1, path: "list.0.secret", key: "env:PRISM_SECRET_B" },
  ]);
  const sources = { environment: { PRISM_SECRET_ROOM: "https://room", PRISM_SECRET_B: "" }, folders: [folder] };
  const given = ["env:PRISM_SECRET_ROOM", "env:PRISM_SECRET_B", "file:room.secret", "file:none.secret"];
  assert.deepEqual(
    given.map((key) => secretOf(key, sources)),
    ["https://room", undefined, "s3cret", undefined],
  );
  for (const key of ["file:link.secret", `file:${join(outside, "other.secret")}`])
    assert.throws(() => secretOf(key, sources), /is outside of/);
  const both = { ...sources, folders: [folder, outside] };
  assert.equal(secretOf("file:other.secret", both), "no");
});
