/** Kind of value of a parameter or body member; `json` is any other than a plain value. */
export type ValueKind = "string" | "integer" | "number" | "boolean" | "json";

/** A parameter, or a member of a JSON body. */
export interface OperationMember {
  readonly name: string;
  readonly in: "path" | "query" | "header" | "body";
  readonly kind: ValueKind;
  /** An array of values of this kind; `json`: of any. */
  readonly many?: true;
  readonly nullable?: true;
  readonly required?: true;
  readonly choices?: readonly string[];
  readonly text?: string;
}

/** An operation of the HTTP API. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With parameters as `{id}`. */
  readonly path: string;
  readonly summary: string;
  readonly members: readonly OperationMember[];
  /** Content types of the body, JSON first; absent without a body. */
  readonly body?: readonly string[];
  /** A list that `cursor` and `nextCursor` page through. */
  readonly paged?: true;
}

/** A schema of the OpenAPI document. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly "x-alias-of"?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: OperationMember["in"];
    readonly required?: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

/** The parts of an OpenAPI document that the command line reads. */
export interface OpenApiDocument {
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

type Resolve = (schema: Schema) => Schema;

/** The operations of a server's OpenAPI document, without second paths for one operation. */
export function operationsOf({ paths, components }: OpenApiDocument): Operation[] {
  const resolve: Resolve = (schema) => {
    const { $ref, ...own } = schema;
    return $ref === undefined ? schema : { ...components?.schemas?.[$ref.split("/").at(-1) ?? ""], ...own };
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, described]) => described["x-alias-of"] === undefined)
      .map(([method, described]) => operation(path, method.toUpperCase(), described, resolve)),
  );
}

const JSON_TYPE = "application/json";

function operation(path: string, method: string, described: Described, resolve: Resolve): Operation {
  const { operationId: id, summary, parameters = [], requestBody } = described;
  const types = Object.keys(requestBody?.content ?? {});
  const schema = requestBody?.content[JSON_TYPE]?.schema;
  const members = [
    ...parameters.map((each) => member(each.name, each.in, each.required === true, each, resolve)),
    ...(schema ? membersOf(schema, resolve) : []),
  ];
  const isPaged = method === "GET" && members.some(({ name, in: place }) => place === "query" && name === "cursor");
  return {
    ...{ id, method, path, summary, members },
    ...(types.length === 0 ? {} : { body: [...types].sort((a, b) => rank(a) - rank(b)) }),
    ...(isPaged ? { paged: true as const } : {}),
  };
}

function rank(type: string): number {
  return type === JSON_TYPE ? 0 : 1;
}

/** Members of an object, also of one that has several forms. */
function membersOf(schema: Schema, resolve: Resolve): OperationMember[] {
  const { properties = {}, required = [], anyOf = [], oneOf = [], allOf = [] } = resolve(schema);
  const own = Object.entries(properties).map(([name, each]) =>
    member(name, "body", required.includes(name), { schema: each }, resolve),
  );
  const forms = [...anyOf, ...oneOf, ...allOf].flatMap((each) => membersOf(each, resolve));
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...forms.filter(({ name }) => !names.has(name) && names.add(name))];
}

function member(
  name: string,
  place: OperationMember["in"],
  isRequired: boolean,
  given: { readonly schema: Schema; readonly description?: string },
  resolve: Resolve,
): OperationMember {
  const { schema, isNullable } = withoutNull(resolve(given.schema), resolve);
  const isMany = schema.type === "array" && schema.items !== undefined;
  const value = isMany && schema.items ? resolve(schema.items) : schema;
  const kind = kindOf(value);
  const choices = value.enum ?? (value.const === undefined ? [] : [value.const]);
  const text = given.description ?? given.schema.description ?? schema.description;
  return {
    ...{ name, in: place, kind },
    ...(isMany ? { many: true as const } : {}),
    ...(isNullable ? { nullable: true as const } : {}),
    ...(isRequired ? { required: true as const } : {}),
    ...(choices.length > 0 && kind === "string" ? { choices: choices.map(String) } : {}),
    ...(text === undefined ? {} : { text }),
  };
}

function withoutNull(schema: Schema, resolve: Resolve): { readonly schema: Schema; readonly isNullable: boolean } {
  const forms = schema.anyOf ?? [];
  const others = forms.filter(({ type }) => type !== "null");
  const [only] = others;
  if (others.length === forms.length || only === undefined) return { schema, isNullable: false };
  return { schema: others.length === 1 ? resolve(only) : { ...schema, anyOf: others }, isNullable: true };
}

const PLAIN: readonly (string | undefined)[] = ["string", "integer", "number", "boolean"];

function kindOf({ type, enum: choices, const: fixed, anyOf }: Schema): ValueKind {
  // Numbers that may be given as text, such as amounts.
  if (anyOf?.length === 2 && anyOf.every((each) => each.type === "string" || each.type === "number")) return "string";
  const found = typeof type === "string" ? type : typeof (choices?.[0] ?? fixed);
  return PLAIN.includes(found) ? (found as ValueKind) : "json";
}
