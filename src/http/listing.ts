import { type RawBuilder, sql } from "kysely";
import * as v from "valibot";
import type { ReadDb } from "../store/database.ts";
import { countOf, holdsText, rowsOf } from "../store/sqlite/list-queries.ts";
import { pageBody, readPage } from "./pagination.ts";
import type { Shape } from "./route.ts";
import { doc } from "./shapes.ts";

/** A parameter of a list: what it looks for, and the condition that it sets. `S`: what conditions need to know. */
export interface Filter<T, S = unknown> {
  readonly schema: Shape<T>;
  condition(value: T, name: string, state: S): RawBuilder<boolean>;
}

/** Rows whose column of the same name has this value. */
export function equals<T>(schema: Shape<T>, text: string): Filter<T> {
  return { schema: doc(schema, text), condition: (value, name) => sql`${sql.ref(name)} = ${value}` };
}

/** Rows that have the text in one of these columns, ignoring ASCII case. */
export function within(columns: readonly string[], schema: Shape<string>, text: string): Filter<string> {
  return {
    schema: doc(schema, text),
    condition: (value) =>
      sql`(${sql.join(
        columns.map((column) => holdsText(column, value)),
        sql` or `,
      )})`,
  };
}

/** Rows that a condition of its own selects. */
export function by<T, S>(
  schema: Shape<T>,
  text: string,
  condition: (value: T, state: S) => RawBuilder<boolean>,
): Filter<T, S> {
  return { schema: doc(schema, text), condition: (value, _, state) => condition(value, state) };
}

type Filters = Readonly<Record<string, Filter<unknown>>>;
type ValueOf<F> = F extends { readonly schema: Shape<infer T> } ? T : never;
type Values<F> = { readonly [K in keyof F]?: ValueOf<F[K]> | undefined };
type FilterEntries<F> = { readonly [K in keyof F]: v.OptionalSchema<Shape<ValueOf<F[K]>>, undefined> };
/** What the conditions of all filters need to know. */
type StateOf<F extends Filters> = {
  [K in keyof F]: (state: Parameters<F[K]["condition"]>[2]) => void;
}[keyof F] extends (state: infer S) => void
  ? S
  : never;

/** Columns that order a list, all in one direction; together they are unique. */
interface Order {
  readonly by: Readonly<Record<string, "string" | "number">>;
  readonly direction: "asc" | "desc";
}

/** Ids are in order of time. */
export const NEWEST_FIRST: Order = { by: { id: "string" }, direction: "desc" };

interface ListedRow {
  readonly projectId: string;
}

/** Which rows a list has besides its filters. */
interface Scope {
  /** Null: of all projects. */
  readonly projectIds: readonly string[] | null;
}

/** A list of a table's rows: its parameters, its order and its pages. */
export class Listing<R extends ListedRow, F extends Filters> {
  readonly #table: string;
  readonly #filters: F;
  readonly #order: Order;

  constructor(table: string, filters: F, order: Order) {
    this.#table = table;
    this.#filters = filters;
    this.#order = order;
  }

  /** The parameters that filter, for the schema of a query beside `pageEntries()`. */
  get entries(): FilterEntries<F> {
    const entries = Object.entries(this.#filters).map(([name, { schema }]) => [name, v.optional(schema)]);
    return Object.fromEntries(entries) as FilterEntries<F>;
  }

  /**
   * One page of the rows that the caller may see. @param viewOf loads what the rows of the page need
   * besides their columns. @throws VALIDATION_FAILED, INVALID_CURSOR
   */
  async page<V>(
    db: ReadDb,
    scope: Scope & { readonly state: StateOf<F> },
    query: PageQuery & Values<F>,
    viewOf: (rows: readonly R[]) => ((row: R) => V) | Promise<(row: R) => V>,
  ) {
    const { by: columns, direction } = this.#order;
    const request = readPage(query, Object.values(columns));
    const filtered = this.#filtered(db, scope, query);
    let rows = filtered.selectAll().$castTo<R>();
    const names = Object.keys(columns);
    const comparison = direction === "desc" ? sql`<` : sql`>`;
    if (request.after)
      rows = rows.where(
        sql<boolean>`(${sql.join(names.map((name) => sql.ref(name)))}) ${comparison} (${sql.join(request.after)})`,
      );
    for (const name of names) rows = rows.orderBy(sql.ref(name), direction);
    const found = await rows
      .limit(request.limit + 1)
      .offset(request.offset)
      .execute();
    const total = request.wantsTotal ? await countOf(filtered) : undefined;
    const view = await viewOf(found.slice(0, request.limit));
    const position = (row: R): (string | number)[] => names.map((name) => row[name as keyof R] as string | number);
    return pageBody(request, found, view, position, total);
  }

  #filtered(db: ReadDb, { projectIds, state }: Scope & { readonly state: StateOf<F> }, query: Values<F>) {
    let rows = rowsOf(db, this.#table);
    if (projectIds !== null) rows = rows.where(sql<boolean>`projectId in (${sql.join(projectIds)})`);
    for (const [name, filter] of Object.entries(this.#filters)) {
      const value = (query as Readonly<Record<string, unknown>>)[name];
      if (value !== undefined) rows = rows.where(filter.condition(value, name, state));
    }
    return rows;
  }
}
type PageQuery = Parameters<typeof readPage>[0];

/** @param resource of which rows have a project. @param filters by parameter, in the order of the API description */
export function listing<R extends ListedRow, F extends Filters>(
  { table }: { readonly table: string; view(row: R, computed: never): object },
  filters: F,
  order: Order = NEWEST_FIRST,
): Listing<R, F> {
  return new Listing(table, filters, order);
}
