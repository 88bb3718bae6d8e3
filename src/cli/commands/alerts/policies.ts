import type { Command } from "commander";
import { readStdin, readTextFile } from "../../files.ts";
import { online, pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { cut, labelsOf, OF_PROJECT, type ProjectFlag, subcommand, wrapped } from "./things.ts";

const PATH = "/api/v1/policies";
const ROUTES = "/api/v1/routes";

interface Policy {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly description: string;
  readonly steps: readonly { readonly type: string }[];
  readonly opensIncidents: boolean;
  readonly version: number;
  /** Of an answer to a change. */
  readonly warnings?: readonly { readonly message: string }[];
}

async function policiesOf(server: ServerClient, { project }: ProjectFlag): Promise<readonly Policy[]> {
  return (await server.get<{ data: readonly Policy[] }>(PATH, { projectId: project })).data;
}

async function findPolicy(server: ServerClient, ref: string, flags: ProjectFlag): Promise<Policy> {
  return pick(await policiesOf(server, flags), ref, {
    one: "policy",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name }) => `${id}  ${name}`,
  });
}

/** The members that a request takes. */
function portable(policy: object): object {
  const ofServer = new Set([
    "id",
    "projectId",
    "version",
    "createdBy",
    "createdAt",
    "updatedAt",
    "updatedBy",
    "warnings",
  ]);
  return Object.fromEntries(Object.entries(policy).filter(([member]) => !ofServer.has(member)));
}

/** A JSON value of a file or of stdin. @throws CommandError 7 */
async function jsonOf(file: string): Promise<unknown> {
  const text = file === "-" ? await readStdin() : readTextFile(file, "the file");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(
      EXIT.conflict,
      `this is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function queryOf({ project }: ProjectFlag): string {
  return project === undefined ? "" : `?projectId=${encodeURIComponent(project)}`;
}

/** Policies of a project on a running server. */
export function addPolicies(program: Command): void {
  const policies = program
    .command("policies")
    .description("list, show, export and import policies")
    .addHelpText("after", "\nExamples:\n  $ prism policies list\n  $ prism policies export > policies.json");
  subcommand(policies, "list", "list the policies of a project", [""])
    .option(...OF_PROJECT)
    .action((flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await policiesOf(server, flags);
        out.result({ policies: found }, () =>
          table(
            ["VERSION", "STEPS", "NAME"],
            found.map(({ version, steps, opensIncidents, name }) => [
              version,
              opensIncidents ? cut(steps.map(({ type }) => type).join(" ")) : "opens no incidents",
              cut(name, 30),
            ]),
          ),
        );
      }),
    );
  subcommand(policies, "show", "print a policy as JSON", ["Database"])
    .argument("<policy>", "id or name, or a prefix")
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await findPolicy(server, ref, flags);
        out.result(found, () => JSON.stringify(portable(found), null, 2));
      }),
    );
  subcommand(policies, "export", "print all policies as JSON for prism policies import", ["--project ops"])
    .option(...OF_PROJECT)
    .action((flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = (await policiesOf(server, flags)).map(portable);
        out.result(found, () => JSON.stringify(found, null, 2));
      }),
    );
  subcommand(policies, "import", "create or change policies by name from a JSON file; - is stdin", ["policies.json"])
    .argument("<file>", "a policy, or a list of policies")
    .option(...OF_PROJECT)
    .action(async (file: string, flags: ProjectFlag, command: Command) => {
      const given = [await jsonOf(file)].flat() as readonly { readonly name?: string }[];
      return online(command, async (server, { out }) => {
        const known = await policiesOf(server, flags);
        const stored: Policy[] = [];
        for (const policy of given) {
          const old = known.find(({ name }) => name === policy.name);
          stored.push(
            old
              ? await server.change<Policy>("PUT", `${PATH}/${old.id}`, portable(policy), old.version)
              : await server.post<Policy>(PATH, { ...portable(policy), projectId: flags.project }),
          );
        }
        out.result({ policies: stored }, () =>
          stored.map(({ name, version }) => `${printable(name)}  version ${version}`),
        );
        for (const { warnings = [] } of stored)
          for (const { message } of warnings) out.note(`warning: ${printable(message)}`);
      });
    });
}

interface Matches {
  readonly matches: readonly {
    readonly path: readonly string[];
    readonly policy: { readonly name: string; readonly version: number };
    readonly groupLabels: Readonly<Record<string, string>>;
  }[];
}

/** What the routes do with an alert. The built-in policy has the version 0. */
function matchLines({ path, policy: { name, version }, groupLabels }: Matches["matches"][number]): string[] {
  const [, ...children] = path;
  const group = Object.entries(groupLabels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return [
    ...(version === 0
      ? wrapped(`goes to the policy ${name} (built in): notifies the members of the project`)
      : wrapped(`goes to the policy ${name}`)),
    ...wrapped(children.length === 0 ? "by the root route" : `by the route ${children.join(" / ")}`, "  "),
    ...(group.length === 0 ? [] : wrapped(`one incident for ${group.join(", ")}`, "  ")),
  ];
}

/** The routing document of a project on a running server. */
export function addRoutes(program: Command): void {
  const routes = program
    .command("routes")
    .description("show, set and test the routes of a project")
    .addHelpText("after", "\nExamples:\n  $ prism routes show > routes.json\n  $ prism routes test team=db");
  subcommand(routes, "show", "print the routing document as JSON", ["--project ops"])
    .option(...OF_PROJECT)
    .action((flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const routing = await server.get<object>(ROUTES, { projectId: flags.project });
        out.result(routing, () => JSON.stringify(portable(routing), null, 2));
      }),
    );
  subcommand(routes, "set", "replace the routing document by a JSON file; - is stdin", ["routes.json --project ops"])
    .argument("<file>", "document, as prism routes show prints it")
    .option(...OF_PROJECT)
    .action(async (file: string, flags: ProjectFlag, command: Command) => {
      const document = portable((await jsonOf(file)) as object);
      return online(command, async (server, { out }) => {
        const { version } = await server.get<{ version: number }>(ROUTES, { projectId: flags.project });
        const stored = await server.change<{ version: number }>("PUT", ROUTES + queryOf(flags), document, version);
        out.result(stored, () => `version ${stored.version}`);
      });
    });
  subcommand(routes, "test", "show which routes and policies take labels", ["team=db severity=critical"])
    .argument("<labels...>", "labels, such as team=db")
    .option(...OF_PROJECT)
    .action((given: readonly string[], flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await server.post<Matches>(`${ROUTES}/test${queryOf(flags)}`, { labels: labelsOf(given) });
        out.result(found, () => found.matches.flatMap(matchLines));
      }),
    );
}
