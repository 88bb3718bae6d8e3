import { isDeepStrictEqual } from "node:util";
import type * as v from "valibot";
import type { ServiceAddresses } from "../config/files/sealed-members.ts";
import type { PermissionHolder } from "../core/caller.ts";
import type { EpochMs } from "../core/time/clock.ts";
import type { ReadDb, Trx } from "../store/database.ts";
import type { ProjectRole } from "../store/schema.ts";

/* Kinds of objects that configuration files have. A feature declares its own (`configKinds`). */

/** Members of an object in the form of the API: instants and durations in milliseconds, ids of others. */
export type Spec = Readonly<Record<string, unknown>>;

/** Who applies, and the project of the object; null: it is of the server. */
export interface ObjectOwner {
  readonly caller: PermissionHolder;
  readonly projectId: string | null;
  /** What the same apply stores of a kind in the project, maybe later. */
  readonly planned?: (kind: string) => readonly Spec[];
  /** Whether accounts that it makes get their mails. */
  readonly invites?: boolean;
  /** Whether incidents that are open may begin to page: a plan lists them, an apply says so. */
  readonly mayPage?: boolean;
  /** A plan has other values in place of secrets of the spec: hosts of its URLs are not asked for. */
  readonly hasStandIns?: true;
  /** Of {@link ConfigKind.rows}; undefined: `update` reads it. */
  readonly row?: unknown;
}

/** An object as it is stored, for a comparison with files. */
export interface StoredObject {
  readonly id: string;
  /** What files call it. */
  readonly name: string;
  /** Changes with every change of what files hold. */
  readonly version: number | string;
  /** Changes also with what its spec takes from others, such as the names of roles; default: the version. */
  readonly state?: string;
  /** All members of {@link ConfigKind.entries} without the secret ones. */
  readonly spec: Spec;
  /** Its secrets by path, such as `fields.url`; null: one that no key opens. */
  readonly secrets?: Readonly<Record<string, string | null>>;
  /** It has no row yet, such as the policy `default` of a project that has not changed it. */
  readonly isImplicit?: true;
  /** As {@link ConfigKind.isKept}, for one object: the policy `default`. */
  readonly isKept?: true;
}

export type ObjectVersion = Pick<StoredObject, "id" | "version" | "state">;

/** A shift of a changed schedule whose turn would be others' now, or next. */
export interface TurnedShift {
  readonly shift: string;
  /** False: nobody has the shift now, and `at` is when it begins next. */
  readonly isNow: boolean;
  readonly at: EpochMs;
  /** Ids of users. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** The member that keeps the turn; null: none of the new turns is theirs. */
  readonly anchor: { readonly on: string; readonly turn: readonly string[] } | null;
}

/** A change of an object in one apply. */
export interface PlannedChange {
  readonly kind: string;
  readonly id: string;
  readonly name: string;
  /** Null: it is deleted. */
  readonly spec: Spec | null;
  readonly stored: StoredObject | null;
  /** Of {@link ConfigKind.alertLabels}; null: it opens no alerts. */
  readonly alerts: AlertLabels | null;
}

/** Labels of the alerts that an object opens. */
export interface AlertLabels {
  readonly labels: Readonly<Record<string, string>>;
  /** Its alerts have others, too. */
  readonly isPart: boolean;
}

/** A way that leads nowhere once an apply is done. */
export interface PlannedWarning {
  readonly kind: string;
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** URLs and keys that are shown once, such as the URL of a receiver. */
export type Issued = Readonly<Record<string, string>>;

/** A kind without the types of its objects. */
export interface ConfigKind {
  /** Its key in files, such as `heartbeats`. */
  readonly kind: string;
  /** For people: "a heartbeat" without the article. */
  readonly noun: string;
  /** As the audit trail names it, for who changed it last. */
  readonly resourceType: string;
  readonly scope: "server" | "project";
  /** A project has one, without a name: `routes`. */
  readonly isSingle?: true;
  /** The member of files with its name; default: `name`. */
  readonly key?: string;
  /** Kinds that it names: they are stored before, and removed after it. */
  readonly after: readonly string[];
  /** Rights in the project, or permissions for objects of the server. */
  readonly rights: {
    readonly read: string;
    readonly write: string;
    /** A permission of the server that changes in a project need, too. */
    readonly also?: string;
  };
  /** Members that hold secrets, such as `secret` and `fields.*`. */
  readonly secrets?: readonly string[];
  /** Of {@link secrets} with `*`, those that a file must not have in plain text: fields by their preset. */
  secretPaths?(spec: Spec): Promise<readonly string[]>;
  /** Members with the addresses to which secrets are sent, by service (its preset). */
  addresses?(): Promise<ServiceAddresses>;
  /** Members that count only when it is made: a plan compares none of them. */
  readonly atCreation?: readonly string[];
  /** Members that stay as they are stored where a file leaves them out; others have their default. */
  readonly keeps?: readonly string[];
  /** {@link keeps} of a stored spec, if another member would change what they mean: a new zone of a schedule. */
  staying?(stored: Spec): Spec;
  /** Programs hold the URL or key of it: a deletion with a creation beside it may be a rename. */
  readonly isHeldOutside?: true;
  /** What it gives out when it is made without a given secret, such as "a URL". */
  readonly issues?: string;
  /** It is listed, and files may change it, but `prune` never deletes it. */
  readonly isKept?: true;
  /** Members of files with the key, in the form of the API. */
  entries(): v.ObjectEntries;
  /** Values of members that a file leaves out. */
  readonly defaults: Spec;
  /** The name of an object that several members tell apart; null: one is missing. */
  nameOf?(spec: Spec): string | null;
  /** A spec as `list` gives it, if requests may say the same in more ways: defaults of steps, orders that do not count. */
  canonical?(spec: Spec): Spec;
  /** The id of an object that takes no new one, such as the only one of a project. */
  idOf?(projectId: string | null, spec: Spec): string;
  /** @param ids only these are asked for; a kind of few objects may give all */
  list(db: ReadDb | Trx, projectId: string | null, ids?: readonly string[]): Promise<readonly StoredObject[]>;
  /** What {@link list} gives without the specs, in any order: a comparison of many objects reads little. */
  versions?(db: ReadDb | Trx, projectId: string | null): Promise<readonly ObjectVersion[]>;
  /** Rows of objects by id, for `update`: an apply reads those of all changed objects at once, before the first changes. */
  rows?(trx: Trx, ids: readonly string[]): Promise<ReadonlyMap<string, unknown>>;
  /** Outside of the transaction: resolves hosts, compiles conditions. @throws PrismError */
  prepare?(owner: ObjectOwner, spec: Spec, stored: StoredObject | null, id: string): Promise<unknown>;
  /** In the transaction. @param id of the new object @throws PrismError */
  create(trx: Trx, owner: ObjectOwner, id: string, spec: Spec, prepared: unknown): Promise<Issued | undefined>;
  update(
    trx: Trx,
    owner: ObjectOwner,
    stored: StoredObject,
    spec: Spec,
    prepared: unknown,
  ): Promise<Issued | undefined>;
  remove?(trx: Trx, owner: ObjectOwner, stored: StoredObject): Promise<void>;
  /** What callers without the right to write see of a spec, in plans and exports: URLs of steps may be secrets. */
  masked?(spec: Spec): Spec;
  /** Values of the right form for the secrets of a spec of files, by path, where a random text is none. */
  secretExamples?(spec: Spec): Promise<Readonly<Record<string, string>>>;
  /** What the plan says of a change besides its members, such as "its alert is resolved". */
  notes?(db: ReadDb | Trx, op: "create" | "update" | "delete", stored: StoredObject | null): Promise<readonly string[]>;
  /** Whose turn a changed spec would move, and the spec that keeps all turns. */
  turned?(stored: StoredObject, spec: Spec): { readonly turns: readonly TurnedShift[]; readonly kept: Spec };
  /** The labels of its alerts, by which routes find a policy. */
  alertLabels?(spec: Spec): AlertLabels;
  /** Only of runtime entries (`runtimeKind`): when one is over by itself; null: never. */
  end?(db: ReadDb, spec: Spec): Promise<EpochMs | null> | EpochMs | null;
  /** What would reach no one after all changes of a project, in the transaction that has made them. */
  warnings?(trx: Trx, projectId: string, changes: readonly PlannedChange[]): Promise<readonly PlannedWarning[]>;
}

/** A kind whose objects have the members `S`. */
interface KindOf<S, P> extends Omit<ConfigKind, "prepare" | "create" | "update"> {
  prepare?(owner: ObjectOwner, spec: S, stored: StoredObject | null, id: string): Promise<P>;
  create(trx: Trx, owner: ObjectOwner, id: string, spec: S, prepared: P): Promise<Issued | undefined>;
  update(trx: Trx, owner: ObjectOwner, stored: StoredObject, spec: S, prepared: P): Promise<Issued | undefined>;
}

/** The planner checks each spec against `entries` before it calls a kind: so its bodies have the types of them. */
export function configKind<S extends object, P = undefined>(kind: KindOf<S, P>): ConfigKind {
  return kind as unknown as ConfigKind;
}

/** {@link StoredObject.state} of what has the names of roles in its spec. */
export function stateWith(version: number, roles: ReadonlyMap<string, string>): string {
  return `${version} ${JSON.stringify([...roles].sort())}`;
}

/** The members that differ from what is stored: bodies check again only those. */
export function changedMembers<S extends object>(spec: S, { spec: old }: Pick<StoredObject, "spec">): Partial<S> {
  const changed = Object.entries(spec).filter(([name, value]) => !isDeepStrictEqual(value, old[name]));
  return Object.fromEntries(changed) as Partial<S>;
}

/** What one apply makes and changes of projects, people and members, as its other objects must see it. */
export interface Planned {
  /** Ids of new projects by slug. */
  readonly projects: ReadonlyMap<string, string>;
  /** Ids of new accounts by username. */
  readonly people: ReadonlyMap<string, string>;
  /** Roles by user id, of the projects whose members the files have. */
  readonly members: ReadonlyMap<string, ReadonlyMap<string, ProjectRole>>;
}

export const NOTHING_PLANNED: Planned = { projects: new Map(), people: new Map(), members: new Map() };
