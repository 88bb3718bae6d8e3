import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");
const SETS = ["--quick", "--gate", "--rest"] as const;

/** Runs a module of a script's functions. @returns what it prints as JSON */
function inScripts<T>(code: string): T {
  const { TEST_EVENTS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const args = ["--input-type=module", "-e", code];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  assert.equal(stderr, "");
  return JSON.parse(stdout) as T;
}

function list(...flags: readonly string[]): string[] {
  const { stdout } = spawnSync(process.execPath, [join(root, "scripts/test.mjs"), "--list", ...flags]);
  return String(stdout).trim().split("\n");
}

test("each test file is in one set: what docs/promises.md names and what is quick, the gate's, the rest", () => {
  const every = list();
  const [quick = [], gate = [], rest = []] = SETS.map((set) => list(set));
  assert.deepEqual([...quick, ...gate, ...rest].sort(), every);
  assert.equal(quick.length + gate.length + rest.length, new Set(every).size);
  assert.deepEqual(list("--quick", "--gate").sort(), [...quick, ...gate].sort());

  const linesOf = (name: string) =>
    readFileSync(join(root, "test", name), "utf8")
      .trimEnd()
      .split("\n")
      .filter((line) => !line.startsWith("#"));
  const slow = linesOf("slow.txt").map((line) => /^ *\d+\.\d +\d+\.\d (test\/\S+)$/.exec(line)?.[1] ?? line);
  assert.deepEqual(slow, [...new Set(slow)].sort());
  for (const file of slow) assert.ok(every.includes(file), `test/slow.txt: ${file}`);
  for (const file of gate) assert.ok(slow.includes(file), file);
  const seldom = linesOf("rest.txt").map((line) => /^(test\/\S+) {2}\S.+/.exec(line)?.[1]);
  assert.deepEqual(seldom, rest, "test/rest.txt: files that exist, in order, each with a reason");

  const promises = readFileSync(join(root, "docs/promises.md"), "utf8");
  const promised = [...promises.matchAll(/`([\w/-]+)#S\d-\d+`/g)].map(([, file]) => `test/${file}.test.ts`);
  assert.ok(promised.length > 300, String(promised.length));
  assert.deepEqual(
    promised.filter((file) => !quick.includes(file)),
    [],
  );
});

test("a program that test files say they need is in the list, and one that they start is said", () => {
  const [known, files] = inScripts<[string[], { file: string; needed: string[]; started: string[] }[]]>(`
    import { readFileSync } from "node:fs";
    import { TEST_PROGRAMS } from "./scripts/programs.mjs";
    import { everyFile, filesWith, programsOf } from "./scripts/test/sets.mjs";
    const start = /\\b(?:spawn|spawnSync|execFile|execFileSync)\\("([\\w-]+)"/g;
    const files = everyFile(".").map((file) => {
      const text = [...filesWith(".", file)].map((each) => readFileSync(each, "utf8")).join("");
      return { file, needed: [...programsOf(".", file)], started: [...text.matchAll(start)].map(([, name]) => name) };
    });
    console.log(JSON.stringify([TEST_PROGRAMS, files]));`);
  assert.deepEqual([...new Set(files.flatMap(({ needed }) => needed))].sort(), known);
  assert.ok(files.some(({ started }) => started.includes("nginx")));
  for (const { file, needed, started } of files)
    for (const name of started)
      if (known.includes(name)) assert.ok(needed.includes(name), `${file}: say "// needs: ${name}"`);
});

test("a file whose program is missing is left out by name, with the command that installs it", () => {
  const { TEST_EVENTS: _, NODE_TEST_CONTEXT: __, ...others } = process.env;
  const env = { ...others, PATH: "/nowhere" };
  const args = [join(root, "scripts/test.mjs"), "test/deploy/caddy.test.ts"];
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /^left out: test\/deploy\/caddy\.test\.ts \(no caddy\)\n1 test file .* install .*caddy$/m);
});

test("groups start, the longest first, while there are processes and their shares of a processor fit", () => {
  const picked = inScripts<number[]>(`
    import { nextGroup } from "./scripts/test/groups.mjs";
    const shares = (...all) => all.map((share) => ({ share }));
    const limits = { processes: 4, share: 2.2 };
    console.log(JSON.stringify([
      nextGroup(shares(1, 0.2), shares(1), limits),
      nextGroup(shares(1, 0.2), shares(1, 1), limits),
      nextGroup(shares(1, 1), shares(1, 1), limits),
      nextGroup(shares(0.1), shares(0.1, 0.1, 0.1, 0.1), limits),
      nextGroup(shares(3), [], limits),
      nextGroup([], [], limits),
    ]));`);
  assert.deepEqual(picked, [0, 1, -1, -1, 0, -1]);
});

test("groups have each file once, and files that wait are not with those that compute", () => {
  const groups = inScripts<{ files: string[]; seconds: number; share: number }[]>(`
    import { makeGroups } from "./scripts/test/groups.mjs";
    const files = Array.from({ length: 200 }, (_, n) => "f" + n);
    const slow = new Map(files.slice(0, 60).map((file, n) => [file, { seconds: n + 1, cpuSeconds: n % 2 ? 0.1 : n + 1 }]));
    console.log(JSON.stringify(makeGroups(files, slow, 2)));`);
  const files = groups.flatMap((group) => group.files);
  assert.deepEqual([files.length, new Set(files).size], [200, 200]);
  const measured = groups.filter(({ seconds }) => seconds > 0);
  assert.deepEqual(
    measured,
    [...measured].sort((one, other) => other.seconds - one.seconds),
  );
  for (const { share } of measured) assert.ok(share <= 0.1 || share === 1, String(share));
});

/** Runs test files of these texts, each in a process of its own. @returns what the runner returns and prints */
function run(t: TestContext, texts: Readonly<Record<string, string>>) {
  const folder = temporaryDir(t);
  for (const [name, text] of Object.entries(texts)) {
    const path = join(folder, "test", `${name}.test`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.ts`, "");
    writeFileSync(`${path}.js`, `import assert from "node:assert/strict"; import test from "node:test";\n${text}`);
  }
  const groups = Object.keys(texts).map((name) => ({ files: [`test/${name}.test.ts`], seconds: 0, share: 1 }));
  const options = { root: folder, folder, groups, flags: [], runsAgain: true, limits: { processes: 2, share: 2 } };
  const code = `
    import { runTests } from "./scripts/test/run.mjs";
    const { status, passedAlone } = await runTests({ ...${JSON.stringify(options)}, environment: process.env });
    console.log(JSON.stringify({ status, passedAlone }));`;
  const { TEST_EVENTS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const args = ["--input-type=module", "-e", code];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  return { text: stdout, ...(JSON.parse(last || stderr) as { status: number; passedAlone: string[] }) };
}

test("a file that failed runs once more alone, and the run passes when it does", (t) => {
  const flag = join(temporaryDir(t), "flag");
  const chance = `import { existsSync, writeFileSync } from "node:fs";
    test("by chance", () => {
      const was = existsSync(${JSON.stringify(flag)});
      writeFileSync(${JSON.stringify(flag)}, "");
      assert.ok(was, "the first time");
    });`;
  const { status, passedAlone, text } = run(t, { chance, good: 'test("good", () => {});' });
  assert.deepEqual([status, passedAlone], [0, ["test/chance.test.ts"]]);
  assert.match(text, /^✖ by chance .*$[\s\S]*once more, alone: test\/chance\.test\.ts\n✔ by chance/m);
  assert.match(text, /failing tests:[\s\S]*the first time[\s\S]*ℹ tests 2\nℹ suites 0\nℹ pass 2\nℹ fail 0\n/);
});

test("a test that fails, a process that crashes, and a file that cannot be read fail the run, by name", (t) => {
  const { status, passedAlone, text } = run(t, {
    bad: 'test("bad", async (t) => { await t.test("inner", () => assert.equal(1, 2)); });',
    crash: 'test("crash", () => { process.kill(process.pid, "SIGKILL"); });',
    late: 'test("late", () => { setTimeout(() => { throw new Error("too late"); }, 5); });',
    lost: 'test("lost", () => new Promise(() => undefined));',
    read: 'throw new Error("cannot be read");',
    good: 'test("good", () => {}); test("to do", { todo: true }, () => assert.fail());',
  });
  assert.deepEqual([status, passedAlone], [1, []]);
  assert.match(text, /✖ inner[\s\S]*1 !== 2/);
  assert.match(text, /✖ test\/crash\.test\.ts .*\n {2}The process ended with SIGKILL/);
  assert.match(text, /✖ test\/late\.test\.ts .*\n {2}The process ended with 1/);
  assert.match(text, /✖ lost [\s\S]*still pending/);
  assert.match(text, /cannot be read[\s\S]*✖ test\/read\.test\.ts/);
  assert.match(text, /✔ good /);
  assert.match(text, /\nℹ fail 5\nℹ cancelled 1\nℹ skipped 0\nℹ todo 1\n/);
});
