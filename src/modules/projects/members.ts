import { toRfc3339 } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import type { UserPrincipal } from "../../base/principal.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import type { CoreServices } from "../../services/module.ts";
import type { Trx } from "../../store/database.ts";
import type { ProjectRole } from "../../store/schema.ts";
import * as queries from "./member-queries.ts";
import type { ListMembers } from "./schema.ts";
import { requireStill } from "./still-may.ts";

/** Who belongs to a project. Everybody in it may look; its owners decide (contract 4.6). */
export class ProjectMembers {
  readonly #services: CoreServices;

  constructor(services: CoreServices) {
    this.#services = services;
  }

  async list(principal: UserPrincipal, ref: string, query: ListMembers) {
    const { db, projects } = this.#services;
    const projectId = projects.require(principal, ref, "project:read");
    const request = readPage(query, ["string"]);
    const rows = await queries.listMembers(db.read, projectId, request);
    const total = request.wantsTotal ? await queries.countMembers(db.read, projectId) : undefined;
    return pageBody(request, rows, viewOf, (row) => [row.userId], total);
  }

  /** Makes somebody a member; of one who is, it changes the role. @throws USER_NOT_FOUND, LAST_ADMIN */
  async add(principal: UserPrincipal, ref: string, userRef: string, role: ProjectRole) {
    const { projects, users } = this.#services;
    const projectId = projects.require(principal, ref, "project:manage");
    const userId = users.find(userRef);
    if (userId === undefined) throw userNotFound();
    return this.#write(principal, projectId, async (trx) => {
      const member = await queries.findMember(trx, projectId, userId);
      if (member) return this.#change(trx, member, role);
      const createdAt = this.#services.clock.now();
      await trx.insertInto("project_members").values({ projectId, userId, role, createdAt }).execute();
      await this.#record("member.add", projectId, { userId, role }, trx);
      return this.#read(trx, projectId, userId);
    });
  }

  /** @throws USER_NOT_FOUND for somebody who is no member, LAST_ADMIN */
  async change(principal: UserPrincipal, ref: string, userRef: string, role: ProjectRole) {
    const { projects, users } = this.#services;
    const projectId = projects.require(principal, ref, "project:manage");
    const userId = users.findAny(userRef) ?? userRef;
    return this.#write(principal, projectId, async (trx) =>
      this.#change(trx, await this.#require(trx, projectId, userId), role),
    );
  }

  /** @throws USER_NOT_FOUND for somebody who is no member, LAST_ADMIN */
  async remove(principal: UserPrincipal, ref: string, userRef: string): Promise<void> {
    const { projects, users } = this.#services;
    const projectId = projects.require(principal, ref, "project:manage");
    const userId = users.findAny(userRef) ?? userRef;
    await this.#write(principal, projectId, async (trx) => {
      const member = await this.#require(trx, projectId, userId);
      await requireOtherOwner(trx, member);
      await trx
        .deleteFrom("project_members")
        .where("projectId", "=", projectId)
        .where("userId", "=", member.userId)
        .execute();
      await this.#record("member.remove", projectId, { userId: member.userId }, trx);
    });
  }

  async #change(trx: Trx, member: queries.MemberRow, role: ProjectRole) {
    const { projectId, userId } = member;
    if (role !== "owner") await requireOtherOwner(trx, member);
    await trx
      .updateTable("project_members")
      .set({ role })
      .where("projectId", "=", projectId)
      .where("userId", "=", userId)
      .execute();
    await this.#record("member.update", projectId, { userId, role }, trx);
    return this.#read(trx, projectId, userId);
  }

  /** What a member may do, and whom the project's rules reach, is read anew behind the commit. */
  #write<T>(principal: UserPrincipal, projectId: string, change: (trx: Trx) => Promise<T>): Promise<T> {
    const { db, system } = this.#services;
    return db.write(async (trx) => {
      await requireStill(this.#services, principal, projectId, "project:manage", trx);
      db.afterCommit(trx, () => system.rightsChanged());
      return change(trx);
    });
  }

  async #require(trx: Trx, projectId: string, userId: string): Promise<queries.MemberRow> {
    const member = await queries.findMember(trx, projectId, userId);
    if (!member) throw userNotFound();
    return member;
  }

  async #read(trx: Trx, projectId: string, userId: string) {
    return viewOf(await this.#require(trx, projectId, userId));
  }

  async #record(action: string, projectId: string, metadata: Readonly<Record<string, string>>, trx: Trx) {
    await this.#services.audit.record({ action, resourceType: "project", resourceId: projectId, metadata }, { trx });
  }
}

/** @throws LAST_ADMIN when this member is the only owner. */
async function requireOtherOwner(trx: Trx, { projectId, userId, role }: queries.MemberRow): Promise<void> {
  if (role !== "owner" || (await queries.hasOtherOwner(trx, projectId, userId))) return;
  throw new PrismError("LAST_ADMIN", "A project keeps at least one owner");
}

function userNotFound(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}

function viewOf({ userId, username, name, role, createdAt }: queries.MemberRow) {
  return { userId, username, name, role, createdAt: toRfc3339(createdAt) };
}
