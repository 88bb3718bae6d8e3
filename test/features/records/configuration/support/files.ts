import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { ConfigurationPlan } from "../../../../../src/client/api-types.gen.ts";
import { type FileConfiguration, readConfigurationFiles } from "../../../../../src/config/files/file-objects.ts";
import type { ConfigKind, Spec } from "../../../../../src/module/config-kind.ts";
import { answered, type Reply, type TestPrism } from "../../../../helpers/prism.ts";
import { fileOf } from "./api.ts";
import type { Made } from "./objects.ts";

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
    readonly details: ConfigurationPlan["problems"];
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

/** Objects as files have them, with references to the secrets, which are given beside them. @param renamed earlier names */
export function documentOf(
  kinds: readonly ConfigKind[],
  made: readonly Made[],
  renamed: ReadonlyMap<Made, string> = new Map(),
) {
  const secrets: Record<string, string> = {};
  const objects = made.map((each, index) => {
    const { kind: name, project } = each;
    const kind = kinds.find((known) => known.kind === name && (known.scope === "project") === (project !== null));
    assert.ok(kind, name);
    const { members, references } = withReferences(kind, fileOf(kind, each.spec), index);
    Object.assign(secrets, references);
    const old = renamed.get(each);
    const spec =
      name === "members" ? (members["members"] as Spec) : name === "people" ? { ...members, invite: true } : members;
    return {
      kind: name,
      spec,
      at: `files.yaml:${index + 1}:1`,
      ...(project !== null && { project }),
      ...(old !== undefined && { renamedFrom: old }),
    };
  });
  return { objects, secrets };
}

/** Which fields of the presets of tests are secret. */
const PLAIN: readonly string[] = ["device", "component", "username"];

function withReferences(kind: ConfigKind, spec: Spec, index: number) {
  const references: Record<string, string> = {};
  const hidden = (path: string, value: unknown) => {
    const variable = `PRISM_SECRET_${index}_${path.toUpperCase()}`;
    references[`env:${variable}`] = String(value);
    return { env: variable };
  };
  const members = Object.entries(spec).map(([member, value]): [string, unknown] => {
    if (kind.secrets?.includes(member)) return [member, hidden(member, value)];
    if (!kind.secrets?.includes(`${member}.*`)) return [member, value];
    const isSecret = (name: string) =>
      !PLAIN.includes(name) && !(name === "url" && ["ntfy", "gotify"].includes(String(spec["preset"])));
    const all = Object.entries(value as object);
    return [
      member,
      Object.fromEntries(all.map(([name, each]) => [name, isSecret(name) ? hidden(name, each) : (each as unknown)])),
    ];
  });
  return { members: Object.fromEntries(members) as Spec, references };
}
