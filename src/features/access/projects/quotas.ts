import type { Config } from "../../../config/load.ts";
import type { Principal } from "../../../core/caller.ts";
import { limitReached } from "../../../core/errors.ts";
import type { Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";

/** A countable resource of projects: its table, the setting with the limit of a project, and its name. */
const KINDS = {
  topics: { table: "ntfy_topics", setting: "topicsPerProject", name: "topics" },
  receivers: { table: "receivers", setting: "receiversPerProject", name: "receivers" },
  integrations: { table: "integrations", setting: "integrationsPerProject", name: "integrations" },
  channels: { table: "channels", setting: "channelsPerOwner", name: "channels" },
  webhooks: { table: "webhooks", setting: "webhooksPerOwner", name: "webhooks" },
  policies: { table: "policies", setting: "policiesPerProject", name: "policies" },
  onCallSchedules: { table: "oncall_schedules", setting: "onCallSchedulesPerProject", name: "on-call schedules" },
  heartbeats: { table: "heartbeats", setting: "heartbeatsPerProject", name: "heartbeats" },
  calendars: { table: "oncall_schedules", setting: "calendarsPerProject", name: "calendars" },
} as const;

export type QuotaKind = keyof typeof KINDS;

/** Who makes one more, and where. */
export interface Maker {
  /** Null: it belongs to a person, such as a personal channel. */
  readonly projectId: string | null;
  /** A person, for an API key its creator; null: the operator. */
  readonly createdBy: string | null;
}

/** The person behind a caller, whose limits count; null: the operator. */
export function creatorOf(principal: Principal): string | null {
  return principal.kind === "apiKey" ? principal.createdBy : principal.userId;
}

/** The limits of people, per project and over all of them (docs/limits.md). */
export class Quotas {
  readonly #defaultId: string;
  readonly #limits: () => Config["limits"];

  constructor(defaultId: string, limits: () => Config["limits"]) {
    this.#defaultId = defaultId;
    this.#limits = limits;
  }

  /**
   * Checks that the project, its creator over all projects, and the server have room for one more. In
   * the default project, which people share, each has the limit of a project. The limits over all
   * projects do not bind administrators. @throws LIMIT_REACHED
   */
  async requireRoom(trx: Trx, kind: QuotaKind, { projectId, createdBy }: Maker): Promise<void> {
    const { setting, name } = KINDS[kind];
    const limits = this.#limits();
    const max = limits[setting];
    if (projectId !== null) {
      const inProject = rowsOf(trx, kind).where("projectId", "=", projectId);
      const isShared = projectId === this.#defaultId;
      const counted = isShared ? inProject.where("createdBy", "is", createdBy) : inProject;
      const whose = isShared ? "You have too many of this project's" : "A project has too many";
      if ((await countOf(counted)) >= max) throw limitReached(`${whose} ${name}`, `limits.${setting}`, max);
    }
    await this.#requireTotals(trx, { max, setting, name }, createdBy, () => rowsOf(trx, kind));
  }

  /** {@link requireRoom} for a project. @throws LIMIT_REACHED */
  async requireProjectRoom(trx: Trx, ownerId: string | null): Promise<void> {
    if (ownerId === null || (await isAdministrator(trx, ownerId))) return;
    const { projectsPerUser: max, serverFactor } = this.#limits();
    const all = trx.selectFrom("projects").where("deletedAt", "is", null);
    if ((await countOf(all.where("ownerId", "=", ownerId))) >= max)
      throw limitReached("You have too many projects", "limits.projectsPerUser", max);
    if ((await countOf(all)) >= max * serverFactor)
      throw limitReached("The server has too many projects", "limits.serverFactor", serverFactor);
  }

  async #requireTotals(
    trx: Trx,
    { max, setting, name }: { readonly max: number; readonly setting: string; readonly name: string },
    createdBy: string | null,
    rows: () => ReturnType<typeof rowsOf>,
  ): Promise<void> {
    if (createdBy === null || (await isAdministrator(trx, createdBy))) return;
    const { creatorFactor, serverFactor } = this.#limits();
    const ofCreator = max * creatorFactor;
    if ((await countOf(rows().where("createdBy", "=", createdBy))) >= ofCreator)
      throw limitReached(`You have ${ofCreator} ${name}`, `limits.creatorFactor of limits.${setting}`, creatorFactor);
    const ofServer = ofCreator * serverFactor;
    if ((await countOf(rows())) >= ofServer)
      throw limitReached(
        `The server has ${ofServer} ${name}`,
        `limits.serverFactor of limits.${setting}`,
        serverFactor,
      );
  }
}

/** All tables of {@link KINDS} have the columns of receivers that are read here. */
function rowsOf(trx: Trx, kind: QuotaKind) {
  const rows = trx.selectFrom(KINDS[kind].table as "receivers");
  if (kind === "policies") return rows.where("deletedAt" as "createdBy", "is", null);
  if (kind !== "calendars") return rows;
  return rows.where("id", "in", trx.selectFrom("oncall_calendars").select("scheduleId").where("url", "is not", null));
}

/** Whether a person holds `projects:all`, and so acts for the operator. */
export async function isAdministrator(trx: Trx, userId: string): Promise<boolean> {
  const row = await trx
    .selectFrom("user_roles as u")
    .innerJoin("roles as r", "r.id", "u.roleId")
    .select("r.id")
    .where("u.userId", "=", userId)
    .where("r.permissions", "like", '%"projects:all"%')
    .executeTakeFirst();
  return row !== undefined;
}
