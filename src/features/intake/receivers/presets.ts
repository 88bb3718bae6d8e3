import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { readOwnFiles } from "../../../core/data-dir.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import { compileMapping, compilePlain } from "./mapping.ts";
import { presetSchema } from "./preset.ts";

export type LoadedPreset = v.InferOutput<typeof presetSchema>;

interface PresetsParts {
  readonly dataDir: string;
  readonly log: Logger;
}

/**
 * The built-in presets, and those in `<dataDir>/presets/receivers/*.json`, which add to or replace
 * them. Read at first use; a broken file is a warning.
 */
export class Presets {
  readonly #parts: PresetsParts;
  #all: Promise<ReadonlyMap<string, LoadedPreset>> | null = null;

  constructor(parts: PresetsParts) {
    this.#parts = parts;
  }

  /** Reads the files again at the next use. */
  reload(): void {
    this.#all = null;
    if (existsSync(this.#directory)) void this.all();
  }

  /** By name. */
  all(): Promise<ReadonlyMap<string, LoadedPreset>> {
    this.#all ??= this.#read();
    return this.#all;
  }

  /** @throws NOT_CONFIGURED */
  async require(name: string): Promise<LoadedPreset> {
    const preset = (await this.all()).get(name);
    if (!preset) throw new PrismError("NOT_CONFIGURED", `The preset ${name} of the receiver no longer exists`);
    return preset;
  }

  get #directory(): string {
    return join(this.#parts.dataDir, "presets", "receivers");
  }

  async #read(): Promise<ReadonlyMap<string, LoadedPreset>> {
    // Loaded at first use, for a quicker start.
    const { BUILT_IN_PRESETS } = await import("./presets/index.ts");
    const presets = new Map<string, LoadedPreset>();
    for (const preset of BUILT_IN_PRESETS) presets.set(preset.name, v.parse(presetSchema, preset));
    for (const preset of await readOwnFiles(this.#directory, readPreset, this.#parts.log))
      presets.set(preset.name, preset);
    return presets;
  }
}

function readPreset(value: unknown): LoadedPreset {
  const { success, issues, output } = v.safeParse(presetSchema, value);
  if (!success) throw new Error(`${v.getDotPath(issues[0]) ?? "the file"}: ${issues[0].message}`);
  compileMapping(output.mapping);
  if (output.replayId !== undefined) compilePlain(output.replayId, "replayId");
  return output;
}
