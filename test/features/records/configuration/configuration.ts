import type { ConfigurationPlan } from "../../../../src/client/api-types.gen.ts";
import type { TestPrism } from "../../../helpers/prism.ts";

/** An object of a file: kind, project (null: of the server), members. */
export type FileObject = readonly [kind: string, project: string | null, spec: unknown, renamedFrom?: string];

interface Refusal {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details: readonly { readonly path: string; readonly code: string; readonly message: string }[];
  };
}

type Options = Readonly<Record<string, unknown>> & { readonly token?: string };

/** Sends objects as commands do. */
export async function configure(
  prism: TestPrism,
  mode: "plan" | "apply",
  files: readonly FileObject[],
  options: Options = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const { token, ...members } = options;
  const objects = files.map(([kind, project, spec, renamedFrom], index) => ({
    ...{ kind, spec, at: `duty.yaml:${index + 1}:1` },
    ...(project !== null && { project }),
    ...(renamedFrom !== undefined && { renamedFrom }),
  }));
  const body = { mode, objects, ...members };
  const request = { headers, ...(token !== undefined && { token }) };
  return prism.post<ConfigurationPlan & Refusal>("/api/v1/configuration", body, request);
}

/** `create channels Room`. */
export function changesOf({ changes }: ConfigurationPlan): string[] {
  return changes.map(({ op, kind, name }) => `${op} ${kind} ${name}`);
}

/** `channels Room fields.url SECRET_MISSING`. */
export function problemsOf({ problems }: ConfigurationPlan): string[] {
  return problems.map(({ kind, name, path, code }) => [kind, name, path, code].filter((each) => each !== "").join(" "));
}
