import { type Command, InvalidArgumentError, Option } from "commander";
import type { Leftovers } from "../../../features/access/projects/leftovers.ts";
import { contextOf } from "../../context.ts";
import { deleteAfterQuestion, everyItem, online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { bytesText } from "../doctor/check.ts";

const PATH = "/api/v1/projects";
const ROLES = ["owner", "editor", "viewer"];
const DEFAULT_ROLE = "viewer";

export interface Project {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly role: string | null;
  readonly createdAt: string;
}

interface Member {
  readonly userId: string;
  readonly username: string | null;
  readonly name: string;
  readonly role: string;
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  apiKey: "API key",
  pingKey: "ping key",
};

/** Keys that ended and secrets that the person still knows, if there are any. */
function leftoverLines({ keysRevoked, keysRestricted, keysHandedOver, toRotate, toRotateCount }: Leftovers): string[] {
  const rows = [
    ...(keysRevoked ?? []).map(({ id, name }) => ["revoked", "API key", id, name]),
    ...(keysRestricted ?? []).map(({ id, name, scopes }) => [`only ${scopes.join(" ")}`, "API key", id, name]),
    ...(keysHandedOver ?? []).map(({ id, name }) => ["handed over", "API key", id, name]),
    ...(toRotate ?? []).map(({ kind, id, name }) => ["known, rotate it", KIND_WORDS[kind] ?? kind, id, name]),
  ];
  const more = (toRotateCount ?? 0) - (toRotate?.length ?? 0);
  const rest = more > 0 ? [`and ${more} more to rotate`] : [];
  return rows.length === 0 ? [] : [...table(["STATE", "KIND", "ID", "NAME"], rows), ...rest];
}

function pathOf(project: string, rest = ""): string {
  return `${PATH}/${encodeURIComponent(project)}${rest}`;
}

function projectsTable(projects: readonly Project[]): string[] {
  if (projects.length === 0) return ["no projects"];
  return table(
    ["ID", "SLUG", "CREATED", "YOUR ROLE", "NAME"],
    projects.map(({ id, slug, createdAt, role, name }) => [id, slug, createdAt, role, name]),
  );
}

function membersTable(members: readonly Member[]): string[] {
  if (members.length === 0) return ["no members"];
  return table(
    ["USER ID", "USERNAME", "ROLE", "NAME"],
    members.map(({ userId, username, role, name }) => [userId, username, role, name]),
  );
}

/** The slugs of all projects that the caller may read, by id. */
export async function slugsOf(server: ServerClient): Promise<ReadonlyMap<string, string>> {
  const projects = await everyItem<Project>(server, PATH);
  return new Map(projects.map(({ id, slug }) => [id, slug]));
}

function addManageProjects(projects: Command): void {
  projects
    .command("list")
    .description("list projects, newest first: those you are a member of, or all with projects:all")
    .addHelpText("after", "\nExamples:\n  $ prism projects list\n  $ prism projects list --json")
    .action((_flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await everyItem<Project>(server, PATH);
        out.result({ projects: found }, () => projectsTable(found));
      }),
    );
  projects
    .command("create")
    .description("create a project; its first API key is printed once, alone on stdout")
    .argument("<name>", "display name")
    .option("--slug <slug>", "1 to 64 of a-z, 0-9 and dash (default: made from the name)")
    .addHelpText("after", "\nExamples:\n  $ KEY=$(prism projects create Operations --slug ops)")
    .action((name: string, { slug }: { readonly slug?: string }, command: Command) =>
      online(command, async (server, { out }) => {
        const body = { name, ...(slug === undefined ? {} : { slug }) };
        const made = await server.post<Project & { readonly apiKey?: string }>(PATH, body);
        out.result(made, () => made.apiKey ?? "");
        const key = made.apiKey === undefined ? "it has no API key" : "its API key is not shown again";
        out.note(`Project ${made.id} has the slug ${made.slug}; ${key}.`);
      }),
    );
  projects
    .command("rename")
    .description("change the name of a project; its slug and id do not change")
    .argument("<project>", "id or slug")
    .argument("<name>", "the new name")
    .addHelpText("after", "\nExample:\n  $ prism projects rename ops 'Operations (old)'")
    .action((project: string, name: string, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const renamed = await server.change<Project>("PATCH", pathOf(project), { name });
        out.result(renamed, () => projectsTable([renamed]));
      }),
    );
  projects
    .command("delete")
    .description("delete a project with its events, keys and rules")
    .argument("<project>", "id or slug")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism projects delete ops --yes")
    .action(async (project: string, { yes }: { readonly yes?: boolean }, command: Command) => {
      const { id, slug, name } = await deleteAfterQuestion(command, yes, {
        find: (server) => server.get<Project & { readonly eventCount: number }>(pathOf(project)),
        question: (found) =>
          `Delete the project ${printable(found.name)} (${found.slug}) ` +
          `with ${found.eventCount} events, its keys and rules?`,
        remove: (server, found) => server.delete(pathOf(found.id)),
      });
      contextOf(command).out.result({ id, slug, name, deleted: true }, () => `${id}  ${slug}  deleted`);
    });
}

interface Stored {
  readonly slug: string;
  readonly storage: { readonly bytes: number; readonly limit: number | null; readonly isOwnLimit: boolean };
}

function storageText({ slug, storage: { bytes, limit, isOwnLimit } }: Stored): string {
  const most = limit === null ? "without a limit" : `of ${bytesText(limit)}${isOwnLimit ? ", a limit of its own" : ""}`;
  return `${printable(slug)} stores ${bytesText(bytes)} ${most}`;
}

function limitIn(value: string): number | "default" {
  if (value === "default") return value;
  const bytes = Number(value);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError("Use a whole number of bytes, or default.");
}

function addStorage(projects: Command): void {
  projects
    .command("storage")
    .description("show what a project stores and its limit; --limit sets one of its own, as an administrator")
    .argument("<project>", "id or slug")
    .option("--limit <bytes>", "the most it may store; default: as the configuration says", limitIn)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism projects storage ops\n  $ prism projects storage ops --limit 5368709120",
    )
    .action((project: string, { limit }: { readonly limit?: number | "default" }, command: Command) =>
      online(command, async (server, { out }) => {
        const storageBytes = limit === "default" ? null : limit;
        if (storageBytes !== undefined) await server.change("PATCH", pathOf(project), { storageBytes });
        const { slug, storage } = await server.get<Stored>(pathOf(project));
        out.result({ slug, ...storage }, () => storageText({ slug, storage }));
      }),
    );
}

interface AddFlags {
  readonly role: string;
  readonly keepKeys?: boolean;
}

function addMembers(projects: Command): void {
  projects
    .command("members")
    .description("list the members of a project")
    .argument("<project>", "id or slug")
    .addHelpText("after", "\nExample:\n  $ prism projects members ops")
    .action((project: string, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const members = await everyItem<Member>(server, pathOf(project, "/members"));
        out.result({ members }, () => membersTable(members));
      }),
    );
  projects
    .command("add-member")
    .description("add a user to a project, or change the role; a mail address gets an invitation")
    .argument("<project>", "id or slug")
    .argument("<user>", "id, external id or username, or a mail address")
    .addOption(new Option("--role <role>", "role of the member").choices(ROLES).default(DEFAULT_ROLE))
    .option(
      "--keep-keys",
      "for a lower role: keep the API keys that the member made; they belong to you or another owner",
    )
    .addHelpText("after", "\nExamples:\n  $ prism projects add-member ops ann --role editor")
    .action((project: string, user: string, { role, keepKeys }: AddFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const made = await server.post<Member & Leftovers & { readonly email?: string; readonly inviteUrl?: string }>(
          pathOf(project, "/members"),
          { userId: user, role, ...(keepKeys === true ? { keepKeys } : {}) },
        );
        out.result(made, () =>
          made.email === undefined ? [...membersTable([made]), ...leftoverLines(made)] : (made.inviteUrl ?? ""),
        );
        if (made.email !== undefined) out.note(`${printable(made.email)} is invited as ${made.role}.`);
      }),
    );
  projects
    .command("remove-member")
    .description("remove a member from a project")
    .argument("<project>", "id or slug")
    .argument("<user>", "id, external id, username or mail address; me to leave it")
    .option("--keep-keys", "keep the API keys that the member made; they are revoked otherwise")
    .addHelpText("after", "\nExample:\n  $ prism projects remove-member ops ann")
    .action((project: string, user: string, { keepKeys }: { readonly keepKeys?: boolean }, command: Command) =>
      online(command, async (server, { out }) => {
        const query = keepKeys === true ? "?keepKeys=true" : "";
        const left = await server.delete<Leftovers | undefined>(
          pathOf(project, `/members/${encodeURIComponent(user)}${query}`),
        );
        out.result({ project, user, removed: true, ...left }, () => [
          `${printable(user)} is no longer a member of ${printable(project)}`,
          ...leftoverLines(left ?? {}),
        ]);
      }),
    );
}

interface LostRights extends Member {
  readonly projectId: string;
  readonly slug: string;
  readonly rights: readonly string[];
  readonly roleWithThem: string;
}

interface RaiseFlags {
  readonly project?: string;
  readonly all?: boolean;
  readonly role?: string;
  readonly keep?: boolean;
}

function lostTable(lost: readonly LostRights[]): string[] {
  if (lost.length === 0) return ["no member has lost rights"];
  return table(
    ["PROJECT", "USER ID", "USERNAME", "ROLE", "LOST", "ROLE WITH THEM"],
    lost.map((row) => [row.slug, row.userId, row.username, row.role, row.rights.join(" "), row.roleWithThem]),
  );
}

/** Setting a role, also the same one, removes the member from the list. */
function addRaise(projects: Command): void {
  projects
    .command("raise")
    .description("list members whose server roles gave them more before only the role in a project counted; raise them")
    .argument("[user]", "id or username of the only member to raise")
    .option("--all", "raise all of them; owners are made only with --role owner")
    .option("--project <project>", "only members of this project: id or slug")
    .addOption(
      new Option("--role <role>", "give this role, in place of the least that has the lost rights").choices(ROLES),
    )
    .option("--keep", "keep their roles, and list them no longer")
    .addHelpText("after", "\nExamples:\n  $ prism projects raise\n  $ prism projects raise --all")
    .action((user: string | undefined, flags: RaiseFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { data } = await server.get<{ readonly data: LostRights[] }>("/api/v1/members/lost-rights");
        const listed = data.filter(
          (row) =>
            (user === undefined || row.userId === user || row.username === user) &&
            (flags.project === undefined || row.projectId === flags.project || row.slug === flags.project),
        );
        if (user === undefined && flags.all !== true) {
          out.result({ members: listed }, () => lostTable(listed));
          if (listed.length > 0)
            out.note("prism projects raise --all gives these roles, other than owner; --keep leaves them as they are.");
          return;
        }
        if (user !== undefined && listed.length === 0)
          throw new CommandError(EXIT.notFound, `${printable(user)} has lost no rights`);
        // An owner manages members and keys: more than was lost, so each is named.
        const isSkipped = (row: LostRights) =>
          user === undefined && row.roleWithThem === "owner" && flags.role === undefined && flags.keep !== true;
        const lost = listed.filter((row) => !isSkipped(row));
        const members: (Member & { readonly slug: string })[] = [];
        for (const { projectId, slug, userId, ...row } of lost) {
          const role = flags.keep === true ? row.role : (flags.role ?? row.roleWithThem);
          const path = pathOf(projectId, `/members/${encodeURIComponent(userId)}`);
          members.push({ ...(await server.change<Member>("PATCH", path, { role })), slug });
        }
        out.result({ members }, () =>
          table(
            ["PROJECT", "USER ID", "USERNAME", "ROLE"],
            members.map(({ slug, userId, username, role }) => [slug, userId, username, role]),
          ),
        );
        for (const row of listed.filter(isSkipped))
          out.note(
            `Not raised: ${printable(row.username ?? row.userId)} in ${row.slug} would be an owner: ` +
              `prism projects raise ${row.userId} --project ${row.slug}`,
          );
      }),
    );
}

/** Projects and their members on a running server. */
export function addProjects(program: Command): void {
  const projects = program
    .command("projects")
    .description("list, create, rename and delete projects; storage; list, add, raise and remove members")
    .addHelpText("after", "\nExamples:\n  $ prism projects list\n  $ prism projects members default");
  addManageProjects(projects);
  addStorage(projects);
  addMembers(projects);
  addRaise(projects);
}
