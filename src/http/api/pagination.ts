import * as v from "valibot";
import { invalidField, PrismError } from "../../core/errors.ts";
import { doc, pattern, queryInteger } from "./shapes.ts";

/** The query members of a list: `page`+`limit`, `limit`+`offset`, or `cursor`. */
export function pageEntries(maxLimit = 100, defaultLimit = DEFAULT_LIMIT) {
  return {
    limit: v.optional(doc(queryInteger(1, maxLimit), `Entries per page; default ${defaultLimit}`)),
    page: v.optional(doc(queryInteger(1, 100_000), "Page number, from 1; not together with `offset` or `cursor`")),
    offset: v.optional(doc(queryInteger(0, 100_000), "Entries to skip; not together with `page` or `cursor`")),
    cursor: v.optional(
      doc(
        pattern(/^[A-Za-z0-9_-]{1,512}$/, "must be a cursor that this server gave"),
        "`nextCursor` of the page before; not together with `page` or `offset`",
      ),
    ),
  };
}

type PageQuery = Readonly<v.InferOutput<v.ObjectSchema<ReturnType<typeof pageEntries>, undefined>>>;

/** The requested part of a list. */
export interface PageRequest {
  readonly limit: number;
  /** Null in cursor mode, and for an offset that is not a multiple of the limit. */
  readonly page: number | null;
  readonly offset: number;
  /** The position after which the page starts; its parts are the list's sort keys. */
  readonly after: readonly (string | number)[] | null;
  readonly wantsTotal: boolean;
  /** The rows were cut off because of their size. */
  readonly isCut?: boolean;
}

const DEFAULT_LIMIT = 20;
/** Size limit of a page's rows; a larger row is a page of its own. */
export const MAX_PAGE_BYTES = 4_194_304;

/** Rows that may be skipped on the main thread; a page further away uses the scan thread. */
const NEAR_ROWS = 1000;

export function isFarPage({ offset }: PageRequest): boolean {
  return offset > NEAR_ROWS;
}

/** The types of a position's parts, as in `typeof`. */
type Position = readonly ("number" | "string")[];

/**
 * @param position types of the list's cursors; a cursor of another list is refused.
 * @throws VALIDATION_FAILED for mixed kinds, INVALID_CURSOR
 */
export function readPage(query: PageQuery, position: Position, defaultLimit = DEFAULT_LIMIT): PageRequest {
  const kinds = [query.page, query.offset, query.cursor].filter((value) => value !== undefined);
  if (kinds.length > 1) {
    throw invalidField("query", "page", "use one of page, offset and cursor");
  }
  const limit = query.limit ?? defaultLimit;
  if (query.cursor !== undefined)
    return { limit, page: null, offset: 0, after: decodeCursor(query.cursor, position), wantsTotal: false };
  const offset = query.offset ?? ((query.page ?? 1) - 1) * limit;
  return {
    limit,
    // An offset inside a page is not the start of a page.
    page: query.page ?? (offset % limit === 0 ? offset / limit + 1 : null),
    offset,
    after: null,
    wantsTotal: kinds.length > 0,
  };
}

/**
 * A page by number has a fixed number of rows: if it were cut off, the remaining rows would be on
 * no page.
 * @throws VALIDATION_FAILED for a page by number or offset whose rows are too large.
 */
export function requireCursor({ wantsTotal }: PageRequest): void {
  if (!wantsTotal) return;
  throw new PrismError("VALIDATION_FAILED", "The page is larger than 4 MiB", {
    details: [
      { path: "limit", code: "VALUE", message: "ask for fewer rows, or follow nextCursor without page and offset" },
    ],
  });
}

/** The body of a list, as `pageOf` describes it. */
export interface PageBody<V> {
  data: V[];
  page: number | null;
  limit: number;
  total?: number;
  nextCursor: string | null;
}

/**
 * The body of a list. `rows` has one more than the limit if there are more, or is cut off. The page
 * ends at {@link MAX_PAGE_BYTES}; `nextCursor` then continues with the first omitted row. @throws
 * VALIDATION_FAILED as {@link requireCursor}
 */
export function pageBody<R, V>(
  request: PageRequest,
  rows: readonly R[],
  view: (row: R) => V,
  position: (row: R) => readonly (string | number)[],
  total?: number,
): PageBody<V> {
  const data: V[] = [];
  const wanted = rows.slice(0, request.limit);
  let bytes = 0;
  for (const row of wanted) {
    const shown = view(row);
    bytes += typeof shown === "string" ? shown.length : JSON.stringify(shown).length;
    if (data.length > 0 && bytes > MAX_PAGE_BYTES) break;
    data.push(shown);
  }
  const isCut = request.isCut === true;
  if (data.length < (isCut ? request.limit : wanted.length)) requireCursor(request);
  const last = rows[data.length - 1];
  return {
    data,
    page: request.page,
    limit: request.limit,
    ...(total === undefined ? {} : { total }),
    nextCursor: (rows.length > data.length || isCut) && last !== undefined ? cursorOf(position(last)) : null,
  };
}

/** The cursor of a position, after which the next page starts. */
export function cursorOf(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** The number in a cursor of one. @throws INVALID_CURSOR */
export function positionOf(cursor: string): number {
  return Number(decodeCursor(cursor, ["number"])[0]);
}

function decodeCursor(cursor: string, position: Position): readonly (string | number)[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    const isPart = (part: unknown, i: number): boolean => typeof part === position[i];
    if (Array.isArray(parts) && parts.length === position.length && parts.every(isPart))
      return parts as (string | number)[];
  } catch {
    // Refused like any other text below.
  }
  throw new PrismError("INVALID_CURSOR", "This server did not issue the cursor");
}
