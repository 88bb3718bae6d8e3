import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Event as StoredEvent } from "../../src/client/api-types.gen.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { countOf } from "../helpers/tables.ts";
import { valuesOf } from "../helpers/values.ts";
import { eachCase, runCli, runJson } from "./run-cli.ts";

interface Sent {
  readonly id: string;
  readonly offset: number;
  readonly status: string;
  readonly rulesMatched: number | null;
  readonly recipients: number | null;
  readonly notifications: readonly string[] | null;
}

test("send", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const { body: ops } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", {
    name: "Ops",
    slug: "ops",
  });
  const ann = await makeUser(prism, "ann");
  const bob = await makeUser(prism, "bob");
  await prism.post("/api/v1/rules", {
    name: "Backup failed",
    condition: "event.type == 'backup.failed' and event.message == 'Backup failed'",
    targetUsers: [ann.id, "me"],
    projectId: null,
  });
  const run = (args: readonly string[], input?: string) =>
    runCli(["send", ...args], { cwd, env, ...(input === undefined ? {} : { input }) });
  const stored = async (id: string) => (await prism.get<StoredEvent>(`/api/v1/events/${id}`)).body;
  const idIn = (stdout: string): string => stdout.slice(0, 36);

  await t.test("an event from the arguments says its offset, the rules and the recipients", async () => {
    const args = ["--project", "ops", "--type", "backup.failed", "--severity", "error", "Backup", "failed"];
    const { status, stdout, stderr } = await run(args);
    assert.equal(status, 0, stderr);
    assert.match(
      stdout,
      /^[0-9a-f-]{36} {2}offset \d+ {2}event backup\.failed accepted\n1 rule matched, 2 recipients notified\n$/,
    );
    const event = await stored(idIn(stdout));
    assert.deepEqual(
      [event.type, event.level, event.payload],
      ["backup.failed", "error", { message: "Backup failed" }],
    );
    const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications", { token: ann.token });
    assert.deepEqual(valuesOf(body.data, "title"), ["Backup failed"]);
  });

  await t.test("a type with control sequences does not control the terminal", async () => {
    const { status, stdout } = await run(["--type", "red\u001b[31m", "x"]);
    assert.deepEqual([status, /red\\u001b\[31m accepted/.test(stdout)], [0, true], stdout);
  });

  await t.test("with --json the same as JSON; a dedupe key stores it once", async () => {
    const args = ["send", "--dedupe-key", "k", "--data", '{"n":1}', "--title", "T", "--link", "https://x.test/"];
    const first = await runJson<Sent>(args, { cwd, env });
    assert.deepEqual(Object.keys(first), ["id", "offset", "status", "rulesMatched", "recipients", "notifications"]);
    assert.deepEqual([first.status, first.rulesMatched, first.recipients, first.notifications], ["accepted", 0, 0, []]);
    assert.deepEqual((await stored(first.id)).payload, { n: 1, title: "T", link: "https://x.test/" });
    const second = await runJson<Sent>(args, { cwd, env });
    assert.deepEqual([second.status, second.offset], ["duplicate", first.offset]);
  });

  await t.test("stdin is the text, or where it is a JSON object the payload", async () => {
    const text = await run(["--type", "df", "--source", "host-1"], "line one\nline two\n");
    const event = await stored(idIn(text.stdout));
    assert.deepEqual([event.source, event.payload], ["host-1", { message: "line one\nline two" }]);
    const json = await run(["-", "--type", "order"], '{"amount":1500}');
    assert.deepEqual((await stored(idIn(json.stdout))).payload, { amount: 1500 });
    const nothing = await run(["--type", "heartbeat"], "");
    assert.deepEqual((await stored(idIn(nothing.stdout))).payload, {});
    writeFileSync(join(cwd, "data.json"), '{"a":1}');
    const both = await run(["--data", "@data.json", "text"], "not read");
    assert.deepEqual((await stored(idIn(both.stdout))).payload, { a: 1, message: "text" });
  });

  await t.test("an API key sends into its own project, and gets no other information", async () => {
    const { status, stdout } = await runCli(["send", "hello"], { cwd, env: { ...env, PRISM_TOKEN: ops.apiKey } });
    assert.equal(status, 0);
    assert.match(stdout, /^\S+ {2}offset \d+ {2}event message accepted\nprism explain \S+ shows /);
    const { body } = await prism.get<{ projectId: string }>(`/api/v1/events/${idIn(stdout)}`);
    assert.equal(body.projectId, ops.id);
  });

  await t.test("--to notifies users, with the first line as the title unless one is given", async () => {
    const args = ["--to", "ann,bob", "--priority", "600", "--link", "https://x.test/b", "--data", '{"a":1}'];
    const { status, stdout, stderr } = await run([...args, "-"], "No archive\nsince Monday\n");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^[0-9a-f-]{36} {2}sent to 2 recipients\n$/);
    const { body } = await prism.get<{ data: Record<string, unknown>[] }>("/api/v1/notifications", {
      token: bob.token,
    });
    const [{ title, message, priority, action, data } = {}] = body.data;
    assert.deepEqual(
      { title, message, priority, action, data },
      {
        title: "No archive",
        message: "No archive\nsince Monday",
        priority: 600,
        action: { type: "link", url: "https://x.test/b" },
        data: { a: 1 },
      },
    );
    const sent = await runJson<{ recipients: number }>(["send", "--to", "ann", "--title", "Only a title"], {
      cwd,
      env,
    });
    assert.deepEqual(Object.keys(sent), ["id", "recipients"]);
  });

  await t.test("--to names accounts that a mistyped recipient made", async () => {
    const { status, stdout, stderr } = await run(["--to", "ann,anny", "Hello"]);
    assert.equal(status, 0);
    assert.match(stdout, /sent to 2 recipients\n$/);
    assert.match(stderr, /^warning: there was no user anny\. An account was created.*prism user delete anny\n$/);
    const again = await runJson<object>(["send", "--to", "anny", "Hello"], { cwd, env });
    assert.deepEqual(Object.keys(again), ["id", "recipients"]);
    const body = { recipients: ["bobb"], title: "t", message: "m", delayMs: 1000 };
    const later = await prism.post<{ newRecipients: string[] }>("/api/v1/notifications", body);
    assert.deepEqual(later.body.newRecipients, ["bobb"]);
  });

  const events = countOf(prism, "events");
  await eachCase(
    t,
    "what is refused stores nothing",
    [
      { name: "nothing to send", args: [], status: 2, says: /give a text, --title, --data or --type/ },
      { name: "a priority of an event", args: ["x", "--priority", "1"], status: 2, says: /--priority needs --to/ },
      {
        name: "a type of a notification",
        args: ["x", "--to", "ann", "--type", "t"],
        status: 2,
        says: /--type is for events/,
      },
      { name: "an unknown severity", args: ["x", "--severity", "bad"], status: 2, says: /debug, info, warn/ },
      { name: "data that is not JSON", args: ["--data", "{"], status: 2, says: /--data is not JSON/ },
      { name: "a list with a gap", args: ["x", "--to", "ann,,bob"], status: 2, says: /Use usernames or ids/ },
      { name: "an unknown project", args: ["x", "--project", "nix"], status: 6, says: /PROJECT_NOT_FOUND/ },
      { name: "an unknown user", args: ["x", "--to", crypto.randomUUID()], status: 6, says: /RECIPIENT_NOT_FOUND/ },
      {
        name: "a link that no browser opens",
        args: ["x", "--to", "ann", "--link", "javascript:1"],
        status: 7,
        says: /url/,
      },
      { name: "no token", args: ["x"], env: { PRISM_URL: prism.url }, status: 5, says: /PRISM_TOKEN/ },
    ],
    async (c) => {
      const result = await runCli(["send", ...c.args], { cwd, env: c.env ?? env });
      assert.deepEqual([result.status, result.stdout], [c.status, ""], result.stderr);
      assert.match(result.stderr, c.says);
    },
  );
  assert.equal(countOf(prism, "events"), events);
});
