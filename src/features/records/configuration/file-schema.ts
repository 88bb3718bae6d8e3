import type { JsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import {
  bare,
  DURATION_SCHEMA,
  type FormNode,
  fileMember,
  isDuration,
  isOwnShape,
  referredBy,
} from "../../../http/api/file-form.ts";
import { type ApiSchema, descriptionOf, schemaOf as jsonOf } from "../../../http/api/openapi/schema.ts";
import type { ConfigKind } from "../../../module/config-kind.ts";
import { type ConfigurationContext, isMap, storedKinds } from "./reading.ts";
import { type FileSchema, SOURCE } from "./schema.ts";
import { AlertTest, EventTest } from "./test-shapes.ts";

/* The JSON schema of configuration files, for editors: from the declarations of the kinds, in the form of files. */

type Defs = Record<string, JsonSchema>;

const TEXT: JsonSchema = { type: "string" };
const SECRET: JsonSchema = { $ref: "#/$defs/secret" };
const MANUAL: JsonSchema = { const: "manual", description: "It is not in the files" };

const reference = (name: string, pattern?: string): JsonSchema => ({
  ...{ type: "object", required: [name], additionalProperties: false },
  properties: { [name]: { ...TEXT, ...(pattern !== undefined && { pattern }) } },
});

export async function configurationSchema(context: ConfigurationContext): Promise<FileSchema> {
  const kinds = await storedKinds(context);
  const $defs: Defs = {
    secret: { anyOf: [reference("env", "^PRISM_SECRET_[A-Z0-9_]{1,100}$"), reference("file"), reference("sealed")] },
    person: { ...TEXT, description: "Username" },
    name: {
      anyOf: [
        TEXT,
        { type: "object", required: ["name"], additionalProperties: false, properties: { name: TEXT, project: TEXT } },
      ],
    },
  };
  const runtime = (await context.runtimeKinds({})).map((kind) => {
    const { required = [], ...schema } = membersOf(kind.entries(), kind.kind, $defs);
    return [kind.kind, { type: "array", items: { ...schema, required } }] as const;
  });
  const listed = (scope: ConfigKind["scope"]) =>
    kinds
      .filter((kind) => kind.scope === scope && kind.kind !== "projects")
      .map((kind) => [kind.kind, kindSchema(kind, $defs)] as const);
  const projects = kinds.find(({ kind }) => kind === "projects");
  const ofProject = projects ? objectOf(projects, $defs) : {};
  const ofRuntime: JsonSchema = {
    ...{ type: "object", properties: Object.fromEntries(runtime), additionalProperties: false },
    description: "What `prism apply --runtime` makes once",
  };
  const own = { ...ofProject.properties, ...Object.fromEntries(listed("project")), runtime: ofRuntime };
  const project: JsonSchema = { ...ofProject, properties: own, required: ["slug"] };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...{ title: "Configuration files of Prism", type: "object", additionalProperties: false },
    properties: {
      version: { const: 1 },
      source: { ...jsonOf(SOURCE, "input"), description: "Owner of what these files name; default `files`" },
      lock: { type: "boolean", description: "Whether the console and the API refuse to change it; default false" },
      ...Object.fromEntries(listed("server")),
      projects: { type: "array", items: project },
      tests: {
        ...{ type: "array", description: "What must hold, as `prism check` finds it" },
        items: { anyOf: [AlertTest, EventTest].map((test) => jsonOf(test, "input")) },
      },
    },
    $defs,
  };
}

/** The value of a kind in files: a list of named objects, or one object. */
function kindSchema(kind: ConfigKind, defs: Defs): JsonSchema {
  const entries = kind.entries();
  const map = isMap(kind) ? entries[kind.kind] : undefined;
  const schema = map ? formOf(map as v.GenericSchema, kind.kind, defs) : objectOf(kind, defs);
  const value: JsonSchema = kind.isSingle ? schema : { type: "array", items: schema };
  return { anyOf: [value, MANUAL] };
}

function objectOf(kind: ConfigKind, defs: Defs): ApiSchema {
  const { key = "name", secrets = [], isSingle } = kind;
  const members = membersOf(kind.entries(), kind.kind, defs);
  const properties: Record<string, JsonSchema> = { ...members.properties };
  if (!isSingle) properties["renamedFrom"] = { ...TEXT, description: "Its earlier name" };
  for (const secret of secrets) {
    const [member = "", below] = secret.split(".");
    const plain: JsonSchema = { anyOf: [TEXT, { type: "number" }, SECRET] };
    properties[member] = below === undefined ? SECRET : { type: "object", additionalProperties: plain };
  }
  const isNamed = key in properties && !kind.nameOf && kind.kind !== "heartbeats";
  const required = isSingle ? (members.required ?? []) : isNamed ? [key] : [];
  return { ...members, properties, required };
}

function membersOf(entries: v.ObjectEntries, name: string, defs: Defs): ApiSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [member, entry] of Object.entries(entries)) {
    const schema = entry as v.GenericSchema;
    const own = fileMember(member, schema);
    const description = descriptionOf(schema);
    properties[own] = { ...memberOf(member, schema, name, defs), ...(description !== undefined && { description }) };
    if (member === "id" && own === "name") properties["project"] = { ...TEXT, description: "Another project" };
    if (!/^(optional|nullish|undefinedable)$/.test(schema.type)) required.push(own);
  }
  return { type: "object", properties, required, additionalProperties: false };
}

function memberOf(member: string, schema: v.GenericSchema, name: string, defs: Defs): JsonSchema {
  if (isDuration(member, schema)) return orNull(schema, DURATION_SCHEMA as unknown as JsonSchema);
  if (isOwnShape(schema)) return { type: "array", items: { $ref: `#/$defs/${name}` } };
  if (member === "id" && referredBy(schema) !== undefined) return TEXT;
  const value = formOf(schema, `${name}.${member}`, defs);
  return orNull(schema, member === "shifts" ? { anyOf: [value, MANUAL] } : value);
}

/** @param name of the shape, for one that has itself as a member */
function formOf(schema: v.GenericSchema, name: string, defs: Defs): JsonSchema {
  const kind = referredBy(schema);
  const node = bare(schema);
  if (node.entries) {
    const found = { ...membersOf(node.entries, name, defs), additionalProperties: node.type === "loose_object" };
    if (!Object.values(node.entries).some(isOwnShape)) return found;
    defs[name] = found;
    return { $ref: `#/$defs/${name}` };
  }
  if (kind !== undefined && !node.item) return { $ref: kind === "people" ? "#/$defs/person" : "#/$defs/name" };
  if (node.options && hasObjects(node))
    return { anyOf: node.options.map((option, at) => formOf(option, `${name}.${at}`, defs)) };
  if (node.item && isWalked(node.item)) return { type: "array", items: formOf(node.item, name, defs) };
  if (node.type === "record" && node.value && isWalked(node.value))
    return { type: "object", additionalProperties: formOf(node.value, name, defs) };
  return jsonOf(schema, "input");
}

/** Whether files have it in another form than requests. */
function isWalked(schema: v.GenericSchema): boolean {
  const node = bare(schema);
  return node.entries !== undefined || referredBy(schema) !== undefined || hasObjects(node);
}

function hasObjects({ options = [] }: FormNode): boolean {
  return options.some((option) => isWalked(option));
}

function orNull(schema: v.GenericSchema, value: JsonSchema): JsonSchema {
  return isNullable(schema) ? { anyOf: [value, { type: "null" }] } : value;
}

function isNullable(schema: v.GenericSchema): boolean {
  const { type, wrapped, pipe } = schema as FormNode;
  const below = wrapped ?? pipe?.[0];
  return type === "nullable" || type === "nullish" || (below !== undefined && below !== schema && isNullable(below));
}
