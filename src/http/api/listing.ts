import { type RawBuilder, sql } from "kysely";
import * as v from "valibot";
import { once } from "../../core/once.ts";
import type { Database } from "../../store/database.ts";
import { bytesOf, countOf, fittingRows, holdsText, rowsOf } from "../../store/sqlite/list-queries.ts";
import type { Table } from "./resource.ts";
import type { Shape } from "./route.ts";
import { doc, isFarPage, pageBody, readPage } from "./shapes.ts";

/** A parameter of a list: what it looks for, and the condition that it sets. `S`: what conditions need to know. */
export interface Filter<T, S = unknown> {
  readonly schema: Shape<T>;
  /** Columns that it names. */
  readonly columns?: readonly string[];
  condition(value: T, state: S, column: Column): RawBuilder<boolean>;
}

/** The column of the parameter's name; null: there is none. */
type Column = ReturnType<Table["columnOf"]>;

/** Rows whose member of the same name has this value. */
export function equals<T>(schema: Shape<T>, text: string): Filter<T> {
  return {
    schema: doc(schema, text),
    condition(value, _, column) {
      if (!column) throw new TypeError("no column has the name of the parameter");
      return sql`${sql.ref(column.name)} = ${column.encode(value)}`;
    },
  };
}

/** Rows that have the text in one of these columns, ignoring ASCII case. */
export function within(columns: readonly string[], schema: Shape<string>, text: string): Filter<string> {
  const anyOf = (value: string) => columns.map((column) => holdsText(column, value));
  return { schema: doc(schema, text), columns, condition: (value) => sql`(${sql.join(anyOf(value), sql` or `)})` };
}

/** Rows that a condition of its own selects. */
export function by<T, S>(
  schema: Shape<T>,
  text: string,
  condition: (value: T, state: S) => RawBuilder<boolean>,
): Filter<T, S> {
  return { schema: doc(schema, text), condition };
}

type Filters = Readonly<Record<string, Filter<unknown>>>;
type ValueOf<F> = F extends { readonly schema: Shape<infer T> } ? T : never;
type Values<F> = { readonly [K in keyof F]?: ValueOf<F[K]> | undefined };
type FilterEntries<F> = { readonly [K in keyof F]: v.OptionalSchema<Shape<ValueOf<F[K]>>, undefined> };
/** Context of the conditions of all filters. */
type StateOf<F extends Filters> = {
  [K in keyof F]: (state: Parameters<F[K]["condition"]>[1]) => void;
}[keyof F] extends (state: infer S) => void
  ? S
  : never;

interface Options {
  /** Columns that order the list, all in one direction, none of them null, together unique; default: `id`. */
  readonly order?: Readonly<Record<string, "string" | "number">>;
  /** Default: descending, newest first. */
  readonly isAscending?: boolean;
  /** Columns that the caller may order by, ties by `id`, instead of `order`; default: `createdAt`, newest first. */
  readonly sorts?: Readonly<Record<string, "string" | "number">>;
  /** Columns that can be large, and what they hold at most together: a page ends where it is too large. */
  readonly large?: { readonly columns: readonly string[]; readonly largest: number };
  /** Its filters read many rows: each page is read in the scan thread, not only those far away. */
  readonly searches?: true;
}

/** The rows of these projects. @param ids null: of all projects */
export function ofProjects(ids: readonly string[] | null): RawBuilder<boolean> {
  return ids === null ? sql`true` : sql`projectId in (${sql.join(ids)})`;
}

/** A user or a project, of which a row is. */
export type RowOwner = { readonly projectId: string } | { readonly userId: string };

/** The rows of an owner. @param owner null: all rows */
export function ofOwner(owner: RowOwner | null): RawBuilder<boolean> {
  if (owner === null) return sql`true`;
  return "projectId" in owner ? sql`projectId = ${owner.projectId}` : sql`userId = ${owner.userId}`;
}

/** A list of a table's rows: its parameters, its order and its pages. */
export class Listing<R, F extends Filters> {
  readonly #resource: Table;
  readonly #filters: () => F;
  readonly #options: Options;

  constructor(resource: Table, filters: () => F, options: Options) {
    this.#resource = resource;
    this.#options = options;
    this.#filters = once(() => this.#checked(filters()));
  }

  /** @throws TypeError for columns that the table does not have, or that cannot order */
  #checked(filters: F): F {
    const { table, columnSchemas } = this.#resource;
    const { order = { id: "string" }, sorts = order, large } = this.#options;
    const named = [...Object.values(filters).flatMap(({ columns = [] }) => columns), ...(large?.columns ?? [])];
    const unknown = [...named, ...Object.keys(sorts)].find((column) => !columnSchemas.has(column));
    const nullable = Object.keys(sorts).find((column) => columnSchemas.get(column)?.type === "nullable");
    if (unknown ?? nullable) throw new TypeError(`${table} cannot be listed by ${unknown ?? nullable}`);
    return filters;
  }

  /** The parameters that filter, for the schema of a query beside `pageEntries()`. */
  get entries(): FilterEntries<F> {
    const entries = Object.entries(this.#filters()).map(([name, { schema }]) => [name, v.optional(schema)]);
    return Object.fromEntries(entries) as FilterEntries<F>;
  }

  /** The parameter of a chosen order. */
  get sort() {
    const names = Object.keys(this.#options.sorts ?? {}).flatMap((name) => [name, `-${name}`]);
    return v.optional(doc(v.picklist(names), "Order; `-` descends"));
  }

  /** The columns of the order, with the types of their values. */
  #orderBy(sort = "-createdAt") {
    const { order = { id: "string" }, isAscending = false, sorts } = this.#options;
    const name = sort.replace("-", "");
    const type = sorts?.[name];
    return type
      ? { order: { [name]: type, id: "string" } as const, isAscending: name === sort }
      : { order, isAscending };
  }

  /**
   * One page of rows that are not deleted. @param visible which of them the caller may see, as {@link
   * ofProjects}. @param viewOf loads what the rows of the page need besides their columns. @throws
   * VALIDATION_FAILED, INVALID_CURSOR
   */
  async page<V>(
    db: Pick<Database, "read" | "scan">,
    { visible, state }: { readonly visible: RawBuilder<boolean>; readonly state: StateOf<F> },
    query: PageQuery & Values<F> & { readonly sort?: string | undefined },
    viewOf: (rows: readonly R[]) => ((row: R) => V) | Promise<(row: R) => V>,
  ) {
    const { order, isAscending } = this.#orderBy(query.sort);
    const request = readPage(query, Object.values(order));
    const isFar = this.#options.searches || isFarPage(request) || request.wantsTotal;
    let filtered = rowsOf(isFar ? db.scan : db.read, this.#resource.table).where(visible);
    if (this.#resource.columnSchemas.has("deletedAt")) filtered = filtered.where(sql<boolean>`deletedAt is null`);
    for (const condition of this.#conditions(query, state)) filtered = filtered.where(condition);
    const names = Object.keys(order);
    let rows = filtered.selectAll().$castTo<R>().offset(request.offset);
    if (request.after) rows = rows.where(after(names, isAscending, request.after));
    for (const name of names) rows = rows.orderBy(sql.ref(name), isAscending ? "asc" : "desc");
    const { columns, largest } = this.#options.large ?? { columns: [], largest: 0 };
    const { rows: found, isCut } = await fittingRows(rows, request.limit + 1, { bytes: bytesOf(...columns), largest });
    const total = request.wantsTotal ? await countOf(filtered) : undefined;
    const view = await viewOf(found.slice(0, request.limit));
    const position = (row: R) => names.map((name) => row[name as keyof R] as string | number);
    return pageBody({ ...request, isCut }, found, view, position, total);
  }

  #conditions(query: Values<F>, state: StateOf<F>): RawBuilder<boolean>[] {
    const values = query as Readonly<Record<string, unknown>>;
    const used = Object.entries(this.#filters()).filter(([name]) => values[name] !== undefined);
    return used.map(([name, filter]) => filter.condition(values[name], state, this.#resource.columnOf(name)));
  }
}

function after(names: readonly string[], isAscending: boolean, position: readonly (string | number)[]) {
  const columns = sql.join(names.map((name) => sql.ref(name)));
  return sql<boolean>`(${columns}) ${isAscending ? sql`>` : sql`<`} (${sql.join(position)})`;
}

type PageQuery = Parameters<typeof readPage>[0];

/** @param filters by parameter, in the order of the API description; called once, as a resource's fields */
export function listing<R, F extends Filters>(
  resource: Table & { view(row: R, computed: never): object },
  filters: () => F,
  options: Options = {},
): Listing<R, F> {
  return new Listing(resource, filters, options);
}
