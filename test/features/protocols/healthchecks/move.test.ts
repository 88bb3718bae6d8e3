// needs: curl, jq
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";

const PAGE = join(import.meta.dirname, "../../../../docs/from-healthchecks.md");
const CHECKS = "/healthchecks/api/v3/checks/";
/** What a server gives a check itself. */
const OWN = /^(uuid|n_pings|.*_url|channels)$/;

type Check = Record<string, unknown>;

/** The page's commands for the copy, as a reader has them. */
function commandsOf(from: string): string {
  const blocks = readFileSync(PAGE, "utf8").split("```sh\n").slice(1);
  const own = blocks.map((block) => block.split("```")[0] ?? "").filter((block) => block.includes("checks.json"));
  assert.equal(own.length, 2, "the copy, and the count");
  return own.join("\n").replace("https://healthchecks.io", from);
}

test("the page's commands copy each member of each check, and count the same on both sides", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const keyOf = async (name: string): Promise<string> => {
    const { body: project } = await prism.post<{ id: string }>("/api/v1/projects", { name });
    const given = { name: "k", scopes: ["events:write"] };
    return (await prism.post<{ key: string }>(`/api/v1/projects/${project.id}/keys`, given)).body.key;
  };
  const call = async (key: string, path = CHECKS, body?: object) => {
    const headers = { "X-Api-Key": key };
    const init = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
    const reply = await fetch(new URL(path, prism.url), init);
    assert.ok(reply.ok, path);
    return (await reply.json()) as Check & { readonly checks: readonly Check[] };
  };
  const [from, to] = [await keyOf("old"), await keyOf("new")];
  const filters = { filter_subject: true, filter_body: true, filter_http_body: true, filter_default_fail: true };
  const keywords = { failure_kw: "ERROR,FATAL", success_kw: "done", start_kw: "begin" };
  const given: readonly object[] = [
    { name: "Plain", slug: "plain", timeout: 3600, grace: 60 },
    { name: "Night's copy", slug: "night", schedule: "30 2 * * *", tz: "Europe/Berlin", grace: 600 },
    { name: "Watched", slug: "watched", timeout: 3600, tags: "a b", desc: "x", ...keywords, ...filters },
    { name: "Posted", slug: "posted", timeout: 60, methods: "POST", manual_resume: true },
    { name: "Asleep", slug: "asleep", timeout: 60 },
  ];
  for (const each of given) {
    const made = await call(from, CHECKS, each);
    if (made["name"] === "Asleep") await call(from, new URL(String(made["pause_url"])).pathname, {});
  }

  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "checks.key"), `${to}\n`);
  const env = { PATH: process.env["PATH"], HOME: cwd, HC_KEY: from, B: prism.url, J: "Content-Type: application/json" };
  const shell = spawn("sh", ["-eu"], { cwd, env });
  let output = "";
  for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  shell.stdin.end(commandsOf(`${prism.url}/healthchecks`));
  await once(shell, "close");

  const membersOf = async (key: string) =>
    (await call(key)).checks
      .map((check) => Object.fromEntries(Object.entries(check).filter(([name]) => !OWN.test(name))))
      .sort((a, b) => String(a["slug"]).localeCompare(String(b["slug"])));
  assert.deepEqual(await membersOf(to), await membersOf(from), output);
  const counts = output.split("\n").filter((line) => line.startsWith("{"));
  const count = { checks: 5, paused: 1, post: 1, manual: 1, schedules: 1, keywords: 1, filters: 1, fails: 1 };
  assert.deepEqual(
    counts.map((line) => JSON.parse(line) as unknown),
    [count, count],
    output,
  );
});
