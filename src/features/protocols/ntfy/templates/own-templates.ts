import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { recentlyUsed } from "../../../../core/limits/ttl-cache.ts";
import { NtfyError } from "../errors.ts";
import type { NamedTemplate } from "./built-in.ts";

/** As in ntfy; so no name leaves the directory. */
const NAME = /^[-_A-Za-z0-9]{1,64}$/;
const MAX_FILE_BYTES = 65_536;
const MAX_KEPT = 100;

interface Kept {
  /** Of the file when it was read. */
  readonly version: string;
  readonly template: NamedTemplate;
}

/** Templates of the operator: `<name>.yml` in `ntfy.templateDir`, as in ntfy's `template-dir`. */
export class OwnTemplates {
  readonly #dir: string;
  readonly #kept = recentlyUsed<string, Kept>(MAX_KEPT);

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns null without such a file. @throws NtfyError 40048: it is too large, cannot be read, or is no template */
  async find(name: string): Promise<NamedTemplate | null> {
    if (!NAME.test(name)) return null;
    const path = join(this.#dir, `${name}.yml`);
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) return null;
    const version = `${found.mtimeMs} ${found.size}`;
    const kept = this.#kept.get(name);
    if (kept?.version === version) return kept.template;
    if (found.size > MAX_FILE_BYTES) throw new NtfyError(40048, `${name}.yml has more than ${MAX_FILE_BYTES} bytes`);
    const text = await readFile(path, "utf8").catch(() => {
      throw new NtfyError(40048, `${name}.yml cannot be read`);
    });
    const template = await parsed(name, text);
    this.#kept.set(name, { version, template });
    return template;
  }
}

/** @throws NtfyError 40048 */
async function parsed(name: string, yaml: string): Promise<NamedTemplate> {
  const { parse } = await import("yaml");
  let given: unknown;
  try {
    given = parse(yaml, { maxAliasCount: 10, logLevel: "error" });
  } catch {
    throw new NtfyError(40048, `${name}.yml is not YAML`);
  }
  const { title, message, priority } = Object(given) as { readonly [member: string]: unknown };
  const text = (value: unknown): string =>
    typeof value === "string" || typeof value === "number" ? String(value) : "";
  if (text(title) === "" && text(message) === "")
    throw new NtfyError(40048, `${name}.yml has neither title nor message`);
  return { title: text(title), message: text(message), priority: text(priority) };
}
