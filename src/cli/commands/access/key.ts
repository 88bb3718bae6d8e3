import { type Command, InvalidArgumentError, Option } from "commander";
import { toRfc3339 } from "../../../core/clock.ts";
import { KEY_SCOPES, type KeyScope } from "../../../core/permissions.ts";
import { type Context, contextOf } from "../../context.ts";
import { asOperator } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, futureFlag, listFlag } from "../../output/flag-values.ts";
import { requireFuture, requireLabel } from "../../output/text.ts";
import type { ServerClient } from "../../server-client.ts";
import { credentialsTable, type ShownCredential } from "./token.ts";

interface ShownKey extends ShownCredential {
  readonly project: string;
}

interface IssuedKey extends Pick<ShownKey, "id" | "name" | "prefix" | "scopes" | "expiresAt"> {
  readonly key: string;
}

/** @throws API_KEY_NOT_FOUND, also for a key of a project other than `expected` */
async function projectOfKey(api: ServerClient, id: string, expected: string | undefined): Promise<string> {
  const path = `/api/v1/operator/keys/${encodeURIComponent(id)}`;
  return (await api.get<{ readonly projectId: string }>(path, { project: expected })).projectId;
}

function keyPath(projectId: string, id: string): string {
  return `/api/v1/projects/${projectId}/keys/${id}`;
}

function addPusherKey(key: Command): void {
  key
    .command("pusher")
    .description("show id, key and secret of the Pusher server's app, for backends; pages need only the key")
    .option("--rotate", "replace the secret first; no server may run on the data directory")
    .addHelpText(
      "after",
      `
The secret of an app in the configuration (pusher.appId, key and secret) is neither shown nor rotated.

Examples:
  $ prism key pusher
  $ prism key pusher --rotate --json`,
    )
    .action(async ({ rotate = false }: { readonly rotate?: boolean }, command: Command) => {
      const { showPusherApp } = await import("../server/show-pusher-app.ts");
      await showPusherApp(contextOf(command), { rotate });
    });
}

interface ListKeysFlags {
  readonly project?: string;
  readonly all?: boolean;
}

function addListKeys(key: Command): void {
  key
    .command("list")
    .description("list API keys, without their secrets")
    .option("--project <project>", "only keys of this project: id or slug")
    .option("--all", "also list revoked and expired ones")
    .addHelpText("after", "\nExamples:\n  $ prism key list\n  $ prism key list --project shop --all --json")
    .action(async (flags: ListKeysFlags, command: Command) => {
      const { out } = contextOf(command);
      const query = { project: flags.project, all: String(flags.all === true) };
      const { keys } = await asOperator(command, (api) =>
        api.get<{ readonly keys: readonly ShownKey[] }>("/api/v1/operator/keys", query),
      );
      out.result({ keys }, () =>
        credentialsTable(
          "PROJECT",
          keys.map((each) => ({ ...each, of: each.project, scopes: each.scopes.join(",") })),
        ),
      );
      if (keys.length === 0) out.note("There are no such keys.");
    });
}

interface CreateKeyFlags {
  readonly project: string;
  readonly name: string;
  readonly scopes?: readonly KeyScope[];
  readonly expires?: number;
}

function addCreateKey(key: Command): void {
  key
    .command("create")
    .description("create an API key; it is printed once, alone on stdout")
    .option("--project <project>", "id or slug of the project", "default")
    .option("--name <name>", "name that shows what it is for", "cli")
    .option(
      "--scopes <list>",
      "comma separated (default: events:write,events:read,silences:write)",
      listFlag(KEY_SCOPES),
    )
    .option(
      "--expires <time>",
      "expiry: a time, a day, or a duration from now such as 30d (default: never)",
      futureFlag,
    )
    .addHelpText(
      "after",
      `\nScopes: ${KEY_SCOPES.join(", ")}\n` +
        `\nExamples:\n` +
        `  $ KEY=$(prism key create --name webshop)\n` +
        `  $ prism key create --project shop --scopes events:write --expires 90d --json`,
    )
    .action(async (flags: CreateKeyFlags, command: Command) => {
      const context = contextOf(command);
      const name = requireLabel(flags.name, "--name");
      requireFuture(flags.expires);
      const { scopes } = flags;
      const expiresAt = flags.expires === undefined ? undefined : toRfc3339(flags.expires);
      const { project, issued } = await asOperator(command, async (api) => {
        const ref = encodeURIComponent(flags.project);
        const project = await api.get<{ readonly id: string; readonly slug: string }>(`/api/v1/projects/${ref}`);
        const path = `/api/v1/projects/${project.id}/keys`;
        return { project, issued: await api.post<IssuedKey>(path, { name, scopes, expiresAt }) };
      });
      showIssuedKey(context, issued, project.id);
      context.out.note(`Key ${issued.id} of project ${project.slug}. It is not shown again.`);
    });
}

/** Prints only the key on stdout, for shells; with --json all its data. */
function showIssuedKey({ out }: Context, issued: IssuedKey, projectId: string): void {
  const { id, name, prefix, scopes, expiresAt, key } = issued;
  out.result({ id, projectId, name, prefix, scopes, expiresAt, key }, () => key);
}

function addRevokeKey(key: Command): void {
  key
    .command("revoke")
    .description("revoke an API key; the next request with it is refused")
    .argument("<id>", "id of the key, from prism key list")
    .option("--project <project>", "refuse unless it is a key of this project")
    .addHelpText("after", "\nExample:\n  $ prism key revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(async (id: string, flags: { readonly project?: string }, command: Command) => {
      await asOperator(command, async (api) => api.delete(keyPath(await projectOfKey(api, id, flags.project), id)));
      contextOf(command).out.result({ id, revoked: true }, () => `${id} is revoked`);
    });
}

/** API keys of projects, and the app of the Pusher server. */
export function addKey(program: Command): void {
  const key = program
    .command("key")
    .alias("keys")
    .description("create, list, rotate and revoke API keys of projects; show the app of the Pusher server")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ KEY=$(prism key create --project shop --name webshop)\n" +
        "  $ prism key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h",
    );
  addCreateKey(key);
  addListKeys(key);
  addRotateKey(key);
  addRevokeKey(key);
  addPusherKey(key);
}

interface Flags {
  readonly project?: string;
  readonly grace: number;
  readonly encryption?: boolean;
}

const MAX_GRACE_MS = 604_800_000;
/** Default time in which producers can switch to the new key. */
const DEFAULT_GRACE_MS = 86_400_000;

function addRotateKey(key: Command): void {
  key
    .command("rotate")
    .description("replace an API key; the new key is printed once, alone on stdout")
    .argument("[id]", "id of the old key, from prism key list")
    .option("--project <project>", "refuse unless it is a key of this project")
    .addOption(
      new Option("--grace <duration>", "time that the old key still works, at most 7d; 0 revokes it at once")
        .argParser(graceFlag)
        .default(DEFAULT_GRACE_MS, "24h"),
    )
    .option("--encryption", "instead: re-encrypt stored secrets with the present encryption key")
    .addHelpText(
      "after",
      `
To change the encryption key, set PRISM_ENCRYPTION_KEY to the new key and PRISM_PREVIOUS_ENCRYPTION_KEYS to the old
one, restart the server, and run prism key rotate --encryption. Run it again if it was interrupted: it continues.

Examples:
  $ prism key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h
  $ prism key rotate --encryption`,
    )
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      const context = contextOf(command);
      if ((id === undefined) !== (flags.encryption === true))
        throw new CommandError(EXIT.usage, "give the id of a key, or --encryption");
      if (id === undefined) {
        const { rotateEncryption } = await import("../server/rotate-encryption.ts");
        await rotateEncryption(context);
        return;
      }
      const { projectId, issued } = await asOperator(command, async (api) => {
        const projectId = await projectOfKey(api, id, flags.project);
        const path = `${keyPath(projectId, id)}/rotate`;
        return { projectId, issued: await api.post<IssuedKey>(path, { graceMs: flags.grace }) };
      });
      showIssuedKey(context, issued, projectId);
      const end =
        flags.grace === 0
          ? "is revoked"
          : `works until ${toRfc3339(Date.now() + flags.grace)} (prism key revoke ${id} revokes it now)`;
      context.out.note(`Key ${issued.id} is not shown again; ${id} ${end}.`);
    });
}

function graceFlag(text: string): number {
  const graceMs = durationFlag(text);
  if (graceMs > MAX_GRACE_MS) throw new InvalidArgumentError("Use 7d at most.");
  return graceMs;
}
