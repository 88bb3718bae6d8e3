import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { runCli, runJson } from "./run-cli.ts";

test("prism oncall create makes a rotation whose first user is on call at once, and delete removes it", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["ann", "ben"]) await makeUser(prism, name);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = (command: string) => runCli(command.split(" "), options);
  const schedules = async () => (await run("oncall schedules")).stdout;

  await t.test("of weeks, by default", async () => {
    const made = await run("oncall create Database --users ann,ben --timezone Europe/Berlin");
    assert.equal(made.status, 0, made.stderr);
    const [head = "", columns, first = "", second = ""] = made.stdout.split("\n");
    assert.match(head, /^[0-9a-f-]{36} {2}Database$/);
    assert.match(columns ?? "", /^FROM/);
    assert.match(first, / ann$/);
    assert.match(second, /09:00 \+0[12]:00 .*09:00 \+0[12]:00 +ben$/);
    assert.equal(new Date(`${second.slice(0, 10)}T12:00:00Z`).getUTCDay(), 1, "the next turn begins on Monday");
    assert.match((await run("oncall now")).stdout, /^Database +ann /m);
  });

  await t.test("of days, as JSON", async () => {
    const words = ["oncall", "create", "Web", "--users", "ben, ann", "--turn", "day", "--handover", "23:59"];
    const made = await runJson<{ name: string; shifts: { durationMs: number; turns: unknown[] }[] }>(words, options);
    assert.equal(made.name, "Web");
    assert.deepEqual([made.shifts[0]?.durationMs, made.shifts[0]?.turns.length], [86_400_000, 2]);
    assert.match((await run("oncall now")).stdout, /^Web +ben /m);
  });

  await t.test("wrong words make nothing", async () => {
    const before = await schedules();
    const unknown = await run("oncall create Cache --users ann,nemo");
    assert.notEqual(unknown.status, 0);
    assert.match(unknown.stderr, /nemo/);
    assert.doesNotMatch(unknown.stderr, /turns/);
    for (const [words, said] of [
      ["--users ann,,ben", /such as ann,ben/],
      ["--users ann --handover 9", /time of day such as 09:00/],
      ["--users ann --turn month", /day, week/],
      ["", /--users/],
    ] as const) {
      const { status, stderr } = await run(`oncall create Cache ${words}`.trim());
      assert.equal(status, 2, words);
      assert.match(stderr, said);
    }
    const project = await prism.post("/api/v1/projects", { name: "Shop", slug: "shop" });
    assert.equal(project.status, 201, project.text);
    const outsider = await run("oncall create Cache --users ann --project shop");
    assert.match(outsider.stderr, /ann: is no member of the project$/m);
    assert.equal(await schedules(), before);
  });

  await t.test("a second rotation in a layer above, and the schedule in a file", async () => {
    const nights = "Database --users ben --turn day --handover 00:00 --length 24h --level 1 --name Nights";
    const added = await run(`oncall add-rotation ${nights}`);
    assert.equal(added.status, 0, added.stderr);
    assert.match(added.stdout, / 1 +\S+ +daily +24 h +1 +Nights$/m);
    assert.match((await run("oncall")).stdout, /^Database +ben /m);
    assert.match(
      (await run("oncall show Database")).stdout,
      / weekly +7 d +2 +Database\n[\s\S]* daily +24 h +1 +Nights\n|Nights\n[\s\S]* weekly +7 d +2 +Database\n/,
    );

    const exported = await run("oncall export Database");
    const document = JSON.parse(exported.stdout) as { name: string; shifts: { name: string; turns: string[][] }[] };
    assert.deepEqual(
      document.shifts.map(({ name, turns }) => [name, turns]).sort(),
      [
        ["Database", [["ann"], ["ben"]]],
        ["Nights", [["ben"]]],
      ].sort(),
    );
    const input = JSON.stringify({ ...document, shifts: document.shifts.filter(({ name }) => name === "Database") });
    const changed = await runCli(["oncall", "import", "-"], { ...options, input });
    assert.match(changed.stdout, /^\S+ {2}Database {2}updated\n$/, changed.stderr);
    assert.match((await run("oncall")).stdout, /^Database +ann /m);
    assert.doesNotMatch((await run("oncall show Database")).stdout, /Nights/);
    const copy = await runCli(["oncall", "import", "-"], { ...options, input: input.replace('"Database"', '"Copy"') });
    assert.match(copy.stdout, / {2}Copy {2}created\n$/, copy.stderr);
    assert.match((await run("oncall")).stdout, /^Copy +ann /m);
  });

  await t.test("who is scheduled and not reached is named, with the reason", async () => {
    const { body } = await prism.get<{ data: { id: string; username: string }[] }>("/api/v1/users?q=ann");
    const id = body.data.find(({ username }) => username === "ann")?.id;
    await answered(200, prism.patch(`/api/v1/users/${id}`, { status: "disabled" }));
    const said = /^not notified: ann, whose account is disabled, is scheduled/;
    const now = (await run("oncall now")).stdout.split("\n");
    assert.ok(
      now.some((line) => said.test(line) && line.endsWith(" now on Database")),
      now.join("\n"),
    );
    const shifts = (await run("oncall shifts Database --to 30d")).stdout.split("\n");
    assert.ok(
      shifts.some((line) => said.test(line) && /and \d+ more times?$/.test(line)),
      shifts.join("\n"),
    );
  });

  await t.test("delete", async () => {
    const gone = await run("oncall delete Web --yes");
    assert.match(gone.stdout, / {2}Web {2}deleted\n$/);
    assert.doesNotMatch(await schedules(), /Web/);
  });
});
