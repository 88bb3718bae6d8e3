import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { parseJsonWithin } from "../../core/json-text.ts";
import type { Logger } from "../../core/log.ts";
import { compileMapping, compilePlain } from "./mapping.ts";
import { presetSchema } from "./preset.ts";

export type Preset = v.InferOutput<typeof presetSchema>;

/** A preset's file is data of a person: a larger one is a mistake. */
const MAX_FILE_BYTES = 262_144;
const MAX_DEPTH = 16;

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
  #all: Promise<ReadonlyMap<string, Preset>> | null = null;

  constructor(parts: PresetsParts) {
    this.#parts = parts;
  }

  /** Reads the files again at the next use. */
  reload(): void {
    this.#all = null;
    if (existsSync(this.#directory)) void this.all();
  }

  /** By name. */
  all(): Promise<ReadonlyMap<string, Preset>> {
    this.#all ??= this.#read();
    return this.#all;
  }

  /** @throws NOT_CONFIGURED */
  async require(name: string): Promise<Preset> {
    const preset = (await this.all()).get(name);
    if (!preset) throw new PrismError("NOT_CONFIGURED", `The preset ${name} of the receiver is not there any more`);
    return preset;
  }

  get #directory(): string {
    return join(this.#parts.dataDir, "presets", "receivers");
  }

  async #read(): Promise<ReadonlyMap<string, Preset>> {
    // Loaded at first use, for a quicker start.
    const { BUILT_IN_PRESETS } = await import("./presets/index.ts");
    const presets = new Map<string, Preset>();
    for (const preset of BUILT_IN_PRESETS) presets.set(preset.name, v.parse(presetSchema, preset));
    for (const file of this.#files()) {
      const preset = this.#readFile(file);
      if (preset) presets.set(preset.name, preset);
    }
    return presets;
  }

  #files(): string[] {
    if (!existsSync(this.#directory)) return [];
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith(".json"))
      .sort()
      .map((name) => join(this.#directory, name));
  }

  #readFile(file: string): Preset | null {
    const warn = (problem: string): null => {
      this.#parts.log.warn({ file, problem }, "a preset of receivers is not valid and left out");
      return null;
    };
    try {
      const text = readFileSync(file, "utf8");
      if (text.length > MAX_FILE_BYTES) return warn(`the file is larger than ${MAX_FILE_BYTES} bytes`);
      const result = v.safeParse(presetSchema, parseJsonWithin(text, MAX_DEPTH));
      if (!result.success) {
        const [issue] = result.issues;
        return warn(`${v.getDotPath(issue) ?? "the file"}: ${issue.message}`);
      }
      compileMapping(result.output.mapping);
      if (result.output.replayId !== undefined) compilePlain(result.output.replayId, "replayId");
      return result.output;
    } catch (error) {
      return warn(error instanceof Error ? error.message : "cannot be read");
    }
  }
}
