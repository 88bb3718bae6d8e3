import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { type CliOptions, runCli } from "../cli/run-cli.ts";
import { PrismBinary } from "./prism-binary.ts";

interface Step {
  readonly args: readonly string[];
  /** Members of the document, or of each line, in any order. */
  readonly members: readonly string[];
  /** Where `<key>` or `<token>` in later arguments comes from. */
  readonly remember?: "key" | "token";
}

const EVENT = '{"type":"payment","amount":1500}';

/** In the order of a first day; each is what docs/cli.md gives as the shape. */
const STEPS: readonly Step[] = [
  { args: ["migrate"], members: ["applied", "pending", "appliedNow"] },
  { args: ["migrate", "status"], members: ["applied", "pending", "appliedNow"] },
  { args: ["migrate", "reset", "--dry-run"], members: ["wouldDelete"] },
  { args: ["migrate", "reset", "--yes"], members: ["applied", "pending", "appliedNow"] },
  {
    args: ["user", "create", "--username", "ann", "--role", "Admin"],
    members: [
      ...["id", "email", "username", "phone", "externalId", "name", "roles", "status", "timezone", "locale"],
      ...["lastLoginAt", "createdAt", "updatedAt", "effectiveTimezone", "emailVerified"],
    ],
  },
  { args: ["user", "list"], members: ["users"] },
  {
    args: ["token", "create", "--user", "ann"],
    members: ["id", "userId", "name", "scopes", "expiresAt", "token"],
    remember: "token",
  },
  { args: ["token", "list"], members: ["tokens"] },
  { args: ["token", "revoke", "<token>"], members: ["id", "revoked"] },
  {
    args: ["key", "create"],
    members: ["id", "projectId", "name", "prefix", "scopes", "expiresAt", "key"],
    remember: "key",
  },
  { args: ["key", "list"], members: ["keys", "keysOfKinds"] },
  {
    args: ["key", "rotate", "<key>"],
    members: ["id", "projectId", "name", "prefix", "scopes", "expiresAt", "key"],
    remember: "key",
  },
  { args: ["key", "revoke", "<key>"], members: ["id", "revoked"] },
  {
    args: ["key", "pusher"],
    members: ["mode", "source", "appId", "key", "secret", "host", "port", "useTLS"],
  },
  { args: ["doctor"], members: ["checks", "ok"] },
  { args: ["config"], members: ["files", "settings"] },
  { args: ["doctor", "--db"], members: ["checks", "ok"] },
  {
    args: ["rules", "test", "--condition", "event.amount > 1", "--event", EVENT],
    members: ["matched", "value", "trace", "warnings"],
  },
  { args: ["export", "users", "--out", "users.ndjson"], members: ["kind", "format", "rows", "file"] },
  {
    args: ["export", "audit"],
    members: [
      ...["seq", "id", "timestamp", "actor", "action", "resourceType", "resourceId", "ip", "requestId"],
      ...["userId", "metadata", "prevHash", "hash"],
    ],
  },
];

test("--json: one document, or an object a line, with the members that the manual gives; secrets only where they are made", async (t) => {
  const prism = new PrismBinary(t);
  const options: CliOptions = { cwd: prism.dir, executable: join(prism.dir, "prism"), env: { PORT: "0" } };
  const remembered = new Map<string, string>();
  const secrets: string[] = [];
  for (const { args, members, remember } of STEPS) {
    const given = args.map((argument) => remembered.get(argument) ?? argument);
    const result = await runCli([...given, "--json"], options);
    const name = `prism ${given.join(" ")}`;
    assert.equal(result.status, 0, `${name}: ${result.stderr}`);
    const lines = result.stdout.trimEnd().split("\n");
    assert.ok(args[0] === "export" || lines.length === 1, name);
    for (const line of lines) {
      const document = JSON.parse(line) as Record<string, string>;
      assert.deepEqual(Object.keys(document).sort(), [...members].sort(), name);
      if (!remember) continue;
      remembered.set(`<${remember}>`, document["id"] ?? "");
      assert.match(document[remember] ?? "", /^pr[kt]_/);
    }
    for (const secret of secrets) assert.ok(!(result.stdout + result.stderr).includes(secret), name);
    secrets.push(...(result.stdout.match(/pr[kt]_[\w-]{20,}/g) ?? []));
    // What is left is for a person, and on the other stream.
    assert.doesNotMatch(result.stderr, /pr[kt]_/);
  }
  assert.equal(secrets.length, 3);
});

test("trigger and tail with --json", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const options = {
    cwd: prism.dir,
    executable: join(prism.dir, "prism"),
    env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.token },
  };
  const triggered = await runCli(
    ["trigger", "tea", "--notify", "me", "--title", "Tea", "--body", "Ready", "--json"],
    options,
  );
  const { jobId, runAt } = JSON.parse(triggered.stdout) as Record<string, string>;
  assert.match(`${jobId} ${runAt}`, /^[0-9a-f-]{36} 20\d\d-\d\d-\d\dT[\d:.]+Z$/);
  const tailed = await runCli(["tail", "--notifications", "--from", "earliest", "--limit", "1", "--json"], options);
  const line = JSON.parse(tailed.stdout) as Record<string, unknown>;
  assert.deepEqual([line["offset"], line["type"], line["title"], line["message"]], [1, "notification", "Tea", "Ready"]);
});
