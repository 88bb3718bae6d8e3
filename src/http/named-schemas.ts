import type * as v from "valibot";

const names = new Map<v.GenericSchema, string>();

/**
 * Gives the shape of an answer a name: the OpenAPI document has it once, under `components.schemas`, and answers that hold it refer to it.
 * @throws TypeError when another schema has the name
 */
export function named<S extends v.GenericSchema>(name: string, schema: S): S {
  for (const taken of names.values()) if (taken === name) throw new TypeError(`two schemas are named ${name}`);
  names.set(schema, name);
  return schema;
}

export function nameOf(schema: unknown): string | undefined {
  return names.get(schema as v.GenericSchema);
}
