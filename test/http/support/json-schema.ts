export type Schema = Readonly<Record<string, unknown>>;

const FORMATS: Readonly<Record<string, RegExp>> = {
  uuid: /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i,
  binary: /^/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
};

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  array: Array.isArray,
  object: isObject,
};

type Check = (given: unknown, value: unknown, schema: Schema, at: string) => readonly string[];

const bound =
  (isWithin: (value: number, limit: number) => boolean, measure: (value: unknown) => number | undefined): Check =>
  (limit, value, _schema, at) => {
    const size = measure(value);
    return size === undefined || isWithin(size, limit as number) ? [] : [`${at} is ${size}, the bound is ${limit}`];
  };
const atLeast = (value: number, limit: number): boolean => value >= limit;
const atMost = (value: number, limit: number): boolean => value <= limit;
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const lengthOf = (value: unknown): number | undefined => (typeof value === "string" ? [...value].length : undefined);
const countOf = (value: unknown): number | undefined => (Array.isArray(value) ? value.length : undefined);

/**
 * Keywords of JSON Schema 2020-12 that Prism's document uses. Another one in a schema is an error:
 * nothing is passed over unseen.
 */
const CHECKS: Readonly<Record<string, Check>> = {
  description: () => [],
  readOnly: () => [],
  "x-refers-to": () => [],
  "x-same-shape": () => [],
  minimum: bound(atLeast, numberOf),
  maximum: bound(atMost, numberOf),
  minLength: bound(atLeast, lengthOf),
  maxLength: bound(atMost, lengthOf),
  minItems: bound(atLeast, countOf),
  maxItems: bound(atMost, countOf),
  type: (type, value, _schema, at) =>
    TYPES[String(type)]?.(value) ? [] : [`${at} is ${JSON.stringify(value)?.slice(0, 60)} and no ${type}`],
  enum: (values, value, _schema, at) =>
    (values as unknown[]).includes(value) ? [] : [`${at} is ${JSON.stringify(value)}, none of ${values}`],
  const: (only, value, _schema, at) => (only === value ? [] : [`${at} is not ${only}`]),
  pattern: (pattern, value, _schema, at) =>
    typeof value !== "string" || new RegExp(String(pattern), "u").test(value)
      ? []
      : [`${at} does not match ${pattern}`],
  format: (format, value, _schema, at) => {
    const form = FORMATS[String(format)];
    if (!form) return [`${at} has the unknown format ${format}`];
    return typeof value !== "string" || form.test(value) ? [] : [`${at} is no ${format}`];
  },
  required: (names, value, _schema, at) =>
    isObject(value)
      ? (names as string[]).filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`)
      : [],
  properties: (properties, value, _schema, at) =>
    isObject(value)
      ? Object.entries(properties as Record<string, Schema>).flatMap(([name, schema]) =>
          name in value ? problemsOf(schema, value[name], `${at}.${name}`) : [],
        )
      : [],
  additionalProperties: (additional, value, schema, at) => {
    if (!isObject(value) || additional === true) return [];
    const others = Object.keys(value).filter((name) => !(name in ((schema["properties"] as object) ?? {})));
    if (additional === false) return others.map((name) => `${at}.${name} is not in the schema`);
    return others.flatMap((name) => problemsOf(additional as Schema, value[name], `${at}.${name}`));
  },
  propertyNames: (names, value, _schema, at) =>
    isObject(value)
      ? Object.keys(value).flatMap((name) => problemsOf(names as Schema, name, `the name ${at}.${name}`))
      : [],
  items: (items, value, _schema, at) =>
    Array.isArray(value) ? value.flatMap((item, i) => problemsOf(items as Schema, item, `${at}[${i}]`)) : [],
  anyOf: (schemas, value, _schema, at) => {
    const tried = (schemas as Schema[]).map((schema) => problemsOf(schema, value, at));
    return tried.some((problems) => problems.length === 0) ? [] : tried.flat();
  },
  oneOf: (schemas, value, _schema, at) => {
    const tried = (schemas as Schema[]).map((schema) => problemsOf(schema, value, at));
    const fitting = tried.filter((problems) => problems.length === 0).length;
    return fitting === 1 ? [] : [`${at} fits ${fitting} schemas in place of one`, ...tried.flat()];
  },
};

/** What is wrong with a value by a schema. */
export function problemsOf(schema: Schema, value: unknown, at = "$"): string[] {
  return Object.entries(schema).flatMap(([keyword, given]) => {
    const check = CHECKS[keyword];
    return check ? check(given, value, schema, at) : [`${at} has the unknown keyword ${keyword}`];
  });
}

/**
 * Keywords that {@link problemsOf} does not know, types and formats that do not exist, anywhere in
 * the schema.
 */
export function schemaFaults(schema: unknown, at = "$"): string[] {
  if (!isObject(schema)) return [`${at} is no schema`];
  const { type, format, properties = {}, items, anyOf = [], oneOf = [], additionalProperties, required = [] } = schema;
  const faults = Object.keys(schema)
    .filter((keyword) => !(keyword in CHECKS))
    .map((keyword) => `${at} has the unknown keyword ${keyword}`);
  if (type !== undefined && !(String(type) in TYPES)) faults.push(`${at} has the unknown type ${type}`);
  if (format !== undefined && !(String(format) in FORMATS)) faults.push(`${at} has the unknown format ${format}`);
  for (const name of required as string[]) {
    if (!(name in (properties as object))) faults.push(`${at}.${name} is required and not described`);
  }
  for (const [name, each] of Object.entries(properties as object)) faults.push(...schemaFaults(each, `${at}.${name}`));
  for (const [i, each] of [...(anyOf as unknown[]), ...(oneOf as unknown[])].entries())
    faults.push(...schemaFaults(each, `${at}|${i}`));
  if (items !== undefined) faults.push(...schemaFaults(items, `${at}[]`));
  if (isObject(additionalProperties)) faults.push(...schemaFaults(additionalProperties, `${at}.*`));
  return faults;
}

/** The same schema, with the named ones put in where it refers to them. */
export function inlined(schema: Schema, schemas: Readonly<Record<string, Schema>>): Schema {
  const value = (each: unknown): unknown => {
    if (Array.isArray(each)) return each.map(value);
    if (!isObject(each)) return each;
    const { $ref } = each;
    if (typeof $ref !== "string") return mapValues(each, value as (schema: Schema) => Schema);
    const named = schemas[$ref.replace("#/components/schemas/", "")];
    if (!named) throw new TypeError(`${$ref} is not in the document`);
    return value(named);
  };
  return value(schema) as Schema;
}

/**
 * The same schema, with every object that lists its members allowing no others: to see that answers
 * hold nothing that is not documented.
 */
export function closed(schema: Schema): Schema {
  const { properties, items, anyOf, ...rest } = schema;
  return {
    ...rest,
    ...(isObject(properties) && !("additionalProperties" in rest) ? { additionalProperties: false } : {}),
    ...(isObject(properties) ? { properties: mapValues(properties, closed) } : {}),
    ...(isObject(items) ? { items: closed(items) } : {}),
    ...(Array.isArray(anyOf) ? { anyOf: (anyOf as Schema[]).map(closed) } : {}),
  };
}

function mapValues(object: Schema, change: (schema: Schema) => Schema): Schema {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value as Schema)]));
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
