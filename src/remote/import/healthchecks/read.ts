import { readFileSync, statSync } from "node:fs";
import * as v from "valibot";
import { unreadable } from "../http-source.ts";
import { shaped } from "../source-rows.ts";

const MAX_BYTES = 256 * 2 ** 20;

const text = v.string();
const optional = v.nullish(text, "");
const flag = v.nullish(v.boolean(), false);
const key = v.union([v.number(), text]);

const MODELS = {
  "auth.user": v.object({
    username: text,
    email: optional,
    password: optional,
    is_active: v.nullish(v.boolean(), true),
    is_superuser: flag,
  }),
  "accounts.project": v.object({
    code: text,
    name: optional,
    owner: key,
    ping_key: v.nullish(text),
    badge_key: v.nullish(text),
    api_key: v.nullish(text),
  }),
  "accounts.member": v.object({ user: key, project: key, role: v.nullish(text, "w") }),
  "accounts.profile": v.object({ user: v.nullish(key), tz: v.nullish(text), totp: v.nullish(text) }),
  /** Keys of security. */
  "accounts.credential": v.object({ user: key }),
  "api.check": v.object({
    ...{ name: optional, slug: optional, tags: optional, desc: optional, code: text, project: key, kind: text },
    ...{ timeout: text, grace: text, schedule: optional, tz: optional, methods: optional, manual_resume: flag },
    ...{ filter_subject: flag, filter_body: flag, filter_http_body: flag, filter_default_fail: flag },
    ...{ start_kw: optional, success_kw: optional, failure_kw: optional, status: optional, badge_key: v.nullish(text) },
  }),
  "api.channel": v.object({
    ...{ name: optional, code: text, project: key, kind: text, value: optional, disabled: flag, email_verified: flag },
    checks: v.array(key),
  }),
};

type Models = typeof MODELS;
type Row<S extends v.GenericSchema> = v.InferOutput<S> & { readonly pk: string };
/** Objects by their model, as Django names it. */
export type OldHealthchecks = { readonly [M in keyof Models]: readonly Row<Models[M]>[] };

const Dumped = v.object({ model: text, pk: v.union([v.number(), text]), fields: v.unknown() });

/** @param file what `manage.py dumpdata` wrote @throws CommandError 7 */
export function readHealthchecks(file: string): OldHealthchecks {
  const objects = shaped(v.array(Dumped), parsed(file), "the dump");
  const found: Record<string, unknown> = {};
  for (const [model, shape] of Object.entries(MODELS)) {
    const own = objects.filter((each) => each.model === model);
    const rows = shaped(
      v.array(shape as v.GenericSchema<unknown, object>),
      own.map(({ fields }) => fields),
      model,
    );
    found[model] = rows.map((row, at) => ({ ...row, pk: String(own[at]?.pk) }));
  }
  if (!objects.some(({ model }) => model === "accounts.project"))
    throw unreadable(`${file} has no projects of Healthchecks`);
  return found as OldHealthchecks;
}

function parsed(file: string): unknown {
  try {
    if (statSync(file).size > MAX_BYTES) throw unreadable(`${file} is larger than 256 MiB`);
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw unreadable(`${file} is not JSON`);
    if (error instanceof Error && "code" in error) throw unreadable(`${file} cannot be opened (${String(error.code)})`);
    throw error;
  }
}
