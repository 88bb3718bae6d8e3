import { type Command, InvalidArgumentError, Option } from "commander";
import type { Project, ProjectDetail, ProjectMember } from "../../../client/api-types.gen.ts";
import { bytesText } from "../../../core/text/clean-text.ts";
import type { Leftovers } from "../../../features/access/projects/leftovers.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { printable, table } from "../../output/output.ts";
import { type Call, callOf, filled, listOf, resource, tableOf } from "../../resource.ts";

const ROLES = ["owner", "editor", "viewer"];
const DEFAULT_ROLE = "viewer";

const KIND_WORDS: Readonly<Record<string, string>> = {
  apiKey: "API key",
  pingKey: "ping key",
  forwardUrl: "target of",
};

/** Keys that ended and secrets that the person still knows, if there are any. */
function leftoverLines({ keysRevoked, keysRestricted, keysHandedOver, toRotate, toRotateCount }: Leftovers): string[] {
  const rows = [
    ...(keysRevoked ?? []).map(({ id, name }) => ["revoked", "API key", id, name]),
    ...(keysRestricted ?? []).map(({ id, name, scopes }) => [
      scopes.length === 0 ? "may do nothing" : `only ${scopes.join(" ")}`,
      "API key",
      id,
      name,
    ]),
    ...(keysHandedOver ?? []).map(({ id, name }) => ["handed over", "API key", id, name]),
    ...(toRotate ?? []).map(({ kind, id, name }) => ["known, rotate it", KIND_WORDS[kind] ?? kind, id, name]),
  ];
  const more = (toRotateCount ?? 0) - (toRotate?.length ?? 0);
  const rest = more > 0 ? [`and ${more} more to rotate`] : [];
  return rows.length === 0 ? [] : [...table(["STATE", "KIND", "ID", "NAME"], rows), ...rest];
}

const PROJECTS = { ID: "id", SLUG: "slug", CREATED: "createdAt", "YOUR ROLE": "role", NAME: "name" };
const MEMBERS = { "USER ID": "userId", USERNAME: "username", ROLE: "role", FROM: "source", NAME: "name" };

/** The slugs of all projects that the caller may read, by id. */
export async function slugsOf(server: ServerClient): Promise<ReadonlyMap<string, string>> {
  const projects = await listOf(server, "listProjects", {});
  return new Map(projects.map(({ id, slug }) => [id, slug]));
}

function storageText({ slug, storage: { bytes, limit, isOwnLimit } }: Pick<ProjectDetail, "slug" | "storage">): string {
  const most = limit === null ? "without a limit" : `of ${bytesText(limit)}${isOwnLimit ? ", a limit of its own" : ""}`;
  return `${printable(slug)} stores ${bytesText(bytes)} ${most}`;
}

function limitIn(value: string): number | "default" {
  if (value === "default") return value;
  const bytes = Number(value);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError("Use a whole number of bytes, or default.");
}

async function showStorage({ server, out, given: { id, limit } }: Call): Promise<void> {
  const storageBytes = limit === "default" ? null : limit;
  if (storageBytes !== undefined) await callOf(server, "updateProject", { id, storageBytes });
  const { slug, storage } = await callOf(server, "getProject", { id });
  out.result({ slug, ...storage }, () => storageText({ slug, storage }));
}

type Added = ProjectMember & Leftovers & { readonly email?: string; readonly inviteUrl?: string };

/** Projects and their members on a running server. */
export function addProjects(program: Command): void {
  const project = { id: ["<project>", "id or slug"] } as const;
  resource(program, "projects", "project", {
    text: "list, create, rename and delete projects; storage; list, add and remove members",
    examples: ["projects list", "projects members default"],
    ref: "id or slug",
    find: (server, id) => callOf(server, "getProject", { id }),
    verbs: {
      list: {
        text: "list projects, newest first: those you are a member of, or all with projects:all",
        examples: ["", "--json"],
        of: "listProjects",
        columns: PROJECTS,
      },
      create: {
        text: "create a project; its first API key is printed once, alone on stdout",
        examples: "Examples:\n  $ KEY=$(prism projects create Operations --slug ops)",
        of: "createProject",
        args: { name: ["<name>", "display name"] },
        flags: { slug: ["--slug <slug>", "1 to 64 of a-z, 0-9 and dash (default: made from the name)"] },
        say: "{apiKey}",
        after: ({ id, slug, apiKey }: Project & { readonly apiKey?: string }, { out }) =>
          out.note(
            `Project ${id} has the slug ${slug}; ` +
              `${apiKey === undefined ? "it has no API key" : "its API key is not shown again"}.`,
          ),
      },
      rename: {
        text: "change the name of a project; its slug and id do not change",
        examples: ["ops 'Operations (old)'"],
        of: "updateProject",
        args: { ...project, name: ["<name>", "the new name"] },
        lines: (renamed: Project) => tableOf(PROJECTS, [renamed]),
      },
      delete: {
        text: "delete a project with its events, keys and rules",
        examples: ["ops --yes"],
        one: true,
        of: "deleteProject",
        ask: "Delete the project {name} ({slug}) with {eventCount} events, its keys and rules?",
        json: ({ id, slug, name }: Project) => ({ id, slug, name, deleted: true }),
        say: "{id}  {slug}  deleted",
      },
      storage: {
        text: "show what a project stores and its limit; --limit sets one of its own, as an administrator",
        examples: ["ops", "ops --limit 5368709120"],
        args: project,
        flags: {
          limit: ["--limit <bytes>", "the most it may store; default: as the configuration says", limitIn],
        },
        run: showStorage,
      },
      members: {
        text: "list the members of a project",
        examples: ["ops"],
        of: "listProjectMembers",
        as: "members",
        none: "no members",
        args: project,
        columns: MEMBERS,
      },
      "add-member": {
        text: "add a user to a project, or change the role; a mail address gets an invitation",
        examples: "Examples:\n  $ prism projects add-member ops ann --role editor",
        of: "addProjectMember",
        args: { ...project, userId: ["<user>", "id, external id or username, or a mail address"] },
        flags: {
          role: new Option("--role <role>", "role of the member").choices(ROLES).default(DEFAULT_ROLE),
          keepKeys: [
            "--keep-keys",
            "for a lower role: keep the API keys that the member made; they belong to you or another owner",
          ],
        },
        lines: (made: Added) =>
          made.email === undefined ? [...tableOf(MEMBERS, [made]), ...leftoverLines(made)] : (made.inviteUrl ?? ""),
        after({ email, role }: Added, { out }) {
          if (email !== undefined) out.note(`${printable(email)} is invited as ${role}.`);
        },
      },
      "remove-member": {
        text: "remove a member from a project",
        examples: ["ops ann"],
        of: "removeProjectMember",
        args: { ...project, userId: ["<user>", "id, external id, username or mail address; me to leave it"] },
        flags: { keepKeys: ["--keep-keys", "keep the API keys that the member made; they are revoked otherwise"] },
        json: (left: object, { given }) => ({ project: given["id"], user: given["userId"], removed: true, ...left }),
        lines: (left: Leftovers, { given }) => [
          filled("{userId} is no longer a member of {id}", given),
          ...leftoverLines(left),
        ],
      },
    },
  });
}
