import { sql } from "kysely";
import * as v from "valibot";
import { type ErrorCode, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { rowsOf } from "../../store/sqlite/list-queries.ts";
import type { Shape, Shown } from "./route.ts";
import { doc, named, nameOf } from "./shapes.ts";

/** How a column of SQLite stores a member: `I` comes from requests, `V` is shown in answers. */
export interface Codec<C, I, V> {
  /** Shape of the column. */
  readonly column: Shape<C>;
  /** Shape of the member in answers; undefined: that of requests. */
  readonly shape?: Shape<V>;
  encode(value: I): C;
  decode(column: C): V;
}

/** An instant: epoch milliseconds in the table, RFC 3339 in answers; requests give `instant`. */
export const time: Codec<EpochMs, EpochMs, string> = {
  column: v.number(),
  shape: v.string(),
  encode: (at) => at,
  decode: toRfc3339,
};

/** A boolean: 0 or 1. */
export const flag: Codec<0 | 1, boolean, boolean> = {
  column: v.picklist([0, 1]),
  shape: v.boolean(),
  encode: (value) => (value ? 1 : 0),
  decode: (column) => column === 1,
};

/** A value as JSON text. */
export function json<T>(): Codec<string, T, T> {
  return { column: v.string(), encode: (value) => JSON.stringify(value), decode: (column) => JSON.parse(column) as T };
}

/** Words separated by spaces. */
export const words: Codec<string, string[], string[]> = {
  column: v.string(),
  shape: v.array(v.string()),
  encode: (list) => {
    if (list.some((word) => !/^\S+$/.test(word))) throw new TypeError("a word of this column has a space or is empty");
    return list.join(" ");
  },
  decode: (column) => column.split(" ").filter((word) => word !== ""),
};

interface FieldParts {
  /** Undefined: the column has the member's value. */
  readonly codec?: Codec<unknown, unknown, unknown> | undefined;
  readonly isStored: boolean;
  /** Of the column, if it is not the member's. */
  readonly name?: string;
  /** Of the column's values, if it is not that of requests or answers. */
  readonly column?: v.GenericSchema;
  /** The member of answers is not read from the column. */
  readonly isComputed?: boolean;
  /** In requests; undefined: they cannot set it. */
  readonly input?: v.GenericSchema;
  /** Only requests that create have it. */
  readonly isFixed?: boolean;
  /** In answers; undefined: they do not show it. */
  readonly view?: v.GenericSchema;
  /** Of the column in a new row. */
  readonly initial?: unknown;
}

/**
 * A member of a resource. `C` is the value of its column, `I` that of requests, `V` that of answers
 * (never: there is none), `M` that of its computed members; `D`: a new row has a default.
 */
export class Field<C = unknown, I = unknown, V = unknown, D extends boolean = boolean, M = unknown, N = unknown> {
  readonly parts: FieldParts;
  /** For the compiler only. */
  declare readonly types: readonly [column: C, input: I, view: V, hasDefault: D, computed: M, name: N];

  constructor(parts: FieldParts) {
    this.parts = parts;
  }

  /** The column of a new row if the request says nothing. Without a default a member of requests is required. */
  or(initial: C): Field<C, I, V, true, M, N> {
    return new Field({ ...this.parts, initial });
  }

  /** Describes the member of answers otherwise than that of requests. */
  shown<W>(view: Shape<W> & ([V] extends [W] ? unknown : never)): Field<C, I, W, D, M, N> {
    return new Field({ ...this.parts, view });
  }

  /** The column has another name than the member. */
  inColumn<const T extends string>(name: T): Field<C, I, V, D, M, T> {
    return new Field({ ...this.parts, name });
  }

  /** Requests that change the resource do not have it. */
  atCreation(): Field<C, I, V, D, M, N> {
    return new Field({ ...this.parts, isFixed: true });
  }

  /** Answers show something else than the column: it depends on the time, on memory or on rights. */
  shownAs<T>(view: Shape<T>): Field<C, I, T, D, T, N> {
    return new Field({ ...this.parts, isComputed: true, view });
  }
}

/** A member that requests set and answers show. @param text describes it in requests */
export function given<T>(schema: Shape<T>, text: string): Field<T, T, T, false, never, unknown>;
export function given<C, I, V>(
  schema: Shape<I>,
  text: string,
  codec: Codec<C, I, V>,
): Field<C, I, V, false, never, unknown>;
export function given(schema: v.GenericSchema, text: string, codec?: FieldParts["codec"]): Field {
  // The text belongs to the value, not to null, unless that has a name or the nullable checks of its own.
  const isPlain = isNullable(schema) && !("pipe" in schema) && schema.default === undefined && !nameOf(schema.wrapped);
  const input = isPlain ? v.nullable(doc(schema.wrapped, text)) : doc(schema, text);
  return new Field({ codec, isStored: true, input, view: codec?.shape ?? withoutLimits(schema) });
}

/** A column that answers show and requests do not set. */
export function stored<T>(schema: Shape<T>): Field<T, never, T, false, never, unknown>;
export function stored<C, I, V>(schema: Shape<V>, codec: Codec<C, I, V>): Field<C, never, V, false, never, unknown>;
export function stored(schema: v.GenericSchema, codec?: FieldParts["codec"]): Field {
  return new Field({ codec, isStored: true, view: schema });
}

/** A column that neither requests nor answers have, such as a secret. */
export function column<T>(schema: Shape<T>): Field<T, never, never, false, never, unknown> {
  return new Field({ isStored: true, column: schema });
}

/** A column of bytes. */
export const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** A member of answers that no column has: it depends on the time, on memory or on the caller's rights. */
export function computed<T>(schema: Shape<T>): Field<never, never, T, false, T, unknown> {
  return new Field({ isStored: false, isComputed: true, view: schema });
}

/** The codec for columns that may be null. */
export function orNull<C, I, V>({
  column,
  shape,
  encode,
  decode,
}: Codec<C, I, V>): Codec<C | null, I | null, V | null> {
  return {
    column: v.nullable(column),
    ...(shape && { shape: v.nullable(shape) }),
    encode: (value) => (value === null ? null : encode(value)),
    decode: (column) => (column === null ? null : decode(column)),
  };
}

type Fields = Readonly<Record<string, Field>>;
type ColumnOf<F extends Field> = F["types"][0];
type InputOf<F extends Field> = F["types"][1];
type ViewOf<F extends Field> = F["types"][2];
type HasDefault<F extends Field> = F["types"][3];
type ComputedOf<F extends Field> = F["types"][4];
/** The name of the column of member `K`; never: it has none. */
type NameOf<F extends Field, K> = Unless<ColumnOf<F>, F["types"][5] extends string ? F["types"][5] : K>;
/** `K`, unless `T` is never. */
type Unless<T, K> = [T] extends [never] ? never : K;

/** A row of the table. */
type Columns<F extends Fields> = { -readonly [K in keyof F as NameOf<F[K], K>]: ColumnOf<F[K]> };
/** The members of requests, all optional. */
type Changes<F extends Fields> = {
  -readonly [K in keyof F as Unless<InputOf<F[K]>, K>]?: InputOf<F[K]> | undefined;
};
/** The columns that requests set. */
type Given<F extends Fields> = { -readonly [K in keyof F as Unless<InputOf<F[K]>, NameOf<F[K], K>>]?: ColumnOf<F[K]> };
type ChangeEntries<F extends Fields> = {
  readonly [K in keyof F as Unless<InputOf<F[K]>, K>]: v.OptionalSchema<Shape<InputOf<F[K]>>, undefined>;
};
type CreateEntries<F extends Fields> = {
  readonly [K in keyof F as Unless<InputOf<F[K]>, K>]: HasDefault<F[K]> extends true
    ? v.OptionalSchema<Shape<InputOf<F[K]>>, undefined>
    : Shape<InputOf<F[K]>>;
};
type Defaults<F extends Fields> = {
  -readonly [K in keyof F as HasDefault<F[K]> extends true ? NameOf<F[K], K> : never]: ColumnOf<F[K]>;
};
/** The body of a request that creates one. */
type Created<F extends Fields> = Changes<F> & {
  readonly [K in keyof F as HasDefault<F[K]> extends true ? never : Unless<InputOf<F[K]>, K>]: InputOf<F[K]>;
};
/** The columns of a new row that neither a request nor a default gives, and any others. */
type Remaining<F extends Fields> = Partial<Columns<F>> & {
  readonly [K in keyof F as HasDefault<F[K]> extends true
    ? never
    : [InputOf<F[K]>] extends [never]
      ? NameOf<F[K], K>
      : never]: ColumnOf<F[K]>;
};
type Maybe<T> = unknown extends T ? false : undefined extends T ? true : false;
/** An answer. */
type View<F extends Fields> = {
  -readonly [K in keyof F as Maybe<ViewOf<F[K]>> extends true ? never : Unless<ViewOf<F[K]>, K>]: ViewOf<F[K]>;
} & { -readonly [K in keyof F as Maybe<ViewOf<F[K]>> extends true ? K : never]?: ViewOf<F[K]> };
type ShownEntries<F extends Fields> = {
  readonly [K in keyof View<F>]-?: undefined extends View<F>[K]
    ? v.OptionalSchema<Shape<View<F>[K]>, undefined>
    : Shape<View<F>[K]>;
};
/** The members of an answer that are not read from columns. */
type Computed<F extends Fields> = {
  -readonly [K in keyof F as Maybe<ComputedOf<F[K]>> extends true ? never : Unless<ComputedOf<F[K]>, K>]: ComputedOf<
    F[K]
  >;
} & { -readonly [K in keyof F as Maybe<ComputedOf<F[K]>> extends true ? K : never]?: ComputedOf<F[K]> };

/** Members that answers read from a column of the same name. */
type ReadableOf<F extends Fields> = {
  [K in keyof F]: [ComputedOf<F[K]>] extends [never] ? Unless<ViewOf<F[K]>, K & keyof Columns<F>> : never;
}[keyof F];

/** A row of the table of a resource, as Kysely's schema has it. */
export type RowOf<R extends { readonly fields: Fields }> = Columns<R["fields"]>;
/** An answer with a resource. */
export type AnswerOf<R extends { readonly fields: Fields }> = View<R["fields"]>;
/** The columns that requests set. */
export type ColumnsOf<R extends { readonly fields: Fields }> = Given<R["fields"]>;

interface Reading {
  readonly name: string;
  readonly column: string | null;
  readonly decode: ((column: unknown) => unknown) | undefined;
}

/**
 * One declaration of what a table stores, requests set and answers show: schemas, codecs and types
 * follow from it. Members of requests and answers are in its order.
 */
export class Resource<F extends Fields> {
  readonly name: string;
  readonly table: string;
  readonly #title: string;
  readonly #fields: () => F;
  #made: F | null = null;
  #initial: Defaults<F> | null = null;
  #known: readonly Reading[] | null = null;
  #view: Shape<View<F>> | null = null;

  constructor(name: string, title: string, table: string, fields: () => F) {
    this.name = name;
    this.table = table;
    this.#title = title;
    this.#fields = fields;
  }

  /** The fields, made when they are first used. */
  get fields(): F {
    this.#made ??= this.#fields();
    return this.#made;
  }

  /** The members of a request that creates one. */
  get forCreate(): CreateEntries<F> {
    return this.#entries(({ input, initial }) => input && (initial === undefined ? input : v.optional(input)));
  }

  /** The members of a request that changes one: all are optional. */
  get forUpdate(): ChangeEntries<F> {
    return this.#entries(({ input, isFixed }) => (isFixed || !input ? undefined : v.optional(input)));
  }

  /** The members of an answer. */
  get shown(): ShownEntries<F> {
    return this.#entries(({ view }) => view);
  }

  /** The schema of each column. */
  get columnSchemas(): ReadonlyMap<string, v.GenericSchema> {
    const columns = Object.entries(this.fields).filter(([, { parts }]) => parts.isStored);
    return new Map(columns.map(([name, { parts }]) => [parts.name ?? name, columnOf(parts)]));
  }

  /** The column of a member of requests, for conditions; null: it has none. */
  columnOf(member: string): StoredAs | null {
    const parts = this.fields[member]?.parts;
    if (!parts?.isStored) return null;
    return { name: parts.name ?? member, encode: (value) => (parts.codec ? parts.codec.encode(value) : value) };
  }

  /** The schema of an answer, named in the API description. */
  get View(): Shape<View<F>> {
    this.#view ??= named(this.name, this.#title, v.object(this.shown as v.ObjectEntries) as unknown as Shape<View<F>>);
    return this.#view;
  }

  /** The columns of a new row that have a default. */
  get initial(): Defaults<F> {
    this.#initial ??= Object.freeze(
      Object.fromEntries(
        Object.entries(this.fields).flatMap(([name, { parts }]) =>
          parts.initial === undefined ? [] : [[parts.name ?? name, parts.initial]],
        ),
      ),
    ) as Defaults<F>;
    return this.#initial;
  }

  /** The members of requests with their values in a row, in the form of answers. */
  settable(row: Columns<F>): Readonly<Record<string, unknown>> {
    return this.#inputsOf((name) => (row as Readonly<Record<string, unknown>>)[name]);
  }

  /** The members of requests that have a default, with it. */
  get defaults(): Readonly<Record<string, unknown>> {
    return this.#inputsOf((name) => (this.initial as Readonly<Record<string, unknown>>)[name]);
  }

  #inputsOf(read: (column: string) => unknown): Readonly<Record<string, unknown>> {
    const members = Object.entries(this.fields).flatMap(([name, { parts }]) => {
      const value = parts.input && parts.isStored ? read(parts.name ?? name) : undefined;
      return value === undefined ? [] : [[name, parts.codec ? parts.codec.decode(value) : value] as const];
    });
    return Object.fromEntries(members);
  }

  /** The columns that a request sets; absent members are left out, and members that requests cannot set. */
  columns<I extends Changes<F>>(input: I & { [K in Exclude<keyof I, keyof Changes<F>>]: never }): Given<F> {
    const columns: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(input)) {
      const parts = this.fields[name]?.parts;
      if (value !== undefined && parts?.input && parts.isStored)
        columns[parts.name ?? name] = parts.codec ? parts.codec.encode(value) : value;
    }
    return columns as Given<F>;
  }

  /** A new row. @param input of a request to create it; other members are left out */
  newRow(input: Created<F>, others: Remaining<F>): Columns<F> {
    return { ...this.initial, ...this.columns(input as never), ...others } as Columns<F>;
  }

  /** The answer with a row. @param computed the members that are not read from columns */
  view(
    row: Columns<F>,
    ...[computed]: object extends Computed<F> ? [Shown<Computed<F>>?] : [Shown<Computed<F>>]
  ): View<F> {
    const columns: Readonly<Record<string, unknown>> = row;
    const others = computed as Readonly<Record<string, unknown>> | undefined;
    const view: Record<string, unknown> = {};
    for (const { name, column, decode } of this.#plan) {
      const value = column === null ? others?.[name] : columns[column];
      if (value !== undefined) view[name] = decode ? decode(value) : value;
    }
    return view as View<F>;
  }

  /** How each member of an answer is read: from a column, or given by the caller (null). */
  get #plan(): readonly Reading[] {
    this.#known ??= Object.entries(this.fields).flatMap(([name, { parts }]): Reading[] => {
      if (!parts.view) return [];
      return parts.isComputed
        ? [{ name, column: null, decode: undefined }]
        : [{ name, column: parts.name ?? name, decode: parts.codec?.decode }];
    });
    return this.#known;
  }

  /** The value of a column as the member of answers. */
  value<K extends ReadableOf<F>>(row: Pick<Columns<F>, K & keyof Columns<F>>, name: K): ViewOf<F[K]> {
    const codec = this.fields[name]?.parts.codec;
    const column = row[name as K & keyof Columns<F>];
    return (codec ? codec.decode(column) : column) as ViewOf<F[K]>;
  }

  /** The row that a request names by its id, unless it is deleted. */
  async find(db: ReadDb | Trx, id: string): Promise<Columns<F> | undefined> {
    if (!isUuid(id)) return undefined;
    let found = rowsOf(db, this.table).where(sql<boolean>`id = ${id}`);
    if (this.columnSchemas.has("deletedAt")) found = found.where(sql<boolean>`deletedAt is null`);
    return found.selectAll().$castTo<Columns<F>>().executeTakeFirst();
  }

  /** As {@link find}. @param noun what the row is, for the error's message. @throws `missing` */
  async require(db: ReadDb | Trx, id: string, missing: ErrorCode, noun: string): Promise<Columns<F>> {
    const row = await this.find(db, id);
    if (!row) throw new PrismError(missing, `No such ${noun}`);
    return row;
  }

  #entries<E>(entryOf: (parts: FieldParts) => v.GenericSchema | undefined): E {
    const entries = Object.entries(this.fields).map(([name, { parts }]) => [name, entryOf(parts)] as const);
    return Object.fromEntries(entries.filter(([, entry]) => entry !== undefined)) as E;
  }
}

/** A resource without the types of its fields. */
export interface Table {
  readonly name: string;
  readonly table: string;
  readonly columnSchemas: ReadonlyMap<string, v.GenericSchema>;
  columnOf(member: string): StoredAs | null;
}

/** The column of a member. */
interface StoredAs {
  readonly name: string;
  encode(value: unknown): unknown;
}

const all: Table[] = [];

/** The resources of all files that are loaded. */
export function resources(): readonly Table[] {
  return all;
}

/**
 * @param name of its schema in the API description. @param title a noun phrase. @param fields called
 * once, when a request or the description first needs them
 */
export function resource<F extends Fields>(name: string, title: string, table: string, fields: () => F): Resource<F> {
  const made = new Resource(name, title, table, fields);
  all.push(made);
  return made;
}

function columnOf({ codec, column, input, view, isComputed }: FieldParts): v.GenericSchema {
  // A request may write a value in more forms than it is stored in.
  const schema = codec?.column ?? column ?? (isComputed ? input : view) ?? input;
  if (!schema) throw new TypeError("a column has no schema");
  return schema;
}

function isNullable(schema: v.GenericSchema): schema is v.NullableSchema<v.GenericSchema, undefined> {
  return schema.type === "nullable";
}

/** The same values without the limits and texts of requests: an answer has only stored ones. */
function withoutLimits(schema: v.GenericSchema): v.GenericSchema {
  if (isNullable(schema)) return v.nullable(withoutLimits(schema.wrapped));
  const { type, item, value, pipe } = schema as v.GenericSchema & {
    readonly item?: v.GenericSchema;
    readonly value?: v.GenericSchema;
    readonly pipe?: readonly v.GenericSchema[];
  };
  if (type === "string") return v.string();
  if (type === "number") return v.number();
  if (type === "boolean") return v.boolean();
  if (type === "array" && item) return v.array(withoutLimits(item));
  if (type === "record" && value) return v.record(v.string(), withoutLimits(value));
  return pipe?.[0] ?? schema;
}
