import { toRfc3339 } from "../../core/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import type { Definition } from "./definition.ts";
import * as queries from "./queries.ts";
import type { RecipientView } from "./schema.ts";

const PUSH = ["fcm", "apns"] as const;

/** Who somebody is to the rules: what is held now, and since when. What was taken away since is not known any more. */
export class Reach {
  readonly person: queries.Person;
  readonly #roles: Awaited<ReturnType<typeof queries.rolesOf>>;
  readonly #devices: Awaited<ReturnType<typeof queries.devicesOf>>;
  readonly #memberSince: number | null;
  readonly #defaultProjectId: string;

  private constructor(
    person: queries.Person,
    roles: Awaited<ReturnType<typeof queries.rolesOf>>,
    devices: Awaited<ReturnType<typeof queries.devicesOf>>,
    memberSince: number | null,
    defaultProjectId: string,
  ) {
    this.person = person;
    this.#roles = roles;
    this.#devices = devices;
    this.#memberSince = memberSince;
    this.#defaultProjectId = defaultProjectId;
  }

  /** @param projectId where membership counts; null where nothing is about a project. */
  static async read(db: ReadDb, userId: string, projectId: string | null, defaultProjectId: string) {
    const person = await queries.findPerson(db, userId);
    if (!person) return null;
    const [roles, devices, member] = await Promise.all([
      queries.rolesOf(db, userId),
      queries.devicesOf(db, userId),
      projectId === null ? undefined : queries.membershipOf(db, userId, projectId),
    ]);
    return new Reach(person, roles, devices, member?.since ?? null, defaultProjectId);
  }

  get name(): string {
    return nameOf(this.person);
  }

  /** Why a rule could not reach the user at an instant; null where it could. */
  missing({ projectId, targetRoles, targetUsers }: Definition, at: number): string | null {
    const { status, deletedAt, id } = this.person;
    if (deletedAt !== null) return "the account has been deleted";
    if (status !== "active") return `the account is ${status}`;
    const held = this.#roles.filter((role) => targetRoles.includes(role.name) || targetRoles.includes(role.id));
    const inTime = held.some(({ since }) => since <= at);
    if (!targetUsers.includes(id) && !inTime) {
      const [late] = held;
      if (late) return `holds ${late.name} only since ${toRfc3339(late.since)}`;
      return targetRoles.length === 0
        ? "is not one of the users whom the rule names"
        : `holds none of its roles (${targetRoles.join(", ")}) and is not named by it`;
    }
    if (projectId === null || projectId === this.#defaultProjectId) return null;
    if (this.#memberSince === null) return "is no member of the rule's project";
    return this.#memberSince > at ? `is a member of the project only since ${toRfc3339(this.#memberSince)}` : null;
  }

  /** Why deliveries did not reach the user: one line each. */
  deliveryReasons({ deliveries }: RecipientView): string[] {
    return deliveries
      .filter(({ state }) => state !== "delivered")
      .map(({ channel, state, reason, lastError }) => {
        const why = reason ?? lastError;
        return `${channel} is ${state}${why === null ? "" : `: ${why}`}`;
      });
  }

  /** {@link deliveryReasons}, and why there is no delivery by others of the rule's channels. */
  channelReasons(channels: readonly string[], recipient: RecipientView): string[] {
    const lines = this.deliveryReasons(recipient);
    const used = new Set(recipient.deliveries.map(({ channel }) => channel));
    for (const kind of PUSH)
      if (channels.includes(kind) && !used.has(kind)) {
        const devices = this.#devices.filter((device) => device.kind === kind);
        if (devices.length === 0) lines.push(`${kind}: the user has no such device`);
        else if (devices.every(({ disabledAt }) => disabledAt !== null))
          lines.push(`${kind}: the token of every such device is dead`);
      }
    if (channels.includes("email") && !used.has("email") && this.person.email === null)
      lines.push("email: the user has no address");
    return lines;
  }
}

export function nameOf(person: {
  readonly name: string | null;
  readonly username: string | null;
  readonly email: string | null;
}): string {
  return person.username ?? (person.name || person.email) ?? "a user without a name";
}
