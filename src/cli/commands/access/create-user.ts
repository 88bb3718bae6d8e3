import { type Command, Option } from "commander";
import { nearestName } from "../../../config/nearest.ts";
import { cleanText, codePointLength } from "../../../core/clean-text.ts";
import { isUuid } from "../../../core/ids.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { contextOf } from "../../context.ts";
import { asOperator } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { readNewPassword } from "./prompt.ts";

/** Canonical role names, without duplicates. @throws CommandError 6 with the nearest role */
export function knownRoles(given: readonly string[], known: readonly string[]): string[] {
  const roles = given.map((name) => {
    const found = known.find((each) => each.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
    const nearest = nearestName(name, known);
    const hint = nearest ? `did you mean ${nearest}?` : `there are ${known.join(", ")}`;
    throw new CommandError(EXIT.notFound, `there is no role ${name}; ${hint}`);
  });
  return [...new Set(roles)];
}

export async function roleNames(api: ServerClient): Promise<readonly string[]> {
  const { data } = await api.get<{ readonly data: readonly { readonly name: string }[] }>("/api/v1/roles");
  return data.map(({ name }) => name).sort();
}

interface Flags {
  readonly id?: string;
  readonly externalId?: string;
  readonly phone?: string;
  readonly email?: string;
  readonly username?: string;
  readonly name?: string;
  readonly role?: readonly string[];
  readonly status: UserStatus;
  readonly password?: boolean;
  readonly stdin?: boolean;
}

/** Default roles of an approved account. */
const DEFAULT_ROLES = ["User"];
const MAX_NAME = 255;
const MAX_EXTERNAL_ID = 128;

export function addCreateUser(user: Command): void {
  user
    .command("create")
    .description("create a user")
    .option("--email <address>", "mail address")
    .option("--username <name>", "3 to 64 of a-z, 0-9, dot, dash, underscore")
    .option("--phone <number>", "phone number with country code, such as +4930123456")
    .option("--external-id <id>", "id of the user in another program")
    .option("--id <uuid>", "id of the account (default: a new one)")
    .option("--name <name>", "display name")
    .option("--role <name>", "role of the user; may be given several times (default: User)", collectFlag)
    .addOption(new Option("--status <status>", "state of the account").choices(USER_STATUSES).default("active"))
    .option("--password", "ask for a password; without this option the account has none")
    .option("--stdin", "read that password from stdin")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism user create --username admin --role Admin --password\n" +
        "  $ prism user create --email ann@example.org --name 'Ann Lee' --role Operator --role RuleManager",
    )
    .action(async (flags: Flags, command: Command) => create(flags, command));
}

async function create(flags: Flags, command: Command): Promise<void> {
  const context = contextOf(command);
  const { id, externalId, email, username, phone, status } = flags;
  if ([email, username, externalId].every((flag) => flag === undefined))
    throw new CommandError(EXIT.usage, "give --username, --email or --external-id");
  if (id !== undefined && !isUuid(id))
    throw new CommandError(EXIT.conflict, "--id must be a UUID in its canonical lower-case form");
  if (externalId !== undefined && (externalId === "" || codePointLength(externalId) > MAX_EXTERNAL_ID))
    throw new CommandError(EXIT.conflict, `--external-id must be 1 to ${MAX_EXTERNAL_ID} characters long`);
  const name = cleanText(flags.name ?? "");
  if (codePointLength(name) > MAX_NAME)
    throw new CommandError(EXIT.conflict, `--name is longer than ${MAX_NAME} characters`);
  const hasPassword = flags.password === true || flags.stdin === true;
  const password = hasPassword ? await readNewPassword(flags.stdin === true) : undefined;
  const created = await asOperator(command, async (api) => {
    const roles = knownRoles(flags.role ?? DEFAULT_ROLES, await roleNames(api));
    const named = name === "" ? {} : { name };
    const names = { id, externalId, email, username, phone };
    return api.post<CreatedUser>("/api/v1/operator/users", { ...names, status, roles, password, ...named });
  });
  const label = printable(created.username ?? created.email ?? created.externalId ?? created.id);
  context.out.result(created, () => userLine(created));
  if (!hasPassword) context.out.note(`A password for ${label}: prism user passwd ${label}`);
  context.out.note(`A token for ${label}: prism token create --user ${label}`);
}

export const USER_STATUSES: readonly UserStatus[] = ["pending", "active", "disabled", "unverified"];

interface CreatedUser {
  readonly id: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly externalId: string | null;
  readonly status: string;
  readonly roles: readonly string[];
}

/** One account in a line, for people. */
export function userLine(user: CreatedUser): string {
  const label = printable(user.username ?? user.email ?? user.externalId ?? user.id);
  return `${user.id}  ${label}  ${user.status}  ${user.roles.join(", ") || "-"}`;
}
