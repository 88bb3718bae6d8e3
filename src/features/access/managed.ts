import { sql } from "kysely";
import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { type ErrorCode, PrismError } from "../../core/errors.ts";
import type { Permission } from "../../core/permissions.ts";
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
import { requireVersion, stateOf } from "../../http/body/negotiation.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { FeatureCore } from "../../module/feature.ts";
import type { ReadDb, Trx, WriteOptions } from "../../store/database.ts";
import { countOf, rowsOf } from "../../store/sqlite/list-queries.ts";
import type { Projects } from "./authorize.ts";

/** What the five routes themselves need. */
export type ManagedContext = Pick<FeatureCore, "db" | "idempotency"> & { readonly projects: Projects };

interface ManagedRow {
  readonly id: string;
  readonly version: number;
}

/**
 * Finds rows for callers: `owned()` those of projects, `ofServer()` those of the server.
 * @param of the parameters of what the row is a part of
 */
export interface Access<R, O = undefined> {
  readonly rights: { readonly read: string; readonly write: string; readonly missing: ErrorCode };
  visible(projects: Projects, caller: Principal, id: string, db: ReadDb | Trx, of: O): Promise<R>;
  /** Refuses also who may not change it. */
  writable(projects: Projects, caller: Principal, id: string, trx: Trx, of: O): Promise<R>;
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
  readonly returns?: string;
  /** Besides those that follow from the declaration. */
  readonly errors?: readonly ErrorCode[];
}

/**
 * A resource that people manage: `R` its row; `C` and `U` the bodies that create and change it, `S` and
 * `T` what `prepare` makes of them; `Q` the query of its list, `A` an answer, `I` the members that only
 * an answer to a change has; `W` who changes it; `D` the query of its removal; `O` the parameters of what
 * it is a part of.
 */
export interface Declaration<
  X extends ManagedContext,
  R extends ManagedRow,
  C,
  S,
  U,
  T,
  Q,
  A extends object,
  I extends object,
  W extends Principal,
  D,
  O,
> {
  readonly path: string;
  /** Ends of the routes' ids: `Integration`, `Integrations`. */
  readonly names: readonly [one: string, many: string];
  readonly tag: string;
  /** Its rows, and the rights that they need. */
  readonly access: Access<R, O>;
  /** Who may call; default: callers with the right in a project. */
  readonly callers?: { readonly read: RouteAccess; readonly write: RouteAccess };
  /** `callerOf` if API keys change it too; default: `holderOf`. */
  readonly writer?: (exchange: Exchange) => W;
  readonly params: Shape<Readonly<Record<string, string>>>;
  /** For parts of another resource: its parameters, and the name of the part's own. */
  readonly partOf?: { readonly params: Shape<O>; readonly key: string };
  readonly answer: Answer<A>;
  readonly list: Texts & {
    readonly query?: Body<Q>;
    readonly answer: NonNullable<RouteDefinition["response"]>;
    /** `page` gives the answer a tag. */
    readonly tagged?: true;
    page(context: X, caller: Principal, query: Q, of: O): Promise<object>;
  };
  readonly get: Texts & {
    readonly answer?: NonNullable<RouteDefinition["response"]>;
    /** Members that no other answer has. */
    extra?(context: X, row: R): Promise<object>;
  };
  readonly create: Texts & {
    readonly body: Body<C>;
    readonly answer?: Answer<A & I>;
    /** The answer is stored in the transaction of the effect. */
    readonly storesAnswer?: WriteOptions & { readonly hasSecrets?: boolean };
    /** Outside of the transaction: finds the project, awaits names, compiles conditions. */
    prepare(context: X, caller: W, body: C, of: O): S | Promise<S>;
    /** In the transaction, which may have waited: asks for the rights again. */
    admit?(context: X, trx: Trx, caller: W, spec: S): S | Promise<S>;
  };
  /** Without it other routes call `change`. */
  readonly update?: Texts & {
    /** Default: PATCH. With both, the ids begin with `update` and `patch`. */
    readonly method?: "PUT" | "PUT and PATCH";
    readonly body: Body<U>;
    readonly answer?: Answer<A & I>;
    /** Outside of the transaction, as above. @param ifMatch the header, which the transaction compares */
    prepare(context: X, caller: W, body: U, id: string, ifMatch: string): T | Promise<T>;
  };
  /** `If-Match` counts if VERSION_CONFLICT is among its errors. Without it the resource has another route. */
  readonly remove?: Texts & { readonly id?: string; readonly query?: Body<D> };
  /** @param db the transaction, for an answer that is stored with the effect */
  view(context: X, caller: Principal, row: R, db: ReadDb | Trx): Shown<A> | Promise<Shown<A>>;
  /** Members that only answers to creating and changing have, such as warnings. */
  extra?(context: X, row: R, db: ReadDb | Trx): I | Promise<I>;
  /** What an answer shows that changes without a new version, or differs between callers; null: nothing. */
  state?(answer: Shown<A>): unknown;
  readonly in: ChangesIn<X, R, S, T, I, W, D>;
}

/** The changes in a given transaction, as routes and configuration files make them. */
export interface ChangesIn<X, R, S, T, I = object, W = PermissionHolder, D = undefined> {
  insert(context: X, trx: Trx, caller: W, spec: S): Promise<WithIssued<R, I>>;
  /** @returns the same row if nothing changes */
  change(context: X, trx: Trx, row: R, spec: T, caller: W): Promise<WithIssued<R, I>>;
  remove(context: X, trx: Trx, row: R, caller: W, query: D): Promise<void>;
}

interface Target<O> {
  readonly id: string;
  readonly of?: O | undefined;
  /** The header; empty: every version is right. */
  readonly ifMatch?: string;
}

/** The five routes of a resource, and what other routes and files need of it. */
export function managed<
  X extends ManagedContext,
  R extends ManagedRow,
  C,
  S,
  U,
  T,
  Q,
  A extends object,
  I extends object = object,
  W extends Principal = PermissionHolder,
  D = undefined,
  O = undefined,
>(declared: Declaration<X, R, C, S, U, T, Q, A, I, W, D, O>) {
  const { path, names, tag, access, params, partOf, list, get, create, update, remove } = declared;
  const [name, plural] = names;
  const { rights } = access;
  const within = (right: string): RouteAccess => ({ permission: right as Permission, within: "project" });
  const { read, write } = declared.callers ?? { read: within(rights.read), write: within(rights.write) };
  // Without `writer`, W is its default, or a type that a holder of permissions has.
  const writer = declared.writer ?? (holderOf as (exchange: Exchange) => Principal as (exchange: Exchange) => W);
  const key = partOf?.key ?? "id";
  const one = { tag, path: `${path}/:${key}`, params } as const;
  const all = { tag, path, ...(partOf && { params: partOf.params }) } as const;
  const missing = [rights.missing];
  const targetOf = (place: Readonly<Record<string, string>>) => ({ id: place[key] ?? "", of: place as O });

  /** @param more members that only this answer has */
  const answer = async <J extends object>(
    context: X,
    caller: Principal,
    row: R,
    { more, status = 200, db = context.db.read }: { more?: J | undefined; status?: number; db?: ReadDb | Trx },
  ) => {
    const view = await declared.view(context, caller, row, db);
    const state = declared.state?.(view) ?? null;
    const options = { status, state: state === null ? "" : stateOf(state) };
    return versioned(row.version, { ...view, ...more } as Shown<A & J>, options);
  };

  const changedAnswer = async (
    context: X,
    caller: W,
    { row, issued }: WithIssued<R, I>,
    { status = 200, db = context.db.read }: { status?: number; db?: ReadDb | Trx } = {},
  ) => {
    const more = { ...(await declared.extra?.(context, row, db)), ...issued } as I;
    return answer(context, caller, row, { more, status, db });
  };

  const changeOne = <V>(
    context: X,
    caller: W,
    { id, of, ifMatch = "" }: Target<O>,
    work: (trx: Trx, row: R) => Promise<V>,
  ) =>
    context.db.write(async (trx) => {
      const row = await access.writable(context.projects, caller, id, trx, of as O);
      requireVersion(ifMatch, row.version);
      return work(trx, row);
    });

  /** Another action on one that the caller may write. */
  const act = async <J extends object = I>(
    context: X,
    caller: W,
    { status = 200, ...target }: Target<O> & { readonly status?: number },
    work: (trx: Trx, row: R) => Promise<WithIssued<R, J>>,
  ) => {
    const { row, issued } = await changeOne(context, caller, target, work);
    return answer(context, caller, row, { more: issued, status });
  };

  const listRoute = (context: X) =>
    route({
      ...{ ...all, method: "GET", id: `list${plural}`, access: read, ...textsOf(list, []) },
      ...(list.query && { query: list.query }),
      ...(list.tagged && { tagged: list.tagged }),
      response: list.answer,
      handle: (exchange, { params: of, query }) => list.page(context, callerOf(exchange), query as Q, of as O),
    });
  const createRoute = (context: X) =>
    route({
      ...{ ...all, method: "POST", id: `create${name}`, access: write, status: 201 },
      ...textsOf(create, create.storesAnswer ? IDEMPOTENCY_ERRORS : []),
      body: create.body,
      response: create.answer ?? declared.answer,
      async handle(exchange: Exchange, { params: of, body }) {
        const caller = writer(exchange);
        const spec = await create.prepare(context, caller, body, of as O);
        const insert = async (trx: Trx) => {
          const admitted = create.admit ? await create.admit(context, trx, caller, spec) : spec;
          return declared.in.insert(context, trx, caller, admitted);
        };
        if (!create.storesAnswer)
          return changedAnswer(context, caller, await context.db.write(insert), { status: 201 });
        const store = async (trx: Trx) => changedAnswer(context, caller, await insert(trx), { status: 201, db: trx });
        const request = partOf ? { ...of, body } : body;
        return context.idempotency.run(exchange, caller, request, store, create.storesAnswer);
      },
    });
  const getRoute = (context: X) =>
    route({
      ...{ ...one, method: "GET", id: `get${name}`, access: read, ...textsOf(get, missing) },
      response: get.answer ?? declared.answer,
      async handle(exchange, { params: place }) {
        const caller = callerOf(exchange);
        const { id, of } = targetOf(place);
        const row = await access.visible(context.projects, caller, id, context.db.read, of);
        return answer(context, caller, row, { more: await get.extra?.(context, row) });
      },
    });
  const updateRoute = (
    context: X,
    { prepare, ...given }: NonNullable<typeof update>,
    method: "PUT" | "PATCH",
    verb: "update" | "patch",
  ) =>
    route({
      ...{ ...one, method, id: `${verb}${name}`, access: write },
      ...textsOf(given, [...missing, "VERSION_CONFLICT"]),
      body: given.body,
      response: given.answer ?? declared.answer,
      async handle(exchange: Exchange, { params: place, body }) {
        const caller = writer(exchange);
        const target = { ...targetOf(place), ifMatch: exchange.header("if-match") };
        const spec = await prepare(context, caller, body, target.id, target.ifMatch);
        const change = (trx: Trx, row: R) => declared.in.change(context, trx, row, spec, caller);
        return changedAnswer(context, caller, await changeOne(context, caller, target, change));
      },
    });
  const removeRoute = (context: X, { query: wanted, ...texts }: NonNullable<typeof remove>) =>
    route({
      ...{ ...one, method: "DELETE", id: texts.id ?? `delete${name}`, access: write, ...textsOf(texts, missing) },
      ...(wanted && { query: wanted }),
      async handle(exchange, { params: place, query }) {
        const caller = writer(exchange);
        const ifMatch = texts.errors?.includes("VERSION_CONFLICT") ? exchange.header("if-match") : "";
        await changeOne(context, caller, { ...targetOf(place), ifMatch }, (trx, row) =>
          declared.in.remove(context, trx, row, caller, query as D),
        );
      },
    });

  const routes = (context: X): Route[] => [
    listRoute(context),
    createRoute(context),
    getRoute(context),
    ...(update ? [updateRoute(context, update, update.method === undefined ? "PATCH" : "PUT", "update")] : []),
    ...(update?.method === "PUT and PATCH" ? [updateRoute(context, update, "PATCH", "patch")] : []),
    ...(remove ? [removeRoute(context, remove)] : []),
  ];
  return { act, routes, ...declared.in };
}

function textsOf({ summary, details, returns, errors = [] }: Texts, own: readonly ErrorCode[]) {
  const texts = { ...(details !== undefined && { details }), ...(returns !== undefined && { returns }) };
  return { summary, ...texts, errors: [...own, ...errors] };
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

/** @throws NAME_TAKEN if another row has the given token, also one that is replaced */
export async function requireFreeToken(trx: Trx, table: string, member: string, hash: string): Promise<void> {
  const same = rowsOf(trx, table).where(sql<boolean>`hash = ${hash} or previousHash = ${hash}`);
  if ((await countOf(same)) === 0) return;
  const details = [{ path: member, code: "NAME_TAKEN", message: "is in use" }];
  throw new PrismError("NAME_TAKEN", `Another one has this ${member}`, { details });
}
