import type { Command } from "commander";
import type { ChangedPolicy, RouteTraffic, Routing, TestedRoutes } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { parseJson, readFileOrStdin } from "../../files.ts";
import { EXIT } from "../../output/exit-codes.ts";
import { cut, printable } from "../../output/output.ts";
import { type Call, callOf, filled, listOf, resource } from "../../resource.ts";
import { labelsOf, OF_PROJECT, wrapped } from "./shared.ts";

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
  return parseJson(await readFileOrStdin(file, "the file"), "this", EXIT.conflict);
}

/** Result of the routes for an alert. The built-in policy has the version 0. */
function matchLines({ path, policy: { name, version }, groupLabels }: TestedRoutes["matches"][number]): string[] {
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

/** The document, or its routes with what they matched. */
async function showRoutes({ server, out, given: { projectId, traffic } }: Call): Promise<void> {
  if (traffic !== true) {
    const document = await callOf<Routing>(server, "getRouting", { projectId });
    return out.result(document, () => portableText(document));
  }
  const counted = await callOf<RouteTraffic>(server, "getRouteTraffic", { projectId });
  out.result(counted, () => trafficLines(counted));
}

/** One line a route, indented by its depth in the tree. */
function trafficLines({ alerts, isCut, routes }: RouteTraffic): string[] {
  const width = Math.max(7, ...routes.map(({ matched }) => String(matched).length));
  const lines = routes.map(({ path, policy, matched }) => {
    const [own = "{}"] = path.slice(-1);
    const dead = matched === 0 && alerts > 0 ? "  matched nothing in 7 days" : "";
    return `${String(matched).padStart(width)}  ${"  ".repeat(path.length - 1)}${printable(own)} -> ${printable(policy)}${dead}`;
  });
  const more = isCut ? "; there were more: only the newest are examined" : "";
  return [`${"MATCHED".padStart(width)}  ROUTE -> POLICY`, ...lines, `${countText(alerts, "alert")} in 7 days${more}`];
}

function portableText(value: object): string {
  return JSON.stringify(Array.isArray(value) ? value.map(portable) : portable(value), null, 2);
}

/** Creates policies, or changes those of the same name. Warnings that were there before are only counted. */
async function importPolicies({ server, out, given: { file, projectId } }: Call): Promise<void> {
  const given = [await jsonOf(String(file))].flat() as readonly { readonly name?: string }[];
  const known = await listOf(server, "listPolicies", { projectId });
  const before = new Set((await listOf(server, "listPolicyWarnings", { projectId })).map(({ message }) => message));
  const found = new Set<string>();
  const stored: ChangedPolicy[] = [];
  for (const policy of given) {
    const old = known.find(({ name }) => name === policy.name);
    const [of, values] = old
      ? ["updatePolicy", { id: old.id, "If-Match": `"${old.version}"` }]
      : ["createPolicy", { projectId }];
    const changed = await callOf<ChangedPolicy>(server, of, { ...portable(policy), ...values });
    stored.push(changed);
    for (const { message } of changed.warnings ?? []) {
      found.add(message);
      // The list above names a cause once, although several policies have it.
      if (old?.version === changed.version) before.add(message);
    }
  }
  out.result({ policies: stored }, () => stored.map((each) => filled("{name}  version {version}", each)));
  const added = [...found].filter((message) => !before.has(message));
  for (const message of added) out.note(`warning: ${printable(message)}`);
  if (added.length < found.size) out.note(`${countText(found.size - added.length, "warning")} as before`);
}

/** Policies of a project on a running server. */
export function addPolicies(program: Command): void {
  resource(program, "policies", "policy", {
    text: "list, show, export and import policies",
    examples: ["policies list", "policies export > policies.json"],
    ref: "id or name, or a prefix",
    list: "listPolicies",
    names: ["name"],
    line: "{id}  {name}",
    scope: { projectId: OF_PROJECT },
    verbs: {
      list: {
        text: "list the policies of a project",
        examples: [""],
        of: "listPolicies",
        columns: {
          VERSION: "version",
          STEPS: ({ steps, opensIncidents }: ChangedPolicy) =>
            opensIncidents ? cut(steps.map(({ type }) => type).join(" ")) : "opens no incidents",
          NAME: "name:30",
        },
      },
      show: { text: "print a policy as JSON", examples: ["Database"], one: true, lines: portableText },
      export: {
        text: "print all policies as JSON for prism policies import",
        examples: ["--project ops"],
        of: "listPolicies",
        json: ({ data }: { readonly data: readonly ChangedPolicy[] }) => data.map(portable),
        lines: ({ data }: { readonly data: readonly ChangedPolicy[] }) => portableText(data),
      },
      import: {
        text: "create or change policies by name from a JSON file; - is stdin",
        examples: ["policies.json"],
        args: { file: ["<file>", "a policy, or a list of policies"] },
        changes: true,
        run: importPolicies,
      },
    },
  });
}

/** The routing document of a project on a running server. */
export function addRoutes(program: Command): void {
  resource(program, "routes", "route", {
    text: "show, set and test the routes of a project",
    examples: ["routes show > routes.json", "routes test team=db"],
    scope: { projectId: OF_PROJECT },
    verbs: {
      show: {
        text: "print the routing document as JSON, or what each route matched",
        examples: ["--project ops", "--traffic"],
        flags: { traffic: ["--traffic", "the routes with the alerts that they matched in the last seven days"] },
        run: showRoutes,
      },
      set: {
        text: "replace the routing document by a JSON file; - is stdin",
        examples: ["routes.json --project ops"],
        args: { file: ["<file>", "document, as prism routes show prints it"] },
        changes: true,
        async run({ server, out, given: { file, projectId } }) {
          const document = portable((await jsonOf(String(file))) as object);
          const { version } = await callOf(server, "getRouting", { projectId });
          const stored = await callOf(server, "putRouting", { projectId, "If-Match": `"${version}"`, ...document });
          out.result(stored, () => filled("version {version}", stored));
        },
      },
      test: {
        text: "show which routes and policies match labels",
        examples: ["team=db severity=critical"],
        of: "testRoutes",
        args: { labels: ["<labels...>", "labels, such as team=db"] },
        values: ({ labels, ...given }) => ({ ...given, labels: labelsOf(labels as readonly string[]) }),
        lines: ({ matches }: TestedRoutes) => matches.flatMap(matchLines),
      },
    },
  });
}
