import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ConfigurationDirectory } from "../../../../src/client/api-types.gen.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";

const BEAT = (name: string, timeout = "1d") => `      - { name: ${name}, timeout: ${timeout} }\n`;
const duty = (...beats: readonly string[]) => `version: 1
projects:
  - slug: duty
    name: Duty
    heartbeats:
${beats.join("")}`;

interface Sources {
  readonly data: readonly { readonly source: string; readonly objects: number; readonly isLocked: boolean }[];
  readonly directory: ConfigurationDirectory | null;
}
const sources = async (prism: TestPrism, token?: string) =>
  (await prism.get<Sources>("/api/v1/configuration/sources", token === undefined ? {} : { token })).body;

interface Beats {
  readonly data: readonly { readonly id: string; readonly name: string; readonly timeoutMs: number }[];
}
async function beats(prism: TestPrism): Promise<string[]> {
  const { body } = await prism.get<Beats>("/api/v1/heartbeats?projectId=duty");
  return body.data.map(({ name, timeoutMs }) => `${name} ${timeoutMs / 3_600_000}`).sort();
}

test("a start applies the directory, locks what it has, and says so", async (t) => {
  const files = temporaryDir(t);
  writeFileSync(join(files, "duty.yaml"), duty(BEAT("Nightly")));
  const prism = await startPrism(t, { settings: { "configuration.dir": files } });
  assert.deepEqual(await beats(prism), ["Nightly 24"]);
  const { data, directory } = await sources(prism);
  assert.deepEqual(
    data.map(({ source, objects, isLocked }) => ({ source, objects, isLocked })),
    [{ source: "dir", objects: 2, isLocked: true }],
  );
  assert.equal(directory?.path, files);
  assert.deepEqual([directory?.isOk, directory?.problem], [true, null]);
});
