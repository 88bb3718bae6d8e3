import { type RawBuilder, sql } from "kysely";
import * as v from "valibot";
import type { Database } from "../store/database.ts";
import { countOf, holdsText, rowsOf } from "../store/sqlite/list-queries.ts";
import { isFarPage, pageBody, readPage } from "./pagination.ts";
import type { Table } from "./resource.ts";
import type { Shape } from "./route.ts";
import { doc } from "./shapes.ts";

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
/** What the conditions of all filters need to know. */
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
  /** Its filters read many rows: each page is read in the scan thread, not only those far away. */
  readonly searches?: true;
}

/** The rows of these projects. @param ids null: of all projects */
export function ofProjects(ids: readonly string[] | null): RawBuilder<boolean> {
  return ids === null ? sql`true` : sql`projectId in (${sql.join(ids)})`;
}

/** A list of a table's rows: its parameters, its order and its pages. */
export class Listing<R, F extends Filters> {
  readonly #resource: Table;
  readonly #filters: F;
  readonly #position: Readonly<Record<string, "string" | "number">>;
  readonly #options: Options;

  /** @throws TypeError for columns that the table does not have, or that cannot order */
  constructor(resource: Table, filters: F, options: Options) {
    this.#resource = resource;
    this.#filters = filters;
    this.#options = options;
    this.#position = options.order ?? { id: "string" };
    const { columnSchemas } = resource;
    const named = Object.values(filters).flatMap(({ columns = [] }) => columns);
    const unknown = [...named, ...Object.keys(this.#position)].find((column) => !columnSchemas.has(column));
    const nullable = Object.keys(this.#position).find((column) => columnSchemas.get(column)?.type === "nullable");
    if (unknown ?? nullable) throw new TypeError(`${resource.table} cannot be listed by ${unknown ?? nullable}`);
  }

  /** The parameters that filter, for the schema of a query beside `pageEntries()`. */
  get entries(): FilterEntries<F> {
    const entries = Object.entries(this.#filters).map(([name, { schema }]) => [name, v.optional(schema)]);
    return Object.fromEntries(entries) as FilterEntries<F>;
  }

  /**
   * One page of rows that are not deleted. @param visible which of them the caller may see, as {@link
   * ofProjects}. @param viewOf loads what the rows of the page need besides their columns. @throws
   * VALIDATION_FAILED, INVALID_CURSOR
   */
  async page<V>(
    db: Pick<Database, "read" | "scan">,
    { visible, state }: { readonly visible: RawBuilder<boolean>; readonly state: StateOf<F> },
    query: PageQuery & Values<F>,
    viewOf: (rows: readonly R[]) => ((row: R) => V) | Promise<(row: R) => V>,
  ) {
    const request = readPage(query, Object.values(this.#position));
    const isFar = this.#options.searches || isFarPage(request) || request.wantsTotal;
    let filtered = rowsOf(isFar ? db.scan : db.read, this.#resource.table).where(visible);
    if (this.#resource.columnSchemas.has("deletedAt")) filtered = filtered.where(sql<boolean>`deletedAt is null`);
    for (const condition of this.#conditions(query, state)) filtered = filtered.where(condition);
    const names = Object.keys(this.#position);
    let rows = filtered.selectAll().$castTo<R>();
    if (request.after) rows = rows.where(this.#after(request.after));
    for (const name of names) rows = rows.orderBy(sql.ref(name), this.#options.isAscending ? "asc" : "desc");
    const found = await rows
      .limit(request.limit + 1)
      .offset(request.offset)
      .execute();
    const total = request.wantsTotal ? await countOf(filtered) : undefined;
    const view = await viewOf(found.slice(0, request.limit));
    const position = (row: R) => names.map((name) => row[name as keyof R] as string | number);
    return pageBody(request, found, view, position, total);
  }

  #conditions(query: Values<F>, state: StateOf<F>): RawBuilder<boolean>[] {
    const values = query as Readonly<Record<string, unknown>>;
    const used = Object.entries(this.#filters).filter(([name]) => values[name] !== undefined);
    return used.map(([name, filter]) => filter.condition(values[name], state, this.#resource.columnOf(name)));
  }

  #after(position: readonly (string | number)[]): RawBuilder<boolean> {
    const names = sql.join(Object.keys(this.#position).map((name) => sql.ref(name)));
    const comparison = this.#options.isAscending ? sql`>` : sql`<`;
    return sql`(${names}) ${comparison} (${sql.join(position)})`;
  }
}

type PageQuery = Parameters<typeof readPage>[0];

/** @param filters by parameter, in the order of the API description */
export function listing<R, F extends Filters>(
  resource: Table & { view(row: R, computed: never): object },
  filters: F,
  options: Options = {},
): Listing<R, F> {
  return new Listing(resource, filters, options);
}
