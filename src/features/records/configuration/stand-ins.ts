import { randomBytes } from "node:crypto";
import type { Compared, Step } from "./compare.ts";
import { missingReferences } from "./compare.ts";
import { nameOfReference, type Reference, withSecret } from "./secrets.ts";

/* A plan needs no secrets: new objects are planned with values of the right form, which are never stored. */

/** @param secrets values of references, as the plan has them */
export async function withStandIns(compared: Compared, secrets: Readonly<Record<string, string>>): Promise<Compared> {
  return { ...compared, steps: await Promise.all(compared.steps.map((step) => standIn(step, secrets))) };
}

async function standIn(step: Step, secrets: Readonly<Record<string, string>>): Promise<Step> {
  const { op, kind, wanted } = step;
  const missing = op === "create" && wanted ? missingReferences(wanted, secrets) : [];
  if (missing.length === 0) return step;
  const later = new Map<string, Reference>(missing);
  let { spec } = step;
  const examples = (await kind.secretExamples?.(spec)) ?? {};
  // Without an example it is a token, a key or a UUID.
  for (const [path] of missing) spec = withSecret(spec, path, examples[path] ?? randomBytes(16).toString("hex"));
  return { ...step, spec, later };
}

/** `fields.url will be set by PRISM_SECRET_ROOM`, for each secret that the plan has not. */
export function laterNotes({ later }: Step): string[] {
  return [...(later ?? [])].map(([path, reference]) => `${path} will be set by ${nameOfReference(reference)}`);
}
