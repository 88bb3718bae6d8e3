import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ConfigRefused, type ConfigSources, type LoadedConfig, loadConfig } from "../../../src/config/load.ts";

/** Two secrets that production takes. */
export const GOOD_SECRETS = {
  JWT_SECRET: "q3VnZ0Jx1m8yT5sK2pLw9aRd7eHf4cUiNoBvXzGtYjMk6QlS",
  PRISM_ENCRYPTION_KEY: Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64"),
};

export interface Given extends Partial<ConfigSources> {
  /** Files of the working directory: text, or what becomes JSON. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/**
 * Loads from an empty directory of its own, that holds only what is given; no secret is made unless
 * asked for. @throws ConfigRefused
 */
export function load(t: TestContext, { files = {}, ...sources }: Given = {}): LoadedConfig {
  const workingDir = sources.workingDir ?? mkdtempSync(join(tmpdir(), "prism-config-"));
  if (!sources.workingDir) t.after(() => rmSync(workingDir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(workingDir, name), typeof content === "string" ? content : JSON.stringify(content));
  return loadConfig({
    flags: {},
    ...sources,
    environment: { PRISM_CONFIG_DIR: join(workingDir, "etc"), ...sources.environment },
    workingDir,
  });
}

/** What is wrong with a configuration; empty when nothing is. */
export function problemsOf(t: TestContext, given: Given): readonly string[] {
  try {
    load(t, given);
    return [];
  } catch (error) {
    if (error instanceof ConfigRefused) return error.problems;
    throw error;
  }
}
