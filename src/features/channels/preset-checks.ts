import type { Preset, PresetField, RequestTemplate } from "./preset.ts";
import { BadTemplate, compile, readPath } from "./templates/template.ts";
import { checkText, checkTree, type OnPath } from "./templates/tree.ts";

const ROOTS = new Set(["n", "field", "ref", "id", "key", "ms", "s", "sign", "item", "index"]);
const API: PresetField = {
  key: "api",
  title: "Base URL in place of the service's own, for proxies and tests",
  secret: false,
  type: "url",
  required: false,
  example: "https://proxy.example.com",
};

/** The preset with the field `api` if its hosts are fixed. @throws BadTemplate for what the schema cannot see */
export function checkedPreset(preset: Preset): Preset {
  const fields =
    preset.hosts && !preset.fields.some(({ key }) => key === "api") ? [...preset.fields, API] : preset.fields;
  const known = new Set(fields.map(({ key }) => key));
  if (known.size !== fields.length) throw new BadTemplate("two fields have the same key");
  const onSecret = secretsStayWhole(fields);
  const onPath: OnPath = (path, isWhole) => {
    const [root = "", name] = path;
    onSecret(path, isWhole);
    if (!ROOTS.has(root)) throw new BadTemplate(`there is no ${root}`);
    if (root === "field" && name !== undefined && !known.has(name)) throw new BadTemplate(`there is no field.${name}`);
    if (root === "ref" && name !== undefined && !Object.hasOwn(preset.ref ?? {}, name))
      throw new BadTemplate(`there is no ref.${name}`);
  };
  for (const request of requestsOf(preset)) checkRequest(request, { ...preset, fields }, onPath);
  for (const text of [preset.key, preset.sign?.key, preset.sign?.text]) if (text !== undefined) checkText(text, onPath);
  for (const path of pathsOf(preset)) if (!path.startsWith("header:") && path !== "$") readPath(path);
  return { ...preset, fields };
}

/** A shown request is masked by the values of secrets: a changed part of one would be visible. */
function secretsStayWhole(fields: Preset["fields"]): OnPath {
  const secrets = new Set(fields.flatMap(({ key, secret }) => (secret ? [key] : [])));
  return ([root, name], isWhole) => {
    if (root !== "field" || (name !== undefined && !secrets.has(name))) return;
    if (name === undefined) throw new BadTemplate("a template reads fields by name, such as field.url");
    if (!isWhole) throw new BadTemplate(`the secret field.${name} may only be used whole, without filters`);
  };
}

function requestsOf(preset: Preset): RequestTemplate[] {
  const { send, update, thread, acknowledge, resolve, remove, plain } = preset;
  return [send, update, thread, acknowledge, resolve, remove, plain].filter((each) => each !== undefined);
}

/** Paths in answers. */
function pathsOf({ ok, errors, ref }: Preset): string[] {
  const rows = [...ok, ...errors].flatMap(({ path }) => path ?? []);
  return [...rows, ...Object.values(ref ?? {}), ...errors.flatMap(({ set }) => Object.values(set ?? {}))];
}

/** @throws BadTemplate */
export function checkRequest(
  request: RequestTemplate,
  { fields, hosts }: Pick<Preset, "fields" | "hosts">,
  onPath: OnPath = secretsStayWhole(fields),
): void {
  for (const text of textsOf(request)) checkText(text, onPath);
  if (request.body !== undefined) checkTree(request.body, onPath);
  if (request.type === "text" && typeof request.body === "string") requireFilters(request.body);
  const [first, next = "/"] = compile(request.url);
  const base = typeof first === "object" && first.path[0] === "field" ? first.path[1] : undefined;
  if (typeof first === "object" && fields.some(({ key, type }) => key === base && type === "url")) {
    // Other text there would be a part of the host.
    const isHostKept = first.filters.length + first.escapes.length === 0 && typeof next === "string";
    if (!isHostKept || !/^[/?]/.test(next)) throw new BadTemplate(`after field.${base} a URL continues with / or ?`);
    return;
  }
  if (!hosts || typeof first !== "string" || !first.startsWith("https://"))
    throw new BadTemplate("a URL starts with a field of type url, or with https:// and one of the preset's hosts");
}

function textsOf({ url, query, headers, headerLines, auth }: RequestTemplate): string[] {
  const authTexts = auth === undefined ? [] : "bearer" in auth ? [auth.bearer] : auth.basic;
  return [url, ...Object.values(query ?? {}), ...Object.values(headers ?? {}), headerLines ?? "", ...authTexts];
}

/** A body that is one text has no structure that keeps values apart. */
function requireFilters(body: string): void {
  for (const part of compile(body)) {
    const isBare = typeof part !== "string" && part.filters.length + part.escapes.length === 0;
    if (isBare) throw new BadTemplate(`a value in a body of type text needs a filter, such as json or raw`);
  }
}
