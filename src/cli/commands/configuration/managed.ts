import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { ExportedConfiguration } from "../../../client/api-types.gen.ts";
import { secretReferences } from "../../../config/files/secret-references.ts";
import type { CommandContext } from "../../context.ts";
import { writeRows } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable, shortTime } from "../../output/output.ts";
import { nested, single, tableOf, type Values } from "../../resource.ts";
import { withServer } from "../../with-server.ts";

interface Managed {
  readonly isDrifted: boolean;
  readonly isLocked: boolean;
  readonly unlockedUntil: string | null;
}

/** `prism managed`. */
export function addManaged(program: Command): void {
  single(program, "managed", {
    text: "list what configuration files manage, with the file and whether it was changed since",
    examples: ["", "--exit-code"],
    flags: { exitCode: ["--exit-code", "end with 8 if anything was changed since it was applied"] },
    async run({ server, out, given: { exitCode } }) {
      const { data } = await server.get<{ readonly data: readonly Managed[] }>("/api/v1/configuration/managed");
      const columns = {
        ...{ PROJECT: "project", KIND: "kind", NAME: "name:30", SOURCE: "source", FILE: "at" },
        LOCKED: lockText,
        CHANGED: ({ isDrifted }: Managed) => (isDrifted ? "yes" : "no"),
      };
      out.result({ managed: data }, () => (data.length === 0 ? "no managed objects" : tableOf(columns, data)));
      if (exitCode && data.some(({ isDrifted }) => isDrifted)) process.exitCode = EXIT.checkFailed;
    },
  });
}

function lockText({ isLocked, unlockedUntil }: Managed): string {
  const isOpen = unlockedUntil !== null && Date.parse(unlockedUntil) > Date.now();
  return isLocked && isOpen ? `not until ${shortTime(unlockedUntil)}` : isLocked ? "yes" : "no";
}

interface ExportFlags {
  readonly project?: readonly string[];
  readonly out?: string;
  readonly people?: boolean;
  readonly withRuntime?: boolean;
  readonly secrets: string;
  readonly force?: boolean;
}

/** `prism export config`. */
export function addExportConfig(command: Command): void {
  nested(command, {
    config: {
      text: "write the configuration as files for prism plan and prism apply",
      about: `Without --out it prints one YAML document, with --json one of JSON. Secrets are written as {env: PRISM_SECRET_…},
and the names of these variables are on stderr. With --secrets sealed those that you may write are sealed for this server.`,
      examples: ["--out oncall", "--project shop --secrets omit"],
      flags: {
        project: ["--project <project>", "only this project, and nothing of the server; repeatable", collectFlag],
        out: ["--out <dir>", "write a file for each project, and prism.yaml for the server, into this directory"],
        people: ["--people", "write people, too"],
        withRuntime: ["--with-runtime", "write overrides, swaps, days off, silences and pauses, too"],
        secrets: new Option("--secrets <how>", "references to secrets")
          .choices(["env", "omit", "sealed"])
          .default("env"),
        force: ["--force", "write into a directory that has files"],
      },
      // Those that `export` has, too, are among its values.
      act: (context, flags) => exportConfig(context, { ...flags, ...context.flags } as unknown as ExportFlags),
    },
  });
}

async function exportConfig(context: CommandContext, flags: ExportFlags): Promise<void> {
  const { out: folder, force = false, people = false, withRuntime = false, secrets, project = [] } = flags;
  if (folder !== undefined && !force && existsSync(folder) && readdirSync(folder).length > 0)
    throw new CommandError(EXIT.conflict, `${folder} has files; --force writes into it`);
  const query = new URLSearchParams({ people: String(people), runtime: String(withRuntime), secrets });
  for (const each of project) query.append("project", each);
  const {
    document: files,
    leftOut,
    notes,
  } = await withServer(context, (server) => server.get<ExportedConfiguration>(`/api/v1/configuration/export?${query}`));
  const { yamlText } = await import("../../../config/files/yaml-text.ts");
  if (folder === undefined) context.out.result(files, () => yamlText(files).trimEnd());
  else {
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of filesOf(files))
      await writeRows([yamlText(content)], { file: join(folder, name), gzip: false, force });
    context.out.result({ out: folder, files: filesOf(files).map(([name]) => name) }, () => "");
  }
  const names = new Set(secretReferences([{ spec: files }]).map(({ key }) => key.replace(/^env:/, "")));
  for (const { kind, project } of leftOut)
    context.out.note(
      `left out, because the token may not read it: ${printable(kind)}${project === null ? "" : ` of ${printable(project)}`}`,
    );
  for (const note of notes) context.out.note(`left out: ${printable(note)}`);
  if (leftOut.length > 0) process.exitCode = EXIT.checkFailed;
  for (const name of [...names].sort()) context.out.note(`set ${printable(name)}`);
}

const SERVER_FILE = "prism.yaml";
/** It is needed once, and can be deleted then. */
const RUNTIME_FILE = "runtime.yaml";

/** Slugs have no dot: so the file of a project `prism` is no other one. */
function fileOf(slug: string): string {
  const name = `${encodeURIComponent(slug)}.yaml`;
  return name === SERVER_FILE || name === RUNTIME_FILE ? name.replace(".yaml", ".project.yaml") : name;
}

/** A file for each project, one for the server, and one for the runtime of all projects. */
function filesOf({ projects, ...server }: Values): (readonly [name: string, content: unknown])[] {
  const { version, source, lock, ...others } = server;
  const all = (projects ?? []) as readonly { readonly slug: string; readonly runtime?: object }[];
  const own = all.map(({ runtime: _, ...each }) => each);
  const runtime = all.flatMap(({ slug, runtime }) => (runtime ? [{ slug, runtime }] : []));
  return [
    // Version and source alone are no configuration.
    ...(Object.keys(others).length > 0 ? [[SERVER_FILE, server] as const] : []),
    ...own.map(
      (each) => [fileOf(each.slug), { version, source, ...(lock === true && { lock }), projects: [each] }] as const,
    ),
    ...(runtime.length > 0 ? [[RUNTIME_FILE, { version, source, projects: runtime }] as const] : []),
  ];
}
