import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { importFile } from "../../core/runtime.ts";
import type { AppModule } from "../../module/module-api.ts";
import { checkModule } from "./check-module.ts";
import { copyModule } from "./copy-module.ts";
import type { ModuleFolder } from "./find-modules.ts";
import { failureOf, ModuleFailure, withinLimit } from "./module-failure.ts";

const IMPORT_LIMIT_MS = 10_000;

/** A module's code, and the copy of its folder that it was read from. */
export interface ImportedModule {
  readonly module: AppModule;
  readonly copy: string;
}

/** Imports modules from copies of their folders: the engine never reads a path twice, and so each copy has one of its own. */
export class ModuleImporter {
  readonly #copiesDir: string;
  readonly #isStrict: boolean;
  #last = 0;

  /** @param isStrict others must not be able to change what is imported. */
  constructor(copiesDir: string, isStrict: boolean) {
    this.#copiesDir = copiesDir;
    this.#isStrict = isStrict;
  }

  /** @throws ModuleFailure with what is wrong, in the words of whoever found it. Nothing remains of the copy then. */
  async import({ path, folder, entry }: ModuleFolder): Promise<ImportedModule> {
    this.#last++;
    const copy = join(this.#copiesDir, `${folder}-${this.#last}`);
    try {
      // What an earlier process left there is no part of the module.
      await rm(copy, { recursive: true, force: true });
      await copyModule(path, copy, this.#isStrict);
      const { href } = pathToFileURL(join(copy, entry));
      const imported = await withinLimit(importFile(href), IMPORT_LIMIT_MS, "import");
      return { module: checkModule(imported), copy };
    } catch (error) {
      const failure = error instanceof ModuleFailure ? error : failureOf(error, copy);
      await this.remove(copy);
      throw failure;
    }
  }

  /** Takes a copy away. Files that were imported are not read again. */
  async remove(copy: string): Promise<void> {
    await rm(copy, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Takes away what an earlier process left. */
  async clear(): Promise<void> {
    await this.remove(this.#copiesDir);
  }
}
