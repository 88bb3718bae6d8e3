import { type CompiledMapping, compileMapping } from "./mapping.ts";
import type { LoadedPreset } from "./presets.ts";

/** What the preset `generic` needs to hand a body to another preset: data, so that a thread can take it. */
export type PresetShape = Pick<LoadedPreset, "name" | "hook" | "redact" | "shape" | "mapping">;

/** The presets that say which form their bodies have. */
export function shapesOf(presets: Iterable<LoadedPreset>): PresetShape[] {
  return [...presets].flatMap(({ name, hook, redact, shape, mapping }) =>
    shape === undefined ? [] : [{ name, hook, redact, shape, mapping }],
  );
}

const compiled = new WeakMap<LoadedPreset["mapping"], CompiledMapping>();

/** Compiled at first use: a receiver hears from few of them. */
export function compiledShape({ mapping }: PresetShape): CompiledMapping {
  const known = compiled.get(mapping) ?? compileMapping(mapping);
  compiled.set(mapping, known);
  return known;
}
