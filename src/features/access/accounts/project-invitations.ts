import { randomBytes } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { hashToken } from "../../../core/tokens.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import type { AuditService } from "../../audit/index.ts";
import { linkExpired } from "./one-time-tokens.ts";

const LIFE_MS = 7 * 24 * 3_600_000;
const TOKEN_BYTES = 32;
const MAX_OF_USER = 100;

export interface NewInvitation {
  readonly projectId: string;
  /** As login names are stored. */
  readonly email: string;
  readonly role: ProjectRole;
  /** A user's id. */
  readonly invitedBy: string;
}

/** An invitation that is open, with what the invited person is shown. */
export interface OpenInvitation extends NewInvitation {
  readonly id: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly projectName: string;
  readonly inviterName: string;
}

/** Invitations to projects by mail address. An invitation is open for a week, until it is accepted, declined or revoked. */
export class ProjectInvitations {
  readonly #clock: Clock;
  readonly #audit: AuditService;

  constructor(clock: Clock, audit: AuditService) {
    this.#clock = clock;
    this.#audit = audit;
  }

  /** Makes an invitation. One that the address has in this project gets the new role, a new link and a new week. */
  async invite(invitation: NewInvitation, trx: Trx): Promise<{ readonly id: string; readonly token: string }> {
    const { projectId, email, role } = invitation;
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const createdAt = this.#clock.now();
    const values = { ...invitation, hash: hashToken(token), createdAt, expiresAt: createdAt + LIFE_MS };
    const renewed = await trx
      .updateTable("project_invitations")
      .set(values)
      .where("projectId", "=", projectId)
      .where("email", "=", email)
      .where("endedAt", "is", null)
      .returning("id")
      .executeTakeFirst();
    const id = renewed?.id ?? uuidv7();
    if (!renewed)
      await trx
        .insertInto("project_invitations")
        .values({ id, ...values })
        .execute();
    await this.#record("invitation.create", projectId, { invitationId: id, role }, trx);
    return { id, token };
  }

  /** Of a project, the oldest first. */
  ofProject(projectId: string, limit: number, db: ReadDb | Trx): Promise<OpenInvitation[]> {
    return this.#open(db).where("i.projectId", "=", projectId).orderBy("i.id").limit(limit).execute();
  }

  /** Those to a mail address. */
  ofAddress(email: string, db: ReadDb): Promise<OpenInvitation[]> {
    return this.#open(db).where("i.email", "=", email).orderBy("i.id").limit(MAX_OF_USER).execute();
  }

  find(id: string, db: ReadDb | Trx): Promise<OpenInvitation | undefined> {
    return this.#open(db).where("i.id", "=", id).executeTakeFirst();
  }

  /** The invitation of a link. @throws LINK_EXPIRED */
  async ofToken(token: string, db: ReadDb | Trx): Promise<OpenInvitation> {
    const found = await this.#open(db).where("i.hash", "=", hashToken(token)).executeTakeFirst();
    if (!found) throw linkExpired();
    return found;
  }

  /** Makes the user a member. A user who is one keeps the role. */
  async accept({ id, projectId, role }: OpenInvitation, userId: string, trx: Trx): Promise<void> {
    await this.#end(id, userId, trx);
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto("project_members")
      .values({ projectId, userId, role, createdAt: this.#clock.now() })
      .onConflict((conflict) => conflict.columns(["projectId", "userId"]).doNothing())
      .executeTakeFirst();
    addEffect(trx, { type: "rights-changed", of: "user", userId });
    await this.#record("invitation.accept", projectId, { invitationId: id, userId }, trx);
    if (Number(numInsertedOrUpdatedRows) > 0) await this.#record("member.add", projectId, { userId, role }, trx);
  }

  /** Ends an invitation without a member. */
  async close(
    { id, projectId }: OpenInvitation,
    action: "invitation.revoke" | "invitation.decline",
    trx: Trx,
  ): Promise<void> {
    await this.#end(id, null, trx);
    await this.#record(action, projectId, { invitationId: id }, trx);
  }

  /** Ends what a user has sent in a project: a removed owner must not come back by an invitation of their own. */
  async revokeOf(projectId: string, inviterId: string, trx: Trx): Promise<void> {
    const ended = await trx
      .updateTable("project_invitations")
      .set({ endedAt: this.#clock.now() })
      .where("projectId", "=", projectId)
      .where("invitedBy", "=", inviterId)
      .where("endedAt", "is", null)
      .returning("id")
      .execute();
    for (const { id } of ended) await this.#record("invitation.revoke", projectId, { invitationId: id }, trx);
  }

  async #end(id: string, acceptedBy: string | null, trx: Trx): Promise<void> {
    const ended = { endedAt: this.#clock.now(), acceptedBy };
    await trx.updateTable("project_invitations").set(ended).where("id", "=", id).execute();
  }

  #open(db: ReadDb | Trx) {
    return db
      .selectFrom("project_invitations as i")
      .innerJoin("projects as p", "p.id", "i.projectId")
      .innerJoin("users as u", "u.id", "i.invitedBy")
      .select(["i.id", "i.projectId", "i.email", "i.role", "i.invitedBy", "i.createdAt", "i.expiresAt"])
      .select(["p.name as projectName", "u.name as inviterName"])
      .where("i.endedAt", "is", null)
      .where("i.expiresAt", ">", this.#clock.now())
      .where("p.deletedAt", "is", null)
      .where("u.status", "=", "active");
  }

  /** The address is not in the audit trail: it names a person who may have no account. */
  async #record(action: string, projectId: string, metadata: Readonly<Record<string, string>>, trx: Trx) {
    await this.#audit.record({ action, resourceType: "project", resourceId: projectId, metadata }, { trx });
  }
}
