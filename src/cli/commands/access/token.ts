import type { Command } from "commander";
import { toRfc3339 } from "../../../core/clock.ts";
import { PERMISSIONS, TOKEN_SCOPES, type TokenScope } from "../../../core/permissions.ts";
import { contextOf } from "../../context.ts";
import { asOperator } from "../../on-server.ts";
import { futureFlag, listFlag } from "../../output/flag-values.ts";
import { table } from "../../output/output.ts";
import { requireFuture, requireLabel } from "../../output/text.ts";

const PATH = "/api/v1/operator/tokens";

/** A credential in a list: without its secret. */
export interface ShownCredential {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly state: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly scopes: readonly string[];
}

interface ShownToken extends ShownCredential {
  readonly user: string | null;
}

type CredentialRow = Omit<ShownCredential, "scopes"> & { readonly of: string | null; readonly scopes: string };

/** @param heading of the column with the owners */
export function credentialsTable(heading: string, rows: readonly CredentialRow[]): string[] {
  return table(
    ["ID", heading, "NAME", "PREFIX", "STATE", "EXPIRES", "LAST USED", "SCOPES"],
    rows.map((row) => [row.id, row.of, row.name, row.prefix, row.state, row.expiresAt, row.lastUsedAt, row.scopes]),
  );
}

interface IssuedToken {
  readonly id: string;
  readonly token: string;
  readonly user: { readonly id: string; readonly label: string; readonly status: string };
}

interface ListTokensFlags {
  readonly user?: string;
  readonly all?: boolean;
}

function addListTokens(token: Command): void {
  token
    .command("list")
    .description("list service tokens, without their secrets")
    .option("--user <user>", "only tokens of this user")
    .option("--all", "also list revoked and expired ones")
    .addHelpText("after", "\nExamples:\n  $ prism token list\n  $ prism token list --user admin --all --json")
    .action(async (flags: ListTokensFlags, command: Command) => {
      const { out } = contextOf(command);
      const query = { user: flags.user, all: String(flags.all === true) };
      const { tokens } = await asOperator(command, (api) =>
        api.get<{ readonly tokens: readonly ShownToken[] }>(PATH, query),
      );
      const isFull = (scopes: readonly string[]) => PERMISSIONS.every((permission) => scopes.includes(permission));
      out.result({ tokens }, () =>
        credentialsTable(
          "USER",
          tokens.map((each) => ({
            ...each,
            of: each.user,
            scopes: isFull(each.scopes) ? "all" : each.scopes.join(","),
          })),
        ),
      );
      if (tokens.length === 0) out.note("There are no such tokens.");
    });
}

interface CreateTokenFlags {
  readonly user: string;
  readonly name: string;
  readonly scopes?: readonly TokenScope[];
  readonly expires?: number;
}

function addCreateToken(token: Command): void {
  token
    .command("create")
    .description("create a service token; it is printed once, alone on stdout")
    .requiredOption("--user <user>", "owner: username, mail address, external id or id")
    .option("--name <name>", "name that shows what it is for", "cli")
    .option(
      "--scopes <list>",
      "comma separated: permissions, account:own, notifications:own (default: all)",
      listFlag(TOKEN_SCOPES),
    )
    .option(
      "--expires <time>",
      "expiry: a time, a day, or a duration from now such as 30d (default: never)",
      futureFlag,
    )
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ export PRISM_TOKEN=$(prism token create --user admin --name laptop)\n" +
        "  $ prism token create --user ci --scopes events:write,events:read --expires 90d",
    )
    .action(async (flags: CreateTokenFlags, command: Command) => {
      const context = contextOf(command);
      const name = requireLabel(flags.name, "--name");
      requireFuture(flags.expires);
      const end = flags.expires === undefined ? undefined : toRfc3339(flags.expires);
      const { scopes } = flags;
      const issued = await asOperator(command, (api) =>
        api.post<IssuedToken>(PATH, { user: flags.user, name, scopes, expiresAt: end }),
      );
      const { user } = issued;
      const expiresAt = end ?? null;
      const shown = { id: issued.id, userId: user.id, name, scopes: scopes ?? TOKEN_SCOPES, expiresAt };
      context.out.result({ ...shown, token: issued.token }, () => issued.token);
      const ends = expiresAt === null ? "without expiry" : `valid until ${expiresAt}`;
      context.out.note(`Token ${issued.id} of ${user.label}, ${ends}. It is not shown again.`);
      if (user.status !== "active")
        context.out.note(`The account is ${user.status}: the token works once it is active.`);
    });
}

function addRevokeToken(token: Command): void {
  token
    .command("revoke")
    .description("revoke a service token; the next request with it is refused")
    .argument("<id>", "id of the token, from prism token list")
    .addHelpText("after", "\nExample:\n  $ prism token revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(async (id: string, _flags: object, command: Command) => {
      await asOperator(command, (api) => api.delete(`${PATH}/${encodeURIComponent(id)}`));
      contextOf(command).out.result({ id, revoked: true }, () => `${id} is revoked`);
    });
}

/** Service tokens of users. */
export function addToken(program: Command): void {
  const token = program
    .command("token")
    .alias("tokens")
    .description("create, list and revoke service tokens of users")
    .addHelpText(
      "after",
      "\nExamples:\n  $ export PRISM_TOKEN=$(prism token create --user admin)\n  $ prism token list --user admin",
    );
  addCreateToken(token);
  addListTokens(token);
  addRevokeToken(token);
}
