import { type Command, InvalidArgumentError, Option } from "commander";
import type { IssuedApiKey } from "../../../client/api-types.gen.ts";
import { toRfc3339 } from "../../../core/clock.ts";
import { KEY_SCOPES, PERMISSIONS, TOKEN_SCOPES } from "../../../core/permissions.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, futureFlag, listFlag, timeOf } from "../../output/flag-values.ts";
import { requireFuture, requireLabel } from "../../output/text.ts";
import { callOf, resource, type Values } from "../../resource.ts";

const TOKENS = "/api/v1/operator/tokens";
const MAX_GRACE_MS = 604_800_000;
/** Default time in which producers can switch to the new key. */
const DEFAULT_GRACE_MS = 86_400_000;

/** Flags of a new key or token. */
const NAMED = ["--name <name>", "name that shows what it is for", "cli"] as const;
const EXPIRES = [
  "--expires <time>",
  "expiry: a time, a day, or a duration from now such as 30d (default: never)",
  futureFlag,
] as const;
const ALL = ["--all", "also list revoked and expired ones"] as const;
/** Columns after the owner of a credential. */
const CREDENTIAL = {
  ...{ NAME: "name", PREFIX: "prefix", STATE: "state", EXPIRES: "expiresAt", "LAST USED": "lastUsedAt" },
  SCOPES: "scopes",
};

/** @throws CommandError 7 */
function checkNew({ name, expires }: Values): Values {
  const label = requireLabel(String(name), "--name");
  requireFuture(expires as number | undefined);
  return { name: label, expiresAt: timeOf(expires) };
}

/** The credentials of a list, and what is said without any. */
function listing(of: string, as: "keys" | "tokens") {
  return {
    as,
    none: null,
    get: async ({ server, given }: { readonly server: ServerClient; readonly given: Values }) =>
      (await callOf<Record<string, unknown>>(server, of, { ...given, all: String(given["all"] === true) }))[as],
    after(found: readonly object[], { out }: { readonly out: { note(text: string): void } }) {
      if (found.length === 0) out.note(`There are no such ${as}.`);
    },
  } as const;
}

/** A key with its project. @throws API_KEY_NOT_FOUND, also for a key of a project other than `expected` */
async function keyOf(server: ServerClient, keyId: unknown, expected: unknown) {
  const { projectId } = await callOf(server, "GET /api/v1/operator/keys/{keyId}", { keyId, project: expected });
  return { id: projectId, keyId };
}

type Issued = IssuedApiKey & { readonly project: { readonly id: string; readonly slug?: string } };

/** Prints only the key on stdout, for shells; with --json all its data. */
const ISSUED = {
  json: ({ id, project, name, prefix, scopes, expiresAt, key }: Issued) => ({
    ...{ id, projectId: project.id, name, prefix, scopes, expiresAt, key },
  }),
  say: "{key}",
};

function graceFlag(text: string): number {
  const graceMs = durationFlag(text);
  if (graceMs > MAX_GRACE_MS) throw new InvalidArgumentError("Use 7d at most.");
  return graceMs;
}

/** API keys of projects, and the app of the Pusher server. */
export function addKey(program: Command): void {
  const ofProject = ["--project <project>", "refuse unless it is a key of this project"] as const;
  resource(program, "key", "id", {
    alias: "keys",
    operator: true,
    text: "create, list, rotate and revoke API keys of projects; show the app of the Pusher server",
    examples: [
      "$ KEY=$(prism key create --project shop --name webshop)",
      "key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h",
    ],
    verbs: {
      create: {
        text: "create an API key; it is printed once, alone on stdout",
        about: `Scopes: ${KEY_SCOPES.join(", ")}`,
        examples: [
          "$ KEY=$(prism key create --name webshop)",
          "--project shop --scopes events:write --expires 90d --json",
        ],
        flags: {
          project: ["--project <project>", "id or slug of the project", "default"],
          name: NAMED,
          scopes: [
            "--scopes <list>",
            "comma separated (default: events:write,events:read,silences:write)",
            listFlag(KEY_SCOPES),
          ],
          expires: EXPIRES,
        },
        check: checkNew,
        async get({ server, given: { project: ref, name, scopes, expiresAt } }) {
          const project = await callOf(server, "getProject", { id: ref });
          const { id } = project;
          return { ...(await callOf(server, "createApiKey", { id, name, scopes, expiresAt })), project };
        },
        ...ISSUED,
        after: ({ id, project }: Issued, { out }) =>
          out.note(`Key ${id} of project ${project.slug}. It is not shown again.`),
      },
      list: {
        ...listing("GET /api/v1/operator/keys", "keys"),
        text: "list API keys, without their secrets",
        examples: ["", "--project shop --all --json"],
        flags: { project: ["--project <project>", "only keys of this project: id or slug"], all: ALL },
        columns: { ID: "id", PROJECT: "project", ...CREDENTIAL },
      },
      rotate: {
        text: "replace an API key; the new key is printed once, alone on stdout",
        about: `To change the encryption key, set PRISM_ENCRYPTION_KEY to the new key and PRISM_PREVIOUS_ENCRYPTION_KEYS to the old
one, restart the server, and run prism key rotate --encryption. Run it again if it was interrupted: it continues.`,
        examples: ["0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h", "--encryption"],
        args: { id: ["[id]", "id of the old key, from prism key list"] },
        flags: {
          project: ofProject,
          graceMs: new Option(
            "--grace <duration>",
            "time that the old key still works, at most 7d; 0 revokes it at once",
          )
            .argParser(graceFlag)
            .default(DEFAULT_GRACE_MS, "24h"),
          encryption: ["--encryption", "instead: re-encrypt stored secrets with the present encryption key"],
        },
        check({ id, encryption }) {
          if ((id === undefined) !== (encryption === true))
            throw new CommandError(EXIT.usage, "give the id of a key, or --encryption");
        },
        async act(context, { encryption }) {
          if (encryption !== true) return false;
          return (await import("../server/rotate-encryption.ts")).rotateEncryption(context);
        },
        async get({ server, given: { id: keyId, project, graceMs } }) {
          const key = await keyOf(server, keyId, project);
          return { ...(await callOf(server, "rotateApiKey", { ...key, graceMs })), project: { id: key.id } };
        },
        ...ISSUED,
        after({ id: issued }: Issued, { out, given: { id, graceMs } }) {
          const until = toRfc3339(Date.now() + Number(graceMs));
          const end = graceMs === 0 ? "is revoked" : `works until ${until} (prism key revoke ${id} revokes it now)`;
          out.note(`Key ${issued} is not shown again; ${id} ${end}.`);
        },
      },
      revoke: {
        text: "revoke an API key; the next request with it is refused",
        examples: ["0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        args: { id: ["<id>", "id of the key, from prism key list"] },
        flags: { project: ofProject },
        async get({ server, given: { id, project } }) {
          await callOf(server, "revokeApiKey", await keyOf(server, id, project));
          return { id, revoked: true };
        },
        say: "{id} is revoked",
      },
      pusher: {
        text: "show id, key and secret of the Pusher server's app, for backends; pages need only the key",
        about: "The secret of an app in the configuration (pusher.appId, key and secret) is neither shown nor rotated.",
        examples: ["", "--rotate --json"],
        flags: { rotate: ["--rotate", "replace the secret first; no server may run on the data directory"] },
        async act(context, { rotate }) {
          await (await import("../server/show-pusher-app.ts")).showPusherApp(context, { rotate: rotate === true });
        },
      },
    },
  });
}

interface IssuedToken {
  readonly id: string;
  readonly token: string;
  readonly user: { readonly id: string; readonly label: string; readonly status: string };
}

/** Service tokens of users. */
export function addToken(program: Command): void {
  resource(program, "token", "id", {
    alias: "tokens",
    operator: true,
    text: "create, list and revoke service tokens of users",
    examples: ["$ export PRISM_TOKEN=$(prism token create --user admin)", "token list --user admin"],
    verbs: {
      create: {
        text: "create a service token; it is printed once, alone on stdout",
        examples: [
          "$ export PRISM_TOKEN=$(prism token create --user admin --name laptop)",
          "--user ci --scopes events:write,events:read --expires 90d",
        ],
        flags: {
          user: new Option("--user <user>", "owner: username, mail address, external id or id").makeOptionMandatory(),
          name: NAMED,
          scopes: [
            "--scopes <list>",
            "comma separated: permissions, account:own, notifications:own (default: all)",
            listFlag(TOKEN_SCOPES),
          ],
          expires: EXPIRES,
        },
        check: checkNew,
        of: `POST ${TOKENS}`,
        values: ({ expires: _expires, ...given }) => given,
        json: ({ id, user, token }: IssuedToken, { given: { name, scopes = TOKEN_SCOPES, expiresAt = null } }) => ({
          ...{ id, userId: user.id, name, scopes, expiresAt, token },
        }),
        say: "{token}",
        after({ id, user }: IssuedToken, { out, given: { expiresAt } }) {
          const ends = expiresAt === undefined ? "without expiry" : `valid until ${expiresAt}`;
          out.note(`Token ${id} of ${user.label}, ${ends}. It is not shown again.`);
          if (user.status !== "active") out.note(`The account is ${user.status}: the token works once it is active.`);
        },
      },
      list: {
        ...listing(`GET ${TOKENS}`, "tokens"),
        text: "list service tokens, without their secrets",
        examples: ["", "--user admin --all --json"],
        flags: { user: ["--user <user>", "only tokens of this user"], all: ALL },
        columns: {
          ...{ ID: "id", USER: "user", ...CREDENTIAL },
          SCOPES: ({ scopes }: { readonly scopes: readonly string[] }) =>
            PERMISSIONS.every((permission) => scopes.includes(permission)) ? "all" : scopes.join(","),
        },
      },
      revoke: {
        text: "revoke a service token; the next request with it is refused",
        examples: ["0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        args: { id: ["<id>", "id of the token, from prism token list"] },
        of: `DELETE ${TOKENS}/{id}`,
        json: (_none, { given: { id } }) => ({ id, revoked: true }),
        lines: (_none, { given: { id } }) => `${id} is revoked`,
      },
    },
  });
}
