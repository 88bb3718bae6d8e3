// needs: curl
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ReceiverPreset } from "../../../../../src/features/intake/receivers/preset.ts";
import { BUILT_IN_PRESETS } from "../../../../../src/features/intake/receivers/presets/index.ts";
import { ChildOutput } from "../../../../helpers/child-output.ts";
import { ReceiverTest } from "../support.ts";
import { newestOutcome } from "./support/outcome.ts";
import { signerOf } from "./support/sign.ts";

const root = join(import.meta.dirname, "../../../../..");
const MAX_LINES = 60;
const MAX_COLUMNS = 100;
const PARTS = ["Set up", "What arrives", "Verification", "Limits"];

function pageOf({ docs }: ReceiverPreset): string {
  return readFileSync(join(root, "docs/integrations", `${docs}.md`), "utf8");
}

/** The body under "What arrives", as the sender sends it. */
function bodyOn(page: string, { sample, name }: ReceiverPreset): string {
  const [, kind, text = ""] = /## What arrives\n[\s\S]*?```(\S+(?: \S+)?)\n([\s\S]*?)```/.exec(page) ?? [];
  if (kind === "form") return text.trim().replaceAll("\n", "");
  const json: unknown = JSON.parse(text);
  if (kind !== "json Message") return JSON.stringify(json);
  assert.equal(name, "cloudwatch");
  return JSON.stringify({ ...(sample.body as object), Message: JSON.stringify(json) });
}

/** The table after the body, by the names of its rows. */
function becomesOn(page: string): Record<string, string> {
  const [, rows = ""] = /\| becomes \| \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(page) ?? [];
  const cells = [...rows.matchAll(/^\| (.+?) \| (.+) \|$/gm)];
  return Object.fromEntries(cells.map(([, name = "", text = ""]) => [name, text.replaceAll("\\|", "|")]));
}

const inCode = (text: string | undefined) => (text === undefined ? {} : `\`${text}\``);

test("each example of the pages becomes what its page says", async (t) => {
  const it = await ReceiverTest.start(t);
  for (const preset of BUILT_IN_PRESETS) {
    const { name, sample } = preset;
    const page = pageOf(preset);
    const body = bodyOn(page, preset);
    const { secret, sign } = signerOf(name);
    // Amazon's certificate cannot be had here; test/features/intake/receivers/verify.test.ts has one.
    const isOfAmazon = name === "cloudwatch";
    const hasSecret = preset.secret !== "none";
    const verify = isOfAmazon ? { verify: [{ scheme: "credential" }] } : {};
    const receiver = await it.make({ name, preset: name, ...(hasSecret && { secret }), ...verify });
    const { "x-amz-sns-message-type": _, ...given } = { "x-amz-sns-message-type": "", ...sample.headers };
    const headers = {
      "content-type": sample.contentType ?? "application/json",
      ...given,
      ...sign(body, { seconds: Math.floor(Date.now() / 1000), id: "1" }),
    };
    const reply = await it.send(receiver, body, { headers });
    assert.equal(reply.status, preset.answer?.status ?? 200, `${name}: ${reply.text}`);
    const { stored, title, level, key, link } = await newestOutcome(it, receiver);
    const shown = {
      "stored as": stored,
      title,
      ...(level !== undefined && { level }),
      ...(key !== undefined && { key: inCode(key) }),
      ...(link !== undefined && { link: inCode(link) }),
    };
    assert.deepEqual(becomesOn(page), shown, name);
  }
});

test("each page has its parts, a title and short lines", () => {
  const names = new Set(BUILT_IN_PRESETS.map(({ docs }) => docs));
  assert.equal(names.size, BUILT_IN_PRESETS.length, "a page each");
  for (const preset of BUILT_IN_PRESETS) {
    const page = pageOf(preset);
    const lines = page.split("\n");
    assert.equal(lines[0], `# ${preset.title}`);
    const shown = [...page.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    assert.deepEqual(shown, PARTS, preset.docs);
    assert.ok(page.includes(`the preset \`${preset.name}\``), preset.docs);
    assert.ok(lines.length - 1 <= MAX_LINES, `${preset.docs} has ${lines.length - 1} lines`);
    const long = lines.filter((line) => line.length > MAX_COLUMNS && !line.startsWith("|"));
    assert.deepEqual(long, [], preset.docs);
  }
});

test("the index of docs/integrations equals the presets", () => {
  const script = join(root, "scripts/integrations-index.mjs");
  const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, "--check"], { cwd: root });
  assert.equal(status, 0, stderr.toString());
});

test("each page that the index names is there, and each page is named", () => {
  const directory = join(root, "docs/integrations");
  const index = readFileSync(join(directory, "README.md"), "utf8");
  const named = [...index.matchAll(/\]\(([a-z0-9-]+\.md)\)/g)].map(([, name = ""]) => name);
  const pages = readdirSync(directory).filter((name) => name !== "README.md");
  assert.deepEqual([...new Set(named)].sort(), pages.sort());
});

test("the script of the page for Zabbix sends what the page shows", () => {
  const page = readFileSync(join(root, "docs/integrations/zabbix.md"), "utf8");
  const [, script = ""] = /```js\n([\s\S]*?)```/.exec(page) ?? [];
  const preset = BUILT_IN_PRESETS.find(({ name }) => name === "zabbix");
  assert.ok(preset);
  const { source, tags, url, ...members } = preset.sample.body as Record<string, unknown>;
  const base = "https://zabbix.example";
  const value = JSON.stringify({
    ...members,
    tags: JSON.stringify(tags),
    url: base,
    prism: "https://prism.example/in/x",
  });
  const sent: unknown[] = [];
  class HttpRequest {
    addHeader(header: string): void {
      sent.push(header);
    }
    post(target: string, body: string): void {
      sent.push(target, JSON.parse(body));
    }
    getStatus(): number {
      return 200;
    }
  }
  const run = new Function("value", "HttpRequest", script) as (value: string, type: typeof HttpRequest) => unknown;
  assert.equal(run(value, HttpRequest), "OK");
  assert.deepEqual(sent, [
    "Content-Type: application/json",
    "https://prism.example/in/x",
    { ...members, source, tags, url },
  ]);
});

test("the script of the page for Unraid sends the sample's form", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ preset: "unraid" });
  const page = readFileSync(join(root, "docs/integrations/unraid.md"), "utf8");
  const [, script = ""] = /```sh\n([\s\S]*?)```/.exec(page) ?? [];
  const fields = {
    ...{ EVENT: "Unraid array errors", SUBJECT: "Warning [TOWER] - array has errors", DESCRIPTION: "1 disk" },
    ...{ CONTENT: "Disk 2 'sdc' & more", IMPORTANCE: "alert", TIMESTAMP: "1769846405", LINK: "" },
  };
  const command = script.replace("https://prism.example/in/<token>", receiver.url);
  const child = spawn("bash", ["-c", command], { env: { ...process.env, ...fields }, stdio: "pipe" });
  const output = new ChildOutput(child);
  const { code } = await output.ended;
  assert.equal(code, 0, output.stderr);
  const [event] = await it.events("unraid.notification");
  assert.deepEqual(
    [event?.level, event?.payload["title"], event?.payload["message"], event?.occurredAt],
    ["fatal", fields.SUBJECT, fields.CONTENT, "2026-01-31T08:00:05.000Z"],
  );
});
