import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { ConfigurationPlan } from "../../../../../src/client/api-types.gen.ts";
import { type FileConfiguration, readConfigurationFiles } from "../../../../../src/config/files/file-objects.ts";
import { answered, type Reply, type TestPrism } from "../../../../helpers/prism.ts";

/** Channels and webhooks of tests are on this machine. */
export const HOSTS = { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } };

export interface Exported {
  readonly document: Readonly<Record<string, unknown>>;
  readonly variables: readonly string[];
}

export async function exported(prism: TestPrism): Promise<Exported> {
  const path = "/api/v1/configuration/export?people=true";
  return (await answered(200, prism.get<Exported>(path))).body;
}

/** The objects of a document as commands read it: it is written as YAML and read again. */
export function objectsIn(dir: string, document: object): FileConfiguration {
  const file = join(dir, "prism.yaml");
  writeFileSync(file, stringify(document));
  return readConfigurationFiles([file]);
}

type Refusal = {
  readonly error: {
    readonly code: string;
    readonly details: readonly { readonly path: string; readonly code: string; readonly message: string }[];
  };
};

/** Sends the objects of files as commands do. */
export function send(
  prism: TestPrism,
  mode: "plan" | "apply",
  { objects }: Pick<FileConfiguration, "objects">,
  { token, ...more }: Readonly<Record<string, unknown>> & { readonly token?: string } = {},
): Promise<Reply<ConfigurationPlan & Refusal>> {
  const body = { mode, objects, issued: true, ...more };
  return prism.post("/api/v1/configuration", body, token === undefined ? {} : { token });
}

/** Secrets of a server by kind, project, name and path, as its kinds open them. */
export async function secretsOf(prism: TestPrism): Promise<Record<string, string | null>> {
  const { db, configKinds } = prism.parts.features.context;
  const kinds = await configKinds({});
  const projects = await db.read.selectFrom("projects").select(["id", "slug"]).execute();
  const found: Record<string, string | null> = {};
  for (const kind of kinds.filter(({ secrets }) => secrets))
    for (const { id, slug } of projects)
      for (const { name, secrets = {} } of await kind.list(db.read, id))
        for (const [path, value] of Object.entries(secrets)) found[`${slug} ${kind.kind} ${name} ${path}`] = value;
  return found;
}

/** Each reference with the secret of its object. */
export function valuesOf(
  objects: FileConfiguration["objects"],
  secrets: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { kind, project, spec } of objects)
    for (const [path, reference] of referencesIn(spec)) {
      const value = secrets[`${project} ${kind} ${spec["name"]} ${path}`];
      assert.ok(value != null, `${kind} ${spec["name"]} ${path}`);
      assert.equal(found[`env:${reference}`], undefined, `${reference} is of two objects`);
      found[`env:${reference}`] = value;
    }
  return found;
}

function referencesIn(value: unknown, path = ""): (readonly [path: string, variable: string])[] {
  if (typeof value !== "object" || value === null) return [];
  const { env } = value as { readonly env?: unknown };
  if (typeof env === "string" && env.startsWith("PRISM_SECRET_") && Object.keys(value).length === 1)
    return [[path, env]];
  return Object.entries(value).flatMap(([name, each]) => referencesIn(each, path === "" ? name : `${path}.${name}`));
}
