import { sql } from "kysely";
import { type ErrorCode, PrismError } from "../../core/errors.ts";
import type { Permission } from "../../core/permissions.ts";
import type { PermissionHolder, Principal } from "../../core/principal.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import {
  type Route,
  type RouteAccess,
  type RouteDefinition,
  route,
  type Shape,
  type Shown,
  versioned,
} from "../../http/api/route.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { FeatureCore } from "../../module/feature.ts";
import type { Trx, WriteOptions } from "../../store/database.ts";
import { countOf, rowsOf } from "../../store/sqlite/list-queries.ts";
import type { Projects } from "./authorize.ts";
import type { Owned } from "./owned.ts";

/** What the five routes themselves need. */
export type ManagedContext = Pick<FeatureCore, "db" | "idempotency"> & { readonly projects: Projects };

interface ManagedRow {
  readonly id: string;
  readonly projectId: string | null;
  readonly version: number;
}

/** A row as it is stored now. `issued`: members that only this answer has, such as a new key. */
export interface WithIssued<R, I = object> {
  readonly row: R;
  readonly issued?: I;
}

type Body<T> = NonNullable<RouteDefinition<unknown, unknown, T>["body"]>;
type Answer<T> = NonNullable<RouteDefinition<unknown, unknown, unknown, T>["response"]>;

/** What the description of the API says of one of the routes. */
interface Texts {
  readonly summary: string;
  readonly details?: string;
  /** Besides those that follow from the declaration. */
  readonly errors?: readonly ErrorCode[];
}

/**
 * A resource that people manage: `R` its row; `C` and `U` the bodies that create and change it, `S` and
 * `T` what `prepare` makes of them; `Q` the query of its list, `A` an answer, `I` the members that only
 * an answer with a new secret has.
 */
export interface Declaration<X extends ManagedContext, R extends ManagedRow, C, S, U, T, Q, A extends object, I> {
  readonly path: string;
  /** Ends of the routes' ids: `Integration`, `Integrations`. */
  readonly names: readonly [one: string, many: string];
  readonly tag: string;
  /** Its rows, and the rights that they need. */
  readonly access: Owned<R, Principal>;
  /** Who may call; default: callers with the right in a project. */
  readonly callers?: { readonly read: RouteAccess; readonly write: RouteAccess };
  readonly params: Shape<{ readonly id: string }>;
  readonly answer: Answer<A>;
  readonly list: Texts & {
    readonly query: Body<Q>;
    readonly answer: NonNullable<RouteDefinition["response"]>;
    page(context: X, caller: Principal, query: Q): Promise<object>;
  };
  readonly get: Texts;
  readonly create: Texts & {
    readonly body: Body<C>;
    readonly answer?: Answer<A & I>;
    /** The answer is stored in the transaction of the effect. */
    readonly storesAnswer?: WriteOptions & { readonly hasSecrets?: boolean };
    /** Outside of the transaction: finds the project, awaits names, compiles conditions. */
    prepare(context: X, caller: PermissionHolder, body: C): S | Promise<S>;
  };
  readonly update: Texts & {
    readonly method?: "PUT";
    readonly body: Body<U>;
    readonly answer?: Answer<A & I>;
    /** Outside of the transaction, as above. */
    prepare(context: X, caller: PermissionHolder, body: U, id: string): T | Promise<T>;
  };
  /** `If-Match` counts if VERSION_CONFLICT is among its errors. */
  readonly remove: Texts;
  view(context: X, caller: Principal, row: R): Shown<A>;
  /** What an answer shows that changes without a new version, or differs between callers. */
  state?(answer: Shown<A>): string;
  readonly in: ChangesIn<X, R, S, T, I>;
}

/** The changes in a given transaction, as routes and configuration files make them. */
export interface ChangesIn<X, R, S, T, I = object> {
  insert(context: X, trx: Trx, caller: PermissionHolder, spec: S): Promise<WithIssued<R, I>>;
  /** @returns the same row if nothing changes */
  change(context: X, trx: Trx, row: R, spec: T): Promise<WithIssued<R, I>>;
  remove(context: X, trx: Trx, row: R): Promise<void>;
}

/** The five routes of a resource, and what other routes and files need of it. */
export function managed<X extends ManagedContext, R extends ManagedRow, C, S, U, T, Q, A extends object, I = object>(
  declared: Declaration<X, R, C, S, U, T, Q, A, I>,
) {
  const { path, names, tag, access, params, list, get, create, update, remove } = declared;
  const [name, plural] = names;
  const within = (right: string): RouteAccess => ({ permission: right as Permission, within: "project" });
  const { rights } = access;
  const { read, write } = declared.callers ?? { read: within(rights.read), write: within(rights.write) };
  const one = { tag, path: `${path}/:id`, params } as const;
  const missing = rights.missing;

  const answer = (context: X, caller: Principal, { row, issued }: WithIssued<R, I>, status = 200) => {
    const view = declared.view(context, caller, row);
    const state = declared.state?.(view) ?? "";
    return versioned(row.version, { ...view, ...issued } as Shown<A & I>, { status, state });
  };

  /** Changes one that the caller may write. @param ifMatch the header; empty: every version is right */
  const act = async (
    context: X,
    caller: PermissionHolder,
    { id, ifMatch = "", status = 200 }: { readonly id: string; readonly ifMatch?: string; readonly status?: number },
    change: (trx: Trx, row: R) => Promise<WithIssued<R, I>>,
  ) => {
    const stored = await context.db.write(async (trx) => {
      const row = await access.writable(context.projects, caller, id, trx);
      requireVersion(ifMatch, row.version);
      return change(trx, row);
    });
    return answer(context, caller, stored, status);
  };

  const routes = (context: X): Route[] => [
    route({
      ...{ method: "GET", path, id: `list${plural}`, tag, access: read, ...textsOf(list, []) },
      query: list.query,
      response: list.answer,
      handle: (exchange, { query }) => list.page(context, callerOf(exchange), query),
    }),
    route({
      ...{ method: "POST", path, id: `create${name}`, tag, access: write, status: 201 },
      ...textsOf(create, create.storesAnswer ? IDEMPOTENCY_ERRORS : []),
      body: create.body,
      response: create.answer ?? declared.answer,
      async handle(exchange: Exchange, { body }) {
        const caller = holderOf(exchange);
        const spec = await create.prepare(context, caller, body);
        const store = async (trx: Trx) =>
          answer(context, caller, await declared.in.insert(context, trx, caller, spec), 201);
        if (!create.storesAnswer) return context.db.write(store);
        return context.idempotency.run(exchange, caller, body, store, create.storesAnswer);
      },
    }),
    route({
      ...{ ...one, method: "GET", id: `get${name}`, access: read, ...textsOf(get, [missing]) },
      response: declared.answer,
      async handle(exchange, { params: { id } }) {
        const caller = callerOf(exchange);
        return answer(context, caller, { row: await access.visible(context.projects, caller, id, context.db.read) });
      },
    }),
    route({
      ...{ ...one, method: update.method ?? "PATCH", id: `update${name}`, access: write },
      ...textsOf(update, [missing, "VERSION_CONFLICT"]),
      body: update.body,
      response: update.answer ?? declared.answer,
      async handle(exchange: Exchange, { params: { id }, body }) {
        const caller = holderOf(exchange);
        const spec = await update.prepare(context, caller, body, id);
        const given = { id, ifMatch: exchange.header("if-match") };
        return act(context, caller, given, (trx, row) => declared.in.change(context, trx, row, spec));
      },
    }),
    route({
      ...{ ...one, method: "DELETE", id: `delete${name}`, access: write, ...textsOf(remove, [missing]) },
      async handle(exchange, { params: { id } }) {
        const caller = holderOf(exchange);
        await context.db.write(async (trx) => {
          const row = await access.writable(context.projects, caller, id, trx);
          if (remove.errors?.includes("VERSION_CONFLICT")) requireVersion(exchange.header("if-match"), row.version);
          await declared.in.remove(context, trx, row);
        });
      },
    }),
  ];
  return { act, routes, ...declared.in };
}

function textsOf({ summary, details, errors = [] }: Texts, own: readonly ErrorCode[]) {
  return { summary, ...(details !== undefined && { details }), errors: [...own, ...errors] };
}

/** @throws NAME_TAKEN if another row of the project has the name */
export async function requireFreeName(
  trx: Trx,
  table: string,
  noun: string,
  { id, projectId, name }: { readonly id: string; readonly projectId: string; readonly name: string },
): Promise<void> {
  const same = rowsOf(trx, table).where(sql<boolean>`projectId = ${projectId} and name = ${name} and id <> ${id}`);
  if ((await countOf(same)) > 0) throw new PrismError("NAME_TAKEN", `The project has ${noun} with this name already`);
}
