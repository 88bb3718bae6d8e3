import { plainName } from "../../../core/text/describe-body.ts";
import { type CompiledMapping, compileMapping } from "./mapping.ts";
import type { LoadedPreset } from "./presets.ts";
import { ANY_NAME, fits, indexOf, namesOf } from "./senders/row.ts";

/** What the preset `generic` needs to hand a body to another preset: data, so that a thread can take it. */
export type PresetShape = Pick<LoadedPreset, "name" | "hook" | "redact" | "shape" | "mapping">;

/** The presets that say which form their bodies have. */
export function shapesOf(presets: Iterable<LoadedPreset>): PresetShape[] {
  return [...presets].flatMap(({ name, hook, redact, shape, mapping }) =>
    shape === undefined ? [] : [{ name, hook, redact, shape, mapping }],
  );
}

interface Forms {
  /** The conditions of a form, with the place of its preset. */
  readonly all: readonly { readonly when: readonly string[]; readonly preset: number }[];
  readonly index: ReturnType<typeof indexOf>;
}

const formsOf = new WeakMap<readonly PresetShape[], Forms>();

function formsIn(shapes: readonly PresetShape[]): Forms {
  let forms = formsOf.get(shapes);
  if (forms === undefined) {
    const all = shapes.flatMap(({ shape = [] }, preset) => shape.map((when) => ({ when, preset })));
    const index = indexOf(
      all.map(({ when }) => when),
      1,
    );
    forms = { all, index };
    formsOf.set(shapes, forms);
  }
  return forms;
}

/** The first preset of which the request has a form. Only forms that name a member of it are compared. */
export function shapeOf(
  shapes: readonly PresetShape[],
  whole: { readonly body: unknown; readonly headers: Readonly<Record<string, string>> },
): PresetShape | undefined {
  if (shapes.length === 0) return undefined;
  const { all, index } = formsIn(shapes);
  const found = [...(index.get(ANY_NAME) ?? [])];
  for (const name of Object.keys(whole.headers)) found.push(...(index.get(`headers.${plainName(name)}`) ?? []));
  if (typeof whole.body === "object" && whole.body !== null)
    for (const name of namesOf(whole.body).keys()) found.push(...(index.get(`body.${name}`) ?? []));
  let first: number | undefined;
  for (const at of found) {
    const form = all[at];
    if (form && form.preset < (first ?? shapes.length) && fits(whole, form.when)) first = form.preset;
  }
  return first === undefined ? undefined : shapes[first];
}

const compiled = new WeakMap<LoadedPreset["mapping"], CompiledMapping>();

/** Compiled at first use: a receiver hears from few of them. */
export function compiledShape({ mapping }: PresetShape): CompiledMapping {
  const known = compiled.get(mapping) ?? compileMapping(mapping);
  compiled.set(mapping, known);
  return known;
}
