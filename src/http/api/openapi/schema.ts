import { isDeepStrictEqual } from "node:util";
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { nameOf, textOf } from "../shapes.ts";

/** A schema of the document. */
export type ApiSchema = JsonSchema & { properties?: Record<string, JsonSchema>; required?: string[] };
type TypeMode = "input" | "output";

/** `components.schemas` while the document is built. */
export type Components = Map<string, JsonSchema>;

/** @throws TypeError when the name is taken by another shape */
export function addComponent(components: Components, name: string, schema: JsonSchema): JsonSchema {
  const known = components.get(name);
  if (known && !isDeepStrictEqual(known, schema)) throw new TypeError(`two shapes have the name ${name}`);
  components.set(name, schema);
  return { $ref: `#/components/schemas/${name}` };
}

/** @param components receives named shapes, which are then referenced; undefined: inlined. */
export function schemaOf(schema: v.GenericSchema, typeMode: TypeMode, components?: Components): ApiSchema {
  const { $schema: _dialect, ...converted } = toJsonSchema(schema, {
    typeMode,
    target: "draft-2020-12",
    // Checks and transforms in code have no JSON Schema form; their metadata has.
    ignoreActions: ["check", "raw_check", "transform", "to_lower_case"],
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      const described = open(valibotSchema, withDescriptions(valibotSchema, jsonSchema));
      const name = nameOf(valibotSchema);
      if (components && name !== undefined)
        return addComponent(components, name, { description: textOf(valibotSchema) ?? name, ...described });
      return described;
    },
  }) as JsonSchema & { $schema?: string };
  return converted as ApiSchema;
}

/** A schema of a module, in any library: valibot's is converted; others are documented as JSON. */
export function foreignSchemaOf(schema: unknown, typeMode: TypeMode): ApiSchema {
  const { "~standard": standard } = schema as { "~standard"?: { vendor?: unknown } };
  if (standard?.vendor !== "valibot") return {};
  try {
    return schemaOf(schema as v.GenericSchema, typeMode);
  } catch {
    return {};
  }
}

/** The converter does not tell objects that keep other members from those that drop them. */
function open({ type }: v.GenericSchema, json: JsonSchema): JsonSchema {
  return type === "loose_object" ? { ...json, additionalProperties: true } : json;
}

/**
 * Adds the descriptions of an object's members. The converter loses one before a transform, and
 * puts that of a nullable member into the alternative.
 */
function withDescriptions(schema: v.GenericSchema | v.GenericSchemaAsync, json: JsonSchema): JsonSchema {
  if (!("entries" in schema) || !json.properties) return json;
  const entries = schema.entries as Readonly<Record<string, v.GenericSchema>>;
  const properties = Object.entries(json.properties).map(([name, property]) => {
    const description = descriptionOf(entries[name]);
    if (description === undefined || typeof property === "boolean") return [name, property];
    return [name, { ...withoutDescription(property, description), description }];
  });
  return { ...json, properties: Object.fromEntries(properties) as Record<string, JsonSchema> };
}

function withoutDescription(property: JsonSchema, text: string): JsonSchema {
  const { anyOf } = property;
  if (!anyOf) return property;
  const strip = (each: (typeof anyOf)[number]) => {
    if (typeof each === "boolean" || each.description !== text) return each;
    const { description: _same, ...rest } = each;
    return rest;
  };
  return { ...property, anyOf: anyOf.map(strip) };
}

/** The description of a schema, or of the one inside `optional` or `nullable`. */
export function descriptionOf(schema: v.GenericSchema | undefined): string | undefined {
  if (!schema) return undefined;
  const own = v.getDescription(schema);
  if (own !== undefined || !("wrapped" in schema)) return own;
  return descriptionOf(schema.wrapped as v.GenericSchema);
}
