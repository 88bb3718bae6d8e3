import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { PERMISSIONS, type Permission } from "../../../core/permissions.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import { pageBody, readPage } from "../../../http/pagination.ts";
import type { PusherRegistry } from "../../../live/protocols/pusher/pusher-registry.ts";
import type { Database } from "../../../store/database.ts";
import type { AccountMail } from "../accounts/account-mail.ts";
import type { OneTimeTokens } from "../accounts/one-time-tokens.ts";
import type { PasswordHasher } from "../accounts/password-hasher.ts";
import { requireStrong } from "../accounts/password-text.ts";
import { granterOf, permissionsOf, requireHeld, rolesByName } from "../accounts/role-grants.ts";
import type { UserLifecycle } from "../accounts/user-lifecycle.ts";
import { detailsOfUsers, findUser, userView } from "../accounts/user-view.ts";
import type { NewUser, UserAdmin } from "../user-admin.ts";
import { countUsers, listUsers, rolesOfUsers, type UserFilter } from "./queries.ts";

type NewAccount = Omit<NewUser, "roles"> & {
  readonly password?: string | undefined;
  readonly roles?: readonly string[] | undefined;
};

export interface UserAdminParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly pusherRegistry: PusherRegistry;
  readonly passwords: PasswordHasher;
  readonly userAdmin: UserAdmin;
  readonly oneTimeTokens: OneTimeTokens;
  readonly accountMail: AccountMail;
  readonly userLifecycle: UserLifecycle;
}

export class UserService {
  readonly #parts: UserAdminParts;

  constructor(parts: UserAdminParts) {
    this.#parts = parts;
  }

  /** @param viewer of whom it depends how much of each user is shown. */
  async list(filter: UserFilter, query: Parameters<typeof readPage>[0], viewer: UserPrincipal) {
    const { db, pusherRegistry } = this.#parts;
    const request = readPage(query, ["string"]);
    const rows = await listUsers(db.scan, filter, request);
    const total = request.wantsTotal ? await countUsers(db.scan, filter) : undefined;
    const ids = rows.map(({ id }) => id);
    const roles = await rolesOfUsers(db.read, ids);
    const details = await detailsOfUsers(
      db.read,
      pusherRegistry,
      ids.filter((id) => maySeeDetails(viewer, id)),
    );
    const viewOf = (row: (typeof rows)[number]) => {
      const held = roles.filter(({ userId }) => userId === row.id);
      const permissions = new Set(held.flatMap((role) => JSON.parse(role.permissions) as Permission[]));
      const user = {
        ...row,
        roles: held.map(({ name }) => name),
        permissions: PERMISSIONS.filter((permission) => permissions.has(permission)),
      };
      return userView(user, details.get(row.id));
    };
    return pageBody(request, rows, viewOf, ({ id }) => [id], total);
  }

  /** @throws USER_NOT_FOUND */
  async view(id: string, viewer: UserPrincipal) {
    const { db, pusherRegistry } = this.#parts;
    const details = await detailsOfUsers(db.read, pusherRegistry, maySeeDetails(viewer, id) ? [id] : []);
    return userView(await findUser(db.read, id), details.get(id));
  }

  /**
   * Makes an account. Without a password it is active with the first use of its invitation, which goes out by mail, or, where no mail can be
   * sent, is returned once for the administrator to hand over. An account that is made disabled is not invited.
   * @throws EMAIL_TAKEN and its like, WEAK_PASSWORD, INVALID_TIMEZONE, ROLE_NOT_FOUND, PRIVILEGE_ESCALATION, OVERLOADED
   */
  async create(account: NewAccount, creator: UserPrincipal) {
    const { db, passwords, userAdmin, oneTimeTokens, accountMail, config } = this.#parts;
    const { password, roles = ["User"], ...user } = account;
    if (password !== undefined && user.passwordHash !== undefined) throw bothPasswords();
    const hasPassword = password !== undefined || user.passwordHash !== undefined;
    const status = user.status ?? (hasPassword ? "active" : "pending");
    if (password !== undefined)
      requireStrong(password, config.auth.passwordMin, [user.email, user.username, user.phone]);
    const passwordHash = password === undefined ? user.passwordHash : await passwords.hash(password);
    const made = await db.write(async (trx) => {
      requireHeld(permissionsOf(await rolesByName(roles, trx)), granterOf(creator), "roles");
      const { id, email } = await userAdmin.create({ ...user, status, roles, passwordHash }, trx);
      const isInvited = !hasPassword && status !== "disabled";
      const invitation = isInvited ? await oneTimeTokens.create(id, "invite", trx) : null;
      const isMailed = invitation !== null && email !== null && accountMail.isConfigured;
      if (isMailed) await accountMail.invite(email, invitation, trx);
      return { id, invitation, isMailed };
    });
    const view = await this.view(made.id, creator);
    if (made.invitation === null || made.isMailed) return view;
    return { ...view, inviteUrl: accountMail.link("invite", made.invitation) };
  }
}

function bothPasswords(): PrismError {
  const message = "give password or passwordHash, not both";
  return new PrismError("VALIDATION_FAILED", message, { details: [{ path: "passwordHash", code: "VALUE", message }] });
}

function maySeeDetails({ userId, permissions }: UserPrincipal, id: string): boolean {
  return id === userId || permissions.has("users:manage");
}
