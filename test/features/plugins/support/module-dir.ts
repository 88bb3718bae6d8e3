import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { Module as ModuleState } from "../../../../src/client/api-types.gen.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";

export type { Module as ModuleState } from "../../../../src/client/api-types.gen.ts";

/** The text of a module's index.mjs. @param register the body of its register function */
export function moduleText(
  name: string,
  register: string,
  { version = "1.0.0", extra = "", before = "" } = {},
): string {
  return `${before}
export default {
  name: ${JSON.stringify(name)},
  version: ${JSON.stringify(version)},
  async register(server, services) {
${register}
  },
  ${extra}
};
`;
}

/** A modules directory on disk with its content. */
export class ModuleDir {
  readonly path: string;

  constructor(t: TestContext) {
    const root = mkdtempSync(join(tmpdir(), "prism-modules-"));
    this.path = join(root, "modules");
    mkdirSync(this.path, { mode: 0o755 });
    t.after(() => rmSync(root, { recursive: true, force: true }));
  }

  /** Writes a module's files, by their names. */
  put(folder: string, files: Readonly<Record<string, string>> | string): void {
    const named = typeof files === "string" ? { "index.mjs": files } : files;
    for (const [name, text] of Object.entries(named)) {
      const path = join(this.path, folder, name);
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      writeFileSync(path, text, { mode: 0o644 });
    }
  }

  remove(folder: string): void {
    rmSync(join(this.path, folder), { recursive: true });
  }
}

/** A server with this modules directory; it looks for changes only where a test says so. */
export function startWith(t: TestContext, modules: ModuleDir, options: PrismOptions = {}): Promise<TestPrism> {
  const settings = { modulesDir: modules.path, "modules.hotReload": "false", ...options.settings };
  return startPrism(t, { ...options, settings });
}

export async function stateOf(prism: TestPrism, name: string): Promise<ModuleState | undefined> {
  const { body } = await prism.get<{ data: ModuleState[] }>("/api/v1/modules");
  return body.data.find((each) => each.name === name);
}
