import { type Command, InvalidArgumentError, Option } from "commander";
import type { IssuedApiKey, IssuedIntegration } from "../../../client/api-types.gen.ts";
import { KEY_SCOPES, PERMISSIONS, TOKEN_SCOPES } from "../../../core/permissions.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag, durationFlag, futureFlag, listFlag, timeOf } from "../../output/flag-values.ts";
import { requireFuture, requireLabel } from "../../output/text.ts";
import { callOf, listOf, resource, tableOf, type Values } from "../../resource.ts";
import { labelsOf, labelText } from "../alerts/shared.ts";

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

/** The credentials of a list. */
function listing(of: string, as: "keys" | "tokens") {
  return {
    as,
    get: async ({ server, given }: { readonly server: ServerClient; readonly given: Values }) =>
      (await callOf<Record<string, unknown>>(server, of, { ...given, all: String(given["all"] === true) }))[as],
  } as const;
}

/** Programs that speak another service's API have keys of that kind; the API calls them integrations. */
const KINDS = ["opsgenie", "pagerduty"] as const;
const kindFlag = (text: string): Option => new Option("--kind <kind>", text).choices(KINDS);

async function issueOfKind(server: ServerClient, { project: ref, kind, name, labels }: Values): Promise<Issued> {
  const project = await callOf(server, "getProject", { id: ref });
  const given = labels === undefined ? {} : { labels: labelsOf(labels as readonly string[]) };
  return { ...(await callOf(server, "createIntegration", { projectId: project.id, kind, name, ...given })), project };
}

async function keysOfKind(server: ServerClient, { project, kind }: Values): Promise<Row[]> {
  const projects =
    project === undefined
      ? await listOf(server, "listProjects", {})
      : [await callOf(server, "getProject", { id: project })];
  const lists = projects.map(async ({ id: projectId, slug }) =>
    (await listOf(server, "listIntegrations", { projectId })).map((each) => ({ ...each, project: slug })),
  );
  const all = (await Promise.all(lists)).flat();
  return kind === undefined ? all : all.filter((each) => each.kind === kind);
}

type Row = Readonly<Record<string, unknown>>;

/** Checks the key of another service's API. @throws CommandError 6, also for a key of another kind or project */
async function requireOfKind(server: ServerClient, { id, kind, project }: Values): Promise<void> {
  const found = await callOf(server, "getIntegration", { id });
  const expected = project === undefined ? found.projectId : (await callOf(server, "getProject", { id: project })).id;
  if (found.kind !== kind || found.projectId !== expected)
    throw new CommandError(
      EXIT.notFound,
      `there is no ${kind} key ${id}${project === undefined ? "" : ` in ${project}`}`,
    );
}

/** A key with its project. @throws API_KEY_NOT_FOUND, also for a key of a project other than `expected` */
async function keyOf(server: ServerClient, keyId: unknown, expected: unknown) {
  const { projectId } = await callOf(server, "GET /api/v1/operator/keys/{keyId}", { keyId, project: expected });
  return { id: projectId, keyId };
}

type Issued = Pick<IssuedApiKey, "id" | "name" | "prefix" | "key"> &
  Partial<Pick<IssuedApiKey, "scopes" | "expiresAt"> & Pick<IssuedIntegration, "kind" | "labels">> & {
    readonly project: { readonly id: string; readonly slug?: string };
  };

/** Prints only the key on stdout, for shells; with --json all its data. */
const ISSUED = {
  json: ({ id, project, name, prefix, scopes, expiresAt, kind, labels, key }: Issued) => ({
    ...{ id, projectId: project.id, name, prefix, scopes, expiresAt, kind, labels, key },
  }),
  say: "{key}",
};

function graceFlag(text: string): number {
  const graceMs = durationFlag(text);
  if (graceMs > MAX_GRACE_MS) throw new InvalidArgumentError("Use 7d at most.");
  return graceMs;
}

const API_KEYS = listing("GET /api/v1/operator/keys", "keys");
/** API keys, and those of other services' APIs, which have a kind; with `--kind` only those of it. */
async function allKeys({ server, given }: { readonly server: ServerClient; readonly given: Values }): Promise<Row[]> {
  if (given["kind"] !== undefined) return keysOfKind(server, given);
  const apiKeys = (await API_KEYS.get({ server, given })) as Row[];
  return [...apiKeys, ...(await keysOfKind(server, given))];
}

const hasKind = ({ kind }: Row): boolean => kind !== undefined;

function keyLines(rows: readonly Row[], { kind }: Values): string[] {
  if (kind !== undefined) return tableOf(OF_KIND, rows);
  const [apiKeys, others] = [rows.filter((row) => !hasKind(row)), rows.filter(hasKind)];
  const { ID, PROJECT, ...more } = OF_KIND;
  return [
    ...(apiKeys.length > 0 ? tableOf({ ID: "id", PROJECT: "project", ...CREDENTIAL }, apiKeys) : []),
    ...(apiKeys.length > 0 && others.length > 0 ? [""] : []),
    ...(others.length > 0 ? tableOf({ ID, PROJECT, KIND: "kind", ...more }, others) : []),
  ];
}

const OF_KIND = {
  ...{ ID: "id", PROJECT: "project", NAME: "name", PREFIX: "prefix", "LAST USED": "lastUsedAt" },
  LABELS: ({ labels }: IssuedIntegration) => labelText(labels),
};

/** API keys of projects, and the app of the Pusher server. */
export function addKey(program: Command): void {
  const ofProject = ["--project <project>", "refuse unless it is a key of this project"] as const;
  const ofKind = kindFlag("a key for this service's API, instead of an API key");
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
          "--kind opsgenie --name Zabbix --label team=platform",
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
          kind: kindFlag("for a program that speaks this service's API, instead of an API key"),
          labels: ["--label <label>", "with --kind: a label of each of its alerts, such as team=db", collectFlag],
        },
        // Keys of a kind have all rights of their API, and do not expire.
        excludes: [
          ["kind", "scopes"],
          ["kind", "expires"],
        ],
        check(given) {
          if (given["kind"] === undefined && given["labels"] !== undefined)
            throw new CommandError(EXIT.usage, "--label needs --kind");
          return checkNew(given);
        },
        changes: true,
        async get({ server, given }): Promise<Issued> {
          const { project: ref, kind, name, scopes, expiresAt } = given;
          if (kind !== undefined) return issueOfKind(server, given);
          const project = await callOf(server, "getProject", { id: ref });
          const { id } = project;
          return { ...(await callOf(server, "createApiKey", { id, name, scopes, expiresAt })), project };
        },
        ...ISSUED,
        after: ({ id, project }: Issued, { out }) =>
          out.note(`Key ${id} of project ${project.slug}. It is not shown again.`),
      },
      list: {
        as: "keys",
        text: "list keys, without their secrets: API keys, then those for other services' APIs",
        examples: ["", "--project shop --all --json"],
        flags: {
          project: ["--project <project>", "only keys of this project: id or slug"],
          all: ALL,
          kind: kindFlag("only keys for this service's API"),
        },
        // Revoked keys of a kind are deleted, and they do not expire.
        excludes: [["kind", "all"]],
        get: allKeys,
        // Programs that read `keys` expect API keys only.
        json: (rows: readonly Row[], { given }) =>
          given["kind"] === undefined
            ? { keys: rows.filter((row) => !hasKind(row)), keysOfKinds: rows.filter(hasKind) }
            : { keys: rows },
        rows: (rows: readonly Row[], { given }) => keyLines(rows, given),
      },
      rotate: {
        text: "replace an API key; the new key is printed once, alone on stdout",
        about: `To change the encryption key, set PRISM_ENCRYPTION_KEY to the new key and PRISM_PREVIOUS_ENCRYPTION_KEYS to the old
one, restart the server, and run prism key rotate --encryption. Run it again if it was interrupted: it continues.`,
        examples: ["0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h", "--encryption"],
        args: { id: ["[id]", "id of the old key, from prism key list"] },
        flags: {
          project: ofProject,
          kind: ofKind,
          graceMs: new Option(
            "--grace <duration>",
            "time that the old key still works, at most 7d; 0 revokes it at once",
          )
            .argParser(graceFlag)
            .default(DEFAULT_GRACE_MS, "24h"),
          encryption: ["--encryption", "instead: re-encrypt stored secrets with the present encryption key"],
        },
        excludes: [
          ["encryption", "graceMs"],
          ["encryption", "project"],
          ["encryption", "kind"],
        ],
        check({ id, encryption }) {
          if ((id === undefined) !== (encryption === true))
            throw new CommandError(EXIT.usage, "give the id of a key, or --encryption");
        },
        async act(context, { encryption }) {
          if (encryption !== true) return false;
          return (await import("../server/rotate-encryption.ts")).rotateEncryption(context);
        },
        changes: true,
        async get({ server, given }): Promise<Issued> {
          const { id, project, graceMs } = given;
          if (given["kind"] !== undefined) {
            await requireOfKind(server, given);
            const made = await callOf(server, "rotateIntegration", { id, graceMs });
            return { ...made, project: { id: made.projectId } };
          }
          const key = await keyOf(server, id, project);
          return { ...(await callOf(server, "rotateApiKey", { ...key, graceMs })), project: { id: String(key.id) } };
        },
        ...ISSUED,
        after({ id: issued }: Issued, { out, given: { id, graceMs, kind } }) {
          const until = toRfc3339(Date.now() + Number(graceMs));
          const works = graceMs === 0 ? "is revoked" : `works until ${until}`;
          // A key of a kind keeps its id: to revoke that would end the new one, too.
          const hint = graceMs === 0 || kind !== undefined ? "" : ` (prism key revoke ${id} revokes it now)`;
          out.note(`Key ${issued} is not shown again; ${kind === undefined ? id : "the old one"} ${works}${hint}.`);
        },
      },
      revoke: {
        text: "revoke an API key; the next request with it is refused",
        examples: ["0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60", "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f61 --kind opsgenie"],
        args: { id: ["<id>", "id of the key, from prism key list"] },
        flags: { project: ofProject, kind: ofKind },
        changes: true,
        async get({ server, given }) {
          const { id, project } = given;
          if (given["kind"] === undefined) await callOf(server, "revokeApiKey", await keyOf(server, id, project));
          else {
            await requireOfKind(server, given);
            await callOf(server, "deleteIntegration", { id });
          }
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
