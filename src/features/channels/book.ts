import { readOwnFiles } from "../../core/data-dir.ts";
import type { Logger } from "../../core/log.ts";
import { type Preset, readPreset } from "./preset.ts";
import { checkedPreset } from "./preset-checks.ts";

/**
 * All presets by name: the built-in ones, those of modules, and those in files of the operator,
 * which replace others of the same name. Loaded at the first use.
 */
export class PresetBook {
  readonly #folder: string;
  readonly #log: Logger;
  readonly #ofModules = new Map<string, Preset>();
  #loaded: Promise<ReadonlyMap<string, Preset>> | null = null;

  /** @param folder of JSON files, one preset each; it may be missing */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  async get(name: string): Promise<Preset | undefined> {
    return (await this.#all()).get(name);
  }

  /** By name. */
  async list(): Promise<readonly Preset[]> {
    return [...(await this.#all()).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Reads the files again at the next use. */
  reload(): void {
    this.#loaded = null;
  }

  /** @returns the removal. @throws TypeError if a preset of a module has this name */
  addOfModule(preset: Preset): () => void {
    const { name } = preset;
    if (this.#ofModules.has(name)) throw new TypeError(`the channel ${name} was added already`);
    this.#ofModules.set(name, preset);
    this.reload();
    return () => {
      if (this.#ofModules.get(name) === preset) this.#ofModules.delete(name);
      this.reload();
    };
  }

  #all(): Promise<ReadonlyMap<string, Preset>> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  async #load(): Promise<ReadonlyMap<string, Preset>> {
    const { PRESETS } = await import("./presets/index.ts");
    const presets = new Map<string, Preset>();
    for (const input of PRESETS) presets.set(input.name, toPreset(input));
    for (const preset of this.#ofModules.values()) presets.set(preset.name, preset);
    for (const preset of await readOwnFiles(this.#folder, toPreset, this.#log)) presets.set(preset.name, preset);
    return presets;
  }
}

function toPreset(input: unknown): Preset {
  return checkedPreset(readPreset(input));
}
