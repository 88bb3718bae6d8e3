import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { cpSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { countOf, rowsOf } from "../helpers/tables.ts";

const SECRET = "a secret that GitHub knows too";

interface Example {
  readonly name: string;
  readonly examples: readonly Record<string, unknown>[];
}

// The package declares ESM types but ships a JSON file.
const documented = createRequire(import.meta.url)("@octokit/webhooks-examples") as readonly Example[];
const payloads = documented.flatMap(({ name, examples }) => examples.map((payload) => ({ name, payload })));

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

/**
 * The same payload as different senders write it: what a route parses and writes again is other
 * bytes.
 */
const ENCODINGS: readonly { readonly name: string; readonly type: string; write(payload: unknown): string }[] = [
  { name: "compact", type: JSON_TYPE, write: (payload) => JSON.stringify(payload) },
  { name: "indented", type: JSON_TYPE, write: (payload) => `${JSON.stringify(payload, null, 2)}\n` },
  {
    name: "escaped",
    type: `${JSON_TYPE}; charset=utf-8`,
    write: (payload) =>
      JSON.stringify({ note: "déjà vu", ...Object(payload) }).replace(
        /[\u0080-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
  },
  {
    name: "form",
    type: FORM_TYPE,
    write: (payload) => new URLSearchParams({ payload: JSON.stringify(payload) }).toString(),
  },
];

async function start(t: TestContext): Promise<TestPrism> {
  const modulesDir = join(temporaryDir(t), "modules");
  mkdirSync(modulesDir);
  cpSync(join(import.meta.dirname, "../../examples/github"), join(modulesDir, "github"), { recursive: true });
  process.env["GITHUB_WEBHOOK_SECRET"] = SECRET;
  t.after(() => delete process.env["GITHUB_WEBHOOK_SECRET"]);
  return startPrism(t, {
    settings: {
      ...{ modulesDir, "modules.hotReload": "false", "rateLimit.ip": "600" },
      ...{ "work.projectMsPerSecond": "1000", "work.creatorMsPerSecond": "1000", "work.allMsPerSecond": "1000" },
    },
  });
}

const sign = (body: string): string => `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;

function deliver(prism: TestPrism, name: string, type: string, body: string, id: string, signature = sign(body)) {
  const headers = {
    "Content-Type": type,
    "X-GitHub-Event": name,
    "X-GitHub-Delivery": id,
    ...(signature === "" ? {} : { "X-Hub-Signature-256": signature }),
  };
  return prism.post("/hooks/github", body, { token: null, headers });
}

test("every payload that GitHub documents is verified and stored, however it is encoded, each delivery once", async (t) => {
  const prism = await start(t);
  assert.ok(payloads.length > 300, `${payloads.length} payloads`);
  for (const { name: encoding, type, write } of ENCODINGS)
    await t.test(encoding, async () => {
      const statuses = new Map<number, number>();
      const deliverOne = async ({ name, payload }: (typeof payloads)[number], at: number): Promise<void> => {
        const { status } = await deliver(prism, name, type, write(payload), `${encoding}-${at}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      };
      for (let at = 0; at < payloads.length; at += 20)
        await Promise.all(payloads.slice(at, at + 20).map((each, n) => deliverOne(each, at + n)));
      assert.deepEqual([...statuses], [[202, payloads.length]]);
    });
  assert.equal(countOf(prism, "events"), payloads.length * ENCODINGS.length);
  const [first] = payloads;
  assert.equal(
    (await deliver(prism, first?.name ?? "", JSON_TYPE, JSON.stringify(first?.payload), "compact-0")).status,
    202,
  );
  assert.equal(countOf(prism, "events"), payloads.length * ENCODINGS.length, "sent again is the same event");
  const opened = rowsOf<{ payload: string }>(
    prism,
    "select payload from events where type = 'github.issues.opened' limit 1",
  );
  const { repository, title } = JSON.parse(opened[0]?.payload ?? "{}") as Record<string, unknown>;
  assert.deepEqual([repository, title], ["Codertocat/Hello-World", "Spelling error in the README file"]);
});

test("what is not signed with the secret is refused, and nothing is stored", async (t) => {
  const prism = await start(t);
  const body = JSON.stringify({ action: "opened" });
  const good = sign(body);
  for (const [name, signature, sent] of [
    ["no signature", "", body],
    ["another secret's", `sha256=${createHmac("sha256", "another").update(body).digest("hex")}`, body],
    ["another body's", good, `${body} `],
    ["a shorter one", good.slice(0, -1), body],
    ["bytes that are not JSON", good, "{"],
  ] as const)
    assert.equal((await deliver(prism, "issues", JSON_TYPE, sent, "1", signature)).status, 401, name);
  assert.equal((await deliver(prism, "issues", "text/plain", body, "1")).status, 415);
  assert.equal(countOf(prism, "events"), 0);
  assert.equal((await deliver(prism, "issues", JSON_TYPE, "{", "1")).status, 400, "signed, and no JSON");
});
